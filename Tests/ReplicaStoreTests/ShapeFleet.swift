import Causality
import Merge
import RecordSchema
import ReplicaStore
import SyncProtocol
import TestSupport

/// One shape of schedules on real replicas, with every word of ops at once: one row for each word
/// and type of column, so that each op of the shape is one transaction.
final class ShapeFleet {
    private enum Letter {
        case put(Value)
        case add
        case remove
        case count(Int64)
        case resolve(Value)
        case undo
        case delete
        case restore
    }

    private static let families: [(column: Column, letters: [Letter])] = [
        (
            Fleet.column("title"),
            [
                .put(.text("a")), .put(.text("b")), .resolve(.text("c")), .undo, .delete, .restore,
            ]
        ),
        (
            Fleet.column("arrival"),
            [.put(.integer(0)), .put(.integer(400_000)), .put(.integer(900_000)), .delete]
        ),
        (
            Fleet.column("position"),
            [
                .put(.composite([.real(1), .null])), .put(.composite([.real(.nan), .real(2)])),
                .resolve(.null), .delete,
            ]
        ),
        (Fleet.column("tags"), [.add, .remove, .delete, .restore]),
        (Fleet.column("heads"), [.count(1), .count(-1), .delete, .restore]),
    ]

    private let shape: ScheduleShape
    private let fleet: Fleet
    /// By op: the runs that hold it.
    private var runs: [[SealedRun]] = []
    /// By replica: the ops that it holds.
    private var held: [Int]
    /// By set of ops: what everybody reads who holds it.
    private var readings: [Int: [String]] = [:]
    /// Orders of delivery, and beginnings of orders, that were tried.
    private var walks: Set<[Int]> = []

    init(_ shape: ScheduleShape) throws {
        self.shape = shape
        let count = (shape.authors.max() ?? 0) + 1
        fleet = try Fleet(count: count, isFrozen: false)
        held = Array(repeating: 0, count: count)
    }

    var deliveryCount: Int { rowCount * shape.deliveries.count }

    var rowCount: Int {
        Self.families.reduce(0) {
            $0 + Words(letterCount: $1.letters.count, length: shape.opCount).count
        }
    }

    /// - Returns: what is wrong.
    func run() throws -> String? {
        for op in 0..<shape.opCount {
            let author = shape.authors[op]
            for other in 0..<op where shape.pasts[op] & 1 << other != 0 {
                try deliver(other, to: author)
            }
            let before = fleet.replicas[author].versionVector()
            try fleet.write(author) { transaction in
                for (number, family) in Self.families.enumerated() {
                    let words = Words(letterCount: family.letters.count, length: shape.opCount)
                    for word in 0..<words.count {
                        let row = RowID(Identifier(high: UInt64(number), low: UInt64(word)))
                        let letter = family.letters[words.letter(op, of: word)]
                        try write(letter, family.column, row, transaction)
                    }
                }
                return []
            }
            try fleet.replicas[author].seal()
            runs.append(try fleet.replicas[author].sealedRuns(after: before))
            held[author] |= 1 << op
        }
        for order in shape.deliveries {
            if let fault = try receive(order) { return fault }
        }
        // Each writer gets what it lacks in another order, and everything twice.
        let orders = shape.deliveries
        for target in fleet.replicas.indices {
            let order = orders[(orders.count - 1) * target / max(held.count - 1, 1)]
            for op in order {
                try deliver(op, to: target)
                try fleet.ingest(runs[op], at: target)
            }
        }
        return try fleet.judge()
    }

    /// A replica gets everything in this order, and everything twice. Whatever it holds on the way,
    /// it reads as all do who hold the same; the oracle judges the first of them.
    private func receive(_ order: [Int]) throws -> String? {
        try fleet.withReceiver { replica in
            var set = 0
            for (place, op) in order.enumerated() {
                try fleet.ingest(runs[op], at: replica)
                set |= 1 << op
                guard walks.insert(Array(order[...place])).inserted else { continue }
                try fleet.ingest(runs[op], at: replica)
                let (whole, reading) = try Fleet.text(of: replica)
                guard let known = readings[set] else {
                    readings[set] = reading
                    try fleet.keep(whole)
                    continue
                }
                guard let other = zip(known, reading).first(where: { $0 != $1 }) else { continue }
                return "after \(order[...place]) there is \(other.1), and on another way \(other.0)"
            }
            return nil
        }
    }

    private func deliver(_ op: Int, to target: Int) throws {
        guard held[target] & 1 << op == 0 else { return }
        try fleet.ingest(runs[op], at: target)
        held[target] |= 1 << op
    }

    private func write(
        _ letter: Letter, _ column: Column, _ row: RowID, _ transaction: WriteTransaction
    ) throws {
        let (table, key) = (Fleet.record, CellKey(column.id))
        switch letter {
        case .put(let value): try transaction.set(table, row, [(column, value)])
        case .add: try transaction.add(table, row, column, [.text("x")])
        case .remove: try transaction.remove(table, row, column, [.text("x")])
        case .count(let amount): try transaction.count(table, row, column, by: amount)
        case .delete: try transaction.delete(table, row)
        case .restore: try transaction.restore(table, row)
        case .resolve(let value):
            try transaction.author(table.id, row) { state in
                let fold = RegisterFold(state[key], policy: column.policy)
                return fold.shown == nil ? [] : [state.resolve(key, value, basis: fold.allDots)]
            }
        case .undo:
            try transaction.author(table.id, row) { state in
                for op in state[key].live {
                    guard case .resolve = op.action else { continue }
                    return state.undo(resolution: op.dot, in: key).map { [$0] } ?? []
                }
                return []
            }
        }
    }
}
