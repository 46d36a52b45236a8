internal import Causality
internal import Merge
internal import RecordSchema
internal import SyncProtocol

/// A declared table with the statements that read and write its rows.
///
/// A row of it holds its clocks too; see ``RowClock``.
final class TableAccess {
    let table: Table
    /// As the table says: what a hot path asks, without a copy of it.
    let isDivided: Bool
    /// By place: what a hot path asks of a column, without a copy of it.
    let traits: [Trait]
    /// Whether a value may travel as something else than it is.
    let hasForms: Bool
    /// Whether a value may be about a person, and is encrypted on its way then.
    let isPersonal: Bool
    private let connection: Connection
    /// By column id: the place in `table.columns`, or −1.
    private let places: [Int]
    /// By place: the first SQL column behind the id.
    private let sqlPlaces: [Int32]
    /// The SQL columns behind the id, the clock not among them.
    private let sqlCount: Int32
    private let names: String
    private var updates: [(columns: [UInt32], statement: Statement)] = []
    private var inserting: Statement?
    private var replacing: Statement?
    private var finding: Statement?
    private var exchanges: [ExchangeStatement] = []
    private var lastExchange: ExchangeStatement?

    struct Trait {
        var column: UInt32
        /// `nil` for what is no register of one scalar.
        var scalar: ScalarType?
        var isRegister: Bool
        /// Whether the latest of several values is shown.
        var isLatest: Bool
    }

    init(_ table: Table, connection: Connection) {
        self.table = table
        isDivided = table.isDivided
        self.connection = connection
        var places = [Int](repeating: -1, count: Int(table.columns.map(\.id).max() ?? 0) + 1)
        var sqlPlaces: [Int32] = []
        var next: Int32 = 0
        for (place, column) in table.columns.enumerated() {
            places[Int(column.id)] = place
            sqlPlaces.append(next)
            next += Int32(column.sqlColumns.count)
        }
        self.places = places
        self.sqlPlaces = sqlPlaces
        sqlCount = next
        names = table.sqlColumns.map(\.name).joined(separator: ", ")
        traits = table.columns.map { column in
            if case .register(let scalar) = column.shape {
                Trait(
                    column: column.id, scalar: scalar, isRegister: true,
                    isLatest: column.policy == .latest)
            } else {
                Trait(
                    column: column.id, scalar: nil, isRegister: column.isRegister, isLatest: false)
            }
        }
        isPersonal = table.columns.contains(where: \.isPersonal)
        hasForms =
            isPersonal
            || table.columns.contains { column in
                if case .register(.reference) = column.shape { true } else { false }
            }
    }

    /// The place of a column in `table.columns`; `nil` for one that this schema doesn't know.
    func place(of column: UInt32) -> Int? {
        guard column < places.count, places[Int(column)] >= 0 else { return nil }
        return places[Int(column)]
    }

    /// Whether SQLite gives back exactly `value` from a column; see ``Column/keeps(_:)``.
    func keeps(_ value: Value, at place: Int) -> Bool {
        if let scalar = traits[place].scalar { return scalar.keeps(value) }
        return table.columns[place].keeps(value)
    }

    /// As above, for the value of an op where it lies; `false` for what is no register of one scalar.
    func keeps(_ op: RunChanges.Op, of changes: RunChanges, at place: Int) -> Bool {
        guard let scalar = traits[place].scalar else { return false }
        switch op.kind {
        case .null: return true
        case .integer: return scalar == .integer || scalar == .time
        case .real: return scalar.keeps(.real(op.real))
        case .text: return scalar == .text
        case .blob:
            if case .reference = scalar { return op.range.count == 16 }
            return scalar == .blob
        case .row:
            if case .reference = scalar { return true }
            return scalar == .blob
        case .value: return scalar.keeps(changes.value(op))
        case .other: return false
        }
    }

    // MARK: Writing

    /// Binds a column's value from parameter `first` on.
    private func bind(_ value: Value?, place: Int, to statement: Statement, from first: Int32) {
        if traits[place].scalar != nil {
            guard let value else { return statement.bindNull(first) }
            return statement.bind(first, value)
        }
        guard case .composite(let parts)? = value else {
            if case .composite(let parts) = table.columns[place].shape {
                for index in parts.indices { statement.bindNull(first + Int32(index)) }
                return
            }
            return statement.bind(first, value ?? .null)
        }
        for (index, part) in parts.enumerated() { statement.bind(first + Int32(index), part) }
    }

    private func prepareInsert(or conflict: String) throws(StoreError) -> Statement {
        let marks = String(repeating: ", ?", count: Int(sqlCount) + 1)
        return try connection.prepare(
            """
            INSERT OR \(conflict) INTO \(table.name)(id, \(names), \(Layout.clockColumn))
            VALUES(?\(marks))
            """)
    }

    private func run(
        _ statement: Statement, _ id: RowID, _ values: [Value?], _ clock: [UInt8]
    ) throws(StoreError) {
        statement.bind(1, id.identifier)
        for place in values.indices {
            bind(values[place], place: place, to: statement, from: sqlPlaces[place] + 2)
        }
        statement.bind(sqlCount + 2, blob: clock)
        try statement.step()
    }

    /// Writes a row that is not there.
    ///
    /// - Parameter values: by place; a missing value is NULL.
    /// - Returns: `false` when there is one of this id; then nothing was written.
    func insert(_ id: RowID, _ values: [Value?], clock: [UInt8]) throws(StoreError) -> Bool {
        if inserting == nil { inserting = try prepareInsert(or: "IGNORE") }
        guard let statement = inserting else { return false }
        try run(statement, id, values, clock)
        return connection.changes > 0
    }

    /// As above, a row of puts where they lie; ``keeps(_:at:)`` holds for each, and their columns
    /// ascend.
    ///
    /// - Parameter body: the bytes of `changes`.
    func insert(
        _ change: RunChanges.Change, of changes: RunChanges, _ body: UnsafeRawBufferPointer,
        clock: [UInt8]
    ) throws(StoreError) -> Bool {
        if inserting == nil { inserting = try prepareInsert(or: "IGNORE") }
        guard let statement = inserting else { return false }
        statement.bind(1, change.row.identifier)
        var next: Int32 = 2
        for index in change.operations {
            let op = changes.ops[index]
            guard let place = place(of: op.column) else { return false }
            let parameter = sqlPlaces[place] + 2
            while next < parameter {
                statement.bindNull(next)
                next += 1
            }
            statement.bind(parameter, op, of: changes, body)
            next += 1
        }
        while next < sqlCount + 2 {
            statement.bindNull(next)
            next += 1
        }
        statement.bind(sqlCount + 2, blob: clock)
        try statement.step()
        return connection.changes > 0
    }

    /// The statement that changes cells of a row in one search: their values come first, then the
    /// row's id.
    ///
    /// - Parameter isChoosing: whether it can leave a column as it is.
    func exchange(
        _ cells: [ExchangedRow.Cell], isChoosing: Bool
    ) throws(StoreError) -> Statement {
        if let lastExchange, lastExchange.fits(cells, isChoosing) { return lastExchange.statement }
        if let known = exchanges.first(where: { $0.fits(cells, isChoosing) }) {
            lastExchange = known
            return known.statement
        }
        let columns = cells.map(\.column)
        let names = columns.compactMap { place(of: $0).map { table.columns[$0].name } }
        let sets = names.enumerated().map { place, name in
            isChoosing
                ? "\(name) = CASE WHEN sy_wins(\(place)) THEN ?\(place + 1) ELSE \(name) END, "
                : "\(name) = ?\(place + 1), "
        }
        let pairs = names.enumerated().map { place, name in ", \(name), ?\(place + 1)" }
        let clock = Layout.clockColumn
        let statement = try connection.prepare(
            """
            UPDATE \(table.name) SET \(sets.joined())\(clock) = sy_packed()
            WHERE id = ?\(names.count + 1) AND sy_takes(\(clock)\(pairs.joined()))
            """)
        if exchanges.count >= 16 { exchanges.removeFirst() }
        let exchange = ExchangeStatement(columns, isChoosing: isChoosing, statement)
        exchanges.append(exchange)
        lastExchange = exchange
        return statement
    }

    /// Runs a statement of ``exchange(_:)`` whose values are bound.
    func run(
        _ statement: Statement, _ exchange: RowExchange, _ id: RowID
    ) throws(StoreError) {
        exchange.row.id = id
        statement.bind(Int32(exchange.row.cells.count + 1), id.identifier)
        try statement.step()
        exchange.row.finish(changes: connection.changes)
        if exchange.row.verdict == .damaged {
            throw .damaged(path: connection.path, detail: "the clock of row \(id) of \(table.name)")
        }
    }

    /// Writes a row, whether it is there or not: another program may have put one there that can't
    /// be sent as it is.
    func write(_ id: RowID, _ values: [Value?], clock: [UInt8]) throws(StoreError) {
        if replacing == nil { replacing = try prepareInsert(or: "REPLACE") }
        guard let statement = replacing else { return }
        try run(statement, id, values, clock)
    }

    /// Writes some columns of a row that is there, and its clocks.
    func update(
        _ id: RowID, _ cells: [(column: UInt32, value: Value)], clock: [UInt8]
    ) throws(StoreError) {
        let statement = try update(of: cells)
        var parameter: Int32 = 1
        for (column, value) in cells {
            guard let place = place(of: column) else { continue }
            bind(value, place: place, to: statement, from: parameter)
            let isScalar = traits[place].scalar != nil
            parameter += isScalar ? 1 : Int32(table.columns[place].sqlColumns.count)
        }
        statement.bind(parameter, blob: clock)
        statement.bind(parameter + 1, id.identifier)
        try statement.step()
    }

    private func update(
        of cells: [(column: UInt32, value: Value)]
    ) throws(StoreError) -> Statement {
        for known in updates
        where known.columns.elementsEqual(cells, by: { $0 == $1.column }) {
            return known.statement
        }
        let columns = cells.map(\.column)
        let parts = columns.compactMap(place(of:)).flatMap { table.columns[$0].sqlColumns }
        let list = parts.map { "\($0.name) = ?, " }.joined()
        let statement = try connection.prepare(
            "UPDATE \(table.name) SET \(list)\(Layout.clockColumn) = ? WHERE id = ?")
        if updates.count >= 16 { updates.removeFirst() }
        updates.append((columns, statement))
        return statement
    }

    func delete(_ id: RowID) throws(StoreError) {
        try connection.run(
            "DELETE FROM \(table.name) WHERE id = ?", .blob(id.identifier.bytes))
    }

    // MARK: Reading

    /// A statement that stands on a row, to be reset by the caller; `nil` when there is none.
    func find(_ id: RowID) throws(StoreError) -> Statement? {
        if finding == nil {
            finding = try connection.prepare(
                "SELECT \(names), \(Layout.clockColumn) FROM \(table.name) WHERE id = ?")
        }
        guard let statement = finding else { return nil }
        statement.bind(1, id.identifier)
        return try statement.step() ? statement : nil
    }

    /// Reads the clocks of the row on which `statement` stands; `false` when it has none, as one
    /// that another program made.
    func readClock(
        of statement: Statement, _ id: RowID, into clock: inout RowClock
    ) throws(StoreError) -> Bool {
        guard !statement.isNull(sqlCount) else { return false }
        guard statement.withBlob(sqlCount, { clock.read($0, of: id) }) else {
            statement.reset()
            throw .damaged(path: connection.path, detail: "the clock of row \(id) of \(table.name)")
        }
        return true
    }

    /// The row's values by place, as SQLite gives them back; `nil` when there is no such row.
    func values(_ id: RowID) throws(StoreError) -> [Value]? {
        guard let statement = try find(id) else { return nil }
        defer { statement.reset() }
        return table.columns.indices.map { place in
            value(at: place, of: statement)
        }
    }

    func value(at place: Int, of statement: Statement) -> Value {
        let first = sqlPlaces[place]
        guard case .composite(let parts) = table.columns[place].shape else {
            return statement.value(first)
        }
        let values = parts.indices.map { statement.value(first + Int32($0)) }
        return values.allSatisfy { $0 == .null } ? .null : .composite(values)
    }

    /// The first column whose text is not UTF-8, as another program may have written it.
    func invalidText(_ id: RowID) throws(StoreError) -> Column? {
        guard let statement = try find(id) else { return nil }
        defer { statement.reset() }
        return table.columns.indices.first { place in
            table.columns[place].sqlColumns.indices.contains {
                !statement.isValidText(sqlPlaces[place] + Int32($0))
            }
        }.map { table.columns[$0] }
    }
}

/// A statement that changes some columns of a row in one search; see ``RowExchange``.
private final class ExchangeStatement {
    let columns: [UInt32]
    let isChoosing: Bool
    let statement: Statement

    init(_ columns: [UInt32], isChoosing: Bool, _ statement: Statement) {
        self.columns = columns
        self.isChoosing = isChoosing
        self.statement = statement
    }

    func fits(_ cells: [ExchangedRow.Cell], _ isChoosing: Bool) -> Bool {
        guard isChoosing == self.isChoosing, columns.count == cells.count else { return false }
        for place in columns.indices where columns[place] != cells[place].column { return false }
        return true
    }
}
