public import Causality
public import Merge
public import RecordSchema
public import Recording
public import SyncProtocol

/// One of several values between which a person decides.
public struct Candidate: Sendable {
    /// `A`, `B`, …: in the order of their times.
    public var label: String
    public var dot: Dot
    /// `nil` for a delete.
    public var value: Value?
    /// As people read it.
    public var text: String
    public var provenance: Provenance?
    /// What its author had been shown in this cell.
    public var saw: [String]
    /// This is what the record shows meanwhile.
    public var isShown: Bool
    /// It is someone's decision, not a record.
    public var isResolution: Bool
    /// It hides the row.
    public var isDelete: Bool
}

/// Where a conflict stands.
public struct ConflictSubject: Hashable, Sendable {
    public var table: Table
    public var row: RowID
    /// `nil` when the row itself is what they disagree on.
    public var column: Column?

    /// `visit V12/KZ actual_arrival`, once the row's name is known.
    public func text(rowName: String) -> String {
        "\(table.name) \(rowName)" + (column.map { " \($0.name)" } ?? "")
    }
}

/// A true concurrent edit that nobody has settled.
public struct Conflict: Sendable {
    /// Hash of the cell and of the sorted dots: another sibling makes another conflict.
    public var id: Digest
    public var subject: ConflictSubject
    public var rowName: String
    public var conflictClass: ConflictClass
    public var candidates: [Candidate]
    /// The values agree within the tolerance that the column declares.
    public var isWithinTolerance: Bool
    /// Why it is a conflict, in a sentence.
    public var explanation: String

    /// The first eight digits: what people type.
    public var shortID: String { String(id.description.prefix(8)) }
    public var subjectText: String { subject.text(rowName: rowName) }

    /// The time of the oldest candidate, in milliseconds since 1970.
    public var sinceMilliseconds: Int64? {
        candidates.compactMap { $0.provenance?.time.milliseconds }.min()
    }
}

/// Why a conflict can't be shown or settled as asked. Nothing was written.
public enum ConflictError: Error, Sendable {
    /// No open conflict has this id: it was settled, or its values have changed.
    case stale(String)
    /// The start of an id that fits several.
    case ambiguous(String)
    case invalid(String)

    public var explanation: String {
        switch self {
        case .stale(let id):
            "there is no open conflict \(id): it was settled, or someone changed a value since it "
                + "was shown. Nothing was written; look again with `karvan conflicts list --open`"
        case .ambiguous(let id): "more than one conflict starts with \(id); give more of it"
        case .invalid(let detail): detail
        }
    }
}
