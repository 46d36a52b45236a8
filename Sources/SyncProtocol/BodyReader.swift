public import Causality
internal import Merge

/// Reads the changesets of one body in turn, and derives the ids that were not sent.
public struct BodyReader: Sendable {
    public let stream: StreamID
    public let previousRun: Digest?
    public let namespace: [UInt8]
    private var decoder: CBORDecoder
    private var nextSeq: UInt64

    /// Of the last changeset that was read; 0 before the first.
    public private(set) var lastTime = HybridTime(rawValue: 0)
    /// What a number of a stream stands for.
    public private(set) var streams: [StreamID]
    private(set) var rows: [RowID] = []

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
    public init(
        body: [UInt8], stream: StreamID, firstSeq: UInt64, previousRun: Digest?,
        streams: [StreamID], namespace: [UInt8]
    ) {
        decoder = CBORDecoder(body)
        nextSeq = firstSeq
        self.stream = stream
        self.previousRun = previousRun
        self.streams = streams
        self.namespace = namespace
        dot = Dot(stream, firstSeq)
    }

    /// Goes on with a further piece of the same run: the tail is kept a changeset at a time.
    public mutating func append(_ body: [UInt8], newStreams: [StreamID]) {
        decoder = CBORDecoder(body)
        streams += newStreams
    }

    /// The next changeset, or `nil` at the end of the body.
    public mutating func next() throws(CBORError) -> Changeset? {
        guard !decoder.isAtEnd else { return nil }
        let start = decoder.offset
        dot = Dot(stream, nextSeq)
        var itemCount = try decoder.array()
        guard itemCount >= 1 else { throw decoder.error(.invalid) }
        try readTime(&itemCount)
        guard itemCount >= 1 else { throw decoder.error(.invalid) }
        var changeset = Changeset(dot: dot, time: time)
        try readMeta(into: &changeset)
        newRows = nil
        newRowCount = 0
        changeset.rows.reserveCapacity(itemCount - 1)
        for _ in 1..<itemCount { changeset.rows.append(try row()) }
        try Self.check(changeset.rows, decoder)
        guard decoder.offset - start <= Limits.changesetBytes else {
            throw decoder.error(.tooLong)
        }
        lastTime = time
        nextSeq += 1
        return changeset
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
            default: try decoder.skip()
            }
        }
        changeset.author = author ?? ""
        changeset.claimedMilliseconds = claimed ?? time.milliseconds
        changeset.action = action
        changeset.source = source ?? ""
    }

    private mutating func row() throws(CBORError) -> RowChange {
        let itemCount = try decoder.array()
        guard itemCount >= 3 else { throw decoder.error(.invalid) }
        let table = try decoder.unsigned32()
        var change = try rowName(table: table)
        var left = itemCount - 2
        change.operations.reserveCapacity(left / 2)
        while left > 0 {
            let code = try decoder.unsigned()
            guard let shape = Shape(rawValue: code & 15), shape.itemCount <= left,
                let column = UInt32(exactly: code >> 4), shape.isAllowed(in: column)
            else { throw decoder.error(.invalid) }
            let operation = try operation(column: column, shape)
            change.operations.append(operation)
            left -= shape.itemCount
        }
        try Self.check(change.operations, decoder)
        return change
    }

    /// At most one op for each cell.
    private static func check(
        _ operations: [Operation], _ decoder: CBORDecoder
    ) throws(CBORError) {
        // Rows are short nearly always; a long one must not cost the square of its length.
        let isLong = operations.count > 16
        let isDoubled =
            isLong
            ? Set(operations.map(\.cell)).count < operations.count
            : operations.indices.contains { index in
                operations[..<index].contains { $0.cell == operations[index].cell }
            }
        guard !isDoubled else { throw decoder.error(.invalid) }
    }

    /// At most one op for each cell also where a row is named more than once.
    private static func check(
        _ rows: [RowChange], _ decoder: CBORDecoder
    ) throws(CBORError) {
        // The ids of new rows are derived one after another, and can't meet by chance.
        guard rows.count > 1, rows.contains(where: { !$0.isNew }) else { return }
        var places: [RowPlace: Int] = [:]
        places.reserveCapacity(rows.count)
        var cells: [RowPlace: Set<CellKey>] = [:]
        for (index, row) in rows.enumerated() {
            let place = RowPlace(table: row.table, row: row.row)
            guard let first = places.updateValue(index, forKey: place) else { continue }
            var known = cells[place] ?? Set(rows[first].operations.map(\.cell))
            for operation in row.operations {
                guard known.insert(operation.cell).inserted else { throw decoder.error(.invalid) }
            }
            cells[place] = known
        }
    }

    private struct RowPlace: Hashable {
        var table: UInt32
        var row: RowID
    }

    private mutating func rowName(table: UInt32) throws(CBORError) -> RowChange {
        switch try decoder.peek() {
        case .null:
            try decoder.null()
            guard newRowCount < NewRowIDs.limit else { throw decoder.error(.tooLong) }
            let ids = newRows ?? NewRowIDs(dot: dot, time: time, previousRun: previousRun)
            newRows = ids
            newRowCount += 1
            return RowChange(table: table, row: ids[newRowCount - 1], isNew: true)
        case .unsigned: return RowChange(table: table, row: try numberedRow())
        case .array:
            let key = try decoder.scalars(try decoder.array())
            let row = RowID(namespace: namespace, table: table, key: key)
            rows.append(row)
            return RowChange(table: table, row: row)
        case .blob: return RowChange(table: table, row: try wholeRow())
        default: throw decoder.error(.unexpectedType)
        }
    }

    private mutating func numberedRow() throws(CBORError) -> RowID {
        let number = try decoder.unsigned()
        guard number < UInt64(rows.count) else { throw decoder.error(.outOfRange) }
        return rows[Int(number)]
    }

    private mutating func wholeRow() throws(CBORError) -> RowID {
        let row = RowID(Identifier(try decoder.blob(count: 16))!)
        rows.append(row)
        return row
    }

    private mutating func operation(
        column: UInt32, _ shape: Shape
    ) throws(CBORError) -> Operation {
        switch shape {
        case .put: return Operation(CellKey(column), .put(try value()))
        case .putOver:
            let value = try value()
            return Operation(CellKey(column), .put(value), over: try dots())
        case .resolve:
            let value = try value()
            let over = try dots()
            return Operation(CellKey(column), .resolve(value, covers: try dots()), over: over)
        case .retract: return Operation(CellKey(column), .retract, over: try dots())
        case .delete:
            let over = try dots()
            return Operation(CellKey(column), .delete(covers: try covers()), over: over)
        case .add: return Operation(try element(column), .put(.null))
        case .addOver:
            let cell = try element(column)
            return Operation(cell, .put(.null), over: try dots())
        case .remove:
            let cell = try element(column)
            return Operation(cell, .retract, over: try dots())
        }
    }

    private mutating func element(_ column: UInt32) throws(CBORError) -> CellKey {
        CellKey(column, element: try decoder.value().canonicalBytes)
    }

    private mutating func value() throws(CBORError) -> Value {
        guard try decoder.peek() == .array else { return try decoder.scalar() }
        let count = try decoder.array()
        guard count >= 1 else { throw decoder.error(.invalid) }
        switch try decoder.unsigned() {
        case 0: return .composite(try decoder.scalars(count - 1))
        case 1 where count >= 2:
            let table = try decoder.unsigned32()
            let key = try decoder.scalars(count - 2)
            let row = RowID(namespace: namespace, table: table, key: key)
            rows.append(row)
            return .blob(row.identifier.bytes)
        case 2 where count == 2:
            let row = try decoder.peek() == .blob ? try wholeRow() : try numberedRow()
            return .blob(row.identifier.bytes)
        case 3 where count == 2:
            let distance = try decoder.integer()
            let (sum, overflow) = time.milliseconds.addingReportingOverflow(distance)
            guard !overflow else { throw decoder.error(.outOfRange) }
            return .integer(sum)
        default: throw decoder.error(.invalid)
        }
    }

    private mutating func readDot(_ left: inout Int) throws(CBORError) -> Dot {
        let head = try decoder.unsigned()
        left -= 1
        if head & 1 == 0 {
            let distance = head >> 1
            guard (1..<dot.seq).contains(distance) else { throw decoder.error(.outOfRange) }
            return Dot(stream, dot.seq - distance)
        }
        guard left > 0, head >> 1 < UInt64(streams.count) else { throw decoder.error(.outOfRange) }
        let other = streams[Int(head >> 1)]
        // By a number an op could name what comes after it in its own stream.
        guard other != stream else { throw decoder.error(.invalid) }
        let seq = try decoder.unsigned()
        left -= 1
        guard seq > 0, seq <= UInt64(Int64.max) else { throw decoder.error(.outOfRange) }
        return Dot(other, seq)
    }

    private mutating func dots() throws(CBORError) -> [Dot] {
        var left = try decoder.array(limit: 2 * Limits.dotsPerOperation)
        var dots: [Dot] = []
        while left > 0 { dots.append(try readDot(&left)) }
        return dots
    }

    private mutating func covers() throws(CBORError) -> [CellDot] {
        var covers: [CellDot] = []
        for _ in 0..<(try decoder.array()) {
            var left = try decoder.array()
            guard left > 0 else { throw decoder.error(.invalid) }
            let dot = try readDot(&left)
            guard covers.count + left <= Limits.dotsPerOperation else {
                throw decoder.error(.tooLong)
            }
            while left > 0 {
                if try decoder.peek() == .array {
                    try decoder.array(count: 2)
                    covers.append(CellDot(try element(try decoder.unsigned32()), dot))
                } else {
                    covers.append(CellDot(CellKey(try decoder.unsigned32()), dot))
                }
                left -= 1
            }
        }
        return covers.sorted()
    }
}
