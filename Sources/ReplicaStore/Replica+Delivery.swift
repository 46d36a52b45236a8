internal import Causality
internal import RecordSchema
public import SyncProtocol

/// What became of a change that this laptop made, on its way to everybody.
public enum Delivery: Hashable, Sendable {
    /// The hub doesn't have it yet.
    case queued
    /// The hub said that it has it.
    case received
    /// It counts nowhere: kept aside, and why.
    case aside(String)
}

extension Replica {
    /// The changesets that this device made last, in any life of its file and any scope, the last one first.
    public func ownChanges(
        limit: Int
    ) throws(StoreError) -> [(changeset: Changeset, delivery: Delivery)] {
        try read { () throws(StoreError) in
            var found: [(changeset: Changeset, delivery: Delivery)] = []
            let heads = try peerHeads()
            for record in rows.streams.sorted where record.publicKey == own.publicKey {
                let end = try cuts(of: own.device).compactMap { $0.ends(of: record.origin)?.max() }
                    .map(\.lastSeq).min()
                let has = heads[record.sid]?.has ?? record.base
                let first = record.head > UInt64(limit) ? record.head - UInt64(limit) : 0
                for seq in first..<max(first, record.head) {
                    guard let changeset = try changeset(Dot(record.stream, seq + 1)) else {
                        continue
                    }
                    let delivery: Delivery =
                        if let end, changeset.dot.seq > end {
                            .aside(try refusal(of: record.origin).explanation)
                        } else {
                            changeset.dot.seq <= has ? .received : .queued
                        }
                    found.append((changeset, delivery))
                }
            }
            return Array(found.sorted { $0.changeset.time > $1.changeset.time }.prefix(limit))
        }
    }
}
