public import Causality
public import Merge
public import RecordSchema
public import Recording
internal import ReplicaStore
public import SyncProtocol

/// One of several values between which a person decides.
public struct Candidate: Sendable {
    /// `A`, `B`, …: in the order of their times. Of a decision between choices the choice's; empty
    /// for a record that clashes with others.
    public var label: String
    /// `nil` for a record that nobody has written as it reads.
    public var dot: Dot?
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
    /// `nil` when the row itself is what they disagree on, and for rules.
    public var column: Column?
    /// What kind of thing it is, as `karvan list` takes it: `visit`, `attendance`.
    public var kind: String
    /// What people call it: `V12/KZ`.
    public var name: String
}

/// What settles a conflict between records.
public struct ConflictChoice: Hashable, Sendable {
    /// `A`, `B`, …: in the order of the rule's choices.
    public var label: String
    /// What may be typed instead of the label, and what the decision is kept as.
    public var name: String
    public var text: String
    /// What becomes of totals and records.
    public var effect: String
    public var keepsBoth: Bool
}

/// Someone put a conflict off.
public struct Deferral: Hashable, Sendable {
    /// Milliseconds since 1970; `nil` for as long as nothing changes.
    public var untilMilliseconds: Int64?
    public var reason: String
    public var who: String
}

/// A true concurrent edit that nobody has settled, or records that clash by a rule.
public struct Conflict: Sendable {
    /// Another one when a value changes, when someone decides, or when a choice would do something
    /// else: whoever decides on what no longer stands is refused.
    public var id: Digest
    public var subject: ConflictSubject
    public var conflictClass: ConflictClass
    /// The values, or the records that clash and the decisions on them.
    public var candidates: [Candidate]
    /// What the records show meanwhile.
    public var shown: String
    /// The values agree within the tolerance that the column declares.
    public var isWithinTolerance = false
    /// Why it is a conflict, in a sentence.
    public var explanation: String
    /// How a rule's conflict is settled; empty for values, which are taken themselves.
    public var choices: [ConflictChoice] = []
    public var deferral: Deferral?
    /// What a rule found; `nil` for values.
    var ruled: RuledFinding?

    /// The first eight digits: what people type.
    public var shortID: String { String(id.description.prefix(8)) }
    /// The rule that found it; `nil` for values.
    public var rule: String? { ruled?.rule.name }

    /// `visit V12/KZ actual_arrival`, `visit V12/KZ cancelled vs held`.
    public var subjectText: String {
        [subject.kind, subject.name, rule ?? subject.column?.name].compactMap { $0 }
            .joined(separator: " ")
    }

    /// Where values stand; of a rule's finding the record that it is told by.
    var place: OpenConflict {
        OpenConflict(
            table: subject.table.id, row: subject.row,
            column: subject.column?.id ?? CellKey.life.column)
    }

    /// Since when something stands beside what is shown: the time of the oldest candidate that isn't shown.
    var since: HybridTime? {
        let others = candidates.filter { !$0.isShown }.compactMap { $0.provenance?.time }
        return others.min() ?? candidates.compactMap { $0.provenance?.time }.min()
    }

    /// As above, in milliseconds since 1970.
    public var sinceMilliseconds: Int64? { since?.milliseconds }
}

/// Why a conflict can't be shown or settled as asked. Nothing was written.
public enum ConflictError: Error, Sendable {
    /// No open conflict has this id: it was settled, or its values have changed.
    case stale(String)
    /// As many conflicts would be settled by now, and others than those that were told.
    case changed(Int)
    /// The start of an id that fits several.
    case ambiguous(String)
    /// A decision that lives no more: it was taken back, or someone has decided or edited since.
    case undone(String)
    case invalid(String)

    public var explanation: String {
        switch self {
        case .stale(let id):
            "there is no open conflict \(id): it was settled, or someone changed a value since it "
                + "was shown. Nothing was written; look again with `karvan conflicts list --open`"
        case .changed(let count):
            "what is open has changed since that was told: \(count) would be settled now. Nothing was "
                + "written; look again with --dry-run"
        case .undone(let id):
            "decision \(id) no longer stands: someone has taken it back, decided or edited since. "
                + "Nothing was written; look at `karvan conflicts log`"
        case .ambiguous(let id): "more than one id starts with \(id); give more of it"
        case .invalid(let detail): detail
        }
    }
}
