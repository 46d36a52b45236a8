import Causality
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
            try old.query("SELECT * FROM note") == [
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
}
