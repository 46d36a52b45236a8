import Causality
import Foundation
import Merge
import RecordSchema
import ReplicaStore
import SyncProtocol
import Testing

/// Builds of different ages in one forum.
@Suite struct OtherSchemas {
    private func fill(_ replica: Replica) throws -> RowID {
        let (id, _) = try replica.write { transaction in
            let id = try transaction.insert(
                into: Sample.note,
                [.text("one"), .integer(7), .composite([.real(.nan), .null]), nil, .integer(5)])
            try transaction.add(Sample.note, id, Sample.column("tags"), [.text("x"), .text("y")])
            try transaction.insert(
                into: Sample.measure, [.real(-0.0), .blob([0]), nil, .blob(id.identifier.bytes)])
            try transaction.upsert(
                Sample.person, key: [.text("A")], [(Sample.column("name"), .text("Ay"))])
            return id
        }
        try replica.write { try $0.remove(Sample.note, id, Sample.column("tags"), [.text("y")]) }
        return id
    }

    @Test func `an older build stores and forwards what it doesn't know, byte by byte`() throws {
        let bench = try Bench()
        let a = try bench.create("a")
        let old = try bench.create("old", schema: Sample.smaller)
        let c = try bench.create("c")
        let id = try fill(a)
        try carry(from: a, to: old)
        #expect(try old.stateHash() == a.stateHash())
        #expect(
            try old.query("SELECT id, title, count FROM note") == [
                [.blob(id.identifier.bytes), .text("one"), .integer(7)]
            ])
        #expect(try old.verify().problems == [])
        // It writes to what it knows of such a row, and all of that comes back.
        try old.write {
            try $0.set(Sample.smaller.tables[0], id, [(Sample.column("title"), .text("old"))])
        }
        try old.write { try $0.delete(Sample.smaller.tables[0], id) }
        try carry(from: old, to: c)
        #expect(
            try c.sealedRuns(after: VersionVector()) == old.sealedRuns(after: VersionVector()))
        #expect(
            try c.sealedRuns(after: VersionVector()).contains(
                try a.sealedRuns(after: VersionVector())[0]))
        #expect(LifeFold(try c.state(1, id)).isHidden)
        try c.write { try $0.restore(Sample.note, id) }
        try carry(from: c, to: old)
        try carry(from: c, to: a)
        for replica in [a, old, c] {
            #expect(try replica.verify().problems == [])
            #expect(try replica.stateHash() == a.stateHash())
            #expect(
                try replica.query("SELECT title, count FROM note") == [[.text("old"), .integer(7)]])
        }
        #expect(
            try a.query("SELECT tags, arrival FROM note")
                == c.query("SELECT tags, arrival FROM note"))
        #expect(try c.query("SELECT tags, arrival FROM note") == [[.text("[\"x\"]"), .integer(5)]])
    }

    @Test func `a build that learns tables and columns shows what had waited for them`() throws {
        let bench = try Bench()
        let a = try bench.create("a")
        let old = try bench.create("old", schema: Sample.smaller)
        _ = try fill(a)
        try carry(from: a, to: old)
        old.close()
        let grown = try bench.open("old")
        for table in Sample.tables {
            let names = table.sqlColumns.map(\.name).joined(separator: ", ")
            let sql = "SELECT id, \(names) FROM \(table.name) ORDER BY id"
            #expect(try grown.query(sql) == a.query(sql))
        }
        #expect(try grown.stateHash() == a.stateHash())
        #expect(try grown.verify().problems == [])
        #expect(try grown.openConflicts() == a.openConflicts())
    }

    @Test func `what another program wrote stays its edit when new columns appear`() throws {
        let bench = try Bench()
        let a = try bench.create("a")
        let old = try bench.create("old", schema: Sample.smaller)
        let id = try fill(a)
        let other = try a.write { try $0.insert(into: Sample.note, Self.row("two")) }.result
        let third = try a.write { try $0.insert(into: Sample.note, Self.row("three")) }.result
        try carry(from: a, to: old)
        old.close()
        try bench.shell(
            "old",
            """
            UPDATE note SET title = 'edited' WHERE id = \(literal(id));
            INSERT OR REPLACE INTO note(id, title, count)
            VALUES(\(literal(other)), 'replaced', 8);
            DELETE FROM note WHERE id = \(literal(third));
            UPDATE person SET name = CAST(x'ff' AS TEXT);
            """)
        // Meanwhile the columns that the old build doesn't know are edited elsewhere.
        try a.write { try $0.set(Sample.note, id, [(Sample.column("arrival"), .integer(6))]) }
        let grown = try bench.open("old")
        let count = try grown.counts().changesets
        #expect(
            try grown.query("SELECT title, count, arrival, tags FROM note ORDER BY title") == [
                [.text("edited"), .integer(7), .integer(5), .text("[\"x\"]")],
                [.text("replaced"), .integer(8), .integer(5), .null],
            ])
        try bench.shell("old", "UPDATE person SET name = 'mended'")
        try grown.takeForeignWrites()
        #expect(try grown.counts().changesets == count + 1)
        try carry(from: grown, to: a)
        try carry(from: a, to: grown)
        for replica in [a, grown] {
            #expect(try replica.verify().problems == [])
            #expect(try replica.openConflicts().isEmpty)
            #expect(try replica.stateHash() == a.stateHash())
            #expect(
                try replica.query("SELECT arrival FROM note ORDER BY title") == [
                    [.integer(6)], [.integer(5)],
                ])
            #expect(try replica.query("SELECT name FROM person") == [[.text("mended")]])
        }
    }

    private static func row(_ title: String) -> [Value?] {
        [.text(title), .integer(7), nil, nil, .integer(5)]
    }

    @Test func `a file of format 0 is refused, and stays as it is`() throws {
        let bench = try Bench()
        let a = try bench.create("a")
        _ = try fill(a)
        a.close()
        try bench.shell(
            "a", "PRAGMA user_version = 6; UPDATE sy_meta SET value = 0 WHERE key = 'format';")
        let file = URL(filePath: bench.path("a"))
        let bytes = try Data(contentsOf: file)
        func isTrial(_ error: any Error) -> Bool {
            guard case StoreError.trial(let path) = error else { return false }
            return path == file.path
        }
        #expect { try bench.open("a") } throws: { isTrial($0) }
        #expect {
            try Replica.repair(
                at: file.path, schema: Sample.schema, environment: bench.environment)
        } throws: {
            isTrial($0)
        }
        #expect(try Data(contentsOf: file) == bytes)
    }

    @Test func `learning columns writes nothing, and is done once`() throws {
        let bench = try Bench()
        let a = try bench.create("a")
        let old = try bench.create("old", schema: Sample.smaller)
        _ = try fill(a)
        try carry(from: a, to: old)
        let (hash, counts) = (try old.stateHash(), try old.counts())
        old.close()
        for _ in 0..<2 {
            let grown = try bench.open("old")
            #expect(try grown.stateHash() == hash)
            #expect(try grown.counts() == counts)
            #expect(
                try grown.sealedRuns(after: VersionVector())
                    == a.sealedRuns(after: VersionVector()))
            grown.close()
        }
    }

    @Test func `a build that knows less than the file is told to update`() throws {
        let bench = try Bench()
        let a = try bench.create("a")
        _ = try fill(a)
        let hash = try a.stateHash()
        a.close()
        let error = #expect(throws: StoreError.self) {
            try bench.open("a", schema: Sample.smaller)
        }
        guard case .newerSchema(_, let version, let known) = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect((version, known) == (1, 0))
        #expect(try bench.open("a").stateHash() == hash)
    }
}
