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
}
