import Causality
import Foundation
import Merge
import RecordSchema
import ReplicaStore
import SyncProtocol
import Synchronization

/// A wall clock that stands still until it is moved.
final class SettableClock: Sendable {
    private let now: Atomic<Int64>

    init(milliseconds: Int64) {
        now = Atomic(milliseconds)
    }

    var milliseconds: Int64 { now.load(ordering: .relaxed) }

    func advance(milliseconds: Int64) { now.add(milliseconds, ordering: .relaxed) }
}

/// The files of a run: each name is used once, and its files go away with ``remove(_:)``.
struct Workplace {
    let directory: URL

    init(in parent: String) throws {
        directory = URL(filePath: parent).appending(path: "karvan-bench-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
    }

    func path(_ name: String) -> String { directory.appending(path: name + ".sqlite").path }

    func remove(_ name: String) {
        for suffix in ["", "-wal", "-shm", ".key", ".install", ".lock"] {
            unlink(path(name) + suffix)
        }
    }

    /// All that parts have left, but not the directory.
    func removeFiles() {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: directory.path)) ?? []
        for name in names { unlink(directory.appending(path: name).path) }
    }

    func removeAll() { try? FileManager.default.removeItem(at: directory) }

    func makeReplica(
        _ name: String, schema: Schema, clock: SettableClock, keepsFeed: Bool = false
    ) throws -> Replica {
        remove(name)
        var environment = Environment.system(command: "karvan-bench")
        environment.wallMilliseconds = { clock.milliseconds }
        return try Replica.create(
            at: path(name), name: name, schema: schema, environment: environment,
            keepsFeed: keepsFeed)
    }

    func makeReplica(_ name: String) throws -> Replica {
        try makeReplica(
            name, schema: Workload.schema,
            clock: SettableClock(milliseconds: Workload.startMilliseconds))
    }

    /// The settings of the engine's own connection.
    func settings() throws -> Settings {
        let replica = try makeReplica("settings")
        defer {
            replica.close()
            remove("settings")
        }
        let definitions = try replica.query(
            """
            SELECT sql FROM sqlite_schema
            WHERE tbl_name = 'attendance' AND type IN ('table', 'index') AND sql IS NOT NULL
            ORDER BY type DESC
            """
        ).compactMap { row in
            if case .text(let sql) = row[0] { sql } else { nil }
        }.map {
            // What the engine adds to the table is its own.
            $0.replacing(",\n    sy_clk BLOB", with: "")
        }
        guard definitions.count == 2, !definitions.joined().contains("sy_"),
            case .integer(let cacheSize)? = try replica.query("PRAGMA cache_size").first?[0],
            try replica.query("PRAGMA journal_mode") == [[.text("wal")]]
        else { throw BenchError("the engine's settings are not what they were") }
        return Settings(definitions: definitions, cacheSize: cacheSize)
    }
}

/// The engine's side of the workload: typed writes, and runs taken in.
struct EngineWriter {
    let replica: Replica
    let clock: SettableClock

    init(replica: Replica, clock: SettableClock) {
        self.replica = replica
        self.clock = clock
    }

    init(_ workplace: Workplace, _ name: String) throws {
        clock = SettableClock(milliseconds: Workload.startMilliseconds)
        replica = try workplace.makeReplica(name, schema: Workload.schema, clock: clock)
    }

    /// - Parameter ids: the application's; `nil` lets the engine derive them.
    /// - Returns: the rows' ids.
    @inline(never)
    func write(
        _ rows: [Attendance], ids: [Identifier]?, rowsPerTransaction: Int
    ) throws -> [RowID] {
        var written: [RowID] = []
        written.reserveCapacity(rows.count)
        try inBatches(rows.count, rowsPerTransaction) { transaction, batch in
            for row in batch {
                if let ids {
                    let id = RowID(ids[row])
                    try transaction.insert(into: Workload.table, id: id, rows[row].values)
                    written.append(id)
                } else {
                    written.append(try transaction.insert(into: Workload.table, rows[row].values))
                }
            }
        }
        return written
    }

    /// Sets columns of rows.
    @inline(never)
    func update(
        _ ids: [RowID], _ rows: some RandomAccessCollection<Attendance>, _ columns: [PlainColumn],
        rowsPerTransaction: Int
    ) throws {
        let rows = Array(rows)
        try inBatches(rows.count, rowsPerTransaction) { transaction, batch in
            for row in batch {
                try transaction.set(
                    Workload.table, ids[row],
                    columns.map { (Workload.column($0), rows[row].value(of: $0)) })
            }
        }
    }

    private func inBatches(
        _ count: Int, _ rowsPerTransaction: Int,
        _ body: (WriteTransaction, Range<Int>) throws -> Void
    ) throws {
        var next = 0
        while next < count {
            let batch = next..<min(next + rowsPerTransaction, count)
            try replica.write(author: "bench") { try body($0, batch) }
            clock.advance(milliseconds: Workload.stepMilliseconds)
            next = batch.upperBound
        }
    }

    /// Takes in runs as exchanges carry them: as many at once as one may.
    ///
    /// - Parameter isDurable: on disk before the next exchange.
    @inline(never)
    func ingest(_ runs: [SealedRun], isDurable: Bool) throws {
        var rest = runs[...]
        while !rest.isEmpty {
            var size = 0
            let batch = rest.prefix { run in
                size += run.storedBytes
                return size <= Limits.batchBytes || size == run.storedBytes
            }
            for result in try replica.ingest(Array(batch), isDurable: isDurable) {
                guard case .applied = result else { throw BenchError("a run was not taken in") }
            }
            rest = rest.dropFirst(batch.count)
        }
    }

    /// As ``Plain/checkpoint()``.
    func checkpoint() throws {
        _ = try replica.query("PRAGMA wal_checkpoint(TRUNCATE)")
    }
}
