/// What an import did, or with a dry run would do.
public struct ImportSummary: Hashable, Sendable {
    /// Lines of the file, without its header.
    public var lineCount = 0
    /// Rows that were not there.
    public var createdCount = 0
    /// Rows of which something was changed, conflicts among it.
    public var changedCount = 0
    public var unchangedCount = 0
    /// Values that the list hasn't changed since it was imported last, and someone here has.
    public var keptCount = 0
    /// Values that the list changed and someone here too: both stand.
    public var conflictCount = 0
    /// Lines about people who have been erased: nothing of them is taken in.
    public var erasedCount = 0
    /// Rows that an earlier list had and this one lacks. They are never deleted.
    public var missingCount = 0
    /// Those among them that were not proposed for deletion before.
    public var proposedCount = 0
    /// What differs, in the order of the file; what it lacks comes last.
    public var differences: [ImportDifference] = []

    public init() {}
}

/// Where a list and what stands here differed.
public struct ImportDifference: Hashable, Sendable {
    public enum Kind: String, Sendable {
        case created, changed, kept, conflict, missing
        /// Was missing from an earlier list, and is in this one.
        case back
        /// The person has been erased: the line is passed over.
        case erased
    }

    public var kind: Kind
    /// The line of the file, from 1; `nil` for what the file lacks.
    public var line: Int?
    public var table: String
    /// What people call the row.
    public var name: String
    /// `nil` for the row as a whole.
    public var column: String?
    /// What stood here and what the list says, as people read them.
    public var standing = ""
    public var listed = ""
}
