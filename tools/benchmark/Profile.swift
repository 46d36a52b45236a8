import ArgumentParser
import Causality
import ReplicaStore
import SyncProtocol

/// A piece of work on its own, for a profiler. `EngineWriter.write`, `update` and `ingest`, and
/// `Plain.insert` and `update`, are functions of their own, so that callgrind can count inside of
/// them alone: `--collect-atstart=no --toggle-collect=` and the function's name as `nm` gives it.
/// Valgrind can't read Swift's debug information: `strip --strip-debug` a copy first.
enum Profile: String, ExpressibleByArgument, CaseIterable {
    case insert1 = "insert-1"
    case insert = "insert"
    case update = "update"
    case apply = "apply"
    case merge = "merge"
    case plainInsert1 = "plain-insert-1"
    case plainInsert = "plain-insert"
    case plainUpdate = "plain-update"

    func run(_ workload: Workload, _ workplace: Workplace) throws {
        switch self {
        case .plainInsert1, .plainInsert, .plainUpdate: try plain(workload, workplace)
        default: try engine(workload, workplace)
        }
    }

    private func engine(_ workload: Workload, _ workplace: Workplace) throws {
        let writer = try EngineWriter(workplace, "engine")
        defer { writer.replica.close() }
        let ids = workload.ids(.random, rowsPerTransaction: Bench.insertRows)
        let written = try writer.write(
            workload.rows, ids: ids, rowsPerTransaction: self == .insert1 ? 1 : Bench.insertRows)
        if self == .update {
            try writer.update(
                written, workload.withOtherStatus, [.status], rowsPerTransaction: Bench.updateRows)
        }
        try writer.replica.seal()
        if self == .merge { return try merge(writer, written, workload, workplace) }
        guard self == .apply else { return }
        let target = try EngineWriter(workplace, "target")
        defer { target.replica.close() }
        try target.ingest(
            try writer.replica.sealedRuns(after: VersionVector()), isDurable: false)
    }

    private func merge(
        _ a: EngineWriter, _ ids: [RowID], _ workload: Workload, _ workplace: Workplace
    ) throws {
        let b = try EngineWriter(workplace, "target")
        defer { b.replica.close() }
        let base = a.replica.versionVector()
        for run in try a.replica.sealedRuns(after: VersionVector()) {
            _ = try b.replica.ingest([run])
        }
        let batch = Bench.updateRows
        try a.update(ids, workload.changedByA, [.status, .note], rowsPerTransaction: batch)
        try b.update(ids, workload.changedByB, [.status, .arrivedAt], rowsPerTransaction: batch)
        try b.replica.seal()
        try a.ingest(try b.replica.sealedRuns(after: base), isDurable: false)
    }

    private func plain(_ workload: Workload, _ workplace: Workplace) throws {
        let ids = workload.ids(.random, rowsPerTransaction: Bench.insertRows)
        let database = try Plain(path: workplace.path("plain"))
        defer { database.close() }
        try database.lay(out: try workplace.settings())
        try database.insert(
            PlainRows(workload.rows, ids: ids),
            rowsPerTransaction: self == .plainInsert1 ? 1 : Bench.insertRows)
        guard self == .plainUpdate else { return }
        try database.update(
            PlainRows(workload.withOtherStatus, ids: ids), [.status],
            rowsPerTransaction: Bench.updateRows)
    }
}
