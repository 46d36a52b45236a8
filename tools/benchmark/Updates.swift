import Causality
import Foundation
import ReplicaStore

/// (b) One column of every row, what that writes to the disk, and (f) what the files hold then.
extension Bench {
    static let updateRows = 1_000
    static let insertRows = 10_000

    func updates() throws -> [Figure] {
        try IDOrder.allCases.flatMap { try updates($0) }
    }

    private func updates(_ order: IDOrder) throws -> [Figure] {
        progress("update, \(Self.updateRows) per transaction, \(order.rawValue) ids")
        let ids = workload.ids(order, rowsPerTransaction: Self.insertRows)
        let rows = PlainRows(workload.rows, ids: ids)
        let changed = PlainRows(workload.withOtherStatus, ids: ids)
        var sizes: [FileSizes] = []
        let rates = try Rates(rowCount: rows.count, repetitions: repetitions) {
            let database = try makePlain("plain")
            defer { database.close() }
            try database.insert(rows, rowsPerTransaction: Self.insertRows)
            try database.checkpoint()
            return try Effort {
                try database.update(changed, [.status], rowsPerTransaction: Self.updateRows)
                try database.checkpoint()
            }
        } engine: {
            let writer = try EngineWriter(workplace, "engine")
            let ids = try writer.write(
                workload.rows, ids: order == .time ? nil : ids,
                rowsPerTransaction: Self.insertRows)
            try writer.checkpoint()
            let effort = try Effort {
                try writer.update(
                    ids, workload.withOtherStatus, [.status], rowsPerTransaction: Self.updateRows)
                try writer.checkpoint()
            }
            try writer.replica.seal()
            writer.replica.close()
            return effort
        } check: {
            try compareContents()
            sizes.append(try FileSizes(workplace, cells: rows.count * Workload.cellsPerRow))
        }
        let name = "\(order.rawValue) ids"
        let size = sizes[0]
        return [
            Figure("update status, \(name)", rates, goal: .atLeast(0.45)),
            Figure(
                "written by updates, \(name)", rates.writtenRatios.median, "x plain",
                "engine \(rates.engine.map(\.writtenBytes).median.formatted(places: 0)) B, "
                    + "plain \(rates.plain.map(\.writtenBytes).median.formatted(places: 0)), "
                    + "a checkpoint at the end included",
                samples: rates.writtenRatios, goal: .atMost(1.7)),
            Figure(
                "file after inserts and updates, \(name)",
                Double(size.engineBytes) / Double(size.plainBytes), "x plain",
                "engine \(size.engineBytes) B (log \(size.logBytes)), plain \(size.plainBytes)",
                goal: .atMost(1.7)),
            Figure(
                "metadata, \(name)", Double(size.metadataBytes) / Double(size.cells), "B/cell",
                "clocks and live ops \(size.metadataBytes) B, \(size.cells) cells",
                goal: .atMost(9)),
        ]
    }
}

/// Sizes of the same rows in both files, after a checkpoint.
struct FileSizes {
    var plainBytes: Int64
    var engineBytes: Int64
    /// Pages by table or index, in bytes.
    private var engineTables: [String: Int64]
    private var plainTables: [String: Int64]
    var cells: Int

    /// What the rows' tables have beyond plain SQLite's, and the live ops beside.
    var metadataBytes: Int64 {
        engineTables.filter {
            ["attendance", "sy_row", "sy_live", "sy_live_open"].contains($0.key)
        }.reduce(0) { $0 + $1.value } - (plainTables["attendance"] ?? 0)
    }

    /// The runs, and what waits to be sealed.
    var logBytes: Int64 {
        engineTables.filter { $0.key.contains("sy_run") || $0.key.contains("sy_tail") }
            .reduce(0) { $0 + $1.value }
    }

    /// Of the files `plain` and `engine`, which nobody has open.
    init(_ workplace: Workplace, cells: Int) throws {
        self.cells = cells
        plainBytes = try Self.checkpoint(workplace.path("plain"))
        engineBytes = try Self.checkpoint(workplace.path("engine"))
        engineTables = try Self.tables(workplace.path("engine"))
        plainTables = try Self.tables(workplace.path("plain"))
    }

    /// Carries the WAL into the file, and gives the file's size.
    private static func checkpoint(_ path: String) throws -> Int64 {
        let database = try Plain(path: path)
        defer { database.close() }
        try database.checkpoint()
        return try database.integer("PRAGMA page_count")
            * (try database.integer("PRAGMA page_size"))
    }

    /// By `dbstat`, which Debian's SQLite has.
    private static func tables(_ path: String) throws -> [String: Int64] {
        let rows = try Plain(path: path).rows("SELECT name, sum(pgsize) FROM dbstat GROUP BY name")
        return Dictionary(uniqueKeysWithValues: rows.map { ($0[0], Int64($0[1]) ?? 0) })
    }
}
