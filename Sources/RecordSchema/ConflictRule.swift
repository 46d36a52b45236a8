public import Causality
public import Merge
public import SyncProtocol

/// A clash between records that are each right by themselves: cancelled and held, excused and
/// present.
///
/// A rule is a pure function over rows. It knows no clock, no chance and no order of arrival, so
/// that replicas that hold the same records find the same.
public struct ConflictRule: Sendable {
    /// From 1; never used again for another rule of the schema.
    public let number: UInt32
    /// What decisions are kept under: never changed.
    public let name: String
    /// Gives the rows to look at, from the users' tables and views. Rules with one text share its
    /// rows.
    public let select: String
    /// What clashes among the rows of ``select``, in any order.
    public let find: @Sendable (_ rows: [[Value]]) -> [Finding]

    public init(
        _ number: UInt32, _ name: String, select: String,
        find: @escaping @Sendable (_ rows: [[Value]]) -> [Finding]
    ) {
        self.number = number
        self.name = name
        self.select = select
        self.find = find
    }

    /// The key under which a finding is settled: its facts and nothing else, so that one more
    /// record beside them doesn't open again what someone has decided.
    public func key(of finding: Finding) -> Digest {
        var encoder = CBOREncoder()
        encoder.array(2)
        encoder.unsigned(UInt64(number))
        encoder.values(finding.facts)
        return Digest(.clash, encoder.bytes)
    }

    /// The name of a finding as it is shown to people: another one when someone has decided
    /// meanwhile, or when a choice would do something else.
    ///
    /// - Parameter decisions: the live decisions on its facts.
    public func id(of finding: Finding, decisions: [Dot]) -> Digest {
        var encoder = CBOREncoder()
        encoder.array(3 + decisions.count * 2)
        encoder.blob(key(of: finding).bytes)
        encoder.values(finding.shownFacts)
        encoder.array(finding.choices.count)
        for choice in finding.choices {
            encoder.array(1 + choice.edits.count)
            encoder.text(choice.name)
            for edit in choice.edits { encoder.values(edit.parts) }
        }
        for dot in decisions.sorted() {
            encoder.blob(dot.stream.identifier.bytes)
            encoder.unsigned(dot.seq)
        }
        return Digest(.ruleConflict, encoder.bytes)
    }
}

/// What a rule found.
public struct Finding: Sendable {
    /// The record that it is about.
    public var table: Table
    public var row: RowID
    /// What clashes, as far as it matters to a decision: the key of the decision.
    public var facts: [Value]
    /// What else a person is shown who decides: whoever decides on other ones is refused.
    public var shownFacts: [Value]
    /// `false` where a choice has done away with the clash: such a finding is told only while
    /// people have decided differently.
    public var isStanding: Bool
    public var conflictClass: ConflictClass
    /// Why it is a conflict, in a sentence or two.
    public var explanation: String
    /// What the records show meanwhile, in a few words.
    public var shown: String
    /// The records that clash.
    public var evidence: [Evidence]
    /// What settles it.
    public var choices: [Choice]

    public init(
        _ table: Table, _ row: RowID, facts: [Value], shownFacts: [Value] = [], isStanding: Bool,
        _ conflictClass: ConflictClass, explanation: String, shown: String, evidence: [Evidence],
        choices: [Choice]
    ) {
        self.table = table
        self.row = row
        self.facts = facts
        self.shownFacts = shownFacts
        self.isStanding = isStanding
        self.conflictClass = conflictClass
        self.explanation = explanation
        self.shown = shown
        self.evidence = evidence
        self.choices = choices
    }

    /// The row in whose scope what people decide of it lies; `nil` for the base scope.
    public var division: RowID? { table.isDivided ? row : nil }

    /// One of the records that clash.
    public struct Evidence: Hashable, Sendable {
        public var table: Table
        public var row: RowID
        /// The column whose author is meant.
        public var column: Column
        /// What it says, as people read it.
        public var text: String
        /// What counts meanwhile.
        public var isShown: Bool

        /// Checks that the table has the column: a rule that names another is a bug.
        public init(
            _ table: Table, _ row: RowID, _ column: String, _ text: String, isShown: Bool
        ) {
            guard let column = table.column(named: column) else {
                preconditionFailure("\(table.name) has no column \(column)")
            }
            self.table = table
            self.row = row
            self.column = column
            self.text = text
            self.isShown = isShown
        }
    }

    /// One way to settle it.
    ///
    /// A choice is a state to reach. Its edits are what is missing to it *now*: so a decision
    /// settles for as long as they are none, and what undoes them opens the finding again.
    public struct Choice: Hashable, Sendable {
        /// What a decision is kept as, and what people may type; never depends on edits.
        public var name: String
        /// As people read it.
        public var text: String
        /// What becomes of totals and records, in words.
        public var effect: String
        public var edits: [Edit]
        /// Both sides hold: what `--keep-both` means.
        public var keepsBoth: Bool

        public init(
            _ name: String, _ text: String, effect: String, edits: [Edit] = [],
            keepsBoth: Bool = false
        ) {
            self.name = name
            self.text = text
            self.effect = effect
            self.edits = edits
            self.keepsBoth = keepsBoth
        }
    }

    /// A change of a record that a choice brings with it.
    public enum Edit: Hashable, Sendable {
        case set(Table, RowID, Column, Value)
        /// A new row, with values in the order of the table's columns.
        /// It lies with another row, where its table is divided.
        case insert(Table, [Value?], besides: RowID)
        case delete(Table, RowID)
        case restore(Table, RowID)

        var parts: [Value] {
            switch self {
            case .set(let table, let row, let column, let value):
                [
                    .integer(0), .integer(Int64(table.id)), .blob(row.identifier.bytes),
                    .integer(Int64(column.id)), value,
                ]
            case .insert(let table, let values, _):
                [.integer(1), .integer(Int64(table.id))] + values.map { $0 ?? .null }
            case .delete(let table, let row):
                [.integer(2), .integer(Int64(table.id)), .blob(row.identifier.bytes)]
            case .restore(let table, let row):
                [.integer(3), .integer(Int64(table.id)), .blob(row.identifier.bytes)]
            }
        }
    }
}

extension CBOREncoder {
    fileprivate mutating func values(_ values: [Value]) {
        array(values.count)
        for value in values { self.value(value) }
    }
}
