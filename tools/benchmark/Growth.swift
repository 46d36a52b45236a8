import Causality
import Foundation
import ReplicaStore

/// What one more record costs as a history grows: rows from a thousand on, each updated ten times.
struct Growth {
    static let updatesPerRow = 10
    private static let batchCount = 21
    private static let batchRows = 100

    let bench: Bench
    let mostRows: Int

    /// The cost of a row at one size of the history, in microseconds: the median of some
    /// transactions, plain SQLite's and the engine's in turn.
    struct Point {
        var rows: Int
        var order: IDOrder
        var part: String
        var plain: Double
        var engine: Double
    }

    /// A line for each point: `rows,ids,part,plain_us,engine_us`.
    static func csv(_ points: [Point]) -> String {
        (["rows,ids,part,plain_us,engine_us"]
            + points.map {
                "\($0.rows),\($0.order.rawValue),\($0.part),\($0.plain.formatted(places: 2)),"
                    + $0.engine.formatted(places: 2)
            }).joined(separator: "\n") + "\n"
    }

    private var sizes: [Int] {
        [1_000, 3_000, 10_000, 30_000, 100_000, 300_000, 1_000_000].filter { $0 <= mostRows }
    }

    func points() throws -> [Point] { try IDOrder.allCases.flatMap { try points($0) } }

    private func points(_ order: IDOrder) throws -> [Point] {
        let extra = Self.batchCount * (Self.batchRows + 1)
        var history = try History(
            bench, order, rowCount: (sizes.last ?? 0) + sizes.count * extra)
        defer { history.close() }
        var points: [Point] = []
        for size in sizes {
            bench.progress("growth, \(size) rows, \(order.rawValue) ids")
            try history.grow(to: size, updatesPerRow: Self.updatesPerRow)
            for (part, count, isUpdate) in [
                ("insert by 100", Self.batchRows, false), ("insert by 1", 1, false),
                ("update by 100", Self.batchRows, true),
            ] {
                var costs: (plain: [Double], engine: [Double]) = ([], [])
                for batch in 0..<Self.batchCount {
                    let (plain, engine) =
                        try isUpdate
                        ? history.update(count, batch: batch) : history.insert(count)
                    costs.plain.append(plain.wallSeconds / Double(count) * 1e6)
                    costs.engine.append(engine.wallSeconds / Double(count) * 1e6)
                }
                points.append(
                    Point(
                        rows: size, order: order, part: part, plain: costs.plain.median,
                        engine: costs.engine.median))
            }
            try history.startAnew()
        }
        return points
    }
}

/// The same rows on both sides, growing.
private struct History {
    private let bench: Bench
    private let order: IDOrder
    private let plain: Plain
    private let engine: EngineWriter
    private var rows: [Attendance]
    private let plainIDs: [Identifier]
    private var engineIDs: [RowID] = []
    private var count = 0

    init(_ bench: Bench, _ order: IDOrder, rowCount: Int) throws {
        (self.bench, self.order) = (bench, order)
        let workload = Workload(count: rowCount)
        rows = workload.rows
        plainIDs = workload.ids(order, rowsPerTransaction: Bench.insertRows)
        plain = try bench.makePlain("plain")
        engine = try EngineWriter(bench.workplace, "engine")
    }

    func close() {
        plain.close()
        engine.replica.close()
        for name in ["plain", "engine"] { bench.workplace.remove(name) }
    }

    /// Adds rows up to `size`, and changes each of the new ones some times.
    mutating func grow(to size: Int, updatesPerRow: Int) throws {
        let first = count
        guard size > first else { return }
        for start in stride(from: first, to: size, by: Bench.insertRows) {
            _ = try insert(min(Bench.insertRows, size - start))
        }
        for _ in 0..<updatesPerRow {
            for start in stride(from: first, to: size, by: Bench.insertRows) {
                _ = try update(start..<min(start + Bench.insertRows, size))
            }
        }
    }

    /// What was written lies in the files: the next size doesn't start in the middle of a log.
    func startAnew() throws {
        try plain.checkpoint()
        try engine.checkpoint()
    }

    mutating func insert(_ more: Int) throws -> (plain: Effort, engine: Effort) {
        let range = count..<count + more
        count += more
        let new = Array(rows[range])
        let ids = Array(plainIDs[range])
        let held = PlainRows(new, ids: ids)
        let effort = try Effort { try plain.insert(held, rowsPerTransaction: more) }
        var written: [RowID] = []
        let other = try Effort {
            written = try engine.write(
                new, ids: order == .time ? nil : ids, rowsPerTransaction: more)
        }
        engineIDs += written
        return (effort, other)
    }

    /// Changes rows that were there before the last size.
    mutating func update(_ number: Int, batch: Int) throws -> (plain: Effort, engine: Effort) {
        let start = batch * number % 1_000
        return try update(start..<start + number)
    }

    private mutating func update(_ range: Range<Int>) throws -> (plain: Effort, engine: Effort) {
        for index in range { rows[index].status = Workload.status(after: rows[index]) }
        let changed = Array(rows[range])
        let held = PlainRows(changed, ids: Array(plainIDs[range]))
        let ids = Array(engineIDs[range])
        let effort = try Effort {
            try plain.update(held, [.status], rowsPerTransaction: range.count)
        }
        let other = try Effort {
            try engine.update(ids, changed, [.status], rowsPerTransaction: range.count)
        }
        return (effort, other)
    }
}
