import Causality
import Foundation
import ReplicaStore
import SyncProtocol

/// What all parts of a run share.
struct Bench {
    let workplace: Workplace
    let settings: Settings
    let workload: Workload
    let repetitions: Int
    /// Rows where each has a transaction of its own.
    let singleRowCount: Int
    /// Reports what is under way.
    let progress: (String) -> Void

    /// A figure over rows that were not all written would be worth nothing.
    func compareContents(_ plain: String = "plain", _ engine: String = "engine") throws {
        let contents = try [plain, engine].map { name in
            try Plain(path: workplace.path(name)).rows(
                """
                SELECT count(*), sum(arrived_at), sum(length(note)), sum(length(visit_id)),
                sum(length(person_id)), sum(unicode(status) * (1 + rowhash)), sum(length(recorded_by))
                FROM (SELECT *, unicode(substr(note, 1, 1)) AS rowhash FROM attendance)
                """)
        }
        guard contents[0] == contents[1] else {
            throw BenchError("plain holds \(contents[0]), the engine \(contents[1])")
        }
    }

    /// A plain database with the workload's table.
    func makePlain(_ name: String, isDurable: Bool = true) throws -> Plain {
        workplace.remove(name)
        let database = try Plain(path: workplace.path(name))
        try database.lay(out: settings, isDurable: isDurable)
        return database
    }
}
