internal import Causality
internal import Merge

/// How the values of one column lie in a body by columns.
enum ColumnForm: UInt64 {
    /// Items of any kind; one that was said before goes by its number.
    case items = 0
    /// Blobs of 16 bytes, without their heads; numbered as above.
    case ids = 1
    /// Texts, their lengths first; numbered as above.
    case texts = 2
    /// As the first three, but each value stands where it belongs, and none gets a number.
    case itemsOnce = 3
    case idsOnce = 4
    case textsOnce = 5
    /// Integers.
    case integers = 6
    /// Integers, as the distance from the milliseconds of their changeset.
    case times = 7
    /// Integers, as the difference from the one before.
    case differences = 8

    var isNumbered: Bool { rawValue < 3 }

    var once: Self { Self(rawValue: rawValue + 3) ?? self }
}

/// A column by its numbers.
struct ColumnKey: Hashable, Sendable {
    private var table: UInt64
    private var column: UInt32

    init(_ table: UInt32, _ column: UInt32) {
        self.table = UInt64(table)
        self.column = column
    }

    private init(beside number: UInt32) {
        // No table has a number over 32 bits.
        table = .max
        column = number
    }

    /// Whether it stands for no column of a table.
    var isBeside: Bool { table == .max }

    /// Whoever recorded.
    static let author = ColumnKey(beside: 0)
    /// The list that an import took values from.
    static let source = ColumnKey(beside: 1)
}

/// The shape of a row item: all of it but the row's name, the values and the dots.
struct RowShape: Hashable {
    var table: UInt32
    /// Whether a name follows; without one the row is new.
    var isNamed: Bool
    /// As in a row item: column · 16 + shape.
    var codes: [UInt64]
}
