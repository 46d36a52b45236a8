internal import Causality
internal import Merge
internal import RecordSchema
internal import SyncProtocol

extension RowStore {
    /// Takes the ops of one changeset on one row into the state.
    func apply(
        _ change: RowChange, dot: Dot, sid: Int64, time: HybridTime
    ) throws(StoreError) {
        let entry = RowClock.Entry(sid: sid, seq: dot.seq, time: time)
        let access = access(change.table)
        if change.isNew, let access, let values = plainRow(change, access),
            try insert(access, change.row, values, entry)
        {
            return
        }
        let clock = try clock(change.table, change.row)
        if let access {
            if let clock {
                if let cells = try plainCells(change, access, clock) {
                    return try update(access, change.row, clock, cells, entry)
                }
            } else if let values = plainRow(change, access),
                try insert(access, change.row, values, entry)
            {
                return
            }
        }
        var state = try load(change.table, change.row, clock)
        for operation in change.operations {
            state.apply(operation, dot: dot, time: time)
        }
        try store(change.table, change.row, state, replacing: clock)
    }

    /// The values by place, when the change is nothing but puts that the table can hold.
    private func plainRow(_ change: RowChange, _ access: TableAccess) -> [Value?]? {
        var values = [Value?](repeating: nil, count: access.table.columns.count)
        for operation in change.operations {
            guard case .put(let value) = operation.action, operation.cell.element.isEmpty,
                let place = access.place(of: operation.cell.column),
                access.table.columns[place].keeps(value)
            else { return nil }
            values[place] = value
        }
        return values
    }

    /// The cells to write, when each op is a put that replaces all that lives in its cell.
    private func plainCells(
        _ change: RowChange, _ access: TableAccess, _ clock: RowClock
    ) throws(StoreError) -> [(column: UInt32, value: Value)]? {
        guard !clock.hasExtras else { return nil }
        var cells: [(column: UInt32, value: Value)] = []
        cells.reserveCapacity(change.operations.count)
        for operation in change.operations {
            let column = operation.cell.column
            guard case .put(let value) = operation.action, operation.cell.element.isEmpty,
                let place = access.place(of: column), access.table.columns[place].keeps(value)
            else { return nil }
            if let shown = clock[column] {
                guard operation.over.contains(try dot(shown)) else { return nil }
            }
            cells.append((column, value))
        }
        return cells
    }
}
