import Causality
import Merge
import RecordSchema
import ReplicaStore
import SyncProtocol
import Testing

/// Rows that stand in the table, or in the log, before the change that makes them comes.
@Suite struct TakenRows {
    /// A run of a stranger who writes a title to a row as if nobody had made it.
    private func run(titling id: RowID, milliseconds: Int64 = 1) -> SealedRun {
        let key = DeviceKey()
        let stream = StreamID(device: key.device, scope: "forum", incarnation: 0)
        var writer = BodyWriter(stream: stream, previousRun: nil)
        writer.begin(seq: 1, time: HybridTime(milliseconds: milliseconds))
        writer.row(table: 1, id: id, name: .whole, itemCount: 2)
        writer.put(column: 1, .plain(.text("a stranger's")))
        return SealedRun(
            sealing: writer.finish(author: "", claimedMilliseconds: 1, action: nil).bytes,
            stream: stream, firstSeq: 1, count: 1, previous: nil, dependencies: [],
            schemaVersion: 1,
            origin: StreamOrigin(publicKey: key.publicKey, scope: "forum", incarnation: 0),
            key: key)
    }

    private func make(_ replica: Replica) throws -> RowID {
        try replica.write {
            try $0.insert(into: Sample.note, [.text("its maker's"), .integer(1), nil, nil, nil])
        }.result
    }

    @Test func `a derived id that someone else wrote to is a conflict, in either order`() throws {
        let bench = try Bench()
        let a = try bench.create("a")
        let id = try make(a)
        try a.seal()
        let stranger = run(titling: id)
        let runs = try a.sealedRuns(after: VersionVector())
        _ = try a.ingest([stranger])
        for (name, order) in [("b", [stranger] + runs), ("c", runs + [stranger])] {
            let other = try bench.create(name)
            for result in try other.ingest(order) {
                if case .refused(let refusal) = result { throw refusal }
            }
            #expect(try other.stateHash() == a.stateHash())
            #expect(try other.openConflicts() == [OpenConflict(table: 1, row: id, column: 1)])
            #expect(try other.query("SELECT count FROM note") == [[.integer(1)]])
            #expect(try other.verify().problems == [])
        }
    }

    @Test func `a row that another program left unreadable gives way to the same row`() throws {
        let bench = try Bench()
        let a = try bench.create("a")
        var b = try bench.create("b")
        let id = try a.write {
            try $0.upsert(Sample.person, key: [.text("A")], [(Sample.column("name"), .text("n"))])
        }.result.id
        b.close()
        try bench.shell(
            "b",
            """
            INSERT INTO person(id, badge, name) VALUES(\(literal(id)), 'A', CAST(x'ff' AS TEXT))
            """)
        b = try bench.open("b")
        try b.takeForeignWrites()
        #expect(try b.unreadableForeignWrites().map(\.row) == [id])
        try carry(from: a, to: b)
        #expect(try b.stateHash() == a.stateHash())
        #expect(try b.query("SELECT name FROM person") == [[.text("n")]])
        #expect(try b.unreadableForeignWrites().isEmpty || b.verify().problems == [])
    }

    @Test(arguments: [Int64(1) << 47, Int64(1) << 48 - 1])
    func `a row that claims to be of a far year can be written to`(milliseconds: Int64) throws {
        let bench = try Bench()
        let (a, b) = (try bench.create("a"), try bench.create("b"))
        let id = RowID(Identifier(high: 1, low: 1))
        let far = run(titling: id, milliseconds: milliseconds)
        for replica in [a, b] { _ = try replica.ingest([far]) }
        try a.write { try $0.set(Sample.note, id, [(Sample.column("count"), .integer(2))]) }
        try carry(from: a, to: b)
        for replica in [a, b] {
            #expect(
                try replica.query("SELECT title, count FROM note") == [
                    [.text("a stranger's"), .integer(2)]
                ])
            #expect(try replica.verify().problems == [])
        }
        #expect(try a.stateHash() == b.stateHash())
    }
}
