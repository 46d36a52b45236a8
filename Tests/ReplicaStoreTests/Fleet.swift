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
    private let environment: Environment
    private var receiverCount = 0
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
        self.environment = environment
        for number in 0..<count { replicas.append(try create("replica-\(number)")) }
    }

    private func create(_ name: String) throws -> Replica {
        try Replica.create(
            at: bench.path(name), name: name, schema: Self.schema, environment: environment)
    }

    /// A further replica, which only receives, for as long as `body` runs.
    func withReceiver<Result>(_ body: (Replica) throws -> Result) throws -> Result {
        let name = "receiver-\(receiverCount)"
        receiverCount += 1
        let replica = try create(name)
        defer {
            replica.close()
            bench.remove(name)
        }
        return try body(replica)
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
        try ingest(runs, at: replicas[target])
    }

    func ingest(_ runs: [SealedRun], at target: Replica) throws {
        for result in try target.ingest(runs) {
            if case .refused(let refusal) = result { throw refusal }
        }
    }

    /// Hands over all that `source` holds.
    func give(from source: Int, to target: Int) throws {
        try carry(from: replicas[source], to: replicas[target])
    }

    /// Keeps what the replica exports for the oracle.
    func export(_ number: Int) throws { try export(replicas[number]) }

    /// - Returns: the export's last line: the hash of the state, and counts.
    @discardableResult
    func export(_ replica: Replica) throws -> String {
        let (text, reading) = try Self.text(of: replica)
        try keep(text)
        return reading.last ?? ""
    }

    /// What the replica exports, and those lines of it that are the same at all who hold the same:
    /// neither who exports nor when what was received.
    static func text(of replica: Replica) throws -> (whole: String, reading: [String]) {
        var whole = ""
        var reading: [String] = []
        try replica.export { line in
            whole += line + "\n"
            if !line.hasPrefix("{\"dot\"") && !line.hasPrefix("{\"export\"") {
                reading.append(line)
            }
        }
        return (whole, reading)
    }

    func keep(_ text: String) throws { try keep(text, "export-\(files.count)") }

    private func keep(_ text: String, _ name: String) throws {
        let file = bench.directory.appending(path: name + ".jsonl")
        try Data(text.utf8).write(to: file)
        files.append(file.path)
    }

    /// Ends the fleet: equal hashes, and the oracle's word on every export.
    ///
    /// - Returns: what is wrong.
    func judge(limitSeconds: Double = 300) throws -> String? {
        // Hash and counts: reckoned anew by each, and by the oracle.
        let end = try export(replicas[0])
        guard end.contains("stateHash") else { return "an export ends with \(end)" }
        for number in replicas.indices.dropFirst() {
            let other = try export(replicas[number])
            guard other == end else {
                return "replica \(number) ends with \(other), and replica 0 with \(end)"
            }
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

    /// Asked for once: what lies on the path may be a script that takes longer than the oracle.
    private static let python = Result { () throws -> URL in
        let process = Process()
        let output = Pipe()
        process.executableURL = URL(filePath: "/usr/bin/env")
        process.arguments = ["python3", "-c", "import sys; print(sys.executable)"]
        process.standardOutput = output
        try process.run()
        let text = String(
            decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        guard process.terminationStatus == 0 else {
            throw Failure(description: "python3, which runs the oracle, is not there")
        }
        return URL(filePath: text.trimmingCharacters(in: .newlines))
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
        process.executableURL = try python.get()
        process.arguments = ["-B", script] + files
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
