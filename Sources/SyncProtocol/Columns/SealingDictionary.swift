internal import Causality
internal import Merge

/// What earlier runs of a stream have said, for whoever seals the next one.
///
/// It only saves bytes: what it has forgotten is said again. After a transaction that was taken
/// back, or when another process may have sealed, it must be made anew.
public struct SealingDictionary: Sendable {
    /// A run that a body may refer to.
    struct Run {
        var firstSeq: UInt64
        var lastSeq: UInt64
        /// When expanded.
        var byteCount: Int
        var isByColumns: Bool
        /// Entries of its lists.
        var names: [UInt32: Int] = [:]
        var values: [ColumnKey: Int] = [:]
    }

    /// In their order.
    private(set) var runs: [Run] = []
    var names: [UInt32: NameTable] = [:]
    var values: [ColumnKey: ByteTable] = [:]
    /// Columns whose values are not looked up for so many runs more: they hardly ever came again.
    var pauses: [ColumnKey: Int] = [:]
    private var isFresh = true

    private static let runLimit = 96
    private static let nameLimit = 1 << 17
    private static let valueLimit = 1 << 15
    private static let valueBytesLimit = 2 << 20
    /// What is read again of the log when the dictionary is new, beside what is sealed.
    private static let leastBytes = 1 << 16

    public init() {}

    func run(_ lastSeq: UInt64) -> Run? { index(holding: lastSeq).map { runs[$0] } }

    private func index(holding seq: UInt64) -> Int? {
        var (low, high) = (0, runs.count)
        while low < high {
            let middle = (low + high) / 2
            if runs[middle].lastSeq < seq { low = middle + 1 } else { high = middle }
        }
        return low < runs.count && runs[low].firstSeq <= seq ? low : nil
    }

    /// Whether it knows the run that holds `seq`.
    func knows(_ seq: UInt64) -> Bool { index(holding: seq) != nil }

    /// Takes in the last runs when it knows nothing, as many as may be worth it.
    mutating func warm(
        before firstSeq: UInt64, byteCount: Int, earlier: (UInt64) -> RunVocabulary?
    ) {
        guard isFresh else { return }
        isFresh = false
        var left = max(Self.leastBytes, 8 * byteCount)
        var seq = firstSeq - 1
        for _ in 0..<Limits.runSources where seq > 0 {
            guard let vocabulary = earlier(seq) else { return }
            left -= vocabulary.byteCount
            guard left > 0 else { return }
            learn(vocabulary, values: true)
            seq = vocabulary.firstSeq - 1
        }
    }

    /// - Parameter values: whether what columns said is taken in too, and not the names alone.
    mutating func learn(_ vocabulary: RunVocabulary, values learnsValues: Bool) {
        var run = Run(
            firstSeq: vocabulary.firstSeq, lastSeq: vocabulary.lastSeq,
            byteCount: vocabulary.byteCount, isByColumns: vocabulary.isByColumns)
        for (table, rows) in vocabulary.names {
            run.names[table] = rows.count
            names[table, default: NameTable()].add(rows.map(\.identifier), run: run.lastSeq)
        }
        for (key, entries) in vocabulary.values {
            run.values[key] = entries.count
            guard learnsValues else { continue }
            for (index, value) in entries.enumerated() {
                learn(value, key, ByteTable.Place(run: run.lastSeq, index: index))
            }
        }
        insert(run)
    }

    private mutating func learn(_ value: Value, _ key: ColumnKey, _ place: ByteTable.Place) {
        let entry: Int?
        switch value {
        case .text(var text):
            entry = text.withUTF8 {
                values[key, default: ByteTable()].number(
                    UnsafeRawBufferPointer($0), tag: BodyScan.Value.Kind.text.rawValue)
            }
        case .blob(let bytes) where bytes.count == 16:
            entry = bytes.withUnsafeBytes {
                values[key, default: ByteTable()].number(
                    $0, tag: BodyScan.Value.Kind.id.rawValue)
            }
        default:
            entry = value.canonicalBytes.withUnsafeBytes {
                values[key, default: ByteTable()].number(
                    $0, tag: BodyScan.Value.Kind.other.rawValue)
            }
        }
        guard let entry, let known = values[key]?[entry].run, known < place.run else { return }
        values[key]?[entry] = place
    }

    mutating func insert(_ run: Run) {
        isFresh = false
        let place = runs.firstIndex { $0.lastSeq > run.lastSeq } ?? runs.count
        runs.insert(run, at: place)
    }

    /// Forgets what is long past, when it knows much.
    mutating func prune() {
        if runs.count > Self.runLimit { runs.removeFirst(runs.count - Self.runLimit) }
        let least = runs.first?.firstSeq ?? 0
        let recent = runs.suffix(2 * Limits.runSources).first?.firstSeq ?? 0
        for (key, table) in values
        where table.count > Self.valueLimit || table.byteCount > Self.valueBytesLimit {
            values[key]?.keep { $0 >= recent }
        }
        for (key, table) in names where table.count > Self.nameLimit {
            names[key]?.keep(from: max(least, recent))
        }
    }
}

/// Where rows are named, by their ids. Ids that follow each other take one entry.
struct NameTable {
    typealias Place = ByteTable.Place

    private struct Segment {
        var first: UInt64
        var count: Int
        var place: Place
    }

    private var places: [Identifier: Place] = [:]
    /// By the id with its last 16 bits cleared.
    private var segments: [Identifier: [Segment]] = [:]

    var count: Int { places.count + segments.count }

    mutating func add(_ ids: [Identifier], run: UInt64) {
        var start = 0
        while start < ids.count {
            let first = ids[start]
            var end = start + 1
            while end < ids.count, ids[end].high == first.high,
                ids[end].low == first.low &+ UInt64(end - start), ids[end].low & 0xffff != 0
            {
                end += 1
            }
            let place = Place(run: run, index: start)
            if end - start == 1 {
                places[first] = place
            } else {
                segments[Self.base(first), default: []].append(
                    Segment(first: first.low, count: end - start, place: place))
            }
            start = end
        }
    }

    /// Adds one that often follows the one before.
    mutating func add(_ id: Identifier, _ place: Place) {
        let base = Self.base(id)
        if let count = segments[base]?.count, let last = segments[base]?.last,
            last.first &+ UInt64(last.count) == id.low,
            last.place.index + last.count == place.index
        {
            segments[base]?[count - 1].count += 1
        } else {
            segments[base, default: []].append(Segment(first: id.low, count: 1, place: place))
        }
    }

    subscript(id: Identifier) -> Place? {
        if let place = places[id] { return place }
        guard let found = segments[Self.base(id)]?.last(where: { $0.first <= id.low }) else {
            return nil
        }
        let distance = id.low - found.first
        guard distance < UInt64(found.count) else { return nil }
        return Place(run: found.place.run, index: found.place.index + Int(distance))
    }

    mutating func keep(from seq: UInt64) {
        places = places.filter { $0.value.run >= seq }
        segments = segments.mapValues { $0.filter { $0.place.run >= seq } }
            .filter { !$0.value.isEmpty }
    }

    private static func base(_ id: Identifier) -> Identifier {
        Identifier(high: id.high, low: id.low & ~0xffff)
    }
}
