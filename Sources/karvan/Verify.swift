internal import ArgumentParser
internal import Causality
internal import FieldRecords
internal import Foundation
internal import ProgramOutput
internal import ReplicaStore
internal import SyncProtocol

/// Holds the replica against itself.
struct Verify: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "verify",
        abstract: "Check the file: signatures, chains, clocks, the conflict index, SQLite itself.",
        discussion: """
            Names every row and every change that is damaged or can't be read, and goes on with the \
            rest. Ends with 0 when the file is whole, and with 74 when it isn't.

              karvan verify
              karvan repair --dry-run

            The second tells what can be saved.
            """)

    @OptionGroup var common: CommonOptions
    @Flag(help: "Only print the state hash: equal on replicas that hold the same changes.")
    var stateHash = false
    @Option(
        help: """
            Write every change and all that is shown as lines of JSON, for Protocol/oracle.py; \
            '-' for standard output, where nothing else is printed then.
            """)
    var export: String?

    func run() throws {
        let replica = try Replica.inspect(
            at: common.path, schema: Forum.schema,
            environment: .system(command: "karvan verify"))
        defer { replica.close() }
        if stateHash {
            let hash = try replica.stateHash().description
            return try common.print(hash, .object([("state_hash", .string(hash))]))
        }
        // Before the check, so that a damaged file can be exported as far as it can be read.
        if let export { try ExportFile.write(replica, to: export) }
        var result = try replica.verify()
        result.otherProblems += replica.blobs.damaged().map {
            "photo \($0.name.digest) is damaged: move \(replica.blobs.file(holding: $0.name) ?? "it") away, "
                + "and `karvan sync --photos all` fetches it again"
        }
        let hash = result.stateHash?.description ?? ""
        guard result.problems.isEmpty else {
            throw CommandFailure(
                .disk,
                result.problems.joined(separator: "\n")
                    + "\n\(ItemCount.text(result.problems.count, "fault")). "
                    + "`karvan repair` makes the file whole and keeps the damaged one; "
                    + "`karvan repair --dry-run` tells what can be saved",
                facts: Self.facts(result))
        }
        guard export != "-" else { return }
        let lost = try replica.lostCommits()
        try common.print(
            "\(common.path) is whole: \(result.runs) runs, \(result.changesets) changes, "
                + "\(result.rows) rows.\nstate hash \(hash)"
                + (lost == 0
                    ? ""
                    : "\nThe disk lost about \(lost) writes before: `karvan repair` brings back what "
                        + "can still be read of them.")
                + (result.missingEnd.map(Self.words) ?? ""),
            .object([
                ("runs", .integer(Int64(result.runs))),
                ("changes", .integer(Int64(result.changesets))),
                ("rows", .integer(Int64(result.rows))), ("state_hash", .string(hash)),
                ("lost_commits", .integer(lost)),
                ("missing_end", result.missingEnd.map(Self.object) ?? .null),
                ("problems", .array([])),
            ]))
    }
}

extension Verify {
    fileprivate static func words(_ missing: Verification.DamagedChanges) -> String {
        let count = missing.last - missing.first + 1
        let what =
            count == 1
            ? "The last change written here is missing: the disk lost it"
            : "The last \(count) changes written here are missing: the disk lost them"
        return "\n\(what), or an older copy of the file was put back. "
            + "`karvan sync` brings what was sent."
    }

    fileprivate static func object(_ range: Verification.DamagedChanges) -> JSONValue {
        .object([
            ("stream", .string(range.stream.description)),
            ("first", .integer(Int64(clamping: range.first))),
            ("last", .integer(Int64(clamping: range.last))),
        ])
    }

    fileprivate static func facts(_ result: Verification) -> [(String, JSONValue)] {
        [
            ("problems", .array(result.problems.map(JSONValue.string))),
            (
                "damaged_rows",
                .array(
                    result.damagedRows.map { row in
                        .object([
                            ("table", .string(row.table)), ("row", .string(row.row.description)),
                            ("key", row.key.map(JSONValue.string) ?? .null),
                            ("columns", .array(row.columns.map(JSONValue.string))),
                        ])
                    })
            ),
            (
                "damaged_changes",
                .array(result.damagedChanges.map(Self.object))
            ),
        ]
    }
}

/// Where an export goes.
enum ExportFile {
    /// - Parameter path: `-` for standard output. A file is there whole or not at all, and only its
    ///   owner may read it, as the replica.
    static func write(_ replica: Replica, to path: String) throws {
        guard path != "-" else { return try write(replica, to: .standardOutput) }
        let partial = path + ".partial"
        try? FileManager.default.removeItem(atPath: partial)
        guard
            FileManager.default.createFile(
                atPath: partial, contents: nil, attributes: [.posixPermissions: 0o600]),
            let handle = FileHandle(forWritingAtPath: partial)
        else { throw CommandFailure(.disk, "\(partial) can't be written") }
        do {
            try write(replica, to: handle)
            try handle.synchronize()
            try handle.close()
            guard rename(partial, path) == 0 else {
                throw CommandFailure(.disk, "\(partial) can't be renamed to \(path)")
            }
        } catch {
            try? FileManager.default.removeItem(atPath: partial)
            throw error
        }
    }

    private static func write(_ replica: Replica, to handle: FileHandle) throws {
        var buffer = Data()
        try replica.export { line in
            buffer.append(contentsOf: line.utf8)
            buffer.append(UInt8(ascii: "\n"))
            guard buffer.count >= 1 << 20 else { return }
            try put(buffer, to: handle)
            buffer.removeAll(keepingCapacity: true)
        }
        try put(buffer, to: handle)
    }

    private static func put(_ bytes: Data, to handle: FileHandle) throws {
        do {
            try handle.write(contentsOf: bytes)
        } catch {
            throw CommandFailure(.disk, "the export can't be written: \(error)")
        }
    }
}
