internal import Causality
public import RecordSchema
public import ReplicaStore
internal import SyncProtocol

/// A change that this laptop made, and what became of it.
public struct OwnChange: Sendable {
    public var provenance: Provenance
    public var delivery: Delivery
    /// What it did, record by record.
    public var records: [(table: Table, name: String, entries: [HistoryEntry])]
}

extension Records {
    /// The changes that this laptop made last, the last one first: on their way or there, and who has replaced
    /// what they said.
    public func ownChanges(limit: Int) throws -> [OwnChange] {
        try replica.read {
            try replica.ownChanges(limit: limit).map { changeset, delivery in
                var rows: [(table: Table, name: String, entries: [HistoryEntry])] = []
                var seen: Set<RowID> = []
                for change in changeset.rows where seen.insert(change.row).inserted {
                    guard let table = replica.schema.table(id: change.table) else { continue }
                    let reader = HistoryReader(
                        self, table, try replica.history(of: change.row, in: table.id))
                    let entries = try reader.entries.filter { $0.provenance.dot == changeset.dot }
                    let (kind, name) = try subject(table, change.row)
                    rows.append((table, "\(kind) \(name)", entries))
                }
                return OwnChange(
                    provenance: try provenance(of: changeset), delivery: delivery, records: rows)
            }
        }
    }
}
