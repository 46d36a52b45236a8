public import Causality
public import Merge

/// The changesets of a run as a replica takes them in: a flat list of changes and one of ops, whose
/// texts and blobs lie in the body. Nothing is allocated for a row or for an op of one plain value.
///
/// ``changesets`` gives the same as values of their own.
public struct RunChanges: Sendable {
    /// What one changeset does to one row.
    public struct Change: Sendable {
        public var table: UInt32
        public var row: RowID
        /// The changeset creates this row, and the id is derived from its dot.
        public var isNew: Bool
        /// The place of its changeset in the run.
        public var changeset: Int
        public fileprivate(set) var operations: Range<Int>
    }

    /// What an op does, told by its value where that is a plain one.
    public enum Kind: UInt8, Sendable {
        case null, integer, real, text, blob
        /// The id of a row: a blob of 16 bytes.
        case row
        /// A text or a blob that lies in a list of its own.
        case value
        /// Any op: it lies in a list of its own.
        case other
    }

    /// A put of one plain value, or the place of another op.
    public struct Op: Sendable {
        public var column: UInt32
        public fileprivate(set) var kind: Kind
        /// A number's bits; else a place: the offset in the body above the count of bytes.
        public fileprivate(set) var payload: UInt64
        public fileprivate(set) var firstOver: UInt32
        public fileprivate(set) var overCount: UInt32

        @inlinable
        public var integer: Int64 { Int64(bitPattern: payload) }
        @inlinable
        public var real: Double { Double(bitPattern: payload) }
        /// Where a text or a blob lies in the body.
        @inlinable
        public var range: Range<Int> {
            let start = Int(payload >> 32)
            return start..<start + Int(payload & 0xffff_ffff)
        }
    }

    /// The body, expanded.
    public let bytes: [UInt8]
    /// The changesets without their rows.
    public private(set) var heads: [Changeset] = []
    public private(set) var changes: [Change] = []
    public private(set) var ops: [Op] = []
    private var dots: [Dot] = []
    private var rowIDs: [RowID] = []
    private var values: [Value] = []
    private var others: [Operation] = []
    /// The places of sealed values in ``ops``.
    private var sealedOps: [Int] = []

    init(bytes: [UInt8]) { self.bytes = bytes }

    /// The same as values of their own: for changesets that are not as a body has them.
    public init(_ changesets: [Changeset]) {
        self.init(bytes: [])
        for changeset in changesets {
            var head = changeset
            head.rows = []
            begin(head)
            for row in changeset.rows {
                begin(table: row.table, row: row.row, isNew: row.isNew)
                for operation in row.operations { append(operation) }
                _ = endRow()
            }
        }
    }

    // MARK: Reading

    /// The dots that an op replaces.
    public func over(_ op: Op) -> ArraySlice<Dot> {
        dots[Int(op.firstOver)..<Int(op.firstOver + op.overCount)]
    }

    /// An op as a value of its own.
    public func operation(_ op: Op) -> Operation {
        guard op.kind != .other else { return others[Int(op.payload)] }
        let cell = CellKey(op.column)
        return Operation(
            cell, .put(value(op)), over: op.overCount == 0 ? [] : Array(over(op)))
    }

    /// The value of an op that is not ``Kind/other``.
    public func value(_ op: Op) -> Value {
        switch op.kind {
        case .null, .other: .null
        case .value: values[Int(op.payload)]
        case .integer: .integer(op.integer)
        case .real: .real(op.real)
        case .text: .text(String(decoding: bytes[op.range], as: UTF8.self))
        case .blob: .blob(Array(bytes[op.range]))
        case .row: .blob(row(op).identifier.bytes)
        }
    }

    /// The id that an op of ``Kind/row`` holds.
    public func row(_ op: Op) -> RowID { rowIDs[Int(op.payload)] }

    /// A change as a value of its own.
    public func rowChange(_ change: Change) -> RowChange {
        RowChange(
            table: change.table, row: change.row, isNew: change.isNew,
            operations: change.operations.map { operation(ops[$0]) })
    }

    /// All changesets as values of their own.
    public var changesets: [Changeset] {
        var changesets = heads
        for change in changes { changesets[change.changeset].rows.append(rowChange(change)) }
        return changesets
    }

    /// Whether every dot of another stream than `own` lies at or below that stream's head.
    func namesOnly(_ heads: VersionVector, besides own: StreamID) -> Bool {
        func isKnown(_ dot: Dot) -> Bool { dot.stream == own || heads.contains(dot) }
        return dots.allSatisfy(isKnown)
            && others.allSatisfy { operation in
                guard operation.over.allSatisfy(isKnown) else { return false }
                return switch operation.action {
                case .put, .retract: true
                case .resolve(_, let covers): covers.allSatisfy(isKnown)
                case .delete(let covers): covers.allSatisfy { isKnown($0.dot) }
                }
            }
    }

    // MARK: Making

    mutating func begin(_ head: Changeset) { heads.append(head) }

    mutating func begin(table: UInt32, row: RowID, isNew: Bool) {
        changes.append(
            Change(
                table: table, row: row, isNew: isNew, changeset: heads.count - 1,
                operations: ops.count..<ops.count))
    }

    /// A put of a plain value, without what it replaces.
    mutating func put(_ column: UInt32, _ kind: Kind, _ payload: UInt64) {
        ops.append(
            Op(
                column: column, kind: kind, payload: payload, firstOver: UInt32(dots.count),
                overCount: 0))
    }

    /// As above, with the value as it is; a composite is no plain value.
    mutating func put(_ column: UInt32, _ value: Value) {
        switch value {
        case .null: put(column, .null, 0)
        case .integer(let number): put(column, .integer, UInt64(bitPattern: number))
        case .real(let number): put(column, .real, number.bitPattern)
        case .text, .blob, .sealed, .erased:
            if value.isUnreadable { sealedOps.append(ops.count) }
            put(column, .value, UInt64(values.count))
            values.append(value)
        case .composite: append(Operation(CellKey(column), .put(value)))
        }
    }

    /// The dots that the last op replaces, whatever it is.
    mutating func replaceWithLast(_ dots: [Dot]) {
        if ops[ops.count - 1].kind == .other { return replace(dots) }
        for dot in dots { replace(dot) }
    }

    mutating func put(_ column: UInt32, _ row: RowID) {
        put(column, .row, UInt64(rowIDs.count))
        rowIDs.append(row)
    }

    /// A dot that the last op replaces, a put of a plain value.
    mutating func replace(_ dot: Dot) {
        dots.append(dot)
        ops[ops.count - 1].overCount += 1
    }

    /// The dots that the last op replaces, which is another one.
    mutating func replace(_ dots: [Dot]) { others[others.count - 1].over = dots }

    /// An op that is no put of a plain value.
    mutating func append(_ operation: Operation) {
        if operation.action.value?.isUnreadable == true { sealedOps.append(ops.count) }
        put(operation.cell.column, .other, UInt64(others.count))
        others.append(operation)
    }

    /// Ends the row; `false` when it has two ops in one cell.
    mutating func endRow() -> Bool {
        let range = changes[changes.count - 1].operations.lowerBound..<ops.count
        changes[changes.count - 1].operations = range
        // Columns mostly ascend.
        for index in range.dropFirst() where ops[index].column <= ops[index - 1].column {
            return areDistinct(range)
        }
        return true
    }

    private func areDistinct(_ range: Range<Int>) -> Bool {
        guard range.count > 16 else { return areDistinctOfFew(range) }
        var cells: Set<CellKey> = []
        return range.allSatisfy { cells.insert(cell(ops[$0])).inserted }
    }

    private func areDistinctOfFew(_ range: Range<Int>) -> Bool {
        for index in range {
            for other in range.lowerBound..<index where ops[other].column == ops[index].column {
                if cell(ops[other]) == cell(ops[index]) { return false }
            }
        }
        return true
    }

    private func cell(_ op: Op) -> CellKey {
        op.kind == .other ? others[Int(op.payload)].cell : CellKey(op.column)
    }
}

// MARK: What is personal

extension RunChanges {
    /// Whether keys belong to it.
    public var isSealed: Bool { !sealedOps.isEmpty }

    /// A value that needs a key, and which of the keys that is.
    private struct Sealed {
        var op: Int
        var change: Int
        var key: Int
        var subject: RowID
        var value: SealedValue
    }

    /// The sealed values in their order, and for each key whom it is about: a changeset has one for each person, in
    /// the order in which it names them.
    private func sealed() -> (values: [Sealed], keys: [RowID]) {
        struct Person: Hashable {
            var changeset: Int
            var subject: RowID
        }
        var keys: [Person: Int] = [:]
        var subjects: [RowID] = []
        var found: [Sealed] = []
        var index = 0
        for op in sealedOps {
            while !changes[index].operations.contains(op) { index += 1 }
            let change = changes[index]
            let value = operation(ops[op]).action.value
            guard case .sealed(let value)? = value else { continue }
            let person = Person(
                changeset: change.changeset, subject: value.subject ?? change.row)
            let key = keys[person] ?? keys.count
            if key == keys.count {
                keys[person] = key
                subjects.append(person.subject)
            }
            found.append(
                Sealed(
                    op: op, change: index, key: key, subject: person.subject, value: value))
        }
        return (found, subjects)
    }

    /// Whom each of its keys is about.
    public var keySubjects: [RowID] { sealedOps.isEmpty ? [] : sealed().keys }

    /// Where sealed values lie: the change, the column, and whom each is about, as far as that is said.
    public var sealedPlaces: [(change: Change, column: UInt32, subject: RowID?)] {
        sealedOps.isEmpty
            ? []
            : sealed().values.map { (changes[$0.change], ops[$0.op].column, $0.value.subject) }
    }

    /// The changes in which something sealed is about somebody.
    public func changesOfSealed(about isMeant: (RowID) -> Bool) -> [Change] {
        sealed().values.filter { isMeant($0.subject) }.map { changes[$0.change] }
    }

    /// Puts in the place of sealed values what they say: those of people who have been erased say that.
    ///
    /// - Parameter keys: one behind the other, ``PersonalKey/missing`` where there is none; what has
    ///   another length than it needs opens nothing.
    /// - Returns: the keys that may be kept, and how many values stay sealed.
    @discardableResult
    public mutating func open(
        _ keys: [UInt8], isErased: (RowID) -> Bool
    ) -> (keys: [UInt8], unreadableCount: Int) {
        guard !sealedOps.isEmpty else { return ([], 0) }
        let (found, subjects) = sealed()
        let isComplete = keys.count == subjects.count * PersonalKey.byteCount
        // A key that opens something is worth keeping, whatever else its author has made of it.
        var kept = subjects.map { _ in false }
        var unreadableCount = 0
        for value in found {
            guard !isErased(value.subject) else {
                replace(value.op, with: .erased)
                continue
            }
            let start = value.key * PersonalKey.byteCount
            let change = changes[value.change]
            guard isComplete, let key = PersonalKey(keys[start..<start + PersonalKey.byteCount]),
                let opened = key.open(
                    value.value.box, table: change.table, row: change.row,
                    column: ops[value.op].column)
            else {
                unreadableCount += 1
                continue
            }
            kept[value.key] = true
            replace(value.op, with: opened)
        }
        var fitting: [UInt8] = []
        for (index, isKept) in kept.enumerated() {
            let start = index * PersonalKey.byteCount
            fitting +=
                isKept ? Array(keys[start..<start + PersonalKey.byteCount]) : PersonalKey.missing
        }
        return (fitting, unreadableCount)
    }

    /// Gives an op another value.
    private mutating func replace(_ index: Int, with value: Value) {
        let op = ops[index]
        guard op.kind == .other else {
            if case .composite = value {
                // It goes to where others lie, with what it replaces.
                let operation = Operation(
                    CellKey(op.column), .put(value), over: Array(over(op)))
                (ops[index].kind, ops[index].payload) = (.other, UInt64(others.count))
                ops[index].overCount = 0
                return others.append(operation)
            }
            let (kind, payload): (Kind, UInt64) =
                switch value {
                case .null: (.null, 0)
                case .integer(let number): (.integer, UInt64(bitPattern: number))
                case .real(let number): (.real, number.bitPattern)
                default: (.value, op.payload)
                }
            if kind == .value { values[Int(op.payload)] = value }
            (ops[index].kind, ops[index].payload) = (kind, payload)
            return
        }
        switch others[Int(op.payload)].action {
        case .put: others[Int(op.payload)].action = .put(value)
        case .resolve(_, let covers):
            others[Int(op.payload)].action = .resolve(value, covers: covers)
        case .retract, .delete: return
        }
    }
}

// MARK: Order

extension RunChanges {
    /// Where a change lies, by its row.
    private struct Place: Comparable {
        var table: UInt32
        var index: UInt32
        var row: RowID

        static func < (a: Self, b: Self) -> Bool {
            if a.table != b.table { return a.table < b.table }
            return a.row != b.row ? a.row < b.row : a.index < b.index
        }
    }

    /// The places in ``changes`` by row, those of one row in their order: so that neighbours in a
    /// table come after one another. `nil` when they lie so already.
    ///
    /// - Throws: ``CBORError`` when a changeset has two ops in one cell.
    public func order() throws(CBORError) -> [UInt32]? {
        var isInOrder = true
        for index in changes.indices.dropFirst() {
            let (a, b) = (changes[index - 1], changes[index])
            if a.table != b.table || !(a.row < b.row) {
                isInOrder = false
                break
            }
        }
        guard !isInOrder else { return nil }
        var places = changes.indices.map { index in
            Place(table: changes[index].table, index: UInt32(index), row: changes[index].row)
        }
        places.sort()
        try check(places)
        return places.map(\.index)
    }

    /// At most one op of a changeset for each cell, also where the changeset names a row more than
    /// once.
    private func check(_ places: [Place]) throws(CBORError) {
        var start = 0
        for end in places.indices {
            let isLast = end + 1 == places.count
            if !isLast, isSameRow(places[end], places[end + 1]) { continue }
            if end > start, !areDistinct(places[start...end]) {
                throw CBORError(.invalid, at: bytes.count)
            }
            start = end + 1
        }
    }

    private func isSameRow(_ a: Place, _ b: Place) -> Bool {
        a.row == b.row && a.table == b.table
            && changes[Int(a.index)].changeset == changes[Int(b.index)].changeset
    }

    private func areDistinct(_ places: ArraySlice<Place>) -> Bool {
        var cells: Set<CellKey> = []
        return places.allSatisfy { place in
            changes[Int(place.index)].operations.allSatisfy { cells.insert(cell(ops[$0])).inserted }
        }
    }
}
