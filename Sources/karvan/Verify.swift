internal import ArgumentParser
internal import Foundation
internal import ProgramOutput
internal import ReplicaStore
internal import SyncProtocol

/// Holds the replica against itself.
struct Verify: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "verify",
        abstract: "Check the file: signatures, chains, clocks, the conflict index, SQLite itself.")

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
        let replica = try common.open("verify")
        defer { replica.close() }
        if stateHash {
            let hash = try replica.stateHash().description
            return common.print(hash, .object([("state_hash", .string(hash))]))
        }
        // Before the check, so that a damaged file can be exported as far as it can be read.
        if let export { try ExportFile.write(replica, to: export) }
        let result = try replica.verify()
        let hash = result.stateHash?.description ?? ""
        guard result.problems.isEmpty else {
            throw CommandFailure(
                .disk,
                result.problems.joined(separator: "\n")
                    + "\n\(result.problems.count) faults. Keep the file, and sync another laptop's "
                    + "copy",
                facts: [("problems", .array(result.problems.map(JSONValue.string)))])
        }
        guard export != "-" else { return }
        common.print(
            "\(common.path) is whole: \(result.runs) runs, \(result.changesets) changes, "
                + "\(result.rows) rows.\nstate hash \(hash)",
            .object([
                ("runs", .integer(Int64(result.runs))),
                ("changes", .integer(Int64(result.changesets))),
                ("rows", .integer(Int64(result.rows))), ("state_hash", .string(hash)),
                ("problems", .array([])),
            ]))
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
            try handle.write(contentsOf: buffer)
            buffer.removeAll(keepingCapacity: true)
        }
        try handle.write(contentsOf: buffer)
    }
}
