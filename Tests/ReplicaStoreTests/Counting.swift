import Causality
import Merge
import RecordSchema
import ReplicaStore
import Testing

/// Counts that two laptops keep apart.
@Suite struct Counting {
    private static let count = Column(4, "heads", .counter)
    private static let tally = Table(
        1, "tally", key: ["zone"], [Column(1, "zone", .text), Self.count])
    private static let schema = Schema(name: "counting", version: 1, tables: [tally])

    private func heads(_ replica: Replica) throws -> [[Value]] {
        try replica.query("SELECT heads FROM tally")
    }

    private func add(_ amount: Int64, _ replica: Replica) throws -> RowID {
        try replica.write { transaction in
            let id = try transaction.upsert(Self.tally, key: [.text("A")], []).id
            try transaction.count(Self.tally, id, Self.count, by: amount)
            return id
        }.result
    }

    @Test func `what two laptops count apart adds up, and meets no conflict`() throws {
        let bench = try Bench()
        let a = try bench.create("a", schema: Self.schema)
        let b = try bench.create("b", schema: Self.schema)
        for _ in 0..<42 { _ = try add(1, a) }
        _ = try add(40, b)
        _ = try add(-3, b)
        try carry(from: a, to: b)
        try carry(from: b, to: a)
        _ = try add(1, a)
        try carry(from: a, to: b)
        for replica in [a, b] {
            #expect(try heads(replica) == [[.integer(80)]])
            #expect(try replica.openConflicts().isEmpty)
            #expect(try replica.verify().problems == [])
        }
        #expect(try a.stateHash() == b.stateHash())
    }

    @Test func `two counts in one transaction both count`() throws {
        let bench = try Bench()
        let a = try bench.create("a", schema: Self.schema)
        let id = try add(2, a)
        try a.write { transaction in
            try transaction.count(Self.tally, id, Self.count, by: 3)
            try transaction.count(Self.tally, id, Self.count, by: -1)
        }
        #expect(try heads(a) == [[.integer(4)]])
        #expect(try a.verify().problems == [])
    }

    @Test func `what another program makes of the sum is counted on`() throws {
        let bench = try Bench()
        let a = try bench.create("a", schema: Self.schema)
        let b = try bench.create("b", schema: Self.schema)
        _ = try add(5, a)
        try carry(from: a, to: b)
        _ = try add(10, b)
        a.close()
        try bench.shell("a", "UPDATE tally SET heads = heads + 2")
        let again = try bench.open("a", schema: Self.schema)
        try carry(from: b, to: again)
        #expect(try heads(again) == [[.integer(17)]])
        #expect(try again.verify().problems == [])
        again.close()
        try bench.shell("a", "UPDATE tally SET heads = NULL")
        #expect(try heads(try bench.open("a", schema: Self.schema)) == [[.integer(17)]])
    }

    @Test func `a deleted count comes back whole with the next head`() throws {
        let bench = try Bench()
        let a = try bench.create("a", schema: Self.schema)
        let b = try bench.create("b", schema: Self.schema)
        let id = try add(5, a)
        try carry(from: a, to: b)
        _ = try add(7, b)
        try carry(from: b, to: a)
        try a.write { try $0.delete(Self.tally, id) }
        #expect(try heads(a).isEmpty)
        // b goes on counting: nobody's count is dropped, and nobody's counts twice.
        _ = try add(1, b)
        _ = try add(1, a)
        try carry(from: a, to: b)
        try carry(from: b, to: a)
        for replica in [a, b] {
            #expect(try heads(replica) == [[.integer(14)]])
            #expect(try replica.verify().problems == [])
        }
    }

    @Test func `a counter takes no value, and counts no further than it can hold`() throws {
        let bench = try Bench()
        let a = try bench.create("a", schema: Self.schema)
        let id = try add(.max, a)
        let hash = try a.stateHash()
        #expect(throws: StoreError.self) { try add(1, a) }
        #expect(throws: StoreError.self) { try add(.min, a) }
        #expect(throws: StoreError.self) {
            try a.write { try $0.set(Self.tally, id, [(Self.count, .integer(1))]) }
        }
        #expect(throws: StoreError.self) {
            try a.write { try $0.count(Self.tally, id, Self.tally.columns[0], by: 1) }
        }
        #expect(try a.stateHash() == hash)
        _ = try add(-1, a)
        #expect(try heads(a) == [[.integer(.max - 1)]])
    }
}
