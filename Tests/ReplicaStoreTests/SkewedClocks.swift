import Causality
import Merge
import RecordSchema
import ReplicaStore
import SyncProtocol
import Synchronization
import TestSupport
import Testing

/// Laptops whose clocks are years apart: clocks break ties between values that no one compared,
/// and decide nothing else.
@Suite struct SkewedClocks {
    private static let day: Int64 = 86_400_000
    private static let skews: [Int64] = [-3_652 * day, -day, 0, day, 3_652 * day]
    private static let now: Int64 = 1_764_000_000_000

    /// A laptop with a clock of its own, and the last time that it gave.
    private final class Laptop {
        let replica: Replica
        private let wall: Wall
        private var last = HybridTime(rawValue: 0)
        /// What bounds the next time: the highest that the wall clock showed here.
        private var highestWall: Int64 = 0

        final class Wall: Sendable {
            private let value = Atomic<Int64>(0)
            var milliseconds: Int64 { value.load(ordering: .relaxed) }
            func set(_ milliseconds: Int64) { value.store(milliseconds, ordering: .relaxed) }
        }

        init(_ bench: Bench, _ name: String, skew: Int64) throws {
            let wall = Wall()
            wall.set(SkewedClocks.now + skew)
            var environment = bench.environment
            environment.wallMilliseconds = { wall.milliseconds }
            self.wall = wall
            replica = try Replica.create(
                at: bench.path(name), name: name, schema: Sample.schema, environment: environment)
        }

        func set(_ milliseconds: Int64) { wall.set(milliseconds) }

        /// Writes what this laptop shows as replaced, and looks whether it stands here at once.
        func put(_ row: RowID, _ value: Value) throws {
            highestWall = max(highestWall, wall.milliseconds)
            let head = replica.versionVector()[replica.stream]
            let (_, receipt) = try replica.write {
                try $0.set(Sample.note, row, [(Sample.column("title"), value)])
            }
            #expect(receipt.dots == [Dot(replica.stream, head + 1)], "a write was refused")
            #expect(try shown(row) == value, "a write does not show")
            let time = try #require(try replica.changeset(receipt.dots[0])).time
            #expect(time > last, "a device's own writes are out of order")
            // Ahead of every wall that it saw by the look-ahead at most, and by what it counted.
            #expect(
                time.milliseconds <= max(highestWall, 0) + HybridClock.lookaheadMilliseconds + 1)
            last = time
        }

        func shown(_ row: RowID) throws -> Value {
            try replica.query("SELECT title FROM note WHERE id = ?", .blob(row.identifier.bytes))
                .first?[0] ?? .null
        }

        func take(from other: Laptop) throws {
            highestWall = max(highestWall, wall.milliseconds)
            try carry(from: other.replica, to: replica)
        }
    }

    private let row = RowID(Identifier(high: 1, low: 2))

    private func expectAgreement(_ laptops: [Laptop], _ value: Value) throws {
        let hash = try laptops[0].replica.stateHash()
        for laptop in laptops {
            #expect(try laptop.shown(row) == value)
            #expect(try laptop.replica.openConflicts() == [])
            #expect(try laptop.replica.stateHash() == hash)
            #expect(try laptop.replica.verify().problems == [])
        }
    }

    @Test(arguments: skews, skews)
    func `what was written later, having seen the other, stands`(
        first: Int64, second: Int64
    ) throws {
        let bench = try Bench(isVolatile: true)
        let a = try Laptop(bench, "a", skew: first)
        let b = try Laptop(bench, "b", skew: second)
        for round in 0..<4 {
            try a.put(row, .text("a\(round)"))
            try b.take(from: a)
            #expect(try b.shown(row) == .text("a\(round)"))
            try b.put(row, .text("b\(round)"))
            try b.put(row, .text("b\(round) again"))
            try a.take(from: b)
            try expectAgreement([a, b], .text("b\(round) again"))
        }
    }

    @Test(arguments: skews, skews)
    func `what two wrote apart is a conflict on both, and the later settlement stands`(
        first: Int64, second: Int64
    ) throws {
        let bench = try Bench(isVolatile: true)
        let a = try Laptop(bench, "a", skew: first)
        let b = try Laptop(bench, "b", skew: second)
        try a.put(row, .text("a"))
        try b.put(row, .text("b"))
        try b.take(from: a)
        try a.take(from: b)
        let open = OpenConflict(table: 1, row: row, column: 1)
        #expect(try a.replica.openConflicts() == [open])
        #expect(try b.replica.openConflicts() == [open])
        #expect(try a.shown(row) == b.shown(row))
        try a.replica.write { transaction in
            try transaction.author(1, row) { state in
                let fold = RegisterFold(state[CellKey(1)])
                return [state.resolve(CellKey(1), .text("c"), basis: fold.allDots)]
            }
        }
        try b.take(from: a)
        try expectAgreement([a, b], .text("c"))
        try b.put(row, .text("d"))
        try a.take(from: b)
        try expectAgreement([a, b], .text("d"))
    }

    @Test func `clocks that jump by ten years at every write reorder nothing`() throws {
        var generator = SplitMix64(seed: 11)
        let bench = try Bench(isVolatile: true)
        let laptops = try ["a", "b", "c"].map { try Laptop(bench, $0, skew: 0) }
        var writer = 0
        for round in 0..<60 {
            for laptop in laptops {
                let jump = generator.pick(Self.skews + [-Self.now, -2 * Self.now])!
                laptop.set(Self.now + jump)
            }
            let next = generator.below(3)
            if next != writer { try laptops[next].take(from: laptops[writer]) }
            writer = next
            try laptops[writer].put(row, .text("\(round)"))
        }
        for laptop in laptops where laptop !== laptops[writer] {
            try laptop.take(from: laptops[writer])
        }
        try expectAgreement(laptops, .text("59"))
    }
}
