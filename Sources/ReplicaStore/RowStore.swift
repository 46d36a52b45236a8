internal import Causality
internal import Merge
internal import RecordSchema
internal import SyncProtocol

/// Reads and writes the rows of a file: the users' tables, the packed clocks and the live ops
/// beside them. It knows the merge and nothing of streams as logs.
final class RowStore {
    let connection: Connection
    let schema: Schema
    private var accesses: [UInt32: TableAccess] = [:]
    private var lastAccess: TableAccess?
    var streams = StreamTable()
    var clockBytes: [UInt8] = []
    /// What ``clockBytes`` holds, when it is the clock of a row of one entry.
    private var packedEntry: (entry: RowClock.Entry, columnCount: Int)?
    // Buffers that are used again from row to row.
    var scratch = RowClock()
    var update = CellUpdate()
    /// The sum over the live ops beside a row, as they are read or written.
    var besideSum: UInt32 = 0
    /// Whether `sy_row` holds any row; `nil` when that has to be looked up again.
    var hasRowsBeside: Bool?

    private var exchanging: RowExchange?
    /// Whether values of the run that is taken in have lost to what was there.
    var expectsLosses = false
    var writingLive: Statement?

    init(_ connection: Connection, schema: Schema) {
        self.connection = connection
        self.schema = schema
    }

    /// What changes rows in one search.
    func exchange() throws(StoreError) -> RowExchange {
        if let exchanging { return exchanging }
        let exchange = RowExchange(self)
        try exchange.register(on: connection)
        exchanging = exchange
        return exchange
    }

    /// The access to a declared table; `nil` for one that this schema doesn't know.
    func access(_ table: UInt32) -> TableAccess? {
        if let lastAccess, lastAccess.table.id == table { return lastAccess }
        if let access = accesses[table] {
            lastAccess = access
            return access
        }
        guard let declared = schema.table(id: table) else { return nil }
        let access = TableAccess(declared, connection: connection)
        accesses[table] = access
        return access
    }

    /// Forgets what another process, or a transaction that was taken back, may have changed.
    func forget() {
        hasRowsBeside = nil
        exchanging?.row.forget()
    }

    /// The clock of a row; `nil` for a row of which nothing is known.
    func clock(_ table: UInt32, _ row: RowID) throws(StoreError) -> RowClock? {
        var clock = RowClock()
        if let access = access(table), let statement = try access.find(row) {
            let isRead = try access.readClock(of: statement, row, into: &clock)
            statement.reset()
            if isRead { return clock }
        }
        return try clockBeside(table, row)
    }

    /// The clock of a row that its table doesn't show, or without one.
    private func clockBeside(_ table: UInt32, _ row: RowID) throws(StoreError) -> RowClock? {
        guard try isAnyBeside() else { return nil }
        let statement = try connection.statement("SELECT clk FROM sy_row WHERE tbl = ? AND id = ?")
        defer { statement.reset() }
        statement.bind(1, Int64(table))
        statement.bind(2, row.identifier)
        guard try statement.step() else { return nil }
        guard let clock = RowClock(statement.blob(0), of: row) else {
            throw damaged("the clock of row \(row) of \(name(of: table))")
        }
        return clock
    }

    /// What to call a table in a message.
    func name(of table: UInt32) -> String {
        schema.table(id: table)?.name ?? "table \(table)"
    }

    func isAnyBeside() throws(StoreError) -> Bool {
        if let hasRowsBeside { return hasRowsBeside }
        let isAny = try connection.value("SELECT 1 FROM sy_row LIMIT 1") != nil
        hasRowsBeside = isAny
        return isAny
    }

    /// A query for the clocks of all rows: (tbl, id, clk).
    private var clocks: String {
        let shown = schema.tables.map { table in
            """
            SELECT \(table.id) AS tbl, id, \(Layout.clockColumn) AS clk FROM \(table.name)
            WHERE \(Layout.clockColumn) IS NOT NULL
            """
        }
        // One that its table shows again lies beside until what is noted has been taken in.
        let again = schema.tables.map { table in
            """
            AND NOT (tbl = \(table.id) AND EXISTS(
                SELECT 1 FROM \(table.name) AS shown
                WHERE shown.id = sy_row.id AND \(Layout.clockColumn) IS NOT NULL))
            """
        }.joined(separator: " ")
        let beside = "SELECT tbl, id, clk FROM sy_row WHERE true \(again)"
        return (shown + [beside]).joined(separator: " UNION ALL ")
    }

    /// How many rows something is known of.
    func count() throws(StoreError) -> Int64 {
        guard case .integer(let count)? = try connection.value("SELECT count(*) FROM (\(clocks))")
        else { return 0 }
        return count
    }

    /// Every row of which something is known, in the order of (table, id).
    func forEachClock(
        _ body: (UInt32, RowID, RowClock) throws(StoreError) -> Void
    ) throws(StoreError) {
        let statement = try connection.prepare(
            "SELECT tbl, id, clk FROM (\(clocks)) ORDER BY tbl, id")
        defer { statement.finalize() }
        while try statement.step() {
            guard let table = UInt32(exactly: statement.integer(0)),
                let id = statement.identifier(1)
            else { throw damaged("the clocks of rows beside the tables") }
            guard let clock = RowClock(statement.blob(2), of: RowID(id)) else {
                throw damaged("the clock of row \(RowID(id)) of \(name(of: table))")
            }
            try body(table, RowID(id), clock)
        }
    }

    func damaged(_ what: String) -> StoreError {
        .damaged(path: connection.path, detail: what)
    }

    func dot(_ entry: RowClock.Entry) throws(StoreError) -> Dot {
        guard let stream = streams.stream(sid: entry.sid) else {
            throw damaged("stream \(entry.sid)")
        }
        return Dot(stream, entry.seq)
    }

    func entry(_ op: LiveOp) throws(StoreError) -> RowClock.Entry {
        guard let sid = streams.sid(of: op.dot.stream) else {
            throw damaged("stream \(op.dot.stream) is not known")
        }
        return RowClock.Entry(sid: sid, seq: op.dot.seq, time: op.time)
    }

    // MARK: A row of plain puts

    /// Writes a row whose columns all come from one changeset, if nothing is known of it.
    ///
    /// - Parameter values: by place; `nil` where the changeset says nothing.
    /// - Returns: `false` when something is known of the row; then nothing was written. A derived
    ///   id is nobody else's by chance, but whoever has seen it can name it as their own row.
    func insert(
        _ access: TableAccess, _ row: RowID, _ values: [Value?], _ entry: RowClock.Entry
    ) throws(StoreError) -> Bool {
        guard try isNew(access, row) else { return false }
        var (count, last): (Int, UInt32) = (0, 0)
        for place in values.indices where values[place] != nil {
            count += 1
            last = max(last, access.traits[place].column)
        }
        if count == Int(last) {
            pack(entry, columnCount: count, of: row)
        } else {
            var clock = RowClock()
            for place in values.indices where values[place] != nil {
                clock.set(access.traits[place].column, entry)
            }
            pack(&clock, of: row)
        }
        return try access.insert(row, values, clock: clockBytes)
    }

    /// As above, for a change that is nothing but puts that its table can hold, by ascending columns.
    func insert(
        _ access: TableAccess, _ change: RunChanges.Change, of changes: RunChanges,
        _ body: UnsafeRawBufferPointer, _ entry: RowClock.Entry
    ) throws(StoreError) -> Bool {
        guard try isNew(access, change.row) else { return false }
        let last = changes.ops[change.operations.upperBound - 1].column
        if change.operations.count == Int(last) {
            pack(entry, columnCount: change.operations.count, of: change.row)
        } else {
            var clock = RowClock()
            for index in change.operations { clock.set(changes.ops[index].column, entry) }
            pack(&clock, of: change.row)
        }
        return try access.insert(change, of: changes, body, clock: clockBytes)
    }

    /// Whether nothing is known of a row beside its table.
    private func isNew(_ access: TableAccess, _ row: RowID) throws(StoreError) -> Bool {
        guard try isAnyBeside() else { return true }
        return try clockBeside(access.table.id, row) == nil
    }

    /// Packs the clock of a row whose first columns all show one entry; those of a changeset's rows
    /// are mostly the same.
    private func pack(_ entry: RowClock.Entry, columnCount: Int, of row: RowID) {
        if let packedEntry, packedEntry.entry == entry, packedEntry.columnCount == columnCount {
            // But for the check, which is over the row's id too.
            clockBytes.removeLast(RowClock.checkBytes)
        } else {
            RowClock.pack(entry, columnCount: columnCount, into: &clockBytes)
            packedEntry = (entry, columnCount)
        }
        RowClock.seal(&clockBytes, of: row)
    }

    /// - Parameter beside: the sum over the row's live ops in `sy_live`.
    func pack(_ clock: inout RowClock, of row: RowID, beside: UInt32 = 0) {
        packedEntry = nil
        clock.pack(into: &clockBytes)
        RowClock.seal(&clockBytes, of: row, beside: beside)
    }
}
