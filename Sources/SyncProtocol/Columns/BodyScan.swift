internal import Causality

/// The items of a body as the changesets wrote it, sorted by what they are.
///
/// Nothing is decoded that needs memory of its own: values stay where they lie. The body is the
/// writer's own; one that isn't a body throws ``NotABody``.
struct BodyScan {
    struct NotABody: Error {}

    /// A value of a column.
    struct Value {
        enum Kind: UInt8 {
            case text = 1, id = 2, integer = 4, time = 8
            /// By a natural key; `number` is its place in ``BodyScan/entered``.
            case keyed = 16
            case other = 32
        }

        var kind: Kind
        /// The changeset's place in the body.
        var changeset: Int32
        /// What lies at `offset`: the bytes of a text or an id, the item of another value.
        var length: Int32
        var offset: Int32
        /// An integer, or a time's distance from its changeset.
        var number: UInt64
    }

    struct Column {
        var key: ColumnKey
        var values: [Value] = []
        /// The kinds that occur.
        var kinds: UInt8 = 0
    }

    /// A row that the body named in full.
    struct Entered {
        /// The id's 16 bytes, or the items of the key.
        var offset: Int
        var length: Int
        var table: UInt32
        /// Of a natural key; -1 for an id.
        var keyCount: Int
    }

    struct Row {
        var changeset: Int32
        /// In ``entered``; -1 for a new row.
        var entered: Int32
        /// The seq of an own changeset that wrote to the row, 0 when the ops name none; of a new row
        /// its index in the changeset.
        var hint: UInt64
    }

    struct Table {
        var table: UInt32
        var rows: [Row] = []
    }

    private(set) var times: [HybridTime] = []
    private(set) var claims: [UInt64] = []
    private(set) var actions: [Int?] = []
    private(set) var authors: [Range<Int>] = []
    private(set) var sources: [Range<Int>] = []
    private(set) var rowCounts: [UInt64] = []
    private(set) var shapes: [RowShape] = []
    private(set) var shapeNumbers: [UInt64] = []
    private(set) var tables: [Table] = []
    private(set) var columns: [Column] = []
    private(set) var entered: [Entered] = []
    private(set) var dotCounts: [UInt64] = []
    private(set) var dotStreams: [UInt64] = []
    private(set) var dotSeqs: [UInt64] = []
    private(set) var covers: [Range<Int>] = []

    private let bytes: UnsafeRawBufferPointer
    private var offset = 0
    private let firstSeq: UInt64
    private var numbersOfShapes: [RowShape: Int] = [:]
    private var numbersOfColumns: [ColumnKey: Int] = [:]
    private var shape = RowShape(table: 0, isNamed: false, codes: [])
    /// The columns of the last row, by the places of its ops.
    private var columnsByPlace: [Int] = []
    private var hint: UInt64 = 0
    private var newRowCount: UInt64 = 0

    init(_ bytes: UnsafeRawBufferPointer, firstSeq: UInt64) throws(NotABody) {
        self.bytes = bytes
        self.firstSeq = firstSeq
        guard bytes.count <= Int(Int32.max) else { throw NotABody() }
        while offset < bytes.count { try changeset() }
    }

    private mutating func changeset() throws(NotABody) {
        guard times.count < Limits.runChangesets else { throw NotABody() }
        var left = try count(4)
        let head = try unsigned()
        var counter: UInt64 = 0
        if head & 1 == 1 {
            counter = try unsigned()
            left -= 1
        }
        let last = (times.last?.rawValue ?? 0) >> 16
        let milliseconds = last &+ head >> 1
        let time = HybridTime(rawValue: milliseconds << 16 | counter)
        guard milliseconds < 1 << 48, counter < 1 << 16, left >= 2,
            time > times.last ?? HybridTime(rawValue: 0)
        else { throw NotABody() }
        times.append(time)
        try meta(time)
        newRowCount = 0
        for _ in 0..<left - 2 { try row() }
        rowCounts.append(UInt64(left - 2))
    }

    private mutating func meta(_ time: HybridTime) throws(NotABody) {
        var (author, source): (Range<Int>, Range<Int>) = (0..<0, 0..<0)
        var action: Int?
        var claimed = time.milliseconds
        if try kind() == 7 {
            offset += 1
        } else {
            for _ in 0..<(try count(5)) {
                switch try unsigned() {
                case 0: author = try range(3)
                case 1: claimed = try integer()
                case 2:
                    let range = try range(2)
                    guard range.count == 16 else { throw NotABody() }
                    action = range.lowerBound
                case 3: source = try range(3)
                default: throw NotABody()
                }
            }
        }
        authors.append(author)
        sources.append(source)
        actions.append(action)
        claims.append(Numbers.zigzag(claimed &- time.milliseconds))
    }

    private mutating func row() throws(NotABody) {
        var left = try count(4)
        guard left >= 3, shapeNumbers.count < Limits.runRows,
            let table = UInt32(exactly: try unsigned())
        else { throw NotABody() }
        let name = try name(table)
        left -= 2
        shape.table = table
        shape.isNamed = name >= 0
        shape.codes.removeAll(keepingCapacity: true)
        hint = 0
        while left > 0 {
            let code = try unsigned()
            guard let kind = Shape(rawValue: code & 15), kind.itemCount <= left,
                let column = UInt32(exactly: code >> 4), kind.isAllowed(in: column)
            else { throw NotABody() }
            shape.codes.append(code)
            try operation(ColumnKey(table, column), kind, place: shape.codes.count - 1)
            left -= kind.itemCount
        }
        shapeNumbers.append(UInt64(number(of: shape)))
        if name < 0 {
            hint = newRowCount
            newRowCount += 1
        }
        let place = tables.firstIndex { $0.table == table } ?? tables.count
        if place == tables.count { tables.append(Table(table: table)) }
        tables[place].rows.append(
            Row(changeset: Int32(times.count - 1), entered: Int32(name), hint: hint))
    }

    private mutating func number(of shape: RowShape) -> Int {
        if let last = shapeNumbers.last, shapes[Int(last)] == shape { return Int(last) }
        if let number = numbersOfShapes[shape] { return number }
        numbersOfShapes[shape] = shapes.count
        shapes.append(shape)
        return shapes.count - 1
    }

    /// - Returns: the row's place in ``entered``; -1 for a new row.
    private mutating func name(_ table: UInt32) throws(NotABody) -> Int {
        switch try kind() {
        case 7:
            offset += 1
            return -1
        case 0: return try numbered()
        case 2: return try whole()
        case 4: return try keyed(table, try count(4))
        default: throw NotABody()
        }
    }

    private mutating func numbered() throws(NotABody) -> Int {
        let number = try unsigned()
        guard number < UInt64(entered.count) else { throw NotABody() }
        return Int(number)
    }

    private mutating func whole() throws(NotABody) -> Int {
        let range = try range(2)
        guard range.count == 16 else { throw NotABody() }
        entered.append(Entered(offset: range.lowerBound, length: 16, table: 0, keyCount: -1))
        return entered.count - 1
    }

    private mutating func keyed(_ table: UInt32, _ count: Int) throws(NotABody) -> Int {
        let start = offset
        for _ in 0..<count { try pass() }
        entered.append(
            Entered(offset: start, length: offset - start, table: table, keyCount: count))
        return entered.count - 1
    }

    private mutating func operation(
        _ key: ColumnKey, _ shape: Shape, place: Int
    ) throws(NotABody) {
        switch shape {
        case .put, .add: try value(key, place)
        case .putOver, .addOver, .remove:
            try value(key, place)
            try dots()
        case .resolve:
            try value(key, place)
            try dots()
            try dots()
        case .retract: try dots()
        case .delete:
            try dots()
            let start = offset
            try pass()
            covers.append(start..<offset)
        }
    }

    private mutating func value(_ key: ColumnKey, _ place: Int) throws(NotABody) {
        while columnsByPlace.count <= place { columnsByPlace.append(0) }
        var index = columnsByPlace[place]
        if index >= columns.count || columns[index].key != key {
            index = numbersOfColumns[key] ?? columns.count
            if index == columns.count {
                numbersOfColumns[key] = index
                columns.append(Column(key: key))
            }
            columnsByPlace[place] = index
        }
        let value = try value()
        columns[index].values.append(value)
        columns[index].kinds |= value.kind.rawValue
    }

    private mutating func value() throws(NotABody) -> Value {
        let start = offset
        var value = Value(
            kind: .other, changeset: Int32(times.count - 1), length: 0, offset: 0, number: 0)
        switch try kind() {
        case 0, 1:
            value.kind = .integer
            value.number = UInt64(bitPattern: try integer())
        case 2:
            let range = try range(2)
            if range.count == 16 { value.kind = .id }
            lie(&value, range.count == 16 ? range : start..<offset)
        case 3:
            value.kind = .text
            lie(&value, try range(3))
        case 4: try form(&value, start)
        default:
            try pass()
            lie(&value, start..<offset)
        }
        return value
    }

    private func lie(_ value: inout Value, _ range: Range<Int>) {
        value.offset = Int32(range.lowerBound)
        value.length = Int32(range.count)
    }

    /// A value that is an array: a composite, a reference, a time or what is sealed.
    private mutating func form(_ value: inout Value, _ start: Int) throws(NotABody) {
        let count = try count(4)
        guard count > 0 else { throw NotABody() }
        switch try unsigned() {
        case 0, 4:
            for _ in 1..<count { try pass() }
            lie(&value, start..<offset)
        case 1 where count >= 2:
            guard let table = UInt32(exactly: try unsigned()) else { throw NotABody() }
            refer(&value, try keyed(table, count - 2))
        case 2 where count == 2:
            refer(&value, try kind() == 2 ? try whole() : try numbered())
        case 3 where count == 2:
            value.kind = .time
            value.number = UInt64(bitPattern: try integer())
        default: throw NotABody()
        }
    }

    private mutating func refer(_ value: inout Value, _ place: Int) {
        let row = entered[place]
        value.kind = row.keyCount < 0 ? .id : .keyed
        lie(&value, row.offset..<row.offset + row.length)
        value.number = UInt64(place)
    }

    private mutating func dots() throws(NotABody) {
        var left = try count(4)
        var dots: UInt64 = 0
        guard dotSeqs.count + left <= Limits.runDots else { throw NotABody() }
        while left > 0 {
            let head = try unsigned()
            left -= 1
            dots += 1
            if head & 1 == 0 {
                let seq = firstSeq + UInt64(times.count) - 1
                guard (1..<seq).contains(head >> 1) else { throw NotABody() }
                hint = seq - head >> 1
                dotStreams.append(0)
                dotSeqs.append(head >> 1)
            } else {
                guard left > 0 else { throw NotABody() }
                left -= 1
                dotStreams.append(head >> 1 + 1)
                dotSeqs.append(try unsigned())
            }
        }
        dotCounts.append(dots)
    }

    // MARK: Items

    @inline(__always)
    private func kind() throws(NotABody) -> UInt8 {
        guard offset < bytes.count else { throw NotABody() }
        return bytes[offset] >> 5
    }

    @inline(__always)
    private mutating func head(_ major: UInt8) throws(NotABody) -> UInt64 {
        guard offset < bytes.count, bytes[offset] >> 5 == major else { throw NotABody() }
        let small = bytes[offset] & 31
        offset += 1
        guard small >= 24 else { return UInt64(small) }
        let width = 1 << (Int(small) - 24)
        guard small <= 27, bytes.count - offset >= width else { throw NotABody() }
        var value: UInt64 = 0
        for _ in 0..<width {
            value = value << 8 | UInt64(bytes[offset])
            offset += 1
        }
        return value
    }

    @inline(__always)
    private mutating func unsigned() throws(NotABody) -> UInt64 { try head(0) }

    private mutating func integer() throws(NotABody) -> Int64 {
        let isNegative = try kind() == 1
        guard let value = Int64(exactly: try head(isNegative ? 1 : 0)) else { throw NotABody() }
        return isNegative ? ~value : value
    }

    private mutating func count(_ major: UInt8) throws(NotABody) -> Int {
        let count = try head(major)
        guard count <= UInt64(bytes.count - offset) else { throw NotABody() }
        return Int(count)
    }

    private mutating func range(_ major: UInt8) throws(NotABody) -> Range<Int> {
        let length = try count(major)
        offset += length
        return offset - length..<offset
    }

    /// Passes over an item.
    private mutating func pass() throws(NotABody) {
        switch try kind() {
        case 0: _ = try head(0)
        case 1: _ = try head(1)
        case 2: _ = try range(2)
        case 3: _ = try range(3)
        case 4: for _ in 0..<(try count(4)) { try pass() }
        case 7:
            let small = bytes[offset] & 31
            offset += small > 24 && small < 28 ? 1 + 1 << (Int(small) - 24) : 1
            guard offset <= bytes.count else { throw NotABody() }
        default: throw NotABody()
        }
    }
}
