internal import ArgumentParser
internal import ConflictInspection
internal import FieldRecords
internal import ProgramOutput
internal import RecordSchema
internal import Recording
internal import ReplicaStore
internal import SyncProtocol

/// Lists decisions, with the ids by which they are taken back.
struct ConflictsLog: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "log", abstract: "List the decisions that were made, oldest first.",
        discussion: """
            Example: karvan conflicts log

            A decision that no longer stands is in brackets.
            """)

    @OptionGroup var common: CommonOptions

    func run() throws {
        let replica = try common.open("conflicts log")
        defer { replica.close() }
        let entries = try Conflicts(replica).log()
        var output = TextTable(["id", "when", "what", "value", "by", "reason"])
        for entry in entries {
            let time = Instant(milliseconds: entry.provenance.claimedMilliseconds).inWholeSeconds
            let what = "\(entry.subjectText) \(entry.kind.rawValue)"
            output.add([
                entry.shortID, time, entry.isLive ? what : "(\(what))",
                TerminalText.cut(entry.text, to: 80), entry.provenance.who,
                TerminalText.cut(entry.reason, to: 160),
            ])
        }
        try common.print(
            entries.isEmpty ? "No decisions yet." : output.lines.joined(separator: "\n"),
            .object([("decisions", .array(entries.map(\.json)))]))
    }
}

/// Takes a decision back.
struct ConflictsUndo: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "undo",
        abstract: "Take a decision back: what it settled is open again.",
        discussion: """
            Examples: karvan conflicts undo 9c01d2e4 --reason "the bus log was of another day"
                      karvan conflicts undo 9c01d2e4 --together

            To take that back in turn, undo the entry that this adds to the log. What a choice had \
            changed in records is put back, unless someone has changed it since. Ends with 21, and \
            writes nothing, when the decision no longer stands.
            """)

    @OptionGroup var common: CommonOptions
    @Argument(help: "The decision's id as `conflicts log` tells it, or the start of it.")
    var decision: String
    @Option(help: "Why: others will read it.")
    var reason: String?
    @Flag(help: "Take back all that the same command has decided.")
    var together = false

    func run() throws {
        let replica = try common.open("conflicts undo")
        defer { replica.close() }
        if together {
            let result = try Conflicts(replica).undoTogether(
                decision, reason: reason ?? "", author: common.author)
            return try common.print(text(result), json(result))
        }
        let undoing = try Conflicts(replica).undo(
            decision, reason: reason ?? "", author: common.author)
        try common.print(text(undoing), json(undoing))
    }

    private func text(_ result: BulkUndoing) -> String {
        let count = ItemCount.text(result.undone.count, "decision")
        var lines = [
            result.kind == .takenBack
                ? "\(count) made again: what they settle is settled."
                : "\(count) taken back; see `karvan conflicts list`."
        ]
        let kept = result.undone.flatMap(\.kept)
        if !kept.isEmpty {
            lines.append(
                "Stays, for someone has changed it since: \(kept.joined(separator: ", ")).")
        }
        if !result.left.isEmpty {
            lines.append("\(result.left.count) stay as they are:")
            lines += result.left.prefix(20).map { "  \($0.entry.subjectText): \($0.why)" }
            if result.left.count > 20 { lines.append("  and \(result.left.count - 20) others.") }
        }
        return lines.map(TextTable.printable).joined(separator: "\n")
    }

    private func json(_ result: BulkUndoing) -> JSONValue {
        .object([
            ("undone", .array(result.undone.map { .string($0.entry.id.description) })),
            (
                "left",
                .array(
                    result.left.map { left in
                        .object([
                            ("decision", .string(left.entry.id.description)),
                            ("subject", .string(left.entry.subjectText)),
                            ("why", .string(left.why)),
                        ])
                    })
            ),
            ("put_back", .array(result.undone.flatMap(\.reversed).map(JSONValue.string))),
            ("stays", .array(result.undone.flatMap(\.kept).map(JSONValue.string))),
            ("changes", result.receipt.json),
        ])
    }

    private func text(_ undoing: Undoing) -> String {
        let entry = undoing.entry
        let what =
            switch entry.kind {
            case .resolved: "the decision “\(entry.text)” is taken back"
            case .takenBack: "the decision “\(entry.text)” stands again"
            case .deferred, .resumed: "listed again"
            }
        var lines = ["\(entry.subjectText): \(what)."]
        if !undoing.reversed.isEmpty {
            lines.append("Put back with it: \(undoing.reversed.joined(separator: ", ")).")
        }
        if !undoing.kept.isEmpty {
            lines.append(
                "Stays, for someone has changed it since: "
                    + "\(undoing.kept.joined(separator: ", ")).")
        }
        if let conflict = undoing.reopened, entry.kind != .deferred {
            lines.append("Open: karvan conflicts show \(conflict.shortID)")
        }
        return lines.map(TextTable.printable).joined(separator: "\n")
    }

    private func json(_ undoing: Undoing) -> JSONValue {
        .object([
            ("decision", .string(undoing.entry.id.description)),
            ("subject", .string(undoing.entry.subjectText)),
            ("what", .string(undoing.entry.kind.rawValue)),
            ("value", .string(undoing.entry.text)),
            ("put_back", .array(undoing.reversed.map(JSONValue.string))),
            ("stays", .array(undoing.kept.map(JSONValue.string))),
            ("conflict", (undoing.reopened?.id.description).map(JSONValue.string) ?? .null),
            ("changes", undoing.receipt.json),
        ])
    }
}

/// Puts a conflict off.
struct ConflictsDefer: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "defer",
        abstract: "Put a conflict off: it isn't listed until then, or until a value changes.",
        discussion: """
            Example: karvan conflicts defer 3f2a9c01 --until 18:00 --reason "the driver comes back"

            It stays open: `conflicts list --open` still ends with 20 if it is of class 2. `conflicts \
            undo` on the log's entry lists it again.
            """)

    @OptionGroup var common: CommonOptions
    @Argument(help: "The conflict's id, or the start of it.")
    var id: String
    @Option(help: "Until when: a time, or a bare 18:00 of today.")
    var until: String?
    @Option(help: "Why: others will read it.")
    var reason: String?

    func run() throws {
        let replica = try common.open("conflicts defer")
        defer { replica.close() }
        let time = try until.map { try Records(replica).instant($0, for: nil) }
        let (conflict, receipt) = try Conflicts(replica).postpone(
            id, untilMilliseconds: time?.milliseconds, reason: reason ?? "",
            author: common.author)
        try common.print(
            TextTable.printable(
                "\(conflict.subjectText) is put off "
                    + (time.map { "until \($0.inWholeSeconds)" } ?? "until it changes") + "."),
            .object([
                ("conflict", .string(conflict.id.description)),
                ("subject", .string(conflict.subjectText)),
                ("until", time.map { .string($0.formatted()) } ?? .null),
                ("changes", receipt.json),
            ]))
    }
}
