import AntiEntropy
import Causality
import RecordSchema
import ReplicaStore
import SyncProtocol

/// A hub without a network: a second replica that keeps a feed. Every message passes as the bytes
/// that would travel, and is counted.
final class MemoryHub: HubPort {
    private let replica: Replica
    private(set) var traffic = Traffic()

    /// Bodies of messages, in bytes: what HTTP and TLS add is not in them.
    struct Traffic {
        var roundTrips = 0
        var requestBytes = 0
        var replyBytes = 0
    }

    init(_ replica: Replica) {
        self.replica = replica
    }

    func startCounting() { traffic = Traffic() }

    func exchange(_ request: SyncRequest) throws(TransportFailure) -> SyncReply {
        do {
            let sent = request.encode()
            let parts = try SyncRequest(decoding: sent).parts.map {
                SyncReply.Part.answered(try answer(to: $0))
            }
            let reply = SyncReply(
                parts: parts, scopes: try replica.feedScopes(),
                hubMilliseconds: replica.environment.wallMilliseconds()
            ).encode()
            traffic.roundTrips += 1
            traffic.requestBytes += sent.count
            traffic.replyBytes += reply.count
            return try SyncReply(decoding: reply)
        } catch let refusal as Refusal {
            throw .refused(refusal)
        } catch {
            throw .unreachable("\(error)")
        }
    }

    private func answer(to request: ExchangeRequest) throws -> ExchangeReply {
        var heads: [StreamID: RunStub] = [:]
        var rejections: [Rejection] = []
        for (run, result) in zip(request.runs, try replica.ingest(request.runs)) {
            if case .refused(let refusal) = result {
                rejections.append(Rejection(RunStub(run), refusal))
            } else {
                heads[run.header.stream] = RunStub(run)
            }
        }
        let feed = try replica.feedEntries(
            of: request.scope, after: request.cursor, ahead: request.ahead)
        return ExchangeReply(
            heads: heads.values.sorted { $0.stream < $1.stream }, rejections: rejections,
            entries: feed.entries, cursor: feed.cursor, hasMore: feed.hasMore,
            hubMilliseconds: replica.environment.wallMilliseconds())
    }
}
