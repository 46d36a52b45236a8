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
    /// - Returns: the row's id, and whether anything had to be written.
    @discardableResult
    public func upsert(
        _ table: Table, key: [Value], _ values: [(Column, Value)]
    ) throws -> (id: RowID, isChanged: Bool) {
        let id = rows.schema.rowID(in: table, key: key)
        let clock = try rows.clock(table.id, id)
        let isMissing = clock == nil || clock?.isHidden == true
        let others = values.filter { !table.naturalKey.contains($0.0.name) }
        let assignments = isMissing ? zip(table.keyColumns, key).map { ($0, $1) } + others : others
        keys[id] = .some(key)
        return (id, try set(table, id, assignments))
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
        let access = try access(table)
        for (column, value) in values {
            try checkIsRegister(column, table)
            try check(value, column, table)
        }
        if basis == nil, let isChanged = try setPlainly(access, id, values) { return isChanged }
        return try author(table.id, id) { state in
            var operations: [Operation] = []
            for (column, value) in values {
                let key = CellKey(column.id)
                let fold = RegisterFold(state[key], policy: column.policy)
                if fold.shown?.action.value == value, !fold.isConflict, !LifeFold(state).isHidden {
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

    /// The common case: the row's table shows all that lives of it, and each cell takes a plain
    /// value that replaces one. `nil` where it is another; then nothing was written.
    private func setPlainly(
        _ access: TableAccess, _ id: RowID, _ values: [(Column, Value)]
    ) throws(StoreError) -> Bool? {
        guard let statement = try access.find(id) else { return nil }
        var isReset = false
        defer { if !isReset { statement.reset() } }
        guard try access.readClock(of: statement, id, into: &rows.scratch),
            !rows.scratch.hasExtras
        else { return nil }
        var cells: [(column: UInt32, value: Value)] = []
        var over: [Dot?] = []
        var limit = 0
        for (column, value) in values {
            guard let place = access.place(of: column.id), access.keeps(value, at: place),
                !cells.contains(where: { $0.column == column.id })
            else { return nil }
            var replaced: Dot?
            if let current = rows.scratch[column.id] {
                if access.shows(value, at: place, of: statement) { continue }
                if isOpen, current.sid == entry.sid, current.seq == entry.seq { return nil }
                replaced = try rows.dot(current)
            }
            cells.append((column.id, value))
            over.append(replaced)
            limit += 36 + max(value.wireLimit, 18)
        }
        statement.reset()
        isReset = true
        guard !cells.isEmpty else { return false }
        return try replace(access, id, cells, over, limit: limit)
    }

    /// Puts values over the dots that the cells show.
    ///
    /// - Parameters:
    ///   - over: what each replaces, if anything.
    ///   - limit: the most that the puts take, in bytes, where none is a reference.
    private func replace(
        _ access: TableAccess, _ id: RowID, _ cells: [(column: UInt32, value: Value)],
        _ over: [Dot?], limit: Int
    ) throws(StoreError) -> Bool {
        let name: RowName =
            access.table.naturalKey.isEmpty ? .whole : try self.name(access.table.id, id)
        var wires: [WireValue?] = []
        var limit = limit + name.wireLimit
        if access.hasReferences {
            // Looking up a reference reads other rows, and may read this one.
            let clock = rows.scratch
            for cell in cells {
                guard let column = access.table.column(id: cell.column) else { return false }
                wires.append(try wire(cell.value, column))
                limit += wires.last??.wireLimit ?? 0
            }
            rows.scratch = clock
        }
        try makeRoom(for: limit, replacing: over)
        let count = over.reduce(0) {
            $0 + ($1 == nil ? BodyWriter.putItemCount : BodyWriter.putOverItemCount)
        }
        replica.writer.row(table: access.table.id, id: id, name: name, itemCount: count)
        for index in cells.indices {
            let (column, value) = cells[index]
            let place = access.place(of: column) ?? 0
            let wire: WireValue
            if !wires.isEmpty, let known = wires[index] {
                wire = known
            } else if case .time? = access.traits[place].scalar, case .integer(let time) = value {
                wire = .time(time)
            } else {
                wire = .plain(value)
            }
            replica.writer.put(column: column, wire, over: over[index])
        }
        try rows.update(access, id, &rows.scratch, cells, entry)
        receipt.operationCount += cells.count
        try splitIfLarge()
        return true
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
                    CellKey(column.id), by: amount, stream: replica.own.stream)
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
        try Self.check(operations)
        let name = try name(table, id)
        let wires = try operations.map { operation throws(StoreError) in
            try wire(operation, table)
        }
        let limits = operations.map(\.wireLimit) + wires.compactMap { $0?.wireLimit }
        try makeRoom(for: limits.reduce(name.wireLimit, +), naming: operations)
        if operations.contains(where: { $0.namedDots.contains(dot) || state[$0.cell].contains(dot) }
        ) {
            try split()
        }
        let count = operations.reduce(0) { $0 + BodyWriter.itemCount($1) }
        replica.writer.row(table: table, id: id, name: name, itemCount: count)
        for (operation, wire) in zip(operations, wires) {
            replica.writer.write(operation, as: wire)
        }
        for operation in operations { state.apply(operation, dot: dot, time: entry.time) }
        try rows.store(table, id, state, replacing: clock)
        receipt.operationCount += operations.count
        try splitIfLarge()
        return true
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
