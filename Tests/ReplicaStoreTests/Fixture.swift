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
    static let schema = Schema(name: "sample", version: 1, tables: [note, person])

    static func column(_ name: String) -> Column {
        note.column(named: name) ?? person.column(named: name)!
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

    init() throws {
        directory = FileManager.default.temporaryDirectory
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

    func create(_ name: String, keepsFeed: Bool = false) throws -> Replica {
        try Replica.create(
            at: path(name), name: name, schema: Sample.schema, environment: environment,
            keepsFeed: keepsFeed)
    }

    func open(_ name: String) throws -> Replica {
        try Replica.open(at: path(name), schema: Sample.schema, environment: environment)
    }
}

/// Hands all of one replica's runs to another, as a hub or a courier would.
func carry(from source: Replica, to target: Replica) throws {
    try source.seal()
    let runs = try source.sealedRuns(after: target.versionVector())
    for result in try target.ingest(runs) {
        if case .refused(let refusal) = result { throw refusal }
    }
}
