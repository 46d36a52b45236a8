import Causality
import Merge
import RecordSchema
import StoreTestSupport
import SyncProtocol
import TestSupport
import Testing

import ReplicaStore

/// Files that write under one name: what a replica makes of the runs of both.
@Suite struct Branches {
    private let bench: Bench
    private let key = DeviceKey()

    init() throws { bench = try Bench(isVolatile: true) }

    /// A file that writes to the same stream as the others.
    private func twin(_ name: String) throws -> Replica {
        try Replica.create(
            at: bench.path(name), name: name, schema: Sample.schema,
            environment: bench.environment, key: key)
    }

    @discardableResult
    private func note(_ replica: Replica, _ title: String) throws -> RowID {
        try replica.write { transaction in
            let id = try transaction.insert(
                into: Sample.note, [.text(title), nil, nil, nil, nil])
            try transaction.add(Sample.note, id, Sample.column("tags"), [.text("t")])
            return id
        }.result
    }

    /// As many runs as titles.
    @discardableResult
    private func fill(_ replica: Replica, _ titles: [String]) throws -> [SealedRun] {
        for title in titles {
            try note(replica, title)
            try replica.seal()
        }
        return try replica.sealedRuns(after: VersionVector())
    }

    private func titles(_ replica: Replica) throws -> [String] {
        try replica.query("SELECT title FROM note ORDER BY title").compactMap { row in
            if case .text(let title) = row[0] { title } else { nil }
        }
    }

    private func code(_ result: IngestResult) -> Refusal.Code? {
        if case .refused(let refusal) = result { refusal.code } else { nil }
    }

    /// The tables are what the log says, and the file is whole.
    private func check(_ replica: Replica) throws {
        let oracle = try StateOracle(replica, tables: Sample.schema.tables)
        #expect(try oracle.difference(from: replica) == nil)
        #expect(try replica.verify().problems == [])
    }

    @Test func `another run in the place of one that is held counts as well`() throws {
        let (one, two) = (try twin("one"), try twin("two"))
        #expect(one.stream == two.stream)
        let left = try fill(one, ["a", "b", "c"])
        let right = try fill(two, ["x", "y", "z"])
        let b = try bench.create("b")
        _ = try b.ingest([left[0]])
        #expect(try b.naming() == "")
        #expect(try b.ingest([right[1]]).map(code) == [.gap], "the one before it is missing")
        #expect(try b.ingest(right).map(code) == [nil, nil, nil])
        #expect(try b.ingest(right).allSatisfy { if case .duplicate = $0 { true } else { false } })
        #expect(try b.ingest([left[1], right[2], left[2]]).map(code) == [nil, nil, nil])
        #expect(try titles(b) == ["a", "b", "c", "x", "y", "z"])
        #expect(try b.naming() != "")
        try check(b)
        // The other way round, it is the same.
        let c = try bench.create("c")
        try carry(from: two, to: c)
        try c.write { try $0.upsert(Sample.person, key: [.text("A")], []) }
        #expect(try c.ingest(left).map(code) == [nil, nil, nil])
        try check(c)
        // Who depends on a branch can be read by all who hold it.
        try carry(from: c, to: b)
        #expect(try b.stateHash() == c.stateHash())
        #expect(try b.counts().changesets == 7)
        // And each twin takes what the other one wrote under its name.
        try one.write { try $0.upsert(Sample.person, key: [.text("B")], []) }
        let stream = one.stream
        try carry(from: b, to: one)
        #expect(one.stream != stream, "it goes on under another name")
        try note(one, "d")
        for replica in [b, c, two] {
            try carry(from: one, to: replica)
            #expect(try replica.stateHash() == one.stateHash())
            try check(replica)
        }
    }

    @Test(arguments: 0...2)
    func `the own stream is taken from elsewhere, whatever waits to be sealed`(
        waiting: Int
    ) throws {
        let (one, two) = (try twin("one"), try twin("two"))
        let runs = try fill(two, ["x"])
        for number in 0..<waiting { try note(one, "\(number)") }
        #expect(try one.ingest(runs).map(code) == [nil])
        #expect(try titles(one).count == waiting + 1)
        #expect(one.stream != two.stream, "each goes on under a name of its own")
        try check(one)
        try carry(from: one, to: two)
        #expect(try two.stateHash() == one.stateHash())
        try check(two)
    }

    @Test func `branches may fork again, and are called alike in every order`() throws {
        var files = [try twin("file 0")]
        var runs = try fill(files[0], ["0"])
        // Each begins where another one stands.
        for number in 1..<7 {
            let from = [0, 0, 1, 0, 3, 2][number - 1]
            let file = try bench.clone("file \(from)", as: "file \(number)")
            runs += try fill(files[from], ["\(from), while there were \(number)"])
            runs += try fill(file, ["\(number)", "\(number) again"])
            files.append(file)
        }
        let reader = try bench.create("reader")
        _ = try reader.ingest(runs)
        let hash = try reader.stateHash()
        try check(reader)
        #expect(try titles(reader).count == 19)
        var random = SplitMix64(seed: 32)
        for number in 0..<6 {
            let other = try bench.create("other \(number)")
            var rest = runs
            rest.shuffle(using: &random)
            while !rest.isEmpty {
                let results = try other.ingest(rest)
                let left = zip(rest, results).filter { code($0.1) == .gap }.map(\.0)
                try #require(left.count < rest.count)
                rest = left
            }
            #expect(try other.stateHash() == hash)
            try check(other)
        }
    }

    @Test func `a device may fork its streams so often, and its runs are refused then`() throws {
        let b = try bench.create("b")
        var codes: [Refusal.Code?] = []
        for number in 0...65 {
            codes += try b.ingest(fill(twin("\(number)"), ["\(number)"])).map(code)
        }
        #expect(codes == Array(repeating: nil, count: 65) + [.fork])
        #expect(try titles(b).count == 65)
        try check(b)
    }

    @Test func `what branches begin with alike counts once`() throws {
        let one = try twin("one")
        try note(one, "alike")
        try note(one, "alike, too")
        let two = try bench.clone("one", as: "two")
        try note(one, "of the first")
        try note(two, "of the second")
        let b = try bench.create("b")
        try carry(from: one, to: b)
        try carry(from: two, to: b)
        #expect(try titles(b) == ["alike", "alike, too", "of the first", "of the second"])
        #expect(try b.counts().changesets == 4)
        try check(b)
        let c = try bench.create("c")
        try carry(from: two, to: c)
        try carry(from: one, to: c)
        #expect(try c.stateHash() == b.stateHash())
    }

    @Test func `a file with branches is repaired, and what is lost comes back`() throws {
        let (one, two) = (try twin("one"), try twin("two"))
        let b = try bench.create("b")
        try fill(one, ["a", "b"])
        try fill(two, ["x", "y"])
        try carry(from: one, to: b)
        try carry(from: two, to: b)
        try note(b, "its own")
        let hash = try b.stateHash()
        b.close()
        // A row of a table that is made from the log; all of the log is there.
        try bench.shell("b", "DELETE FROM note WHERE title = 'x'", firesTriggers: false)
        _ = try Replica.repair(
            at: bench.path("b"), schema: Sample.schema, environment: bench.environment)
        let repaired = try bench.open("b")
        try carry(from: one, to: repaired)
        try carry(from: two, to: repaired)
        #expect(try repaired.stateHash() == hash)
        #expect(try titles(repaired) == ["a", "b", "its own", "x", "y"])
        try check(repaired)
    }

    @Test func `what another program wrote and can't be sent stays when a stream forks`() throws {
        let (one, two) = (try twin("one"), try twin("two"))
        let runs = [try fill(one, ["a"])[0], try fill(two, ["x"])[0]]
        let b = try bench.create("b")
        _ = try b.ingest([runs[0]])
        let own = try ["own", "to go", "whole"].map { try note(b, $0) }
        let text = { (id: RowID) in "x'\(id.identifier.bytes.hexadecimal)'" }
        // No texts: they can't be taken in.
        try bench.shell(
            "b",
            """
            UPDATE note SET title = CAST(x'ff' AS TEXT) WHERE title IN ('a', 'own');
            INSERT INTO note(id, title) VALUES(randomblob(16), CAST(x'fe' AS TEXT));
            DELETE FROM note WHERE title = 'to go';
            UPDATE note SET title = CAST(x'fd' AS TEXT) WHERE id = \(text(own[1]));
            REPLACE INTO note(id, title) VALUES(\(text(own[2])), CAST(x'fc' AS TEXT));
            """)
        _ = try b.ingest([runs[1]])
        let found = try b.query("SELECT hex(title) FROM note ORDER BY hex(title)").map { $0[0] }
        #expect(found == ["78", "FC", "FE", "FF", "FF"].map { .text($0) })
        try bench.shell(
            "b",
            """
            UPDATE note SET title = 'mended ' || hex(title) || ' ' || hex(tags)
            WHERE hex(title) IN ('FC', 'FE', 'FF')
            """)
        try b.takeForeignWrites()
        #expect(
            try titles(b) == [
                "mended FC ", "mended FE ", "mended FF 5B2274225D", "mended FF 5B2274225D", "x",
            ])
        #expect(try b.unreadableForeignWrites().isEmpty)
        try check(b)
    }

    @Test func `what others changed is not undone by what another program wrote before`() throws {
        let one = try twin("one")
        let id = try note(one, "a")
        try one.seal()
        let two = try bench.clone("one", as: "two")
        try fill(one, ["of the first"])
        try two.write { transaction in
            try transaction.set(Sample.note, id, [(Sample.column("count"), .integer(7))])
            try transaction.add(Sample.note, id, Sample.column("tags"), [.text("u")])
        }
        let b = try bench.create("b")
        try carry(from: one, to: b)
        try bench.shell(
            "b",
            "UPDATE note SET title = CAST(x'ff' AS TEXT), count = 5, tags = '[]' WHERE title = 'a'")
        try carry(from: two, to: b)
        try bench.shell("b", "UPDATE note SET title = 'mended' WHERE hex(title) = 'FF'")
        try b.takeForeignWrites()
        let row = try b.query("SELECT title, count, tags FROM note WHERE title = 'mended'").first
        #expect(row == [.text("mended"), .integer(7), .text(#"["t","u"]"#)])
        try check(b)
    }

    @Test func `what an older build wrote of one history is read by one that knows branches`()
        throws
    {
        let one = try twin("one")
        let runs = try fill(one, ["a", "b"])
        let b = try bench.create("b")
        _ = try b.ingest(runs)
        let reopened = try bench.open("b")
        _ = try reopened.ingest(fill(twin("two"), ["x"]))
        // What another process has open sees the branches as well.
        #expect(try titles(b) == ["a", "b", "x"])
        #expect(try b.stateHash() == reopened.stateHash())
        try note(b, "after")
        #expect(try b.stateHash() == reopened.stateHash())
        try check(b)
        try check(reopened)
    }
}
