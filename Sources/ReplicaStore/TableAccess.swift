internal import Causality
internal import Merge
internal import RecordSchema
internal import SyncProtocol

/// A declared table with the statements that read and write its rows.
final class TableAccess {
    let table: Table
    private let connection: Connection
    /// By column id: the place in `table.columns`, or −1.
    private let places: [Int]
    /// By place: the first SQL column behind the id.
    private let sqlPlaces: [Int32]
    private let names: String
    private var updates: [[UInt32]: Statement] = [:]
    private var writing: Statement?

    init(_ table: Table, connection: Connection) {
        self.table = table
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
        names = table.sqlColumns.map(\.name).joined(separator: ", ")
    }

    /// The place of a column in `table.columns`; `nil` for one that this schema doesn't know.
    func place(of column: UInt32) -> Int? {
        guard column < places.count, places[Int(column)] >= 0 else { return nil }
        return places[Int(column)]
    }

    /// Binds a column's value from parameter `first` on.
    private func bind(_ value: Value?, place: Int, to statement: Statement, from first: Int32) {
        guard case .composite(let parts)? = value else {
            if case .composite(let parts) = table.columns[place].shape {
                for index in parts.indices { statement.bindNull(first + Int32(index)) }
                return
            }
            return statement.bind(first, value ?? .null)
        }
        for (index, part) in parts.enumerated() { statement.bind(first + Int32(index), part) }
    }

    /// Writes a row, whether it is there or not: another program may have put one there that can't
    /// be sent as it is.
    ///
    /// - Parameter values: by place; a missing value is NULL.
    func write(_ id: RowID, _ values: [Value?]) throws(StoreError) {
        if writing == nil {
            let marks = String(repeating: ", ?", count: table.sqlColumns.count)
            writing = try connection.prepare(
                "INSERT OR REPLACE INTO \(table.name)(id, \(names)) VALUES(?\(marks))")
        }
        guard let writing else { return }
        writing.bind(1, id.identifier)
        for place in values.indices {
            bind(values[place], place: place, to: writing, from: sqlPlaces[place] + 2)
        }
        try writing.step()
    }

    /// Writes some columns of a row that is there.
    func update(_ id: RowID, _ cells: [(column: UInt32, value: Value)]) throws(StoreError) {
        let columns = cells.map(\.column)
        let statement = try update(of: columns)
        var parameter: Int32 = 1
        for (column, value) in cells {
            guard let place = place(of: column) else { continue }
            bind(value, place: place, to: statement, from: parameter)
            parameter += Int32(table.columns[place].sqlColumns.count)
        }
        statement.bind(parameter, id.identifier)
        try statement.step()
    }

    private func update(of columns: [UInt32]) throws(StoreError) -> Statement {
        if let statement = updates[columns] { return statement }
        let parts = columns.compactMap(place(of:)).flatMap { table.columns[$0].sqlColumns }
        let list = parts.map { "\($0.name) = ?" }.joined(separator: ", ")
        let statement = try connection.prepare("UPDATE \(table.name) SET \(list) WHERE id = ?")
        if updates.count > 64 { updates = [:] }
        updates[columns] = statement
        return statement
    }

    func delete(_ id: RowID) throws(StoreError) {
        try connection.run(
            "DELETE FROM \(table.name) WHERE id = ?", .blob(id.identifier.bytes))
    }

    /// The row's values by place, as SQLite gives them back; `nil` when there is no such row.
    func values(_ id: RowID) throws(StoreError) -> [Value]? {
        let statement = try connection.statement(
            "SELECT \(names) FROM \(table.name) WHERE id = ?")
        defer { statement.reset() }
        statement.bind(1, id.identifier)
        guard try statement.step() else { return nil }
        return table.columns.indices.map { place in
            value(at: place, of: statement)
        }
    }

    private func value(at place: Int, of statement: Statement) -> Value {
        let first = sqlPlaces[place]
        guard case .composite(let parts) = table.columns[place].shape else {
            return statement.value(first)
        }
        let values = parts.indices.map { statement.value(first + Int32($0)) }
        return values.allSatisfy { $0 == .null } ? .null : .composite(values)
    }

    /// The first column whose text is not UTF-8, as another program may have written it.
    func invalidText(_ id: RowID) throws(StoreError) -> Column? {
        let statement = try connection.statement(
            "SELECT \(names) FROM \(table.name) WHERE id = ?")
        defer { statement.reset() }
        statement.bind(1, id.identifier)
        guard try statement.step() else { return nil }
        return table.columns.indices.first { place in
            table.columns[place].sqlColumns.indices.contains {
                !statement.isValidText(sqlPlaces[place] + Int32($0))
            }
        }.map { table.columns[$0] }
    }
}
