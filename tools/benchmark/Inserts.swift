import Causality
import Foundation
import ReplicaStore

/// (a) Typed writes against plain inserts.
extension Bench {
    func inserts(rowsPerTransaction: Int, goal: Double) throws -> [Figure] {
        try IDOrder.allCases.map { order in
            Figure(
                "insert, \(rowsPerTransaction) per transaction, \(order.rawValue) ids",
                try inserts(order, rowsPerTransaction: rowsPerTransaction), goal: .atLeast(goal))
        }
    }

    func inserts(_ order: IDOrder, rowsPerTransaction: Int) throws -> Rates {
        let workload =
            rowsPerTransaction == 1 ? self.workload.prefix(singleRowCount) : self.workload
        let ids = workload.ids(order, rowsPerTransaction: rowsPerTransaction)
        let plain = PlainRows(workload.rows, ids: ids)
        progress(
            "insert, \(rowsPerTransaction) per transaction, \(order.rawValue) ids, "
                + "\(plain.count) rows")
        return try Rates(rowCount: plain.count, repetitions: repetitions) {
            let database = try makePlain("plain")
            defer { database.close() }
            return try Effort {
                try database.insert(plain, rowsPerTransaction: rowsPerTransaction)
            }
        } engine: {
            let writer = try EngineWriter(workplace, "engine")
            defer { writer.replica.close() }
            return try Effort {
                _ = try writer.write(
                    workload.rows, ids: order == .time ? nil : ids,
                    rowsPerTransaction: rowsPerTransaction)
            }
        } check: {
            try compareContents()
        }
    }
}
