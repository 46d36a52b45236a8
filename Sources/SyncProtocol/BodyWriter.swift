public import Causality
public import Merge

/// Writes the changesets of one run, one after another, each as bytes that are final.
///
/// What was written is never encoded again: sealing puts the pieces together. The writer keeps the
/// numbers that later changesets of the run may refer to; ``abandon()`` takes back those of a
/// changeset that was not committed.
public struct BodyWriter: Sendable {
    public let stream: StreamID
    public let previousRun: Digest?
    /// What the ids of new rows end with.
    public let mark: ScopeMark?
    /// Other streams that this run's dots name, in the order of their numbers.
    public private(set) var streams: [StreamID] = []
    private var streamNumbers: [StreamID: Int] = [:]
    private var rowNumbers: [RowID: Int] = [:]
    private var rows: [RowID] = []
    private var lastTime = HybridTime(rawValue: 0)

    // The changeset under way.
    private var encoder = CBOREncoder(reserving: 1 << 16)
    private var dot: Dot
    private var time = HybridTime(rawValue: 0)
    /// Row items of the changeset so far.
    public private(set) var rowCount = 0
    private var newRowCount = 0
    private var newRows: NewRowIDs?
    private var committed = (streams: 0, rows: 0)

    public init(stream: StreamID, previousRun: Digest?, mark: ScopeMark? = nil) {
        self.stream = stream
        self.previousRun = previousRun
        self.mark = mark
        dot = Dot(stream, 0)
    }

    /// Starts a changeset; one that was not finished is abandoned.
    public mutating func begin(seq: UInt64, time: HybridTime) {
        abandon()
        precondition(time > lastTime, "a stream's times must rise")
        dot = Dot(stream, seq)
        self.time = time
        newRows = nil
    }

    /// Forgets the changeset under way, and the numbers that it gave.
    public mutating func abandon() {
        encoder.removeAll()
        rowCount = 0
        newRowCount = 0
        while streams.count > committed.streams {
            streamNumbers[streams.removeLast()] = nil
        }
        while rows.count > committed.rows {
            rowNumbers[rows.removeLast()] = nil
        }
    }

    /// The bytes of the changeset so far, without its head.
    public var count: Int { encoder.count }
    public var isEmpty: Bool { rowCount == 0 }

    /// How many other streams of `dots` have no number in this run yet.
    public func unnamedStreams(of dots: [Dot]) -> Int {
        var unnamed: Set<StreamID> = []
        for dot in dots where dot.stream != stream && streamNumbers[dot.stream] == nil {
            unnamed.insert(dot.stream)
        }
        return unnamed.count
    }

    /// The id of the next row that this changeset creates; `nil` when it has created as many as
    /// it may.
    public mutating func makeRowID() -> RowID? {
        guard newRowCount < NewRowIDs.limit else { return nil }
        let ids =
            newRows ?? NewRowIDs(dot: dot, time: time, previousRun: previousRun, mark: mark)
        newRows = ids
        newRowCount += 1
        return ids[newRowCount - 1]
    }

    /// Starts the ops of a row; as many items follow as `operations` need.
    public mutating func row(table: UInt32, id: RowID, name: RowName, itemCount: Int) {
        encoder.array(2 + itemCount)
        encoder.unsigned(UInt64(table))
        rowCount += 1
        if case .new = name { return encoder.null() }
        if let number = rowNumbers[id] { return encoder.unsigned(UInt64(number)) }
        enter(id)
        if case .keyed(let key) = name {
            encoder.array(key.count)
            for value in key { encoder.value(value) }
        } else {
            id.identifier.withUnsafeBytes { encoder.blob($0) }
        }
    }

    private mutating func enter(_ id: RowID) {
        rowNumbers[id] = rows.count
        rows.append(id)
    }

    /// The items that ``put(column:_:)`` writes.
    public static let putItemCount = Shape.put.itemCount

    /// A put of a register that replaces nothing.
    public mutating func put(column: UInt32, _ value: WireValue) {
        encoder.unsigned(UInt64(column) << 4 | Shape.put.rawValue)
        self.value(value)
    }

    /// The items that ``put(column:_:over:)`` writes where it replaces something.
    public static let putOverItemCount = Shape.putOver.itemCount

    /// A put of a register that replaces one dot, or nothing.
    public mutating func put(column: UInt32, _ value: WireValue, over replaced: Dot?) {
        guard let replaced else { return put(column: column, value) }
        encoder.unsigned(UInt64(column) << 4 | Shape.putOver.rawValue)
        self.value(value)
        encoder.array(replaced.stream == stream ? 1 : 2)
        dot(replaced)
    }

    /// The items that `operation` takes in its row.
    public static func itemCount(_ operation: Operation) -> Int { shape(operation).itemCount }

    private static func shape(_ operation: Operation) -> Shape {
        let isElement = !operation.cell.element.isEmpty
        let isPlain = operation.over.isEmpty
        return switch operation.action {
        case .put: isElement ? (isPlain ? .add : .addOver) : (isPlain ? .put : .putOver)
        case .resolve: .resolve
        case .retract: isElement ? .remove : .retract
        case .delete: .delete
        }
    }

    /// Any op.
    ///
    /// - Parameter value: the value in the form in which it shall travel; by default as it is.
    public mutating func write(_ operation: Operation, as value: WireValue? = nil) {
        let shape = Self.shape(operation)
        encoder.unsigned(UInt64(operation.cell.column) << 4 | shape.rawValue)
        switch shape {
        case .put: self.value(value ?? .plain(operation.action.value ?? .null))
        case .putOver:
            self.value(value ?? .plain(operation.action.value ?? .null))
            dots(operation.over)
        case .resolve:
            guard case .resolve(_, let covers) = operation.action else { return }
            self.value(value ?? .plain(operation.action.value ?? .null))
            dots(operation.over)
            dots(covers)
        case .retract: dots(operation.over)
        case .delete:
            guard case .delete(let covers) = operation.action else { return }
            dots(operation.over)
            cover(covers)
        case .add: encoder.raw(operation.cell.element)
        case .addOver, .remove:
            encoder.raw(operation.cell.element)
            dots(operation.over)
        }
    }

    private mutating func value(_ value: WireValue) {
        switch value {
        case .plain(let value): encoder.value(value)
        case .time(let milliseconds):
            let (distance, overflow) = milliseconds.subtractingReportingOverflow(time.milliseconds)
            guard !overflow else { return encoder.integer(milliseconds) }
            encoder.array(2)
            encoder.unsigned(3)
            encoder.integer(distance)
        case .row(let id), .keyed(let id, _, _):
            if let number = rowNumbers[id] {
                encoder.array(2)
                encoder.unsigned(2)
                return encoder.unsigned(UInt64(number))
            }
            enter(id)
            if case .keyed(_, let table, let key) = value {
                encoder.array(2 + key.count)
                encoder.unsigned(1)
                encoder.unsigned(UInt64(table))
                for value in key { encoder.value(value) }
            } else {
                encoder.array(2)
                encoder.unsigned(2)
                id.identifier.withUnsafeBytes { encoder.blob($0) }
            }
        }
    }

    /// A dot is `2 · distance back` in this stream, or `2 · number + 1` of a stream and its seq.
    private mutating func dot(_ other: Dot) {
        if other.stream == stream {
            precondition(other.seq < dot.seq, "an op names a dot that is not before it")
            return encoder.unsigned((dot.seq - other.seq) << 1)
        }
        let number = streamNumbers[other.stream] ?? streams.count
        if number == streams.count {
            streamNumbers[other.stream] = number
            streams.append(other.stream)
        }
        encoder.unsigned(UInt64(number) << 1 | 1)
        encoder.unsigned(other.seq)
    }

    private func itemCount(_ dots: [Dot]) -> Int {
        dots.reduce(0) { $0 + ($1.stream == stream ? 1 : 2) }
    }

    private mutating func dots(_ dots: [Dot]) {
        encoder.array(itemCount(dots))
        for other in dots { dot(other) }
    }

    /// Covers grouped by dot: the cells of one row mostly share a few.
    private mutating func cover(_ covers: [CellDot]) {
        let sorted = covers.sorted { ($0.dot, $0.cell) < ($1.dot, $1.cell) }
        let groups = sorted.chunked { $0.dot == $1.dot }
        encoder.array(groups.count)
        for group in groups {
            encoder.array(itemCount([group[0].dot]) + group.count)
            dot(group[0].dot)
            for entry in group {
                if entry.cell.element.isEmpty {
                    encoder.unsigned(UInt64(entry.cell.column))
                } else {
                    encoder.array(2)
                    encoder.unsigned(UInt64(entry.cell.column))
                    encoder.raw(entry.cell.element)
                }
            }
        }
    }

    /// Ends the changeset and gives its bytes; what follows may refer to what it named.
    ///
    /// - Returns: the bytes, and the streams that got a number in this changeset.
    public mutating func finish(
        author: String, claimedMilliseconds: Int64, action: Identifier?, source: String = ""
    ) -> (bytes: [UInt8], newStreams: ArraySlice<StreamID>) {
        var head = CBOREncoder(reserving: 48 + encoder.count)
        head.array((time.counter == 0 ? 2 : 3) + rowCount)
        let distance = UInt64(time.milliseconds - lastTime.milliseconds)
        head.unsigned(distance << 1 | (time.counter == 0 ? 0 : 1))
        if time.counter != 0 { head.unsigned(time.counter) }
        meta(author, claimedMilliseconds, action, source, into: &head)
        head.raw(encoder.bytes)
        let newStreams = streams[committed.streams...]
        lastTime = time
        committed = (streams.count, rows.count)
        abandon()
        return (head.bytes, newStreams)
    }

    private func meta(
        _ author: String, _ claimed: Int64, _ action: Identifier?, _ source: String,
        into head: inout CBOREncoder
    ) {
        let isClaimed = claimed != time.milliseconds
        let count = [!author.isEmpty, isClaimed, action != nil, !source.isEmpty]
            .filter { $0 }.count
        guard count > 0 else { return head.null() }
        head.map(count)
        if !author.isEmpty {
            head.unsigned(0)
            head.text(author)
        }
        if isClaimed {
            head.unsigned(1)
            head.integer(claimed)
        }
        if let action {
            head.unsigned(2)
            head.blob(action.bytes)
        }
        if !source.isEmpty {
            head.unsigned(3)
            head.text(source)
        }
    }

    /// Takes over what a changeset that is stored already had named.
    public mutating func resume(_ reader: BodyReader) {
        abandon()
        lastTime = reader.lastTime
        streams = reader.streams
        rows = reader.rows
        streamNumbers = Dictionary(uniqueKeysWithValues: streams.enumerated().map { ($1, $0) })
        rowNumbers = Dictionary(uniqueKeysWithValues: rows.enumerated().map { ($1, $0) })
        committed = (streams.count, rows.count)
    }
}

extension HybridTime {
    /// The 16 bits that count within a millisecond.
    var counter: UInt64 { rawValue & 0xffff }
}

extension Array {
    /// Neighbours for which `belongs` holds stay together.
    func chunked(by belongs: (Element, Element) -> Bool) -> [[Element]] {
        var chunks: [[Element]] = []
        for element in self {
            if let last = chunks.last?.last, belongs(last, element) {
                chunks[chunks.count - 1].append(element)
            } else {
                chunks.append([element])
            }
        }
        return chunks
    }
}
