import Causality
import Foundation
import Merge
import RecordSchema
import ReplicaStore

/// What SQLite reads of a file, row by row: to compare a damaged file with the one it was.
struct DamagedTruth {
    struct Place: Hashable, Comparable {
        var table: String
        var row: RowID

        static func < (a: Self, b: Self) -> Bool {
            a.table != b.table ? a.table < b.table : a.row < b.row
        }
    }

    /// What is read for each place; the error's text where it can't be.
    private(set) var records: [Place: [[Value]]] = [:]
    /// Rows of the engine's other tables, by table and key.
    private(set) var others: [String: [[Value]]] = [:]

    /// What no other part of a file says again, and no work depends on.
    static let unprotected = [
        "sy_run received", "sy_meta last_sync", "sy_meta clock_offset", "sy_meta role",
        "sy_meta name", "sy_peer off", "sy_peer epoch", "sy_peer chain",
        "sy_meta hub_url", "sy_stream clock",
    ]

    private static func names(_ table: Table) -> String {
        (["id"] + table.sqlColumns.map(\.name) + ["sy_clk"]).joined(separator: ", ")
    }

    private static func beside(_ connection: Connection, _ table: Table, _ id: Value) -> [[Value]] {
        let live = attempt {
            try connection.rows(
                "SELECT * FROM sy_live WHERE open IN (0, 1) AND tbl = ? AND id = ? ORDER BY 1,4,5,6,7",
                .integer(Int64(table.id)), id)
        }
        let clock = attempt {
            try connection.rows(
                "SELECT * FROM sy_row WHERE tbl = ? AND id = ?", .integer(Int64(table.id)), id)
        }
        return live + clock
    }

    private static func attempt(_ body: () throws -> [[Value]]) -> [[Value]] {
        (try? body()) ?? [[.text("can't be read")]]
    }

    /// The whole file; every row of it can be read.
    init(whole connection: Connection, _ schema: Schema) throws {
        for table in schema.tables {
            var ids = try connection.rows("SELECT id FROM \(table.name)").map { $0[0] }
            ids += try connection.rows(
                "SELECT id FROM sy_row WHERE tbl = ?", .integer(Int64(table.id))
            ).map { $0[0] }
            take(ids, table, connection)
        }
        for (name, key) in Self.keys {
            for row in try connection.rows("SELECT \(key), * FROM \(name)") {
                others["\(name) \(row[0])"] = [row]
            }
        }
    }

    /// The same places of a damaged file, and others that its tables hold now.
    init(damaged connection: Connection, as whole: DamagedTruth, _ schema: Schema) {
        for table in schema.tables {
            var ids = whole.records.keys.filter { $0.table == table.name }
                .map { Value.blob($0.row.identifier.bytes) }
            if let found = try? connection.rows("SELECT id FROM \(table.name)") {
                ids += found.map { $0[0] }
            }
            for beside in ["sy_live", "sy_row"] {
                let found = try? connection.rows(
                    "SELECT DISTINCT id FROM \(beside) WHERE tbl = ?", .integer(Int64(table.id)))
                ids += (found ?? []).map { $0[0] }
            }
            take(ids, table, connection)
        }
        for (name, key) in Self.keys {
            let keys = whole.others.keys.filter { $0.hasPrefix(name + " ") }
            for place in keys {
                guard let value = whole.others[place]?[0][0] else { continue }
                others[place] = Self.attempt {
                    try connection.rows("SELECT \(key), * FROM \(name) WHERE \(key) = ?", value)
                }
            }
        }
    }

    private static let keys = [
        ("sy_run", "rowid"), ("sy_meta", "key"), ("sy_stream", "sid"), ("sy_tail", "seq"),
        ("sy_peer", "scope"), ("sy_peer_head", "sid"),
    ]

    private mutating func take(_ ids: [Value], _ table: Table, _ connection: Connection) {
        for id in ids {
            guard case .blob(let bytes) = id, let identifier = Identifier(bytes) else { continue }
            let place = Place(table: table.name, row: RowID(identifier))
            guard records[place] == nil else { continue }
            let row = Self.attempt {
                try connection.rows(
                    "SELECT \(Self.names(table)) FROM \(table.name) WHERE id = ?", id)
            }
            records[place] = row + Self.beside(connection, table, id)
        }
    }

    /// Rows that are not what they were.
    func damagedRows(since whole: DamagedTruth) -> Set<Place> {
        Set(records.filter { whole.records[$0.key, default: []] != $0.value }.keys)
    }

    /// Rows of the engine's tables that are not what they were, and that others vouch for.
    func damagedOthers(since whole: DamagedTruth) -> (vouched: [String], unprotected: Int) {
        var (vouched, unprotected): ([String], Int) = ([], 0)
        for (place, rows) in others where whole.others[place] != rows {
            let isFree = Self.unprotected.contains { name in
                let parts = name.split(separator: " ").map(String.init)
                guard place.hasPrefix(parts[0] + " ") else { return false }
                guard rows.count == 1, let before = whole.others[place]?[0],
                    before.count == rows[0].count
                else { return parts[0] == "sy_peer" }
                if parts[0] == "sy_meta" { return parts.count > 1 && place.contains(parts[1]) }
                let differing = before.indices.filter { before[$0] != rows[0][$0] }
                switch name {
                case "sy_run received": return differing == [4]
                case "sy_stream clock": return differing == [11]
                default: return true
                }
            }
            if isFree { unprotected += 1 } else { vouched.append(place) }
        }
        return (vouched.sorted(), unprotected)
    }
}
