import Causality
import Merge
import SyncProtocol
import TestSupport

/// Makes changesets of every shape, and writes each the way a replica would.
struct Sampler {
    var generator: SplitMix64
    let stream: StreamID
    let others: [StreamID]
    let namespace: [UInt8] = Array("sample".utf8)
    private(set) var previousRun: Digest?
    private(set) var seq: UInt64
    private(set) var time: HybridTime
    private var keyed: [(id: RowID, table: UInt32, key: [Value])] = []
    private var whole: [RowID] = []

    init(seed: UInt64, stream: StreamID? = nil, firstSeq: UInt64 = 1, previousRun: Digest? = nil) {
        generator = SplitMix64(seed: seed)
        var identifiers: [StreamID] = []
        for _ in 0..<5 {
            identifiers.append(
                StreamID(Identifier(high: generator.next(), low: generator.next())))
        }
        self.stream = stream ?? identifiers[0]
        others = Array(identifiers[1...])
        self.previousRun = previousRun
        seq = firstSeq - 1
        time = HybridTime(milliseconds: 1_764_000_000_000)
    }

    /// Goes on behind a sealed run, whose rows may come again.
    mutating func beginRun(after run: Digest, of changesets: [Changeset]) {
        previousRun = run
        whole += changesets.flatMap(\.rows).filter(\.isNew).map(\.row)
    }

    func writer() -> BodyWriter { BodyWriter(stream: stream, previousRun: previousRun) }

    func reader(_ body: [UInt8], firstSeq: UInt64 = 1, streams: [StreamID]) -> BodyReader {
        BodyReader(
            body: body, stream: stream, firstSeq: firstSeq, previousRun: previousRun,
            streams: streams, namespace: namespace)
    }

    /// One row of a changeset, with the forms in which its name and values travel.
    struct Row {
        var change: RowChange
        var name: RowName
        var wires: [WireValue?]
    }

    struct Draft {
        var changeset: Changeset
        var rows: [Row]
    }

    /// The next changeset of the stream. Ids of new rows are filled in by ``write(_:to:)``.
    mutating func draft() -> Draft {
        seq += 1
        let step: UInt64 =
            generator.chance(1, in: 2)
            ? UInt64(1 + generator.below(3)) : UInt64(1 + generator.below(100_000)) << 16
        time = HybridTime(rawValue: time.rawValue + step)
        var changeset = Changeset(dot: Dot(stream, seq), time: time)
        if generator.chance(1, in: 3) { changeset.author = "Günel Əliyeva" }
        if generator.chance(1, in: 3) {
            changeset.claimedMilliseconds = [0, -1, .min, .max, 5][generator.below(5)]
        }
        if generator.chance(1, in: 4) { changeset.action = Identifier(high: 1, low: seq) }
        if generator.chance(1, in: 4) { changeset.source = "people list v3" }
        var cells: Set<[String]> = []
        let rows = (0..<1 + generator.below(4)).compactMap { _ in oneTime(row(), &cells) }
        return Draft(changeset: changeset, rows: rows)
    }

    /// The row without the ops of cells that the changeset has written already; `nil` when none
    /// are left.
    private func oneTime(_ row: Row, _ cells: inout Set<[String]>) -> Row? {
        guard !row.change.isNew else { return row }
        var rest = row
        rest.change.operations = []
        rest.wires = []
        for (operation, wire) in zip(row.change.operations, row.wires) {
            let name = ["\(row.change.table) \(row.change.row)", "\(operation.cell)"]
            guard cells.insert(name).inserted else { continue }
            rest.change.operations.append(operation)
            rest.wires.append(wire)
        }
        return rest.change.operations.isEmpty ? nil : rest
    }

    private mutating func row() -> Row {
        var change = RowChange(
            table: [1, 2, 23, 24, 70_000, .max][generator.below(6)],
            row: RowID(Identifier(high: 0, low: 0)))
        let name: RowName
        switch generator.below(4) {
        case 0:
            change.isNew = true
            name = .new
        case 1:
            let entry = keyedRow(change.table)
            change.table = entry.table
            change.row = entry.id
            name = .keyed(entry.key)
        default:
            change.row = wholeRow()
            name = .whole
        }
        var wires: [WireValue?] = []
        for _ in 0..<1 + generator.below(5) {
            let (operation, wire) = operation()
            guard !change.operations.contains(where: { $0.cell == operation.cell }) else {
                continue
            }
            change.operations.append(operation)
            wires.append(wire)
        }
        return Row(change: change, name: name, wires: wires)
    }

    private mutating func keyedRow(
        _ table: UInt32
    ) -> (id: RowID, table: UInt32, key: [Value]) {
        if let old = generator.pick(keyed), generator.chance(1, in: 2) { return old }
        let key = (0..<generator.below(3)).map { _ in scalar() }
        let entry = (RowID(namespace: namespace, table: table, key: key), table, key)
        keyed.append(entry)
        return entry
    }

    private mutating func wholeRow() -> RowID {
        if let old = generator.pick(whole), generator.chance(1, in: 2) { return old }
        let id = RowID(Identifier(high: generator.next(), low: generator.next()))
        whole.append(id)
        return id
    }

    mutating func scalar() -> Value {
        switch generator.below(6) {
        case 0: return .null
        case 1: return .integer(Int64(bitPattern: generator.next() >> UInt64(generator.below(64))))
        case 2: return .real(Double(bitPattern: generator.next() << UInt64(generator.below(64))))
        case 3: return .blob((0..<generator.below(30)).map { _ in UInt8(generator.below(256)) })
        default:
            return .text(
                ["", "a", "\0", "é", "e\u{301}", "a longer text of some words"][generator.below(6)])
        }
    }

    private mutating func value() -> (Value, WireValue?) {
        switch generator.below(8) {
        case 0:
            let parts = (0..<generator.below(4)).map { _ in scalar() }
            return (.composite(parts), nil)
        case 1:
            let near = time.milliseconds - Int64(generator.below(1_000_000))
            let milliseconds = [near, 0, .min, .max][generator.below(4)]
            return (.integer(milliseconds), .time(milliseconds))
        case 2:
            let entry = keyedRow(7)
            return (
                .blob(entry.id.identifier.bytes),
                .keyed(entry.id, table: entry.table, key: entry.key)
            )
        case 3:
            let id = wholeRow()
            return (.blob(id.identifier.bytes), .row(id))
        default:
            let value = scalar()
            return (value, generator.chance(1, in: 2) ? .plain(value) : nil)
        }
    }

    private mutating func dots() -> [Dot] {
        var dots: Set<Dot> = []
        for _ in 0..<generator.below(4) {
            if seq > 1, generator.chance(1, in: 2) {
                dots.insert(Dot(stream, 1 + UInt64(generator.below(Int(seq - 1)))))
            } else if let other = generator.pick(others) {
                dots.insert(Dot(other, UInt64(1 + generator.below(300))))
            }
        }
        return dots.sorted()
    }

    private mutating func operation() -> (Operation, WireValue?) {
        let column = [1, 2, 15, 16, 250, 70_000][generator.below(6)] as UInt32
        switch generator.below(9) {
        case 0: return (Operation(.life, .retract, over: dots()), nil)
        case 1:
            var covers: Set<CellDot> = []
            for _ in 0..<generator.below(3) {
                for dot in dots() {
                    let element = generator.chance(1, in: 3) ? scalar().canonicalBytes : []
                    covers.insert(
                        CellDot(CellKey(UInt32(generator.below(30)), element: element), dot))
                }
            }
            return (Operation(.life, .delete(covers: covers.sorted()), over: dots()), nil)
        case 2:
            let (value, wire) = value()
            return (
                Operation(CellKey(column), .resolve(value, covers: dots()), over: dots()), wire
            )
        case 3: return (Operation(CellKey(column), .retract, over: dots()), nil)
        case 4:
            let key = CellKey(column, element: scalar().canonicalBytes)
            return (Operation(key, .put(.null), over: dots()), nil)
        case 5:
            let key = CellKey(column, element: scalar().canonicalBytes)
            return (Operation(key, .retract, over: dots()), nil)
        default:
            let (value, wire) = value()
            return (Operation(CellKey(column), .put(value), over: dots()), wire)
        }
    }

    /// Writes a draft, and says what a reader must find.
    func write(
        _ draft: Draft, to writer: inout BodyWriter
    ) -> (changeset: Changeset, bytes: [UInt8], newStreams: [StreamID]) {
        var changeset = draft.changeset
        writer.begin(seq: changeset.dot.seq, time: changeset.time)
        for var row in draft.rows {
            if row.change.isNew, let id = writer.makeRowID() { row.change.row = id }
            writer.row(
                table: row.change.table, id: row.change.row, name: row.name,
                itemCount: row.change.operations.reduce(0) { $0 + BodyWriter.itemCount($1) })
            for (operation, wire) in zip(row.change.operations, row.wires) {
                writer.write(operation, as: wire)
            }
            changeset.rows.append(row.change)
        }
        let (bytes, streams) = writer.finish(
            author: changeset.author, claimedMilliseconds: changeset.claimedMilliseconds,
            action: changeset.action, source: changeset.source)
        return (changeset, bytes, Array(streams))
    }
}

/// A sealed run of random changesets, and what it holds.
struct SampleRun {
    var run: SealedRun
    var changesets: [Changeset]
    var key: DeviceKey
    var namespace: [UInt8]

    static let seedBytes = (0..<32).map { UInt8($0) }

    init(seed: UInt64, count: Int = 5, after previous: SampleRun? = nil) {
        let key = DeviceKey(seed: Self.seedBytes) ?? DeviceKey()
        let origin = StreamOrigin(publicKey: key.publicKey, scope: "forum", incarnation: 3)
        let firstSeq = (previous?.run.header.lastSeq ?? 0) + 1
        var sampler = Sampler(
            seed: seed, stream: origin.stream, firstSeq: firstSeq, previousRun: previous?.run.hash)
        var writer = sampler.writer()
        var body: [UInt8] = []
        changesets = []
        for _ in 0..<count {
            let written = sampler.write(sampler.draft(), to: &writer)
            changesets.append(written.changeset)
            body += written.bytes
        }
        run = SealedRun(
            sealing: body, stream: origin.stream, firstSeq: firstSeq, count: count,
            previous: previous?.run.hash,
            dependencies: writer.streams.map {
                Dependency(stream: $0, seq: 300, run: Digest(sha256: $0.identifier.bytes))
            }, schemaVersion: 1, origin: origin, key: key)
        self.key = key
        namespace = sampler.namespace
    }
}
