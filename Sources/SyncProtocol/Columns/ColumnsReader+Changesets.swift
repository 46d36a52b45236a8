internal import Causality
internal import Merge

extension ColumnsReader {
    /// The changesets, and what later runs of the stream may refer to.
    ///
    /// - Parameter earlier: what the run of the stream says that holds a seq.
    package consuming func contents(
        lastSeq: UInt64, byteCount: Int,
        earlier: (UInt64) throws(RunError) -> RunVocabulary?
    ) throws(RunError) -> RunContents {
        var (vocabularies, sourceBytes): ([RunVocabulary], Int) = ([], 0)
        for seq in sources {
            guard let vocabulary = try earlier(seq), vocabulary.lastSeq == seq,
                vocabulary.isByColumns
            else { throw .source }
            sourceBytes += vocabulary.byteCount
            guard sourceBytes <= Limits.sourceBytes else { throw .source }
            vocabularies.append(vocabulary)
        }
        var assembly = ChangesetAssembly(self, vocabularies)
        do throws(CBORError) {
            let changes = try assembly.read()
            return RunContents(
                changes: changes, order: try changes.order(),
                vocabulary: assembly.vocabulary(lastSeq: lastSeq, byteCount: byteCount))
        } catch {
            throw .body(error)
        }
    }
}

/// The changesets of a body by columns, read with the vocabularies of the runs that it refers to.
struct ChangesetAssembly {
    private var body: ColumnsReader
    private let vocabularies: [RunVocabulary]
    private var columns: [Column]
    private var authors: Column
    private var origins: Column
    private var names: [Names]
    private let namesByTable: [UInt32: Int]
    private var row = 0
    private var dotList = 0
    private var dotPlace = 0
    private var lastDots: [Dot] = []
    private var valueBytes = 0
    private var changes: RunChanges

    // The changeset under way.
    private var dot: Dot
    private var newRows: NewRowIDs?
    private var newRowCount = 0
    private var milliseconds: Int64 = 0

    /// - Parameter vocabularies: of `body.sources`, in their order.
    init(_ body: ColumnsReader, _ vocabularies: [RunVocabulary]) {
        self.body = body
        self.vocabularies = vocabularies
        let bytes = body.decoder.bytes
        changes = RunChanges(bytes: bytes)
        dot = Dot(body.place.stream, body.place.firstSeq)
        columns = body.columns.map { Column($0, vocabularies, bytes) }
        authors = Column(body.authors, vocabularies, bytes)
        origins = Column(body.origins, vocabularies, bytes)
        // Tables whose rows are all new have a list too: later runs refer to them.
        var names = body.names.map { Names($0, vocabularies) }
        var places = Dictionary(uniqueKeysWithValues: names.enumerated().map { ($1.table, $0) })
        for shape in body.shapes where places[shape.table] == nil {
            places[shape.table] = names.count
            names.append(Names(RowNames(shape.table), vocabularies))
        }
        self.names = names
        namesByTable = places
    }

    mutating func read() throws(CBORError) -> RunChanges {
        for index in body.times.indices { try changeset(index) }
        try body.decoder.finish()
        return changes
    }

    private func error(_ reason: CBORError.Reason) -> CBORError { body.decoder.error(reason) }

    private mutating func changeset(_ index: Int) throws(CBORError) {
        let time = body.times[index]
        dot.seq = body.place.firstSeq + UInt64(index)
        milliseconds = time.milliseconds
        newRows = nil
        newRowCount = 0
        changes.begin(
            Changeset(
                dot: dot, time: time, author: try text(authors.next(0)),
                claimedMilliseconds: time.milliseconds &+ Numbers.difference(body.claims[index]),
                action: body.action(index), source: try text(origins.next(0))))
        for _ in 0..<body.rowCounts[index] {
            try rowChange(body.shapes[Int(body.shapeNumbers[row])], time)
            row += 1
        }
    }

    private func text(_ value: Value?) throws(CBORError) -> String {
        guard case .text(let text)? = value else { throw error(.outOfRange) }
        return text
    }

    private mutating func rowChange(
        _ shape: ColumnsReader.ReadShape, _ time: HybridTime
    ) throws(CBORError) {
        changes.begin(
            table: shape.table, row: try rowID(shape, time), isNew: !shape.isNamed)
        for operation in shape.operations {
            try self.operation(operation.shape, operation.column, operation.slot)
        }
        guard changes.endRow() else { throw error(.invalid) }
    }

    private mutating func rowID(
        _ shape: ColumnsReader.ReadShape, _ time: HybridTime
    ) throws(CBORError) -> RowID {
        if shape.isNamed {
            guard let row = names[shape.names].next() else { throw error(.outOfRange) }
            return row
        }
        guard newRowCount < NewRowIDs.limit else { throw error(.tooLong) }
        let ids =
            newRows
            ?? NewRowIDs(
                dot: dot, time: time, previousRun: body.place.previousRun, mark: body.place.mark)
        newRows = ids
        newRowCount += 1
        let row = ids[newRowCount - 1]
        if let place = namesByTable[shape.table] { names[place].append(row) }
        return row
    }

    private mutating func operation(
        _ shape: Shape, _ column: UInt32, _ slot: Int
    ) throws(CBORError) {
        switch shape {
        case .put: try put(column, slot)
        case .putOver:
            try put(column, slot)
            changes.replaceWithLast(try dots())
        case .resolve:
            let value = try value(slot)
            let over = try dots()
            changes.append(
                Operation(CellKey(column), .resolve(value, covers: try dots()), over: over))
        case .retract: changes.append(Operation(CellKey(column), .retract, over: try dots()))
        case .delete:
            let over = try dots()
            changes.append(Operation(CellKey(column), .delete(covers: try covers()), over: over))
        case .add: changes.append(Operation(try element(column, slot), .put(.null)))
        case .addOver:
            let cell = try element(column, slot)
            changes.append(Operation(cell, .put(.null), over: try dots()))
        case .remove:
            let cell = try element(column, slot)
            changes.append(Operation(cell, .retract, over: try dots()))
        }
    }

    /// A put without what it replaces. A text or an id that gets no number stays where it lies.
    private mutating func put(_ column: UInt32, _ slot: Int) throws(CBORError) {
        guard let (kind, range) = columns[slot].nextRange() else {
            return changes.put(column, try value(slot))
        }
        try count(range.count)
        changes.put(column, kind, UInt64(range.lowerBound) << 32 | UInt64(range.count))
    }

    private mutating func value(_ slot: Int) throws(CBORError) -> Value {
        guard let value = columns[slot].next(milliseconds) else { throw error(.outOfRange) }
        try count(value.contentBytes)
        return value
    }

    private mutating func count(_ byteCount: Int) throws(CBORError) {
        valueBytes += byteCount
        // By a number of one byte a text of 64 KiB comes again: that must not fill a disk.
        guard valueBytes <= Limits.runValueBytes else { throw error(.tooLong) }
    }

    private mutating func element(_ column: UInt32, _ slot: Int) throws(CBORError) -> CellKey {
        let element = try value(slot)
        guard !element.isUnreadable else { throw error(.invalid) }
        return CellKey(column, element: element.canonicalBytes)
    }

    private mutating func dots() throws(CBORError) -> [Dot] {
        let count = Int(body.dotCounts[dotList])
        dotList += 1
        // Rows that were made together are mostly changed together: one list serves many ops.
        if count == lastDots.count {
            var isSame = true
            for index in 0..<count where try readDot(dotPlace + index) != lastDots[index] {
                isSame = false
                break
            }
            if isSame {
                dotPlace += count
                return lastDots
            }
        }
        var dots: [Dot] = []
        dots.reserveCapacity(count)
        for index in 0..<count { dots.append(try readDot(dotPlace + index)) }
        dotPlace += count
        lastDots = dots
        return dots
    }

    private func readDot(_ place: Int) throws(CBORError) -> Dot {
        let (number, seq) = (body.dotStreams[place], body.dotSeqs[place])
        guard number > 0 else {
            guard (1..<dot.seq).contains(seq) else { throw error(.outOfRange) }
            return Dot(dot.stream, dot.seq - seq)
        }
        guard number <= UInt64(body.place.streams.count), seq > 0, seq <= UInt64(Int64.max) else {
            throw error(.outOfRange)
        }
        let other = body.place.streams[Int(number) - 1]
        guard other != dot.stream else { throw error(.invalid) }
        return Dot(other, seq)
    }

    private mutating func covers() throws(CBORError) -> [CellDot] {
        try body.decoder.covers(before: dot, streams: body.place.streams)
    }

    /// What this run says in full, once its changesets were read.
    func vocabulary(lastSeq: UInt64, byteCount: Int) -> RunVocabulary {
        var values: [ColumnKey: [Value]] = [:]
        for column in body.columns + [body.authors, body.origins] where column.form.isNumbered {
            values[column.key] = column.spelled
        }
        return RunVocabulary(
            firstSeq: body.place.firstSeq, lastSeq: lastSeq, byteCount: byteCount,
            names: Dictionary(uniqueKeysWithValues: names.map { ($0.table, $0.own) }),
            values: values)
    }
}

extension ChangesetAssembly {
    /// Where the entries of each source begin.
    private static func starts(_ counts: [Int]) -> (starts: [Int], total: Int) {
        var (starts, total): ([Int], Int) = ([], 0)
        for count in counts {
            starts.append(total)
            total += count
        }
        return (starts, total)
    }

    /// Gives the values of a column one after another.
    private struct Column {
        private let form: ColumnForm
        private let numbers: [UInt64]
        private let spelled: [Value]
        private let ranges: [Range<Int>]
        private let bytes: [UInt8]
        private let earlier: [[Value]]
        private let starts: [Int]
        private let earlierCount: Int
        private var place = 0
        private var spelledPlace = 0
        private var last: Int64 = 0

        init(_ column: ColumnValues, _ vocabularies: [RunVocabulary], _ bytes: [UInt8]) {
            ranges = column.ranges
            self.bytes = bytes
            form = column.form
            numbers = column.numbers
            spelled = column.spelled
            earlier = form.isNumbered ? vocabularies.map { $0.values[column.key] ?? [] } : []
            (starts, earlierCount) = ChangesetAssembly.starts(earlier.map(\.count))
        }

        /// `nil` where a number stands for nothing.
        mutating func next(_ milliseconds: Int64) -> Value? {
            switch form {
            case .itemsOnce, .idsOnce, .textsOnce: return say()
            case .items, .ids, .texts:
                let number = numbers[place]
                place += 1
                return number == 0 ? say() : known(number - 1)
            case .integers:
                place += 1
                return .integer(Numbers.difference(numbers[place - 1]))
            case .times:
                place += 1
                return .integer(milliseconds &+ Numbers.difference(numbers[place - 1]))
            case .differences:
                last &+= Numbers.difference(numbers[place])
                place += 1
                return .integer(last)
            }
        }

        /// Where the next value lies, if it is a text or an id that gets no number.
        mutating func nextRange() -> (RunChanges.Kind, Range<Int>)? {
            guard !ranges.isEmpty else { return nil }
            spelledPlace += 1
            return (form == .idsOnce ? .blob : .text, ranges[spelledPlace - 1])
        }

        private mutating func say() -> Value {
            if let (kind, range) = nextRange() {
                return kind == .blob
                    ? .blob(Array(bytes[range]))
                    : .text(String(decoding: bytes[range], as: UTF8.self))
            }
            spelledPlace += 1
            return spelled[spelledPlace - 1]
        }

        private func known(_ position: UInt64) -> Value? {
            guard position >= UInt64(earlierCount) else {
                let position = Int(position)
                let source = starts.lastIndex { $0 <= position } ?? 0
                return earlier[source][position - starts[source]]
            }
            let own = position - UInt64(earlierCount)
            return own < UInt64(spelledPlace) ? spelled[Int(own)] : nil
        }
    }

    /// Gives the names of a table's rows one after another.
    private struct Names {
        let table: UInt32
        private let names: RowNames
        private let earlier: [[RowID]]
        private let starts: [Int]
        private let earlierCount: Int
        private(set) var own: [RowID] = []
        private var place = 0
        private var spelledPlace = 0
        private var last: Int64 = -1

        init(_ names: RowNames, _ vocabularies: [RunVocabulary]) {
            table = names.table
            self.names = names
            earlier = vocabularies.map { $0.names[names.table] ?? [] }
            (starts, earlierCount) = ChangesetAssembly.starts(earlier.map(\.count))
        }

        mutating func append(_ row: RowID) { own.append(row) }

        /// `nil` where a number stands for nothing.
        mutating func next() -> RowID? {
            let number = names.numbers[place]
            place += 1
            guard number > 0 else {
                own.append(names.spelled[spelledPlace])
                spelledPlace += 1
                return own.last
            }
            let (position, isOver) = (last + 1).addingReportingOverflow(
                Numbers.difference(number - 1))
            guard !isOver, position >= 0, position < earlierCount + own.count else { return nil }
            last = position
            guard position < earlierCount else { return own[Int(position) - earlierCount] }
            let source = starts.lastIndex { $0 <= position } ?? 0
            return earlier[source][Int(position) - starts[source]]
        }
    }
}

extension Value {
    /// What its texts and blobs take, in bytes.
    var contentBytes: Int {
        switch self {
        case .text(let text): text.utf8.count
        case .blob(let bytes): bytes.count
        case .composite(let parts): parts.reduce(0) { $0 + $1.contentBytes }
        case .sealed(let value): value.box.count
        case .null, .integer, .real, .erased: 0
        }
    }
}
