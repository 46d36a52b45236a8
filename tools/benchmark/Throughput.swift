import Causality
import Foundation
import ReplicaStore
import SyncProtocol

/// What one side needed for all rows.
struct Effort {
    /// Until all was on disk: most of it is waiting for the disk, where transactions are small.
    var wallSeconds: Double
    /// Of the process, user and system: it hardly depends on the disk or on other programs.
    var processorSeconds: Double

    init(_ body: () throws -> Void) rethrows {
        let start = (Self.now(CLOCK_MONOTONIC), Self.now(CLOCK_PROCESS_CPUTIME_ID))
        try body()
        wallSeconds = Self.now(CLOCK_MONOTONIC) - start.0
        processorSeconds = Self.now(CLOCK_PROCESS_CPUTIME_ID) - start.1
    }

    private static func now(_ clock: clockid_t) -> Double {
        var time = timespec()
        clock_gettime(clock, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
    }
}

/// The efforts of both sides over the same rows, measured in turn.
struct Rates {
    let rowCount: Int
    var plain: [Effort] = []
    var engine: [Effort] = []

    /// Engine's rows per second over plain SQLite's, pair by pair.
    var ratios: [Double] { zip(plain, engine).map { $0.wallSeconds / $1.wallSeconds } }
    /// The same by the processor's time.
    var processorRatios: [Double] {
        zip(plain, engine).map { $0.processorSeconds / $1.processorSeconds }
    }

    func rowsPerSecond(_ efforts: [Effort]) -> Double {
        Double(rowCount) / efforts.map(\.wallSeconds).median
    }
}

/// Typed writes and ingest, each against plain inserts of the same rows.
struct Throughput {
    let workplace: Workplace
    let settings: Settings
    let repetitions: Int
    /// Reports what is under way.
    let progress: (String) -> Void

    /// Typed writes.
    func writes(_ workload: Workload, _ order: IDOrder, rowsPerTransaction: Int) throws -> Rates {
        let ids = workload.ids(order, rowsPerTransaction: rowsPerTransaction)
        let plain = PlainRows(workload.rows, ids: ids)
        progress(
            "typed writes, \(rowsPerTransaction) per transaction, \(order.rawValue) ids, "
                + "\(plain.count) rows")
        return try pairs(plain, rowsPerPlainTransaction: rowsPerTransaction) {
            let writer = try EngineWriter(workplace, "engine")
            defer { writer.replica.close() }
            return try Effort {
                try writer.write(
                    workload.rows, ids: order == .time ? nil : ids,
                    rowsPerTransaction: rowsPerTransaction)
            }
        }
    }

    /// Taking everything into an empty replica, a run in each transaction.
    ///
    /// - Parameter matchesCommits: let plain SQLite commit as often as the engine does, instead of
    ///   after each batch: a run holds many batches, so that the engine waits for the disk less.
    func ingest(
        _ workload: Workload, _ order: IDOrder, matchesCommits: Bool = false
    ) throws -> Rates {
        let ids = workload.ids(order, rowsPerTransaction: Workload.batchRows)
        let plain = PlainRows(workload.rows, ids: ids)
        let runs = try sealedRuns(workload, ids: order == .time ? nil : ids)
        let commitRows =
            matchesCommits ? (plain.count + runs.count - 1) / runs.count : Workload.batchRows
        progress(
            "ingest, \(order.rawValue) ids, \(plain.count) rows in \(runs.count) runs, "
                + "plain \(commitRows) per transaction")
        return try pairs(plain, rowsPerPlainTransaction: commitRows) {
            let writer = try EngineWriter(workplace, "engine")
            defer { writer.replica.close() }
            return try Effort { try writer.ingest(runs) }
        }
    }

    /// What another replica that wrote the rows in batches would send.
    func sealedRuns(_ workload: Workload, ids: [Identifier]?) throws -> [SealedRun] {
        let source = try EngineWriter(workplace, "source")
        defer {
            source.replica.close()
            workplace.remove("source")
        }
        try source.write(workload.rows, ids: ids, rowsPerTransaction: Workload.batchRows)
        try source.replica.seal()
        return try source.replica.sealedRuns(after: VersionVector())
    }

    /// Both sides in turn; every other time the engine goes first.
    ///
    /// - Parameter engine: fills the replica `engine`.
    private func pairs(
        _ rows: PlainRows, rowsPerPlainTransaction: Int, engine: () throws -> Effort
    ) throws -> Rates {
        var rates = Rates(rowCount: rows.count)
        for repetition in 0..<repetitions {
            if !repetition.isMultiple(of: 2) { rates.engine.append(try engine()) }
            rates.plain.append(try insert(rows, rowsPerPlainTransaction))
            if repetition.isMultiple(of: 2) { rates.engine.append(try engine()) }
            try compareContents()
            workplace.remove("plain")
            workplace.remove("engine")
        }
        return rates
    }

    private func insert(_ rows: PlainRows, _ rowsPerTransaction: Int) throws -> Effort {
        let database = try Plain(path: workplace.path("plain"))
        defer { database.close() }
        try database.lay(out: settings)
        return try Effort { try database.insert(rows, rowsPerTransaction: rowsPerTransaction) }
    }

    /// A figure over rows that were not all written would be worth nothing.
    private func compareContents() throws {
        let contents = try ["plain", "engine"].map { name in
            try Plain(path: workplace.path(name)).rows(
                """
                SELECT count(*), sum(arrived_at), sum(length(note)), sum(length(visit_id)),
                sum(length(person_id)), sum(length(status)), sum(length(recorded_by))
                FROM attendance
                """)
        }
        guard contents[0] == contents[1] else {
            throw BenchError("plain holds \(contents[0]), the engine \(contents[1])")
        }
    }
}
