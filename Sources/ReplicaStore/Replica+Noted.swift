internal import Causality
internal import Merge
internal import RecordSchema
internal import SyncProtocol

/// What other programs wrote and nobody could take in yet, while the rows are made anew.
extension Replica {
    /// Rows of one table in which columns are noted.
    struct NotedRows {
        var table: Table
        /// The columns, by row; 0 for all.
        var columns: [RowID: Set<UInt32>] = [:]
        /// What lives of each column, in no names.
        var live: [RowID: [UInt32: [[Value]]]] = [:]
    }

    /// Keeps the rows as they stand in the tables.
    func keepNoted() throws(StoreError) -> [NotedRows] {
        var noted: [NotedRows] = []
        for table in schema.tables {
            var rows = NotedRows(table: table)
            for row in try connection.rows(
                "SELECT id, col FROM sy_dirty WHERE tbl = ?", .integer(Int64(table.id)))
            {
                guard case .blob(let bytes) = row[0], let id = Identifier(bytes),
                    case .integer(let column) = row[1], let column = UInt32(exactly: column)
                else { continue }
                rows.columns[RowID(id), default: []].insert(column)
            }
            guard !rows.columns.isEmpty else { continue }
            for row in rows.columns.keys { rows.live[row] = try live(table, row) }
            try connection.execute("DROP TABLE IF EXISTS \(kept(table))")
            try connection.execute(
                """
                CREATE TEMP TABLE noted_\(table.name) AS SELECT * FROM main.\(table.name)
                WHERE id IN (SELECT id FROM sy_dirty WHERE tbl = \(table.id))
                """)
            noted.append(rows)
        }
        return noted
    }

    private func kept(_ table: Table) -> String { "temp.noted_\(table.name)" }

    /// The times and values that live of a row's columns.
    private func live(_ table: Table, _ row: RowID) throws(StoreError) -> [UInt32: [[Value]]] {
        var live: [UInt32: [[Value]]] = [:]
        // A clock that is damaged tells nothing, and is made anew.
        for (column, entry) in (try? rows.clock(table.id, row))?.shown ?? [] {
            live[column, default: []].append([.integer(Int64(bitPattern: entry.time.rawValue))])
        }
        let beside = try connection.rows(
            """
            SELECT col, elem, hlc, kind, val FROM sy_live
            WHERE open IN (0, 1) AND tbl = ? AND id = ? ORDER BY col, elem, hlc, kind, val
            """, .integer(Int64(table.id)), .blob(row.identifier.bytes))
        for values in beside {
            guard case .integer(let column) = values[0] else { continue }
            live[UInt32(clamping: column), default: []].append(Array(values.dropFirst()))
        }
        return live
    }

    /// Writes the noted columns over what the log says, but where that is not what it was: others have
    /// changed it, and what was noted was written without knowing of that.
    func putBack(_ noted: [NotedRows]) throws(StoreError) {
        for rows in noted {
            for (row, columns) in rows.columns.sorted(by: { $0.key < $1.key }) {
                try putBack(row, columns, rows)
            }
            try connection.execute("DROP TABLE \(kept(rows.table))")
        }
        rows.forget()
    }

    private func putBack(
        _ row: RowID, _ columns: Set<UInt32>, _ noted: NotedRows
    ) throws(StoreError) {
        let (table, kept, id) = (noted.table, kept(noted.table), Value.blob(row.identifier.bytes))
        let name = table.name
        guard try connection.value("SELECT 1 FROM \(kept) WHERE id = ?", id) != nil else {
            guard columns.contains(0) else { return }
            // What was taken away keeps its clocks, as it did then.
            try connection.run(
                """
                INSERT OR REPLACE INTO sy_row
                SELECT \(table.id), id, \(Layout.clockColumn) FROM \(name) WHERE id = ?
                """, id)
            return try connection.run("DELETE FROM \(name) WHERE id = ?", id)
        }
        guard try connection.value("SELECT 1 FROM \(name) WHERE id = ?", id) != nil else {
            // The log doesn't show it, or knows nothing of it.
            try connection.run(
                "UPDATE \(kept) SET \(Layout.clockColumn) = NULL WHERE id = ?", id)
            return try connection.run(
                "INSERT INTO \(name) SELECT * FROM \(kept) WHERE id = ?", id)
        }
        let live = try live(table, row)
        for column in table.columns where columns.contains(0) || columns.contains(column.id) {
            guard live[column.id] == noted.live[row]?[column.id] else { continue }
            for part in column.sqlColumns.map(\.name) {
                try connection.run(
                    """
                    UPDATE \(name) SET \(part) = (SELECT \(part) FROM \(kept) WHERE id = ?1)
                    WHERE id = ?1
                    """, id)
            }
        }
    }
}
