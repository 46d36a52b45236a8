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
        guard laptops.count - revoked.count > 2, !revoked.contains(laptop.number) else {
            return "stays"
        }
        let span = Int64(random.below(3_600_000))
        let isLate = random.chance(1, in: 2)
        let device = laptop.replica.device
        // After a failed sync nobody knows: an operator does it once more.
        for _ in 0..<10 where try !hub.revoke(device, span: isLate ? span : nil) {}
        count("fault: laptop lost")
        revoked.insert(laptop.number)
        return isLate ? "is revoked from \(span) ms ago on" : "is revoked"
    }

    /// Those whose work must be everywhere in the end.
    var members: [Laptop] { laptops.filter { !revoked.contains($0.number) } }

    /// Whether a stream is one of a laptop that was lost.
    func isOfRevoked(_ stream: StreamID) -> Bool {
        laptops.contains { revoked.contains($0.number) && $0.replica.stream == stream }
    }

    /// What a laptop keeps aside is of those that were lost.
    func checkAside(_ replica: Replica, _ name: String) throws {
        for kept in try replica.quarantinedRuns() where !isOfRevoked(kept.run.header.stream) {
            throw Violation("I4", "\(name) put an honest run aside: \(kept.reason)")
        }
    }
}

extension SimulatedHub {
    /// - Parameter span: milliseconds up to now that don't count.
    /// - Returns: whether the operator was told that it is done.
    func revoke(_ device: DeviceID, span: Int64?) throws -> Bool {
        let done: Void? = try perform { store in
            guard let known = try store.devices().first(where: { $0.device == "\(device)" }) else {
                throw Violation("error", "the hub doesn't know \(device)")
            }
            let now = store.replica.environment.wallMilliseconds()
            let limit = span.map { now.subtractingReportingOverflow($0).partialValue }
            _ = try store.revoke(known, receivedBy: limit, note: "lost")
        }
        return done != nil
    }
}
