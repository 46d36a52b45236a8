import CSQLite
import Causality
import FieldRecords
import Merge
import RecordSchema
import Testing

/// The forum's tables and views in memory, as a replica has them, for views to be read from.
final class ForumRows {
    private var database: OpaquePointer?
    private var count: UInt64 = 0

    init() throws {
        try #require(sqlite3_open(":memory:", &database) == SQLITE_OK)
        for table in Forum.schema.tables {
            let columns = table.sqlColumns.map { "\($0.name) \($0.type.sql)" }
            try run(
                "CREATE TABLE \(table.name) (id BLOB PRIMARY KEY NOT NULL, "
                    + columns.joined(separator: ", ") + ") STRICT")
            for (number, index) in table.indices.enumerated() {
                try run(
                    "CREATE INDEX \(table.name)_\(number) ON \(table.name)"
                        + " (\(index.joined(separator: ", ")))")
            }
        }
        for view in Forum.schema.views { try run("CREATE VIEW \(view.name) AS \(view.select)") }
    }

    deinit { sqlite3_close(database) }

    private func run(_ sql: String) throws {
        let result = sqlite3_exec(database, sql, nil, nil, nil)
        try #require(result == SQLITE_OK, "\(String(cString: sqlite3_errmsg(database))): \(sql)")
    }

    /// The rows of a query, each column as text; `-` for null.
    func query(_ sql: String) throws -> [[String]] {
        var statement: OpaquePointer?
        try #require(
            sqlite3_prepare_v2(database, sql, -1, &statement, nil) == SQLITE_OK,
            "\(String(cString: sqlite3_errmsg(database))): \(sql)")
        defer { sqlite3_finalize(statement) }
        var rows: [[String]] = []
        while sqlite3_step(statement) == SQLITE_ROW {
            rows.append(
                (0..<sqlite3_column_count(statement)).map { column in
                    sqlite3_column_text(statement, column).map { String(cString: $0) } ?? "-"
                })
        }
        return rows
    }

    func add(item: RowID) throws { try run("INSERT INTO item (id) VALUES (\(Self.sql(item)))") }

    func add(person: RowID) throws {
        try run("INSERT INTO person (id) VALUES (\(Self.sql(person)))")
    }

    func merge(_ person: RowID, into other: RowID?) throws {
        try run(
            "UPDATE person SET merged_into = \(Self.sql(other)) WHERE id = \(Self.sql(person))")
    }

    /// Records one observation, and tells its id.
    @discardableResult
    func observe(
        _ kind: ObservationKind, _ person: RowID, at item: RowID, _ claimed: Int? = nil,
        seen: [RowID] = [], voids: RowID? = nil
    ) throws -> RowID {
        count += 1
        let id = RowID(Identifier(high: 0xA0A0, low: count))
        let seenBytes = Hexadecimal.text(of: seen.flatMap(\.identifier.bytes))
        try run(
            """
            INSERT INTO observation (id, item, person, kind, claimed_at, voids, seen) VALUES (
              \(Self.sql(id)), \(Self.sql(item)), \(Self.sql(person)), '\(kind.rawValue)',
              \(claimed.map(String.init) ?? "NULL"), \(Self.sql(voids)), x'\(seenBytes)')
            """)
        return id
    }

    @discardableResult
    func void(_ observation: RowID, _ person: RowID, at item: RowID) throws -> RowID {
        try observe(.void, person, at: item, seen: [observation], voids: observation)
    }

    static func sql(_ id: RowID?) -> String { id.map { "x'\($0)'" } ?? "NULL" }
}
