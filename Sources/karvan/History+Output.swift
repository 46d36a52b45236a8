internal import Causality
internal import FieldRecords
internal import ProgramOutput
internal import RecordSchema
internal import Recording

extension Provenance {
    /// What is odd about its times.
    func clockWarnings(receivedAt received: Int64?) -> [String] {
        var warnings: [String] = []
        if let skew = claimSkewMilliseconds {
            let recorded = Instant(milliseconds: time.milliseconds).inWholeSeconds
            warnings.append(
                "that is the time claimed; it was recorded at \(recorded), "
                    + (skew < 0
                        ? "\(Instant.span(milliseconds: skew)) later"
                        : "\(Instant.span(milliseconds: skew)) before"))
        }
        if let ahead = clockAheadMilliseconds(receivedAt: received) {
            warnings.append(
                "its clock was at least \(Instant.span(milliseconds: ahead)) ahead of this laptop's"
            )
        }
        return warnings
    }
}

/// The history of a record as text, up to 100 columns wide where names and values allow.
extension RecordHistory {
    var text: String {
        let title = "\(table.name) \(TextTable.printable(name))  (\(row))"
        var lines = [title + (isDeleted ? "  deleted" : "")]
        let width = entries.map(\.columnName.count).max() ?? 0
        var last: Dot?
        for entry in entries {
            if entry.provenance.dot != last { lines += [""] + entry.headLines }
            last = entry.provenance.dot
            lines += entry.lines(columnWidth: width)
        }
        if entries.isEmpty {
            lines.append("nothing was ever recorded in this column")
        } else if entries.contains(where: { $0.isShown && $0.kind != .deleted }) {
            lines += ["", "* is what the record shows."]
        }
        return lines.joined(separator: "\n")
    }

    /// What came of what: a line for each change, beside those that its author had been shown.
    var graph: String {
        var changes: [[HistoryEntry]] = []
        var places: [Dot: Int] = [:]
        for entry in entries {
            if let place = places[entry.provenance.dot] {
                changes[place].append(entry)
            } else {
                places[entry.provenance.dot] = changes.count
                changes.append([entry])
            }
        }
        let parents = changes.enumerated().map { place, entries in
            Swift.Set(entries.flatMap(\.shown).compactMap { places[$0.provenance.dot] })
                .filter { $0 < place }.sorted()
        }
        var output = TextTable(["", "said to be at", "by", "what", "here since"])
        for (entries, drawn) in zip(changes, CausalGraph(parents: parents).rows) {
            for line in drawn.before { output.add([line, "", "", "", ""]) }
            let first = entries[0]
            output.add([
                drawn.line,
                Instant(milliseconds: first.provenance.claimedMilliseconds).inWholeSeconds,
                first.provenance.who + (first.source.isEmpty ? "" : ", \(first.source)"),
                entries.map(\.mark).joined(separator: ", "),
                first.receivedMilliseconds.map { Instant(milliseconds: $0).inWholeSeconds }
                    ?? "recorded here",
            ])
        }
        let title = "\(table.name) \(TextTable.printable(name))" + (isDeleted ? "  deleted" : "")
        return ([title, ""] + output.lines + ["", "* is what the record shows."])
            .joined(separator: "\n")
    }

    var json: JSONValue {
        .object([
            ("table", .string(table.name)), ("id", .string(row.description)),
            ("name", .string(name)), ("deleted", .bool(isDeleted)),
            ("operations", .array(entries.map(\.json))),
        ])
    }
}

extension HistoryEntry {
    /// Who and when, for all that one change did to the record.
    fileprivate var headLines: [String] {
        let came =
            receivedMilliseconds.map { "received \(Instant(milliseconds: $0).inWholeSeconds)" }
            ?? "recorded here"
        let lines = [
            "\(Instant(milliseconds: provenance.claimedMilliseconds).inWholeSeconds)  "
                + "\(TextTable.printable(provenance.who)), \(came)"
                + (source.isEmpty ? "" : ", imported from \(TextTable.printable(source))")
        ]
        return lines
            + provenance.clockWarnings(receivedAt: receivedMilliseconds).map { "  ! \($0)" }
    }

    /// What it did, and whether the record shows it.
    fileprivate var mark: String {
        (isShown && kind != .deleted ? "*" : "") + (columnName.isEmpty ? "" : columnName + " ")
            + deed
    }

    /// What it did and what became of it, in one line.
    var fateLine: String {
        let what = (columnName.isEmpty ? "" : columnName + " ") + deed
        let others = fate.references.map(\.whoAndWhen)
        guard !others.isEmpty else { return what }
        let list = others.prefix(3).joined(separator: ", ") + (others.count > 3 ? ", …" : "")
        return switch fate {
        case .stands: what
        case .sibling:
            "\(what): stands beside what others wrote: \(fate.references.map(\.valueAndWho).prefix(3).joined(separator: ", "))"
        case .replaced: "\(what): replaced by \(list)"
        case .settled: "\(what): settled by \(list)"
        case .hidden: "\(what): gone with its record, deleted by \(list)"
        }
    }

    /// What it did, then what its author had been shown and what became of it.
    fileprivate func lines(columnWidth width: Int) -> [String] {
        let margin = String(repeating: " ", count: columnName.isEmpty ? 4 : width + 6)
        let name = columnName + String(repeating: " ", count: width - columnName.count)
        let mark = isShown && kind != .deleted ? "*" : " "
        var lines = ["  \(mark) \(columnName.isEmpty ? "" : name + "  ")\(deed)"]
        func add(_ label: String, _ items: [String]) {
            for (index, item) in items.enumerated() {
                let head = index == 0 ? label : ""
                lines.append(
                    margin + head + String(repeating: " ", count: 16 - head.count) + item)
            }
        }
        add("had been shown", shownTexts)
        switch fate {
        // That the record is deleted stands in the title, and by whom at the delete.
        case .stands, .hidden: break
        case .sibling(let others):
            add(
                "stands beside",
                others.map { columnName.isEmpty ? $0.columnAndValue : $0.valueAndWho })
        case .replaced(let others):
            for kind in HistoryKind.allCases {
                add(kind.labelOfReplacement, others.filter { $0.kind == kind }.map(\.whoAndWhen))
            }
        case .settled(let others): add("settled by", others.map(\.whoAndWhen))
        }
        return lines
    }

    private var deed: String {
        let value = HistoryReference.shortened(text)
        return switch kind {
        case .set: "set to \(value)"
        case .cleared: "cleared"
        case .added: "added \(value)"
        case .removed: "removed \(value)"
        case .counted: "counted \(value)"
        case .decided: value.isEmpty ? "decided that it is empty" : "decided \(value)"
        case .takenBack: "decision taken back"
        case .deleted: "record deleted"
        case .restored: "record restored"
        }
    }

    /// Whoever deletes is shown the whole record, which stands above.
    private var shownTexts: [String] {
        if kind == .deleted || kind == .counted { return [] }
        return isUnaware ? ["nothing here"] : shown.map(\.valueAndWho)
    }

    var json: JSONValue {
        .object([
            ("dot", .string(provenance.dot.description)),
            ("recorded", .time(provenance.time.milliseconds)),
            ("claimed", .time(provenance.claimedMilliseconds)),
            ("received", receivedMilliseconds.map(JSONValue.time) ?? .null),
            ("device", .string(provenance.device)), ("person", .string(provenance.person)),
            ("source", .string(source)),
            ("claim_skew_ms", claimSkewMilliseconds.map(JSONValue.integer) ?? .null),
            ("clock_ahead_ms", clockAheadMilliseconds.map(JSONValue.integer) ?? .null),
            ("column", columnName.isEmpty ? .null : .string(columnName)),
            ("did", .string(kind.rawValue)), ("value", .string(text)),
            ("shown", .array(shown.map(\.json))), ("stands", .bool(isShown)),
            ("became", .string(fate.word)), ("by", .array(fate.references.map(\.json))),
        ])
    }
}

extension HistoryFate {
    fileprivate var word: String {
        switch self {
        case .stands: "stands"
        case .sibling: "sibling"
        case .replaced: "replaced"
        case .settled: "settled"
        case .hidden: "deleted"
        }
    }

    fileprivate var references: [HistoryReference] {
        switch self {
        case .stands: []
        case .sibling(let others), .replaced(let others), .settled(let others),
            .hidden(let others):
            others
        }
    }
}

extension HistoryKind {
    fileprivate var labelOfReplacement: String {
        switch self {
        case .removed: "removed by"
        case .takenBack: "taken back by"
        case .restored: "restored by"
        case .deleted: "deleted again by"
        default: "replaced by"
        }
    }
}

extension HistoryReference {
    /// `10:25 (Murad on L2)`.
    var valueAndWho: String {
        var value = Self.shortened(text)
        if value.isEmpty { value = kind == .deleted ? "deleted" : "no value" }
        return "\(value) (\(TextTable.printable(provenance.who)))"
    }

    /// `headcount 3 (Leyla on L1)`, for what stands beside a delete.
    fileprivate var columnAndValue: String {
        (column.map { "\($0.name) " } ?? "") + valueAndWho
    }

    /// `Murad on L2 at 2025-11-26T10:30:00+04:00`.
    fileprivate var whoAndWhen: String {
        let time = Instant(milliseconds: provenance.time.milliseconds).inWholeSeconds
        return "\(TextTable.printable(provenance.who)) at \(time)"
    }

    /// A value for a line: long ones are whole under `--json`.
    static func shortened(_ text: String) -> String {
        let limit = 60
        let line = TextTable.printable(String(text.prefix(limit + 1)))
        return line.count > limit ? line.prefix(limit) + "…" : line
    }

    var json: JSONValue {
        .object([
            ("dot", .string(provenance.dot.description)),
            ("column", column.map { .string($0.name) } ?? .null),
            ("did", .string(kind.rawValue)), ("value", .string(text)),
            ("device", .string(provenance.device)), ("person", .string(provenance.person)),
            ("recorded", .time(provenance.time.milliseconds)),
        ])
    }
}
