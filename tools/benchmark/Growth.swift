import Causality
import Foundation
import ReplicaStore

/// What one more record costs as a history grows: rows from a thousand on, each updated ten times.
struct Growth {
    static let updatesPerRow = 10
    private static let sampleRows = 2_000
    private static let sampleBatch = 100
    private static let singleRows = 200

    let bench: Bench
    let mostRows: Int

    /// The cost of a row at one size of the history, in microseconds.
    struct Point {
        var rows: Int
        var part: String
        var plain: Double
        var engine: Double
    }

    /// A line for each point: `rows,part,plain_us,engine_us`.
    static func csv(_ points: [Point]) -> String {
        (["rows,part,plain_us,engine_us"]
            + points.map {
                "\($0.rows),\($0.part),\($0.plain.formatted(places: 2)),"
                    + $0.engine.formatted(places: 2)
            }).joined(separator: "\n") + "\n"
    }

    private var sizes: [Int] {
        [1_000, 3_000, 10_000, 30_000, 100_000, 300_000, 1_000_000].filter { $0 <= mostRows }
    }

    func points() throws -> [Point] {
        let extra = sizes.count * (Self.sampleRows + Self.singleRows)
        let workload = Workload(count: (sizes.last ?? 0) + extra)
        let ids = workload.ids(.random, rowsPerTransaction: 1)
        let plain = try bench.makePlain("plain")
        defer { plain.close() }
        let engine = try EngineWriter(bench.workplace, "engine")
        defer { engine.replica.close() }
        var (count, points): (Int, [Point]) = (0, [])
        var changed = workload.rows
        /// Both sides insert the next rows, and say what a row took.
        func insert(_ more: Int, each batch: Int, _ part: String, at size: Int) throws {
            let range = count..<count + more
            let rows = Array(workload.rows[range])
            let names = Array(ids[range])
            let held = PlainRows(rows, ids: names)
            let a = try Effort { try plain.insert(held, rowsPerTransaction: batch) }
            let b = try Effort {
                _ = try engine.write(rows, ids: names, rowsPerTransaction: batch)
            }
            count += more
            if !part.isEmpty { points.append(Self.point(size, part, more, a, b)) }
        }
        func update(_ range: Range<Int>, each batch: Int, _ part: String, at size: Int) throws {
            for index in range { changed[index].status = Workload.status(after: changed[index]) }
            let rows = Array(changed[range])
            let names = Array(ids[range])
            let held = PlainRows(rows, ids: names)
            let a = try Effort { try plain.update(held, [.status], rowsPerTransaction: batch) }
            let b = try Effort {
                try engine.update(
                    names.map { RowID($0) }, rows, [.status], rowsPerTransaction: batch)
            }
            if !part.isEmpty { points.append(Self.point(size, part, range.count, a, b)) }
        }
        for size in sizes {
            bench.progress("growth, \(size) rows")
            let first = count
            try insert(max(size - count, 0), each: 10_000, "", at: size)
            for _ in 0..<Self.updatesPerRow {
                try update(first..<count, each: 10_000, "", at: size)
            }
            try insert(Self.sampleRows, each: Self.sampleBatch, "insert by 100", at: size)
            try insert(Self.singleRows, each: 1, "insert by 1", at: size)
            try update(0..<1_000, each: Self.sampleBatch, "update by 100", at: size)
        }
        return points
    }

    private static func point(
        _ size: Int, _ part: String, _ rows: Int, _ plain: Effort, _ engine: Effort
    ) -> Point {
        Point(
            rows: size, part: part, plain: plain.wallSeconds / Double(rows) * 1e6,
            engine: engine.wallSeconds / Double(rows) * 1e6)
    }
}
