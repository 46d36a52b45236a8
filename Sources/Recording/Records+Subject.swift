public import Causality
internal import FieldRecords
internal import Merge
public import RecordSchema
internal import ReplicaStore

extension Records {
    /// What people call the thing that a row is about: of an observation the attendance of a
    /// person at an item, of a tally the zone, of a walk-in their name.
    ///
    /// - Returns: what kind of thing it is, as `karvan list` takes it, and its name.
    public func subject(_ table: Table, _ id: RowID) throws -> (kind: String, name: String) {
        switch table {
        case Forum.observation:
            let found = try replica.query(
                """
                SELECT i.code, p.badge, coalesce(p.name_native, p.name_latin)
                FROM observation o LEFT JOIN item i ON i.id = o.item
                LEFT JOIN person_identity s ON s.person = o.person
                LEFT JOIN person p ON p.id = coalesce(s.canonical, o.person)
                WHERE o.id = ?
                """, .blob(id.identifier.bytes))
            guard let row = found.first else { break }
            let person = row[1] == .null ? row[2] : row[1]
            return ("attendance", "\(Self.plain(row[0]))/\(Self.plain(person))")
        case Forum.tally:
            let found = try replica.query(
                "SELECT i.code, t.zone FROM tally t LEFT JOIN item i ON i.id = t.item WHERE t.id = ?",
                .blob(id.identifier.bytes))
            guard let row = found.first else { break }
            return ("tally", "\(Self.plain(row[0]))/\(Self.plain(row[1]))")
        case Forum.person:
            let found = try replica.query(
                "SELECT coalesce(badge, name_native, name_latin) FROM person WHERE id = ?",
                .blob(id.identifier.bytes))
            guard case .text(let name)? = found.first?[0] else { break }
            return ("person", name)
        case Forum.ruling:
            let found = try replica.query(
                "SELECT rule, subject_table, subject FROM ruling WHERE id = ?",
                .blob(id.identifier.bytes))
            guard let row = found.first, case .text(let rule) = row[0],
                case .integer(let number) = row[1], case .blob(let bytes) = row[2],
                let about = UInt32(exactly: number).flatMap(replica.schema.table(id:)),
                let subject = Identifier(bytes), about != Forum.ruling
            else { break }
            let (kind, name) = try self.subject(about, RowID(subject))
            return (kind, "\(name) \(rule)")
        default: break
        }
        return (table.name, try name(of: id, in: table))
    }
}
