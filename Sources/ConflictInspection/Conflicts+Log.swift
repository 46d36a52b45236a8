internal import Causality
internal import FieldRecords
internal import Merge
internal import RecordSchema
public import Recording
internal import ReplicaStore
internal import SyncProtocol

/// A decision that someone made, as the changesets tell it.
public struct DecisionEntry: Sendable {
    public var provenance: Provenance
    /// `visit V12/KZ actual_arrival`.
    public var subjectText: String
    /// `resolved` or `taken back`.
    public var what: String
    /// What it shows, as people read it.
    public var text: String
    public var reason: String
}

extension Conflicts {
    /// Every decision, oldest first. Derived from the changesets, so that it is the same on every
    /// replica, whatever passed through it.
    public func log() throws -> [DecisionEntry] {
        var entries: [(HybridTime, Dot, DecisionEntry)] = []
        try replica.read {
            try replica.forEachChangeset { changeset, _ in
                for row in changeset.rows {
                    for operation in row.operations {
                        guard let entry = try entry(operation, row, changeset) else { continue }
                        entries.append((changeset.time, changeset.dot, entry))
                    }
                }
            }
        }
        return entries.sorted { ($0.0, $0.1) < ($1.0, $1.1) }.map(\.2)
    }

    private func entry(
        _ operation: Operation, _ row: RowChange, _ changeset: Changeset
    ) throws -> DecisionEntry? {
        let isDecision: Bool
        switch operation.action {
        case .resolve: isDecision = true
        case .retract: isDecision = operation.cell != .life && operation.cell.element.isEmpty
        case .put, .delete: isDecision = false
        }
        guard isDecision, let table = replica.schema.table(id: row.table) else { return nil }
        let column = table.column(id: operation.cell.column)
        guard let provenance = try records.provenance(of: changeset.dot) else { return nil }
        let subject = ConflictSubject(table: table, row: row.row, column: column)
        let value = operation.action.value
        return DecisionEntry(
            provenance: provenance,
            subjectText: subject.text(rowName: try records.name(of: row.row, in: table)),
            what: value == nil ? "taken back" : "resolved",
            text: try column.flatMap { column in
                try value.map { try records.text(of: $0, in: column) }
            } ?? "",
            reason: reason(in: changeset))
    }

    /// The reason stands in the same changeset.
    private func reason(in changeset: Changeset) -> String {
        let column = Forum.resolution.column(named: "reason")?.id
        for row in changeset.rows where row.table == Forum.resolution.id {
            for operation in row.operations where operation.cell.column == column {
                if case .text(let text)? = operation.action.value { return text }
            }
        }
        return ""
    }
}
