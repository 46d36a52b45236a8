internal import Causality
internal import Merge
internal import RecordSchema
internal import SyncProtocol

/// A column by its numbers.
struct SchemaColumn: Hashable {
    var table: UInt32
    var column: UInt32
}

/// What a newer schema declares, in a file that an older one laid out.
extension Replica {
    /// A build that could read less has passed over what it couldn't: the feeds are read once more, by names,
    /// and what it kept aside for a later build is looked at when something comes.
    func readAnewIfNeeded() throws(StoreError) {
        let known = try connection.meta(MetaKey.reading)
        guard known != .integer(Limits.reading) else { return }
        try transaction { () throws(StoreError) in
            if case .integer(let number)? = known, number < Limits.reading {
                try connection.run("DELETE FROM sy_peer")
                try connection.run("UPDATE sy_peer_head SET fed = 0")
                try connection.run(
                    "UPDATE sy_quar SET reason = 'GAP: ' || reason WHERE reason LIKE 'UPGRADE%'")
            }
            try connection.setMeta(MetaKey.reading, .integer(Limits.reading))
        }
    }

    /// Adds the tables and columns that the file lacks, and shows what had waited for them in
    /// `sy_live`. No changeset is written: nothing was recorded.
    ///
    /// What other programs wrote to the file meanwhile is taken in before any row is written anew:
    /// else their values would pass for the log's.
    func learnSchema() throws(StoreError) {
        guard case .integer(let version)? = try connection.meta("schema_version"),
            version < Int64(schema.version)
        else { return }
        try transaction { () throws(StoreError) in
            newColumns = try addColumns()
            defer { newColumns = [] }
            for statement in Layout.statements(for: schema) { try connection.execute(statement) }
            try drain()
            try nameColumnsOfDirtyRows()
            try showWaiting()
            // Cuts may have come to a build that didn't know them, and erasures.
            try endStreams()
            try erase()
            try connection.setMeta("schema_version", .integer(Int64(schema.version)))
        }
    }

    /// - Returns: the columns that were added, to tables that were there.
    private func addColumns() throws(StoreError) -> Set<SchemaColumn> {
        var added: Set<SchemaColumn> = []
        for table in schema.tables {
            let present = try connection.rows(
                "SELECT name FROM pragma_table_info(?)", .text(table.name)
            ).map { $0[0] }
            guard !present.isEmpty else { continue }
            for column in table.columns {
                for part in column.sqlColumns where !present.contains(.text(part.name)) {
                    try connection.execute(
                        "ALTER TABLE \(table.name) ADD COLUMN \(part.name) \(part.type.sql)")
                    added.insert(SchemaColumn(table: table.id, column: column.id))
                }
            }
        }
        return added
    }

    /// Rows that can't be taken in stay noted. One that is noted as a whole is noted by the columns
    /// that it had: the new ones were not written by anyone here.
    private func nameColumnsOfDirtyRows() throws(StoreError) {
        for table in schema.tables {
            let old = table.columns.filter {
                !newColumns.contains(SchemaColumn(table: table.id, column: $0.id))
            }
            guard old.count < table.columns.count else { continue }
            for column in old {
                try connection.run(
                    """
                    INSERT OR IGNORE INTO sy_dirty
                    SELECT tbl, id, ?2 FROM sy_dirty WHERE tbl = ?1 AND col = 0
                    """, .integer(Int64(table.id)), .integer(Int64(column.id)))
            }
            try connection.run(
                "DELETE FROM sy_dirty WHERE tbl = ? AND col = 0", .integer(Int64(table.id)))
        }
    }

    /// Writes anew the rows with live ops that lie beside their table: those of columns and tables
    /// that were not known are among them, and look like siblings until the fold has seen them.
    private func showWaiting() throws(StoreError) {
        let waiting = try connection.rows(
            """
            SELECT tbl, id FROM sy_live EXCEPT SELECT tbl, id FROM sy_dirty ORDER BY tbl, id
            """)
        for row in waiting {
            guard case .integer(let number) = row[0], case .blob(let bytes) = row[1],
                let id = Identifier(bytes), let table = UInt32(exactly: number)
            else { throw rows.damaged("a row of sy_live") }
            guard rows.access(table) != nil,
                let clock = try rows.clock(table, RowID(id))
            else { continue }
            let state = try rows.load(table, RowID(id), clock)
            try rows.store(table, RowID(id), state, replacing: clock)
        }
    }
}
