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
            if change.isNew || change.operations.allSatisfy({ $0.over.isEmpty }),
                plainRow(change, access), try insert(access, change.row, values, entry)
            {
                return
            }
            if try applyToShown(access, change, entry, dot) { return }
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

    /// Takes puts and decisions into the registers of a row that its table shows: only the cells
    /// that they name are read and written. `false` for anything else; then nothing was written.
    private func applyToShown(
        _ access: TableAccess, _ change: RowChange, _ entry: RowClock.Entry, _ dot: Dot
    ) throws(StoreError) -> Bool {
        guard change.operations.allSatisfy({ Self.leavesRowShown($0, in: access) }),
            let statement = try access.find(change.row)
        else { return false }
        guard try access.readClock(of: statement, change.row, into: &scratch) else {
            statement.reset()
            return false
        }
        var beside = RowState()
        let concurrent = try shown(access, change, of: statement)
        if scratch.hasExtras {
            try loadExtras(access.table.id, change.row, into: &beside)
            guard beside[.life].isEmpty else { return false }
        }
        update.start(hadExtras: scratch.hasExtras)
        for (operation, current) in zip(change.operations, concurrent) {
            var cell = scratch.hasExtras ? beside[operation.cell] : Cell()
            beside.set(operation.cell, Cell())
            if let current, !cell.contains(current.dot) { cell.apply(current, over: []) }
            cell.apply(
                LiveOp(dot: dot, time: entry.time, action: operation.action), over: operation.over)
            try fold(operation.cell, cell, access)
        }
        update.hasOthers = !beside.cells.isEmpty
        try writeUpdate(access, change.row)
        return true
    }

    /// For each op what its cell shows, as far as the op does not replace it. Ends the statement.
    private func shown(
        _ access: TableAccess, _ change: RowChange, of statement: Statement
    ) throws(StoreError) -> [LiveOp?] {
        defer { statement.reset() }
        var result: [LiveOp?] = []
        result.reserveCapacity(change.operations.count)
        for operation in change.operations {
            guard let current = scratch[operation.cell.column],
                let place = access.place(of: operation.cell.column)
            else {
                result.append(nil)
                continue
            }
            let dot = try self.dot(current)
            result.append(
                operation.over.contains(dot)
                    ? nil
                    : LiveOp(
                        dot: dot, time: current.time,
                        action: .put(access.value(at: place, of: statement))))
        }
        return result
    }

    /// Whether the op is one after which something lives in its cell, a declared register.
    private static func leavesRowShown(_ operation: Operation, in access: TableAccess) -> Bool {
        switch operation.action {
        case .put, .resolve:
            guard operation.cell.element.isEmpty,
                let place = access.place(of: operation.cell.column)
            else { return false }
            return access.traits[place].isRegister
        case .retract, .delete: return false
        }
    }
}
