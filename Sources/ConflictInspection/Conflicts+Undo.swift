internal import Causality
internal import FieldRecords
internal import Merge
internal import RecordSchema
internal import Recording
public import ReplicaStore
internal import SyncProtocol

/// A decision that was taken back, or made again.
public struct Undoing: Sendable {
    public var entry: DecisionEntry
    /// What came with the decision and was taken back with it, as people read it.
    public var reversed: [String] = []
    /// What came with it and stays, for someone has changed it since.
    public var kept: [String] = []
    /// What is open now because of it; `nil` where something else settles it.
    public var reopened: Conflict?
    public var receipt = WriteReceipt()
}

/// Decisions of one command that were taken back.
public struct BulkUndoing: Sendable {
    /// What they were, before.
    public var kind = DecisionEntry.Kind.resolved
    /// Without receipts of their own, and without what is open now.
    public var undone: [Undoing] = []
    /// What stays decided, or was taken back before, and why.
    public var left: [(entry: DecisionEntry, why: String)] = []
    public var receipt = WriteReceipt()
}

extension DecisionEntry {
    /// Whether one command made both: one person on one laptop, at one moment, for one reason.
    fileprivate func isOfOneCommand(with other: Self) -> Bool {
        kind == other.kind && reason == other.reason
            && provenance.device == other.provenance.device
            && provenance.person == other.provenance.person
            && provenance.claimedMilliseconds == other.provenance.claimedMilliseconds
    }
}

extension Conflicts {
    /// Takes a decision back: the values that it covered are candidates again. Taking that back
    /// makes the decision again, over what of them still lives.
    ///
    /// What a rule's choice had changed is put back with it, as far as nobody has changed it since.
    ///
    /// - Parameter id: as the log tells it, or the start of it.
    /// - Throws: ``ConflictError/undone(_:)`` for a decision that lives no more.
    public func undo(_ id: String, reason: String, author: String) throws -> Undoing {
        let entry = try decision(id)
        var (undoing, receipt) = try replica.write(author: author) { transaction in
            if let why = try obstacle(to: entry) {
                throw entry.isLive ? ConflictError.invalid(why) : .undone(entry.shortID)
            }
            return try undo(entry, reason, author, in: transaction)
        }
        undoing.receipt = receipt
        undoing.reopened = try open().first { conflict in
            let subject = conflict.subject
            if let ruled = conflict.ruled { return ruled.ruling == entry.place.row }
            return subject.table.id == entry.place.table && subject.row == entry.place.row
                && subject.column?.id == entry.place.column
        }
        return undoing
    }

    /// Takes back all that one command has decided, in one transaction: what of it nobody has taken back or replaced
    /// since.
    ///
    /// - Parameter id: of one of the decisions.
    public func undoTogether(
        _ id: String, reason: String, author: String
    ) throws -> BulkUndoing {
        let now = replica.environment.wallMilliseconds()
        var (result, receipt) = try replica.write(author: author, claimed: now) { transaction in
            let log = try log()
            let chosen = try decision(id, in: log)
            var result = BulkUndoing()
            result.kind = chosen.kind
            for entry in log where entry.isOfOneCommand(with: chosen) {
                if let why = try obstacle(to: entry) {
                    result.left.append((entry, why))
                    continue
                }
                result.undone.append(try undo(entry, reason, author, in: transaction))
                try transaction.endAction()
            }
            guard !result.undone.isEmpty else {
                guard let why = try obstacle(to: chosen), chosen.isLive else {
                    throw ConflictError.undone(chosen.shortID)
                }
                throw ConflictError.invalid(why)
            }
            return result
        }
        result.receipt = receipt
        return result
    }

    /// Why an entry can't be taken back, whatever else is; `nil` where nothing stands in the way.
    private func obstacle(to entry: DecisionEntry) throws -> String? {
        guard entry.isLive else { return "someone has taken it back, decided or edited since" }
        switch entry.kind {
        case .resolved where entry.isOfRow:
            return "a record was kept or deleted by it: use `karvan delete`, or `karvan set` to "
                + "bring it back"
        case .takenBack where entry.place.table == Forum.ruling.id:
            return try finding(of: entry) == nil
                ? "what it decided on is no longer so; there is nothing to settle" : nil
        case .resumed:
            return "the conflict is listed again; put it off with `karvan conflicts defer`"
        case .resolved, .takenBack, .deferred: return nil
        }
    }

    /// What a rule finds now of that on which somebody decided.
    private func finding(of entry: DecisionEntry) throws -> RuledFinding? {
        try records.findings(of: replica.schema.rules).first { $0.ruling == entry.place.row }
    }

    /// Of an entry that nothing stands in the way of.
    private func undo(
        _ entry: DecisionEntry, _ reason: String, _ author: String,
        in transaction: WriteTransaction
    ) throws -> Undoing {
        var undoing = Undoing(entry: entry)
        switch entry.kind {
        case .resolved: try takeBack(entry, &undoing, in: transaction)
        case .takenBack: try decideAgain(entry, in: transaction)
        case .deferred: try resume(entry, in: transaction)
        case .resumed: break
        }
        try note(DecisionNote(entry, text: entry.text, reason: reason), author, in: transaction)
        return undoing
    }

    private func decision(_ id: String) throws -> DecisionEntry { try decision(id, in: log()) }

    private func decision(_ id: String, in log: [DecisionEntry]) throws -> DecisionEntry {
        guard id.count >= 4 else {
            throw ConflictError.invalid("give at least four digits of the decision's id")
        }
        let found = log.filter { $0.id.description.hasPrefix(id.lowercased()) }
        guard found.count < 2 else { throw ConflictError.ambiguous(id) }
        guard let entry = found.first else {
            throw ConflictError.invalid(
                "there is no decision \(id); `karvan conflicts log` tells their ids")
        }
        return entry
    }

    private func takeBack(
        _ entry: DecisionEntry, _ undoing: inout Undoing, in transaction: WriteTransaction
    ) throws {
        let place = entry.place
        try transaction.author(place.table, place.row) { state in
            guard let operation = state.undo(resolution: entry.dot, in: CellKey(place.column))
            else { throw ConflictError.undone(entry.shortID) }
            return [operation]
        }
        guard place.table == Forum.ruling.id else { return }
        (undoing.reversed, undoing.kept) = try reverse(entry.dot, in: transaction)
    }

    /// A new resolution with the covers of the one that was taken back, as far as they live.
    private func decideAgain(
        _ entry: DecisionEntry, in transaction: WriteTransaction
    ) throws {
        let place = entry.place
        let key = CellKey(place.column)
        let undone = try replica.operation(
            entry.dot, table: place.table, row: place.row, cell: key)
        var made: Operation?
        for dot in undone?.over ?? [] {
            let replaced = try replica.operation(
                dot, table: place.table, row: place.row, cell: key)
            if case .resolve? = replaced?.action { made = replaced }
        }
        guard let decision = made?.action, let value = decision.value else {
            throw ConflictError.undone(entry.shortID)
        }
        if place.table == Forum.ruling.id, case .text(let name) = value {
            let ruled = try finding(of: entry)
            let choice = ruled?.finding.choices.first { Value.text($0.name) == value }
            guard ruled == nil || choice != nil else {
                throw ConflictError.invalid("“\(name)” is no choice any more; settle it anew")
            }
            try edit(choice?.edits ?? [], in: transaction)
        }
        try transaction.author(place.table, place.row) { state in
            guard
                let operation = state.decideAgain(undo: entry.dot, of: decision, in: key)
            else { throw ConflictError.undone(entry.shortID) }
            return [operation]
        }
    }

    private func resume(_ entry: DecisionEntry, in transaction: WriteTransaction) throws {
        guard entry.isLive,
            try transaction.delete(Forum.deferral, entry.place.row)
        else { throw ConflictError.undone(entry.shortID) }
    }
}
