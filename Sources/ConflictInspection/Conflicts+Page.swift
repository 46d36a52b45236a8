public import Causality
internal import FieldRecords
internal import Merge
public import RecordSchema
internal import Recording
internal import ReplicaStore
internal import SyncProtocol

/// Which conflicts are asked for: those for which all of this holds.
public struct ConflictFilter: Sendable {
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
    /// Of those records of a table alone for which this holds, in SQL, when the conflicts are read; `nil` for all.
    public var condition: (table: Table, sql: String)?
    /// Something stands beside what is shown since then at least, in milliseconds since 1970.
    public var beforeMilliseconds: Int64?

    public init() {}

    var asksForCandidates: Bool { device != nil || person != nil }
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

    public init() {}

    /// What is said where a filter lets nothing through.
    public static func noneText(openCount: Int) -> String {
        switch openCount {
        case 0: "No open conflicts."
        case 1: "No such conflicts are open; 1 other is."
        default: "No such conflicts are open; \(openCount) others are."
        }
    }
}

/// A filter, and the records that its condition lets through now.
@dynamicMemberLookup
private struct Narrowed {
    var filter: ConflictFilter
    var rows: Set<RowID>?

    init(_ filter: ConflictFilter, rows: Set<RowID>?) {
        self.filter = filter
        self.rows = rows
    }

    subscript<T>(dynamicMember path: KeyPath<ConflictFilter, T>) -> T { filter[keyPath: path] }
}

extension Conflicts {
    /// What waits to be looked at, in its order. Small, for there may be very many.
    private struct Waiting: Comparable {
        var since: UInt64
        /// Its place among all.
        var index: Int
        var conflictClass: ConflictClass

        static func < (a: Self, b: Self) -> Bool { (a.since, a.index) < (b.since, b.index) }
        static func == (a: Self, b: Self) -> Bool { a.index == b.index }
    }

    /// All that is open.
    private struct WaitingList {
        /// Cells, and after them what rules found.
        var places: [OpenConflict] = []
        var ruled: [Conflict] = []
        /// By what each may need at most, the oldest first.
        var decisions: [Waiting] = []
        var notices: [Waiting] = []

        subscript(waiting: Waiting) -> Source {
            waiting.index < places.count
                ? .cell(places[waiting.index]) : .conflict(ruled[waiting.index - places.count])
        }
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
            let filter = try Narrowed(
                filter, rows: filter.condition.map { try records.rows(of: $0.table, where: $0.sql) }
            )
            let deferrals = try activeDeferrals()
            var page = ConflictPage()
            let waiting = try waiting()
            page.openCount = waiting.decisions.count + waiting.notices.count
            if !deferrals.isEmpty {
                page.deferredCount = try deferred(among: waiting, filter, deferrals)
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
            // Within what their column tolerates: they come among the others.
            var tolerated: [Int: Conflict] = [:]
            var notices = waiting.notices
            for next in waiting.decisions where try mayPass(next, waiting[next], filter) {
                guard let conflict = try conflict(of: waiting[next], filter) else { continue }
                if conflict.conflictClass < .decision {
                    tolerated[next.index] = conflict
                    notices.append(next)
                } else if try !tell(conflict) {
                    return page
                }
            }
            guard filter.conflictClass != .decision else { return page }
            if !tolerated.isEmpty { notices.sort() }
            for next in notices where try mayPass(next, waiting[next], filter) {
                guard
                    let conflict = try tolerated[next.index]
                        ?? conflict(of: waiting[next], filter)
                else { continue }
                guard try tell(conflict) else { return page }
            }
            return page
        }
    }

    /// As ``page(_:limit:includesDeferred:)``, and without what the log tells of values, which ``withLog(_:)`` adds to
    /// one.
    public func briefPage(
        _ filter: ConflictFilter, limit: Int?, includesDeferred: Bool
    ) throws -> ConflictPage {
        var brief = self
        brief.asksLog = filter.asksForCandidates
        return try brief.page(filter, limit: limit, includesDeferred: includesDeferred)
    }

    private func waiting() throws -> WaitingList {
        let findings = try openFindings()
        let told = Set(findings.map(\.ruling))
        var list = WaitingList()
        func add(_ since: UInt64, _ index: Int, _ conflictClass: ConflictClass) {
            let next = Waiting(since: since, index: index, conflictClass: conflictClass)
            if conflictClass == .decision {
                list.decisions.append(next)
            } else {
                list.notices.append(next)
            }
        }
        for (place, since) in try replica.openConflictsWithTimes()
        where place.table != Forum.ruling.id || !told.contains(place.row) {
            guard let greatest = greatestClass(of: place), greatest > .silent else { continue }
            add(since.rawValue, list.places.count, greatest)
            list.places.append(place)
        }
        list.ruled = try findings.map(conflict(of:))
        for (index, conflict) in list.ruled.enumerated() {
            add(
                conflict.since?.rawValue ?? 0, list.places.count + index, conflict.conflictClass)
        }
        list.decisions.sort()
        list.notices.sort()
        return list
    }

    /// How many were put off: only what somebody has put off is looked at.
    private func deferred(
        among waiting: WaitingList, _ filter: Narrowed, _ deferrals: [Value: Deferral]
    ) throws -> Int {
        let subjects = Set(try replica.query("SELECT subject_table, subject FROM deferral"))
        return try (waiting.decisions + waiting.notices).count { next in
            switch waiting[next] {
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
                return try mayPass(next, .cell(place), filter)
                    && lets(try conflict(of: found), through: filter)
            }
        }
    }

    /// Whether it is worth a look into the row, or the log.
    private func mayPass(
        _ waiting: Waiting, _ source: Source, _ filter: Narrowed
    ) throws -> Bool {
        if let before = filter.beforeMilliseconds, Int64(waiting.since >> 16) > before {
            return false
        }
        guard case .cell(let place) = source, let table = replica.schema.table(id: place.table)
        else { return true }
        if filter.conflictClass == .notice, waiting.conflictClass == .decision,
            !mayBeTolerated(place)
        {
            return false
        }
        if let rows = filter.rows, !rows.contains(place.row) { return false }
        if let kind = filter.kind, try records.subject(table, place.row).kind != kind {
            return false
        }
        let column = place.column == CellKey.life.column ? nil : table.column(id: place.column)
        if let name = filter.column, column?.name != name { return false }
        return try !filter.asksForPlace || isIn(filter, table, place.row)
    }

    private func conflict(of source: Source, _ filter: Narrowed) throws -> Conflict? {
        switch source {
        case .conflict(let conflict): return conflict
        case .cell(let place):
            guard let found = try found(at: place) else { return nil }
            if filter.conflictClass.map({ $0 != found.conflictClass }) ?? false { return nil }
            return try conflict(of: found)
        }
    }

    private func lets(_ conflict: Conflict, through filter: Narrowed) throws -> Bool {
        let subject = conflict.subject
        if filter.conflictClass.map({ $0 != conflict.conflictClass }) ?? false { return false }
        if filter.kind.map({ $0 != subject.kind }) ?? false { return false }
        if let name = filter.column, name != (conflict.rule ?? subject.column?.name) {
            return false
        }
        if let rows = filter.rows, !rows.contains(subject.row) { return false }
        if filter.asksForPlace, try !isIn(filter, subject.table, subject.row) { return false }
        guard filter.asksForCandidates else { return true }
        return conflict.candidates.contains { candidate in
            guard let provenance = candidate.provenance else { return false }
            return filter.device.map { $0 == provenance.device } ?? true
                && filter.person.map { $0 == provenance.person } ?? true
        }
    }

    private func isIn(_ filter: Narrowed, _ table: Table, _ row: RowID) throws -> Bool {
        let place = try records.place(of: row, in: table)
        return filter.item.map { $0 == place.item } ?? true
            && filter.delegation.map { $0 == place.delegation } ?? true
    }
}
