import Causality
import Merge
import RecordSchema
import ReplicaStore
import SyncProtocol
import Testing

@Suite struct Writing {
    @Test func `a row that one replica writes stands in the other, and the hashes agree`() throws {
        let bench = try Bench()
        let a = try bench.create("a")
        let b = try bench.create("b")
        let (id, _) = try a.write(author: "Leyla") { transaction in
            try transaction.insert(
                into: Sample.note,
                [.text("one"), .integer(7), .composite([.real(1.5), .real(-2)]), nil, nil])
        }
        try a.write {
            try $0.add(Sample.note, id, Sample.column("tags"), [.text("x"), .text("ə")])
        }
        try carry(from: a, to: b)
        let found = try b.query("SELECT title, count, lat, lon, tags FROM note")
        #expect(
            found == [
                [.text("one"), .integer(7), .real(1.5), .real(-2), .text("[\"x\",\"ə\"]")]
            ])
        #expect(try a.stateHash() == b.stateHash())
        #expect(try a.verify().problems == [])
        #expect(try b.verify().problems == [])
    }

    @Test func `a row that was deleted and is written again by its key has its key again`() throws {
        let bench = try Bench()
        let a = try bench.create("a")
        let key: [Value] = [.text("AZ-014")]
        let name = Sample.column("name")
        let id = try a.write {
            try $0.upsert(Sample.person, key: key, [(name, .text("first"))]).id
        }.result
        try a.write { try $0.delete(Sample.person, id) }
        #expect(try a.query("SELECT badge, name FROM person") == [])
        try a.write { try $0.upsert(Sample.person, key: key, [(name, .text("again"))]) }
        #expect(
            try a.query("SELECT badge, name FROM person") == [[.text("AZ-014"), .text("again")]])
        #expect(try a.openConflicts() == [])
        #expect(try a.verify().problems == [])
    }

    @Test func `two concurrent edits stay as siblings until someone resolves them`() throws {
        let bench = try Bench()
        let a = try bench.create("a")
        let b = try bench.create("b")
        let key: [Value] = [.text("AZ-014")]
        let name = Sample.column("name")
        let id = Sample.schema.rowID(in: Sample.person, key: key)
        try a.write { try $0.upsert(Sample.person, key: key, [(name, .text("first"))]) }
        try carry(from: a, to: b)
        try a.write { try $0.set(Sample.person, id, [(name, .text("from a"))]) }
        try b.write { try $0.set(Sample.person, id, [(name, .text("from b"))]) }
        try carry(from: a, to: b)
        try carry(from: b, to: a)
        #expect(try a.stateHash() == b.stateHash())
        let open = [OpenConflict(table: 2, row: id, column: name.id)]
        #expect(try a.openConflicts() == open)
        #expect(try b.openConflicts() == open)
        #expect(try a.query("SELECT name FROM person") == [[.text("from b")]])
        let cell = CellKey(name.id)
        try a.write { transaction in
            try transaction.author(2, id) { state in
                [
                    state.resolve(
                        cell, .text("from a"), basis: RegisterFold(state[cell]).allDots)
                ]
            }
        }
        try carry(from: a, to: b)
        for replica in [a, b] {
            #expect(try replica.openConflicts() == [])
            #expect(try replica.query("SELECT name FROM person") == [[.text("from a")]])
            #expect(try replica.verify().problems == [])
        }
        #expect(try a.stateHash() == b.stateHash())
    }

    @Test func `what a resolution covers is no part of the conflict that a late edit opens`() throws
    {
        let bench = try Bench()
        let (a, b, c) = (try bench.create("a"), try bench.create("b"), try bench.create("c"))
        let (name, key) = (Sample.column("name"), [Value.text("AZ-014")])
        let id = try a.write { try $0.upsert(Sample.person, key: key, []) }.result.id
        for replica in [b, c] { try carry(from: a, to: replica) }
        for (replica, text) in zip([a, b, c], ["from a", "from b", "late"]) {
            try replica.write { try $0.set(Sample.person, id, [(name, .text(text))]) }
        }
        try carry(from: b, to: a)
        try a.write { transaction in
            try transaction.author(2, id) { state in
                let cell = CellKey(name.id)
                return [state.resolve(cell, .text("x"), basis: RegisterFold(state[cell]).allDots)]
            }
        }
        let parts = "SELECT open, kind, count(*) FROM sy_live GROUP BY open, kind ORDER BY 1, 2"
        let resolved = try a.query(parts)
        #expect(resolved.map { $0[0] } == [.integer(0), .integer(0)], "two covered, one ruling")
        #expect(try a.openConflicts() == [])
        try carry(from: c, to: a)
        #expect(try a.openConflicts() == [OpenConflict(table: 2, row: id, column: name.id)])
        let count = "SELECT open, count(*) FROM sy_live GROUP BY open ORDER BY 1"
        #expect(try a.query(count) == [[.integer(0), .integer(2)], [.integer(1), .integer(2)]])
        #expect(try a.verify().problems == [])
    }

    @Test func `a row that is made by its key travels by its key, and only once`() throws {
        let bench = try Bench()
        let a = try bench.create("a")
        let id = try a.write {
            try $0.upsert(Sample.person, key: [.text("A")], [(Sample.column("name"), .text("n"))])
        }.result.id
        let bytes = Value.blob(id.identifier.bytes)
        #expect(try a.query("SELECT instr(body, ?) FROM sy_tail", bytes) == [[.integer(0)]])
    }

    @Test func `a value of another type than its column's is refused`() throws {
        let bench = try Bench()
        let a = try bench.create("a")
        let id = try a.write {
            try $0.insert(into: Sample.note, [.text("one"), nil, nil, nil, nil])
        }.result
        let before = try a.stateHash()
        #expect(throws: StoreError.self) {
            try a.write { try $0.insert(into: Sample.note, [.integer(1), nil, nil, nil, nil]) }
        }
        #expect(throws: StoreError.self) {
            try a.write {
                try $0.set(Sample.note, id, [(Sample.column("count"), .text("seven"))])
            }
        }
        #expect(throws: StoreError.self) {
            try a.write { try $0.add(Sample.note, id, Sample.column("tags"), [.integer(1)]) }
        }
        #expect(try a.stateHash() == before)
    }

    @Test func `what the sqlite3 shell writes becomes changesets, and only what changed`() throws {
        let bench = try Bench()
        let a = try bench.create("a")
        let b = try bench.create("b")
        let (id, _) = try a.write { transaction in
            try transaction.insert(into: Sample.note, [.text("one"), .integer(7), nil, nil, nil])
        }
        a.close()
        try bench.shell(
            "a",
            """
            UPDATE note SET title = 'two', count = 7;
            INSERT INTO note(id, title) VALUES(x'00112233445566778899aabbccddeeff', 'new');
            """)
        let again = try bench.open("a")
        let tail = try again.tailChangesets()
        #expect(tail.count == 2)
        #expect(
            tail[1].rows.flatMap { $0.operations.map(\.cell.column) } == [1, 1],
            "only titles changed")
        try carry(from: again, to: b)
        #expect(
            try b.query("SELECT title, count FROM note ORDER BY title") == [
                [.text("new"), .null], [.text("two"), .integer(7)],
            ])
        #expect(try again.verify().problems == [])
        #expect(try again.stateHash() == b.stateHash())
        again.close()
        try bench.shell("a", "DELETE FROM note WHERE title = 'two'")
        try bench.shell(
            "a",
            "INSERT OR REPLACE INTO note(id, title, count) VALUES("
                + "x'00112233445566778899aabbccddeeff', 'new', 3)")
        let last = try bench.open("a")
        try carry(from: last, to: b)
        #expect(try b.query("SELECT title, count FROM note") == [[.text("new"), .integer(3)]])
        #expect(try last.verify().problems == [])
        #expect(try b.verify().problems == [])
        #expect(try last.state(1, id).cells.first?.key == .life)
    }
}
