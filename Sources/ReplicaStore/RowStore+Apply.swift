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
        if let access {
            if change.isNew || change.operations.allSatisfy(\.over.isEmpty),
                plainRow(change, access), try insert(access, change.row, values, entry)
            {
                return
            }
            if try updatePlainly(access, change, entry) { return }
        }
        let clock = try clock(change.table, change.row)
        var state = try load(change.table, change.row, clock)
        for operation in change.operations {
            state.apply(operation, dot: dot, time: time)
        }
        try store(change.table, change.row, state, replacing: clock)
    }

    /// Fills `values`, when the change is nothing but puts that the table can hold.
    private func plainRow(_ change: RowChange, _ access: TableAccess) -> Bool {
        values.removeAll(keepingCapacity: true)
        for _ in access.traits.indices { values.append(nil) }
        for operation in change.operations {
            guard case .put(let value) = operation.action, operation.cell.element.isEmpty,
                let place = access.place(of: operation.cell.column),
                access.keeps(value, at: place)
            else { return false }
            values[place] = value
        }
        return true
    }

    /// Writes the cells of a row that its table shows, when each op is a put that replaces all that
    /// lives in its cell.
    private func updatePlainly(
        _ access: TableAccess, _ change: RowChange, _ entry: RowClock.Entry
    ) throws(StoreError) -> Bool {
        guard let statement = try access.find(change.row) else { return false }
        let hasClock = try access.readClock(of: statement, change.row, into: &scratch)
        statement.reset()
        guard hasClock, !scratch.hasExtras else { return false }
        var cells: [(column: UInt32, value: Value)] = []
        cells.reserveCapacity(change.operations.count)
        for operation in change.operations {
            let column = operation.cell.column
            guard case .put(let value) = operation.action, operation.cell.element.isEmpty,
                let place = access.place(of: column), access.keeps(value, at: place)
            else { return false }
            if let shown = scratch[column] {
                guard operation.over.contains(try dot(shown)) else { return false }
            }
            cells.append((column, value))
        }
        try update(access, change.row, &scratch, cells, entry)
        return true
    }
}
