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
        abstract: "List open conflicts, those that need a decision first, then the oldest first.",
        discussion: """
            Examples: karvan conflicts list --item V12 --class 2
                      karvan conflicts list --by Leyla --older 2h

            Of several filters all hold. With --open, ends with 20 while a conflict that they let through needs a \
            person's decision: one that was put off still does.
            """)

    @OptionGroup var common: CommonOptions
    @OptionGroup var filter: ConflictFilterOptions
    @Flag(help: "End with 20 while there are conflicts of class 2.")
    var open = false
    @Flag(help: "Also those that were put off.")
    var all = false
    @Option(help: "How many at most; 0 for all. Without it 50, and all with --json.")
    var limit: Int?

    func validate() throws {
        guard limit.map({ $0 >= 0 }) ?? true else {
            throw ValidationError("--limit takes 0 or more.")
        }
    }

    func run() throws {
        let replica = try common.open("conflicts list")
        defer { replica.close() }
        let wanted = limit ?? (common.json ? 0 : 50)
        let page = try Conflicts(replica).page(
            try filter.filter(in: Records(replica)), limit: wanted == 0 ? nil : wanted,
            includesDeferred: all)
        try common.print(
            text(page),
            .object([
                ("conflicts", .array(page.conflicts.map(\.json))),
                ("deferred", .integer(Int64(page.deferredCount))), ("more", .bool(page.hasMore)),
            ]))
        if self.open, page.needsDecision {
            throw ExitCode(ExitStatus.openConflicts.rawValue)
        }
    }

    private func text(_ page: ConflictPage) -> String {
        var output = TextTable(["id", "class", "what", "shown", "others"])
        for conflict in page.conflicts {
            output.add([
                conflict.shortID, "\(conflict.conflictClass.rawValue)", conflict.subjectText,
                conflict.shownSummary, conflict.others,
            ])
        }
        // Where nothing was put off, a filter has kept them out.
        let none =
            page.openCount > 0 && page.deferredCount == 0
            ? "No such conflicts are open; \(page.openCount) others are." : "No open conflicts."
        var lines = page.conflicts.isEmpty ? [none] : output.lines
        if page.hasMore {
            lines.append(
                "\(page.conflicts.count) are listed, and there are more (\(page.openCount) open in all): --limit N lists "
                    + "more, and --item, --delegation, --by and others narrow it down.")
        }
        if page.deferredCount > 0, !all {
            if page.conflicts.isEmpty { lines = [] }
            lines.append("\(page.deferredCount) deferred; --all lists them too.")
        }
        return lines.joined(separator: "\n")
    }
}

/// Which conflicts a command is about.
struct ConflictFilterOptions: ParsableArguments {
    @Option(name: .customLong("class"), help: "Only this class: 1 to note, 2 to decide.")
    var conflictClass: Int?
    @Option(help: "Only of records of this kind: visit, attendance, person, tally, …")
    var table: String?
    @Option(help: "Only about this column, or found by this rule.")
    var column: String?
    @Option(help: "Only what belongs to this item.")
    var item: String?
    @Option(help: "Only what belongs to this delegation.")
    var delegation: String?
    @Option(help: "Only where this laptop wrote one of the values.")
    var device: String?
    @Option(help: "Only where this person recorded one of the values.")
    var by: String?
    @Option(
        help:
            "Only those open for longer than this, by the oldest value that isn't shown: 90m, 2h, 3d."
    )
    var older: String?

    func validate() throws {
        guard conflictClass.map((1...2).contains) ?? true else {
            throw ValidationError("--class takes 1 or 2.")
        }
        guard older.map({ Self.milliseconds($0) != nil }) ?? true else {
            throw ValidationError("--older takes a number and m, h or d, such as 90m, 2h or 3d.")
        }
    }

    func filter(in records: Records) throws -> ConflictFilter {
        var filter = ConflictFilter()
        filter.conflictClass = conflictClass.flatMap { ConflictClass(rawValue: $0) }
        filter.kind = table
        filter.column = column
        filter.item = try item.map { try records.row(in: Forum.item, $0) }
        filter.delegation = try delegation.map { try records.row(in: Forum.delegation, $0) }
        filter.device = device
        filter.person = by
        if let age = older.flatMap(Self.milliseconds) {
            filter.beforeMilliseconds = records.replica.environment.wallMilliseconds() - age
        }
        return filter
    }

    /// `90m`, `2h`, `3d`; `nil` for anything else.
    private static func milliseconds(_ text: String) -> Int64? {
        let units: [Character: Int64] = ["m": 60_000, "h": 3_600_000, "d": 86_400_000]
        guard let unit = text.last.flatMap({ units[$0] }), let count = Int64(text.dropLast()),
            (0...100_000).contains(count)
        else { return nil }
        return count * unit
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
