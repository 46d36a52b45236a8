import Causality
import Foundation
import Merge
import RecordSchema
import ReplicaStore
import SyncProtocol
import Testing

/// What the disk made of a cell never gets into a changeset: whoever would copy or believe it is
/// refused, and the row is named.
@Suite struct KeptOutOfChangesets {
    private let title = Sample.column("title")
    private let count = Sample.column("count")

    private struct Case {
        var bench: Bench
        var replica: Replica
        var id: RowID
    }

    private func prepare(_ damage: String) throws -> Case {
        let bench = try Bench()
        let replica = try bench.create("a")
        let id = try replica.write {
            try $0.insert(into: Sample.note, [.text("right"), .integer(1), nil, nil, nil])
        }.result
        replica.close()
        try bench.shell(
            "a", damage.replacingOccurrences(of: "ROW", with: literal(id)), firesTriggers: false)
        return Case(bench: bench, replica: try bench.open("a"), id: id)
    }

    private func expectRefused(_ replica: Replica, _ body: () throws -> Void) throws {
        let before = replica.versionVector()
        #expect {
            try body()
        } throws: {
            if case StoreError.damaged = $0 { true } else { false }
        }
        #expect(replica.versionVector() == before)
    }

    @Test func `a value that only a damaged cell shows already is not left alone`() throws {
        let found = try prepare("UPDATE note SET title = 'wrong' WHERE id = ROW;")
        try expectRefused(found.replica) {
            try found.replica.write {
                try $0.set(Sample.note, found.id, [(title, .text("wrong"))])
            }
        }
        // Another value is the author's own, and other cells are whole.
        try found.replica.write {
            try $0.set(Sample.note, found.id, [(count, .integer(2)), (title, .text("mine"))])
        }
        #expect(try found.replica.verify().problems == [])
    }

    @Test func `a clock that names another change is noticed before it is replaced`() throws {
        let found = try prepare(
            """
            UPDATE note SET sy_clk = CAST(
                substr(sy_clk, 1, 3) || x'05' || substr(sy_clk, 5) AS BLOB)
            WHERE id = ROW;
            """)
        try expectRefused(found.replica) {
            try found.replica.write {
                try $0.set(Sample.note, found.id, [(count, .integer(2))])
            }
        }
        try expectRefused(found.replica) {
            try found.replica.write { try $0.delete(Sample.note, found.id) }
        }
        #expect(try found.replica.verify().damagedRows.map(\.row) == [found.id])
    }

    @Test func `a sibling that was damaged before it became one can't be taken`() throws {
        let bench = try Bench()
        let (a, b) = (try bench.create("a"), try bench.create("b"))
        let id = try a.write {
            try $0.insert(into: Sample.note, [.text("first"), nil, nil, nil, nil])
        }.result
        try carry(from: a, to: b)
        try a.write { try $0.set(Sample.note, id, [(title, .text("here"))]) }
        try b.write { try $0.set(Sample.note, id, [(title, .text("there"))]) }
        a.close()
        try bench.shell(
            "a", "UPDATE note SET title = 'hexe' WHERE id = \(literal(id));", firesTriggers: false)
        let again = try bench.open("a")
        try carry(from: b, to: again)
        let conflict = try again.openConflicts()
        #expect(conflict.count == 1)
        try expectRefused(again) { try DamagedDay.take(conflict[0], in: again) }
        again.close()
        let repair = try Replica.repair(
            at: bench.path("a"), schema: Sample.schema, environment: bench.environment)
        #expect(repair.lost == [])
        let repaired = try bench.open("a")
        try DamagedDay.take(conflict[0], in: repaired)
        #expect(try repaired.verify().problems == [])
    }

    @Test func `a live op that vanished is missed`() throws {
        let bench = try Bench()
        let a = try bench.create("a")
        let id = try a.write { transaction in
            let id = try transaction.insert(into: Sample.note, [.text("x"), nil, nil, nil, nil])
            try transaction.add(
                Sample.note, id, Sample.column("tags"), [.text("one"), .text("two")])
            return id
        }.result
        a.close()
        try bench.shell("a", "DELETE FROM sy_live WHERE seq = (SELECT max(seq) FROM sy_live);")
        let again = try bench.open("a")
        try expectRefused(again) {
            try again.write {
                try $0.remove(Sample.note, id, Sample.column("tags"), [.text("one")])
            }
        }
        #expect(try again.verify().damagedRows.map(\.row) == [id])
    }

    @Test func `a damaged piece of the tail is never signed`() throws {
        let bench = try Bench()
        let a = try bench.create("a")
        let id = try a.write {
            try $0.insert(into: Sample.note, [.text("right"), nil, nil, nil, nil])
        }.result
        a.close()
        try bench.shell(
            "a",
            "UPDATE sy_tail SET body = CAST(replace(body, 'right', 'wrong') AS BLOB);",
            firesTriggers: false)
        let again = try bench.open("a")
        try expectRefused(again) { try again.seal() }
        try expectRefused(again) {
            try again.write { try $0.set(Sample.note, id, [(title, .text("y"))]) }
        }
        #expect(try again.query("SELECT title FROM note") == [[.text("right")]])
        #expect(try again.verify().damagedChanges.map(\.first) == [1])
    }

    @Test func `what another program wrote to a damaged row waits for the repair, and is told`()
        throws
    {
        let found = try prepare("UPDATE note SET sy_clk = x'0901' WHERE id = ROW;")
        found.replica.close()
        let row = literal(found.id)
        try found.bench.shell("a", "UPDATE note SET count = 7 WHERE id = \(row);")
        let again = try found.bench.open("a")
        #expect(try again.query("SELECT count FROM note") == [[.integer(7)]])
        try expectRefused(again) {
            try again.write {
                _ = try $0.insert(into: Sample.note, [.text("other"), nil, nil, nil, nil])
            }
        }
        again.close()
        let repair = try Replica.repair(
            at: found.bench.path("a"), schema: Sample.schema, environment: found.bench.environment)
        #expect(repair.foreignWrites.map(\.row) == [found.id])
        let repaired = try found.bench.open("a")
        #expect(try repaired.query("SELECT count FROM note") == [[.integer(1)]])
    }

    @Test func `what another program wrote to a whole row is taken in before the repair`() throws {
        let found = try prepare("UPDATE note SET title = 'wrong' WHERE id = ROW;")
        let whole = try found.replica.write {
            try $0.insert(into: Sample.note, [.text("whole"), .integer(1), nil, nil, nil])
        }.result
        found.replica.close()
        try found.bench.shell("a", "UPDATE note SET count = 7 WHERE id = \(literal(whole));")
        let repair = try Replica.repair(
            at: found.bench.path("a"), schema: Sample.schema, environment: found.bench.environment)
        #expect(repair.foreignWrites.isEmpty)
        let repaired = try found.bench.open("a")
        let query = "SELECT title, count FROM note ORDER BY count"
        #expect(
            try repaired.query(query) == [
                [.text("right"), .integer(1)], [.text("whole"), .integer(7)],
            ])
    }
}
