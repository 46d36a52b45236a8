import CSQLite
import Causality
import Foundation

/// What went wrong in a run: it ends the program.
struct BenchError: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) {
        self.description = description
    }
}

/// How both sides are set up: read from the engine's own file and connection, so that they can't
/// come to differ.
struct Settings {
    /// What creates the workload's table and its index.
    var definitions: [String]
    var cacheSize: Int64
    /// The engine carries its WAL into the database when it has grown to this many frames.
    static let checkpointFrames = (4 << 20) / 4_120
}

/// A SQLite database without the engine: what every figure is held against.
final class Plain {
    private var handle: OpaquePointer?

    /// Opens a file, and makes it if there is none.
    init(path: String) throws {
        let flags =
            SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX
            | SQLITE_OPEN_EXRESCODE
        try check(sqlite3_open_v2(path, &handle, flags, nil))
    }

    deinit { close() }

    func close() {
        sqlite3_close_v2(handle)
        handle = nil
    }

    func lay(out settings: Settings, isDurable: Bool = true) throws {
        try execute("PRAGMA journal_mode = WAL")
        try execute("PRAGMA synchronous = \(isDurable ? "FULL" : "NORMAL")")
        try execute("PRAGMA wal_autocheckpoint = \(Settings.checkpointFrames)")
        try execute("PRAGMA temp_store = MEMORY")
        try execute("PRAGMA cache_size = \(settings.cacheSize)")
        _ = karvan_db_config_flag(handle, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, nil)
        for definition in settings.definitions { try execute(definition) }
    }

    private func check(_ code: Int32) throws {
        guard code == SQLITE_OK else {
            throw BenchError("plain SQLite: \(String(cString: sqlite3_errmsg(handle)))")
        }
    }

    func execute(_ sql: String) throws { try check(sqlite3_exec(handle, sql, nil, nil, nil)) }

    /// The rows of a query, as text.
    func rows(_ sql: String) throws -> [[String]] {
        let statement = try prepare(sql)
        defer { sqlite3_finalize(statement) }
        var rows: [[String]] = []
        while sqlite3_step(statement) == SQLITE_ROW {
            rows.append(
                (0..<sqlite3_column_count(statement)).map { column in
                    sqlite3_column_text(statement, column).map { String(cString: $0) } ?? ""
                })
        }
        return rows
    }

    func integer(_ sql: String) throws -> Int64 {
        guard let value = try rows(sql).first.flatMap({ Int64($0[0]) }) else {
            throw BenchError("no number from: \(sql)")
        }
        return value
    }

    private func prepare(_ sql: String) throws -> OpaquePointer? {
        var statement: OpaquePointer?
        try check(
            sqlite3_prepare_v3(
                handle, sql, -1, UInt32(SQLITE_PREPARE_PERSISTENT), &statement, nil))
        return statement
    }

    /// Inserts all rows as a C program would: prepared once, every value bound without a copy.
    @inline(never)
    func insert(_ rows: PlainRows, rowsPerTransaction: Int) throws {
        let begin = try prepare("BEGIN IMMEDIATE")
        let commit = try prepare("COMMIT")
        let insert = try prepare("INSERT INTO attendance VALUES(?, ?, ?, ?, ?, ?, ?)")
        defer { for statement in [begin, commit, insert] { sqlite3_finalize(statement) } }
        var next = 0
        while next < rows.count {
            try step(begin)
            for row in next..<min(next + rowsPerTransaction, rows.count) {
                rows.bind(row, to: insert)
                try step(insert)
            }
            try step(commit)
            next += rowsPerTransaction
        }
    }

    /// Sets columns of all rows, by their ids.
    @inline(never)
    func update(_ rows: PlainRows, _ columns: [PlainColumn], rowsPerTransaction: Int) throws {
        let begin = try prepare("BEGIN IMMEDIATE")
        let commit = try prepare("COMMIT")
        let assignments = columns.map { "\($0.rawValue) = ?" }.joined(separator: ", ")
        let update = try prepare("UPDATE attendance SET \(assignments) WHERE id = ?")
        defer { for statement in [begin, commit, update] { sqlite3_finalize(statement) } }
        var next = 0
        while next < rows.count {
            try step(begin)
            for row in next..<min(next + rowsPerTransaction, rows.count) {
                rows.bind(row, columns, to: update)
                try step(update)
            }
            try step(commit)
            next += rowsPerTransaction
        }
    }

    /// Carries the WAL into the file, and cuts it off.
    func checkpoint() throws {
        guard try rows("PRAGMA wal_checkpoint(TRUNCATE)") == [["0", "0", "0"]] else {
            throw BenchError("a file can't be checkpointed")
        }
    }

    private func step(_ statement: OpaquePointer?) throws {
        let code = sqlite3_step(statement)
        sqlite3_reset(statement)
        guard code == SQLITE_DONE else { return try check(code) }
    }
}

/// The columns that the workload changes.
enum PlainColumn: String {
    case status
    case arrivedAt = "arrived_at"
    case note
}

/// The workload as a C program would hold it: bytes that stay where they are.
final class PlainRows {
    private struct Slice {
        var start: Int
        var count: Int32
    }

    private struct Row {
        var id, visit, person: Slice
        var status: Slice
        var arrivedAt: Int64
        var recordedBy, note: Slice
    }

    private let rows: [Row]
    private let bytes: UnsafeMutableRawBufferPointer

    var count: Int { rows.count }

    init(_ attendance: some Collection<Attendance>, ids: [Identifier]) {
        var all: [UInt8] = []
        func add(_ bytes: some Collection<UInt8>) -> Slice {
            defer { all += bytes }
            return Slice(start: all.count, count: Int32(bytes.count))
        }
        rows = zip(attendance, ids).map { row, id in
            Row(
                id: add(id.bytes), visit: add(row.visit), person: add(row.person),
                status: add(row.status.utf8), arrivedAt: row.arrivedAt,
                recordedBy: add(row.recordedBy.utf8), note: add(row.note.utf8))
        }
        bytes = .allocate(byteCount: all.count + 1, alignment: 16)
        bytes.copyBytes(from: all)
    }

    deinit { bytes.deallocate() }

    /// The bytes outlive the step, so SQLite need not copy them.
    func bind(_ index: Int, to statement: OpaquePointer?) {
        let row = rows[index]
        bind(blob: row.id, 1, statement)
        bind(blob: row.visit, 2, statement)
        bind(blob: row.person, 3, statement)
        bind(text: row.status, 4, statement)
        sqlite3_bind_int64(statement, 5, row.arrivedAt)
        bind(text: row.recordedBy, 6, statement)
        bind(text: row.note, 7, statement)
    }

    /// The columns' values, then the id.
    func bind(_ index: Int, _ columns: [PlainColumn], to statement: OpaquePointer?) {
        let row = rows[index]
        var parameter: Int32 = 1
        for column in columns {
            switch column {
            case .status: bind(text: row.status, parameter, statement)
            case .arrivedAt: sqlite3_bind_int64(statement, parameter, row.arrivedAt)
            case .note: bind(text: row.note, parameter, statement)
            }
            parameter += 1
        }
        bind(blob: row.id, parameter, statement)
    }

    private func bind(blob slice: Slice, _ parameter: Int32, _ statement: OpaquePointer?) {
        guard let base = bytes.baseAddress else { return }
        _ = karvan_bind_blob_static(statement, parameter, base + slice.start, slice.count)
    }

    private func bind(text slice: Slice, _ parameter: Int32, _ statement: OpaquePointer?) {
        guard let base = bytes.baseAddress else { return }
        let text = (base + slice.start).assumingMemoryBound(to: CChar.self)
        _ = karvan_bind_text_static(statement, parameter, text, slice.count)
    }
}
