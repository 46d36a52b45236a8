import Causality
import Merge
import RecordSchema
import ReplicaStore
import SyncProtocol
import Testing

/// What a file keeps beside the rows: its clock, what its runs depend on, the scope of each row.
@Suite struct Bookkeeping {
    private let title = Sample.column("title")

    private func insert(_ replica: Replica, _ text: String) throws -> RowID {
        try replica.write {
            try $0.insert(into: Sample.note, [.text(text), nil, nil, nil, nil])
        }.result
    }

    @Test func `a time that was seen ahead of the wall outlives a restart`() throws {
        let bench = try Bench()
        let clock = bench.clock
        var ahead = bench.environment
        ahead.wallMilliseconds = { clock.next() + 300_000 }
        let a = try Replica.create(
            at: bench.path("a"), name: "a", schema: Sample.schema, environment: ahead)
        let b = try bench.create("b")
        _ = try insert(a, "ahead")
        let seen = try a.tailChangesets()[0].time
        try carry(from: a, to: b)
        b.close()
        let again = try bench.open("b")
        _ = try insert(again, "after")
        let times = try again.tailChangesets().map(\.time)
        #expect(times.count == 1)
        #expect(times.allSatisfy { $0 > seen })
        #expect(try again.verify().problems == [])
    }

    @Test func `a run depends on the streams that it names, then on those that grew, and no more`()
        throws
    {
        let bench = try Bench()
        let (a, b, c) = (try bench.create("a"), try bench.create("b"), try bench.create("c"))
        let rows = try [a, c].map { try insert($0, "first") }
        func head(_ replica: Replica) throws -> Dependency {
            try replica.seal()
            let stub = replica.sealedHeads(of: replica.stream)[0]
            return Dependency(stream: stub.stream, seq: stub.lastSeq, run: stub.hash)
        }
        func dependencies() throws -> [Dependency] {
            try b.seal()
            let runs = try b.sealedRuns(after: VersionVector())
            return runs.last { $0.header.stream == b.stream }?.header.dependencies ?? []
        }
        try carry(from: a, to: b)
        try carry(from: c, to: b)
        _ = try insert(b, "own")
        let both = try [head(a), head(c)]
        #expect(try dependencies() == both.sorted { $0.stream < $1.stream })
        _ = try insert(b, "nothing new")
        #expect(try dependencies() == [])
        for (replica, row) in zip([a, c], rows) {
            try replica.write { try $0.set(Sample.note, row, [(title, .text("second"))]) }
            try carry(from: replica, to: b)
        }
        // Both grew, and what is named comes first, whichever it is.
        try b.write { try $0.set(Sample.note, rows[1], [(title, .text("third"))]) }
        #expect(try dependencies() == [head(c), head(a)])
        try b.write { try $0.set(Sample.note, rows[0], [(title, .text("third"))]) }
        #expect(try dependencies() == [head(a)])
        let d = try bench.create("d")
        try carry(from: b, to: d)
        #expect(try d.stateHash() == b.stateHash())
    }

    @Test func `a table that only looks like a declared one is refused`() throws {
        let bench = try Bench()
        let a = try bench.create("a")
        let columns = Sample.note.columns
        for table in [
            Table(1, "other", columns), Table(1, "note", Array(columns.dropLast())),
            Table(9, "note", columns),
        ] {
            let values: [Value?] = table.columns.map { $0.name == "title" ? .text("x") : nil }
            #expect(throws: StoreError.self) {
                try a.write { try $0.insert(into: table, values) }
            }
        }
        #expect(try a.counts().rows == 0)
    }
}
