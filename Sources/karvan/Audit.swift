internal import ArgumentParser
internal import Causality
internal import Foundation
internal import ProgramOutput
internal import ReplicaStore
internal import ReplicaSync
internal import SyncProtocol

/// Writes what an auditor can follow without Karvan.
struct Audit: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Write all changes into a signed archive that others can check without Karvan.",
        discussion: """
            Example: karvan audit forum.karvan --note "accounts of 2025"

            Whoever has the folder Protocol of this project and Python checks it:

              python3 Protocol/check.py archive forum.karvan --root ROOT

            ROOT is printed here: hand it over by another way than the file. The archive can be read by \
            anybody who has it, names of people too; whoever was erased is erased in it.
            """)

    @OptionGroup var common: CommonOptions
    @Argument(help: "The new file.")
    var file: String
    @Option(
        name: .customLong("scope"),
        help: "Of this scope and the forum's own, such as delegation/KZ; may be repeated. Else all."
    )
    var scopes: [String] = []
    @Option(help: "What it is made for.")
    var note = ""

    func run() throws {
        let replica = try common.open("audit")
        defer { replica.close() }
        let archived = try BundleExchange(replica).archive(
            to: file, scopes: scopes.isEmpty ? nil : Swift.Set(scopes + [Replica.scope]), note: note
        )
        let changes = ItemCount.text(archived.changesetCount, "change")
        try common.print(
            """
            wrote \(file): \(changes) of \(archived.scopes.joined(separator: ", ")), \
            \(ByteCount.text(archived.byteCount))
            state hash \(archived.stateHash)
            root       \(archived.root)
            Hand the root over by another way. To check it: \
            python3 Protocol/check.py archive \(file) --root \(archived.root)
            """,
            .object([
                ("file", .string(file)), ("bytes", .integer(Int64(clamping: archived.byteCount))),
                ("changes", .integer(Int64(clamping: archived.changesetCount))),
                ("scopes", .array(archived.scopes.map(JSONValue.string))),
                ("state_hash", .string(archived.stateHash.description)),
                ("root", .string(archived.root.description)),
            ]))
    }
}
