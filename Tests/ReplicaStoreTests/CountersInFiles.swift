import Causality
import Merge
import RecordSchema
import ReplicaStore
import SyncProtocol
import Testing

/// A counter in a file: what laptops and other programs count adds up.
@Suite struct CountersInFiles {
    private let tally = Table(
        1, "tally", key: ["place"],
        [Column(1, "place", .text), Column(2, "seen", .counter), Column(3, "note", .text)])
    private var seen: Column { tally.columns[1] }
    private var schema: Schema { Schema(name: "tallies", version: 1, tables: [tally]) }
    private let gate = [Value.text("gate")]

    private func found(_ replica: Replica) throws -> [[Value]] {
        try replica.query("SELECT place, seen FROM tally ORDER BY place")
    }

    private func expectSound(_ replicas: [Replica], _ count: Value) throws {
        for replica in replicas {
            #expect(try found(replica) == [[gate[0], count]])
            #expect(try replica.openConflicts() == [])
            #expect(try replica.verify().problems == [])
            #expect(try replica.stateHash() == replicas[0].stateHash())
        }
    }

    @Test func `two laptops count apart and add up`() throws {
        let bench = try Bench()
        let (a, b) = (
            try bench.create("a", schema: schema), try bench.create("b", schema: schema)
        )
        let id = schema.rowID(in: tally, key: gate)
        for (replica, amounts) in [(a, [Int64(5), 2]), (b, [10, -3])] {
            try replica.write { try $0.upsert(tally, key: gate, []) }
            #expect(try found(replica) == [[gate[0], .null]], "nobody has counted")
            for amount in amounts {
                let (isCounted, receipt) = try replica.write {
                    try $0.count(tally, id, seen, by: amount)
                }
                #expect(isCounted)
                #expect(receipt.operationCount == 1)
            }
        }
        let (isCounted, receipt) = try a.write { try $0.count(tally, id, seen, by: 0) }
        #expect(!isCounted && receipt.dots == [])
        try carry(from: a, to: b)
        try carry(from: b, to: a)
        try expectSound([a, b], .integer(14))
        #expect(try a.state(1, id)[CellKey(2)].live.count == 2)
    }

    @Test func `a counter and a register are not written as each other`() throws {
        let bench = try Bench()
        let a = try bench.create("a", schema: schema)
        let entry = Counter.entryValue(increments: 1, decrements: 0)
        let id = try a.write { try $0.upsert(tally, key: gate, []).id }.result
        let before = try a.stateHash()
        let wrong: [(WriteTransaction) throws -> Void] = [
            { _ = try $0.count(tally, id, tally.columns[2], by: 1) },
            { _ = try $0.set(tally, id, [(seen, entry)]) },
            { _ = try $0.set(tally, id, [(seen, .integer(1))]) },
            { _ = try $0.insert(into: tally, [.text("x"), entry, nil]) },
            { _ = try $0.add(tally, id, seen, [.integer(1)]) },
            { _ = try $0.count(tally, id, seen, by: .min) },
        ]
        for write in wrong {
            #expect(throws: StoreError.self) { try a.write { try write($0) } }
        }
        #expect(try a.stateHash() == before)
        try a.write { transaction in
            _ = try transaction.count(tally, id, seen, by: .max)
            #expect(throws: StoreError.self) { try transaction.count(tally, id, seen, by: 1) }
            _ = try transaction.count(tally, id, seen, by: -1)
        }
        try expectSound([a], .integer(.max - 1))
    }

    @Test func `what the sqlite3 shell adds to a count is counted, and nothing else is`() throws {
        let bench = try Bench()
        let (a, b) = (
            try bench.create("a", schema: schema), try bench.create("b", schema: schema)
        )
        let id = try a.write { try $0.upsert(tally, key: gate, []).id }.result
        try carry(from: a, to: b)
        try b.write { _ = try $0.count(tally, id, seen, by: 100) }
        try a.write { _ = try $0.count(tally, id, seen, by: 7) }
        try carry(from: b, to: a)
        func shell(_ sql: String) throws {
            try a.withLock { try bench.shell("a", sql) }
            try a.takeForeignWrites()
        }
        try shell("UPDATE tally SET seen = seen + 5")
        try expectSound([a], .integer(112))
        try shell("UPDATE tally SET seen = seen - 20, note = 'less'")
        try expectSound([a], .integer(92))
        #expect(Counter(try a.state(1, id)[CellKey(2)]).entries.map(\.decrements).max() == 20)
        // A count that was blanked says nothing, and the sum is put back.
        let before = a.versionVector()
        try shell("UPDATE tally SET seen = NULL")
        try expectSound([a], .integer(92))
        try shell("UPDATE tally SET seen = 92")
        #expect(a.versionVector() == before)
        try carry(from: a, to: b)
        try expectSound([b, a], .integer(92))
        // A row that was replaced whole counts from what it had.
        try shell(
            "INSERT OR REPLACE INTO tally(id, place, seen) VALUES(\(literal(id)), 'gate', 93)")
        try expectSound([a], .integer(93))
        #expect(Counter(try a.state(1, id)[CellKey(2)]).entries.count == 2)
    }

    @Test func `a count beside a delete is a conflict, and settles either way`() throws {
        let bench = try Bench()
        let (a, b) = (
            try bench.create("a", schema: schema), try bench.create("b", schema: schema)
        )
        let id = try a.write { transaction in
            let id = try transaction.upsert(tally, key: gate, []).id
            try transaction.count(tally, id, seen, by: 3)
            return id
        }.result
        try carry(from: a, to: b)
        try a.write { try $0.delete(tally, id) }
        try b.write { _ = try $0.count(tally, id, seen, by: 4) }
        try carry(from: a, to: b)
        try carry(from: b, to: a)
        for replica in [a, b] {
            #expect(
                try replica.openConflicts() == [OpenConflict(table: 1, row: id, column: 0)])
            #expect(try found(replica) == [[gate[0], .integer(7)]])
        }
        try a.write { try $0.delete(tally, id) }
        #expect(try found(a) == [])
        try a.write { _ = try $0.count(tally, id, seen, by: 1) }
        try carry(from: a, to: b)
        try expectSound([a, b], .integer(8))
    }

    @Test func `two counts in one transaction both count`() throws {
        let bench = try Bench()
        let a = try bench.create("a", schema: schema)
        let id = try a.write { try $0.upsert(tally, key: gate, []).id }.result
        try a.write { transaction in
            try transaction.count(tally, id, seen, by: 5)
            try transaction.count(tally, id, seen, by: -1)
        }
        try expectSound([a], .integer(4))
    }

    @Test func `a deleted count comes back whole with the next head`() throws {
        let bench = try Bench()
        let (a, b) = (
            try bench.create("a", schema: schema), try bench.create("b", schema: schema)
        )
        func count(_ replica: Replica, _ amount: Int64) throws {
            try replica.write { transaction in
                let id = try transaction.upsert(tally, key: gate, []).id
                try transaction.count(tally, id, seen, by: amount)
            }
        }
        try count(a, 5)
        try carry(from: a, to: b)
        try count(b, 7)
        try carry(from: b, to: a)
        try a.write { try $0.delete(tally, schema.rowID(in: tally, key: gate)) }
        #expect(try found(a) == [])
        // b goes on counting: nobody's count is dropped, and nobody's counts twice.
        try count(b, 1)
        try count(a, 1)
        try carry(from: a, to: b)
        try carry(from: b, to: a)
        try expectSound([a, b], .integer(14))
    }

    @Test func `what another program made of the sum while nothing was open is counted on`() throws
    {
        let bench = try Bench()
        let (a, b) = (
            try bench.create("a", schema: schema), try bench.create("b", schema: schema)
        )
        let id = try a.write { transaction in
            let id = try transaction.upsert(tally, key: gate, []).id
            try transaction.count(tally, id, seen, by: 5)
            return id
        }.result
        try carry(from: a, to: b)
        try b.write { _ = try $0.count(tally, id, seen, by: 10) }
        a.close()
        try bench.shell("a", "UPDATE tally SET seen = seen + 2")
        let again = try bench.open("a", schema: schema)
        try carry(from: b, to: again)
        try expectSound([again], .integer(17))
        again.close()
        try bench.shell("a", "UPDATE tally SET seen = NULL")
        try expectSound([try bench.open("a", schema: schema)], .integer(17))
    }
}
