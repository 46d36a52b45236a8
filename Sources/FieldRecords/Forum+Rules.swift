internal import Causality
internal import Merge
public import RecordSchema

extension Forum {
    /// Where records clash that are each right by themselves.
    ///
    /// Numbers and names are given for good: decisions are kept under them.
    public static let rules = [
        cancelledYetHeld, excusedYetPresent, absentYetPresent, sessionsDiffer, walkInTwins,
        missingFromList,
    ]
}

/// A row of a rule's SELECT, by the places of its columns.
extension [Value] {
    func row(_ place: Int) -> RowID? {
        guard case .blob(let bytes) = self[place] else { return nil }
        return Identifier(bytes).map { RowID($0) }
    }

    func text(_ place: Int) -> String? {
        if case .text(let text) = self[place] { text } else { nil }
    }

    func integer(_ place: Int) -> Int64? {
        if case .integer(let number) = self[place] { number } else { nil }
    }
}

extension RowID {
    var value: Value { .blob(identifier.bytes) }
}

extension Finding.Edit {
    /// Sets a column by its name, which the table must have.
    static func set(_ table: Table, _ row: RowID, _ column: String, _ value: Value) -> Self {
        guard let column = table.column(named: column) else {
            preconditionFailure("\(table.name) has no column \(column)")
        }
        return .set(table, row, column, value)
    }
}

/// `one`, `one and two`, `one, two and three`.
func enumeration(_ words: [String]) -> String {
    guard words.count > 1, let last = words.last else { return words.first ?? "" }
    return words.dropLast().joined(separator: ", ") + " and " + last
}
