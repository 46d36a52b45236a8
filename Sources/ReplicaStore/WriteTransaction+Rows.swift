public import Causality
public import Merge
public import RecordSchema
internal import SyncProtocol

/// Rows that may be there already.
extension WriteTransaction {
    /// Creates or changes a row that two laptops may make apart.
    ///
    /// - Parameters:
    ///   - key: the natural key's values, normalised.
    ///   - values: other columns; those that show the same value already are left alone.
    ///   - division: the row that it lies with, where its key doesn't say that.
    /// - Returns: the row's id, and whether anything had to be written.
    @discardableResult
    public func upsert(
        _ table: Table, key: [Value], _ values: [(Column, Value)], dividedBy division: RowID? = nil
    ) throws -> (id: RowID, isChanged: Bool) {
        let id = try replica.rowID(in: table, key: key, dividedBy: division)
        try checkDivision(of: id, in: table)
        let clock = try rows.clock(table.id, id)
        let isMissing = clock == nil || clock?.isHidden == true
        let others = values.filter { !table.naturalKey.contains($0.0.name) }
        let assignments = isMissing ? zip(table.keyColumns, key).map { ($0, $1) } + others : others
        noteKey(key, of: id, in: table)
        return (id, try set(table, id, assignments))
    }

    /// A row that lies in the scope of a division can't be made where that isn't known: it would lie in another
    /// scope than where others make it.
    private func checkDivision(of row: RowID, in table: Table) throws(StoreError) {
        guard let name = table.dividedBy,
            case .register(.reference(let number))? = table.column(named: name)?.shape,
            let division = replica.schema.divisions.first(where: { $0.id == number }),
            try replica.scope(dividedBy: row) == nil
        else { return }
        throw .invalid("the \(division.name) of this \(table.name) is not known here")
    }

    /// Sets columns of a row; one that shows its value already, and alone, is left alone.
    ///
    /// - Parameters:
    ///   - basis: the dots that the author was shown in each of these cells; by default what the
    ///     row shows now.
    /// - Returns: whether anything had to be written.
    @discardableResult
    public func set(
        _ table: Table, _ id: RowID, _ values: [(Column, Value)], basis: [Dot]? = nil
    ) throws -> Bool {
        try turn(to: id, in: table.id, isDivided: table.isDivided)
        let access = try access(table)
        let exchange = try rows.exchange()
        exchange.row.start(authored: entry)
        let isPlain = try values.withUnsafeBufferPointer { values throws(StoreError) in
            try check(values, access, &exchange.row)
        }
        if basis == nil, isPlain, let isChanged = try setPlainly(access, id) { return isChanged }
        return try author(table.id, id) { state in
            var operations: [Operation] = []
            for (column, value) in values {
                let key = CellKey(column.id)
                let fold = RegisterFold(state[key], policy: column.policy)
                if fold.shown?.action.value == value, !fold.isConflict, !LifeFold(state).isHidden {
                    try hold(state[key], at: key, table.id, id)
                    continue
                }
                // Who names a basis saw the row, and so did not see a delete that hides it now.
                operations += state.put(
                    key, value, basis: basis ?? state.basis(of: key, policy: column.policy),
                    isDeleteShown: basis == nil)
            }
            return operations
        }
    }

    /// Holds values against their columns, and puts them into the exchange.
    ///
    /// - Returns: whether the exchange can take all of them.
    private func check(
        _ values: UnsafeBufferPointer<(Column, Value)>, _ access: TableAccess,
        _ row: inout ExchangedRow
    ) throws(StoreError) -> Bool {
        guard let start = values.baseAddress, !values.isEmpty else { return false }
        var isPlain = values.count <= RowExchange.cellLimit
        for index in values.indices {
            // A column is large: it is looked at where it lies.
            let value = start[index].1
            let place = access.place(of: start[index].0.id)
            if let place, let scalar = access.traits[place].scalar, scalar.accepts(value),
                value.byteCount <= Limits.valueBytes
            {
                isPlain = isPlain && scalar.keeps(value) && row.append(start[index].0.id, value)
                continue
            }
            isPlain = false
            try checkIsRegister(start[index].0, access.table)
            try check(value, start[index].0, access.table)
        }
        return isPlain
    }

    /// The common case: the row's table shows all that lives of it, and each column of the exchange
    /// takes another plain value. `nil` where it is another; then nothing was written.
    private func setPlainly(_ access: TableAccess, _ id: RowID) throws(StoreError) -> Bool? {
        let exchange = try rows.exchange()
        let name: RowName =
            access.table.naturalKey.isEmpty ? .whole : try self.name(access.table.id, id)
        var wires = access.hasForms ? try wires(exchange.row.cells, access) : []
        let subject =
            access.isPersonal
            ? try subject(of: id, in: access.table) { column in
                exchange.row.cells.first { $0.column == column.id }?.value
            } : nil
        var limit = name.wireLimit + exchange.row.wireLimit
        for wire in wires { limit += wire?.wireLimit ?? 0 }
        if subject != nil { limit += wires.count * Self.sealLimit }
        let count = exchange.row.cells.count
        // How many streams the change names isn't known yet.
        guard lane.writer.streams.count + count <= Limits.runDependencies else { return nil }
        try makeRoom(for: limit)
        exchange.row.begin(entry)
        let statement = try access.exchange(exchange.row.cells, isChoosing: false)
        exchange.row.bind(to: statement)
        try access.run(statement, exchange, id)
        switch exchange.row.verdict {
        case .written: break
        case .unchanged:
            try holdShown(exchange.row.cells, access.table.id, id)
            return false
        default: return nil
        }
        let columns = exchange.row.cells.compactMap { cell in
            access.place(of: cell.column).map { access.table.columns[$0] }
        }
        seal(&wires, columns, of: id, in: access.table.id, about: subject)
        Self.record(exchange.row.cells, wires, access, id, name, in: &lane.writer)
        receipt.operationCount += count
        try splitIfLarge()
        return true
    }

    /// Values are left alone only where they stand in the log too: damaged cells may show them.
    private func holdShown(
        _ cells: [ExchangedRow.Cell], _ table: UInt32, _ id: RowID
    ) throws(StoreError) {
        for cell in cells {
            guard let dot = cell.replaced else { continue }
            try replica.hold(cell.value, shownBy: dot, cell.column, table, id)
        }
    }

    private func hold(
        _ cell: Cell, at key: CellKey, _ table: UInt32, _ id: RowID
    ) throws(StoreError) {
        try replica.hold(cell, at: key, table, id, open: isOpen ? dot : nil)
    }

    private func wires(
        _ cells: [ExchangedRow.Cell], _ access: TableAccess
    ) throws(StoreError) -> [WireValue?] {
        var wires: [WireValue?] = []
        for cell in cells {
            guard let place = access.place(of: cell.column) else { continue }
            wires.append(try wire(cell.value, access.table.columns[place]))
        }
        return wires
    }

    /// Puts the row into the changeset: values over the dots that the cells showed.
    private static func record(
        _ cells: [ExchangedRow.Cell], _ wires: [WireValue?], _ access: TableAccess, _ id: RowID,
        _ name: RowName, in writer: inout BodyWriter
    ) {
        let count = cells.reduce(0) {
            $0 + ($1.replaced == nil ? BodyWriter.putItemCount : BodyWriter.putOverItemCount)
        }
        writer.row(table: access.table.id, id: id, name: name, itemCount: count)
        for index in cells.indices {
            let wire: WireValue
            if !wires.isEmpty, let form = wires[index] {
                wire = form
            } else if case .integer(let time) = cells[index].value,
                access.place(of: cells[index].column)
                    .map({ access.traits[$0].scalar == .time }) == true
            {
                wire = .time(time)
            } else {
                wire = .plain(cells[index].value)
            }
            writer.put(column: cells[index].column, wire, over: cells[index].replaced)
        }
    }

    /// Puts elements into a set; those that are in already are left alone.
    @discardableResult
    public func add(
        _ table: Table, _ id: RowID, _ column: Column, _ elements: [Value]
    ) throws -> Bool {
        try change(table, id, column, elements) { state, key in
            AddWinsSet.holds(state[key]) ? [] : state.put(key, .null, basis: state.basis(of: key))
        }
    }

    /// Takes elements out of a set.
    @discardableResult
    public func remove(
        _ table: Table, _ id: RowID, _ column: Column, _ elements: [Value]
    ) throws -> Bool {
        try change(table, id, column, elements) { state, key in
            state.remove(key, basis: state.basis(of: key))
        }
    }

    /// Counts a counter on by `amount`, or back.
    ///
    /// - Throws: ``StoreError/invalid(_:)`` for a column that is no counter, and for more than
    ///   2^63 − 1 in all.
    @discardableResult
    public func count(
        _ table: Table, _ id: RowID, _ column: Column, by amount: Int64
    ) throws -> Bool {
        guard column.isCounter else {
            throw StoreError.invalid("\(table.name).\(column.name) is no counter")
        }
        return try author(table.id, id) { state in
            guard
                let operations = state.count(
                    CellKey(column.id), by: amount, stream: lane.record.stream)
            else {
                throw StoreError.invalid(
                    "\(table.name).\(column.name): this replica can't count any further")
            }
            return operations
        }
    }

    func change(
        _ table: Table, _ id: RowID, _ column: Column, _ elements: [Value],
        _ make: (RowState, CellKey) -> [Operation]
    ) throws -> Bool {
        guard column.isSet else {
            throw StoreError.invalid("\(table.name).\(column.name) is not a set")
        }
        for element in elements { try check(element, column, table) }
        let keys = Set(elements.map { CellKey(column.id, element: $0.canonicalBytes) }).sorted()
        return try author(table.id, id) { state in keys.flatMap { make(state, $0) } }
    }

    /// Hides a row; nothing when it isn't there.
    @discardableResult
    public func delete(_ table: Table, _ id: RowID) throws -> Bool {
        try author(table.id, id) { state in
            state.cells.isEmpty || LifeFold(state).isHidden ? [] : [state.delete()]
        }
    }

    /// Shows a row again, or keeps one that was deleted while someone else changed it.
    @discardableResult
    public func restore(_ table: Table, _ id: RowID) throws -> Bool {
        try author(table.id, id) { state in state.restore().map { [$0] } ?? [] }
    }

    /// Writes what `make` decides from the row's live ops: the door to everything that the typed
    /// writes above don't say, resolutions among it.
    ///
    /// - Parameter make: gives ops of distinct cells; see ``Merge/RowState``. A second restore of
    ///   one row is left out.
    /// - Throws: ``StoreError/invalid(_:)`` for what no changeset can hold. Then this call has
    ///   written nothing, and the transaction may go on.
    @discardableResult
    public func author(
        _ table: UInt32, _ id: RowID, _ make: (RowState) throws -> [Operation]
    ) throws -> Bool {
        try author(table, id, logged: nil, make)
    }

    func author(
        _ table: UInt32, _ id: RowID, logged: ((UInt32, Dot) throws(StoreError) -> Value?)?,
        _ make: (RowState) throws -> [Operation]
    ) throws -> Bool {
        try turn(to: id, in: table)
        let clock = try rows.clock(table, id)
        var state = try rows.load(table, id, clock, logged: logged)
        var operations: [Operation] = []
        for operation in try make(state) {
            if operation.cell == .life, operations.contains(where: { $0.cell == .life }) {
                continue
            }
            operations.append(operation)
        }
        guard !operations.isEmpty else { return false }
        try replica.checkMayWrite(table, in: lane.record.scope)
        try Self.check(operations)
        for key in operations.map(\.cell) where key != .life {
            try hold(state[key], at: key, table, id)
        }
        let name = try name(table, id)
        var wires = try operations.map { operation throws(StoreError) in
            try wire(operation, table)
        }
        let subject = try subject(of: id, in: table, of: operations)
        let limits =
            operations.map(\.wireLimit) + wires.compactMap { $0?.wireLimit }
            + (subject == nil ? [] : wires.compactMap { $0 == nil ? nil : Self.sealLimit })
        try makeRoom(for: limits.reduce(name.wireLimit, +), naming: operations)
        if operations.contains(where: { $0.namedDots.contains(dot) || state[$0.cell].contains(dot) }
        ) {
            try split()
        }
        let count = operations.reduce(0) { $0 + BodyWriter.itemCount($1) }
        if let subject, let declared = rows.schema.table(id: table) {
            let columns = operations.map { operation in
                declared.column(id: operation.cell.column) ?? declared.columns[0]
            }
            // What lies in no column is not sealed.
            seal(&wires, columns, of: id, in: table, about: subject)
        }
        lane.writer.row(table: table, id: id, name: name, itemCount: count)
        for (operation, wire) in zip(operations, wires) {
            lane.writer.write(operation, as: wire)
        }
        for operation in operations { state.apply(operation, dot: dot, time: entry.time) }
        try rows.store(table, id, state, replacing: clock)
        receipt.operationCount += operations.count
        try splitIfLarge()
        return true
    }

    private func subject(
        of row: RowID, in table: UInt32, of operations: [Operation]
    ) throws(StoreError) -> PersonalSubject? {
        guard let access = rows.access(table), access.isPersonal else { return nil }
        return try subject(of: row, in: access.table) { column in
            operations.first { $0.cell.column == column.id }?.action.value
        }
    }

    static func check(_ operations: [Operation]) throws(StoreError) {
        guard Set(operations.map(\.cell)).count == operations.count else {
            throw .invalid("one change names a column twice")
        }
        guard operations.allSatisfy({ $0.dotCount <= Limits.dotsPerOperation }) else {
            throw .invalid(
                "a row with more than \(Limits.dotsPerOperation) values can't be changed so")
        }
    }

    func wire(
        _ operation: Operation, _ table: UInt32
    ) throws(StoreError) -> WireValue? {
        guard let value = operation.action.value, operation.cell.element.isEmpty else { return nil }
        guard let column = rows.schema.table(id: table)?.column(id: operation.cell.column),
            column.isRegister
        else { return .plain(value) }
        return try wire(value, column)
    }
}
