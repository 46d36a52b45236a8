internal import Causality
internal import Merge
internal import RecordSchema

/// A column by its numbers.
struct SchemaColumn: Hashable {
    var table: UInt32
    var column: UInt32
}

/// What a newer schema declares, in a file that an older one laid out.
extension Replica {
    /// Brings a file that an older build laid out to this layout, at once or not at all.
    func upgradeLayout() throws(StoreError) {
        guard try connection.value("PRAGMA user_version") != .integer(Layout.version) else {
            return
        }
        defer { (hasSums, hasKeys) = (true, true) }
        try transaction(checksIdentity: false) { () throws(StoreError) in
            // Another process may have been quicker.
            guard case .integer(let version)? = try connection.value("PRAGMA user_version"),
                version < Layout.version
            else { return }
            if version < 4 { try upgradeToSums(from: version) }
            if version < 6 {
                // Only where the tables were not made as they are now.
                for table in ["sy_tail", "sy_left"] where try !hasColumn("keys", table) {
                    try connection.execute("ALTER TABLE \(table) \(Layout.keys)")
                }
            }
            try connection.execute("PRAGMA user_version = \(Layout.version)")
            rows.forget()
        }
    }

    private func hasColumn(_ name: String, _ table: String) throws(StoreError) -> Bool {
        try connection.value(
            "SELECT 1 FROM pragma_table_info(?) WHERE name = ?", .text(table), .text(name)) != nil
    }

    private func upgradeToSums(from version: Int64) throws(StoreError) {
        if version == 1 {
            let present = try presentTables()
            for statement in Layout.upgrade(present) { try connection.execute(statement) }
            for statement in Layout.triggers(present) { try connection.execute(statement) }
        }
        try connection.execute(version < 3 ? Layout.left : "ALTER TABLE sy_left \(Layout.sum)")
        if version > 1 { try connection.execute("ALTER TABLE sy_tail \(Layout.sum)") }
        for statement in Layout.upgradePeers { try connection.execute(statement) }
        try sumPieces()
    }

    /// What was not sealed had no sums before.
    private func sumPieces() throws(StoreError) {
        let pieces = try connection.rows(
            """
            SELECT 0, (SELECT value FROM sy_meta WHERE key = 'own'), seq, refs, body FROM sy_tail
            UNION ALL SELECT 1, sid, seq, refs, body FROM sy_left
            """)
        for piece in pieces {
            guard case .integer(let sid) = piece[1], case .integer(let seq) = piece[2],
                case .blob(let refs) = piece[3], case .blob(let body) = piece[4],
                let record = rows.streams[sid: sid], let number = UInt64(exactly: seq)
            else { throw rows.damaged("a row of sy_tail") }
            let streams = stride(from: 0, to: refs.count - 15, by: 16).compactMap {
                Identifier(refs[$0..<$0 + 16]).map { StreamID($0) }
            }
            let sum = TailPiece(seq: number, streams: streams, body: body).sum(
                in: record.wire, after: record.runHash)
            if piece[0] == .integer(0) {
                try connection.run(
                    "UPDATE sy_tail SET sum = ? WHERE seq = ?", .integer(sum), .integer(seq))
            } else {
                try connection.run(
                    "UPDATE sy_left SET sum = ? WHERE sid = ? AND seq = ?", .integer(sum),
                    .integer(sid), .integer(seq))
            }
        }
    }

    private func presentTables() throws(StoreError) -> [Table] {
        var present: [Table] = []
        for table in schema.tables {
            let isThere = try connection.value(
                "SELECT 1 FROM pragma_table_info(?)", .text(table.name))
            if isThere != nil { present.append(table) }
        }
        return present
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
