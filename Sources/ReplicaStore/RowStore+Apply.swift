internal import Causality
internal import Merge
internal import RecordSchema
internal import SyncProtocol

/// A run that the log has, and whose changes are to become part of the state.
final class AcceptedRun {
    fileprivate let changes: RunChanges
    /// Places in `changes`, those of one row in their order; `nil` for as they lie.
    private let order: [UInt32]?
    fileprivate let sid: Int64
    private let skippedCount: Int
    /// Its stream was ended, behind it by now.
    let isEnded: Bool
    /// What was taken before names it all the same.
    let isLate: Bool

    /// - Parameters:
    ///   - sid: its stream.
    ///   - skippedCount: so many changesets that are part of the state already.
    init(_ contents: RunContents, sid: Int64, skippedCount: Int, isEnded: Bool, isLate: Bool) {
        (changes, order) = (contents.changes, contents.order)
        (self.sid, self.skippedCount) = (sid, skippedCount)
        (self.isEnded, self.isLate) = (isEnded, isLate)
    }

    /// The rows that it changes.
    var keys: [LogReplay.Key] {
        changes.changes.map { LogReplay.Key(table: $0.table, row: $0.row) }
    }

    var changeCount: Int { changes.changes.count }

    /// The places of the changes that are new, those of one row in their order.
    func forEachPlace<E: Error>(_ body: (Int) throws(E) -> Void) throws(E) {
        for index in changes.changes.indices {
            let place = order.map { Int($0[index]) } ?? index
            if changes.changes[place].changeset >= skippedCount { try body(place) }
        }
    }
}

extension RowStore {
    /// Where a change of one of several runs lies, by its row; those of one row in their order.
    private struct Place: Comparable {
        var table: UInt32
        var run: UInt32
        var row: RowID
        var index: UInt32

        static func < (a: Self, b: Self) -> Bool {
            if a.table != b.table { return a.table < b.table }
            if a.row != b.row { return a.row < b.row }
            return a.run != b.run ? a.run < b.run : a.index < b.index
        }
    }

    /// Takes the changes of runs into the state, row by row: what becomes of a row depends on nothing
    /// beside it, and neighbours lie in the same pages.
    ///
    /// - Parameter runs: each behind those that it depends on.
    func apply(_ runs: [AcceptedRun]) throws(StoreError) {
        guard !runs.isEmpty else { return }
        let exchange = try exchange()
        exchange.row.forget()
        expectsLosses = false
        guard runs.count > 1 else {
            return try runs[0].forEachPlace { place throws(StoreError) in
                try apply(place, of: runs[0], exchange)
            }
        }
        var places: [Place] = []
        places.reserveCapacity(runs.reduce(0) { $0 + $1.changeCount })
        for (number, run) in runs.enumerated() {
            run.forEachPlace { place in
                let change = run.changes.changes[place]
                places.append(
                    Place(
                        table: change.table, run: UInt32(number), row: change.row,
                        index: UInt32(place)))
            }
        }
        // It finds the pieces that are in order, one for each run, and merges them.
        places.sort()
        for place in places {
            try apply(Int(place.index), of: runs[Int(place.run)], exchange)
        }
    }

    private func apply(
        _ place: Int, of run: AcceptedRun, _ exchange: RowExchange
    ) throws(StoreError) {
        try run.changes.bytes.withUnsafeBufferPointer { bytes throws(StoreError) in
            try apply(
                place, of: run.changes, UnsafeRawBufferPointer(bytes), sid: run.sid, exchange)
        }
    }

    private func apply(
        _ place: Int, of changes: RunChanges, _ body: UnsafeRawBufferPointer, sid: Int64,
        _ exchange: RowExchange
    ) throws(StoreError) {
        let change = changes.changes[place]
        let entry = RowClock.Entry(
            sid: sid, seq: changes.heads[change.changeset].dot.seq,
            time: changes.heads[change.changeset].time)
        if let access = access(change.table), arePlain(change, of: changes, access) {
            let isFirst =
                change.isNew || change.operations.allSatisfy { changes.ops[$0].overCount == 0 }
            if isFirst, try insert(access, change, of: changes, body, entry) { return }
            if change.operations.count <= RowExchange.cellLimit,
                try put(change, of: changes, body, access, exchange, entry)
            {
                return
            }
        }
        try apply(changes.rowChange(change), changes.heads[change.changeset].dot, entry)
    }

    /// Whether a change is nothing but puts that the table can hold, by ascending columns.
    private func arePlain(
        _ change: RunChanges.Change, of changes: RunChanges, _ access: TableAccess
    ) -> Bool {
        var last: UInt32 = 0
        for index in change.operations {
            let op = changes.ops[index]
            guard op.column > last, let place = access.place(of: op.column),
                access.keeps(op, of: changes, at: place)
            else { return false }
            last = op.column
        }
        return last > 0
    }

    /// Puts plain values into a row that its table shows and of which nothing lies beside.
    private func put(
        _ change: RunChanges.Change, of changes: RunChanges, _ body: UnsafeRawBufferPointer,
        _ access: TableAccess, _ exchange: RowExchange, _ entry: RowClock.Entry
    ) throws(StoreError) -> Bool {
        while true {
            Self.start(&exchange.row, change, of: changes, access, entry, isChoosing: expectsLosses)
            let statement = try access.exchange(
                exchange.row.cells, isChoosing: expectsLosses)
            for (place, index) in change.operations.enumerated() {
                statement.bind(Int32(place + 1), changes.ops[index], of: changes, body)
            }
            try access.run(statement, exchange, change.row)
            guard exchange.row.verdict == .lost, !expectsLosses else { break }
            // Where one has lost, most of the run do.
            expectsLosses = true
        }
        guard exchange.row.verdict == .written else { return false }
        if !exchange.row.beside.isEmpty {
            try write(access.table.id, change.row, exchange.row.beside)
        }
        return true
    }

    private static func start(
        _ row: inout ExchangedRow, _ change: RunChanges.Change, of changes: RunChanges,
        _ access: TableAccess, _ entry: RowClock.Entry, isChoosing: Bool
    ) {
        row.start(applied: entry, isChoosing: isChoosing)
        for index in change.operations {
            let op = changes.ops[index]
            var cell = ExchangedRow.Cell(column: op.column)
            cell.isLatest = access.place(of: op.column).map { access.traits[$0].isLatest } ?? false
            if op.overCount > 0 { cell.over = changes.over(op).first }
            if op.overCount > 1 { cell.furtherOver = Array(changes.over(op).dropFirst()) }
            row.cells.append(cell)
        }
    }

    /// Takes the ops of one changeset on one row into the state, whatever they are.
    private func apply(
        _ change: RowChange, _ dot: Dot, _ entry: RowClock.Entry
    ) throws(StoreError) {
        if let access = access(change.table) {
            if change.isNew || change.operations.allSatisfy({ $0.over.isEmpty }),
                let values = Self.plainValues(change, access),
                try insert(access, change.row, values, entry)
            {
                return
            }
            if try applyToShown(access, change, entry, dot) { return }
        }
        let clock = try clock(change.table, change.row)
        var state = try load(change.table, change.row, clock)
        for operation in change.operations {
            state.apply(operation, dot: dot, time: entry.time)
        }
        try store(change.table, change.row, state, replacing: clock)
    }

    /// The values by place, when the change is nothing but puts that the table can hold.
    private static func plainValues(_ change: RowChange, _ access: TableAccess) -> [Value?]? {
        var values = [Value?](repeating: nil, count: access.traits.count)
        for operation in change.operations {
            guard case .put(let value) = operation.action, operation.cell.element.isEmpty,
                let place = access.place(of: operation.cell.column),
                access.keeps(value, at: place)
            else { return nil }
            values[place] = value
        }
        return values
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
            try holdBeside(access.table.id, change.row, scratch)
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
        update.othersSum = try sum(over: beside.cells)
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
