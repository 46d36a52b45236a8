public import Causality
public import SyncProtocol

/// What `verify` looked at, and what it found wrong.
public struct Verification: Sendable {
    /// A row that is not what the log says, or that can't be read.
    public struct DamagedRow: Hashable, Sendable {
        public var table: String
        public var row: RowID
        /// What people call it; `nil` for a row without a natural key.
        public var key: String?
        /// The columns, where it can be told.
        public var columns: [String]
        public var detail: String

        public var text: String {
            let name = key.map { " (\($0))" } ?? ""
            let places = columns.isEmpty ? "" : ", \(columns.joined(separator: ", "))"
            return "row \(row) of \(table)\(name)\(places): \(detail)"
        }
    }

    /// Changes that can't be read: both ends included.
    public struct DamagedChanges: Hashable, Sendable {
        public var stream: StreamID
        public var first: UInt64
        public var last: UInt64

        public var text: String {
            first == last
                ? "change \(stream):\(first) can't be read"
                : "changes \(stream):\(first) to \(last) can't be read"
        }
    }

    public var runs = 0
    public var changesets = 0
    public var rows = 0
    public var damagedRows: [DamagedRow] = []
    public var damagedChanges: [DamagedChanges] = []
    /// Changes that were written here last and that the file doesn't hold: its log lost its end, or
    /// an older copy of it was put back. What is there may be whole; it is no fault of the file.
    public var missingEnd: DamagedChanges?
    /// One sentence for each other fault.
    public var otherProblems: [String] = []
    /// Equal on replicas that hold the same changesets; `nil` where a row can't be read.
    public var stateHash: Digest?

    /// One sentence for each fault; empty when all is well.
    public var problems: [String] {
        damagedChanges.map(\.text) + damagedRows.map(\.text) + otherProblems
    }
}
