internal import Causality
internal import FieldRecords
internal import Merge
internal import RecordSchema
public import ReplicaStore

/// Which observations of a badge are the second person's.
public enum SplitChoice: Sendable {
    /// By id, or the start of it.
    case observations([String])
    /// All at these items that nobody took back.
    case items([String])
}

extension Records {
    /// Parts two people who went by one badge: makes the second one, and moves observations.
    ///
    /// An observation never changes. To move one is to void it, and to record the same of the
    /// second person; all in one transaction. Merging the second person back undoes it.
    ///
    /// - Parameter person: the delegation is that of the badge unless given.
    /// - Throws: ``RecordError`` for an observation that isn't the badge's, or was taken back.
    public func split(
        _ badge: String, _ second: NewPerson, _ choice: SplitChoice, author: String
    ) throws -> (
        first: PersonLabel, second: PersonLabel, movedCount: Int, receipt: WriteReceipt
    ) {
        let first = try row(in: Forum.person, badge)
        let delegation =
            second.delegation.isEmpty
            ? try delegationRow(of: first) : try row(in: Forum.delegation, second.delegation)
        let values = try Self.values(of: second, delegation)
        let (result, receipt) = try replica.write(author: author) { transaction in
            let chosen = try observations(of: first, badge, choice)
            let other = try transaction.insert(into: Forum.person, values)
            try move(chosen, to: other, of: delegation, in: transaction)
            return (other, chosen.count)
        }
        return (try label(of: first), try label(of: result.0), result.1, receipt)
    }

    private func delegationRow(of person: RowID) throws -> RowID? {
        guard let delegation = try delegation(of: person) else { return nil }
        try replica.holdAgainstLog(Forum.person, person, [Forum.person.declared("delegation")])
        return delegation
    }

    private func observations(
        of person: RowID, _ badge: String, _ choice: SplitChoice
    ) throws -> [RowID] {
        switch choice {
        case .observations(let names):
            let rows = try names.map { (name: $0, row: try row(in: Forum.observation, $0)) }
            let standing = try standingObservations(of: person, item: nil)
            for (name, row) in rows where !standing.contains(row) {
                throw RecordError(
                    "observation \(name) is not one of \(badge) that stands: it is of someone else,"
                        + " or was taken back")
            }
            return Set(rows.map(\.row)).sorted()
        case .items(let items):
            let rows = try items.map { try row(in: Forum.item, $0) }
            return try Set(
                rows.flatMap { try standingObservations(of: person, item: $0) }
            ).sorted()
        }
    }

    private func standingObservations(of person: RowID, item: RowID?) throws -> [RowID] {
        try replica.query(
            """
            SELECT id FROM observation o WHERE person = ?1 AND (?2 IS NULL OR item = ?2)
            AND kind <> 'void'
            AND NOT EXISTS (SELECT 1 FROM observation v WHERE v.voids = o.id AND v.kind = 'void')
            """, .blob(person.identifier.bytes),
            item.map { .blob($0.identifier.bytes) } ?? .null
        ).compactMap { row in
            guard case .blob(let bytes) = row[0] else { return nil }
            return Identifier(bytes).map { RowID($0) }
        }
    }

    /// - Parameter observations: sorted by id, and so by time: what one has in `seen` comes first.
    private func move(
        _ observations: [RowID], to second: RowID, of delegation: RowID?,
        in transaction: WriteTransaction
    ) throws {
        let names = Forum.observation.columns.map(\.name)
        var moved: [RowID: RowID] = [:]
        for observation in observations {
            let found = try replica.query(
                "SELECT \(names.joined(separator: ", ")) FROM observation WHERE id = ?",
                .blob(observation.identifier.bytes))
            guard let row = found.first else { continue }
            // All of it is copied.
            try replica.holdAgainstLog(Forum.observation, observation)
            var values = Dictionary(uniqueKeysWithValues: zip(names, row))
            var void = values
            void["kind"] = .text(ObservationKind.void.rawValue)
            void["voids"] = .blob(observation.identifier.bytes)
            for name in ["door", "reason"] { void[name] = .null }
            void["seen"] = .blob(observation.identifier.bytes)
            try transaction.insert(
                into: Forum.observation, Self.written(void), dividedBy: observation)
            values["person"] = .blob(second.identifier.bytes)
            values["seen"] = .blob(Self.seen(values["seen"], moved).flatMap(\.identifier.bytes))
            moved[observation] = try transaction.insert(
                into: Forum.observation, Self.written(values), dividedBy: delegation)
        }
    }

    /// What of the observations that its author saw moved as well, under its new id.
    private static func seen(_ value: Value?, _ moved: [RowID: RowID]) -> [RowID] {
        guard case .blob(let bytes)? = value else { return [] }
        return stride(from: 0, to: bytes.count - bytes.count % 16, by: 16).compactMap { start in
            Identifier(Array(bytes[start..<start + 16])).flatMap { moved[RowID($0)] }
        }
    }

    /// In the order of the table; what is empty isn't written.
    private static func written(_ values: [String: Value]) -> [Value?] {
        Forum.observation.columns.map { column in
            guard let value = values[column.name], value != .null, value != .blob([]) else {
                return nil
            }
            return value
        }
    }
}
