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
        abstract: "Show concurrent edits and records that clash, and settle them.",
        subcommands: [
            ConflictsList.self, ConflictsShow.self, ConflictsResolve.self, ConflictsUndo.self,
            ConflictsDefer.self, ConflictsLog.self,
        ],
        defaultSubcommand: ConflictsList.self)
}

struct ConflictsList: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list",
        abstract: "List open conflicts.",
        discussion: """
            With --open, ends with 20 while a conflict needs a person's decision: one that was put \
            off still does.
            """)

    @OptionGroup var common: CommonOptions
    @Flag(help: "End with 20 while there are conflicts of class 2.")
    var open = false
    @Flag(help: "Also those that were put off.")
    var all = false
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
        let open = try Conflicts(replica).open().filter {
            conflictClass == nil || $0.conflictClass.rawValue == conflictClass
        }
        let listed = all ? open : open.filter { $0.deferral == nil }
        let deferredCount = open.count { $0.deferral != nil }
        try common.print(
            text(listed, deferredCount),
            .object([
                ("conflicts", .array(listed.map(\.json))),
                ("deferred", .integer(Int64(deferredCount))),
            ]))
        if self.open, open.contains(where: { $0.conflictClass == .decision }) {
            throw ExitCode(ExitStatus.openConflicts.rawValue)
        }
    }

    private func text(_ conflicts: [Conflict], _ deferredCount: Int) -> String {
        var output = TextTable(["id", "class", "what", "shown", "others"])
        for conflict in conflicts {
            output.add([
                conflict.shortID, "\(conflict.conflictClass.rawValue)", conflict.subjectText,
                conflict.shownSummary, conflict.others,
            ])
        }
        var lines = conflicts.isEmpty ? ["No open conflicts."] : output.lines
        if deferredCount > 0, !all {
            if conflicts.isEmpty { lines = [] }
            lines.append("\(deferredCount) deferred; --all lists them too.")
        }
        return lines.joined(separator: "\n")
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
        try common.print(conflict.text, conflict.json)
    }
}

struct ConflictsResolve: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "resolve",
        abstract: "Settle a conflict. The other values stay on record, with their authors.",
        discussion: """
            Example: karvan conflicts resolve 3f2a9c01 --take B --reason "bus log says 10:25"

            Where records clash, --take names one of the choices that `conflicts show` tells, by its \
            letter or its name; some change records, and say so.

            Ends with 21, and writes nothing, when a value has changed since the conflict was shown.
            """)

    @OptionGroup var common: CommonOptions
    @Argument(help: "The conflict's id, or the start of it.")
    var id: String
    @Option(help: "Take this candidate or choice: A, B, …")
    var take: String?
    @Option(help: "Take another value.")
    var value: String?
    @Flag(help: "Both hold, where that is one of the choices.")
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
        let decision = keepBoth ? .keepBoth : take.map(Decision.take) ?? .value(value ?? "")
        let settled = try Conflicts(replica).resolve(
            id, decision, reason: reason ?? "", author: common.author, isDryRun: dryRun)
        let text = TextTable.printable(settled.text)
        let subject = TextTable.printable(settled.conflict.subjectText)
        try common.print(
            settled.conflict.rule == nil
                ? "\(subject) \(dryRun ? "would be" : "is now") \(text). "
                    + "The other values stay on record."
                : "\(subject), \(dryRun ? "would be settled" : "settled"): \(text). "
                    + TextTable.printable(settled.effect),
            .object([
                ("conflict", .string(settled.conflict.id.description)),
                ("subject", .string(settled.conflict.subjectText)),
                ("value", .string(settled.text)), ("effect", .string(settled.effect)),
                ("dry_run", .bool(dryRun)), ("changes", settled.receipt.json),
            ]))
    }
}
