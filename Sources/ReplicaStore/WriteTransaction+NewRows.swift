public import Causality
public import Merge
public import RecordSchema
internal import SyncProtocol

/// Rows that are not there yet.
extension WriteTransaction {
    /// Creates a row whose id comes from its changeset.
    ///
    /// - Parameter values: in the order of the table's columns; `nil` where nothing is said.
    /// - Throws: ``StoreError/invalid(_:)`` for a value that its column doesn't take.
    @discardableResult
    public func insert(into table: Table, _ values: [Value?]) throws -> RowID {
        let access = try access(table)
        try check(values, in: table)
        let wires = try self.wires(values, table)
        try makeRoom(for: RowName.new.wireLimit + wires.wireLimit)
        guard let id = replica.writer.makeRowID() else {
            throw StoreError.invalid("a changeset creates too many rows")
        }
        try insert(access, id, .new, values, wires)
        return id
    }

    /// Creates a row whose id the application chose: nobody else may have made it.
    public func insert(into table: Table, id: RowID, _ values: [Value?]) throws {
        let access = try access(table)
        try check(values, in: table)
        guard try rows.clock(table.id, id) == nil else {
            throw StoreError.invalid("row \(id) of \(table.name) exists already")
        }
        let wires = try self.wires(values, table)
        try makeRoom(for: RowName.whole.wireLimit + wires.wireLimit)
        try insert(access, id, .whole, values, wires)
    }

    func wires(
        _ values: [Value?], _ table: Table
    ) throws(StoreError) -> [(column: UInt32, value: WireValue)] {
        var wires: [(column: UInt32, value: WireValue)] = []
        wires.reserveCapacity(values.count)
        for (place, value) in values.enumerated() {
            guard let value else { continue }
            wires.append((table.columns[place].id, try wire(value, table.columns[place])))
        }
        return wires
    }

    func insert(
        _ access: TableAccess, _ id: RowID, _ name: RowName, _ values: [Value?],
        _ wires: [(column: UInt32, value: WireValue)]
    ) throws(StoreError) {
        let columns = access.table.columns
        replica.writer.row(
            table: access.table.id, id: id, name: name,
            itemCount: wires.count * BodyWriter.putItemCount)
        for wire in wires { replica.writer.put(column: wire.column, wire.value) }
        let areKept = columns.indices.allSatisfy { values[$0].map(columns[$0].keeps) ?? true }
        let isWritten = areKept ? try rows.insert(access, id, values, entry) : false
        if !isWritten { try store(access.table.id, id, puts(values, columns)) }
        receipt.operationCount += wires.count
        try splitIfLarge()
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
        return access
    }

    func check(_ values: [Value?], in table: Table) throws(StoreError) {
        guard values.count == table.columns.count else {
            throw .invalid("\(table.name) has \(table.columns.count) columns")
        }
        for (place, value) in values.enumerated() {
            guard let value else { continue }
            let column = table.columns[place]
            try checkIsRegister(column, table)
            try check(value, column, table)
        }
        guard values.contains(where: { $0 != nil }) else {
            throw .invalid("a new row of \(table.name) needs a value")
        }
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
