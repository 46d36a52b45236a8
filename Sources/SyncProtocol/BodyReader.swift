public import Causality
internal import Merge

/// Reads the changesets of one body in turn, and derives the ids that were not sent.
public struct BodyReader: Sendable {
    public let stream: StreamID
    public let previousRun: Digest?
    public let namespace: [UInt8]
    public let mark: ScopeMark?
    private var decoder: CBORDecoder
    private var nextSeq: UInt64

    /// Of the last changeset that was read; 0 before the first.
    public private(set) var lastTime = HybridTime(rawValue: 0)
    /// What a number of a stream stands for.
    public private(set) var streams: [StreamID]
    private(set) var rows: [RowID] = []
    /// Row items that were read.
    public private(set) var rowCount = 0

    // The changeset under way.
    private var dot: Dot
    private var time = HybridTime(rawValue: 0)
    private var newRows: NewRowIDs?
    private var newRowCount = 0

    /// - Parameters:
    ///   - body: expanded.
    ///   - firstSeq: the seq of the first changeset.
    ///   - streams: the streams of the run's deps, in their order.
    ///   - namespace: what natural keys are derived in.
    ///   - mark: what the ids of new rows end with.
    public init(
        body: [UInt8], stream: StreamID, firstSeq: UInt64, previousRun: Digest?,
        streams: [StreamID], namespace: [UInt8], mark: ScopeMark? = nil
    ) {
        decoder = CBORDecoder(body)
        nextSeq = firstSeq
        self.stream = stream
        self.previousRun = previousRun
        self.streams = streams
        self.namespace = namespace
        self.mark = mark
        dot = Dot(stream, firstSeq)
    }

    /// Goes on with a further piece of the same run: the tail is kept a changeset at a time.
    public mutating func append(_ body: [UInt8], newStreams: [StreamID]) {
        decoder = CBORDecoder(body)
        streams += newStreams
    }

    /// The next changeset, or `nil` at the end of the body.
    ///
    /// - Parameter keys: those to what it says of people.
    public mutating func next(
        _ keys: [UInt8] = [], isErased: (RowID) -> Bool = { _ in false }
    ) throws(CBORError) -> Changeset? {
        var changes = RunChanges(bytes: decoder.bytes)
        guard try next(into: &changes) else { return nil }
        _ = try changes.order()
        changes.open(keys, isErased: isErased)
        return changes.changesets[0]
    }

    /// The changesets up to the end of the body, in a form in which they can be opened.
    public mutating func nextChanges() throws(CBORError) -> RunChanges {
        var changes = RunChanges(bytes: decoder.bytes)
        while try next(into: &changes) {}
        return changes
    }

    /// Passes over the next changeset, and keeps what later ones may refer to; `false` at the end of
    /// the body.
    public mutating func skip() throws(CBORError) -> Bool {
        var changes = RunChanges(bytes: decoder.bytes)
        return try next(into: &changes)
    }

    /// Reads the next changeset behind those that `changes` holds; `false` at the end of the body.
    /// That no changeset has two ops in a cell is held when their order is asked for.
    mutating func next(into changes: inout RunChanges) throws(CBORError) -> Bool {
        guard !decoder.isAtEnd else { return false }
        let start = decoder.offset
        dot = Dot(stream, nextSeq)
        var itemCount = try decoder.array()
        guard itemCount >= 1 else { throw decoder.error(.invalid) }
        try readTime(&itemCount)
        guard itemCount >= 1 else { throw decoder.error(.invalid) }
        var head = Changeset(dot: dot, time: time)
        try readMeta(into: &head)
        changes.begin(head)
        newRows = nil
        newRowCount = 0
        rowCount += itemCount - 1
        for _ in 1..<itemCount { try row(into: &changes) }
        guard decoder.offset - start <= Limits.changesetBytes else {
            throw decoder.error(.tooLong)
        }
        lastTime = time
        nextSeq += 1
        return true
    }

    private mutating func readTime(_ itemCount: inout Int) throws(CBORError) {
        let head = try decoder.unsigned()
        itemCount -= 1
        var counter: UInt64 = 0
        if head & 1 == 1 {
            guard itemCount >= 1 else { throw decoder.error(.invalid) }
            counter = try decoder.unsigned()
            itemCount -= 1
            guard (1..<1 << 16).contains(counter) else { throw decoder.error(.outOfRange) }
        }
        let (milliseconds, overflow) = (lastTime.rawValue >> 16).addingReportingOverflow(head >> 1)
        guard !overflow, milliseconds < 1 << 48 else { throw decoder.error(.outOfRange) }
        time = HybridTime(rawValue: milliseconds << 16 | counter)
        guard time > lastTime else { throw decoder.error(.invalid) }
    }

    private mutating func readMeta(into changeset: inout Changeset) throws(CBORError) {
        guard try !decoder.nullIfNext() else { return }
        var (author, claimed): (String?, Int64?) = (nil, nil)
        var (action, source): (Identifier?, String?) = (nil, nil)
        try decoder.map { (key, decoder) throws(CBORError) in
            switch key {
            case 0: author = try decoder.text(limit: Limits.nameBytes)
            case 1: claimed = try decoder.integer()
            case 2: action = Identifier(try decoder.blob(count: 16))
            case 3: source = try decoder.text(limit: Limits.nameBytes)
            // Bodies with others have another encoding: what is passed over can't be held against anything.
            default: throw decoder.error(.unknownKey)
            }
        }
        changeset.author = author ?? ""
        changeset.claimedMilliseconds = claimed ?? time.milliseconds
        changeset.action = action
        changeset.source = source ?? ""
    }

    private mutating func row(into changes: inout RunChanges) throws(CBORError) {
        let itemCount = try decoder.array()
        guard itemCount >= 3 else { throw decoder.error(.invalid) }
        let table = try decoder.unsigned32()
        let (row, isNew) = try rowName(table: table)
        changes.begin(table: table, row: row, isNew: isNew)
        var left = itemCount - 2
        while left > 0 {
            let code = try decoder.unsigned()
            guard let shape = Shape(rawValue: code & 15), shape.itemCount <= left,
                let column = UInt32(exactly: code >> 4), shape.isAllowed(in: column)
            else { throw decoder.error(.invalid) }
            try operation(column: column, shape, into: &changes)
            left -= shape.itemCount
        }
        guard changes.endRow() else { throw decoder.error(.invalid) }
    }

    private mutating func rowName(
        table: UInt32
    ) throws(CBORError) -> (row: RowID, isNew: Bool) {
        switch try decoder.peek() {
        case .null:
            try decoder.null()
            guard newRowCount < NewRowIDs.limit else { throw decoder.error(.tooLong) }
            let ids =
                newRows ?? NewRowIDs(dot: dot, time: time, previousRun: previousRun, mark: mark)
            newRows = ids
            newRowCount += 1
            return (ids[newRowCount - 1], true)
        case .unsigned: return (try numberedRow(), false)
        case .array:
            let key = try decoder.scalars(try decoder.array())
            let row = RowID(namespace: namespace, table: table, key: key)
            rows.append(row)
            return (row, false)
        case .blob: return (try wholeRow(), false)
        default: throw decoder.error(.unexpectedType)
        }
    }

    private mutating func numberedRow() throws(CBORError) -> RowID {
        let number = try decoder.unsigned()
        guard number < UInt64(rows.count) else { throw decoder.error(.outOfRange) }
        return rows[Int(number)]
    }

    private mutating func wholeRow() throws(CBORError) -> RowID {
        let row = RowID(try decoder.identifier())
        rows.append(row)
        return row
    }

    /// A put of a plain value goes into the flat lists as it lies; any other op as a value.
    private mutating func operation(
        column: UInt32, _ shape: Shape, into changes: inout RunChanges
    ) throws(CBORError) {
        switch shape {
        case .put: _ = try put(column, into: &changes)
        case .putOver:
            if try put(column, into: &changes) {
                var left = try decoder.array(limit: 2 * Limits.dotsPerOperation)
                while left > 0 {
                    changes.replace(try decoder.dot(before: dot, streams: streams, &left))
                }
            } else {
                changes.replace(try dots())
            }
        case .resolve:
            let value = try value()
            let over = try dots()
            changes.append(
                Operation(CellKey(column), .resolve(value, covers: try dots()), over: over))
        case .retract: changes.append(Operation(CellKey(column), .retract, over: try dots()))
        case .delete:
            let over = try dots()
            changes.append(Operation(CellKey(column), .delete(covers: try covers()), over: over))
        case .add: changes.append(Operation(try element(column), .put(.null)))
        case .addOver:
            let cell = try element(column)
            changes.append(Operation(cell, .put(.null), over: try dots()))
        case .remove:
            let cell = try element(column)
            changes.append(Operation(cell, .retract, over: try dots()))
        }
    }

    /// - Returns: whether the value is a plain one.
    private mutating func put(
        _ column: UInt32, into changes: inout RunChanges
    ) throws(CBORError) -> Bool {
        guard try decoder.peek() == .array else {
            let plain = try decoder.plain()
            changes.put(column, plain.kind, plain.payload)
            return true
        }
        let (count, tag) = try valueHead()
        switch tag {
        case 1, 2: changes.put(column, try reference(count, tag))
        case 3: changes.put(column, .integer, UInt64(bitPattern: try timeAtDistance(count)))
        case 4: changes.put(column, .sealed(try decoder.sealed(count)))
        default:
            let value = try composite(count, tag)
            changes.append(Operation(CellKey(column), .put(value)))
            return false
        }
        return true
    }

    private mutating func element(_ column: UInt32) throws(CBORError) -> CellKey {
        let element = try decoder.value()
        guard !element.isUnreadable else { throw decoder.error(.invalid) }
        return CellKey(column, element: element.canonicalBytes)
    }

    private mutating func value() throws(CBORError) -> Value {
        guard try decoder.peek() == .array else { return try decoder.scalar() }
        let (count, tag) = try valueHead()
        switch tag {
        case 1, 2: return .blob(try reference(count, tag).identifier.bytes)
        case 3: return .integer(try timeAtDistance(count))
        case 4: return .sealed(try decoder.sealed(count))
        default: return try composite(count, tag)
        }
    }

    /// How many items a value of several has, and what it is.
    private mutating func valueHead() throws(CBORError) -> (count: Int, tag: UInt64) {
        let count = try decoder.array()
        guard count >= 1 else { throw decoder.error(.invalid) }
        return (count, try decoder.unsigned())
    }

    private mutating func composite(_ count: Int, _ tag: UInt64) throws(CBORError) -> Value {
        guard tag == 0 else { throw decoder.error(.invalid) }
        return .composite(try decoder.scalars(count - 1))
    }

    private mutating func reference(_ count: Int, _ tag: UInt64) throws(CBORError) -> RowID {
        guard tag == 2 else {
            guard count >= 2 else { throw decoder.error(.invalid) }
            let table = try decoder.unsigned32()
            let key = try decoder.scalars(count - 2)
            let row = RowID(namespace: namespace, table: table, key: key)
            rows.append(row)
            return row
        }
        guard count == 2 else { throw decoder.error(.invalid) }
        return try decoder.peek() == .blob ? try wholeRow() : try numberedRow()
    }

    private mutating func timeAtDistance(_ count: Int) throws(CBORError) -> Int64 {
        guard count == 2 else { throw decoder.error(.invalid) }
        let distance = try decoder.integer()
        let (sum, overflow) = time.milliseconds.addingReportingOverflow(distance)
        guard !overflow else { throw decoder.error(.outOfRange) }
        return sum
    }

    private mutating func dots() throws(CBORError) -> [Dot] {
        var left = try decoder.array(limit: 2 * Limits.dotsPerOperation)
        var dots: [Dot] = []
        while left > 0 { dots.append(try decoder.dot(before: dot, streams: streams, &left)) }
        return dots
    }

    private mutating func covers() throws(CBORError) -> [CellDot] {
        try decoder.covers(before: dot, streams: streams)
    }
}
