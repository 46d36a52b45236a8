public import Causality

/// What the ids of all rows of one scope end with, so that a row's scope is set when it is made, for
/// life, and whoever may write to one scope can't write to a row of another one.
///
/// The mark of `TABLE/KEY` is the last four bytes of the id of the row that natural key names, as
/// `delegation/KZ` is the delegation's. The base scope, which everybody reads, has none.
public struct ScopeMark: Hashable, Sendable {
    /// The last four bytes, the highest first.
    public var value: UInt32

    public init(_ value: UInt32) { self.value = value }

    /// What the id of `row` ends with.
    public init(endOf row: RowID) { value = UInt32(truncatingIfNeeded: row.identifier.low) }
}

extension RowID {
    /// The same id with a scope's mark at its end.
    public func marked(by mark: ScopeMark?) -> RowID {
        guard let mark else { return self }
        return RowID(
            Identifier(
                high: identifier.high, low: (identifier.low >> 32) << 32 | UInt64(mark.value)))
    }
}
