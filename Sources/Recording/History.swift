public import Causality
public import RecordSchema

/// What an op did to its cell, in people's words.
public enum HistoryKind: String, Sendable, CaseIterable {
    case set, cleared, added, removed, counted, decided, deleted, restored
    /// A decision was taken back, and what it had settled is open again.
    case takenBack = "taken back"
}

/// Another op that an entry speaks of.
public struct HistoryReference: Sendable {
    public var provenance: Provenance
    public var kind: HistoryKind
    /// `nil` for the life of the row, and for a column that this build doesn't know.
    public var column: Column?
    /// The value or the element, as people read it; empty for an op without one.
    public var text: String
}

/// What became of an op.
public enum HistoryFate: Sendable {
    /// Nobody has replaced it.
    case stands
    /// It stands beside others, and a person may have to decide.
    case sibling([HistoryReference])
    case replaced([HistoryReference])
    /// Kept under the decisions that cover it.
    case settled([HistoryReference])
    /// Gone from view with its row, by these deletes.
    case hidden([HistoryReference])
}

/// One op in the history of a row.
public struct HistoryEntry: Sendable {
    public var provenance: Provenance
    /// The list that an import took it from; empty for what someone recorded.
    public var source: String
    /// When this replica received it, in milliseconds since 1970; `nil` for what was recorded here.
    public var receivedMilliseconds: Int64?
    /// `nil` for the life of the row, and for a column that this build doesn't know.
    public var column: Column?
    /// The column's name; empty for the life of the row.
    public var columnName: String
    public var kind: HistoryKind
    /// The value, the element or by how much it counted on, as people read it; empty for an op
    /// without one.
    public var text: String
    /// What its author had been shown: what it replaces, and what it settles or deletes.
    public var shown: [HistoryReference]
    /// By the clocks, another value stood in its cell already, and its author was shown nothing.
    public var isUnaware: Bool
    /// Its value is what the record shows, or part of the count that it shows.
    public var isShown: Bool
    public var fate: HistoryFate

    /// By how much the time claimed differs from the time of the clock that recorded it, in
    /// milliseconds; `nil` up to ``Records/skewMilliseconds``.
    public var claimSkewMilliseconds: Int64? { provenance.claimSkewMilliseconds }

    /// By how much the clock that recorded it was ahead of this replica's when the change came
    /// in, in milliseconds; `nil` up to ``Records/skewMilliseconds``. One that was behind can't be
    /// told from a change that came late.
    public var clockAheadMilliseconds: Int64? {
        provenance.clockAheadMilliseconds(receivedAt: receivedMilliseconds)
    }
}

extension Provenance {
    /// As ``HistoryEntry/claimSkewMilliseconds``.
    public var claimSkewMilliseconds: Int64? {
        Records.skew(claimedMilliseconds, time.milliseconds)
    }

    /// As ``HistoryEntry/clockAheadMilliseconds``.
    public func clockAheadMilliseconds(receivedAt received: Int64?) -> Int64? {
        received.flatMap { Records.skew(time.milliseconds, $0) }.flatMap { $0 > 0 ? $0 : nil }
    }
}

/// All that was ever written to a row, oldest first.
public struct RecordHistory: Sendable {
    public var table: Table
    public var row: RowID
    public var name: String
    /// The row is deleted.
    public var isDeleted: Bool
    public var entries: [HistoryEntry]
}

extension Records {
    /// Clocks may differ by as much, in milliseconds, before a history says so.
    public static let skewMilliseconds: Int64 = 600_000

    static func skew(_ a: Int64, _ b: Int64) -> Int64? {
        let (difference, overflow) = a.subtractingReportingOverflow(b)
        guard !overflow else { return a < b ? .min : .max }
        return difference.magnitude > UInt64(skewMilliseconds) ? difference : nil
    }
}
