import Causality
import Merge
import RecordSchema
import ReplicaStore
import SyncProtocol
import Testing

/// What the sqlite3 shell may write, and no replica would.
@Suite struct ForeignWrites {
    /// A replica with one note and one person, closed; and their ids.
    private func prepare(_ bench: Bench) throws -> (note: RowID, person: RowID) {
        let a = try bench.create("a")
        let ids = try a.write { transaction in
            let note = try transaction.insert(
                into: Sample.note, [.text("one"), nil, nil, nil, nil])
            try transaction.set(Sample.note, note, [(Sample.column("count"), .integer(1))])
            try transaction.add(Sample.note, note, Sample.column("tags"), [.text("t")])
            let person = try transaction.upsert(
                Sample.person, key: [.text("A1")], [(Sample.column("name"), .text("Ay"))]
            ).id
            return (note, person)
        }.result
        try a.seal()
        a.close()
        return ids
    }

    /// Opens, hands on, and holds both replicas against themselves.
    private func settle(_ bench: Bench) throws -> Replica {
        let a = try bench.open("a")
        try a.write { _ in }
        let b = try bench.create("b")
        try carry(from: a, to: b)
        a.close()
        let again = try bench.open("a")
        #expect(try again.verify().problems == [])
        #expect(try b.verify().problems == [])
        #expect(try again.stateHash() == b.stateHash())
        return again
    }

    @Test
    func `a column of a row that one changeset wrote in two goes is compared with its own op`()
        throws
    {
        let bench = try Bench()
        let (note, _) = try prepare(bench)
        try bench.shell("a", "UPDATE note SET count = 2 WHERE id = \(literal(note))")
        let a = try settle(bench)
        #expect(try a.query("SELECT count FROM note") == [[.integer(2)]])
    }

    /// A full disk may keep it from being taken in, and a reader doesn't try to.
    @Test func `until it is taken in, what is read is what the log says`() throws {
        let bench = try Bench()
        let (note, person) = try prepare(bench)
        let a = try bench.open("a")
        let before = (
            try a.stateHash(), try a.state(Sample.note.id, note),
            try a.state(Sample.person.id, person)
        )
        try a.withLock {
            try bench.shell("a", "DELETE FROM person; UPDATE note SET title = 'two', count = 9")
        }
        #expect(try a.state(Sample.person.id, person) == before.2)
        #expect(try a.state(Sample.note.id, note) == before.1)
        #expect(try a.stateHash() == before.0)
        try a.takeForeignWrites()
        #expect(try a.state(Sample.person.id, person) != before.2)
        #expect(try a.stateHash() != before.0)
        a.close()
        _ = try settle(bench)
    }

    @Test func `what the shell wrote is taken in before a run that arrives, and neither is lost`()
        throws
    {
        let bench = try Bench()
        let (note, _) = try prepare(bench)
        let a = try bench.open("a")
        let b = try bench.create("b")
        try carry(from: a, to: b)
        try b.write { try $0.set(Sample.note, note, [(Sample.column("title"), .text("b"))]) }
        try a.withLock { try bench.shell("a", "UPDATE note SET title = 'shell'") }
        try carry(from: b, to: a)
        #expect(
            try a.openConflicts() == [
                OpenConflict(table: 1, row: note, column: Sample.column("title").id)
            ])
        let fold = RegisterFold(try a.state(1, note)[CellKey(1)])
        #expect(Set(fold.candidates.map(\.action.value)) == [.text("b"), .text("shell")])
        try carry(from: a, to: b)
        #expect(try a.verify().problems == [])
        #expect(try a.stateHash() == b.stateHash())
    }

    @Test func `many rows of many runs are taken in, whatever order they lie in`() throws {
        let bench = try Bench()
        let a = try bench.create("a")
        for run in 0..<24 {
            try a.write { transaction in
                for number in 0..<4 {
                    try transaction.upsert(
                        Sample.person, key: [.text("P\(run)-\(number)")],
                        [(Sample.column("name"), .text("old"))])
                }
            }
            try a.seal()
        }
        a.close()
        try bench.shell(
            "a",
            """
            UPDATE person SET name = 'new ' || badge WHERE badge NOT LIKE '%-3';
            DELETE FROM person WHERE badge LIKE 'P7-%';
            INSERT INTO person(id, badge, name) VALUES(randomblob(16), 'N1', 'made');
            """)
        let again = try settle(bench)
        let names = try again.query("SELECT badge, name FROM person")
        #expect(names.count == 24 * 4 - 4 + 1)
        for row in names {
            guard case .text(let badge) = row[0] else { continue }
            let wanted = badge == "N1" ? "made" : badge.hasSuffix("-3") ? "old" : "new \(badge)"
            #expect(row[1] == .text(wanted), "\(badge)")
        }
    }

    @Test func `a set that names an element twice holds it once`() throws {
        let bench = try Bench()
        _ = try prepare(bench)
        try bench.shell("a", "UPDATE note SET tags = '[\"x\",\"x\",\"t\"]'")
        let a = try settle(bench)
        #expect(try a.query("SELECT tags FROM note") == [[.text("[\"t\",\"x\"]")]])
    }

    @Test func `a value over its limit stays in the file and is told of, and the rest goes on`()
        throws
    {
        let bench = try Bench()
        let (note, _) = try prepare(bench)
        try bench.shell(
            "a",
            "UPDATE note SET title = replace(hex(zeroblob(40000)), '00', 'xx');"
                + "UPDATE person SET name = 'other'")
        let a = try bench.open("a")
        #expect(try a.unreadableForeignWrites().map(\.row) == [note])
        #expect(try a.query("SELECT length(title) FROM note") == [[.integer(80_000)]])
        try a.write { transaction in
            try transaction.insert(into: Sample.note, [.text("next"), nil, nil, nil, nil])
        }
        a.close()
        try bench.shell("a", "UPDATE note SET title = 'short' WHERE length(title) > 9")
        let again = try settle(bench)
        #expect(try again.unreadableForeignWrites().isEmpty)
        #expect(
            try again.query("SELECT title FROM note ORDER BY title") == [
                [.text("next")], [.text("short")],
            ])
        #expect(try again.query("SELECT name FROM person") == [[.text("other")]])
    }

    @Test func `a reference that is no row's id stays in the file and is told of`() throws {
        let bench = try Bench()
        let (_, person) = try prepare(bench)
        try bench.shell("a", "UPDATE person SET friend = x'0102'")
        let a = try bench.open("a")
        #expect(try a.unreadableForeignWrites().map(\.row) == [person])
        a.close()
        try bench.shell("a", "UPDATE person SET friend = id")
        let again = try settle(bench)
        #expect(
            try again.query("SELECT friend FROM person") == [[.blob(person.identifier.bytes)]])
    }

    @Test func `an element that the set's type does not take stays in the file and is told of`()
        throws
    {
        let bench = try Bench()
        let (note, _) = try prepare(bench)
        for json in ["[1]", "[true]", "[\"a\",null]", "{}", "[", "\"a\""] {
            try bench.shell("a", "UPDATE note SET tags = '\(json)'")
            let a = try bench.open("a")
            #expect(try a.unreadableForeignWrites().map(\.row) == [note], "\(json)")
            a.close()
        }
        try bench.shell("a", "UPDATE note SET tags = NULL")
        let again = try settle(bench)
        #expect(try again.query("SELECT tags FROM note") == [[.null]])
    }

    @Test func `a row that the shell gives another id is deleted here and made there`() throws {
        let bench = try Bench()
        let (note, _) = try prepare(bench)
        try bench.shell("a", "UPDATE note SET id = zeroblob(16)")
        let a = try settle(bench)
        #expect(
            try a.query("SELECT id, title, count, tags FROM note") == [
                [
                    .blob([UInt8](repeating: 0, count: 16)), .text("one"), .integer(1),
                    .text("[\"t\"]"),
                ]
            ])
        #expect(LifeFold(try a.state(1, note)).isHidden)
    }

    @Test func `a text that is not UTF-8 stays in the file and is told of`() throws {
        let bench = try Bench()
        let (note, _) = try prepare(bench)
        try bench.shell("a", "UPDATE note SET title = CAST(x'ff41' AS TEXT)")
        let a = try bench.open("a")
        #expect(try a.unreadableForeignWrites().map(\.row) == [note])
        a.close()
        try bench.shell("a", "UPDATE note SET title = 'mended'")
        let again = try settle(bench)
        #expect(try again.unreadableForeignWrites().isEmpty)
    }

    @Test func `an empty row that the shell makes waits until it has a value`() throws {
        let bench = try Bench()
        _ = try prepare(bench)
        try bench.shell("a", "INSERT INTO note(id) VALUES(zeroblob(16))")
        try bench.open("a").close()
        try bench.shell("a", "UPDATE note SET count = 5 WHERE title IS NULL")
        let a = try settle(bench)
        #expect(try a.query("SELECT count(*) FROM note") == [[.integer(2)]])
    }
}
