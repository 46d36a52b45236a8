import Causality
import Foundation
import Merge
import RecordSchema
import ReplicaStore
import SyncProtocol
import Testing

/// A row's clocks lie in its table, where other programs can take the row away from under them.
@Suite struct ClocksInRows {
    /// Three notes that two replicas hold; both are closed.
    private func prepare(_ bench: Bench) throws -> [RowID] {
        let a = try bench.create("a")
        let ids = try ["one", "two", "three"].map { title in
            try a.write {
                let id = try $0.insert(
                    into: Sample.note, [.text(title), .integer(1), nil, nil, .integer(5)])
                try $0.add(Sample.note, id, Sample.column("tags"), [.text("t")])
                return id
            }.result
        }
        let b = try bench.create("b")
        try carry(from: a, to: b)
        a.close()
        b.close()
        return ids
    }

    /// What was written to `a`'s file replaces what it showed, and nothing else: no conflict, and
    /// the same everywhere.
    private func settle(_ bench: Bench) throws -> Replica {
        let (a, b) = (try bench.open("a"), try bench.open("b"))
        try carry(from: a, to: b)
        for replica in [a, b] {
            #expect(try replica.verify().problems == [])
            #expect(try replica.openConflicts() == [])
            #expect(try replica.query("SELECT count(*) FROM sy_dirty") == [[.integer(0)]])
        }
        #expect(try a.stateHash() == b.stateHash())
        let shown = "SELECT id, title, count, tags, arrival FROM note ORDER BY id"
        #expect(try a.query(shown) == b.query(shown))
        return a
    }

    private func titles(_ replica: Replica) throws -> [String] {
        try replica.query("SELECT title FROM note ORDER BY title").compactMap {
            if case .text(let title) = $0[0] { title } else { nil }
        }
    }

    @Test func `a row that is replaced whole keeps its clocks`() throws {
        for verb in ["INSERT OR REPLACE", "REPLACE"] {
            let bench = try Bench()
            let ids = try prepare(bench)
            try bench.shell(
                "a", "\(verb) INTO note(id, title, count) VALUES(\(literal(ids[0])), 'new', 2);")
            let a = try settle(bench)
            #expect(try titles(a) == ["new", "three", "two"])
            #expect(
                try a.query("SELECT count, tags, arrival FROM note WHERE title = 'new'") == [
                    [.integer(2), .null, .null]
                ])
        }
    }

    @Test func `a row that goes and comes again in one sitting is the same row`() throws {
        let bench = try Bench()
        let ids = try prepare(bench)
        try bench.shell(
            "a",
            """
            DELETE FROM note WHERE id = \(literal(ids[0]));
            INSERT INTO note(id, title) VALUES(\(literal(ids[0])), 'again');
            DELETE FROM note WHERE id = \(literal(ids[1]));
            """)
        let a = try settle(bench)
        #expect(try titles(a) == ["again", "three"])
        #expect(LifeFold(try a.state(1, ids[1])).isHidden)
        try a.write { try $0.restore(Sample.note, ids[1]) }
        #expect(try titles(a) == ["again", "three", "two"])
        #expect(try a.verify().problems == [])
    }

    @Test func `a row that moves to another id leaves its clocks behind`() throws {
        let bench = try Bench()
        let ids = try prepare(bench)
        let free = "x'000102030405060708090a0b0c0d0e0f'"
        try bench.shell("a", "UPDATE note SET id = \(free) WHERE id = \(literal(ids[0]));")
        let a = try settle(bench)
        #expect(try titles(a) == ["one", "three", "two"])
        #expect(LifeFold(try a.state(1, ids[0])).isHidden)
        #expect(try a.counts().rows == 4)
    }

    @Test func `a row that moves onto another takes its place`() throws {
        let bench = try Bench()
        let ids = try prepare(bench)
        try bench.shell(
            "a",
            "UPDATE OR REPLACE note SET id = \(literal(ids[1])) WHERE id = \(literal(ids[0]));")
        let a = try settle(bench)
        #expect(try titles(a) == ["one", "three"])
        #expect(LifeFold(try a.state(1, ids[0])).isHidden)
        #expect(try a.counts().rows == 3)
    }

    @Test func `an insert that gives way or turns into an update changes what it says`() throws {
        let bench = try Bench()
        let ids = try prepare(bench)
        try bench.shell(
            "a",
            """
            INSERT OR IGNORE INTO note(id, title) VALUES(\(literal(ids[0])), 'ignored');
            INSERT INTO note(id, title) VALUES(\(literal(ids[1])), 'updated')
            ON CONFLICT DO UPDATE SET title = excluded.title;
            """)
        let a = try settle(bench)
        #expect(try titles(a) == ["one", "three", "updated"])
        #expect(
            try a.query("SELECT count, tags, arrival FROM note WHERE title = 'updated'") == [
                [.integer(1), .text("[\"t\"]"), .integer(5)]
            ])
    }

    @Test func `clocks are no other program's to write`() throws {
        let bench = try Bench()
        let ids = try prepare(bench)
        #expect(throws: Bench.ShellError.self) {
            try bench.shell("a", "UPDATE note SET sy_clk = x'00';")
        }
        // Whoever writes all columns back, or copies a row with all of them, means no harm.
        try bench.shell(
            "a",
            """
            UPDATE note SET sy_clk = sy_clk, title = title;
            INSERT OR REPLACE INTO note SELECT * FROM note WHERE title = 'two';
            CREATE TEMP TABLE copy AS SELECT * FROM note WHERE title = 'three';
            UPDATE copy SET id = x'000102030405060708090a0b0c0d0e0f', title = 'copy';
            INSERT INTO note SELECT * FROM copy;
            """)
        // Whoever takes them away loses nothing.
        try bench.shell("a", "UPDATE note SET sy_clk = NULL, title = 'bare' WHERE title = 'one';")
        let a = try settle(bench)
        #expect(try titles(a) == ["bare", "copy", "three", "two"])
        #expect(try a.counts().rows == 4)
        #expect(LifeFold(try a.state(1, ids[0])).isHidden == false)
    }

    @Test func `the log that waits to be carried over stays small`() throws {
        let bench = try Bench()
        let a = try bench.create("a")
        let text = String(repeating: "x", count: 3_000)
        for _ in 0..<3_000 {
            try a.write { try $0.insert(into: Sample.note, [.text(text), nil, nil, nil, nil]) }
        }
        let path = bench.path("a")
        let log = try FileManager.default.attributesOfItem(atPath: path + "-wal")[.size] as? Int
        let file = try FileManager.default.attributesOfItem(atPath: path)[.size] as? Int
        #expect(try #require(log) < 6 << 20)
        #expect(try #require(file) > 8 << 20)
    }
}
