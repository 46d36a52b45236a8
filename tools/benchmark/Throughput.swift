import Causality
import Foundation
import SyncProtocol

/// Rates of both sides over the same rows, measured in turn.
struct Rates {
    var plain: [Double] = []
    var engine: [Double] = []

    /// Engine over plain, pair by pair.
    var ratios: [Double] { zip(plain, engine).map { $1 / $0 } }
}

/// Typed writes and ingest, each against plain inserts of the same rows.
struct Throughput {
    let workplace: Workplace
    let settings: Settings
    let repetitions: Int
    /// Reports what is under way.
    let progress: (String) -> Void

    /// Rows per second of typed writes.
    func writes(_ workload: Workload, _ order: IDOrder, rowsPerTransaction: Int) throws -> Rates {
        let ids = workload.ids(order, rowsPerTransaction: rowsPerTransaction)
        let plain = PlainRows(workload.rows, ids: ids)
        progress(
            "typed writes, \(rowsPerTransaction) per transaction, \(order.rawValue) ids, "
                + "\(plain.count) rows")
        return try pairs(plain, rowsPerPlainTransaction: rowsPerTransaction) {
            let writer = try EngineWriter(workplace, "engine")
            defer { writer.replica.close() }
            return try seconds {
                try writer.write(
                    workload.rows, ids: order == .time ? nil : ids,
                    rowsPerTransaction: rowsPerTransaction)
            }
        }
    }

    /// Rows per second of taking everything into an empty replica.
    func ingest(_ workload: Workload, _ order: IDOrder) throws -> Rates {
        let ids = workload.ids(order, rowsPerTransaction: Workload.batchRows)
        let plain = PlainRows(workload.rows, ids: ids)
        let runs = try sealedRuns(workload, ids: order == .time ? nil : ids)
        progress("ingest, \(order.rawValue) ids, \(plain.count) rows in \(runs.count) runs")
        return try pairs(plain, rowsPerPlainTransaction: Workload.batchRows) {
            let writer = try EngineWriter(workplace, "engine")
            defer { writer.replica.close() }
            return try seconds { try writer.ingest(runs) }
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
    /// - Parameter engine: fills the replica `engine` and gives the seconds that it took.
    private func pairs(
        _ rows: PlainRows, rowsPerPlainTransaction: Int, engine: () throws -> Double
    ) throws -> Rates {
        var rates = Rates()
        for repetition in 0..<repetitions {
            var engineSeconds = repetition.isMultiple(of: 2) ? nil : try engine()
            let plainSeconds = try insert(rows, rowsPerPlainTransaction)
            if engineSeconds == nil { engineSeconds = try engine() }
            try compareContents()
            rates.plain.append(Double(rows.count) / plainSeconds)
            rates.engine.append(Double(rows.count) / (engineSeconds ?? .nan))
            workplace.remove("plain")
            workplace.remove("engine")
        }
        return rates
    }

    private func insert(_ rows: PlainRows, _ rowsPerTransaction: Int) throws -> Double {
        let database = try Plain(path: workplace.path("plain"))
        defer { database.close() }
        try database.lay(out: settings)
        return try seconds { try database.insert(rows, rowsPerTransaction: rowsPerTransaction) }
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

    private func seconds(_ body: () throws -> Void) rethrows -> Double {
        let duration = try ContinuousClock().measure(body)
        return Double(duration.components.seconds)
            + Double(duration.components.attoseconds) * 1e-18
    }
}
