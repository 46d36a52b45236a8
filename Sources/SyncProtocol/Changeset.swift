public import Causality
public import Merge

/// One atomic transaction in a stream.
public struct Changeset: Hashable, Sendable {
    public var dot: Dot
    public var time: HybridTime
    /// The person recording; empty when nobody was named.
    public var author: String
    /// When it happened, by its author's word: milliseconds since 1970.
    public var claimedMilliseconds: Int64
    /// What the changesets of one action share, when it took more than one.
    public var action: Identifier?
    /// The list that an import took the values from; empty for what someone recorded.
    public var source: String
    public var rows: [RowChange]

    public init(
        dot: Dot, time: HybridTime, author: String = "", claimedMilliseconds: Int64? = nil,
        action: Identifier? = nil, source: String = "", rows: [RowChange] = []
    ) {
        self.dot = dot
        self.time = time
        self.author = author
        self.claimedMilliseconds = claimedMilliseconds ?? time.milliseconds
        self.action = action
        self.source = source
        self.rows = rows
    }
}

/// The ops of a changeset in one row: at most one for each cell.
public struct RowChange: Hashable, Sendable {
    /// The table's number in the schema.
    public var table: UInt32
    public var row: RowID
    /// The changeset creates this row, and the id is derived from its dot.
    public var isNew: Bool
    public var operations: [Operation]

    public init(table: UInt32, row: RowID, isNew: Bool = false, operations: [Operation] = []) {
        self.table = table
        self.row = row
        self.isNew = isNew
        self.operations = operations
    }
}

/// A value as a writer hands it over: with what makes it smaller on the wire.
public enum WireValue: Sendable {
    case plain(Value)
    /// A reference to a row that has a natural key; the reader derives the id.
    case keyed(RowID, table: UInt32, key: [Value])
    /// A reference to a row by its id.
    case row(RowID)
    /// Milliseconds since 1970, sent as the distance from the changeset's own time.
    case time(Int64)
}

/// How a body names a row: once per run in full, then by a small number.
public enum RowName: Sendable {
    /// Made by this changeset; the id isn't sent.
    case new
    /// By its natural key; the id isn't sent.
    case keyed([Value])
    case whole
}

/// The shapes of an op in a body. A code is `column << 4 | shape`; what follows is fixed by it.
enum Shape: UInt64 {
    /// value
    case put = 0
    /// value, over
    case putOver = 1
    /// value, over, covers
    case resolve = 2
    /// over
    case retract = 3
    /// over, covers by dot
    case delete = 4
    /// element
    case add = 5
    /// element, over
    case addOver = 6
    /// element, over
    case remove = 7

    /// A row's life is deleted and restored, and holds no value; nothing else is deleted.
    func isAllowed(in column: UInt32) -> Bool {
        switch self {
        case .put, .putOver, .resolve: column != 0
        case .delete: column == 0
        case .retract, .add, .addOver, .remove: true
        }
    }

    var itemCount: Int {
        switch self {
        case .put, .retract, .add: 2
        case .putOver, .delete, .addOver, .remove: 3
        case .resolve: 4
        }
    }
}
