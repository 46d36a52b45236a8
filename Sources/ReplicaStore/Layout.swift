package import Merge
internal import RecordSchema

/// The engine's own tables, and those that a schema declares.
enum Layout {
    /// Marks the file as Karvan's ("krvn"): `PRAGMA application_id`.
    static let applicationID: Int64 = 0x6b72_766e
    /// Marks a backup ("krvb"): it goes on as a replica once it is restored.
    static let backupID: Int64 = 0x6b72_7662
    /// The number of this layout: `PRAGMA user_version`. Those up to ``lastTrial`` were of format 0.
    static let version: Int64 = 7
    static let lastTrial: Int64 = 6
    // A later layout notes its number in `sy_meta` too (``MetaKey/layout``): a repair goes by that alone, for
    // the file's head may be what is damaged.
    /// The column of each declared table that holds the row's clocks; no schema may declare it.
    static let clockColumn = "sy_clk"

    /// The engine's own tables.
    static let names: Set<String> = [
        "sy_meta", "sy_scope", "sy_stream", "sy_tail", "sy_left", "sy_run", "sy_feed", "sy_row",
        "sy_live", "sy_dirty", "sy_quar", "sy_peer", "sy_peer_head",
    ]

    /// What `sy_meta` may hold, apart from what is noted of a stream.
    static let metaKeys: Set<String> = [
        "own", "install", "name", "schema", "schema_version", "format", "feed", "hub_url",
        "hub_key", MetaKey.pins, MetaKey.pinsSince, "hub_ca", "role", "last_sync", "clock_offset",
        "lost_commits",
        MetaKey.renew, MetaKey.holes, MetaKey.root, MetaKey.hubCertificate, MetaKey.certificate,
        MetaKey.refusal, MetaKey.kept, MetaKey.takenBack, MetaKey.branches, MetaKey.naming,
        MetaKey.epoch, MetaKey.scopes, MetaKey.laneCount, MetaKey.vacuum, MetaKey.reading,
        MetaKey.layout,
    ]

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
        \(tail);
        \(left);
        CREATE TABLE sy_run(
            sid INTEGER NOT NULL, last_seq INTEGER NOT NULL, first_seq INTEGER NOT NULL,
            received INTEGER NOT NULL, hash BLOB NOT NULL, head BLOB NOT NULL, sig BLOB NOT NULL,
            body BLOB NOT NULL, PRIMARY KEY(sid, last_seq)
        ) STRICT;
        CREATE TABLE sy_feed(
            scope TEXT NOT NULL, off INTEGER NOT NULL, sid INTEGER NOT NULL,
            last_seq INTEGER NOT NULL, chain BLOB NOT NULL, PRIMARY KEY(scope, off)
        ) STRICT, WITHOUT ROWID;
        \(rowsBeside);
        \(live);
        CREATE TABLE sy_dirty(
            tbl INTEGER NOT NULL, id BLOB NOT NULL, col INTEGER NOT NULL,
            PRIMARY KEY(tbl, id, col)
        ) STRICT, WITHOUT ROWID;
        CREATE TABLE sy_quar(
            no INTEGER PRIMARY KEY, scope TEXT NOT NULL, stream BLOB NOT NULL,
            last_seq INTEGER NOT NULL, received INTEGER NOT NULL, reason TEXT NOT NULL,
            head BLOB NOT NULL, sig BLOB NOT NULL, body BLOB NOT NULL
        ) STRICT;
        \(quarantineIndex);
        CREATE TABLE sy_peer(
            peer BLOB NOT NULL, scope TEXT NOT NULL, epoch BLOB NOT NULL, off INTEGER NOT NULL,
            chain BLOB NOT NULL, PRIMARY KEY(peer, scope)
        ) STRICT, WITHOUT ROWID;
        \(peerHeads);
        """

    private static let quarantineIndex =
        "CREATE INDEX sy_quar_by_stream ON sy_quar(stream, last_seq)"

    /// The clocks of rows that lie in no table: hidden ones, those of tables that the schema
    /// doesn't know, and those that another program deleted or replaced since.
    private static let rowsBeside = """
        CREATE TABLE sy_row(
            tbl INTEGER NOT NULL, id BLOB NOT NULL, clk BLOB NOT NULL, PRIMARY KEY(tbl, id)
        ) STRICT, WITHOUT ROWID
        """

    /// Nothing else says what a hub holds, and a number too high would keep changes from being sent:
    /// `twin` tells damage of one of the two.
    private static let peerHeads = """
        CREATE TABLE sy_peer_head(
            peer BLOB NOT NULL, sid INTEGER NOT NULL, has INTEGER NOT NULL, fed INTEGER NOT NULL,
            twin INTEGER GENERATED ALWAYS AS (has * 3 + fed) STORED, PRIMARY KEY(peer, sid)
        ) STRICT, WITHOUT ROWID
        """

    /// Live ops beside the tables. Those that are open come first in the key: the list of conflicts
    /// is a range of it, and no index of its own.
    private static let live = """
        CREATE TABLE sy_live(
            open INTEGER NOT NULL, tbl INTEGER NOT NULL, id BLOB NOT NULL, col INTEGER NOT NULL,
            elem BLOB NOT NULL, sid INTEGER NOT NULL, seq INTEGER NOT NULL, hlc INTEGER NOT NULL,
            kind INTEGER NOT NULL, val BLOB NOT NULL,
            PRIMARY KEY(open, tbl, id, col, elem, sid, seq)
        ) STRICT, WITHOUT ROWID
        """

    /// Only the replica's own stream has a tail.
    private static let tail = """
        CREATE TABLE sy_tail(
            seq INTEGER PRIMARY KEY, refs BLOB NOT NULL, body BLOB NOT NULL,
            sum INTEGER NOT NULL, keys BLOB NOT NULL
        ) STRICT
        """

    /// Changesets that an earlier incarnation of this replica wrote and didn't seal.
    private static let left = """
        CREATE TABLE sy_left(
            sid INTEGER NOT NULL, seq INTEGER NOT NULL, refs BLOB NOT NULL, body BLOB NOT NULL,
            sum INTEGER NOT NULL, keys BLOB NOT NULL,
            PRIMARY KEY(sid, seq)
        ) STRICT, WITHOUT ROWID
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

    /// The capture triggers alone.
    static func triggers(_ tables: [Table]) -> [String] { tables.flatMap { triggers($0) } }

    private static func create(_ table: Table) -> String {
        let columns = table.sqlColumns.map { ", \($0.name) \($0.type.sql)" }.joined()
        return """
            CREATE TABLE IF NOT EXISTS \(table.name)(
                id BLOB PRIMARY KEY NOT NULL CHECK(length(id) = 16)\(columns),
                \(clockColumn) BLOB
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
    ///
    /// The clocks of a row that goes are kept beside the table. `INSERT OR REPLACE` and `UPDATE OR
    /// REPLACE` fire no trigger for the row that they take away, so its clocks are kept before.
    private static func triggers(_ table: Table) -> [String] {
        let name = table.name
        func note(_ row: String, _ column: UInt32) -> String {
            "INSERT OR IGNORE INTO sy_dirty VALUES(\(table.id), \(row).id, \(column));"
        }
        func keep(_ row: String) -> String {
            """
            DELETE FROM sy_row WHERE tbl = \(table.id) AND id = (
                SELECT id FROM \(name) WHERE id = \(row).id AND \(clockColumn) IS NOT NULL);
            INSERT INTO sy_row SELECT \(table.id), id, \(clockColumn) FROM \(name)
            WHERE id = \(row).id AND \(clockColumn) IS NOT NULL;
            """
        }
        func trigger(_ kind: String, _ event: String, _ body: String) -> [String] {
            [
                "DROP TRIGGER IF EXISTS sy_\(name)_\(kind)",
                "CREATE TRIGGER sy_\(name)_\(kind) \(event) BEGIN \(body) END",
            ]
        }
        let refusal = "SELECT RAISE(ABORT, '\(clockColumn) is kept by karvan: leave it out');"
        // Marked, so that the clocks that go are not kept as the row's.
        let clear = """
            INSERT INTO sy_dirty VALUES(\(table.id), NEW.id, -1);
            UPDATE \(name) SET \(clockColumn) = NULL WHERE id = NEW.id;
            DELETE FROM sy_dirty WHERE tbl = \(table.id) AND id = NEW.id AND col = -1;
            """
        let isThere = "EXISTS(SELECT 1 FROM \(name) WHERE id = NEW.id)"
        let whole =
            // A copy of a row, made with all of its columns: the clocks are not the new row's.
            trigger(
                "clock", "AFTER INSERT ON \(name) WHEN NEW.\(clockColumn) IS NOT NULL", clear)
            + trigger(
                "change_clock",
                """
                BEFORE UPDATE OF \(clockColumn) ON \(name)
                WHEN NEW.\(clockColumn) IS NOT NULL
                AND NEW.\(clockColumn) IS NOT OLD.\(clockColumn)
                """, refusal)
            + trigger(
                "forget_clock",
                """
                BEFORE UPDATE OF \(clockColumn) ON \(name)
                WHEN NEW.\(clockColumn) IS NULL AND OLD.\(clockColumn) IS NOT NULL
                AND NOT EXISTS(
                    SELECT 1 FROM sy_dirty WHERE tbl = \(table.id) AND id = NEW.id AND col = -1)
                """, keep("OLD") + note("OLD", 0))
            + trigger(
                "replace", "BEFORE INSERT ON \(name) WHEN \(isThere)",
                keep("NEW") + note("NEW", 0))
            + trigger("insert", "AFTER INSERT ON \(name)", note("NEW", 0))
            + trigger("leave", "BEFORE DELETE ON \(name)", keep("OLD"))
            + trigger("delete", "AFTER DELETE ON \(name)", note("OLD", 0))
            + trigger(
                "move_from", "BEFORE UPDATE OF id ON \(name) WHEN NEW.id IS NOT OLD.id",
                keep("OLD") + keep("NEW"))
            + trigger(
                "move", "AFTER UPDATE OF id ON \(name) WHEN NEW.id IS NOT OLD.id",
                """
                \(clear)
                \(note("OLD", 0)) \(note("NEW", 0))
                """)
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

/// What stands in `sy_meta`, where more than one place names it.
enum MetaKey {
    /// What enrolment gave: the hash of the forum's root key, and certificates.
    static let root = "root"
    static let hubCertificate = "hub_certificate"
    static let certificate = "certificate"

    /// The hub's TLS keys, one behind another, and up to when its words of them are outdated.
    static let pins = "hub_pin"
    static let pinsSince = "hub_pins_since"

    /// The epoch of its feeds as it said last; empty since it began anew. It outlives cursors.
    static let epoch = "hub_epoch"

    /// How many runs a hub has kept.
    static let kept = "kept"
    /// What the hub said when it last let this device in no more.
    static let refusal = "refusal"

    /// The file goes on as a new incarnation before anything is written: it was repaired, or it comes
    /// from a backup.
    static let renew = "renew"
    static let repaired = Value.integer(1)
    static let restored = Value.integer(2)
    /// Others hold what a hub's stream has lost: nobody was told yet.
    static let rewound = Value.integer(3)
    /// Another file goes on with this one's stream.
    static let forked = Value.integer(4)
    /// A hub has taken runs of its own from others; see ``Replica/hasTakenBack()``.
    static let takenBack = "taken_back"
    /// Where branches of streams leave: see ``Branch``.
    static let branches = "branches"
    /// The number of the stream that the replica writes to in a scope that is not the base one.
    static func lane(_ scope: String) -> String { "own_\(scope)" }
    /// A scope of which this replica has written a stream that is gone: its numbers are known to others.
    static func dropped(_ scope: String) -> String { "dropped_\(scope)" }
    /// Something was taken off the disk, and free pages may still hold it.
    static let vacuum = "vacuum"
    /// It is only the log that may still hold it.
    static let vacuumed = Value.integer(2)
    /// A digest of the people whose keys this file has destroyed. A repaired one has to do that again.
    static let erased = "erased"
    /// What this replica had written in other scopes than the base one, in streams that are gone.
    static let laneCount = "lane_count"
    /// The scopes that the hub last said this device may read, separated by single spaces.
    static let scopes = "scopes"
    /// How much of what others write the builds could read that had the file: see ``Limits/reading``.
    static let reading = "reading"
    /// The number of a layout behind this build's, as the build notes it that has it.
    static let layout = "layout"
    /// How often changes have got other names.
    static let naming = "naming"
    /// Changes are missing that others here rest on; see ``Replica/mend()``.
    static let holes = "holes"
    /// The last change of a stream that something here names, while the stream ended before it.
    static func named(_ sid: Int64) -> String { "named_\(sid)" }
    static let namedPattern = "named_*"
    /// A run of which the hub is to get keys that it lacks, by its hash.
    static func owed(_ hash: String) -> String { "owed_\(hash)" }
    static let owedPattern = "owed_*"
    /// The last change of a stream that was known here, where the file lacks it.
    static func known(_ sid: Int64) -> String { "known_\(sid)" }
    /// In a backup only: the device's private key, and when it was made.
    static let backupKey = "backup_key"
    static let backupTime = "backup_time"
    static func attachment(_ name: String) -> String { "attached_\(name)" }
}

extension Connection {
    package func meta(_ key: String) throws(StoreError) -> Value? {
        try value("SELECT value FROM sy_meta WHERE key = ?", .text(key))
    }

    package func setMeta(_ key: String, _ value: Value) throws(StoreError) {
        try run("INSERT OR REPLACE INTO sy_meta VALUES(?, ?)", .text(key), value)
    }
}
