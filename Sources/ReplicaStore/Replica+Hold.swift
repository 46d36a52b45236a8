public import Causality
internal import Merge
public import RecordSchema
internal import SyncProtocol

/// SQLite keeps no checks over what its pages hold. So what a changeset takes from a table is held
/// against the log first: runs are hashed and signed, pieces of the tail have sums.
///
/// Dots need no log: the clocks of a row and the ops beside it have checks of their own, which hold
/// whenever they are read; see ``RowClock``.
extension Replica {
    /// Holds the live ops of one cell against the log.
    ///
    /// - Parameter open: the changeset under way, which is in no log yet.
    func hold(
        _ cell: Cell, at key: CellKey, _ table: UInt32, _ row: RowID, open: Dot?
    ) throws(StoreError) {
        for op in cell.live where op.dot != open {
            let logged = try operation(op.dot, table: table, row: row, cell: key)
            guard logged?.action == op.action else { throw damaged(table, row) }
        }
    }

    /// Holds a value that a plain cell shows against the log.
    func hold(
        _ value: Value, shownBy dot: Dot, _ column: UInt32, _ table: UInt32, _ row: RowID
    ) throws(StoreError) {
        let logged = try operation(dot, table: table, row: row, cell: CellKey(column))
        guard logged?.action.value == value else { throw damaged(table, row) }
    }

    func damaged(_ table: UInt32, _ row: RowID) -> StoreError {
        rows.damaged("row \(row) of \(rows.name(of: table)) is not what the log says")
    }

    /// Holds what a row shows against the log, before it is copied into another record.
    ///
    /// - Parameter columns: which of its columns; all of them by default.
    /// - Throws: ``StoreError/damaged(path:detail:)`` when the log says otherwise, or knows no such
    ///   row.
    public func holdAgainstLog(
        _ table: Table, _ row: RowID, _ columns: [Column]? = nil
    ) throws(StoreError) {
        try read { () throws(StoreError) in
            let state = try rows.load(table.id, row, try rows.clock(table.id, row))
            guard !state.cells.isEmpty else { throw damaged(table.id, row) }
            for column in columns ?? table.columns {
                let key = CellKey(column.id)
                try hold(state[key], at: key, table.id, row, open: nil)
            }
        }
    }
}
