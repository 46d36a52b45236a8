internal import Causality
public import RecordSchema
public import ReplicaStore
internal import SyncProtocol

/// A change that this laptop made, and what became of it.
public struct OwnChange: Sendable {
    public var provenance: Provenance
    public var delivery: Delivery
    /// The list that it was imported from; empty for what someone recorded.
    public var source: String
    /// The records that it wrote to, beside those that are looked at.
    public var otherCount: Int
    /// What it did, record by record: of an import the first few.
    public var records: [(table: Table, name: String, entries: [HistoryEntry])]
}

extension Records {
    /// The records of one change that are looked at: each takes a look at the whole log.
    private static let recordsLookedAt = 8

    /// The changes that this laptop made last, the last one first: on their way or there, and who has replaced
    /// what they said.
    public func ownChanges(limit: Int) throws -> [OwnChange] {
        try replica.read {
            try replica.ownChanges(limit: limit).map { changeset, delivery in
                var rows: [(table: Table, name: String, entries: [HistoryEntry])] = []
                var seen: Set<RowID> = []
                for change in changeset.rows where seen.insert(change.row).inserted {
                    guard seen.count <= Self.recordsLookedAt else { continue }
                    guard let table = replica.schema.table(id: change.table) else { continue }
                    let reader = HistoryReader(
                        self, table, try replica.history(of: change.row, in: table.id))
                    let entries = try reader.entries.filter { $0.provenance.dot == changeset.dot }
                    let (kind, name) = try subject(table, change.row)
                    rows.append((table, "\(kind) \(name)", entries))
                }
                return OwnChange(
                    provenance: try provenance(of: changeset), delivery: delivery,
                    source: changeset.source,
                    otherCount: max(0, seen.count - Self.recordsLookedAt), records: rows)
            }
        }
    }
}
