internal import Causality
internal import FieldRecords
internal import Merge
internal import RecordSchema
internal import Recording
public import ReplicaStore
internal import SyncProtocol

/// How many conflicts are open.
public struct ConflictCounts: Hashable, Sendable {
    /// Class 2, those put off among them: they still need someone.
    public var toDecide = 0
    /// Class 1, as above.
    public var toNote = 0
    /// Of both, those that someone put off.
    public var deferred = 0
}

/// Conflicts that wait until later.
extension Conflicts {
    /// What is open, without asking who wrote what.
    public func counts() throws -> ConflictCounts {
        try replica.read {
            let ruled = try openFindings()
            let deferrals = try activeDeferrals()
            var counts = ConflictCounts()
            func count(_ conflictClass: ConflictClass) {
                switch conflictClass {
                case .decision: counts.toDecide += 1
                case .notice: counts.toNote += 1
                case .silent: break
                }
            }
            func isDeferred(_ id: Digest) -> Bool { deferrals[.blob(id.bytes)] != nil }
            for place in try valueConflicts(besides: ruled) {
                // Most say so themselves; of the others the row is read.
                if deferrals.isEmpty, !mayBeTolerated(place) {
                    count(greatestClass(of: place) ?? .silent)
                } else if let found = try found(at: place) {
                    count(found.conflictClass)
                    if isDeferred(found.id) { counts.deferred += 1 }
                }
            }
            for finding in ruled {
                count(finding.finding.conflictClass)
                if isDeferred(finding.id) { counts.deferred += 1 }
            }
            return counts
        }
    }

    /// The class of what is found there at most; `nil` for what this build doesn't know.
    func greatestClass(of place: OpenConflict) -> ConflictClass? {
        guard let table = replica.schema.table(id: place.table) else { return nil }
        return place.column == CellKey.life.column
            ? .decision : table.column(id: place.column)?.conflictClass
    }

    /// Whether values there may lie so close together that nobody has to decide.
    func mayBeTolerated(_ place: OpenConflict) -> Bool {
        let column = replica.schema.table(id: place.table)?.column(id: place.column)
        if case .earliest? = column?.policy { return true }
        return false
    }

    func withDeferral(_ conflict: Conflict) throws -> Conflict {
        var conflict = conflict
        conflict.deferral = try activeDeferrals()[.blob(conflict.id.bytes)]
        return conflict
    }

    /// By the conflict's id. Whether one has run out is told by this laptop's clock: it changes
    /// what is listed, and nothing that merges.
    func activeDeferrals() throws -> [Value: Deferral] {
        let now = replica.environment.wallMilliseconds()
        var deferrals: [Value: Deferral] = [:]
        for row in try replica.query("SELECT conflict, until, reason, deferred_by FROM deferral") {
            var deferral = Deferral(untilMilliseconds: nil, reason: "", who: "")
            if case .integer(let until) = row[1] { deferral.untilMilliseconds = until }
            guard deferral.untilMilliseconds.map({ $0 > now }) ?? true else { continue }
            if case .text(let reason) = row[2] { deferral.reason = reason }
            if case .text(let who) = row[3] { deferral.who = who }
            deferrals[row[0]] = deferral
        }
        return deferrals
    }

    /// Puts a conflict off. It is back at that time, or as soon as its values change, for then it
    /// has another id.
    ///
    /// - Parameter untilMilliseconds: since 1970; `nil` for as long as nothing changes.
    public func postpone(
        _ id: String, untilMilliseconds: Int64?, reason: String, author: String
    ) throws -> (conflict: Conflict, receipt: WriteReceipt) {
        let shown = try conflict(id)
        if let untilMilliseconds, untilMilliseconds <= replica.environment.wallMilliseconds() {
            throw ConflictError.invalid("--until lies in the past; say a later time")
        }
        let text = untilMilliseconds.map {
            "until \(Instant(milliseconds: $0).inWholeSeconds)"
        }
        let named: [(String, Value)] = [
            ("until", untilMilliseconds.map(Value.integer) ?? .null),
            (
                "reason",
                reason.isEmpty
                    ? .null : try words(reason, about: shown.subject.row, shown.subject.table.id)
            ), ("deferred_by", .text(author)),
            ("subject_table", .integer(Int64(shown.subject.table.id))),
            ("subject", .blob(shown.subject.row.identifier.bytes)),
        ]
        let values = named.compactMap { name, value in
            Forum.deferral.column(named: name).map { ($0, value) }
        }
        let (_, receipt) = try replica.write(author: author) { transaction in
            try requireOpen(shown, as: id)
            // Put off so already: nothing to say.
            guard
                try transaction.upsert(
                    Forum.deferral, key: [.blob(shown.id.bytes)], values,
                    dividedBy: shown.subject.table.isDivided ? shown.subject.row : nil
                ).isChanged
            else { return }
            try note(
                DecisionNote(shown, text: text ?? "until it changes", reason: reason), author,
                in: transaction)
        }
        return (shown, receipt)
    }
}
