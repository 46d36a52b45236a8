internal import FieldRecords
internal import SyncProtocol

extension Report {
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
                "karvan report \(title.lowercased()) --vector TEXT, with the version vector above, gives the same "
                    + "report on any laptop that has these changes"
            ),
        ]
    }
}
