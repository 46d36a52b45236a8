internal import ArgumentParser
internal import ProgramOutput
internal import ReplicaStore
internal import SyncProtocol

/// Holds the replica against itself.
struct Verify: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Check the file: signatures, chains, clocks, the conflict index, SQLite itself.")

    @OptionGroup var common: CommonOptions
    @Flag(help: "Only print the state hash: equal on replicas that hold the same changes.")
    var stateHash = false

    func run() throws {
        let replica = try common.open("verify")
        defer { replica.close() }
        if stateHash {
            let hash = try replica.stateHash().description
            return common.print(hash, .object([("state_hash", .string(hash))]))
        }
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
