public import Causality
internal import FieldRecords
internal import Merge
public import RecordSchema
internal import Recording
internal import ReplicaStore
internal import SyncProtocol

/// Which conflicts are asked for: those for which all of this holds.
public struct ConflictFilter: Hashable, Sendable {
    public var conflictClass: ConflictClass?
    /// As `karvan list` takes it: `visit`, `attendance`.
    public var kind: String?
    /// Or the rule that found it.
    public var column: String?
    /// What the record belongs to.
    public var item: RowID?
    public var delegation: RowID?
    /// One of the candidates was written on it, or by this person.
    public var device: String?
    public var person: String?
    /// Something stands beside what is shown since then at least, in milliseconds since 1970.
    public var beforeMilliseconds: Int64?

    public init() {}

    fileprivate var asksForCandidates: Bool { device != nil || person != nil }
    fileprivate var asksForPlace: Bool { item != nil || delegation != nil }
}

/// Some of the open conflicts.
public struct ConflictPage: Sendable {
    public var conflicts: [Conflict] = []
    /// There are others that the filter lets through.
    public var hasMore = false
    /// All that are open, whatever the filter says; where one column tolerates something, those of them too.
    public var openCount = 0
    /// One of those that the filter lets through needs a decision, put off or not.
    public var needsDecision = false
    /// Those that the filter lets through and that were put off, listed or not.
    public var deferredCount = 0
}

extension Conflicts {
    /// What waits to be looked at, in its order.
    private struct Waiting: Comparable {
        var since: UInt64
        /// Its place among all.
        var index: Int
        var conflictClass: ConflictClass
        var source: Source

        static func < (a: Self, b: Self) -> Bool { (a.since, a.index) < (b.since, b.index) }
        static func == (a: Self, b: Self) -> Bool { a.index == b.index }
    }

    private enum Source {
        case cell(OpenConflict)
        case conflict(Conflict)
    }

    /// The open conflicts, the ones that need a decision first, then the oldest first. Only those that are told are
    /// looked up in the log.
    ///
    /// - Parameters:
    ///   - limit: how many at most; `nil` for all.
    ///   - includesDeferred: those put off among them.
    public func page(
        _ filter: ConflictFilter = ConflictFilter(), limit: Int? = nil,
        includesDeferred: Bool = true
    ) throws -> ConflictPage {
        try replica.read {
            let deferrals = try activeDeferrals()
            var page = ConflictPage()
            let (decisions, toNote) = try waiting()
            var notices = toNote
            page.openCount = decisions.count + notices.count
            if !deferrals.isEmpty {
                page.deferredCount = try deferred(
                    among: decisions + notices, filter, deferrals)
            }
            /// - Returns: whether there is room for another one.
            func tell(_ conflict: Conflict) throws -> Bool {
                guard try lets(conflict, through: filter) else { return true }
                if conflict.conflictClass == .decision { page.needsDecision = true }
                var conflict = conflict
                conflict.deferral = deferrals[.blob(conflict.id.bytes)]
                if conflict.deferral != nil, !includesDeferred { return true }
                guard page.conflicts.count < limit ?? .max else {
                    page.hasMore = true
                    return false
                }
                page.conflicts.append(conflict)
                return true
            }
            for var next in decisions where try mayPass(next, filter) {
                guard let conflict = try conflict(of: next, filter) else { continue }
                if conflict.conflictClass < .decision {
                    // Within what its column tolerates: it comes among the others.
                    next.source = .conflict(conflict)
                    notices.append(next)
                } else if try !tell(conflict) {
                    return page
                }
            }
            guard filter.conflictClass != .decision else { return page }
            for next in notices.sorted()
            where try mayPass(next, filter) {
                guard let conflict = try conflict(of: next, filter) else { continue }
                guard try tell(conflict) else { return page }
            }
            return page
        }
    }

    /// All that is open by what it may need at most, the oldest first.
    private func waiting() throws -> (decisions: [Waiting], notices: [Waiting]) {
        let ruled = try openFindings()
        let told = Set(ruled.map(\.ruling))
        var waiting: [Waiting] = []
        for (place, since) in try replica.openConflictsWithTimes()
        where place.table != Forum.ruling.id || !told.contains(place.row) {
            guard let greatest = greatestClass(of: place), greatest > .silent else { continue }
            waiting.append(
                Waiting(
                    since: since.rawValue, index: waiting.count, conflictClass: greatest,
                    source: .cell(place)))
        }
        for finding in ruled {
            let conflict = try conflict(of: finding)
            waiting.append(
                Waiting(
                    since: conflict.since?.rawValue ?? 0, index: waiting.count,
                    conflictClass: conflict.conflictClass,
                    source: .conflict(conflict)))
        }
        waiting.sort()
        return (
            waiting.filter { $0.conflictClass == .decision },
            waiting.filter { $0.conflictClass < .decision }
        )
    }

    /// How many were put off: only what somebody has put off is looked at.
    private func deferred(
        among waiting: [Waiting], _ filter: ConflictFilter, _ deferrals: [Value: Deferral]
    ) throws -> Int {
        let subjects = Set(try replica.query("SELECT subject_table, subject FROM deferral"))
        return try waiting.count { waiting in
            switch waiting.source {
            case .conflict(let conflict):
                return try deferrals[.blob(conflict.id.bytes)] != nil
                    && lets(conflict, through: filter)
            case .cell(let place):
                let subject: [Value] = [
                    .integer(Int64(place.table)), .blob(place.row.identifier.bytes),
                ]
                guard subjects.contains(subject), let found = try found(at: place),
                    deferrals[.blob(found.id.bytes)] != nil
                else { return false }
                return try mayPass(waiting, filter)
                    && lets(try conflict(of: found), through: filter)
            }
        }
    }

    /// Whether it is worth a look into the row, or the log.
    private func mayPass(_ waiting: Waiting, _ filter: ConflictFilter) throws -> Bool {
        if let before = filter.beforeMilliseconds, Int64(waiting.since >> 16) > before {
            return false
        }
        guard case .cell(let place) = waiting.source,
            let table = replica.schema.table(id: place.table)
        else { return true }
        if filter.conflictClass == .notice, waiting.conflictClass == .decision,
            !mayBeTolerated(place)
        {
            return false
        }
        if let kind = filter.kind, try records.subject(table, place.row).kind != kind {
            return false
        }
        let column = place.column == CellKey.life.column ? nil : table.column(id: place.column)
        if let name = filter.column, column?.name != name { return false }
        return try !filter.asksForPlace || isIn(filter, table, place.row)
    }

    private func conflict(of waiting: Waiting, _ filter: ConflictFilter) throws -> Conflict? {
        switch waiting.source {
        case .conflict(let conflict): return conflict
        case .cell(let place):
            guard let found = try found(at: place) else { return nil }
            if filter.conflictClass.map({ $0 != found.conflictClass }) ?? false { return nil }
            return try conflict(of: found)
        }
    }

    private func lets(_ conflict: Conflict, through filter: ConflictFilter) throws -> Bool {
        let subject = conflict.subject
        if filter.conflictClass.map({ $0 != conflict.conflictClass }) ?? false { return false }
        if filter.kind.map({ $0 != subject.kind }) ?? false { return false }
        if let name = filter.column, name != (conflict.rule ?? subject.column?.name) {
            return false
        }
        if filter.asksForPlace, try !isIn(filter, subject.table, subject.row) { return false }
        guard filter.asksForCandidates else { return true }
        return conflict.candidates.contains { candidate in
            guard let provenance = candidate.provenance else { return false }
            return filter.device.map { $0 == provenance.device } ?? true
                && filter.person.map { $0 == provenance.person } ?? true
        }
    }

    private func isIn(_ filter: ConflictFilter, _ table: Table, _ row: RowID) throws -> Bool {
        let place = try records.place(of: row, in: table)
        return filter.item.map { $0 == place.item } ?? true
            && filter.delegation.map { $0 == place.delegation } ?? true
    }
}
