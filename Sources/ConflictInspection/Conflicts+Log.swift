public import Causality
internal import FieldRecords
internal import Merge
internal import RecordSchema
public import Recording
public import ReplicaStore
public import SyncProtocol

/// A decision that someone made, as the changesets tell it.
public struct DecisionEntry: Sendable {
    public enum Kind: String, Sendable {
        case resolved
        /// An earlier decision lives no more.
        case takenBack = "taken back"
        case deferred
        /// A conflict that was put off is listed again.
        case resumed
    }

    /// The name by which it is taken back.
    public var id: Digest
    public var kind: Kind
    public var provenance: Provenance
    /// `visit V12/KZ actual_arrival`, `visit V12/KZ cancelled vs held`.
    public var subjectText: String
    /// What it shows, or what was chosen, as people read it.
    public var text: String
    public var reason: String
    /// Nothing has replaced it since.
    public var isLive: Bool
    /// The cell that holds it.
    var place: Place
    /// What it is about: the cell itself, or of a rule the record.
    var about: Place

    struct Place: Hashable {
        var table: UInt32
        var row: RowID
        var column: UInt32
    }

    /// - Parameter dot: the changeset that holds it.
    static func id(_ dot: Dot, _ place: Place) -> Digest {
        var encoder = CBOREncoder()
        encoder.array(5)
        encoder.blob(dot.stream.identifier.bytes)
        encoder.unsigned(dot.seq)
        encoder.unsigned(UInt64(place.table))
        encoder.blob(place.row.identifier.bytes)
        encoder.unsigned(UInt64(place.column))
        return Digest(.decision, encoder.bytes)
    }

    public var dot: Dot { provenance.dot }
    /// The first eight digits: what people type.
    public var shortID: String { String(id.description.prefix(8)) }
    var isOfRow: Bool { place.column == CellKey.life.column }
}

extension Conflicts {
    /// Every decision, oldest first. Derived from the changesets, so that it is the same on every
    /// replica, whatever passed through it; only what lives is read from the state.
    public func log() throws -> [DecisionEntry] {
        try replica.read {
            var decisions: [LoggedDecision] = []
            // A large action may be several changesets.
            var notes: [Identifier: DecisionNote] = [:]
            var ownNotes: [Dot: DecisionNote] = [:]
            try replica.forEachChangeset { changeset, _ in
                for row in changeset.rows {
                    if let note = DecisionNote(row) {
                        ownNotes[changeset.dot] = note
                        if let action = changeset.action { notes[action] = note }
                    }
                    for operation in row.operations {
                        if let found = LoggedDecision(operation, row, changeset) {
                            decisions.append(found)
                        }
                    }
                }
            }
            // What a choice brought with it is part of that decision.
            let rulings = Set(decisions.filter(\.isRuling).map(\.changeset.dot))
            decisions.removeAll { decision in
                decision.place.table != Forum.deferral.id && decision.place.column == 0
                    && rulings.contains(decision.changeset.dot)
            }
            return try decisions.sorted { $0.order < $1.order }.compactMap { decision in
                let note =
                    ownNotes[decision.changeset.dot]
                    ?? decision.changeset.action.flatMap { notes[$0] }
                return try entry(decision, note)
            }
        }
    }

    /// The name in the log of what put a conflict off; `nil` where nothing had to be written.
    public func deferral(in receipt: WriteReceipt) throws -> Digest? {
        for dot in receipt.dots {
            guard let changeset = try replica.changeset(dot) else { continue }
            for row in changeset.rows where row.table == Forum.deferral.id {
                let found = row.operations.lazy.compactMap { LoggedDecision($0, row, changeset) }
                if let decision = found.first { return decision.id }
            }
        }
        return nil
    }

    private func entry(
        _ decision: LoggedDecision, _ note: DecisionNote?
    ) throws -> DecisionEntry? {
        let (operation, place) = (decision.operation, decision.place)
        guard let table = replica.schema.table(id: place.table) else { return nil }
        var about = place
        if let note, table == Forum.ruling || table == Forum.deferral || place.column == 0 {
            about = DecisionEntry.Place(table: note.table, row: note.row, column: note.column)
        }
        // What is deleted and restored without a conflict is no decision on one.
        if place.column == 0, table != Forum.deferral, about != place || note == nil { return nil }
        let value = try table.column(id: place.column).flatMap { column in
            try operation.action.value.map { try records.text(of: $0, in: column) }
        }
        let changeset = decision.changeset
        return DecisionEntry(
            id: decision.id, kind: decision.kind,
            provenance: try records.provenance(of: changeset),
            subjectText: try subjectText(place, about, table),
            text: table == Forum.ruling || table == Forum.deferral || value == nil
                ? note?.text ?? value ?? "" : value ?? "",
            reason: note?.reason ?? "",
            isLive: try replica.state(place.table, place.row)[operation.cell]
                .contains(changeset.dot),
            place: place, about: about)
    }

    private func subjectText(
        _ place: DecisionEntry.Place, _ about: DecisionEntry.Place, _ table: Table
    ) throws -> String {
        var words: [String] = []
        if let table = replica.schema.table(id: about.table) {
            let (kind, name) = try records.subject(table, about.row)
            words = [kind, name] + [table.column(id: about.column)?.name].compactMap { $0 }
        }
        if table == Forum.ruling, about != place {
            let found = try replica.query(
                "SELECT rule FROM ruling WHERE id = ?", .blob(place.row.identifier.bytes))
            if case .text(let rule)? = found.first?[0] { words.append(rule) }
        }
        return words.joined(separator: " ")
    }
}

/// An op that is someone's decision.
private struct LoggedDecision {
    var operation: Operation
    var place: DecisionEntry.Place
    var kind: DecisionEntry.Kind
    var changeset: Changeset

    /// `nil` for an op that records something.
    init?(_ operation: Operation, _ row: RowChange, _ changeset: Changeset) {
        self.operation = operation
        self.changeset = changeset
        place = DecisionEntry.Place(
            table: row.table, row: row.row, column: operation.cell.column)
        if row.table == Forum.deferral.id {
            // One deferral writes several columns of one row.
            guard operation == row.operations.first else { return nil }
            if case .delete = operation.action { kind = .resumed } else { kind = .deferred }
            return
        }
        switch operation.action {
        case .resolve: kind = .resolved
        case .retract where operation.cell == .life: kind = .resolved
        case .retract where operation.cell.element.isEmpty: kind = .takenBack
        case .delete: kind = .resolved
        case .put, .retract: return nil
        }
    }

    var isRuling: Bool { place.table == Forum.ruling.id && place.column != 0 }

    var order: (HybridTime, Dot, UInt32) { (changeset.time, changeset.dot, place.column) }

    var id: Digest { DecisionEntry.id(changeset.dot, place) }
}
