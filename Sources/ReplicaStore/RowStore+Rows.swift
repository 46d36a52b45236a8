internal import Causality
internal import Merge
internal import RecordSchema
internal import SyncProtocol

/// Any row, whatever lives of it.
extension RowStore {
    /// All live ops of a row.
    ///
    /// - Parameter logged: gives a cell's value by its dot, for columns that another program may
    ///   have overwritten; by default the table is believed.
    func load(
        _ table: UInt32, _ row: RowID, _ clock: RowClock?,
        logged: ((UInt32, Dot) throws(StoreError) -> Value?)? = nil
    ) throws(StoreError) -> RowState {
        var state = RowState()
        guard let clock else { return state }
        if clock.hasExtras {
            try loadExtras(table, row, into: &state)
            try holdBeside(table, row, clock)
        }
        guard !clock.isHidden, let access = access(table) else { return state }
        var shown: [Value]?
        for (column, entry) in clock.shown {
            guard let place = access.place(of: column) else { continue }
            let dot = try dot(entry)
            let key = CellKey(column)
            var cell = state[key]
            guard !cell.contains(dot) else { continue }
            let value: Value
            if let kept = try logged?(column, dot) {
                value = kept
            } else {
                if shown == nil { shown = try access.values(row) }
                guard let shown else { throw damaged("row \(row) of \(access.table.name) is gone") }
                value = shown[place]
            }
            cell.apply(LiveOp(dot: dot, time: entry.time, action: .put(value)), over: [])
            state.set(key, cell)
        }
        return state
    }

    func loadExtras(
        _ table: UInt32, _ row: RowID, into state: inout RowState
    ) throws(StoreError) {
        besideSum = 0
        for isOpen in [Int64(0), 1] {
            let statement = try connection.statement(
                """
                SELECT col, elem, sid, seq, hlc, kind, val FROM sy_live
                WHERE open = ? AND tbl = ? AND id = ? ORDER BY col, elem, sid, seq
                """)
            defer { statement.reset() }
            statement.bind(1, isOpen)
            statement.bind(2, Int64(table))
            statement.bind(3, row.identifier)
            try readExtras(statement, table, row, into: &state)
        }
    }

    /// The ops that were read are those that the clock was written with: none came, went or changed.
    func holdBeside(
        _ table: UInt32, _ row: RowID, _ clock: RowClock
    ) throws(StoreError) {
        guard let sum = clock.beside, sum != besideSum else { return }
        throw damaged("the live ops of row \(row) of \(name(of: table))")
    }

    /// The sum over cells that lie beside a row.
    func sum(over cells: [RowState.Entry]) throws(StoreError) -> UInt32 {
        var sum: UInt32 = 0
        for cell in cells {
            for op in cell.cell.live {
                sum &+= ExtraOp.sum(
                    cell.key, try entry(op), kind: op.action.storedKind,
                    value: op.action.storedValue)
            }
        }
        return sum
    }

    private func readExtras(
        _ statement: Statement, _ table: UInt32, _ row: RowID, into state: inout RowState
    ) throws(StoreError) {
        // The open ones of a cell come after the others of it.
        func take(_ key: CellKey, _ ops: [LiveOp]) {
            state.set(key, Cell(state[key].live + ops))
        }
        var (last, ops): (CellKey?, [LiveOp]) = (nil, [])
        while try statement.step() {
            guard let column = UInt32(exactly: statement.integer(0)) else {
                throw damaged("a live op of row \(row) of \(name(of: table))")
            }
            let key = CellKey(column, element: statement.blob(1))
            if let last, last != key {
                take(last, ops)
                ops = []
            }
            last = key
            let sid = statement.integer(2)
            let (kind, value) = (statement.integer(5), statement.blob(6))
            guard let stream = streams.stream(sid: sid),
                let seq = UInt64(exactly: statement.integer(3)),
                let action = try? Action(storedKind: kind, value: value)
            else { throw damaged("a live op of row \(row) of \(name(of: table))") }
            let time = HybridTime(rawValue: UInt64(bitPattern: statement.integer(4)))
            besideSum &+= ExtraOp.sum(
                key, RowClock.Entry(sid: sid, seq: seq, time: time), kind: kind, value: value)
            ops.append(LiveOp(dot: Dot(stream, seq), time: time, action: action))
        }
        if let last { take(last, ops) }
    }

    /// Writes a row whole: what it shows, its clock, and the live ops beside.
    ///
    /// - Parameter old: the clock as it stands in the file.
    func store(
        _ table: UInt32, _ row: RowID, _ state: RowState, replacing old: RowClock?
    ) throws(StoreError) {
        let access = access(table)
        let life = LifeFold(state)
        var layout = RowLayout(hidden: life.isHidden, columns: access?.table.columns ?? [])
        for cell in state.cells {
            if cell.key == .life {
                layout.keep(cell, open: life.isConflict)
            } else if let access, let place = access.place(of: cell.key.column) {
                try fold(cell, access.table.columns[place], place, into: &layout)
            } else {
                layout.keep(cell, open: false)
            }
        }
        if let access, !life.isHidden {
            for (place, column) in access.table.columns.enumerated() {
                switch column.shape {
                case .set:
                    layout.values[place] = SetText.text(
                        of: AddWinsSet.elements(of: state, column: column.id))
                case .counter:
                    let counter = Counter(state[CellKey(column.id)])
                    if !counter.entries.isEmpty { layout.values[place] = .integer(counter.value) }
                case .register, .composite: continue
                }
            }
        }
        try writeExtras(table, row, layout, replacing: old)
        layout.clock.hasExtras = !layout.extras.isEmpty
        pack(&layout.clock, of: row, beside: besideSum)
        if let access, !life.isHidden {
            try access.write(row, layout.values, clock: clockBytes)
            guard try isAnyBeside() else { return }
            let statement = try connection.statement("DELETE FROM sy_row WHERE tbl = ? AND id = ?")
            statement.bind(1, Int64(table))
            statement.bind(2, row.identifier)
            try statement.step()
        } else {
            try access?.delete(row)
            let statement = try connection.statement(
                "INSERT OR REPLACE INTO sy_row VALUES(?, ?, ?)")
            statement.bind(1, Int64(table))
            statement.bind(2, row.identifier)
            statement.bind(3, blob: clockBytes)
            try statement.step()
            hasRowsBeside = true
        }
    }

    private func fold(
        _ entry: RowState.Entry, _ column: Column, _ place: Int, into layout: inout RowLayout
    ) throws(StoreError) {
        guard column.isRegister, entry.key.element.isEmpty, !layout.clock.isHidden else {
            return layout.keep(entry, open: false)
        }
        let fold = RegisterFold(entry.cell, policy: column.policy)
        if let shown = fold.shown {
            layout.clock.set(column.id, try self.entry(shown))
            let value = shown.action.value ?? .null
            layout.values[place] = column.keeps(value) ? value : nil
        }
        for op in entry.cell.live {
            if let extra = Self.extra(op, of: entry.key, fold, column) {
                layout.extras.append(extra)
            }
        }
    }

    /// What of a register lies beside its table: all but the value that is shown, if the table can
    /// hold that.
    private static func extra(
        _ op: LiveOp, of key: CellKey, _ fold: RegisterFold, _ column: Column
    ) -> ExtraOp? {
        if op.dot == fold.shown?.dot, case .put(let value) = op.action, column.keeps(value) {
            return nil
        }
        let isCandidate = fold.candidates.contains { $0.dot == op.dot }
        return ExtraOp(key: key, op: op, isOpen: fold.isConflict && isCandidate)
    }

    // MARK: Some cells of a row

    /// Puts a register of a row that its table shows into ``update``.
    func fold(
        _ key: CellKey, _ cell: Cell, _ access: TableAccess
    ) throws(StoreError) {
        guard let place = access.place(of: key.column) else { return }
        update.keys.append(key)
        if cell.live.count == 1, case .put(let value) = cell.live[0].action,
            access.keeps(value, at: place)
        {
            update.shown.append((key.column, try entry(cell.live[0])))
            update.values.append((key.column, value))
            return
        }
        let column = access.table.columns[place]
        let fold = RegisterFold(cell, policy: column.policy)
        if let shown = fold.shown {
            let entry = try entry(shown)
            update.shown.append((key.column, entry))
            let value = shown.action.value ?? .null
            update.values.append((key.column, column.keeps(value) ? value : .null))
        }
        for op in cell.live {
            if let extra = Self.extra(op, of: key, fold, column) { update.extras.append(extra) }
        }
    }

    /// Writes ``update``, and the clock as it then is; ``scratch`` holds the one in the file.
    func writeUpdate(_ access: TableAccess, _ row: RowID) throws(StoreError) {
        // What is shown as before need not be written again.
        for (column, entry) in update.shown {
            if scratch[column] == entry {
                update.values.removeAll { $0.column == column }
            } else {
                scratch.set(column, entry)
            }
        }
        if update.hadExtras {
            let statement = try connection.statement(
                "DELETE FROM sy_live WHERE open IN (0, 1) AND tbl = ? AND id = ? AND col = ?")
            for key in update.keys {
                statement.bind(1, Int64(access.table.id))
                statement.bind(2, row.identifier)
                statement.bind(3, Int64(key.column))
                try statement.step()
            }
        }
        besideSum = update.othersSum
        for extra in update.extras { try write(access.table.id, row, extra) }
        scratch.hasExtras = update.hasOthers || !update.extras.isEmpty
        pack(&scratch, of: row, beside: besideSum)
        try access.update(row, update.values, clock: clockBytes)
    }

    private func writeExtras(
        _ table: UInt32, _ row: RowID, _ layout: RowLayout, replacing old: RowClock?
    ) throws(StoreError) {
        if old?.hasExtras == true {
            let statement = try connection.statement(
                "DELETE FROM sy_live WHERE open IN (0, 1) AND tbl = ? AND id = ?")
            statement.bind(1, Int64(table))
            statement.bind(2, row.identifier)
            try statement.step()
        }
        besideSum = 0
        for extra in layout.extras { try write(table, row, extra) }
    }

    private func write(
        _ table: UInt32, _ row: RowID, _ extra: ExtraOp
    ) throws(StoreError) {
        try write(
            table, row, extra.key, try entry(extra.op), isOpen: extra.isOpen,
            kind: extra.op.action.storedKind, extra.op.action.storedValue)
    }

    /// Takes out all that there is of a row: nothing of the log says anything of it.
    func remove(_ table: UInt32, _ row: RowID) throws(StoreError) {
        try access(table)?.delete(row)
        for beside in ["sy_row", "sy_live"] {
            try connection.run(
                "DELETE FROM \(beside) WHERE tbl = ? AND id = ?", .integer(Int64(table)),
                .blob(row.identifier.bytes))
        }
        forget()
    }

    /// Writes the puts that an exchange left beside the table.
    func write(
        _ table: UInt32, _ row: RowID, _ puts: [ExchangedRow.Beside]
    ) throws(StoreError) {
        for put in puts {
            try write(
                table, row, CellKey(put.column), put.entry, isOpen: put.isOpen, kind: 0, put.value)
        }
    }

    private func write(
        _ table: UInt32, _ row: RowID, _ key: CellKey, _ entry: RowClock.Entry, isOpen: Bool,
        kind: Int64, _ value: [UInt8]
    ) throws(StoreError) {
        if writingLive == nil {
            writingLive = try connection.prepare(
                "INSERT INTO sy_live VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")
        }
        guard let statement = writingLive else { return }
        besideSum &+= ExtraOp.sum(key, entry, kind: kind, value: value)
        statement.bind(1, isOpen ? 1 : 0)
        statement.bind(2, Int64(table))
        statement.bind(3, row.identifier)
        statement.bind(4, Int64(key.column))
        statement.bind(5, blob: key.element)
        statement.bind(6, entry.sid)
        statement.bind(7, Int64(entry.seq))
        statement.bind(8, Int64(bitPattern: entry.time.rawValue))
        statement.bind(9, kind)
        statement.bind(10, blob: value)
        try statement.step()
    }
}

/// A live op that lies in `sy_live`.
struct ExtraOp {
    var key: CellKey
    var op: LiveOp
    /// Whether it is one of several values of which a person must choose.
    var isOpen: Bool

    /// Its part of the sum that the row's clock holds; whether it is open is left out.
    static func sum(
        _ key: CellKey, _ entry: RowClock.Entry, kind: Int64, value: [UInt8]
    ) -> UInt32 {
        var sum = Checksum()
        sum.add(UInt64(key.column))
        sum.add(UInt64(bitPattern: entry.sid))
        sum.add(entry.seq)
        sum.add(entry.time.rawValue)
        sum.add(UInt64(bitPattern: kind))
        sum.add(key.element)
        sum.add(value)
        return sum.word
    }
}

/// What changes in some registers of a row that its table shows.
struct CellUpdate {
    /// Whether anything of the row lay in `sy_live`.
    private(set) var hadExtras = false
    /// Whether anything of its other cells does, and the sum over that.
    var hasOthers = false
    var othersSum: UInt32 = 0
    var keys: [CellKey] = []
    var shown: [(column: UInt32, entry: RowClock.Entry)] = []
    var values: [(column: UInt32, value: Value)] = []
    var extras: [ExtraOp] = []

    /// Forgets the row before, and keeps its buffers.
    mutating func start(hadExtras: Bool) {
        self.hadExtras = hadExtras
        hasOthers = false
        othersSum = 0
        keys.removeAll(keepingCapacity: true)
        shown.removeAll(keepingCapacity: true)
        values.removeAll(keepingCapacity: true)
        extras.removeAll(keepingCapacity: true)
    }
}

/// Where the parts of a row go.
private struct RowLayout {
    var clock = RowClock()
    /// By place.
    var values: [Value?]
    var extras: [ExtraOp] = []

    init(hidden: Bool, columns: [Column]) {
        clock.isHidden = hidden
        values = columns.map { _ in nil }
    }

    mutating func keep(_ entry: RowState.Entry, open: Bool) {
        for op in entry.cell.live {
            var isOpen = false
            if open, case .delete = op.action { isOpen = true }
            extras.append(ExtraOp(key: entry.key, op: op, isOpen: isOpen))
        }
    }
}
