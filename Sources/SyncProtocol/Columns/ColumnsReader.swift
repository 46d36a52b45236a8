package import Causality
internal import Merge

/// Reads a body by columns: first what lies in it, then its changesets.
///
/// What a run says in full is read without the runs that it refers to.
package struct ColumnsReader {
    /// What is known of the run from its header.
    package struct Place {
        var stream: StreamID
        var firstSeq: UInt64
        var previousRun: Digest?
        var streams: [StreamID]
        var namespace: [UInt8]
        var mark: ScopeMark?

        /// - Parameters:
        ///   - streams: those of the deps, in their order.
        ///   - namespace: what natural keys are derived in.
        ///   - mark: what the ids of new rows end with.
        package init(
            stream: StreamID, firstSeq: UInt64, previousRun: Digest?, streams: [StreamID],
            namespace: [UInt8], mark: ScopeMark? = nil
        ) {
            self.stream = stream
            self.firstSeq = firstSeq
            self.previousRun = previousRun
            self.streams = streams
            self.namespace = namespace
            self.mark = mark
        }
    }

    /// A shape, and where the values of its ops lie in `columns`.
    struct ReadShape {
        var table: UInt32
        var isNamed: Bool
        var operations: [(shape: Shape, column: UInt32, slot: Int)] = []
        /// Two ops may have one cell, by their elements.
        var mayDouble = false
        /// In `names`; -1 where no row has a name.
        var names = -1
    }

    let place: Place
    var decoder: CBORDecoder
    /// The last seqs of the runs that the body refers to.
    private(set) var sources: [UInt64] = []
    private(set) var times: [HybridTime] = []
    var authors = ColumnValues(.author)
    private(set) var claims: [UInt64] = []
    private var actionNumbers: [UInt64] = []
    private var actions: [Identifier] = []
    var origins = ColumnValues(.source)
    private(set) var rowCounts: [Int] = []
    private(set) var shapes: [ReadShape] = []
    private(set) var shapeNumbers: [UInt64] = []
    var names: [RowNames] = []
    var columns: [ColumnValues] = []
    private(set) var dotCounts: [UInt64] = []
    private(set) var dotStreams: [UInt64] = []
    private(set) var dotSeqs: [UInt64] = []

    /// Reads all but the covers of deletes, which come last and are read with their ops.
    package init(_ body: [UInt8], at place: Place) throws(CBORError) {
        self.place = place
        decoder = CBORDecoder(body)
        try readSources()
        try readChangesets()
        try readShapes()
        try readRows()
        try readDots()
    }

    private mutating func readSources() throws(CBORError) {
        let count = try decoder.unsigned(in: 0...UInt64(Limits.runSources))
        var seq = place.firstSeq
        // From the nearest to the farthest.
        for distance in try decoder.numbers(Int(count)) {
            guard distance > 0, distance < seq else { throw decoder.error(.outOfRange) }
            seq -= distance
            sources.append(seq)
        }
        sources.reverse()
    }

    // MARK: Changesets

    private mutating func readChangesets() throws(CBORError) {
        let count = Int(try decoder.unsigned(in: 1...UInt64(Limits.runChangesets)))
        try readTimes(count)
        authors = try read(.author, count)
        guard authors.holdsTexts(upTo: Limits.nameBytes) else { throw decoder.error(.invalid) }
        claims = try decoder.numbers(count)
        actionNumbers = try decoder.numbers(count)
        let actionCount = try decoder.unsigned(in: 0...UInt64(count))
        for _ in 0..<actionCount {
            let range = try decoder.raw(16)
            actions.append(Identifier(decoder.bytes[range])!)
        }
        guard actionNumbers.allSatisfy({ $0 <= actionCount }) else {
            throw decoder.error(.outOfRange)
        }
        origins = try read(.source, count)
        guard origins.holdsTexts(upTo: Limits.nameBytes) else { throw decoder.error(.invalid) }
        var left = UInt64(Limits.runRows)
        for number in try decoder.numbers(count) {
            guard number <= left else { throw decoder.error(.tooLong) }
            left -= number
            rowCounts.append(Int(number))
        }
    }

    private mutating func readTimes(_ count: Int) throws(CBORError) {
        var milliseconds = try decoder.unsigned()
        let differences = try decoder.numbers(count - 1)
        let counters = try decoder.numbers(count)
        var last = HybridTime(rawValue: 0)
        for index in 0..<count {
            if index > 0 {
                let (sum, isOver) = milliseconds.addingReportingOverflow(differences[index - 1])
                guard !isOver else { throw decoder.error(.outOfRange) }
                milliseconds = sum
            }
            guard milliseconds < 1 << 48, counters[index] < 1 << 16 else {
                throw decoder.error(.outOfRange)
            }
            let time = HybridTime(rawValue: milliseconds << 16 | counters[index])
            guard time > last else { throw decoder.error(.invalid) }
            times.append(time)
            last = time
        }
    }

    package var lastSeq: UInt64 { place.firstSeq + UInt64(times.count) - 1 }

    func action(_ changeset: Int) -> Identifier? {
        let number = actionNumbers[changeset]
        return number == 0 ? nil : actions[Int(number) - 1]
    }

    // MARK: Shapes

    private mutating func readShapes() throws(CBORError) {
        let rowCount = rowCounts.reduce(0, +)
        let count = Int(try decoder.unsigned(in: 0...UInt64(rowCount)))
        var places = ShapePlaces()
        for _ in 0..<count { shapes.append(try shape(&places)) }
        shapeNumbers = try decoder.numbers(rowCount)
        var uses = [Int](repeating: 0, count: count)
        for number in shapeNumbers {
            guard number < UInt64(count) else { throw decoder.error(.outOfRange) }
            uses[Int(number)] += 1
        }
        // Each product is below 2^39.
        let operationCount = zip(shapes, uses).reduce(0) { $0 + $1.0.operations.count * $1.1 }
        guard operationCount <= Limits.runOperations else { throw decoder.error(.tooLong) }
        for (shape, uses) in zip(shapes, uses) {
            if shape.isNamed { names[shape.names].count += uses }
            for operation in shape.operations where operation.slot >= 0 {
                columns[operation.slot].count += uses
            }
        }
    }

    /// Where the shapes read so far find their names and values.
    private struct ShapePlaces {
        var names: [UInt32: Int] = [:]
        var columns: [ColumnKey: Int] = [:]
        /// Codes that may still come: each shape of a writer stands for a row item at least.
        var codesLeft = Limits.runOperations
    }

    private mutating func shape(_ places: inout ShapePlaces) throws(CBORError) -> ReadShape {
        let itemCount = try decoder.array(limit: 2 + places.codesLeft)
        guard itemCount >= 3 else { throw decoder.error(.invalid) }
        places.codesLeft -= itemCount - 2
        let table = try decoder.unsigned32()
        var shape = ReadShape(table: table, isNamed: try decoder.unsigned(in: 0...1) == 1)
        if shape.isNamed {
            shape.names = places.names[table] ?? names.count
            if shape.names == names.count {
                places.names[table] = names.count
                names.append(RowNames(table))
            }
        }
        var plain: Set<UInt32> = []
        var elements: Set<UInt32> = []
        for _ in 2..<itemCount {
            let code = try decoder.unsigned()
            guard let kind = Shape(rawValue: code & 15), let column = UInt32(exactly: code >> 4),
                kind.isAllowed(in: column)
            else { throw decoder.error(.invalid) }
            if kind.hasElement {
                if !elements.insert(column).inserted { shape.mayDouble = true }
            } else if !plain.insert(column).inserted {
                throw decoder.error(.invalid)
            }
            var slot = -1
            if kind.hasValue {
                let key = ColumnKey(table, column)
                slot = places.columns[key] ?? columns.count
                if slot == columns.count {
                    places.columns[key] = slot
                    columns.append(ColumnValues(key))
                }
            }
            shape.operations.append((kind, column, slot))
        }
        return shape
    }

    // MARK: Rows

    private mutating func readRows() throws(CBORError) {
        for index in names.indices {
            let count = names[index].count
            names[index].numbers = try decoder.numbers(count)
            guard count > 0 else { continue }
            let form = ColumnForm(rawValue: try decoder.unsigned())
            guard form == .ids || form == .items else { throw decoder.error(.invalid) }
            for number in names[index].numbers where number == 0 {
                names[index].spelled.append(
                    try form == .ids ? id() : name(names[index].table))
            }
        }
        for index in columns.indices {
            columns[index] = try read(columns[index].key, columns[index].count)
        }
    }

    private mutating func id() throws(CBORError) -> RowID {
        RowID(Identifier(decoder.bytes[try decoder.raw(16)])!)
    }

    private mutating func name(_ table: UInt32) throws(CBORError) -> RowID {
        switch try decoder.peek() {
        case .array:
            let key = try decoder.scalars(try decoder.array())
            return RowID(namespace: place.namespace, table: table, key: key)
        case .blob: return RowID(Identifier(try decoder.blob(count: 16))!)
        default: throw decoder.error(.unexpectedType)
        }
    }

    private mutating func read(_ key: ColumnKey, _ count: Int) throws(CBORError) -> ColumnValues {
        var column = ColumnValues(key)
        column.count = count
        guard count > 0 else { return column }
        guard let form = ColumnForm(rawValue: try decoder.unsigned()) else {
            throw decoder.error(.outOfRange)
        }
        column.form = form
        switch form {
        case .items, .ids, .texts:
            column.numbers = try decoder.numbers(count)
            let spelled = column.numbers.reduce(0) { $0 + ($1 == 0 ? 1 : 0) }
            column.spelled = try values(spelled, form)
        // Names of people and lists are few, and looked at at once.
        case .idsOnce where !key.isBeside: column.ranges = try ids(count)
        case .textsOnce where !key.isBeside: column.ranges = try texts(count)
        case .itemsOnce, .idsOnce, .textsOnce: column.spelled = try values(count, form)
        case .integers, .times, .differences: column.numbers = try decoder.numbers(count)
        }
        return column
    }

    private mutating func ids(_ count: Int) throws(CBORError) -> [Range<Int>] {
        let range = try decoder.raw(16 * count)
        return (0..<count).map { index in
            let start = range.lowerBound + 16 * index
            return start..<start + 16
        }
    }

    private mutating func texts(_ count: Int) throws(CBORError) -> [Range<Int>] {
        let lengths = try decoder.numbers(count)
        var ranges: [Range<Int>] = []
        ranges.reserveCapacity(count)
        for length in lengths {
            guard length <= UInt64(Limits.valueBytes) else { throw decoder.error(.tooLong) }
            ranges.append(try decoder.textRange(bare: Int(length)))
        }
        return ranges
    }

    private mutating func values(_ count: Int, _ form: ColumnForm) throws(CBORError) -> [Value] {
        switch form {
        case .ids, .idsOnce: return try ids(count).map { .blob(Array(decoder.bytes[$0])) }
        case .texts, .textsOnce:
            return try texts(count).map {
                .text(String(decoding: decoder.bytes[$0], as: UTF8.self))
            }
        default:
            // An item takes a byte at least.
            guard count <= decoder.left else { throw decoder.error(.truncated) }
            var values: [Value] = []
            values.reserveCapacity(count)
            for _ in 0..<count { values.append(try item()) }
            return values
        }
    }

    /// A value, or a reference by natural key.
    private mutating func item() throws(CBORError) -> Value {
        guard try decoder.peek() == .array else { return try decoder.scalar() }
        let count = try decoder.array()
        guard count >= 1 else { throw decoder.error(.invalid) }
        switch try decoder.unsigned() {
        case 0: return .composite(try decoder.scalars(count - 1))
        case 1 where count >= 2:
            let table = try decoder.unsigned32()
            let key = try decoder.scalars(count - 2)
            return .blob(
                RowID(namespace: place.namespace, table: table, key: key).identifier.bytes)
        case 4: return .sealed(try decoder.sealed(count))
        default: throw decoder.error(.invalid)
        }
    }

    // MARK: Dots

    private mutating func readDots() throws(CBORError) {
        var uses = [Int](repeating: 0, count: shapes.count)
        for number in shapeNumbers { uses[Int(number)] += 1 }
        let listCount = zip(shapes, uses).reduce(0) { sum, pair in
            sum + pair.1 * pair.0.operations.reduce(0) { $0 + $1.shape.dotListCount }
        }
        dotCounts = try decoder.numbers(listCount)
        var left = UInt64(Limits.runDots)
        for count in dotCounts {
            guard count <= min(left, UInt64(2 * Limits.dotsPerOperation)) else {
                throw decoder.error(.tooLong)
            }
            left -= count
        }
        let dotCount = Limits.runDots - Int(left)
        dotStreams = try decoder.numbers(dotCount)
        dotSeqs = try decoder.numbers(dotCount)
    }
}

/// The names of one table's rows.
struct RowNames {
    let table: UInt32
    /// Rows that have a name.
    var count = 0
    /// 0 where the name is said in full, else 1 + the zigzag distance from the row behind the last.
    var numbers: [UInt64] = []
    var spelled: [RowID] = []

    init(_ table: UInt32) { self.table = table }
}

/// The values of one column, as they lie.
struct ColumnValues {
    let key: ColumnKey
    var count = 0
    var form = ColumnForm.items
    /// Of values that were said before, 0 for the others; or integers.
    var numbers: [UInt64] = []
    var spelled: [Value] = []
    /// Where ids or texts lie that get no number.
    var ranges: [Range<Int>] = []

    init(_ key: ColumnKey) { self.key = key }

    func holdsTexts(upTo limit: Int) -> Bool {
        (form == .texts || form == .textsOnce)
            && spelled.allSatisfy { value in
                if case .text(let text) = value { text.utf8.count <= limit } else { false }
            }
    }
}

extension Shape {
    var hasElement: Bool { self == .add || self == .addOver || self == .remove }
    var hasValue: Bool { self != .retract && self != .delete }

    var dotListCount: Int {
        switch self {
        case .put, .add: 0
        case .putOver, .retract, .delete, .addOver, .remove: 1
        case .resolve: 2
        }
    }
}
