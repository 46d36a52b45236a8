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
            ConflictsBrowse.self, ConflictsList.self, ConflictsShow.self, ConflictsExplain.self,
            ConflictsResolve.self,
            ConflictsUndo.self,
            ConflictsDefer.self, ConflictsLog.self,
        ],
        defaultSubcommand: ConflictsBrowse.self)
}

struct ConflictsList: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list",
        abstract: "List open conflicts, those that need a decision first, then the oldest first.",
        discussion: """
            Examples: karvan conflicts list --item V12 --class 2
                      karvan conflicts list --by Leyla --older 2h
                      karvan conflicts list --table visit --where "status = 'planned'"

            Of several filters all hold. With --open, ends with 20 while a conflict that they let through needs a \
            person's decision: one that was put off still does.
            """)

    @OptionGroup var common: CommonOptions
    @OptionGroup var list: ConflictListOptions

    func run() throws { try list.run(common) }
}

/// Which conflicts are listed, and how many.
struct ConflictListOptions: ParsableArguments {
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

    /// Prints them.
    func run(_ common: CommonOptions) throws {
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
                conflict.shortID, "\(conflict.conflictClass.rawValue)",
                TerminalText.cut(conflict.subjectText, to: 80),
                TerminalText.cut(conflict.shownSummary, to: 80),
                TerminalText.cut(conflict.others, to: 160),
            ])
        }
        // Where nothing was put off, a filter has kept them out.
        let none = ConflictPage.noneText(openCount: page.deferredCount == 0 ? page.openCount : 0)
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
    @Option(
        name: .customLong("where"),
        help: "Only of records of --table for which this condition in SQL holds.")
    var condition: String?
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
        guard condition == nil || table != nil else {
            throw ValidationError("--where is about the columns of a table: name it, with --table.")
        }
    }

    func filter(in records: Records) throws -> ConflictFilter {
        var filter = ConflictFilter()
        filter.conflictClass = conflictClass.flatMap { ConflictClass(rawValue: $0) }
        filter.kind = table == Forum.observation.name ? "attendance" : table
        let wanted = try table.map { try Self.table($0, records) }
        try column.map { try Self.check($0, of: wanted, records) }
        filter.column = column
        if let wanted, let condition { filter.condition = (wanted, condition) }
        filter.item = try item.map { try records.row(in: Forum.item, $0) }
        filter.delegation = try delegation.map { try records.row(in: Forum.delegation, $0) }
        filter.device = device
        filter.person = by
        if let age = older.flatMap(Self.milliseconds) {
            filter.beforeMilliseconds = records.replica.environment.wallMilliseconds() - age
        }
        return filter
    }

    /// Nothing is asked for in particular.
    var isEmpty: Bool {
        conflictClass == nil
            && [table, column, item, delegation, condition, device, by, older].allSatisfy {
                $0 == nil
            }
    }

    /// Where records of a kind lie.
    private static func table(_ kind: String, _ records: Records) throws -> Table {
        kind == "attendance" ? Forum.observation : try records.table(kind)
    }

    /// Whether there is such a column, or such a rule.
    private static func check(_ name: String, of table: Table?, _ records: Records) throws {
        let tables = table.map { [$0] } ?? records.replica.schema.tables
        let rules = records.replica.schema.rules.map(\.name)
        guard !rules.contains(name), !tables.contains(where: { $0.column(named: name) != nil })
        else { return }
        throw RecordError(
            "there is no column \(name)\(table.map { " in \($0.name)" } ?? ""), and no rule of that name; "
                + "rules are \(rules.joined(separator: ", "))")
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
        abstract: "Show one conflict: who wrote what, when, and what each had been shown.",
        discussion: """
            Example: karvan conflicts show 3f2a9c01
            """)

    @OptionGroup var common: CommonOptions
    @Argument(help: "The conflict's id, or the start of it.")
    var id: String

    func run() throws {
        let replica = try common.open("conflicts show")
        defer { replica.close() }
        let conflicts = Conflicts(replica)
        let conflict = try conflicts.conflict(id)
        let past = try conflicts.past(of: conflict)
        try common.print(conflict.text(past), conflict.json(past))
    }
}

struct ConflictsExplain: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "explain",
        abstract: "Say why something is a conflict, by which rule, and what ends it.",
        discussion: """
            Example: karvan conflicts explain 3f2a9c01
            """)

    @OptionGroup var common: CommonOptions
    @Argument(help: "The conflict's id, or the start of it.")
    var id: String

    func run() throws {
        let replica = try common.open("conflicts explain")
        defer { replica.close() }
        let conflict = try Conflicts(replica).conflict(id)
        let explanation = conflict.fullExplanation
        try common.print(
            ([conflict.title] + explanation.lines + [
                "", "Look at it: karvan conflicts show \(conflict.shortID)",
            ]).joined(separator: "\n"),
            .object(
                [
                    ("id", .string(conflict.id.description)),
                    ("subject", .string(conflict.subjectText)),
                    ("class", .integer(Int64(conflict.conflictClass.rawValue))),
                ] + explanation.members))
    }
}
