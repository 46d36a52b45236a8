internal import Causality
internal import FieldRecords
internal import Merge
internal import RecordSchema
internal import Recording
public import ReplicaStore
public import SyncProtocol

/// What a person decided.
public enum Decision: Sendable {
    /// One of the candidates, by its label; of a rule's conflict a choice, by its label or name.
    case take(String)
    /// Another value, as a person types it.
    case value(String)
    /// Both sides hold: for conflicts between records that offer it.
    case keepBoth
}

/// A decision that was, or with a dry run would be, written.
public struct Settlement: Sendable {
    public var conflict: Conflict
    /// What the record shows from now on, or what was chosen, as people read it.
    public var text: String
    /// What becomes of totals and records; empty for values.
    public var effect: String = ""
    /// The decision's name in the log, by which it is taken back; `nil` for one that was not written, that took
    /// several changesets, or that keeps or deletes a record.
    public var decision: Digest?
    public var receipt: WriteReceipt

    /// A record is kept or deleted by it.
    public var isOfRecord: Bool { conflict.rule == nil && conflict.subject.column == nil }
}

extension Conflicts {
    /// Settles a conflict: the other values stay, with their authors, covered by the decision.
    ///
    /// - Parameters:
    ///   - id: as it was shown; when the values have changed since, it is no open conflict's.
    ///   - reason: kept beside the decision; needed where a person must decide.
    public func resolve(
        _ id: String, _ decision: Decision, reason: String, author: String, isDryRun: Bool = false
    ) throws -> Settlement {
        let shown = try conflict(id)
        try requireReason(reason, for: [shown])
        let (choice, text) = try choose(decision, in: shown)
        var settlement = Settlement(conflict: shown, text: text, receipt: WriteReceipt())
        if case .rule(_, let choice) = choice { settlement.effect = choice.effect }
        guard !isDryRun else { return settlement }
        let (_, receipt) = try replica.write(author: author) { transaction in
            try requireOpen(shown, as: id)
            try write(shown, choice, reason, author, in: transaction)
            try note(DecisionNote(shown, text: text, reason: reason), author, in: transaction)
            try transaction.endAction()
            settlement.decision = Self.decision(on: shown, choice, in: transaction)
        }
        settlement.receipt = receipt
        return settlement
    }

    /// The name of the decision that a transaction has just written, and nothing else.
    static func decision(
        on conflict: Conflict, _ choice: Choice, in transaction: WriteTransaction
    ) -> Digest? {
        guard let dot = transaction.receipt.dots.first, transaction.receipt.dots.count == 1 else {
            return nil
        }
        if case .rule(let ruled, _) = choice {
            return DecisionEntry.id(
                dot,
                DecisionEntry.Place(
                    table: Forum.ruling.id, row: ruled.ruling,
                    column: Forum.ruling.declared("choice").id))
        }
        // Whether a record stays is taken back by another delete, or by an edit.
        guard case .value = choice else { return nil }
        let place = conflict.place
        return DecisionEntry.id(
            dot, DecisionEntry.Place(table: place.table, row: place.row, column: place.column))
    }

    func requireReason(_ reason: String, for conflicts: [Conflict]) throws(ConflictError) {
        guard reason.allSatisfy(\.isWhitespace),
            conflicts.contains(where: { $0.conflictClass == .decision })
        else {
            return
        }
        throw .invalid("say why, with --reason TEXT: others will want to know")
    }

    /// Under the lock: another process may have written since the conflict was read.
    func requireOpen(_ shown: Conflict, as id: String) throws {
        let isOpen: Bool
        if let ruled = shown.ruled {
            isOpen = try records.findings(of: [ruled.rule]).contains {
                $0.isOpen && $0.id == shown.id
            }
        } else {
            isOpen = try found(at: shown.place)?.id == shown.id
        }
        guard isOpen else { throw ConflictError.stale(id) }
    }

    enum Choice {
        case value(Value)
        case deleteRow
        case keepRow
        case rule(RuledFinding, Finding.Choice)
    }

    func choose(
        _ decision: Decision, in conflict: Conflict
    ) throws -> (choice: Choice, text: String) {
        if let ruled = conflict.ruled {
            let choice = try choose(decision, in: conflict, ruled)
            return (.rule(ruled, choice), choice.text)
        }
        switch decision {
        case .take(let label):
            guard
                let candidate = conflict.candidates.first(where: { $0.label == label.uppercased() })
            else {
                let labels = conflict.candidates.map(\.label).joined(separator: ", ")
                throw ConflictError.invalid("there is no candidate \(label); there are \(labels)")
            }
            if candidate.isDelete { return (.deleteRow, candidate.text) }
            guard conflict.subject.column != nil else { return (.keepRow, candidate.text) }
            return (.value(candidate.value ?? .null), candidate.text)
        case .value(let text):
            guard let column = conflict.subject.column else {
                throw ConflictError.invalid(
                    "the record itself is what they disagree on: use --take")
            }
            let day = conflict.candidates.compactMap { candidate -> Int64? in
                if case .integer(let time)? = candidate.value { time } else { nil }
            }.first
            let value = try records.value(text, for: column, onDayOf: day)
            return (.value(value), try records.text(of: value, in: column))
        case .keepBoth:
            throw ConflictError.invalid(
                "the column holds one value; only sets keep both, and those never conflict. Use "
                    + "--take or --value")
        }
    }

    private func choose(
        _ decision: Decision, in conflict: Conflict, _ ruled: RuledFinding
    ) throws -> Finding.Choice {
        let choices = ruled.finding.choices
        switch decision {
        case .take(let text):
            let place = conflict.choices.firstIndex {
                $0.label == text.uppercased() || Value.text($0.name) == .text(text)
            }
            if let place { return choices[place] }
            let names = conflict.choices.map { "\($0.label) (\($0.name))" }
            throw ConflictError.invalid(
                "there is no choice \(text); there are \(names.joined(separator: ", "))")
        case .keepBoth:
            if let choice = choices.first(where: \.keepsBoth) { return choice }
            throw ConflictError.invalid("here both can't hold: use --take")
        case .value:
            throw ConflictError.invalid(
                "it is between records, not values: use --take with one of the choices")
        }
    }

    func write(
        _ conflict: Conflict, _ choice: Choice, _ reason: String, _ author: String,
        in transaction: WriteTransaction
    ) throws {
        let subject = conflict.subject
        switch choice {
        case .deleteRow: try transaction.delete(subject.table, subject.row)
        case .keepRow: try transaction.restore(subject.table, subject.row)
        case .value(let value):
            guard let column = subject.column else { return }
            try write(conflict, value, column, in: transaction)
        case .rule(let ruled, let choice):
            // What a choice writes is made of what these show.
            for evidence in ruled.finding.evidence {
                try replica.holdAgainstLog(evidence.table, evidence.row)
            }
            try edit(choice.edits, in: transaction)
            try rule(ruled, choice.name, reason, author, in: transaction)
        }
    }

    private func write(
        _ conflict: Conflict, _ value: Value, _ column: Column, in transaction: WriteTransaction
    ) throws {
        let subject = conflict.subject
        let key = CellKey(column.id)
        let shown = conflict.candidates.compactMap(\.dot)
        try transaction.author(subject.table.id, subject.row) { state in
            guard let operation = state.settle(key, value, shown: shown) else {
                throw ConflictError.stale(conflict.id.description)
            }
            return [operation]
        }
    }

    /// What a choice brings with it.
    func edit(_ edits: [Finding.Edit], in transaction: WriteTransaction) throws {
        for edit in edits {
            switch edit {
            case .set(let table, let row, let column, let value):
                try transaction.set(table, row, [(column, value)])
            case .insert(let table, let values, let row):
                try transaction.insert(into: table, values, dividedBy: row)
            case .delete(let table, let row): try transaction.delete(table, row)
            case .restore(let table, let row): try transaction.restore(table, row)
            }
        }
    }

    /// The decision on a finding: a resolution of the register `ruling.choice` that covers nothing
    /// and replaces those that were shown. So decisions on records live, differ and are taken back
    /// as decisions on values are.
    private func rule(
        _ ruled: RuledFinding, _ choice: String, _ reason: String, _ author: String,
        in transaction: WriteTransaction
    ) throws {
        let finding = ruled.finding
        let named: [(String, Value)] = [
            ("reason", try words(reason, about: finding.row, finding.table.id)),
            ("decided_by", .text(author)),
            ("subject_table", .integer(Int64(finding.table.id))),
            ("subject", .blob(finding.row.identifier.bytes)),
        ]
        let values = named.compactMap { name, value in
            Forum.ruling.column(named: name).map { ($0, value) }
        }
        try transaction.upsert(
            Forum.ruling, key: [.text(ruled.rule.name), .blob(ruled.key.bytes)], values,
            dividedBy: finding.division)
        let key = CellKey(Forum.ruling.declared("choice").id)
        try transaction.author(Forum.ruling.id, ruled.ruling) { state in
            let shown = RegisterFold(state[key]).allDots
            return [state.resolve(key, .text(choice), basis: shown)]
        }
    }
}
