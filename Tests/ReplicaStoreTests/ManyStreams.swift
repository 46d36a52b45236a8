import Causality
import Merge
import RecordSchema
import ReplicaStore
import SyncProtocol
import Testing

/// A forum of more laptops than a header has room for.
@Suite struct ManyStreams {
    /// A run of one note, by a laptop of its own.
    private func run(_ number: UInt64) -> SealedRun {
        let key = DeviceKey()
        let origin = StreamOrigin(publicKey: key.publicKey, scope: "forum", incarnation: 0)
        let stream = StreamID(device: key.device, scope: "forum", incarnation: 0)
        var writer = BodyWriter(stream: stream, previousRun: nil)
        writer.begin(seq: 1, time: HybridTime(milliseconds: 1))
        let id = RowID(Identifier(high: 0, low: number))
        writer.row(table: 1, id: id, name: .whole, itemCount: 2)
        writer.put(column: 1, .plain(.text("note \(number)")))
        return SealedRun(
            sealing: writer.finish(author: "", claimedMilliseconds: 1, action: nil).bytes,
            stream: stream, firstSeq: 1, count: 1, previous: nil, dependencies: [],
            schemaVersion: 1, origin: origin, key: key)
    }

    private func edit(_ notes: Range<UInt64>, on replica: Replica) throws {
        for number in notes {
            let id = RowID(Identifier(high: 0, low: number))
            try replica.write {
                try $0.set(Sample.note, id, [(Sample.column("count"), .integer(Int64(number)))])
                try $0.set(Sample.note, id, [(Sample.column("title"), .text("edited"))])
            }
        }
    }

    @Test func `what was seen of 1,500 laptops is told in runs that others take`() throws {
        let bench = try Bench(isVolatile: true)
        let a = try bench.create("a")
        let b = try bench.create("b")
        let runs = (0..<1_500).map { run(UInt64($0)) }
        for replica in [a, b] {
            let results = try replica.ingest(runs)
            #expect(
                results.allSatisfy { if case .refused = $0 { false } else { true } })
        }
        // One change that names few, then so many that one run can't name them all.
        try edit(0..<2, on: a)
        try a.seal()
        try edit(2..<1_400, on: a)
        try carry(from: a, to: b)
        #expect(try a.stateHash() == b.stateHash())
        for replica in [a, b] { #expect(try replica.verify().problems == []) }
        let note = RowID(Identifier(high: 0, low: 1_399))
        let title = try b.query("SELECT title FROM note WHERE id = ?", .blob(note.identifier.bytes))
        #expect(title == [[.text("edited")]])
    }

    /// How many streams each own run of a replica depends on.
    private func dependencyCounts(_ replica: Replica) throws -> [Int] {
        try replica.sealedRuns(after: VersionVector())
            .filter { $0.header.stream == replica.stream }.map(\.header.dependencies.count)
    }

    @Test func `a transaction that names more laptops than a header holds is several runs`() throws
    {
        let bench = try Bench(isVolatile: true)
        let a = try bench.create("a")
        let b = try bench.create("b")
        let runs = (0..<1_500).map { run(UInt64($0)) }
        for replica in [a, b] { _ = try replica.ingest(runs) }
        let (_, receipt) = try a.write { transaction in
            for number in 0..<UInt64(1_500) {
                let id = RowID(Identifier(high: 0, low: number))
                try transaction.set(Sample.note, id, [(Sample.column("title"), .text("edited"))])
            }
        }
        #expect(receipt.dots.count == 2)
        let actions = try receipt.dots.map { try a.changeset($0)?.action }
        #expect(actions[0] != nil && actions[0] == actions[1])
        // The second names what the first had no room for, and what grew and was not named yet.
        try carry(from: a, to: b)
        #expect(try dependencyCounts(a) == [1_024, 476])
        #expect(try a.stateHash() == b.stateHash())
        #expect(try b.verify().problems == [])
    }

    /// One note on which so many laptops put a title apart.
    private func crowd(_ count: UInt64) -> [SealedRun] {
        let id = RowID(Identifier(high: 7, low: 7))
        return (0..<count).map { number in
            let key = DeviceKey()
            let stream = StreamID(device: key.device, scope: "forum", incarnation: 0)
            var writer = BodyWriter(stream: stream, previousRun: nil)
            writer.begin(seq: 1, time: HybridTime(milliseconds: 1))
            writer.row(table: 1, id: id, name: .whole, itemCount: 2)
            writer.put(column: 1, .plain(.text("note \(number)")))
            return SealedRun(
                sealing: writer.finish(author: "", claimedMilliseconds: 1, action: nil).bytes,
                stream: stream, firstSeq: 1, count: 1, previous: nil, dependencies: [],
                schemaVersion: 1,
                origin: StreamOrigin(publicKey: key.publicKey, scope: "forum", incarnation: 0),
                key: key)
        }
    }

    @Test func `one change replaces what 1,024 laptops wrote and no more`() throws {
        let bench = try Bench(isVolatile: true)
        let a = try bench.create("a")
        let runs = crowd(UInt64(Limits.runDependencies) + 1)
        _ = try a.ingest(runs.dropLast() + [run(99)])
        // The run has named a stream already, so that a crowd of 1,024 needs one of its own.
        try edit(99..<100, on: a)
        let settle: () throws -> Void = {
            try a.write { transaction in
                try transaction.author(1, RowID(Identifier(high: 7, low: 7))) { state in
                    let basis = RegisterFold(state[CellKey(1)]).allDots
                    return [state.resolve(CellKey(1), .text("settled"), basis: basis)]
                }
            }
        }
        try settle()
        #expect(try a.openConflicts() == [])
        try a.seal()
        #expect(try dependencyCounts(a) == [1_024, 1_024])
        #expect(try a.verify().problems == [])

        _ = try a.ingest([runs[Limits.runDependencies]])
        let (hash, tail) = (try a.stateHash(), try a.tailChangesets())
        #expect(throws: StoreError.self) { try settle() }
        #expect(try a.stateHash() == hash)
        #expect(try a.tailChangesets() == tail)
        #expect(try a.openConflicts().count == 1)
    }
}
