internal import Causality
internal import FieldRecords
internal import Merge
internal import RecordSchema
internal import Recording
public import ReplicaStore
internal import SyncProtocol

/// What a person decided.
public enum Decision: Sendable {
    /// One of the candidates, by its label.
    case take(String)
    /// Another value, as a person types it.
    case value(String)
}

/// A decision that was, or with a dry run would be, written.
public struct Settlement: Sendable {
    public var conflict: Conflict
    /// What the record shows from now on, as people read it.
    public var text: String
    public var receipt: WriteReceipt
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
        guard !reason.isEmpty || shown.conflictClass < .decision else {
            throw ConflictError.invalid("say why, with --reason TEXT: others will want to know")
        }
        let (choice, text) = try choose(decision, in: shown)
        guard !isDryRun else {
            return Settlement(conflict: shown, text: text, receipt: WriteReceipt())
        }
        let (_, receipt) = try replica.write(author: author) { transaction in
            // Under the lock: another process may have written since.
            guard try conflict(shown.id.description).id == shown.id else {
                throw ConflictError.stale(id)
            }
            try write(shown, choice, in: transaction)
            try note(shown, text, reason, author, in: transaction)
        }
        return Settlement(conflict: shown, text: text, receipt: receipt)
    }

    private enum Choice {
        case value(Value)
        case deleteRow
        case keepRow
    }

    private func choose(
        _ decision: Decision, in conflict: Conflict
    ) throws -> (choice: Choice, text: String) {
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
        }
    }

    private func write(
        _ conflict: Conflict, _ choice: Choice, in transaction: WriteTransaction
    ) throws {
        let subject = conflict.subject
        switch choice {
        case .deleteRow: try transaction.delete(subject.table, subject.row)
        case .keepRow: try transaction.restore(subject.table, subject.row)
        case .value(let value):
            guard let column = subject.column else { return }
            try write(conflict, value, column, in: transaction)
        }
    }

    private func write(
        _ conflict: Conflict, _ value: Value, _ column: Column, in transaction: WriteTransaction
    ) throws {
        let subject = conflict.subject
        let key = CellKey(column.id)
        let basis = conflict.candidates.map(\.dot)
        try transaction.author(subject.table.id, subject.row) { state in
            let fold = RegisterFold(state[key], policy: column.policy)
            // Who settles a conflict is shown what earlier decisions cover, too.
            return [
                state.resolve(key, value, basis: basis + fold.covered.map(\.dot))
            ]
        }
    }

    /// The decision as a record, for people to read.
    private func note(
        _ conflict: Conflict, _ text: String, _ reason: String, _ author: String,
        in transaction: WriteTransaction
    ) throws {
        let subject = conflict.subject
        var facts = CBOREncoder()
        let dots = conflict.candidates.map(\.dot).sorted()
        facts.array(dots.count * 2)
        for dot in dots {
            facts.blob(dot.stream.identifier.bytes)
            facts.unsigned(dot.seq)
        }
        try transaction.insert(
            into: Forum.resolution,
            [
                .integer(Int64(subject.table.id)), .blob(subject.row.identifier.bytes),
                .integer(Int64(subject.column?.id ?? 0)), .blob(facts.bytes), .text(text),
                .text(reason), .text(author),
            ])
    }
}
