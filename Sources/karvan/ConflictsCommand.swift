internal import ArgumentParser
internal import SyncProtocol
internal import ConflictInspection
internal import FieldRecords
internal import ProgramOutput
internal import RecordSchema
internal import Recording
internal import ReplicaStore

/// Where people disagree, and how it is settled.
struct ConflictsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "conflicts",
        abstract: "Show concurrent edits and settle them.",
        subcommands: [
            ConflictsList.self, ConflictsShow.self, ConflictsResolve.self, ConflictsLog.self,
        ],
        defaultSubcommand: ConflictsList.self)
}

struct ConflictsList: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list",
        abstract: "List open conflicts.",
        discussion: "With --open, ends with 20 while a conflict needs a person's decision.")

    @OptionGroup var common: CommonOptions
    @Flag(help: "End with 20 while there are conflicts of class 2.")
    var open = false
    @Option(name: .customLong("class"), help: "Only this class: 1 to note, 2 to decide.")
    var conflictClass: Int?

    func validate() throws {
        guard conflictClass.map((1...2).contains) ?? true else {
            throw ValidationError("--class takes 1 or 2.")
        }
    }

    func run() throws {
        let replica = try common.open("conflicts list")
        defer { replica.close() }
        let conflicts = try Conflicts(replica).open().filter {
            conflictClass == nil || $0.conflictClass.rawValue == conflictClass
        }
        var output = TextTable(["id", "class", "what", "shown", "others"])
        for conflict in conflicts {
            output.add([
                conflict.shortID, "\(conflict.conflictClass.rawValue)", conflict.subjectText,
                conflict.candidates.first(where: \.isShown)?.summary ?? "",
                conflict.candidates.filter { !$0.isShown }.map(\.summary).joined(separator: " · "),
            ])
        }
        common.print(
            conflicts.isEmpty ? "No open conflicts." : output.lines.joined(separator: "\n"),
            .object([("conflicts", .array(conflicts.map(\.json)))]))
        if open, conflicts.contains(where: { $0.conflictClass == .decision }) {
            throw ExitCode(ExitStatus.openConflicts.rawValue)
        }
    }
}

struct ConflictsShow: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "show",
        abstract: "Show one conflict: who wrote what, when, and what each had been shown.")

    @OptionGroup var common: CommonOptions
    @Argument(help: "The conflict's id, or the start of it.")
    var id: String

    func run() throws {
        let replica = try common.open("conflicts show")
        defer { replica.close() }
        let conflict = try Conflicts(replica).conflict(id)
        common.print(conflict.text, conflict.json)
    }
}

struct ConflictsResolve: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "resolve",
        abstract: "Settle a conflict. The other values stay on record, with their authors.",
        discussion: """
            Example: karvan conflicts resolve 3f2a9c01 --take B --reason "bus log says 10:25"

            Ends with 21, and writes nothing, when a value has changed since the conflict was shown.
            """)

    @OptionGroup var common: CommonOptions
    @Argument(help: "The conflict's id, or the start of it.")
    var id: String
    @Option(help: "Take this candidate: A, B, …")
    var take: String?
    @Option(help: "Take another value.")
    var value: String?
    @Flag(help: "Keep all values, where the column is a set.")
    var keepBoth = false
    @Option(help: "Why: others will read it.")
    var reason: String?
    @Flag(help: "Say what would be done, and do nothing.")
    var dryRun = false

    func validate() throws {
        guard [take != nil, value != nil, keepBoth].filter({ $0 }).count == 1 else {
            throw ValidationError("Give one of --take, --value and --keep-both.")
        }
    }

    func run() throws {
        let replica = try common.open("conflicts resolve")
        defer { replica.close() }
        guard !keepBoth else {
            throw CommandFailure(
                .badInput,
                "the column holds one value; only sets keep both, and those never conflict. Use "
                    + "--take or --value")
        }
        let decision = take.map(Decision.take) ?? .value(value ?? "")
        let settled = try Conflicts(replica).resolve(
            id, decision, reason: reason ?? "", author: common.author, isDryRun: dryRun)
        common.print(
            "\(settled.conflict.subjectText) \(dryRun ? "would be" : "is now") "
                + "\(TextTable.printable(settled.text)). "
                + "The other values stay on record.",
            .object([
                ("conflict", .string(settled.conflict.id.description)),
                ("subject", .string(settled.conflict.subjectText)),
                ("value", .string(settled.text)), ("dry_run", .bool(dryRun)),
                ("changes", settled.receipt.json),
            ]))
    }
}

struct ConflictsLog: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "log", abstract: "List the decisions that were made, oldest first.")

    @OptionGroup var common: CommonOptions

    func run() throws {
        let replica = try common.open("conflicts log")
        defer { replica.close() }
        let entries = try Conflicts(replica).log()
        var output = TextTable(["when", "what", "value", "by", "reason"])
        for entry in entries {
            let time = Instant(milliseconds: entry.provenance.claimedMilliseconds).inWholeSeconds
            output.add([
                time, "\(entry.subjectText) \(entry.what)", entry.text, entry.provenance.who,
                entry.reason,
            ])
        }
        common.print(
            entries.isEmpty ? "No decisions yet." : output.lines.joined(separator: "\n"),
            .object([("decisions", .array(entries.map(\.json)))]))
    }
}
