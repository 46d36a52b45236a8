internal import FieldRecords
internal import SyncProtocol

extension Report {
    /// What whoever reads a number in it has to know first.
    public var warnings: [String] {
        let open = sections.first { $0.name == "unresolved" }?.rows.count ?? 0
        let unresolved =
            open == 0
            ? nil
            : "\(open == 1 ? "1 conflict is" : "\(open) conflicts are") unresolved: what they touch is "
                + "marked, and counts that depend on them are ranges."
        return [basis.scopeText, unresolved].compactMap { $0 }
    }

    /// What it is made from, line by line.
    public var aboutLines: [(name: String, value: String)] {
        [
            ("Report", title), ("Of", limits.isEmpty ? "all" : limits.joined(separator: ", ")),
            ("Records of", Grant.forPeople(basis.scopes)), ("State", basis.completeText),
            ("Times", "as laptops claimed them, at \(UTCOffset.forum)"),
            ("State hash", basis.stateHash.description),
            ("Version vector", VectorText.text(of: basis.vector)),
            (
                "The same again",
                "karvan report \(title.lowercased())\(options) --vector TEXT, with the version vector above, gives the same "
                    + "report on any laptop that has these changes and reads as much"
            ),
        ]
    }
}
