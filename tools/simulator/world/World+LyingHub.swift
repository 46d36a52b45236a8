import AntiEntropy
import Causality
import FieldRecords
import ReplicaStore
import StoreTestSupport
import SyncProtocol
import TestSupport

/// What a hub may say that isn't so. Nothing that it says harms what laptops hold; and once it is honest,
/// everything arrives.
enum HubLie: String, CaseIterable {
    /// An entry of the feed is left out, as if it had never been there.
    case omit = "an entry left out"
    /// The same, with a cursor that says otherwise.
    case omitPlainly = "an entry left out of what the cursor covers"
    case reorder = "two entries in another order"
    case withhold = "nothing new"
    /// It says that it holds what it was brought, and has thrown it away.
    case overstate = "holds all"
    case understate = "holds nothing"
    case reject = "a run refused that was taken"
    /// An answer that it gave before.
    case old = "an old answer"
}

extension World {
    /// What the hub makes of a request before it lies.
    func heard(_ request: SyncRequest, by laptop: Laptop) -> SyncRequest {
        guard laptop.networkFault == .hubLies, laptop.lie == .overstate else { return request }
        var heard = request
        for index in heard.parts.indices { heard.parts[index].runs = [] }
        return heard
    }

    /// What the laptop gets in place of an honest answer.
    func lie(
        _ honest: [UInt8], to request: SyncRequest, _ laptop: Laptop
    ) throws -> [UInt8] {
        guard let lie = laptop.lie else { return honest }
        laptop.hearLie()
        count("fault: hub lies: \(lie.rawValue)")
        if lie == .old {
            return laptop.noise.pick(laptop.answers) ?? honest
        }
        var answer = try SyncReply(decoding: honest)
        for index in answer.parts.indices {
            guard case .answered(let reply) = answer.parts[index] else { continue }
            answer.parts[index] = .answered(
                try distort(reply, to: request.parts[index], by: lie, laptop))
        }
        return answer.encode()
    }

    private func distort(
        _ honest: ExchangeReply, to request: ExchangeRequest, by lie: HubLie, _ laptop: Laptop
    ) throws -> ExchangeReply {
        var reply = honest
        let places = reply.entries.count
        switch lie {
        case .old: break
        case .omit, .omitPlainly:
            guard places > 0 else { break }
            reply.entries.remove(at: laptop.noise.below(places))
            if lie == .omit { link(&reply, to: request) }
        case .reorder:
            guard places > 1 else { break }
            let place = laptop.noise.below(places - 1)
            reply.entries.swapAt(place, place + 1)
            link(&reply, to: request)
        case .withhold:
            reply.entries = []
            reply.hasMore = false
            link(&reply, to: request)
        case .overstate:
            reply.heads = try lastRuns(of: laptop, in: request.scope)
        case .understate:
            reply.heads = try lastRuns(of: laptop, in: request.scope).map {
                RunStub(noneOf: $0.stream)
            }
        case .reject:
            reply.rejections = request.runs.map {
                Rejection(RunStub($0), Refusal(.revoked, "not welcome"))
            }
        }
        return reply
    }

    /// Makes the cursor what the entries lead to.
    private func link(_ reply: inout ExchangeReply, to request: ExchangeRequest) {
        let start = request.cursor ?? .start(epoch: reply.cursor.epoch, scope: request.scope)
        reply.cursor = reply.entries.reduce(start) { $0.advanced(by: $1.stub) }
    }

    private func lastRuns(of laptop: Laptop, in scope: String) throws -> [RunStub] {
        var last: [StreamID: RunStub] = [:]
        for run in try laptop.replica.sealedRuns(after: VersionVector())
        where try laptop.replica.scope(of: run) == scope {
            last[run.header.stream] = RunStub(run)
        }
        return last.values.sorted { $0.stream < $1.stream }
    }
}
