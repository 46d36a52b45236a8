internal import Causality
internal import FieldRecords
internal import Merge
internal import RecordSchema
internal import Recording
public import ReplicaStore
public import SyncProtocol

/// How each of several conflicts is settled.
public enum CommonDecision: Sendable {
    /// What its record shows meanwhile.
    case shown
    case earliest
    case latest
    /// What stands there from this laptop, or of this person; the latest of several.
    case writtenOn(device: String)
    case writtenBy(person: String)
    /// The choice of this name, of those that clash by a rule.
    case choice(String)
    /// This value, as a person types it.
    case value(String)
    case keepBoth

    /// From whom, in words.
    fileprivate var source: String {
        switch self {
        case .writtenOn(let device): "on \(device)"
        case .writtenBy(let person): "by \(person)"
        case .shown, .earliest, .latest, .choice, .value, .keepBoth: ""
        }
    }

    fileprivate var asksForCandidates: Bool {
        switch self {
        case .writtenOn, .writtenBy: true
        case .shown, .earliest, .latest, .choice, .value, .keepBoth: false
        }
    }
}

/// Decisions on several conflicts that were, or with a dry run would be, written.
public struct BulkSettlement: Sendable {
    /// In the order in which conflicts are listed; without receipts of their own, and without what the log tells of
    /// values, but where the decision depends on it.
    public var settled: [Settlement] = []
    /// What is not settled so, and why.
    public var left: [(conflict: Conflict, why: String)] = []
    /// Those that wait, because someone has put them off.
    public var deferredCount = 0
    /// All that were open, whatever the filter says.
    public var openCount = 0
    /// One of the decisions, by which all are taken back; `nil` where none has a name yet.
    public var decision: Digest?
    public var receipt = WriteReceipt()

    /// Another one when another conflict is among them, or something else would become of one.
    public var id: Digest {
        var encoder = CBOREncoder()
        encoder.array(settled.count * 2)
        for settlement in settled {
            encoder.blob(settlement.conflict.id.bytes)
            encoder.text(settlement.text)
        }
        return Digest(.conflict, encoder.bytes)
    }

    /// The first eight digits: what people type.
    public var shortID: String { String(id.description.prefix(8)) }
}

/// What is to be written of one conflict.
private struct Planned {
    var settlement: Settlement
    var choice: Conflicts.Choice
    var conflict: Conflict { settlement.conflict }

    /// The records of which the finding is made.
    var rows: [RowID] {
        guard case .rule(let ruled, _) = choice else { return [] }
        return [ruled.finding.row] + ruled.finding.evidence.map(\.row)
    }

    /// The records that the decision changes.
    var changedRows: [RowID] {
        guard case .rule(_, let choice) = choice else { return [] }
        return choice.edits.map { edit in
            switch edit {
            case .set(_, let row, _, _), .insert(_, _, let row), .delete(_, let row),
                .restore(_, let row):
                row
            }
        }
    }
}

extension Conflicts {
    /// Settles all open conflicts that a filter lets through, in one transaction: all of it is written, or nothing.
    /// Each decision is a changeset of its own, so that each can be taken back by itself.
    ///
    /// - Parameters:
    ///   - includesDeferred: those put off too.
    ///   - expected: the id of what a dry run told, or the start of it.
    ///   - reason: as for one.
    /// - Throws: ``ConflictError/changed(_:)`` when it would be something else by now than was told.
    public func resolve(
        _ filter: ConflictFilter, includesDeferred: Bool = false, _ decision: CommonDecision,
        reason: String, author: String, expected: String? = nil, isDryRun: Bool = false
    ) throws -> BulkSettlement {
        guard !isDryRun else {
            return try replica.read {
                let (planned, settlement) = try plan(filter, includesDeferred, decision)
                try requireReason(reason, for: planned.map(\.conflict))
                return settlement
            }
        }
        // All at one moment: by it they are known as the work of one command.
        let now = replica.environment.wallMilliseconds()
        var (settlement, receipt) = try replica.write(author: author, claimed: now) {
            transaction in
            let (planned, found) = try plan(filter, includesDeferred, decision)
            try requireReason(reason, for: planned.map(\.conflict))
            var settlement = found
            if let expected, !settlement.id.description.hasPrefix(expected.lowercased()) {
                throw ConflictError.changed(settlement.settled.count)
            }
            let written = try write(planned, reason, author, in: transaction)
            settlement.decision = written.decision
            settlement.left += settlement.settled.filter {
                written.overtaken.contains($0.conflict.id)
            }.map { ($0.conflict, "another of these decisions has changed or ended it") }
            settlement.settled.removeAll { written.overtaken.contains($0.conflict.id) }
            return settlement
        }
        settlement.receipt = receipt
        return settlement
    }

    /// The same with what the log tells of it; as it was where it is no longer open.
    public func withLog(_ conflict: Conflict) throws -> Conflict {
        guard conflict.ruled == nil, let found = try found(at: conflict.place),
            found.id == conflict.id
        else { return conflict }
        var told = try self.conflict(of: found)
        told.deferral = conflict.deferral
        return told
    }

    private func plan(
        _ filter: ConflictFilter, _ includesDeferred: Bool, _ decision: CommonDecision
    ) throws -> (planned: [Planned], settlement: BulkSettlement) {
        var conflicts = self
        conflicts.asksLog = filter.asksForCandidates || decision.asksForCandidates
        let page = try conflicts.page(filter, includesDeferred: includesDeferred)
        var planned: [Planned] = []
        var result = BulkSettlement()
        result.deferredCount = includesDeferred ? 0 : page.deferredCount
        result.openCount = page.openCount
        for conflict in page.conflicts {
            do {
                let (choice, text) = try choose(
                    try self.decision(decision, in: conflict), in: conflict)
                var settlement = Settlement(conflict: conflict, text: text, receipt: WriteReceipt())
                if case .rule(_, let choice) = choice { settlement.effect = choice.effect }
                planned.append(Planned(settlement: settlement, choice: choice))
            } catch let error as ConflictError {
                result.left.append((conflict, error.explanation))
            } catch let error as RecordError {
                result.left.append((conflict, error.explanation))
            }
        }
        // What is said of a record that goes is no question any more.
        let gone = Set(
            planned.compactMap { planned -> RowID? in
                if case .deleteRow = planned.choice { planned.conflict.subject.row } else { nil }
            })
        func isEnded(_ conflict: Conflict) -> Bool {
            conflict.subject.column != nil && gone.contains(conflict.subject.row)
        }
        result.left += planned.map(\.conflict).filter(isEnded).map {
            ($0, "another of these decisions deletes its record")
        }
        planned.removeAll { isEnded($0.conflict) }
        result.settled = planned.map(\.settlement)
        return (planned, result)
    }

    /// What a decision on all says of one.
    ///
    /// - Throws: where it says nothing of that one.
    public func decision(
        _ decision: CommonDecision, in conflict: Conflict
    ) throws(ConflictError) -> Decision {
        let candidates = conflict.candidates
        let candidate: Candidate?
        switch decision {
        case .value(let text): return .value(text)
        case .keepBoth: return .keepBoth
        case .choice(let name):
            guard conflict.rule != nil else {
                throw .invalid("it is between values, of which none is called “\(name)”")
            }
            guard conflict.choices.contains(where: { $0.name == name }) else {
                let names = conflict.choices.map(\.name).joined(separator: ", ")
                throw .invalid("there is no choice “\(name)”; there are \(names)")
            }
            return .take(name)
        case .shown: candidate = candidates.first(where: \.isShown)
        case .earliest: candidate = candidates.first
        case .latest: candidate = candidates.last
        case .writtenOn(let device):
            candidate = candidates.last { $0.provenance?.device == device }
        case .writtenBy(let person):
            candidate = candidates.last { $0.provenance?.person == person }
        }
        guard conflict.rule == nil else {
            let names = conflict.choices.map(\.name).joined(separator: ", ")
            throw .invalid("records clash there, not values; its choices are \(names)")
        }
        guard let candidate else {
            throw .invalid("none of the values there was recorded so: \(decision.source)")
        }
        return .take(candidate.label)
    }

    private struct Written {
        /// What they decide on has changed meanwhile: nothing was written.
        var overtaken: Set<Digest> = []
        /// The first one's name.
        var decision: Digest?
    }

    /// Rules come last: a decision may change what a later one is about.
    private func write(
        _ planned: [Planned], _ reason: String, _ author: String, in transaction: WriteTransaction
    ) throws -> Written {
        var written = Written()
        func write(_ next: Planned) throws {
            try self.write(next.conflict, next.choice, reason, author, in: transaction)
            try note(
                DecisionNote(next.conflict, text: next.settlement.text, reason: reason), author,
                in: transaction)
            try transaction.endAction()
            if written.decision == nil {
                written.decision = Self.decision(on: next.conflict, next.choice, in: transaction)
            }
        }
        for next in Self.inOrder(planned.filter { $0.conflict.ruled == nil }) {
            if try found(at: next.conflict.place)?.id == next.conflict.id {
                try write(next)
            } else {
                written.overtaken.insert(next.conflict.id)
            }
        }
        for rule in replica.schema.rules {
            let ofRule = planned.filter { $0.conflict.ruled?.rule.number == rule.number }
            guard !ofRule.isEmpty else { continue }
            var open = try openIDs(of: rule)
            var changed: Set<RowID> = []
            for next in ofRule {
                if next.rows.contains(where: changed.contains) {
                    open = try openIDs(of: rule)
                    changed = []
                }
                guard open.contains(next.conflict.id) else {
                    written.overtaken.insert(next.conflict.id)
                    continue
                }
                try write(next)
                changed.formUnion(next.changedRows)
            }
        }
        return written
    }

    /// Whether a record stays comes before what it says. Then they go in the order of the log, which is read for each:
    /// so no run is read twice.
    private static func inOrder(_ planned: [Planned]) -> [Planned] {
        let values = planned.filter { $0.conflict.subject.column != nil }
        let dots = values.map { $0.conflict.candidates.first(where: \.isShown)?.dot }
        let sorted = zip(dots, values).sorted { a, b in
            guard let dot = a.0, let other = b.0 else { return a.0 == nil && b.0 != nil }
            return dot < other
        }
        return planned.filter { $0.conflict.subject.column == nil } + sorted.map(\.1)
    }

    private func openIDs(of rule: ConflictRule) throws -> Set<Digest> {
        Set(try records.findings(of: [rule]).filter(\.isOpen).map(\.id))
    }
}
