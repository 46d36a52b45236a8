internal import FieldRecords
internal import Merge
internal import RecordSchema
internal import Recording

/// Why something is a conflict, and what follows, in sentences for people.
public struct ConflictExplanation: Sendable {
    /// Why it is one: who had not been shown what.
    public var why: [String] = []
    /// By which rule.
    public var rule: [String] = []
    /// What is shown meanwhile, and why that.
    public var shown: [String] = []
    /// What ends it.
    public var ends: [String] = []
}

extension Conflict {
    public var fullExplanation: ConflictExplanation {
        var parts = ConflictExplanation(why: [explanation] + whatWasShown)
        switch conflictClass {
        case .decision: parts.rule = ["Class 2: a person must decide."]
        case .notice: parts.rule = ["Class 1: it is told, and nobody has to decide."]
        case .silent: break
        }
        if let ruled {
            explain(ruled, &parts)
        } else if let column = subject.column {
            explain(column, &parts)
        } else {
            explainLife(&parts)
        }
        return parts
    }

    private var whatWasShown: [String] {
        candidates.filter { $0.provenance != nil && ruled == nil }.map { candidate in
            let saw =
                candidate.saw.isEmpty ? "nothing here" : candidate.saw.joined(separator: " and ")
            let who = candidate.provenance?.who ?? ""
            return "\(candidate.label), \(candidate.text), by \(who): had been shown \(saw)."
        }
    }

    private func explain(_ column: Column, _ parts: inout ConflictExplanation) {
        parts.rule.insert(
            "Each \(subject.kind) has one \(column.name). Values that differ, none of whose authors had "
                + "been shown the other's, stand side by side; equal ones are no conflict.",
            at: 0)
        var isEarliest = false
        if case .earliest(let tolerance) = column.policy {
            parts.rule.insert(
                "Times up to \(tolerance / 60_000) min apart count as one, the earliest of them.",
                at: 1)
            isEarliest = isWithinTolerance
        }
        parts.shown = [
            "\(shown): by the clocks that recorded them the \(isEarliest ? "earliest" : "latest")."
        ]
        parts.ends = [
            "A decision covers all values told here; they stay on record with their authors. A value "
                + "whose author had not been shown the decision opens it again.",
            "An edit by someone who has been shown all of them ends it too: it takes their place.",
        ]
    }

    private func explainLife(_ parts: inout ConflictExplanation) {
        parts.rule.insert(
            "A delete hides a record as far as its author had been shown it. What they had not been "
                + "shown keeps it.", at: 0)
        parts.shown = ["The record is shown as if nobody had deleted it."]
        parts.ends = ["Whoever deletes it again, or keeps it, having been shown all of this."]
    }

    private func explain(_ ruled: RuledFinding, _ parts: inout ConflictExplanation) {
        parts.rule.insert(
            "Rule \(ruled.rule.number), “\(ruled.rule.name)”: it looks at records that are each right "
                + "by themselves, whoever had been shown what.", at: 0)
        parts.shown = ["\(shown)."]
        parts.ends = [
            "A decision is kept for these facts: another record of the same kind beside them opens "
                + "nothing again, a further fact does.",
            "A change of the records after which they no longer clash ends it too.",
        ]
    }
}
