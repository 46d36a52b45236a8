import Causality
import Foundation
import Merge
import RecordSchema
import ReplicaStore
import SyncProtocol

/// Replicas in files of their own on which many schedules run at once, each in a row of its own:
/// so that a transaction and a delivery serve all of them. The oracle judges what they hold.
final class Fleet {
    static let record = Table(
        1, "record",
        [
            Column(1, "title", .text),
            Column(2, "arrival", .time, policy: .earliest(within: 600_000)),
            Column(3, "position", .composite([.init("lat", .real), .init("lon", .real)])),
            Column(4, "tags", .set(.text)),
            Column(5, "heads", .counter),
            Column(6, "ratio", .real),
            Column(7, "marks", .set(.integer)),
        ])
    static let schema = Schema(name: "fleet", version: 1, tables: [record])

    static func column(_ name: String) -> Column { record.column(named: name)! }

    private let bench: Bench
    private(set) var replicas: [Replica] = []
    private var files: [String] = []
    /// What the authors were shown: lines of Protocol/06-export.md.
    private var views: [String] = []

    /// - Parameter isFrozen: whether the wall clock stands still, so that concurrent ops have equal
    ///   times.
    init(count: Int, isFrozen: Bool) throws {
        bench = try Bench(isVolatile: true)
        var environment = bench.environment
        if isFrozen { environment.wallMilliseconds = { 1_764_000_000_000 } }
        for number in 0..<count {
            replicas.append(
                try Replica.create(
                    at: bench.path("replica-\(number)"), name: "replica-\(number)",
                    schema: Self.schema, environment: environment))
        }
    }

    /// Rows that were written from a form, and what its replica held when it was opened.
    struct Forms {
        var held = VersionVector()
        var rows: Set<RowID> = []
    }

    /// One transaction, and a note of what its author was shown.
    ///
    /// - Parameter body: returns the rows that it wrote from forms.
    func write(
        _ author: Int, formsOpenedAt opened: VersionVector = VersionVector(),
        _ body: (WriteTransaction) throws -> Set<RowID>
    ) throws {
        let replica = replicas[author]
        let held = replica.versionVector()
        let (forms, receipt) = try replica.write { try body($0) }
        for dot in receipt.dots {
            var view = "{\"wrote\":\"\(dot)\",\"held\":\(json(held))"
            if !forms.isEmpty {
                let rows = forms.sorted().map { "\"\($0)\"" }.joined(separator: ",")
                view += ",\"formHeld\":\(json(opened)),\"forms\":[\(rows)]"
            }
            views.append(view + "}")
        }
    }

    private func json(_ vector: VersionVector) -> String {
        let entries = vector.entries.map { "\"\($0.stream)\":\($0.seq)" }
        return "{" + entries.joined(separator: ",") + "}"
    }

    func ingest(_ runs: [SealedRun], at target: Int) throws {
        for result in try replicas[target].ingest(runs) {
            if case .refused(let refusal) = result { throw refusal }
        }
    }

    /// Hands over all that `source` holds.
    func give(from source: Int, to target: Int) throws {
        try carry(from: replicas[source], to: replicas[target])
    }

    func export(_ number: Int) throws {
        var text = ""
        try replicas[number].export { text += $0 + "\n" }
        try keep(text, "export-\(files.count)")
    }

    private func keep(_ text: String, _ name: String) throws {
        let file = bench.directory.appending(path: name + ".jsonl")
        try Data(text.utf8).write(to: file)
        files.append(file.path)
    }

    /// Ends the fleet: equal hashes, and the oracle's word on every export.
    ///
    /// - Returns: what is wrong.
    func judge(limitSeconds: Double = 300) throws -> String? {
        let hash = try replicas[0].stateHash()
        for number in replicas.indices {
            guard try replicas[number].stateHash() == hash else {
                return "replica \(number) has another hash than replica 0"
            }
            try export(number)
        }
        try keep(views.map { $0 + "\n" }.joined(), "views")
        for replica in replicas { replica.close() }
        return try Oracle.judge(files, in: bench.directory, limitSeconds: limitSeconds)
    }

    /// How many ops the fleet's replicas wrote: one for each row in a changeset.
    var viewCount: Int { views.count }
}

/// `Protocol/oracle.py` as a process.
enum Oracle {
    private static let script = URL(filePath: #filePath).deletingLastPathComponent()
        .deletingLastPathComponent().deletingLastPathComponent()
        .appending(path: "Protocol/oracle.py").path

    struct Failure: Error, CustomStringConvertible {
        var description: String
    }

    /// - Returns: what it printed, when something differs.
    static func judge(
        _ files: [String], in directory: URL, limitSeconds: Double
    ) throws -> String? {
        let output = directory.appending(path: "oracle.txt")
        try Data().write(to: output)
        let handle = try FileHandle(forWritingTo: output)
        defer { try? handle.close() }
        let process = Process()
        process.executableURL = URL(filePath: "/usr/bin/env")
        process.arguments = ["python3", "-B", script] + files
        process.standardInput = FileHandle.nullDevice
        process.standardOutput = handle
        process.standardError = handle
        let end = DispatchSemaphore(value: 0)
        process.terminationHandler = { _ in end.signal() }
        try process.run()
        guard end.wait(timeout: .now() + limitSeconds) == .success else {
            kill(process.processIdentifier, SIGKILL)
            throw Failure(description: "the oracle took more than \(limitSeconds) s")
        }
        let text = try String(contentsOf: output, encoding: .utf8)
        switch process.terminationStatus {
        case 0 where text.hasSuffix("\n0 differences\n"): return nil
        case 1: return text
        default: throw Failure(description: "the oracle failed: \(text)")
        }
    }
}
