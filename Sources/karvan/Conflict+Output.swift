internal import Causality
internal import ConflictInspection
internal import FieldRecords
internal import ProgramOutput
internal import RecordSchema
internal import Recording
internal import SyncProtocol

extension Candidate {
    /// `10:25 by Leyla on L1`.
    var summary: String { "\(text)\(provenance.map { " by \($0.who)" } ?? "")" }

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

    /// What a person reads: who, when, what each saw, and what to do.
    var text: String {
        var lines = [
            "\(TextTable.printable(subjectText))  (conflict \(shortID), class "
                + "\(conflictClass.rawValue))",
            TextTable.printable(explanation),
        ]
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
        lines.append("")
        return (lines + (rule == nil ? valueLines : choiceLines)).joined(separator: "\n")
    }

    private var valueLines: [String] {
        var output = TextTable(["", "value", "by", "recorded", "had been shown"])
        for candidate in candidates {
            output.add([
                candidate.label + (candidate.isShown ? " *" : ""),
                candidate.text + (candidate.isResolution ? " (a decision)" : ""),
                candidate.provenance?.who ?? "", candidate.recorded,
                candidate.saw.isEmpty ? "nothing here" : candidate.saw.joined(separator: " · "),
            ])
        }
        var lines = output.lines + ["", "* is shown meanwhile. Settle it with one of"]
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

    var json: JSONValue {
        .object([
            ("id", .string(id.description)), ("class", .integer(Int64(conflictClass.rawValue))),
            ("table", .string(subject.kind)), ("row", .string(subject.row.description)),
            ("name", .string(subject.name)),
            ("column", subject.column.map { .string($0.name) } ?? .null),
            ("rule", rule.map(JSONValue.string) ?? .null), ("shown", .string(shown)),
            ("within_tolerance", .bool(isWithinTolerance)),
            ("explanation", .string(explanation)), ("candidates", .array(candidates.map(\.json))),
            ("choices", .array(choices.map(\.json))), ("deferred", deferral?.json ?? .null),
        ])
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
