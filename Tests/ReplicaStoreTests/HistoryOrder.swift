import Causality
import Merge
import RecordSchema
import ReplicaStore
import Synchronization
import TestSupport
import Testing

/// A history has no effect before its cause, and otherwise goes by the clocks.
@Suite struct HistoryOrder {
    private static let day: Int64 = 86_400_000
    private static let row = RowID(Identifier(high: 1, low: 2))

    private final class Wall: Sendable {
        let milliseconds = Atomic<Int64>(0)
    }

    /// Laptops whose clocks jump before every write, and which meet now and then.
    private func laptops(_ generator: inout SplitMix64, rounds: Int) throws -> [Replica] {
        let bench = try Bench(isVolatile: true)
        let wall = Wall()
        var environment = bench.environment
        environment.wallMilliseconds = { wall.milliseconds.load(ordering: .relaxed) }
        let laptops = try ["a", "b", "c"].map {
            try Replica.create(
                at: bench.path($0), name: $0, schema: Sample.schema, environment: environment)
        }
        for round in 0..<rounds {
            let jump = generator.pick([-3_652, -1, 0, 0, 1, 3_652])! * Self.day
            wall.milliseconds.store(
                1_764_000_000_000 + jump + Int64(round), ordering: .relaxed)
            let writer = laptops[generator.below(3)]
            if generator.below(3) == 0 {
                try carry(from: laptops[generator.below(3)], to: writer)
            }
            try write(round, on: writer, &generator)
        }
        for from in laptops { for to in laptops { try carry(from: from, to: to) } }
        return laptops
    }

    private func write(
        _ round: Int, on replica: Replica, _ generator: inout SplitMix64
    ) throws {
        let key = CellKey(1)
        let choice = generator.below(8)
        try replica.write { transaction in
            switch choice {
            case 0:
                try transaction.author(1, Self.row) { [$0.delete()] }
            case 1:
                try transaction.author(1, Self.row) {
                    [$0.resolve(key, .text("\(round)"), basis: RegisterFold($0[key]).allDots)]
                }
            default:
                let column = Sample.column(choice < 5 ? "title" : "count")
                try transaction.set(
                    Sample.note, Self.row,
                    [(column, choice < 5 ? .text("\(round)") : .integer(Int64(round)))])
            }
        }
    }

    /// The time of each changeset or of its latest cause, whichever is later.
    private func effectiveTimes(_ operations: [LoggedOperation]) -> [Dot: HybridTime] {
        var times: [Dot: HybridTime] = [:]
        for operation in operations { times[operation.dot] = operation.time }
        var hasChanged = true
        while hasChanged {
            hasChanged = false
            for operation in operations {
                for cause in causes(of: operation, operations) {
                    if times[cause]! > times[operation.dot]! {
                        times[operation.dot] = times[cause]
                        hasChanged = true
                    }
                }
            }
        }
        return times
    }

    private func causes(
        of operation: LoggedOperation, _ operations: [LoggedOperation]
    ) -> Set<Dot> {
        var causes = Set(operation.operation.over)
        switch operation.operation.action {
        case .put, .retract: break
        case .resolve(_, let covers): causes.formUnion(covers)
        case .delete(let covers): causes.formUnion(covers.map(\.dot))
        }
        let own = operations.lazy.map(\.dot).filter {
            $0.stream == operation.dot.stream && $0 < operation.dot
        }
        return causes.union(own).intersection(operations.map(\.dot))
    }

    @Test func `no effect stands before its cause, and clocks decide the rest`() throws {
        var moved = 0
        for seed in 1...40 as ClosedRange<UInt64> {
            var generator = SplitMix64(seed: seed)
            let laptops = try laptops(&generator, rounds: 12)
            let history = try laptops[0].history(of: Self.row, in: 1).operations
            for other in laptops.dropFirst() {
                let there = try other.history(of: Self.row, in: 1).operations
                #expect(there.map(\.place) == history.map(\.place), "seed \(seed)")
            }
            let dots = history.map(\.dot)
            let times = effectiveTimes(history)
            for (index, operation) in history.enumerated() {
                let later = Set(dots[index...]).subtracting([operation.dot])
                #expect(causes(of: operation, history).isDisjoint(with: later), "seed \(seed)")
                // All of a changeset stands together.
                #expect(
                    index == 0 || dots[index - 1] == operation.dot
                        || !dots[..<index].contains(operation.dot), "seed \(seed)")
            }
            for (one, next) in zip(dots, dots.dropFirst()) {
                #expect(times[one]! <= times[next]!, "seed \(seed): \(one) \(next)")
            }
            let byClock = history.sorted { ($0.time, $0.dot) < ($1.time, $1.dot) }
            if byClock.map(\.dot) != dots { moved += 1 }
        }
        #expect(moved >= 10, "the clocks never disagreed with what was seen")
    }
}
