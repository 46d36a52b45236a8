internal import Causality
internal import Merge

/// Sorts the items of a body by what they are, like beside like, and puts numbers in place of what
/// its stream has said before.
struct ColumnsWriter {
    /// A finished body.
    struct Body {
        var bytes: [UInt8]
        /// Where like ends: a compressor does well to start a block there.
        var seams: [Int]
    }

    let bytes: UnsafeRawBufferPointer
    let scan: BodyScan
    let lastSeq: UInt64
    private let place: ColumnsReader.Place
    /// The runs that the body refers to, in their order.
    private var sources: [SealingDictionary.Run] = []
    /// The ids of ``BodyScan/entered``.
    private var ids: [Identifier?]
    var encoder: CBOREncoder
    private var seams: [Int] = []
    private var newRows: (changeset: Int32, ids: NewRowIDs)?

    var firstSeq: UInt64 { place.firstSeq }

    init(
        _ bytes: UnsafeRawBufferPointer, at place: ColumnsReader.Place
    ) throws(BodyScan.NotABody) {
        scan = try BodyScan(bytes, firstSeq: place.firstSeq)
        self.bytes = bytes
        self.place = place
        lastSeq = place.firstSeq + UInt64(scan.times.count) - 1
        ids = Array(repeating: nil, count: scan.entered.count)
        encoder = CBOREncoder(reserving: bytes.count / 2 + 256)
    }

    /// - Parameter earlier: what the stream's run that holds a seq says; `nil` where that is not
    ///   known.
    mutating func write(
        _ dictionary: inout SealingDictionary, earlier: (UInt64) -> RunVocabulary?
    ) throws(BodyScan.NotABody) -> Body {
        dictionary.warm(before: firstSeq, byteCount: bytes.count, earlier: earlier)
        var values = scan.columns.map { resolve($0, in: &dictionary) }
        var authors = resolve(.author, scan.authors, in: &dictionary)
        var origins = resolve(.source, scan.sources, in: &dictionary)
        let names = scan.tables.map { resolve($0, in: &dictionary, earlier: earlier) }
        choose(names, values + [authors, origins], dictionary)
        var run = SealingDictionary.Run(
            firstSeq: firstSeq, lastSeq: lastSeq, byteCount: 0, isByColumns: true)
        encoder.unsigned(UInt64(sources.count))
        // From the nearest to the farthest.
        let ends = [firstSeq] + sources.reversed().map(\.lastSeq)
        numbers(zip(ends, ends.dropFirst()).map { $0 - $1 })
        changesets(&authors, &origins, &run, &dictionary)
        shapes()
        for index in tablesInOrder() {
            write(names[index], scan.tables[index], &run, &dictionary)
        }
        for index in scan.tables.indices where run.names[scan.tables[index].table] == nil {
            write(names[index], scan.tables[index], &run, &dictionary)
        }
        for index in columnsInOrder() { write(&values[index], &run, &dictionary) }
        numbers(scan.dotCounts)
        numbers(scan.dotStreams)
        numbers(scan.dotSeqs)
        for range in scan.covers { encoder.raw(bytes[range]) }
        guard encoder.count <= Limits.runExpandedBytes else { throw BodyScan.NotABody() }
        run.byteCount = encoder.count
        dictionary.insert(run)
        dictionary.prune()
        return Body(bytes: encoder.bytes, seams: seams)
    }

    // MARK: Changesets and shapes

    private mutating func changesets(
        _ authors: inout ResolvedColumn, _ origins: inout ResolvedColumn,
        _ run: inout SealingDictionary.Run, _ dictionary: inout SealingDictionary
    ) {
        let times = scan.times
        encoder.unsigned(UInt64(times.count))
        encoder.unsigned(UInt64(times.first?.milliseconds ?? 0))
        numbers(
            zip(times, times.dropFirst()).map { UInt64($1.milliseconds - $0.milliseconds) })
        numbers(times.map(\.counter))
        write(&authors, &run, &dictionary)
        numbers(scan.claims)
        var actions: [Range<Int>] = []
        numbers(
            scan.actions.map { action in
                guard let action else { return 0 }
                let range = action..<action + 16
                let known = actions.lastIndex { bytes[$0].elementsEqual(bytes[range]) }
                if known == nil { actions.append(range) }
                return UInt64(known ?? actions.count - 1) + 1
            })
        encoder.unsigned(UInt64(actions.count))
        for action in actions { encoder.raw(bytes[action]) }
        write(&origins, &run, &dictionary)
        numbers(scan.rowCounts)
    }

    private mutating func shapes() {
        encoder.unsigned(UInt64(scan.shapes.count))
        for shape in scan.shapes {
            encoder.array(2 + shape.codes.count)
            encoder.unsigned(UInt64(shape.table))
            encoder.unsigned(shape.isNamed ? 1 : 0)
            for code in shape.codes { encoder.unsigned(code) }
        }
        numbers(scan.shapeNumbers)
    }

    /// The tables with named rows, as the shapes first name them.
    private func tablesInOrder() -> [Int] {
        var order: [Int] = []
        for shape in scan.shapes where shape.isNamed {
            if let index = scan.tables.firstIndex(where: { $0.table == shape.table }),
                !order.contains(index)
            {
                order.append(index)
            }
        }
        return order
    }

    /// The columns as the shapes first name them.
    private func columnsInOrder() -> [Int] {
        let places = Dictionary(
            uniqueKeysWithValues: scan.columns.enumerated().map { ($1.key, $0) })
        var isTaken = Array(repeating: false, count: scan.columns.count)
        var order: [Int] = []
        for shape in scan.shapes {
            for code in shape.codes {
                let key = ColumnKey(shape.table, UInt32(truncatingIfNeeded: code >> 4))
                guard Shape(rawValue: code & 15)?.hasValue == true, let place = places[key],
                    !isTaken[place]
                else { continue }
                isTaken[place] = true
                order.append(place)
            }
        }
        return order
    }

    // MARK: Sources

    /// Chooses the runs to refer to: those that save most.
    private mutating func choose(
        _ names: [ResolvedNames], _ columns: [ResolvedColumn], _ dictionary: SealingDictionary
    ) {
        var savings: [UInt64: Int] = [:]
        for table in names {
            for case let place? in table.places { savings[place.run, default: 0] += 16 }
        }
        for column in columns { savings.merge(column.savings) { $0 + $1 } }
        let best = savings.sorted { ($1.value, $1.key) < ($0.value, $0.key) }
        var byteCount = 0
        for (lastSeq, saved) in best where saved > 4 && sources.count < Limits.runSources {
            guard let run = dictionary.run(lastSeq), run.lastSeq == lastSeq, run.isByColumns,
                byteCount + run.byteCount <= Limits.sourceBytes
            else { continue }
            byteCount += run.byteCount
            sources.append(run)
        }
        sources.sort { $0.lastSeq < $1.lastSeq }
    }

    /// Where the entries of a source's list begin, by its last seq, and where this body's do.
    func bases(_ size: (SealingDictionary.Run) -> Int) -> (of: [UInt64: Int], own: Int) {
        var (bases, total): ([UInt64: Int], Int) = ([:], 0)
        for source in sources {
            bases[source.lastSeq] = total
            total += size(source)
        }
        return (bases, total)
    }

    // MARK: Names

    /// Where the rows that the body named in full stand in earlier runs, by their place in
    /// ``BodyScan/entered``.
    struct ResolvedNames {
        var places: [ByteTable.Place?]
    }

    private mutating func resolve(
        _ table: BodyScan.Table, in dictionary: inout SealingDictionary,
        earlier: (UInt64) -> RunVocabulary?
    ) -> ResolvedNames {
        var places = [ByteTable.Place?](repeating: nil, count: scan.entered.count)
        var isLookedUp = Array(repeating: false, count: scan.entered.count)
        var loads = 0
        for row in table.rows where row.entered >= 0 && !isLookedUp[Int(row.entered)] {
            isLookedUp[Int(row.entered)] = true
            let id = id(Int(row.entered))
            var place = dictionary.names[table.table]?[id]
            if place == nil, row.hint > 0, row.hint < firstSeq, loads < Limits.runSources,
                !dictionary.knows(row.hint), let vocabulary = earlier(row.hint)
            {
                loads += 1
                dictionary.learn(vocabulary, values: false)
                place = dictionary.names[table.table]?[id]
            }
            places[Int(row.entered)] = place
        }
        return ResolvedNames(places: places)
    }

    /// The id of a row that the body names in full.
    mutating func id(_ entered: Int) -> Identifier {
        if let id = ids[entered] { return id }
        let row = scan.entered[entered]
        let items = bytes[row.offset..<row.offset + row.length]
        let id: Identifier
        if row.keyCount < 0 {
            id = Identifier(reading: UnsafeRawBufferPointer(rebasing: items).baseAddress!)
        } else {
            var key = CBOREncoder()
            key.unsigned(UInt64(row.table))
            key.array(row.keyCount)
            key.raw(items)
            let digest = Digest(.keyedRow, place.namespace, key.bytes)
            id = Identifier(digest.bytes.prefix(16))!
        }
        ids[entered] = id
        return id
    }

    private mutating func write(
        _ names: ResolvedNames, _ table: BodyScan.Table, _ run: inout SealingDictionary.Run,
        _ dictionary: inout SealingDictionary
    ) {
        let bases = bases { $0.names[table.table] ?? 0 }
        let isNamed = table.rows.contains { $0.entered >= 0 }
        var list: [Identifier] = []
        list.reserveCapacity(table.rows.count)
        var newRows = NameTable()
        var places = [Int](repeating: -1, count: isNamed ? scan.entered.count : 0)
        var (spelled, numbers): ([Int], [UInt64]) = ([], [])
        var last = -1
        for row in table.rows {
            guard row.entered >= 0 else {
                let id = newID(row)
                if isNamed { newRows.add(id, ByteTable.Place(run: lastSeq, index: list.count)) }
                list.append(id)
                continue
            }
            let entered = Int(row.entered)
            let id = id(entered)
            let position: Int
            if places[entered] >= 0 {
                position = bases.own + places[entered]
            } else if let own = newRows[id] {
                position = bases.own + own.index
            } else if let place = names.places[entered], let base = bases.of[place.run] {
                position = base + place.index
            } else {
                places[entered] = list.count
                list.append(id)
                spelled.append(entered)
                numbers.append(0)
                continue
            }
            numbers.append(Numbers.zigzag(Int64(position - last - 1)) + 1)
            last = position
        }
        if isNamed {
            self.numbers(numbers)
            spell(spelled, in: table.table)
        }
        run.names[table.table] = list.count
        dictionary.names[table.table, default: NameTable()].add(list, run: lastSeq)
    }

    /// The id of a row that its changeset made.
    private mutating func newID(_ row: BodyScan.Row) -> Identifier {
        if newRows?.changeset != row.changeset {
            let seq = firstSeq + UInt64(row.changeset)
            newRows = (
                row.changeset,
                NewRowIDs(
                    dot: Dot(place.stream, seq), time: scan.times[Int(row.changeset)],
                    previousRun: place.previousRun, mark: place.mark)
            )
        }
        return newRows?.ids[Int(row.hint)].identifier ?? Identifier(high: 0, low: 0)
    }

    /// Names in full: ids alone without their heads. A key stands for a row of its own table only.
    private mutating func spell(_ rows: [Int], in table: UInt32) {
        let start = encoder.count
        let isKeyed = rows.map { scan.entered[$0].keyCount >= 0 && scan.entered[$0].table == table }
        let areIDs = !isKeyed.contains(true)
        encoder.unsigned((areIDs ? ColumnForm.ids : ColumnForm.items).rawValue)
        for (entered, isKeyed) in zip(rows, isKeyed) {
            guard isKeyed else {
                if !areIDs { encoder.head(2, 16) }
                encoder.raw(id(entered).bytes)
                continue
            }
            let row = scan.entered[entered]
            encoder.array(row.keyCount)
            encoder.raw(
                UnsafeRawBufferPointer(rebasing: bytes[row.offset..<row.offset + row.length]))
        }
        seam(from: start)
    }

    // MARK: Pieces

    mutating func numbers(_ numbers: [UInt64]) {
        let start = encoder.count
        encoder.numbers(numbers)
        seam(from: start)
    }

    private static let seamBytes = 4_096

    /// Notes both ends of a piece that is large enough for blocks of its own.
    mutating func seam(from start: Int) {
        guard encoder.count - start >= Self.seamBytes else { return }
        if start > seams.last ?? 0 { seams.append(start) }
        seams.append(encoder.count)
    }
}
