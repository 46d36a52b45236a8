import Causality
import Foundation
import ReplicaStore

/// Sizes of the same rows in both files, after a checkpoint.
struct Sizes: Encodable {
    var plainBytes: Int64
    var engineBytes: Int64
    /// Pages by table or index, in bytes.
    var engineTables: [String: Int64]
    var cells: Int

    /// The clocks and the live ops beside the users' tables, with their indices.
    var metadataBytes: Int64 {
        engineTables.filter { Self.isMetadata($0.key) }.reduce(0) { $0 + $1.value }
    }

    /// The runs, and what waits to be sealed.
    var logBytes: Int64 {
        engineTables.filter { Self.isLog($0.key) }.reduce(0) { $0 + $1.value }
    }

    private static func isMetadata(_ name: String) -> Bool {
        ["sy_row", "sy_live", "sy_live_open"].contains(name)
    }

    private static func isLog(_ name: String) -> Bool {
        ["sy_run", "sy_tail", "sqlite_autoindex_sy_run_1", "sqlite_autoindex_sy_tail_1"]
            .contains(name)
    }

    init(
        _ workload: Workload, _ order: IDOrder, workplace: Workplace, settings: Settings
    ) throws {
        let ids = workload.ids(order, rowsPerTransaction: Workload.batchRows)
        let writer = try EngineWriter(workplace, "engine")
        try writer.write(
            workload.rows, ids: order == .time ? nil : ids, rowsPerTransaction: Workload.batchRows)
        try writer.replica.seal()
        writer.replica.close()
        let plain = try Plain(path: workplace.path("plain"))
        try plain.lay(out: settings)
        try plain.insert(
            PlainRows(workload.rows, ids: ids), rowsPerTransaction: Workload.batchRows)
        plain.close()
        plainBytes = try Self.checkpoint(workplace.path("plain"))
        engineBytes = try Self.checkpoint(workplace.path("engine"))
        engineTables = try Self.tables(workplace.path("engine"))
        cells = workload.rows.count * Workload.cellsPerRow
        workplace.remove("plain")
        workplace.remove("engine")
    }

    /// Carries the WAL into the file, and gives the file's size.
    private static func checkpoint(_ path: String) throws -> Int64 {
        let database = try Plain(path: path)
        defer { database.close() }
        guard try database.rows("PRAGMA wal_checkpoint(TRUNCATE)") == [["0", "0", "0"]] else {
            throw BenchError("\(path) can't be checkpointed")
        }
        return try database.integer("PRAGMA page_count")
            * (try database.integer("PRAGMA page_size"))
    }

    /// By `dbstat`, which Debian's SQLite has.
    private static func tables(_ path: String) throws -> [String: Int64] {
        let rows = try Plain(path: path).rows("SELECT name, sum(pgsize) FROM dbstat GROUP BY name")
        return Dictionary(uniqueKeysWithValues: rows.map { ($0[0], Int64($0[1]) ?? 0) })
    }
}
