import ArgumentParser
import Causality
import ReplicaStore

/// A part of the engine on its own, for a profiler. `EngineWriter.write`, `EngineWriter.ingest` and
/// `Plain.insert` are functions of their own, so that callgrind can count inside of them alone:
/// `--collect-atstart=no --toggle-collect=` and the function's name as `nm` gives it. Valgrind
/// can't read Swift's debug information: `strip --strip-debug` a copy first.
enum ProfilePart: String, ExpressibleByArgument, CaseIterable {
    case write
    case writeRandom = "write-random"
    case ingest
    /// What the others are held against.
    case plain

    func run(rowCount: Int, _ workplace: Workplace) throws {
        let workload = Workload(count: rowCount)
        if self == .plain { return try insertPlain(workload, workplace) }
        let random = workload.ids(.random, rowsPerTransaction: Workload.batchRows)
        let target = try EngineWriter(workplace, "engine")
        defer { target.replica.close() }
        switch self {
        case .write, .writeRandom:
            try target.write(
                workload.rows, ids: self == .write ? nil : random,
                rowsPerTransaction: Workload.batchRows)
        case .ingest:
            let source = try EngineWriter(workplace, "source")
            defer { source.replica.close() }
            try source.write(workload.rows, ids: nil, rowsPerTransaction: Workload.batchRows)
            try source.replica.seal()
            try target.ingest(try source.replica.sealedRuns(after: VersionVector()))
        case .plain: break
        }
    }

    private func insertPlain(_ workload: Workload, _ workplace: Workplace) throws {
        let batch = Workload.batchRows
        let database = try Plain(path: workplace.path("plain"))
        try database.lay(out: try workplace.settings())
        try database.insert(
            PlainRows(workload.rows, ids: workload.ids(.time, rowsPerTransaction: batch)),
            rowsPerTransaction: batch)
    }
}
