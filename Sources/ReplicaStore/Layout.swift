internal import Merge
internal import RecordSchema

/// The engine's own tables, and those that a schema declares.
enum Layout {
    /// Marks the file as Karvan's ("krvn"): `PRAGMA application_id`.
    static let applicationID: Int64 = 0x6b72_766e
    /// The number of this layout: `PRAGMA user_version`, plus one so that 0 stays "not ours".
    static let version: Int64 = 1

    static let tables = """
        CREATE TABLE sy_meta(key TEXT PRIMARY KEY, value ANY) STRICT, WITHOUT ROWID;
        CREATE TABLE sy_scope(
            scope TEXT PRIMARY KEY, epoch BLOB NOT NULL, off INTEGER NOT NULL, chain BLOB NOT NULL
        ) STRICT, WITHOUT ROWID;
        CREATE TABLE sy_stream(
            sid INTEGER PRIMARY KEY, scope TEXT NOT NULL, stream BLOB NOT NULL UNIQUE,
            device BLOB NOT NULL, incarnation INTEGER NOT NULL, head INTEGER NOT NULL,
            sealed INTEGER NOT NULL, run_hash BLOB, cut BLOB, named INTEGER NOT NULL,
            clock INTEGER NOT NULL
        ) STRICT;
        CREATE TABLE sy_tail(
            sid INTEGER NOT NULL, seq INTEGER NOT NULL, refs BLOB NOT NULL, body BLOB NOT NULL,
            PRIMARY KEY(sid, seq)
        ) STRICT;
        CREATE TABLE sy_run(
            sid INTEGER NOT NULL, last_seq INTEGER NOT NULL, first_seq INTEGER NOT NULL,
            received INTEGER NOT NULL, hash BLOB NOT NULL, head BLOB NOT NULL, sig BLOB NOT NULL,
            body BLOB NOT NULL, PRIMARY KEY(sid, last_seq)
        ) STRICT;
        CREATE TABLE sy_feed(
            scope TEXT NOT NULL, off INTEGER NOT NULL, sid INTEGER NOT NULL,
            last_seq INTEGER NOT NULL, chain BLOB NOT NULL, PRIMARY KEY(scope, off)
        ) STRICT, WITHOUT ROWID;
        CREATE TABLE sy_row(
            tbl INTEGER NOT NULL, id BLOB NOT NULL, scope INTEGER NOT NULL, clk BLOB NOT NULL,
            PRIMARY KEY(tbl, id)
        ) STRICT, WITHOUT ROWID;
        CREATE TABLE sy_live(
            tbl INTEGER NOT NULL, id BLOB NOT NULL, col INTEGER NOT NULL, elem BLOB NOT NULL,
            sid INTEGER NOT NULL, seq INTEGER NOT NULL, hlc INTEGER NOT NULL,
            kind INTEGER NOT NULL, val BLOB NOT NULL, open INTEGER NOT NULL,
            PRIMARY KEY(tbl, id, col, elem, sid, seq)
        ) STRICT, WITHOUT ROWID;
        CREATE INDEX sy_live_open ON sy_live(tbl, id, col) WHERE open;
        CREATE TABLE sy_dirty(
            tbl INTEGER NOT NULL, id BLOB NOT NULL, col INTEGER NOT NULL,
            PRIMARY KEY(tbl, id, col)
        ) STRICT, WITHOUT ROWID;
        CREATE TABLE sy_quar(
            no INTEGER PRIMARY KEY, scope TEXT NOT NULL, stream BLOB NOT NULL,
            last_seq INTEGER NOT NULL, received INTEGER NOT NULL, reason TEXT NOT NULL,
            head BLOB NOT NULL, sig BLOB NOT NULL, body BLOB NOT NULL
        ) STRICT;
        CREATE TABLE sy_peer(
            peer BLOB NOT NULL, scope TEXT NOT NULL, epoch BLOB NOT NULL, off INTEGER NOT NULL,
            chain BLOB NOT NULL, PRIMARY KEY(peer, scope)
        ) STRICT, WITHOUT ROWID;
        CREATE TABLE sy_peer_head(
            peer BLOB NOT NULL, sid INTEGER NOT NULL, has INTEGER NOT NULL, fed INTEGER NOT NULL,
            PRIMARY KEY(peer, sid)
        ) STRICT, WITHOUT ROWID;
        """

    /// The tables, indices and capture triggers of a schema. Safe to run again after the schema
    /// has grown: what is there stays as it is.
    static func statements(for schema: Schema) -> [String] {
        schema.tables.flatMap { table in
            [create(table)] + indices(table) + triggers(table)
        }
            + schema.views.flatMap { view in
                ["DROP VIEW IF EXISTS \(view.name)", "CREATE VIEW \(view.name) AS \(view.select)"]
            }
    }

    private static func create(_ table: Table) -> String {
        let columns = table.sqlColumns.map { ", \($0.name) \($0.type.sql)" }.joined()
        return """
            CREATE TABLE IF NOT EXISTS \(table.name)(
                id BLOB PRIMARY KEY NOT NULL CHECK(length(id) = 16)\(columns)
            ) STRICT, WITHOUT ROWID
            """
    }

    private static func indices(_ table: Table) -> [String] {
        let declared = table.naturalKey.isEmpty ? table.indices : table.indices + [table.naturalKey]
        return declared.map { columns in
            """
            CREATE INDEX IF NOT EXISTS \(table.name)_by_\(columns.joined(separator: "_"))
            ON \(table.name)(\(columns.joined(separator: ", ")))
            """
        }
    }

    /// What other programs write is noted by these; the engine's own connections switch them off.
    /// Column 0 stands for the whole row.
    private static func triggers(_ table: Table) -> [String] {
        let name = table.name
        func note(_ row: String, _ column: UInt32) -> String {
            "INSERT OR IGNORE INTO sy_dirty VALUES(\(table.id), \(row).id, \(column));"
        }
        let whole = [
            "DROP TRIGGER IF EXISTS sy_\(name)_insert",
            """
            CREATE TRIGGER sy_\(name)_insert AFTER INSERT ON \(name) BEGIN \(note("NEW", 0)) END
            """,
            "DROP TRIGGER IF EXISTS sy_\(name)_delete",
            """
            CREATE TRIGGER sy_\(name)_delete AFTER DELETE ON \(name) BEGIN \(note("OLD", 0)) END
            """,
            "DROP TRIGGER IF EXISTS sy_\(name)_move",
            """
            CREATE TRIGGER sy_\(name)_move AFTER UPDATE OF id ON \(name) WHEN NEW.id IS NOT OLD.id
            BEGIN \(note("OLD", 0)) \(note("NEW", 0)) END
            """,
        ]
        let single = table.columns.flatMap { column in
            let parts = column.sqlColumns.map(\.name)
            let changed = parts.map { "NEW.\($0) IS NOT OLD.\($0)" }.joined(separator: " OR ")
            return [
                "DROP TRIGGER IF EXISTS sy_\(name)_set_\(column.name)",
                """
                CREATE TRIGGER sy_\(name)_set_\(column.name)
                AFTER UPDATE OF \(parts.joined(separator: ", ")) ON \(name) WHEN \(changed)
                BEGIN \(note("NEW", column.id)) END
                """,
            ]
        }
        return whole + single
    }
}
