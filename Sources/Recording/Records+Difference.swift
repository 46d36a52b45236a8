public import Causality
internal import FieldRecords
internal import Merge
public import RecordSchema
internal import ReplicaStore

/// What a row shows in one state of the records and in another one.
public struct RowDifference: Sendable {
    public enum Kind: String, Sendable {
        case added, removed, changed
    }

    public struct Cell: Hashable, Sendable {
        public var column: String
        /// As people read it; empty for nothing.
        public var before: String
        public var after: String
    }

    public var kind: Kind
    public var table: Table
    public var row: RowID
    /// What people call it: where it is shown.
    public var name: String
    /// In the order of the table, those that differ.
    public var cells: [Cell]
}

extension Records {
    /// The tables that other programs and the hub keep; people don't record in them.
    private static let inner: Set<String> = [Forum.device.name]

    /// What differs between other records and these, in the order of tables and rows.
    ///
    /// - Parameters:
    ///   - before: an earlier state, or another replica's.
    ///   - table: of this one alone; `nil` for all that people record in.
    public func differences(from before: Records, in table: Table? = nil) throws -> [RowDifference]
    {
        let tables =
            table.map { [$0] } ?? replica.schema.tables.filter { !Self.inner.contains($0.name) }
        return try replica.read {
            try before.replica.read {
                try tables.flatMap { try differences(from: before, table: $0) }
            }
        }
    }

    private func differences(from before: Records, table: Table) throws -> [RowDifference] {
        let (old, new) = (try before.values(of: table), try values(of: table))
        return try Set(old.keys).union(new.keys).sorted().compactMap { row in
            let (was, now) = (old[row], new[row])
            guard was != now else { return nil }
            let holder = now == nil ? before : self
            let cells = try table.sqlColumns.indices.compactMap { index -> RowDifference.Cell? in
                let (a, b) = (was?[index] ?? .null, now?[index] ?? .null)
                guard a != b else { return nil }
                let column = table.sqlColumns[index]
                return RowDifference.Cell(
                    column: column.name, before: try before.text(of: a, at: column.name, in: table),
                    after: try text(of: b, at: column.name, in: table))
            }
            return RowDifference(
                kind: was == nil ? .added : now == nil ? .removed : .changed, table: table,
                row: row,
                name: try holder.name(of: row, in: table), cells: cells)
        }
    }

    private func values(of table: Table) throws -> [RowID: [Value]] {
        let names = table.sqlColumns.map(\.name).joined(separator: ", ")
        var rows: [RowID: [Value]] = [:]
        for values in try replica.query("SELECT id, \(names) FROM \(table.name)") {
            guard case .blob(let bytes) = values[0], let id = Identifier(bytes) else { continue }
            rows[RowID(id)] = Array(values.dropFirst())
        }
        return rows
    }

    /// - Parameter name: of a column of SQL, which may be a part of a declared one.
    private func text(of value: Value, at name: String, in table: Table) throws -> String {
        guard let column = table.column(named: name) else { return Self.plain(value) }
        switch column.shape {
        case .register, .set(.blob): return try text(of: value, in: column)
        default: return Self.plain(value)
        }
    }
}
