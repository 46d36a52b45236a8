public import Causality
public import FieldRecords
internal import Merge
internal import RecordSchema
public import ReplicaStore

/// One person's attendance as it was recorded just now.
public struct AttendanceMark: Hashable, Sendable {
    public var badge: String
    public var name: String
    public var observation: RowID
    /// How the person stood before: `in`, `out`, `absent`, `excused`; `nil` for not at all.
    public var before: String?
    /// Since when, in milliseconds since 1970, and at which door, if they were in before.
    public var beforeSince: Int64?
    public var beforeDoor: String?
}

/// What to record of the people at an item.
public struct AttendanceEntry: Sendable {
    public var kind: ObservationKind
    public var method: ObservationMethod
    /// When it happened; `nil` for now.
    public var claimedMilliseconds: Int64?
    public var door: String?
    public var reason: String?

    public init(
        kind: ObservationKind, method: ObservationMethod, claimedMilliseconds: Int64? = nil,
        door: String? = nil, reason: String? = nil
    ) {
        self.kind = kind
        self.method = method
        self.claimedMilliseconds = claimedMilliseconds
        self.door = door
        self.reason = reason
    }
}

extension Records {
    /// Records one observation for each person, all in one transaction.
    ///
    /// Each names the observations that stood when it was made: what this laptop showed.
    ///
    /// - Parameters:
    ///   - people: badges; an unknown one refuses all.
    ///   - author: the person recording.
    public func attend(
        _ item: String, _ people: [String], _ entry: AttendanceEntry, author: String
    ) throws -> (marks: [AttendanceMark], receipt: WriteReceipt) {
        let itemRow = try row(in: Forum.item, item)
        let rows = try people.map { (badge: $0, row: try row(in: Forum.person, $0)) }
        let claimed = entry.claimedMilliseconds
        let (marks, receipt) = try replica.write(author: author, claimed: claimed) { transaction in
            // Two badges may be of one person: then what was made for the first stands for the second.
            var made: Set<RowID> = []
            return try rows.map { person in
                let mark = try mark(itemRow, person.row, entry, besides: made, in: transaction)
                made.insert(mark.observation)
                return mark
            }
        }
        return (marks, receipt)
    }

    /// - Parameter made: observations of this transaction, which the log doesn't have yet.
    private func mark(
        _ item: RowID, _ person: RowID, _ entry: AttendanceEntry, besides made: Set<RowID>,
        in transaction: WriteTransaction
    ) throws -> AttendanceMark {
        let seen = try standing(item, person)
        for observation in seen where !made.contains(observation.id) {
            try holdPlace(of: observation.id)
        }
        let before = try replica.query(
            "SELECT state, first_in FROM attendance WHERE item = ? AND person = ?",
            .blob(item.identifier.bytes), .blob(try canonical(of: person).identifier.bytes)
        ).first
        let now = entry.claimedMilliseconds ?? replica.environment.wallMilliseconds()
        let id = try transaction.insert(
            into: Forum.observation,
            observation(
                item, person, entry.kind, method: entry.method, at: now, door: entry.door,
                reason: entry.reason, seen: seen.map(\.id)),
            dividedBy: try delegation(of: person))
        var mark = AttendanceMark(
            badge: try name(of: person, in: Forum.person), name: try personName(person),
            observation: id)
        if case .text(let state)? = before?[0] { mark.before = state }
        if case .integer(let since)? = before?[1] { mark.beforeSince = since }
        mark.beforeDoor = seen.compactMap(\.door).last
        return mark
    }

    /// The values of an observation, in the order of its table.
    private func observation(
        _ item: RowID, _ person: RowID, _ kind: ObservationKind, method: ObservationMethod,
        at milliseconds: Int64, door: String? = nil, reason: String? = nil, voids: RowID? = nil,
        seen: [RowID] = []
    ) -> [Value?] {
        let values: [String: Value?] = [
            "item": .blob(item.identifier.bytes), "person": .blob(person.identifier.bytes),
            "kind": .text(kind.rawValue), "method": .text(method.rawValue),
            "claimed_at": .integer(milliseconds), "door": door.map(Value.text),
            "reason": reason.map(Value.text),
            "voids": voids.map { Value.blob($0.identifier.bytes) },
            "seen": seen.isEmpty ? nil : .blob(seen.flatMap(\.identifier.bytes)),
        ]
        return Forum.observation.columns.map { values[$0.name] ?? nil }
    }

    /// The observations of a person at an item that no void names, oldest claim first; also those
    /// of whoever is merged with them, since that is what was shown.
    private func standing(
        _ item: RowID, _ person: RowID
    ) throws -> [(id: RowID, kind: String, door: String?)] {
        try replica.query(
            """
            SELECT id, kind, door FROM observation o WHERE item = ?1
            AND (person = ?2 OR person IN (SELECT person FROM person_identity WHERE canonical = ?2))
            AND kind <> 'void' AND NOT EXISTS (SELECT 1 FROM observation v WHERE v.voids = o.id)
            ORDER BY claimed_at, id
            """, .blob(item.identifier.bytes), .blob(try canonical(of: person).identifier.bytes)
        ).compactMap { row in
            guard case .blob(let bytes) = row[0], let id = Identifier(bytes),
                case .text(let kind) = row[1]
            else { return nil }
            var door: String?
            if case .text(let text) = row[2] { door = text }
            return (RowID(id), kind, door)
        }
    }

    /// Takes back this laptop's last observation of a person at an item.
    ///
    /// - Throws: ``RecordError`` when this laptop has made none that still stands.
    public func undoAttendance(
        _ item: String, _ person: String, author: String
    ) throws -> (mark: AttendanceMark, kind: String, receipt: WriteReceipt) {
        let itemRow = try row(in: Forum.item, item)
        let personRow = try row(in: Forum.person, person)
        let (result, receipt) = try replica.write(author: author) { transaction in
            let candidates = try standing(itemRow, personRow)
            guard let last = try candidates.last(where: { try isOwn($0.id) }) else {
                throw RecordError(
                    "this laptop has recorded nothing of \(person) at \(item) that could be undone")
            }
            for observation in candidates { try holdPlace(of: observation.id) }
            let id = try transaction.insert(
                into: Forum.observation,
                observation(
                    itemRow, personRow, .void, method: .search,
                    at: replica.environment.wallMilliseconds(), voids: last.id,
                    seen: candidates.map(\.id)), dividedBy: last.id)
            let mark = AttendanceMark(
                badge: try name(of: personRow, in: Forum.person),
                name: try personName(personRow), observation: id)
            return (mark, last.kind)
        }
        return (result.0, result.1, receipt)
    }

    /// An observation that a new one names is the one that the log knows.
    private func holdPlace(of observation: RowID) throws {
        let names = ["item", "person", "kind", "voids"]
        try replica.holdAgainstLog(
            Forum.observation, observation, names.map(Forum.observation.declared))
    }

    /// Whether this laptop made the row.
    private func isOwn(_ observation: RowID) throws -> Bool {
        let state = try replica.state(Forum.observation.id, observation)
        guard let dot = state.cells.first?.cell.live.first?.dot else { return false }
        return replica.writes(to: dot.stream)
    }

    /// The row of the delegation that a person is of: what is recorded of them lies in its scope.
    func delegation(of person: RowID) throws -> RowID? {
        let found = try replica.query(
            "SELECT delegation FROM person WHERE id = ?", .blob(person.identifier.bytes))
        guard case .blob(let bytes)? = found.first?[0] else { return nil }
        return Identifier(bytes).map { RowID($0) }
    }
}
