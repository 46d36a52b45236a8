import Causality
import Foundation
import Merge
import ReplicaStore
import SyncProtocol

/// (e) Two replicas that both changed the same half of the rows, apart, take in each other's
/// changes. Plain SQLite overwrites in both directions: it has nothing to merge with.
extension Bench {
    func merges() throws -> [Figure] {
        try IDOrder.allCases.flatMap { try merges($0) }
    }

    private func merges(_ order: IDOrder) throws -> [Figure] {
        progress("merge both ways, \(order.rawValue) ids")
        let ids = workload.ids(order, rowsPerTransaction: Self.insertRows)
        let rows = PlainRows(workload.rows, ids: ids)
        let half = workload.rows.count / 2
        let byA = workload.changedByA.prefix(half)
        let byB = workload.changedByB.prefix(half)
        let (plainA, plainB) = (PlainRows(byA, ids: ids), PlainRows(byB, ids: ids))
        var fieldBytes: [Double] = []
        var conflicts = 0
        let rates = try Rates(rowCount: 2 * half, repetitions: repetitions) {
            let databases = try ["plain", "plain-b"].map { name in
                let database = try makePlain(name, isDurable: false)
                try database.insert(rows, rowsPerTransaction: Self.insertRows)
                return database
            }
            defer { for database in databases { database.close() } }
            let batch = Self.updateRows
            try databases[0].update(plainA, [.status, .note], rowsPerTransaction: batch)
            try databases[1].update(plainB, [.status, .arrivedAt], rowsPerTransaction: batch)
            return try Effort {
                try databases[0].update(plainB, [.status, .arrivedAt], rowsPerTransaction: batch)
                try databases[1].update(plainA, [.status, .note], rowsPerTransaction: batch)
            }
        } engine: {
            let (a, b) = (
                try EngineWriter(workplace, "engine"), try EngineWriter(workplace, "engine-b")
            )
            defer { for writer in [a, b] { writer.replica.close() } }
            let ids = try a.write(
                workload.rows, ids: order == .time ? nil : ids, rowsPerTransaction: Self.insertRows)
            try a.replica.seal()
            let base = a.replica.versionVector()
            try b.ingest(try a.replica.sealedRuns(after: VersionVector()), isDurable: false)
            try a.update(ids, byA, [.status, .note], rowsPerTransaction: Self.updateRows)
            try b.update(ids, byB, [.status, .arrivedAt], rowsPerTransaction: Self.updateRows)
            let runs = try [a, b].map { writer in
                try writer.replica.seal()
                return try writer.replica.sealedRuns(after: base)
            }
            let bytes = runs.joined().reduce(0) { $0 + $1.storedBytes }
            fieldBytes.append(Double(bytes) / Double(4 * half))
            let effort = try Effort {
                try a.ingest(runs[1], isDurable: false)
                try b.ingest(runs[0], isDurable: false)
            }
            conflicts = try merged(a.replica, b.replica)
            return effort
        } check: {
            for name in ["plain-b", "engine-b"] { workplace.remove(name) }
        }
        let name = "\(order.rawValue) ids"
        var figure = Figure("merge both ways, \(name)", rates, goal: .atLeast(0.25))
        figure.detail += "; \(conflicts) open conflicts"
        return [
            figure,
            Figure(
                "sent per changed field, \(name)", fieldBytes.median, "B",
                "\(4 * half) fields of \(half) rows", goal: .atMost(8)),
        ]
    }

    /// Both hold the same, and every field that both changed is a conflict.
    private func merged(_ a: Replica, _ b: Replica) throws -> Int {
        guard try a.stateHash() == b.stateHash() else {
            throw BenchError("the replicas differ after the merge")
        }
        let rows = try a.query(
            "SELECT count(*) FROM (SELECT DISTINCT tbl, id, col FROM sy_live WHERE open)")
        guard let value = rows.first?[0], case .integer(let count) = value else { return 0 }
        return Int(count)
    }
}
