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
            ("label", .string(label)), ("dot", .string(dot.description)),
            ("value", .string(text)), ("shown", .bool(isShown)),
            ("resolution", .bool(isResolution)), ("delete", .bool(isDelete)),
            ("device", (provenance?.device).map(JSONValue.string) ?? .null),
            ("person", (provenance?.person).map(JSONValue.string) ?? .null),
            ("claimed", provenance.map { time($0.claimedMilliseconds) } ?? .null),
            ("recorded", provenance.map { time($0.time.milliseconds) } ?? .null),
            ("saw", .array(saw.map(JSONValue.string))),
        ])
    }

    private func time(_ milliseconds: Int64) -> JSONValue {
        .string(Instant(milliseconds: milliseconds).formatted())
    }
}

extension Conflict {
    /// What a person reads: who, when, what each saw, and what to do.
    var text: String {
        var lines = [
            "\(subjectText)  (conflict \(shortID), class \(conflictClass.rawValue))", explanation,
            "",
        ]
        var output = TextTable(["", "value", "by", "recorded", "had been shown"])
        for candidate in candidates {
            let when = candidate.provenance.map {
                Instant(milliseconds: $0.time.milliseconds).inWholeSeconds
            }
            output.add([
                candidate.label + (candidate.isShown ? " *" : ""),
                candidate.text + (candidate.isResolution ? " (a decision)" : ""),
                candidate.provenance?.who ?? "", when ?? "",
                candidate.saw.isEmpty ? "nothing here" : candidate.saw.joined(separator: " · "),
            ])
        }
        lines += output.lines
        lines += [
            "", "* is shown meanwhile. Settle it with one of",
        ]
        for candidate in candidates {
            lines.append(
                "  karvan conflicts resolve \(shortID) --take \(candidate.label) --reason TEXT")
        }
        if subject.column != nil {
            lines.append("  karvan conflicts resolve \(shortID) --value VALUE --reason TEXT")
        }
        return lines.joined(separator: "\n")
    }

    var json: JSONValue {
        .object([
            ("id", .string(id.description)), ("class", .integer(Int64(conflictClass.rawValue))),
            ("table", .string(subject.table.name)), ("row", .string(subject.row.description)),
            ("name", .string(rowName)),
            ("column", subject.column.map { .string($0.name) } ?? .null),
            ("within_tolerance", .bool(isWithinTolerance)),
            ("explanation", .string(explanation)), ("candidates", .array(candidates.map(\.json))),
        ])
    }
}

extension DecisionEntry {
    var json: JSONValue {
        .object([
            ("dot", .string(provenance.dot.description)), ("subject", .string(subjectText)),
            ("what", .string(what)), ("value", .string(text)), ("reason", .string(reason)),
            ("device", .string(provenance.device)), ("person", .string(provenance.person)),
            (
                "claimed",
                .string(Instant(milliseconds: provenance.claimedMilliseconds).formatted())
            ),
        ])
    }
}
