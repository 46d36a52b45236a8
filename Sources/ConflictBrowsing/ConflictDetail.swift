internal import Causality
public import ConflictInspection
internal import FieldRecords
internal import ProgramOutput
internal import RecordSchema
internal import Recording

/// One conflict as the browser tells it: who, when, what each saw, and what to do.
public struct ConflictDetail: Sendable {
    public var conflict: Conflict
    /// `nil` for what is not between values.
    public var past: ConflictPast?

    public init(_ conflict: Conflict, past: ConflictPast?) {
        self.conflict = conflict
        self.past = past
    }

    /// What may be taken, by its letter.
    var choices: [(label: String, text: String)] {
        conflict.rule == nil
            ? conflict.candidates.map { ($0.label, $0.text) }
            : conflict.choices.map { ($0.label, $0.text) }
    }

    /// No wider than so many columns.
    func lines(columns: Int) -> [DetailLine] {
        var lines = Lines(columns: columns)
        lines.add(conflict.subjectText, isBold: true)
        lines.add(
            conflict.conflictClass == .decision
                ? "class 2: a person must decide" : "class 1: to note")
        lines.add(conflict.explanation)
        if let deferral = conflict.deferral {
            let until = deferral.untilMilliseconds.map { "until \(Self.time($0))" }
            lines.add("Put off \(until ?? "until it changes"): \(deferral.reason)")
        }
        lines.add("")
        if conflict.rule == nil { addValues(&lines) } else { addRecords(&lines) }
        return lines.all
    }

    private func addValues(_ lines: inout Lines) {
        for candidate in conflict.candidates {
            lines.add(
                "\(candidate.label)\(candidate.isShown ? "*" : " ") \(candidate.textForPeople)"
                    + (candidate.isResolution ? " (a decision)" : ""), indent: 3, isBold: true)
            lines.add("   " + who(candidate), indent: 3)
            let saw =
                candidate.saw.isEmpty ? "nothing here" : candidate.saw.joined(separator: " · ")
            lines.add("   had been shown \(saw)", indent: 3)
        }
        lines.add("* is shown meanwhile.")
        guard let past else { return }
        lines.add("")
        lines.add(past.baseText)
        let graph = CausalGraph(parents: past.steps.map(\.parents))
        if past.hasEarlier || past.omittedCount > 0 {
            lines.add("(not all is drawn: karvan history tells it)")
        }
        let width = graph.rows.map { TerminalText.width(of: $0.line) }.max() ?? 0
        for (step, row) in zip(past.steps, graph.rows) {
            for line in row.before { lines.add(line) }
            let label = step.label.map { "\($0) " } ?? ""
            lines.addCut(
                TerminalText.fitted(row.line, to: width + 1) + label
                    + "\(step.textForPeople)  \(step.provenance.who)")
            let claimed = Self.time(step.provenance.claimedMilliseconds)
            // The same day isn't said twice.
            let came = step.receivedMilliseconds.map(Self.time).map { time in
                "here " + (time.prefix(10) == claimed.prefix(10) ? String(time.suffix(5)) : time)
            }
            lines.addCut(
                TerminalText.fitted(row.after, to: width + 1)
                    + "\(claimed), \(came ?? "recorded here")")
        }
    }

    private func addRecords(_ lines: inout Lines) {
        for candidate in conflict.candidates {
            lines.add(
                "\(candidate.isShown ? "*" : " ") \(candidate.text)"
                    + (candidate.isResolution ? " (a decision)" : ""), indent: 2, isBold: true)
            if candidate.provenance != nil { lines.add("  " + who(candidate), indent: 2) }
        }
        lines.add("Shown meanwhile: \(conflict.shown)")
        lines.add("")
        for choice in conflict.choices {
            lines.add("\(choice.label)  \(choice.text)", indent: 3, isBold: true)
            lines.add("   \(choice.effect)", indent: 3)
        }
    }

    private func who(_ candidate: Candidate) -> String {
        guard let provenance = candidate.provenance else { return "" }
        let claimed = Self.time(provenance.claimedMilliseconds)
        let recorded = Self.time(provenance.time.milliseconds)
        let skew = provenance.claimSkewMilliseconds == nil ? "" : ", recorded \(recorded)"
        return "by \(provenance.who), \(claimed)\(skew)"
    }

    /// In the forum's zone, without it: a screen has little room.
    private static func time(_ milliseconds: Int64) -> String {
        String(Instant(milliseconds: milliseconds).inWholeSeconds.prefix(16))
            .replacing("T", with: " ")
    }
}

struct DetailLine: Hashable, Sendable {
    var text: String
    var isBold = false
}

private struct Lines {
    let columns: Int
    var all: [DetailLine] = []

    init(columns: Int) { self.columns = columns }

    /// - Parameter indent: of the lines after the first, in columns.
    mutating func add(_ text: String, indent: Int = 0, isBold: Bool = false) {
        let margin = String(repeating: " ", count: min(indent, columns / 4))
        all += TerminalText.wrapped(
            TerminalText.countable(TextTable.printable(text)), to: columns, indent: margin
        ).map {
            DetailLine(text: $0, isBold: isBold)
        }
    }

    /// One line, that ends where there is no more room.
    mutating func addCut(_ text: String) {
        all.append(
            DetailLine(
                text: TerminalText.cut(
                    TerminalText.countable(TextTable.printable(text)), to: columns)))
    }
}
