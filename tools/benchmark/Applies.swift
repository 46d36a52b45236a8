import Causality
import Foundation
import ReplicaStore
import SyncProtocol

/// (c) What leaves of a history, and (d) a replica that takes it in.
extension Bench {
    func applies() throws -> [Figure] {
        try IDOrder.allCases.flatMap { try applies($0) }
    }

    private func applies(_ order: IDOrder) throws -> [Figure] {
        progress("extract and apply, \(order.rawValue) ids")
        let ids = workload.ids(order, rowsPerTransaction: Self.insertRows)
        let rows = PlainRows(workload.rows, ids: ids)
        let changed = PlainRows(workload.withOtherStatus, ids: ids)
        let (inserts, updates, seconds) = try histories(order, ids)
        let name = "\(order.rawValue) ids"
        func apply(_ runs: [SealedRun], isDurable: Bool, withUpdates: Bool) throws -> Rates {
            try Rates(rowCount: rows.count, repetitions: repetitions) {
                let database = try makePlain("plain", isDurable: isDurable)
                defer { database.close() }
                return try Effort {
                    try database.insert(rows, rowsPerTransaction: Self.insertRows)
                    if withUpdates {
                        try database.update(
                            changed, [.status], rowsPerTransaction: Self.updateRows)
                    }
                }
            } engine: {
                let writer = try EngineWriter(workplace, "engine")
                defer { writer.replica.close() }
                return try Effort { try writer.ingest(runs, isDurable: isDurable) }
            } check: {
                try compareContents()
            }
        }
        let sent = (inserts + updates).reduce(0) { $0 + $1.storedBytes }
        let rowBytes = workload.rows.reduce(0) { $0 + $1.byteCount }
        return [
            Figure(
                "sent for inserts and updates, \(name)", Double(sent) / 1e6, "MB",
                "\(inserts.count + updates.count) runs; inserts "
                    + "\(inserts.reduce(0) { $0 + $1.storedBytes }) B, updates "
                    + "\(updates.reduce(0) { $0 + $1.storedBytes }); row data \(rowBytes) B; read in "
                    + "\((seconds * 1_000).formatted(places: 1)) ms",
                goal: rows.count == 100_000 ? .atMost(5.5) : nil),
            Figure(
                "apply inserts, NORMAL, \(name)",
                try apply(inserts, isDurable: false, withUpdates: false), goal: .atLeast(0.45)),
            Figure(
                "apply inserts, FULL, \(name)",
                try apply(inserts, isDurable: true, withUpdates: false), goal: .atLeast(0.45)),
            Figure(
                "apply inserts and updates, NORMAL, \(name)",
                try apply(inserts + updates, isDurable: false, withUpdates: true),
                goal: .atLeast(0.45)),
        ]
    }

    /// The runs of the inserts, and of the updates after them, and how long it took to read them.
    private func histories(
        _ order: IDOrder, _ ids: [Identifier]
    ) throws -> (inserts: [SealedRun], updates: [SealedRun], seconds: Double) {
        let source = try EngineWriter(workplace, "source")
        defer {
            source.replica.close()
            workplace.remove("source")
        }
        let ids = try source.write(
            workload.rows, ids: order == .time ? nil : ids, rowsPerTransaction: Self.insertRows)
        try source.replica.seal()
        let vector = source.replica.versionVector()
        let inserts = try source.replica.sealedRuns(after: VersionVector())
        try source.update(
            ids, workload.withOtherStatus, [.status], rowsPerTransaction: Self.updateRows)
        try source.replica.seal()
        let updates = try source.replica.sealedRuns(after: vector)
        let effort = try Effort { _ = try source.replica.sealedRuns(after: VersionVector()) }
        return (inserts, updates, effort.wallSeconds)
    }
}
