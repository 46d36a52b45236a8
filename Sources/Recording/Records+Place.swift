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

    /// The records of a table for which a condition in SQL holds.
    ///
    /// - Throws: ``RecordError`` for a condition that SQLite can't read, or that has no answer.
    public func rows(of table: Table, where condition: String) throws -> Set<RowID> {
        guard !Self.hasSeveralStatements(condition) else {
            throw RecordError("a condition is one expression: it holds no “;”")
        }
        // The line's end ends a comment too.
        let sql = "SELECT id FROM \(table.name) WHERE (\(condition)\n)"
        let found: [[Value]]
        do throws(StoreError) {
            found = try replica.readOnlyQuery(sql).rows
        } catch {
            guard case .invalid(let detail) = error else { throw error }
            throw RecordError(
                "\(detail). The columns of \(table.name) are "
                    + table.columns.map(\.name).joined(separator: ", "))
        }
        return Set(found.compactMap { Self.row($0[0]) })
    }

    /// A semicolon outside of what is quoted ends a statement, and SQLite passes over what follows.
    private static func hasSeveralStatements(_ sql: String) -> Bool {
        var quote: Character?
        for character in sql {
            if let open = quote {
                if character == open { quote = nil }
            } else if character == "'" || character == "\"" {
                quote = character
            } else if character == ";" {
                return true
            }
        }
        return false
    }

    private static func row(_ value: Value) -> RowID? {
        guard case .blob(let bytes) = value else { return nil }
        return Identifier(bytes).map { RowID($0) }
    }
}
