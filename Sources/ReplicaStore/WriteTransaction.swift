public import Causality
public import Merge
public import RecordSchema
internal import SyncProtocol

/// The changesets that one transaction made: what may be printed as done.
public struct WriteReceipt: Hashable, Sendable {
    /// In order; empty when nothing had to be written.
    public var dots: [Dot] = []
    public var operationCount = 0

    public init() {}
}

/// The typed writes of one transaction. Valid inside of ``Replica/write(author:claimed:_:)`` only.
///
/// A transaction is one changeset, unless it grows over what a changeset may hold or writes one
/// cell twice; then it is several, with a common action id, and still atomic here.
public final class WriteTransaction {
    private let replica: Replica
    private let author: String
    private let claimedMilliseconds: Int64?
    private var rows: RowStore { replica.rows }
    private var isOpen = false
    private var entry = RowClock.Entry(sid: 0, seq: 0, time: HybridTime(rawValue: 0))
    private var dot = Dot(StreamID(Identifier(high: 0, low: 0)), 0)
    private var action: Identifier?
    private var keys: [RowID: [Value]?] = [:]
    private(set) var receipt = WriteReceipt()

    /// A changeset is ended once it has grown to this many bytes.
    private static let changesetGoalBytes = Limits.changesetBytes / 2

    init(_ replica: Replica, author: String, claimedMilliseconds: Int64?) {
        self.replica = replica
        self.author = author
        self.claimedMilliseconds = claimedMilliseconds
    }

    // MARK: Changesets

    private func begin() throws(StoreError) {
        guard !isOpen else { return }
        if replica.isTailFull { try replica.sealTail() }
        let time = replica.clock.next(wallMilliseconds: replica.environment.wallMilliseconds())
        dot = Dot(replica.own.stream, replica.own.head + 1)
        entry = RowClock.Entry(sid: replica.own.sid, seq: dot.seq, time: time)
        replica.writer.begin(seq: dot.seq, time: time)
        isOpen = true
    }

    /// Ends the changeset under way.
    func end() throws(StoreError) {
        guard isOpen else { return }
        isOpen = false
        guard !replica.writer.isEmpty else { return replica.writer.abandon() }
        let (body, streams) = replica.writer.finish(
            author: author, claimedMilliseconds: claimedMilliseconds ?? entry.time.milliseconds,
            action: action)
        guard body.count <= Limits.changesetBytes else {
            throw .invalid(
                "one row's change takes \(body.count) bytes; the most is \(Limits.changesetBytes)")
        }
        try replica.appendToTail(body, newStreams: streams)
        receipt.dots.append(dot)
    }

    /// Goes on in a further changeset of the same action.
    private func split() throws(StoreError) {
        if action == nil {
            action = Identifier(
                Digest(.newRows, Array("action".utf8), Array(dot.description.utf8)).bytes
                    .prefix(16))
        }
        try end()
        try begin()
    }

    private func splitIfLarge() throws(StoreError) {
        if replica.writer.count > Self.changesetGoalBytes { try split() }
    }

    /// Ends the changeset when a row's change might not fit into it any more. Nothing of the
    /// change has been written yet, so that whoever catches the error may go on.
    ///
    /// - Parameter byteCount: the most that the change may take.
    private func makeRoom(for byteCount: Int) throws(StoreError) {
        guard byteCount <= Self.rowGoalBytes else {
            throw .invalid(
                "one row's change takes up to \(byteCount) bytes; the most is "
                    + "\(Self.rowGoalBytes)")
        }
        try begin()
        if replica.writer.count + byteCount > Self.rowGoalBytes { try split() }
    }

    /// What one row's change may take: a changeset without its head, in bytes.
    private static let rowGoalBytes = Limits.changesetBytes - 512

    // MARK: New rows

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
        var id = replica.writer.makeRowID()
        if id == nil {
            try split()
            id = replica.writer.makeRowID()
        }
        guard let id else { throw StoreError.invalid("a changeset creates too many rows") }
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

    private func wires(
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

    private func insert(
        _ access: TableAccess, _ id: RowID, _ name: RowName, _ values: [Value?],
        _ wires: [(column: UInt32, value: WireValue)]
    ) throws(StoreError) {
        let columns = access.table.columns
        replica.writer.row(
            table: access.table.id, id: id, name: name,
            itemCount: wires.count * BodyWriter.putItemCount)
        for wire in wires { replica.writer.put(column: wire.column, wire.value) }
        if columns.indices.allSatisfy({ values[$0].map(columns[$0].keeps) ?? true }) {
            try rows.insert(access, id, values, entry)
        } else {
            try store(access.table.id, id, puts(values, columns))
        }
        receipt.operationCount += wires.count
        try splitIfLarge()
    }

    private func puts(_ values: [Value?], _ columns: [Column]) -> [Operation] {
        zip(columns, values).compactMap { column, value in
            value.map { Operation(CellKey(column.id), .put($0)) }
        }
    }

    /// Puts into a row of which nothing is known.
    private func store(
        _ table: UInt32, _ id: RowID, _ operations: [Operation]
    ) throws(StoreError) {
        var state = RowState()
        for operation in operations { state.apply(operation, dot: dot, time: entry.time) }
        try rows.store(table, id, state, replacing: nil)
    }

    private func access(_ table: Table) throws(StoreError) -> TableAccess {
        guard let access = rows.access(table.id), access.table.name == table.name,
            access.table.columns.count == table.columns.count
        else {
            throw .invalid("this replica's schema has no such table \(table.name)")
        }
        return access
    }

    private func check(_ values: [Value?], in table: Table) throws(StoreError) {
        guard values.count == table.columns.count else {
            throw .invalid("\(table.name) has \(table.columns.count) columns")
        }
        for (place, value) in values.enumerated() {
            guard let value else { continue }
            let column = table.columns[place]
            guard !column.isSet else {
                throw .invalid("\(table.name).\(column.name) is a set: add its elements")
            }
            try check(value, column, table)
        }
        guard values.contains(where: { $0 != nil }) else {
            throw .invalid("a new row of \(table.name) needs a value")
        }
    }

    private func check(_ value: Value, _ column: Column, _ table: Table) throws(StoreError) {
        guard column.accepts(value) else {
            throw .invalid("\(table.name).\(column.name) doesn't take \(value.kindForPeople)")
        }
        guard value.byteCount <= Limits.valueBytes else {
            throw .invalid(
                "\(table.name).\(column.name): a value has at most \(Limits.valueBytes) bytes, "
                    + "and this one \(value.byteCount)")
        }
    }

    // MARK: Existing rows

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
            guard !column.isSet else {
                throw StoreError.invalid("\(table.name).\(column.name) is a set: add its elements")
            }
            try check(value, column, table)
        }
        let clock = try rows.clock(table.id, id)
        if basis == nil, let clock, !clock.hasExtras, !clock.isHidden,
            values.allSatisfy({ $0.0.keeps($0.1) }),
            let changed = try setPlain(access, id, clock, values)
        {
            return changed
        }
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

    /// The common case: each cell holds one plain value. `nil` when a cell was written by this
    /// changeset, so that a further one is needed.
    private func setPlain(
        _ access: TableAccess, _ id: RowID, _ clock: RowClock, _ values: [(Column, Value)]
    ) throws(StoreError) -> Bool? {
        guard let shown = try access.values(id) else {
            throw rows.damaged("row \(id) of \(access.table.name) is gone")
        }
        var cells: [(column: UInt32, value: Value)] = []
        var operations: [(Operation, WireValue)] = []
        for (column, value) in values {
            guard let place = access.place(of: column.id),
                !cells.contains(where: { $0.column == column.id })
            else { return nil }
            var over: [Dot] = []
            if let current = clock[column.id] {
                if shown[place] == value { continue }
                if isOpen, current.sid == entry.sid, current.seq == entry.seq { return nil }
                over = [try rows.dot(current)]
            }
            cells.append((column.id, value))
            operations.append(
                (Operation(CellKey(column.id), .put(value), over: over), try wire(value, column)))
        }
        guard !cells.isEmpty else { return false }
        let name = try name(access.table.id, id)
        let count = operations.reduce(0) { $0 + BodyWriter.itemCount($1.0) }
        try makeRoom(
            for: operations.reduce(name.wireLimit) { $0 + $1.0.wireLimit + $1.1.wireLimit })
        replica.writer.row(table: access.table.id, id: id, name: name, itemCount: count)
        for (operation, wire) in operations { replica.writer.write(operation, as: wire) }
        try rows.update(access, id, clock, cells, entry)
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

    private func change(
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
        try makeRoom(
            for: zip(operations, wires).reduce(name.wireLimit) {
                $0 + $1.0.wireLimit + ($1.1?.wireLimit ?? 0)
            })
        if operations.contains(where: { $0.names(dot) || state[$0.cell].contains(dot) }) {
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

    private static func check(_ operations: [Operation]) throws(StoreError) {
        guard Set(operations.map(\.cell)).count == operations.count else {
            throw .invalid("one change names a column twice")
        }
        guard operations.allSatisfy({ $0.dotCount <= Limits.dotsPerOperation }) else {
            throw .invalid(
                "a row with more than \(Limits.dotsPerOperation) values can't be changed so")
        }
    }

    private func wire(
        _ operation: Operation, _ table: UInt32
    ) throws(StoreError) -> WireValue? {
        guard let value = operation.action.value, operation.cell.element.isEmpty else { return nil }
        guard let column = rows.schema.table(id: table)?.column(id: operation.cell.column),
            !column.isSet
        else { return .plain(value) }
        return try wire(value, column)
    }

    // MARK: Shorter on the wire

    /// A value in the form in which it travels best.
    private func wire(_ value: Value, _ column: Column) throws(StoreError) -> WireValue {
        switch (column.shape, value) {
        case (.register(.time), .integer(let milliseconds)): return .time(milliseconds)
        case (.register(.reference(let table)), .blob(let bytes)):
            let id = RowID(Identifier(bytes)!)
            if let key = try naturalKey(table, id) { return .keyed(id, table: table, key: key) }
            return .row(id)
        default: return .plain(value)
        }
    }

    private func name(_ table: UInt32, _ id: RowID) throws(StoreError) -> RowName {
        try naturalKey(table, id).map(RowName.keyed) ?? .whole
    }

    /// The natural key that `id` is derived from, as far as the row shows it.
    private func naturalKey(_ table: UInt32, _ id: RowID) throws(StoreError) -> [Value]? {
        if let key = keys[id] { return key }
        guard let access = rows.access(table), !access.table.naturalKey.isEmpty else { return nil }
        var key: [Value]?
        if let values = try access.values(id) {
            let found = access.table.keyColumns.compactMap { column in
                access.place(of: column.id).map { values[$0] }
            }
            if rows.schema.rowID(in: access.table, key: found) == id { key = found }
        }
        keys[id] = .some(key)
        return key
    }
}

extension Value {
    /// What to call it in a message.
    var kindForPeople: String {
        switch self {
        case .null: "nothing"
        case .integer: "a whole number"
        case .real: "a number with a fraction"
        case .text: "a text"
        case .blob: "bytes"
        case .composite: "several values"
        }
    }

    /// The bytes of its texts and blobs.
    var byteCount: Int {
        switch self {
        case .text(let text): text.utf8.count
        case .blob(let bytes): bytes.count
        case .composite(let parts): parts.reduce(0) { $0 + $1.byteCount }
        default: 8
        }
    }
}

extension Replica {
    /// Writes records in one transaction. When this returns, they are on disk.
    ///
    /// What other programs wrote to the file is taken in first, so that none of it is overwritten.
    ///
    /// - Parameters:
    ///   - author: the person recording; empty when nobody was named.
    ///   - claimed: when it happened, by the author's word, in milliseconds since 1970.
    /// - Throws: ``StoreError``, or what `body` throws; then nothing was written.
    @discardableResult
    public func write<T>(
        author: String = "", claimed: Int64? = nil, _ body: (WriteTransaction) throws -> T
    ) throws -> (result: T, receipt: WriteReceipt) {
        guard author.utf8.count <= Limits.nameBytes else {
            throw StoreError.invalid("a person's name has at most \(Limits.nameBytes) bytes")
        }
        return try transaction {
            try drain()
            let transaction = WriteTransaction(
                self, author: author, claimedMilliseconds: claimed)
            let result = try body(transaction)
            try transaction.end()
            try rows.streams.update(own, in: connection)
            return (result, transaction.receipt)
        }
    }
}
