internal import Merge
internal import Recording

extension Candidate {
    /// As people read it, also where there is nothing to read.
    public var textForPeople: String {
        guard text.isEmpty else { return text }
        return value == nil || value == .null ? "(nothing)" : "(an empty text)"
    }
}

extension ConflictPast.Step {
    /// As people read it, also where there is nothing to read.
    public var textForPeople: String {
        guard let text else { return "taken back" }
        return text.isEmpty ? "(nothing)" : text
    }
}

extension ConflictPast {
    /// What the record showed to all of them before, in a sentence.
    public var baseText: String {
        let before = base.map { "\($0.textForPeople) (\($0.provenance.who))" }
        if !before.isEmpty { return "Before: \(before.joined(separator: " · "))" }
        return isBaseUnknown
            ? "Before: it lies further back than is looked for; see `karvan history`."
            : "Before: nothing that all of them had been shown."
    }
}
