internal import ArgumentParser
internal import Causality
internal import FieldRecords
internal import ProgramOutput
internal import RecordSchema
internal import ReplicaStore
internal import SyncProtocol

/// Makes a damaged replica whole.
struct Repair: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Make a damaged file whole from its own log, and keep the damaged one.",
        discussion: """
            Every change that can be read and proves itself is kept, and all records are made from \
            them in a new file, which takes the place of the damaged one once it is checked. The \
            damaged file stays beside it, under a name that is told. What can't be read is named: \
            what the hub has of it comes back with the next sync.

              karvan repair --dry-run
              karvan repair
              karvan sync

            A hub's store is repaired with --replica STORE while the hub is stopped.
            """)

    @OptionGroup var common: CommonOptions
    @Flag(help: "Only tell what can be saved and what can't.")
    var dryRun = false

    func run() throws {
        let result = try Replica.repair(
            at: common.path, schema: Forum.schema, environment: .system(command: "karvan repair"),
            isDryRun: dryRun)
        try common.print(text(result), json(result))
    }

    private func text(_ result: ReplicaStore.Repair) -> String {
        var lines = [
            "\(common.path): \(ItemCount.text(result.changesets, "change")) in \(result.runs) runs and the tail "
                + (dryRun ? "can be saved." : "are saved.")
        ]
        lines += result.lost.map(Self.text)
        lines += result.waiting.map { waiting in
            "\(ItemCount.text(Int(waiting.last - waiting.first + 1), "change")) behind those are kept "
                + "(\(waiting.stream):\(waiting.first) to \(waiting.last)), and count once those "
                + "are back."
        }
        lines += result.foreignWrites.map { table, row in
            "What another program wrote to \(table) \(row) was not taken in: look in the damaged "
                + "file, and write it again."
        }
        if !result.foreignObjects.isEmpty {
            lines.append(
                "Not Karvan's, and left in the damaged file: "
                    + "\(result.foreignObjects.joined(separator: ", ")).")
        }
        lines += result.notes.map { $0 + "." }
        if let name = result.keptAs {
            lines.append("The damaged file is \(name).")
            if result.isNewIncarnation {
                lines.append("This replica goes on as a new incarnation.")
            }
            if !result.lost.isEmpty { lines.append("Now run `karvan sync`.") }
        }
        return lines.joined(separator: "\n")
    }

    private static func text(_ lost: LostChanges) -> String {
        let count = lost.last - lost.first + 1
        let what =
            "\(ItemCount.text(count, "change")) can't be read "
            + "(\(lost.stream):\(lost.first) to \(lost.last))"
        return switch lost.whose {
        case .ownSent: "\(what), recorded here: the hub has them, and the next sync brings them."
        case .ownUnsent:
            "\(what), recorded here and not sent: compare with paper, and record them again."
        case .other:
            "\(what), of \(lost.device.map { "device \($0.short)" } ?? "another device"): the next "
                + "sync brings what the hub has."
        }
    }

    private func json(_ result: ReplicaStore.Repair) -> JSONValue {
        .object([
            ("dry_run", .bool(dryRun)), ("changes", .integer(Int64(result.changesets))),
            ("runs", .integer(Int64(result.runs))),
            ("lost", .array(result.lost.map(\.json))),
            ("waiting", .array(result.waiting.map(\.json))),
            (
                "foreign_writes",
                .array(
                    result.foreignWrites.map {
                        .object([
                            ("table", .string($0.table)), ("row", .string($0.row.description)),
                        ])
                    })
            ),
            ("foreign_objects", .array(result.foreignObjects.map(JSONValue.string))),
            ("notes", .array(result.notes.map(JSONValue.string))),
            ("new_incarnation", .bool(result.isNewIncarnation)),
            ("damaged_file", result.keptAs.map(JSONValue.string) ?? .null),
            ("state_hash", result.stateHash.map { .string($0.description) } ?? .null),
        ])
    }
}

extension LostChanges {
    fileprivate var json: JSONValue {
        .object([
            ("stream", .string(stream.description)), ("first", .integer(Int64(clamping: first))),
            ("last", .integer(Int64(clamping: last))), ("whose", .string(whose.name)),
            ("device", device.map { .string($0.description) } ?? .null),
        ])
    }
}

extension LostChanges.Whose {
    fileprivate var name: String {
        switch self {
        case .ownSent: "own_sent"
        case .ownUnsent: "own_unsent"
        case .other: "other"
        }
    }
}
