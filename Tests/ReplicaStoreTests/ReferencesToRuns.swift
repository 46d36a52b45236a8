import Causality
import Merge
import RecordSchema
import ReplicaStore
import SyncProtocol
import TestSupport
import Testing

/// Rows and values that a stream has said in earlier runs.
@Suite struct ReferencesToRuns {
    private let count = Sample.column("count")
    private let title = Sample.column("title")

    private func ids(_ count: Int) -> [RowID] {
        var generator = SplitMix64(seed: 5)
        return (0..<count).map { _ in
            RowID(Identifier(high: generator.next(), low: generator.next()))
        }
    }

    private func insert(_ ids: [RowID], into replica: Replica) throws {
        try replica.write { transaction in
            for (index, id) in ids.enumerated() {
                try transaction.insert(
                    into: Sample.note, id: id,
                    [.text("title \(index % 7)"), .integer(0), nil, nil, nil])
            }
        }
        try replica.seal()
    }

    private func update(_ ids: [RowID], in replica: Replica, to number: Int64) throws {
        try replica.write { transaction in
            for id in ids { try transaction.set(Sample.note, id, [(count, .integer(number))]) }
        }
        try replica.seal()
    }

    /// How many of the ids stand in the last run, and the size of its body as it is sent.
    private func last(_ replica: Replica, _ ids: [RowID]) throws -> (named: Int, bytes: Int) {
        let run = try #require(try replica.sealedRuns(after: VersionVector()).last)
        let body = try run.expandedBody()
        let windows = Set((0..<max(body.count - 15, 0)).map { Array(body[$0..<$0 + 16]) })
        return (ids.filter { windows.contains($0.identifier.bytes) }.count, run.body.count)
    }

    @Test func `a row that the stream has named is never named in full again`() throws {
        let bench = try Bench()
        var a = try bench.create("a")
        let b = try bench.create("b")
        let ids = ids(300)
        try insert(Array(ids[..<200]), into: a)
        try insert(Array(ids[200...]), into: a)
        #expect(try last(a, ids).named == 100)
        for number in 1...3 as ClosedRange<Int64> {
            try update(ids, in: a, to: number)
            #expect(try last(a, ids).named == 0)
            #expect(try last(a, ids).bytes < 200, "300 rows in their order")
            // The next process knows what the last one said.
            a.close()
            a = try bench.open("a")
        }
        try update(ids.reversed(), in: a, to: 9)
        #expect(try last(a, ids).named == 0)
        try carry(from: a, to: b)
        #expect(try b.stateHash() == a.stateHash())
        #expect(try b.verify().problems == [])
        #expect(try b.query("SELECT DISTINCT count FROM note") == [[.integer(9)]])
    }

    @Test func `rows that a stream made are referred to as well, and by no other stream`() throws {
        let bench = try Bench()
        let (a, b) = (try bench.create("a"), try bench.create("b"))
        let made = try a.write { transaction in
            try (0..<50).map { number in
                try transaction.insert(
                    into: Sample.note, [.text("\(number)"), .integer(0), nil, nil, nil])
            }
        }.result
        try carry(from: a, to: b)
        try update(made, in: a, to: 1)
        #expect(try last(a, made).named == 0)
        try update(made, in: b, to: 2)
        let runs = try b.sealedRuns(after: a.versionVector())
        let body = try runs[0].expandedBody()
        let windows = Set((0..<body.count - 15).map { Array(body[$0..<$0 + 16]) })
        #expect(made.allSatisfy { windows.contains($0.identifier.bytes) })
        try carry(from: b, to: a)
        try carry(from: a, to: b)
        #expect(try b.stateHash() == a.stateHash())
    }

    @Test func `one run of many is read by itself, in a process that has read none`() throws {
        let bench = try Bench()
        let a = try bench.create("a")
        let ids = ids(20)
        try insert(ids, into: a)
        for number in 1...30 as ClosedRange<Int64> { try update(ids, in: a, to: number) }
        a.close()
        for seq in [31, 17, 2] as [UInt64] {
            let again = try bench.open("a")
            let changeset = try #require(try again.changeset(Dot(again.stream, seq)))
            #expect(changeset.rows.map(\.row) == ids)
            #expect(
                changeset.rows.allSatisfy {
                    $0.operations.map(\.action) == [.put(.integer(Int64(seq) - 1))]
                })
            again.close()
        }
    }

    @Test func `what a transaction that was taken back has sealed is not referred to`() throws {
        let bench = try Bench()
        let (a, b) = (try bench.create("a"), try bench.create("b"))
        let ids = ids(40)
        try insert(Array(ids[..<20]), into: a)
        struct Stop: Error {}
        let long = String(repeating: "x", count: 60_000)
        #expect(throws: Stop.self) {
            try a.write { transaction in
                for id in ids[20...] {
                    try transaction.insert(
                        into: Sample.note, id: id, [.text(long), .integer(0), nil, nil, nil])
                }
                throw Stop()
            }
        }
        try insert(Array(ids[20...]), into: a)
        try update(ids, in: a, to: 1)
        try carry(from: a, to: b)
        #expect(try b.stateHash() == a.stateHash())
        #expect(try b.verify().problems == [])
    }

    @Test func `a run that another file sealed in a stream's place leaves no trace`() throws {
        let bench = try Bench()
        let a = try bench.create("a")
        let ids = ids(20)
        try insert(ids, into: a)
        try update(ids, in: a, to: 1)
        let runs = try a.sealedRuns(after: VersionVector())
        let b = try bench.create("b")
        struct Stop: Error {}
        // Both runs come, and are taken back; then they come again one by one.
        #expect(throws: Stop.self) { try b.ingest(runs, also: { _ in throw Stop() }) }
        #expect(try b.query("SELECT count(*) FROM note") == [[.integer(0)]])
        for run in runs {
            guard case .applied = try b.ingest([run])[0] else {
                Issue.record("a run was not taken")
                return
            }
        }
        #expect(try b.stateHash() == a.stateHash())
    }
}
