import Causality
import Merge
import RecordSchema
import ReplicaStore
import SyncProtocol
import Testing

/// Transactions that are unusual and allowed: what they leave must be readable everywhere.
@Suite struct OddTransactions {
    private let tags = Sample.column("tags")

    /// Closes and opens `name`, hands all to a new replica, and holds both against themselves.
    private func settle(_ bench: Bench, _ replica: Replica, _ name: String) throws -> Replica {
        replica.close()
        let again = try bench.open(name)
        let other = try bench.create("other-than-\(name)")
        try carry(from: again, to: other)
        #expect(try again.verify().problems == [])
        #expect(try other.verify().problems == [])
        #expect(try again.stateHash() == other.stateHash())
        return again
    }

    @Test func `a row that is created and deleted in one transaction is hidden`() throws {
        let bench = try Bench()
        let a = try bench.create("a")
        let (id, receipt) = try a.write { transaction in
            let id = try transaction.insert(into: Sample.note, [.text("x"), nil, nil, nil, nil])
            try transaction.delete(Sample.note, id)
            return id
        }
        #expect(receipt.dots.count == 2)
        let again = try settle(bench, a, "a")
        #expect(try again.query("SELECT * FROM note") == [])
        #expect(LifeFold(try again.state(1, id)).isHidden)
    }

    @Test func `a change, a delete, a restore and a change fit into one transaction`() throws {
        let bench = try Bench()
        let a = try bench.create("a")
        let (id, _) = try a.write {
            try $0.insert(into: Sample.note, [.text("x"), nil, nil, nil, nil])
        }
        try a.write { transaction in
            try transaction.set(Sample.note, id, [(Sample.column("title"), .text("y"))])
            try transaction.add(Sample.note, id, tags, [.text("t")])
            try transaction.delete(Sample.note, id)
            try transaction.restore(Sample.note, id)
            try transaction.set(Sample.note, id, [(Sample.column("title"), .text("z"))])
            try transaction.remove(Sample.note, id, tags, [.text("t")])
        }
        let again = try settle(bench, a, "a")
        #expect(try again.query("SELECT title, tags FROM note") == [[.text("z"), .null]])
    }

    @Test func `an element that is named twice is added once`() throws {
        let bench = try Bench()
        let a = try bench.create("a")
        let (id, _) = try a.write {
            try $0.insert(into: Sample.note, [.text("x"), nil, nil, nil, nil])
        }
        try a.write { try $0.add(Sample.note, id, tags, [.text("t"), .text("t")]) }
        try a.write { try $0.add(Sample.note, id, tags, [.text("u"), .text("v")]) }
        try a.write { try $0.remove(Sample.note, id, tags, [.text("u"), .text("u")]) }
        let again = try settle(bench, a, "a")
        #expect(try again.query("SELECT tags FROM note") == [[.text("[\"t\",\"v\"]")]])
    }

    @Test func `a column that is named twice is refused, and the transaction may go on`() throws {
        let bench = try Bench()
        let a = try bench.create("a")
        let title = Sample.column("title")
        let (id, _) = try a.write {
            try $0.insert(into: Sample.note, [.text("x"), nil, nil, nil, nil])
        }
        try a.write { transaction in
            #expect(throws: StoreError.self) {
                try transaction.set(Sample.note, id, [(title, .text("y")), (title, .text("z"))])
            }
            try transaction.set(Sample.note, id, [(title, .text("w"))])
        }
        let again = try settle(bench, a, "a")
        #expect(try again.query("SELECT title FROM note") == [[.text("w")]])
    }

    @Test func `a row with more live ops than one delete may cover can't be deleted, only said so`()
        throws
    {
        let bench = try Bench()
        let a = try bench.create("a")
        let (id, _) = try a.write {
            try $0.insert(into: Sample.note, [.text("x"), nil, nil, nil, nil])
        }
        func add(_ numbers: Range<Int>) throws {
            for start in stride(from: numbers.lowerBound, to: numbers.upperBound, by: 1_000) {
                let part = start..<min(start + 1_000, numbers.upperBound)
                try a.write { transaction in
                    try transaction.add(Sample.note, id, tags, part.map { .text("tag \($0)") })
                }
            }
        }
        // The title is one more: just as many as a delete may cover.
        try add(0..<Limits.dotsPerOperation - 1)
        struct Stop: Error {}
        #expect(throws: Stop.self) {
            try a.write {
                try $0.delete(Sample.note, id)
                throw Stop()
            }
        }
        try add(Limits.dotsPerOperation - 1..<Limits.dotsPerOperation)
        let before = try a.stateHash()
        #expect(throws: StoreError.self) { try a.write { try $0.delete(Sample.note, id) } }
        #expect(try a.stateHash() == before)
        _ = try settle(bench, a, "a")
    }

    @Test func `large rows of one transaction each fit into a changeset of their own`() throws {
        let bench = try Bench()
        let a = try bench.create("a")
        let large = { (letter: Character) in Value.text(String(repeating: letter, count: 60_000)) }
        try a.write { transaction in
            var id = try transaction.insert(into: Sample.note, [large("a"), nil, nil, nil, nil])
            id = try transaction.insert(into: Sample.note, [large("b"), nil, nil, nil, nil])
            try transaction.add(Sample.note, id, tags, [large("c"), large("d"), large("e")])
        }
        _ = try settle(bench, a, "a")
    }
}
