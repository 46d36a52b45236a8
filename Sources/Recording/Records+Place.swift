public import Causality
internal import FieldRecords
internal import Merge
public import RecordSchema
internal import ReplicaStore

/// What a record belongs to, as far as it says.
public struct RecordPlace: Hashable, Sendable {
    public var item: RowID?
    public var delegation: RowID?
}

extension Records {
    /// The item and the delegation of a record: its own, or those of what it is about, or of the person whom it
    /// names.
    public func place(of row: RowID, in table: Table) throws -> RecordPlace {
        switch table {
        case Forum.item: return RecordPlace(item: row)
        case Forum.delegation: return RecordPlace(delegation: row)
        default: break
        }
        func column(_ name: String) -> String {
            table.column(named: name) == nil ? "NULL" : name
        }
        let names = ["item", "delegation", "person", "subject_table", "subject"]
        let found = try replica.query(
            "SELECT \(names.map(column).joined(separator: ", ")) FROM \(table.name) WHERE id = ?",
            .blob(row.identifier.bytes))
        guard let values = found.first else { return RecordPlace() }
        if case .integer(let number) = values[3], let subject = Self.row(values[4]),
            let about = UInt32(exactly: number).flatMap(replica.schema.table(id:)), about != table
        {
            return try place(of: subject, in: about)
        }
        var place = RecordPlace(item: Self.row(values[0]), delegation: Self.row(values[1]))
        if place.delegation == nil, let person = Self.row(values[2]) {
            place.delegation = try delegation(of: person)
        }
        return place
    }

    private static func row(_ value: Value) -> RowID? {
        guard case .blob(let bytes) = value else { return nil }
        return Identifier(bytes).map { RowID($0) }
    }
}
