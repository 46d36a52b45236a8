import Causality
import Merge
import RecordSchema
import ReplicaStore
import StoreTestSupport
import SyncProtocol
import TestSupport
import Testing

/// Rows of plain values are changed in one search of their table, on a way of its own. What comes of
/// it is held to the definition, which knows one way only.
@Suite struct PlainChanges {
    private final class Schedule {
        private let bench: Bench
        private var generator: SplitMix64
        private let replicas: [Replica]
        private let ids = (0..<6).map { RowID(Identifier(high: 5, low: UInt64($0))) }
        private(set) var counts: [String: Int] = [:]

        init(seed: UInt64) throws {
            bench = try Bench(isVolatile: true)
            generator = SplitMix64(seed: seed)
            var environment = bench.environment
            if seed.isMultiple(of: 3) { environment.wallMilliseconds = { 1_764_000_000_000 } }
            var replicas: [Replica] = []
            for name in ["a", "b", "c"] {
                replicas.append(
                    try Replica.create(
                        at: bench.path(name), name: name, schema: Sample.schema,
                        environment: environment))
            }
            self.replicas = replicas
        }

        private func value(_ column: Column) -> Value {
            switch (column.name, generator.below(4)) {
            case (_, 0): .null
            case ("title", let number): .text(["", "q", "e\u{301}\0"][number - 1])
            case ("arrival", let number): .integer(Int64(number) * 400_000)
            case (_, let number): .integer([0, -1, Int64.max][number - 1])
            }
        }

        private func write(_ replica: Replica) throws {
            let columns = ["title", "count", "arrival"].map(Sample.column)
            try replica.write { transaction in
                for id in ids where generator.chance(1, in: 2) {
                    var values: [(Column, Value)] = []
                    for column in columns where generator.chance(1, in: 2) {
                        values.append((column, value(column)))
                    }
                    if try transaction.set(Sample.note, id, values) { count("set") }
                }
            }
        }

        private func count(_ what: String, _ number: Int = 1) { counts[what, default: 0] += number }

        /// Both give all they have, so that the same op wins at one and loses at the other.
        private func meet() throws {
            let pair = [0, 1, 2].shuffled(using: &generator).prefix(2)
            let (one, other) = (replicas[pair[0]], replicas[pair[1]])
            try carry(from: one, to: other)
            try carry(from: other, to: one)
            count("open", try other.openConflicts().count)
            #expect(try one.stateHash() == other.stateHash())
            for replica in [one, other] {
                let oracle = try StateOracle(replica, tables: Sample.tables)
                #expect(try oracle.difference(from: replica) == nil)
                #expect(try replica.verify().problems == [])
            }
        }

        func run() throws {
            try write(replicas[0])
            for target in replicas.dropFirst() { try carry(from: replicas[0], to: target) }
            for _ in 0..<8 {
                for replica in replicas where generator.chance(2, in: 3) { try write(replica) }
                if generator.chance(1, in: 2) { try meet() }
            }
            try meet()
        }
    }

    @Test func `plain values come together as the definition says`() throws {
        var counts: [String: Int] = [:]
        for seed in 1...40 {
            let schedule = try Schedule(seed: UInt64(seed))
            try schedule.run()
            counts.merge(schedule.counts, uniquingKeysWith: +)
        }
        #expect(counts["set", default: 0] > 1_000)
        #expect(counts["open", default: 0] > 200)
    }

    @Test func `a value that is shown already is no change, beside others it is left out`() throws {
        let bench = try Bench()
        let a = try bench.create("a")
        let (title, number) = (Sample.column("title"), Sample.column("count"))
        let (id, _) = try a.write {
            try $0.insert(into: Sample.note, [.text("x"), .integer(1), nil, nil, nil])
        }
        let (isChanged, none) = try a.write {
            try $0.set(Sample.note, id, [(title, .text("x")), (number, .integer(1))])
        }
        #expect(!isChanged)
        #expect(none.dots == [] && none.operationCount == 0)
        let (_, one) = try a.write {
            try $0.set(Sample.note, id, [(title, .text("x")), (number, .integer(2))])
        }
        #expect(one.operationCount == 1)
        #expect(try a.verify().problems == [])
    }

    @Test func `a cell that is set twice in a transaction is two changesets of one action`() throws
    {
        let bench = try Bench()
        let a = try bench.create("a")
        let title = Sample.column("title")
        let (id, _) = try a.write {
            try $0.insert(into: Sample.note, [.text("x"), nil, nil, nil, nil])
        }
        let (_, receipt) = try a.write { transaction in
            for text in ["y", "z"] {
                try transaction.set(Sample.note, id, [(title, .text(text))])
            }
        }
        #expect(receipt.dots.count == 2)
        let actions = try receipt.dots.map { try a.changeset($0)?.action }
        #expect(actions[0] != nil && actions[0] == actions[1])
        #expect(try a.query("SELECT title FROM note") == [[.text("z")]])
        #expect(try a.verify().problems == [])
    }
}
