internal import Causality
internal import FieldRecords
internal import Merge
internal import RecordSchema
internal import Recording
internal import ReplicaStore
internal import SyncProtocol

/// What a decision had changed in records is put back, as far as it stands alone.
extension Conflicts {
    /// - Returns: what was put back, and what stays because someone has changed it since.
    func reverse(
        _ decision: Dot, in transaction: WriteTransaction
    ) throws -> (reversed: [String], kept: [String]) {
        var (reversed, kept): ([String], [String]) = ([], [])
        for change in try changes(of: decision) {
            guard let table = replica.schema.table(id: change.row.table),
                table != Forum.ruling, table != Forum.resolution
            else { continue }
            let (kind, name) = try records.subject(table, change.row.row)
            if change.row.isNew {
                let isReversed = try remove(table, change, in: transaction)
                if isReversed {
                    reversed.append("\(kind) \(name)")
                } else {
                    kept.append("\(kind) \(name)")
                }
                continue
            }
            for operation in change.row.operations {
                let text = [
                    kind, name, table.column(id: operation.cell.column)?.name,
                ].compactMap { $0 }.joined(separator: " ")
                if try putBack(operation, table, change, in: transaction) {
                    reversed.append(text)
                } else {
                    kept.append(text)
                }
            }
        }
        return (reversed, kept)
    }

    private struct Change {
        var dot: Dot
        var row: RowChange
    }

    /// The rows of the decision's changeset, and of the others of the same action.
    private func changes(of decision: Dot) throws -> [Change] {
        guard let changeset = try replica.changeset(decision) else { return [] }
        guard let action = changeset.action else {
            return changeset.rows.map { Change(dot: decision, row: $0) }
        }
        var changes: [Change] = []
        try replica.forEachChangeset { other, _ in
            guard other.action == action, other.dot.stream == decision.stream else { return }
            changes += other.rows.map { Change(dot: other.dot, row: $0) }
        }
        return changes
    }

    /// Takes away a row that the decision made, unless someone has written to it since.
    private func remove(
        _ table: Table, _ change: Change, in transaction: WriteTransaction
    ) throws -> Bool {
        let state = try replica.state(table.id, change.row.row)
        guard state.cells.flatMap(\.cell.live).allSatisfy({ $0.dot == change.dot }) else {
            return false
        }
        return try transaction.delete(table, change.row.row)
    }

    private func putBack(
        _ operation: Operation, _ table: Table, _ change: Change, in transaction: WriteTransaction
    ) throws -> Bool {
        let (key, row) = (operation.cell, change.row.row)
        let state = try replica.state(table.id, row)
        guard state[key].live.map(\.dot) == [change.dot] else { return false }
        switch operation.action {
        case .delete: return try transaction.restore(table, row)
        case .retract where key == .life: return try transaction.delete(table, row)
        case .put:
            guard let column = table.column(id: key.column), column.isRegister else { return false }
            var before: (time: HybridTime, dot: Dot, value: Value)?
            for dot in operation.over {
                guard let changeset = try replica.changeset(dot),
                    let value = try replica.operation(dot, table: table.id, row: row, cell: key)?
                        .action.value
                else { continue }
                if let before, (before.time, before.dot) > (changeset.time, dot) { continue }
                before = (changeset.time, dot, value)
            }
            return try transaction.set(table, row, [(column, before?.value ?? .null)])
        case .resolve, .retract: return false
        }
    }
}
