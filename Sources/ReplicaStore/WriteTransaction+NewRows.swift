public import Causality
public import Merge
public import RecordSchema
internal import SyncProtocol

/// Rows that are not there yet.
extension WriteTransaction {
    /// Creates a row whose id comes from its changeset.
    ///
    /// - Parameters:
    ///   - values: in the order of the table's columns; `nil` where nothing is said.
    ///   - division: the row that it lies with, or in whose scope: of a table that is divided.
    /// - Throws: ``StoreError/invalid(_:)`` for a value that its column doesn't take.
    @discardableResult
    public func insert(
        into table: Table, _ values: [Value?], dividedBy division: RowID? = nil
    ) throws -> RowID {
        if table.isDivided, let division {
            try turn(to: replica.scope(dividedBy: division) ?? Replica.scope)
        } else if !lane.isBase {
            try turn(to: Replica.scope)
        }
        let access = try access(table)
        let (limit, isKept) = try check(values, access)
        var wires = try wires(values, access)
        let subject = try subject(of: nil, values, access)
        try makeRoom(for: RowName.new.wireLimit + Self.limit(limit, wires))
        guard let id = lane.writer.makeRowID() else {
            throw StoreError.invalid("a changeset creates too many rows")
        }
        let isWritten = try isKept && rows.insert(access, id, values, entry)
        seal(&wires, access.table.columns, of: id, in: access.table.id, about: subject)
        receipt.operationCount += Self.record(
            access, id, .new, values, wires, in: &lane.writer)
        if !isWritten { try store(access.table.id, id, puts(values, access.table.columns)) }
        try splitIfLarge()
        return id
    }

    /// Creates a row whose id the application chose: nobody else may have made it.
    public func insert(into table: Table, id: RowID, _ values: [Value?]) throws {
        try turn(to: id, in: table.id, isDivided: table.isDivided)
        let access = try access(table)
        let (limit, isKept) = try check(values, access)
        var wires = try wires(values, access)
        let subject = try subject(of: id, values, access)
        try makeRoom(for: RowName.whole.wireLimit + Self.limit(limit, wires))
        let isWritten = try isKept && rows.insert(access, id, values, entry)
        guard try isWritten || rows.clock(table.id, id) == nil else {
            throw StoreError.invalid("row \(id) of \(table.name) exists already")
        }
        seal(&wires, access.table.columns, of: id, in: access.table.id, about: subject)
        receipt.operationCount += Self.record(
            access, id, .whole, values, wires, in: &lane.writer)
        if !isWritten { try store(access.table.id, id, puts(values, access.table.columns)) }
        try splitIfLarge()
    }

    private func subject(
        of row: RowID?, _ values: [Value?], _ access: TableAccess
    ) throws(StoreError) -> PersonalSubject? {
        guard access.isPersonal else { return nil }
        return try subject(of: row, in: access.table) { column in
            access.place(of: column.id).flatMap { values[$0] }
        }
    }

    /// The forms in which values travel, by place; empty where each travels as it is, or as a time.
    private func wires(
        _ values: [Value?], _ access: TableAccess
    ) throws(StoreError) -> [WireValue?] {
        guard access.hasForms else { return [] }
        let columns = access.table.columns
        return try columns.indices.map { place throws(StoreError) in
            guard let value = values[place] else { return nil }
            return try wire(value, columns[place])
        }
    }

    /// The most that the values take as puts, in bytes.
    ///
    /// - Parameter limit: of the values as they are.
    private static func limit(_ limit: Int, _ wires: [WireValue?]) -> Int {
        wires.isEmpty
            ? limit : wires.reduce(0) { $0 + 9 + ($1.map { $0.wireLimit + sealLimit } ?? 0) }
    }

    /// Puts the row into the changeset.
    ///
    /// - Returns: of how many ops it is.
    private static func record(
        _ access: TableAccess, _ id: RowID, _ name: RowName, _ values: [Value?],
        _ wires: [WireValue?], in writer: inout BodyWriter
    ) -> Int {
        let count = values.reduce(0) { $1 == nil ? $0 : $0 + 1 }
        writer.row(
            table: access.table.id, id: id, name: name, itemCount: count * BodyWriter.putItemCount)
        for place in values.indices {
            guard let value = values[place] else { continue }
            let column = access.traits[place].column
            if !wires.isEmpty, let wire = wires[place] {
                writer.put(column: column, wire)
            } else if case .time? = access.traits[place].scalar, case .integer(let time) = value {
                writer.put(column: column, .time(time))
            } else {
                writer.put(column: column, .plain(value))
            }
        }
        return count
    }

    func puts(_ values: [Value?], _ columns: [Column]) -> [Operation] {
        zip(columns, values).compactMap { column, value in
            value.map { Operation(CellKey(column.id), .put($0)) }
        }
    }

    /// Puts into a row, whatever is known of it.
    func store(
        _ table: UInt32, _ id: RowID, _ operations: [Operation]
    ) throws(StoreError) {
        let clock = try rows.clock(table, id)
        var state = try rows.load(table, id, clock)
        for operation in operations { state.apply(operation, dot: dot, time: entry.time) }
        try rows.store(table, id, state, replacing: clock)
    }

    func access(_ table: Table) throws(StoreError) -> TableAccess {
        guard let access = rows.access(table.id), access.table.name == table.name,
            access.table.columns.count == table.columns.count
        else {
            throw .invalid("this replica's schema has no such table \(table.name)")
        }
        try replica.checkMayWrite(table.id, in: lane.record.scope)
        return access
    }

    /// Holds a new row's values against their columns.
    ///
    /// - Returns: the most that they take as puts, in bytes, where none is a reference; and whether
    ///   SQLite gives back exactly each.
    private func check(
        _ values: [Value?], _ access: TableAccess
    ) throws(StoreError) -> (limit: Int, isKept: Bool) {
        guard values.count == access.traits.count else {
            throw .invalid("\(access.table.name) has \(access.traits.count) columns")
        }
        var (limit, isEmpty, isKept) = (0, true, true)
        for place in values.indices {
            guard let value = values[place] else { continue }
            isEmpty = false
            let size = value.wireLimit
            // A time takes as much as any number, and the head of its distance.
            limit += 18 + size
            if let scalar = access.traits[place].scalar, scalar.keeps(value),
                size <= Limits.valueBytes
            {
                continue
            }
            let column = access.table.columns[place]
            try checkIsRegister(column, access.table)
            try check(value, column, access.table)
            isKept = isKept && column.keeps(value)
        }
        guard !isEmpty else { throw .invalid("a new row of \(access.table.name) needs a value") }
        return (limit, isKept)
    }

    func checkIsRegister(_ column: Column, _ table: Table) throws(StoreError) {
        guard !column.isRegister else { return }
        throw .invalid(
            "\(table.name).\(column.name) is a "
                + (column.isSet ? "set: add its elements" : "counter: count it on"))
    }

    func check(_ value: Value, _ column: Column, _ table: Table) throws(StoreError) {
        guard column.accepts(value) else {
            throw .invalid("\(table.name).\(column.name) doesn't take \(value.kindForPeople)")
        }
        guard value.byteCount <= Limits.valueBytes else {
            throw .invalid(
                "\(table.name).\(column.name): a value has at most \(Limits.valueBytes) bytes, "
                    + "and this one \(value.byteCount)")
        }
    }
}
