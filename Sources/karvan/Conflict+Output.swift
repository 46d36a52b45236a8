internal import Causality
internal import ConflictInspection
internal import FieldRecords
internal import ProgramOutput
internal import RecordSchema
internal import Recording
internal import SyncProtocol

extension Candidate {
    /// `10:25 by Leyla on L1`.
    var summary: String { "\(textForPeople)\(provenance.map { " by \($0.who)" } ?? "")" }

    var json: JSONValue {
        .object([
            ("label", .string(label)), ("dot", (dot?.description).map(JSONValue.string) ?? .null),
            ("value", .string(text)), ("shown", .bool(isShown)),
            ("resolution", .bool(isResolution)), ("delete", .bool(isDelete)),
            ("device", (provenance?.device).map(JSONValue.string) ?? .null),
            ("person", (provenance?.person).map(JSONValue.string) ?? .null),
            ("claimed", provenance.map { time($0.claimedMilliseconds) } ?? .null),
            ("recorded", provenance.map { time($0.time.milliseconds) } ?? .null),
            ("saw", .array(saw.map(JSONValue.string))),
        ])
    }

    /// When, in whole seconds; empty for what nobody wrote.
    fileprivate var recorded: String {
        provenance.map { Instant(milliseconds: $0.time.milliseconds).inWholeSeconds } ?? ""
    }

    private func time(_ milliseconds: Int64) -> JSONValue {
        .string(Instant(milliseconds: milliseconds).formatted())
    }
}

extension Conflict {
    /// What stands beside what is shown, with who wrote it.
    var others: String {
        candidates.filter { !$0.isShown }.map(\.summary).joined(separator: " · ")
    }

    /// What is shown, with who wrote it where it is one value.
    var shownSummary: String {
        rule == nil ? candidates.first(where: \.isShown)?.summary ?? "" : shown
    }

    /// What it is about, and what it is called.
    var title: String {
        "\(TextTable.printable(subjectText))  (conflict \(shortID), class \(conflictClass.rawValue))"
    }

    /// What a person reads: who, when, what each saw, and what to do.
    func text(_ past: ConflictPast?) -> String {
        var lines = [title, TextTable.printable(explanation)]
        if let deferral {
            let until = deferral.untilMilliseconds.map {
                "until \(Instant(milliseconds: $0).inWholeSeconds)"
            }
            lines.append(
                TextTable.printable(
                    "Put off \(until ?? "until it changes")"
                        + (deferral.who.isEmpty ? "" : " by \(deferral.who)")
                        + (deferral.reason.isEmpty ? "." : ": \(deferral.reason)")))
        }
        if let past {
            lines.append(TextTable.printable(past.baseText))
        }
        lines.append("")
        return (lines + (rule == nil ? valueLines(past) : choiceLines)).joined(separator: "\n")
    }

    private func valueLines(_ past: ConflictPast?) -> [String] {
        var output = TextTable(
            ["", "value", "by"] + (past == nil ? ["recorded"] : []) + ["had been shown"])
        for candidate in candidates {
            output.add(
                [
                    candidate.label + (candidate.isShown ? " *" : ""),
                    candidate.textForPeople + (candidate.isResolution ? " (a decision)" : ""),
                    candidate.provenance?.who ?? "",
                ] + (past == nil ? [candidate.recorded] : [])
                    + [
                        candidate.saw.isEmpty
                            ? "nothing here" : candidate.saw.joined(separator: " · ")
                    ])
        }
        var lines = output.lines
        if let past { lines += [""] + past.lines }
        lines += ["", "* is shown meanwhile. Settle it with one of"]
        for candidate in candidates {
            lines.append(
                "  karvan conflicts resolve \(shortID) --take \(candidate.label) --reason TEXT")
        }
        if subject.column != nil {
            lines.append("  karvan conflicts resolve \(shortID) --value VALUE --reason TEXT")
        }
        return lines
    }

    private var choiceLines: [String] {
        var output = TextTable(["", "record", "by", "recorded"])
        for candidate in candidates {
            output.add([
                candidate.isShown ? "*" : "",
                candidate.text + (candidate.isResolution ? " (a decision)" : ""),
                candidate.provenance?.who ?? "", candidate.recorded,
            ])
        }
        var lines =
            output.lines + [
                "", "Shown meanwhile: \(TextTable.printable(shown)). Settle it with one of",
            ]
        for choice in choices {
            lines.append(
                "  karvan conflicts resolve \(shortID) --take \(choice.label) --reason TEXT")
            lines.append(
                TextTable.printable("      \(choice.text). \(choice.effect)"))
        }
        return lines
    }

    /// With how it came about.
    func json(_ past: ConflictPast?) -> JSONValue {
        .object(members + [("past", past?.json ?? .null)])
    }

    var json: JSONValue { .object(members) }

    private var members: [(String, JSONValue)] {
        [
            ("id", .string(id.description)), ("class", .integer(Int64(conflictClass.rawValue))),
            ("table", .string(subject.kind)), ("row", .string(subject.row.description)),
            ("name", .string(subject.name)),
            ("column", subject.column.map { .string($0.name) } ?? .null),
            ("rule", rule.map(JSONValue.string) ?? .null), ("shown", .string(shown)),
            ("within_tolerance", .bool(isWithinTolerance)),
            ("explanation", .string(explanation)), ("candidates", .array(candidates.map(\.json))),
            ("choices", .array(choices.map(\.json))), ("deferred", deferral?.json ?? .null),
        ]
    }
}

extension ConflictPast {
    /// What came of what, with times: as the authors claim them, and as they came here.
    fileprivate var lines: [String] {
        let graph = CausalGraph(parents: steps.map(\.parents))
        var output = TextTable(["", "", "said to be at", "by", "value", "here since"])
        for (step, drawn) in zip(steps, graph.rows) {
            for line in drawn.before { output.add([line, "", "", "", "", ""]) }
            let provenance = step.provenance
            output.add([
                drawn.line, (step.label ?? "") + (step.isShown ? " *" : ""),
                Instant(milliseconds: provenance.claimedMilliseconds).inWholeSeconds,
                provenance.who + (step.source.isEmpty ? "" : ", \(step.source)"),
                step.textForPeople + (step.isDecision ? " (a decision)" : ""),
                step.receivedMilliseconds.map {
                    Instant(milliseconds: $0).inWholeSeconds
                } ?? "recorded here",
            ])
        }
        // What is odd stands under the table, not in its columns.
        var lines = output.lines
        if hasEarlier || omittedCount > 0 {
            let text = omittedCount > 0 ? "\(omittedCount) between them, and " : ""
            lines.append("\(text)\(hasEarlier ? "earlier ones" : "all others"): karvan history")
        }
        for step in steps {
            let warnings = provenanceWarnings(of: step)
            guard !warnings.isEmpty else { continue }
            let what = [step.label, step.textForPeople].compactMap { $0 }.joined(separator: ", ")
            lines += warnings.map { TextTable.printable("! \(what): \($0)") }
        }
        return lines
    }

    private func provenanceWarnings(of step: Step) -> [String] {
        step.provenance.clockWarnings(receivedAt: step.receivedMilliseconds)
    }

    fileprivate var json: JSONValue {
        .object([
            ("earlier", .bool(hasEarlier)),
            (
                "steps",
                .array(
                    steps.map { step in
                        let provenance = step.provenance
                        return .object([
                            ("dot", .string(provenance.dot.description)),
                            ("label", step.label.map(JSONValue.string) ?? .null),
                            ("value", step.text.map(JSONValue.string) ?? .null),
                            ("shown", .bool(step.isShown)), ("resolution", .bool(step.isDecision)),
                            ("base", .bool(step.isBase)), ("device", .string(provenance.device)),
                            ("person", .string(provenance.person)),
                            ("source", .string(step.source)),
                            ("claimed", time(provenance.claimedMilliseconds)),
                            ("recorded", time(provenance.time.milliseconds)),
                            ("received", step.receivedMilliseconds.map(time) ?? .null),
                            (
                                "came_of",
                                .array(
                                    step.parents.map {
                                        .string(steps[$0].provenance.dot.description)
                                    })
                            ),
                        ])
                    })
            ),
        ])
    }

    private func time(_ milliseconds: Int64) -> JSONValue {
        .string(Instant(milliseconds: milliseconds).formatted())
    }
}

extension ConflictExplanation {
    /// Paragraphs under titles.
    var lines: [String] {
        let parts = [
            ("Why it is a conflict", why), ("Which rule", rule), ("What is shown meanwhile", shown),
            ("What ends it", ends),
        ]
        return parts.flatMap { title, sentences in
            ["", title] + sentences.map { "  " + TextTable.printable($0) }
        }
    }

    var members: [(String, JSONValue)] {
        [("why", why), ("rule", rule), ("shown", shown), ("ends", ends)].map { name, sentences in
            (name, .array(sentences.map(JSONValue.string)))
        }
    }
}

extension ConflictChoice {
    var json: JSONValue {
        .object([
            ("label", .string(label)), ("name", .string(name)), ("text", .string(text)),
            ("effect", .string(effect)), ("keeps_both", .bool(keepsBoth)),
        ])
    }
}

extension Deferral {
    var json: JSONValue {
        .object([
            (
                "until",
                untilMilliseconds.map { .string(Instant(milliseconds: $0).formatted()) } ?? .null
            ),
            ("reason", .string(reason)), ("by", .string(who)),
        ])
    }
}

extension DecisionEntry {
    var json: JSONValue {
        .object([
            ("id", .string(id.description)), ("dot", .string(dot.description)),
            ("subject", .string(subjectText)), ("what", .string(kind.rawValue)),
            ("stands", .bool(isLive)), ("value", .string(text)), ("reason", .string(reason)),
            ("device", .string(provenance.device)), ("person", .string(provenance.person)),
            (
                "claimed",
                .string(Instant(milliseconds: provenance.claimedMilliseconds).formatted())
            ),
        ])
    }
}
