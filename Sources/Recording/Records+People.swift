public import Causality
internal import FieldRecords
internal import Merge
internal import RecordSchema
public import ReplicaStore
internal import SyncProtocol

/// A person as people tell them apart.
public struct PersonLabel: Hashable, Sendable {
    public var id: RowID
    /// The badge; for someone without one the start of the id that names them.
    public var name: String
    public var nativeName: String
    public var latinName: String
    public var delegation: String
    public var role: String
    /// Nobody can read who they were any more.
    public var isErased = false
}

/// A person who joins without being on a list.
public struct NewPerson: Sendable {
    public var nativeName: String
    public var latinName: String?
    public var delegation: String
    public var role: String?

    public init(
        nativeName: String, latinName: String? = nil, delegation: String, role: String? = nil
    ) {
        self.nativeName = nativeName
        self.latinName = latinName
        self.delegation = delegation
        self.role = role
    }
}

extension Records {
    /// The fewest digits of an id that name a person without a badge: those of its time.
    private static let shortDigits = 12

    // MARK: Walk-ins

    /// Adds a person without a badge.
    ///
    /// - Returns: also who has a name like theirs, by ``FieldRecords/NameFold``. It is for the one
    ///   who adds to judge whether they are one: nothing is refused.
    public func addPerson(
        _ person: NewPerson, author: String
    ) throws -> (person: PersonLabel, alike: [PersonLabel], receipt: WriteReceipt) {
        let delegation = try row(in: Forum.delegation, person.delegation)
        let values = try Self.values(of: person, delegation)
        let (found, receipt) = try replica.write(author: author) { transaction in
            let alike = try people(named: [person.nativeName, person.latinName ?? ""])
            return (try transaction.insert(into: Forum.person, values), alike)
        }
        return (try label(of: found.0), found.1, receipt)
    }

    /// The values of a person without a badge, in the order of the table.
    static func values(
        of person: NewPerson, _ delegation: RowID?
    ) throws(RecordError) -> [Value?] {
        guard person.nativeName.contains(where: { !$0.isWhitespace }) else {
            throw RecordError("a person needs a name: give it with --native")
        }
        let values: [String: Value?] = [
            "name_native": .text(person.nativeName),
            "name_latin": person.latinName.map(Value.text),
            "role": person.role.map(Value.text),
            "delegation": delegation.map { .blob($0.identifier.bytes) },
        ]
        return Forum.person.columns.map { values[$0.name] ?? nil }
    }

    /// The people whose name folds as one of `names`, by badge and id.
    private func people(named names: [String]) throws -> [PersonLabel] {
        let keys = Set(names.map(NameFold.key)).subtracting([""])
        return try replica.query(
            "SELECT id, name_native, name_latin FROM person ORDER BY badge, id"
        ).compactMap { row in
            let found = row[1...].map { NameFold.key(Self.plain($0)) }
            guard found.contains(where: keys.contains), case .blob(let bytes) = row[0],
                let id = Identifier(bytes)
            else { return nil }
            return try label(of: RowID(id))
        }
    }

    /// How to call a person, and who they are.
    public func label(of id: RowID) throws -> PersonLabel {
        let found = try replica.query(
            """
            SELECT p.badge, p.name_native, p.name_latin, d.code, p.role
            FROM person p LEFT JOIN delegation d ON d.id = p.delegation WHERE p.id = ?
            """, .blob(id.identifier.bytes)
        ).first?.map(Self.plain)
        let parts = found ?? ["", "", "", "", ""]
        return PersonLabel(
            id: id, name: parts[0].isEmpty ? try shortID(of: id) : parts[0],
            nativeName: parts[1], latinName: parts[2], delegation: parts[3], role: parts[4],
            isErased: try replica.erasedPeople().contains(id))
    }

    /// As much of the id as names the person here, and a little more for what others may add.
    private func shortID(of id: RowID) throws -> String {
        var count = Self.shortDigits
        while count < 32 {
            let found = try replica.query(
                "SELECT count(*) FROM person WHERE hex(id) LIKE ? || '%'",
                .text(id.description.prefix(count).uppercased()))
            if case .integer(let people)? = found.first?[0], people <= 1 { break }
            count += 4
        }
        return String(id.description.prefix(count))
    }

    // MARK: Delegations

    /// Moves a person to another delegation. Two laptops that do so apart are in conflict.
    public func transfer(
        _ person: String, to delegation: String, author: String
    ) throws -> (person: PersonLabel, from: String, receipt: WriteReceipt) {
        let id = try row(in: Forum.person, person)
        let target = try row(in: Forum.delegation, delegation)
        let column = Forum.person.declared("delegation")
        let before = try label(of: id).delegation
        let (_, receipt) = try replica.write(author: author) { transaction in
            try transaction.set(Forum.person, id, [(column, .blob(target.identifier.bytes))])
        }
        return (try label(of: id), before, receipt)
    }
}
