internal import ArgumentParser
internal import ConflictInspection
internal import ProgramOutput
internal import RecordSchema
internal import Recording
internal import ReplicaStore
internal import SyncProtocol

/// Settles one conflict, or all that a filter lets through.
struct ConflictsResolve: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "resolve",
        abstract:
            "Settle a conflict, or several. The other values stay on record, with their authors.",
        discussion: """
            Examples: karvan conflicts resolve 3f2a9c01 --take B --reason "bus log says 10:25"
                      karvan conflicts resolve --item V12 --column status --take latest \\
                        --reason "HQ has called the drivers" --dry-run

            Where records clash, --take names one of the choices that `conflicts show` tells, by its \
            letter or its name; some change records, and say so.

            Without an id it settles what --table, --item and the others let through, all or nothing; \
            --take is shown, earliest, latest or the name of a choice then, for letters mean \
            something else in each. What this can't settle stays open, and is told.

            Ends with 21, and writes nothing, when a value has changed since the conflict was shown, \
            or since the dry run that --expect names.
            """)

    @OptionGroup var common: CommonOptions
    @Argument(help: "The conflict's id, or the start of it.")
    var id: String?
    @Option(
        help:
            "Take this candidate or choice: A, B, …; of several conflicts shown, earliest, latest.")
    var take: String?
    @Option(help: "Take what was written on this laptop.")
    var takeFrom: String?
    @Option(help: "Take what this person recorded.")
    var takeBy: String?
    @Option(help: "Take another value.")
    var value: String?
    @Flag(help: "Both hold, where that is one of the choices.")
    var keepBoth = false
    @Option(help: "Why: others will read it.")
    var reason: String?
    @Flag(help: "Say what would be done, and do nothing.")
    var dryRun = false
    @OptionGroup(title: "Several conflicts") var filter: ConflictFilterOptions
    @Flag(help: "Also those that were put off.")
    var all = false
    @Option(help: "Only if it is still what the dry run of this id has told.")
    var expect: String?

    func validate() throws {
        let decisions = [take != nil, takeFrom != nil, takeBy != nil, value != nil, keepBoth]
        guard decisions.filter({ $0 }).count == 1 else {
            throw ValidationError(
                "Give one of --take, --take-from, --take-by, --value and --keep-both.")
        }
        guard id == nil || filter.isEmpty && !all && expect == nil else {
            throw ValidationError(
                "An id names one conflict: leave out --table, --all, --expect and the like.")
        }
        guard id != nil || !filter.isEmpty else {
            throw ValidationError(
                "Give a conflict's id, or say which conflicts: --table, --column, --item, --by, …")
        }
        guard id != nil || take.map({ $0.count > 1 }) ?? true else {
            throw ValidationError(
                "\(take ?? "") means something else in each conflict: --take shown, earliest or "
                    + "latest, --take-from LAPTOP or --take-by PERSON, or the name of a choice.")
        }
        guard expect.map({ $0.count >= 4 }) ?? true else {
            throw ValidationError("--expect takes at least four digits.")
        }
    }

    func run() throws {
        let replica = try common.open("conflicts resolve")
        defer { replica.close() }
        if let id { try resolve(id, Conflicts(replica)) } else { try resolveAll(replica) }
    }

    // MARK: One

    private func resolve(_ id: String, _ conflicts: Conflicts) throws {
        let settled = try conflicts.resolve(
            id, try decision(on: id, conflicts), reason: reason ?? "", author: common.author,
            isDryRun: dryRun)
        try common.print(text(settled), json(settled))
    }

    private func decision(on id: String, _ conflicts: Conflicts) throws -> Decision {
        switch commonDecision {
        case .keepBoth: return .keepBoth
        case .value(let text): return .value(text)
        case .choice(let name): return .take(name)
        case .shown, .earliest, .latest, .writtenOn, .writtenBy:
            return try conflicts.decision(commonDecision, in: try conflicts.conflict(id))
        }
    }

    private func text(_ settled: Settlement) -> String {
        let text = TextTable.printable(settled.text)
        let subject = TextTable.printable(settled.conflict.subjectText)
        return settled.conflict.rule == nil
            ? "\(subject) \(dryRun ? "would be" : "is now") \(text). "
                + "The other values stay on record."
            : "\(subject), \(dryRun ? "would be settled" : "settled"): \(text). "
                + TextTable.printable(settled.effect)
    }

    private func json(_ settled: Settlement) -> JSONValue {
        .object([
            ("conflict", .string(settled.conflict.id.description)),
            ("subject", .string(settled.conflict.subjectText)),
            ("value", .string(settled.text)), ("effect", .string(settled.effect)),
            ("dry_run", .bool(dryRun)), ("changes", settled.receipt.json),
        ])
    }

    // MARK: Several

    private func resolveAll(_ replica: Replica) throws {
        let result = try Conflicts(replica).resolve(
            try filter.filter(in: Records(replica)), includesDeferred: all, commonDecision,
            reason: reason ?? "", author: common.author, expected: expect, isDryRun: dryRun)
        try common.print(try text(result, Conflicts(replica)), json(result))
    }

    private var commonDecision: CommonDecision {
        if keepBoth { return .keepBoth }
        if let takeFrom { return .writtenOn(device: takeFrom) }
        if let takeBy { return .writtenBy(person: takeBy) }
        if let value { return .value(value) }
        switch take?.lowercased() {
        case "shown"?: return .shown
        case "earliest"?: return .earliest
        case "latest"?: return .latest
        default: return .choice(take ?? "")
        }
    }

    /// So many are told one by one; a person reads no more.
    private static let toldCount = 20

    private func text(_ result: BulkSettlement, _ conflicts: Conflicts) throws -> String {
        let count = ItemCount.text(result.settled.count, "conflict")
        var lines: [String] = []
        guard !result.settled.isEmpty || !result.left.isEmpty || result.deferredCount > 0 else {
            return ConflictPage.noneText(openCount: result.openCount)
        }
        if dryRun {
            lines += try table(of: result, conflicts)
            lines.append("\(count) would be settled so.")
        } else {
            lines.append(
                "\(count) settled"
                    + (result.settled.isEmpty ? "." : ". What else was recorded stays on record."))
        }
        lines += effects(of: result)
        if !result.left.isEmpty {
            lines.append("\(result.left.count) \(dryRun ? "would not be" : "not") settled:")
            lines += result.left.prefix(Self.toldCount).map { left in
                "  \(left.conflict.shortID) \(left.conflict.subjectText): \(left.why)"
            }
            lines += rest(of: result.left.count)
        }
        if result.deferredCount > 0 {
            lines.append("\(result.deferredCount) put off; --all settles them too.")
        }
        if dryRun, !result.settled.isEmpty {
            lines.append(
                "To do it, give the same command with --expect \(result.shortID) instead of "
                    + "--dry-run.")
        }
        if let decision = result.decision, result.settled.count > 1 {
            let rows = result.settled.count { $0.isOfRecord }
            lines.append(
                "To take it all back: karvan conflicts undo "
                    + "\(decision.description.prefix(8)) --together"
                    + (rows == 0
                        ? ""
                        : " (but for \(ItemCount.text(rows, "record")) kept or deleted)"))
        }
        return lines.map(TextTable.printable).joined(separator: "\n")
    }

    /// What the choices change, each once.
    private func effects(of result: BulkSettlement) -> [String] {
        var counts: [String: Int] = [:]
        for settled in result.settled where !settled.effect.isEmpty {
            counts["\(settled.text): \(settled.effect)", default: 0] += 1
        }
        let sorted = counts.sorted { ($1.value, $0.key) < ($0.value, $1.key) }
        return sorted.prefix(Self.toldCount).map { "  \($0.value) × \($0.key)" }
            + (sorted.count > Self.toldCount ? ["  and others; --json tells all."] : [])
    }

    private func table(
        of result: BulkSettlement, _ conflicts: Conflicts
    ) throws -> [String] {
        guard !result.settled.isEmpty else { return [] }
        var output = TextTable(["id", "class", "what", "shown", "would be"])
        for settlement in result.settled.prefix(Self.toldCount) {
            let conflict = try conflicts.withLog(settlement.conflict)
            output.add([
                conflict.shortID, "\(conflict.conflictClass.rawValue)", conflict.subjectText,
                conflict.shownSummary, settlement.text,
            ])
        }
        return output.lines + rest(of: result.settled.count)
    }

    private func rest(of count: Int) -> [String] {
        count > Self.toldCount ? ["  and \(count - Self.toldCount) others; --json tells all."] : []
    }

    private func json(_ result: BulkSettlement) -> JSONValue {
        .object([
            (
                "settled",
                .array(
                    result.settled.map { settled in
                        .object([
                            ("conflict", .string(settled.conflict.id.description)),
                            ("subject", .string(settled.conflict.subjectText)),
                            ("value", .string(settled.text)), ("effect", .string(settled.effect)),
                        ])
                    })
            ),
            (
                "left",
                .array(
                    result.left.map { left in
                        .object([
                            ("conflict", .string(left.conflict.id.description)),
                            ("subject", .string(left.conflict.subjectText)),
                            ("why", .string(left.why)),
                        ])
                    })
            ),
            ("deferred", .integer(Int64(result.deferredCount))),
            ("id", .string(result.id.description)),
            (
                "decision",
                (result.decision?.description).map(JSONValue.string) ?? .null
            ), ("dry_run", .bool(dryRun)), ("changes", result.receipt.json),
        ])
    }
}
