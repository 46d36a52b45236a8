import Causality
import Foundation
import Merge
import RecordSchema
import ReplicaStore
import SyncProtocol
import Synchronization

/// A schema with one column of each shape.
enum Sample {
    static let note = Table(
        1, "note",
        [
            Column(1, "title", .text),
            Column(2, "count", .integer),
            Column(3, "position", .composite([.init("lat", .real), .init("lon", .real)])),
            Column(4, "tags", .set(.text)),
            Column(5, "arrival", .time, policy: .earliest(within: 600_000)),
        ])
    static let person = Table(
        2, "person", key: ["badge"],
        [
            Column(1, "badge", .text), Column(2, "name", .text),
            Column(3, "friend", .reference(2)), Column(4, "born", .time),
        ])
    static let measure = Table(
        3, "measure",
        [
            Column(1, "value", .real), Column(2, "raw", .blob),
            Column(3, "marks", .set(.integer)), Column(4, "about", .reference(1)),
        ])
    static let tables = [note, person, measure]
    static let schema = Schema(name: "sample", version: 1, tables: tables)

    /// The schema as an older build knew it: one table and most columns are missing.
    static let smaller = Schema(
        name: "sample", version: 0,
        tables: [Table(1, "note", [note.columns[0], note.columns[1]]), person])

    static func column(_ name: String) -> Column {
        tables.lazy.compactMap { $0.column(named: name) }.first!
    }
}

/// A temporary directory with replicas on a clock that moves by itself.
final class Bench {
    let directory: URL
    let clock = Clock()

    final class Clock: Sendable {
        private let now = Atomic<Int64>(1_764_000_000_000)
        func next() -> Int64 { now.add(1, ordering: .relaxed).newValue }
    }

    /// - Parameter isVolatile: in memory, where the machine offers that: for many short tests.
    init(isVolatile: Bool = false) throws {
        let memory = URL(
            filePath: ProcessInfo.processInfo.environment["KARVAN_TEST_MEMORY"] ?? "/dev/shm")
        let isUsable = isVolatile && FileManager.default.isWritableFile(atPath: memory.path)
        directory = (isUsable ? memory : FileManager.default.temporaryDirectory)
            .appending(path: "karvan-test-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(at: directory) }

    var environment: Environment {
        let clock = clock
        var environment = Environment.system(command: "test")
        environment.wallMilliseconds = { clock.next() }
        return environment
    }

    func path(_ name: String) -> String { directory.appending(path: name + ".sqlite").path }

    /// Removes a replica that is closed, with what lies beside it.
    func remove(_ name: String) {
        let manager = FileManager.default
        for file in (try? manager.contentsOfDirectory(atPath: directory.path)) ?? []
        where file.hasPrefix(name + ".sqlite") {
            try? manager.removeItem(at: directory.appending(path: file))
        }
    }

    func create(
        _ name: String, schema: Schema = Sample.schema, keepsFeed: Bool = false
    ) throws -> Replica {
        try Replica.create(
            at: path(name), name: name, schema: schema, environment: environment,
            keepsFeed: keepsFeed)
    }

    func open(_ name: String, schema: Schema = Sample.schema) throws -> Replica {
        try Replica.open(at: path(name), schema: schema, environment: environment)
    }

    /// Runs the sqlite3 shell over a replica's file, as another program would.
    ///
    /// - Parameter firesTriggers: what a program that means harm would leave out.
    func shell(_ name: String, _ sql: String, firesTriggers: Bool = true) throws {
        let process = Process()
        process.executableURL = URL(filePath: "/usr/bin/sqlite3")
        process.arguments = ["-bail", path(name)]
        let input = Pipe()
        process.standardInput = input
        try process.run()
        let setting = firesTriggers ? "" : ".dbconfig enable_trigger off\n"
        input.fileHandleForWriting.write(Data((setting + sql).utf8))
        try input.fileHandleForWriting.close()
        process.waitUntilExit()
        guard process.terminationStatus == 0 else {
            throw ShellError(status: process.terminationStatus)
        }
    }

    struct ShellError: Error { var status: Int32 }
}

/// SQL's literal of a row's id.
func literal(_ id: RowID) -> String { "x'\(id)'" }

/// Hands all of one replica's runs to another, as a hub or a courier would.
func carry(from source: Replica, to target: Replica) throws {
    try source.seal()
    let runs = try source.sealedRuns(beyond: target.sealedHeads())
    for result in try target.ingest(runs) {
        if case .refused(let refusal) = result { throw refusal }
    }
}
