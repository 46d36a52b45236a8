import Causality
import FieldRecords
import Hub
import ReplicaStore
import StoreTestSupport
import SyncProtocol
import TestSupport

/// Laptops that are lost: from then on what they record must do no harm, and strand nobody.
extension World {
    /// The operator revokes a laptop, sometimes from an earlier time on. Two always stay.
    func revoke(_ laptop: Laptop, _ random: inout SplitMix64) throws -> String {
        let those = laptops.filter { $0.original == laptop.original }.map(\.number)
        guard laptops.count - revoked.count > those.count + 1, !revoked.contains(laptop.number)
        else { return "stays" }
        let span = Int64(random.below(3_600_000))
        let isLate = random.chance(1, in: 2)
        let device = laptop.replica.device
        // After a failed sync nobody knows: an operator does it once more.
        for _ in 0..<10 where try !hub.revoke(device, span: isLate ? span : nil) {}
        count("fault: laptop lost")
        ledger.loseCount()
        revoked.formUnion(those)
        return isLate ? "is revoked from \(span) ms ago on" : "is revoked"
    }

    /// The operator admits a run of a laptop that was lost, with those before it.
    func admit(_ random: inout SplitMix64) throws -> String {
        guard let kept = random.pick(try hub.store?.replica.quarantinedRuns() ?? []) else {
            return "nothing is kept aside"
        }
        let stub = RunStub(kept.run)
        guard try hub.store?.replica.path(to: kept) != nil else {
            return "what comes before \(stub.stream):\(stub.lastSeq) is not here"
        }
        // After a failed sync nobody knows: an operator looks whether it is there still.
        do {
            for _ in 0..<10 where try !hub.admit(stub) {}
        } catch is SimulatedHub.NotAdmitted {
            return "\(stub.stream):\(stub.lastSeq) depends on what is not here"
        }
        count("fault: changes admitted")
        admitted.append(stub)
        return "\(stub.stream):\(stub.lastSeq) is admitted"
    }

    /// What was admitted counts everywhere. Not when the hub went back: an earlier cut or admission that
    /// comes back stands beside one that was made without knowing of it.
    func checkAdmitted() throws {
        guard !hub.wentBack else { return }
        for replica in [hub.store?.replica].compactMap({ $0 }) + members.map(\.replica) {
            for stub in admitted where try replica.run(stub) == nil {
                let scope = hub.store?.replica.scope(of: stub.stream)
                let laptop = members.first { $0.replica === replica }
                if let scopes = laptop?.scopes, let scope, !scopes.contains(scope) { continue }
                throw Violation(
                    "I2", "\(stub.stream):\(stub.lastSeq) was admitted, and is not there")
            }
        }
    }

    /// Those whose work must be everywhere in the end.
    var members: [Laptop] { laptops.filter { !revoked.contains($0.number) } }

    /// Whether a stream is one of a laptop that was lost.
    func isOfRevoked(_ stream: StreamID) -> Bool {
        guard !revoked.isEmpty, let device = device(of: stream) else { return false }
        return isRevoked(device)
    }

    func isRevoked(_ device: DeviceID) -> Bool {
        laptops.contains { revoked.contains($0.number) && $0.replica.device == device }
    }

    /// Whose stream or branch it is, by whoever knows it.
    private func device(of stream: StreamID) -> DeviceID? {
        let all = [hub.store?.replica].compactMap { $0 } + laptops.map(\.replica)
        return all.lazy.compactMap { $0.device(of: stream) }.first
            ?? all.lazy.compactMap { try? $0.knownOrigin(of: stream)?.device }.first
    }

    /// What a laptop keeps aside is of those that were lost.
    ///
    /// - Parameter mayWait: a hub that went back has taken changes of a laptop that it had revoked. What
    ///   depends on these waits, where that is known, until the hub hears of it again and says where they end.
    func checkAside(_ replica: Replica, _ name: String, mayWait: Bool = false) throws {
        for kept in try replica.quarantinedRuns() {
            let stub = RunStub(kept.run)
            let isHeld = try replica.run(stub) != nil
            guard !isHeld else {
                throw Violation(
                    "I4", "\(name) keeps \(stub.stream):\(stub.lastSeq) aside, and counts it")
            }
            guard !isOfRevoked(kept.run.header.stream) else { continue }
            let isGap = kept.reason.hasPrefix("GAP")
            guard !mayWait || !isGap else { continue }
            // Words of a hub that went back, of which those before reached nobody.
            if isGap, hub.wentBack, device(of: kept.run.header.stream) == hub.store?.replica.device
            {
                continue
            }
            throw Violation(
                "I4",
                "\(name) put an honest run \(stub.stream):\(stub.lastSeq) aside: \(kept.reason)")
        }
    }
}

extension SimulatedHub {
    /// - Parameter span: milliseconds up to now that don't count.
    /// - Returns: whether the operator was told that it is done.
    func revoke(_ device: DeviceID, span: Int64?) throws -> Bool {
        let done: Void? = try command { store in
            guard let known = try store.devices().first(where: { $0.device == "\(device)" }) else {
                throw Violation("error", "the hub doesn't know \(device)")
            }
            let now = store.replica.environment.wallMilliseconds()
            let limit = span.map { now.subtractingReportingOverflow($0).partialValue }
            _ = try store.revoke(known, receivedBy: limit, note: "lost")
        }
        return done != nil
    }

    /// - Returns: whether the operator was told that it is done, or has seen it.
    func admit(_ stub: RunStub) throws -> Bool {
        let done: Void? = try command { store in
            let kept = try store.replica.quarantinedRuns().first { RunStub($0.run) == stub }
            guard let kept else {
                guard try store.replica.run(stub) != nil else {
                    throw Violation("I2", "\(stub.stream):\(stub.lastSeq) is kept nowhere")
                }
                return
            }
            do {
                _ = try store.admit([kept])
            } catch StoreError.invalid(let reason) where reason.contains("GAP") {
                throw NotAdmitted()
            }
        }
        return done != nil
    }

    /// What it depends on has not come, or went with the hub's past.
    struct NotAdmitted: Error {}
}
