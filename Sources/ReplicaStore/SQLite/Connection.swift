internal import CGatheredLog
internal import CSQLite
package import Merge

/// One SQLite connection, for one thread at a time.
///
/// Statements are prepared once and kept, by their text.
package final class Connection {
    package let path: String
    private var handle: OpaquePointer?
    /// SQLite's file system, but for how the write-ahead log is written.
    private var gatheredLog: OpaquePointer?
    private var statements: [String: Statement] = [:]
    /// All that are not ended: SQLite keeps a file open as long as one is there.
    private var living: [OpaquePointer: Unmanaged<Statement>] = [:]
    /// The statement used last among those of a text's length: one literal is told from another by
    /// its address, without hashing it.
    private var recent = [(sql: String, statement: Statement)?](
        repeating: nil, count: Connection.recentCount)
    private static let recentCount = 64
    /// The frames in the write-ahead log after the last commit here, those of other processes too.
    private(set) var logFrames = 0

    /// A write or a sync has failed: what this connection and the system take for written may not
    /// be on the disk, and a sync that is tried again would say that it is. It must not write again.
    private(set) var isPoisoned = false

    /// Opens an existing file.
    ///
    /// - Parameters:
    ///   - isWritable: a reader never makes or changes a file.
    ///   - fileSystem: SQLite's VFS, by its name; `nil` for the system's.
    package init(
        path: String, isWritable: Bool, fileSystem: String? = nil
    ) throws(StoreError) {
        self.path = path
        let flags =
            (isWritable ? SQLITE_OPEN_READWRITE : SQLITE_OPEN_READONLY)
            | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE
        // Without one, for want of memory, the log is written as SQLite writes it.
        gatheredLog = karvan_gathered_log_make(fileSystem)
        let name = gatheredLog.map { karvan_gathered_log_name($0) } ?? nil
        let code =
            name.map { sqlite3_open_v2(path, &handle, flags, $0) }
            ?? sqlite3_open_v2(path, &handle, flags, fileSystem)
        guard code == SQLITE_OK else {
            let error = self.error(code)
            close()
            throw error
        }
        sqlite3_busy_timeout(handle, 5_000)
    }

    /// Leaves checkpoints to the owner, and counts the frames for it. SQLite has one hook: its own
    /// setting for checkpoints takes it away.
    package func watchLog() throws(StoreError) {
        try execute("PRAGMA wal_autocheckpoint = 0")
        // SQLite calls back on this thread, from within a commit, and never after close.
        sqlite3_wal_hook(
            handle,
            { context, _, _, frames in
                if let context {
                    Unmanaged<Connection>.fromOpaque(context).takeUnretainedValue().logFrames =
                        Int(frames)
                }
                return SQLITE_OK
            }, Unmanaged.passUnretained(self).toOpaque())
    }

    /// Writes the whole log once more and syncs it: what a failed sync may have lost is in it again,
    /// as long as the system has it in memory. Nobody may be writing.
    func rewriteLog() throws(StoreError) {
        // The log is open once something was read in a transaction.
        guard let file = karvan_log_file(handle) else { return }
        let code = karvan_rewrite(file)
        guard code == SQLITE_OK else { throw error(code) }
    }

    deinit { close() }

    /// Ends the connection; statements end with it.
    package func close() {
        for statement in living.values { statement.takeUnretainedValue().end() }
        (living, statements) = ([:], [:])
        recent = Array(repeating: nil, count: Self.recentCount)
        sqlite3_close_v2(handle)
        if let gatheredLog { karvan_gathered_log_free(gatheredLog) }
        (handle, gatheredLog) = (nil, nil)
    }

    /// The statement for `sql`, ready to be bound; it must not be in use already.
    package func statement(_ sql: String) throws(StoreError) -> Statement {
        let place = sql.utf8.count % Self.recentCount
        if let found = recent[place], found.sql == sql { return found.statement }
        let statement: Statement
        if let known = statements[sql] {
            statement = known
        } else {
            statement = try prepare(sql)
            statements[sql] = statement
        }
        recent[place] = (sql, statement)
        return statement
    }

    /// A statement of its own, for SQL that comes from outside.
    package func prepare(_ sql: String) throws(StoreError) -> Statement {
        var pointer: OpaquePointer?
        let code = sqlite3_prepare_v3(
            handle, sql, Int32(sql.utf8.count), UInt32(SQLITE_PREPARE_PERSISTENT), &pointer, nil)
        guard code == SQLITE_OK, let pointer else { throw error(code) }
        let statement = Statement(pointer, connection: self)
        living[pointer] = .passUnretained(statement)
        return statement
    }

    /// A statement has ended.
    func forget(_ statement: OpaquePointer) { living[statement] = nil }

    /// A function of this connection's own statements, never of a trigger or a view.
    ///
    /// - Parameter context: what the function gets as its user data; it must outlive the connection's
    ///   statements.
    func register(
        _ name: String, _ context: UnsafeMutableRawPointer,
        _ function:
            @escaping @convention(c) (
                OpaquePointer?, Int32, UnsafeMutablePointer<OpaquePointer?>?
            ) -> Void
    ) throws(StoreError) {
        let code = sqlite3_create_function_v2(
            handle, name, -1, SQLITE_UTF8 | SQLITE_DIRECTONLY, context, function, nil, nil, nil)
        guard code == SQLITE_OK else { throw error(code) }
    }

    /// Runs statements that give no rows and take no values.
    package func execute(_ sql: String) throws(StoreError) {
        let code = sqlite3_exec(handle, sql, nil, nil, nil)
        guard code == SQLITE_OK else { throw error(code) }
    }

    /// Runs one statement that gives no rows.
    package func run(_ sql: String, _ values: Value...) throws(StoreError) {
        let statement = try statement(sql)
        defer { statement.reset() }
        statement.bind(values)
        _ = try statement.step()
    }

    /// The first column of the first row, or `nil` when there is no row.
    package func value(_ sql: String, _ values: Value...) throws(StoreError) -> Value? {
        let statement = try statement(sql)
        defer { statement.reset() }
        statement.bind(values)
        return try statement.step() ? statement.value(0) : nil
    }

    /// All rows of a query.
    package func rows(_ sql: String, _ values: Value...) throws(StoreError) -> [[Value]] {
        let statement = try statement(sql)
        defer { statement.reset() }
        statement.bind(values)
        return try statement.allRows()
    }

    /// Writes the whole database, as this connection sees it, over that of another one.
    func copy(into other: Connection) throws(StoreError) {
        guard let backup = sqlite3_backup_init(other.handle, "main", handle, "main") else {
            throw other.error(sqlite3_errcode(other.handle))
        }
        _ = sqlite3_backup_step(backup, -1)
        let code = sqlite3_backup_finish(backup)
        guard code == SQLITE_OK else { throw other.error(code) }
    }

    /// A copy of the whole database, to be freed with `sqlite3_free`; `nil` for want of memory.
    func serialize(_ count: inout sqlite3_int64) -> UnsafeMutablePointer<UInt8>? {
        sqlite3_serialize(handle, "main", &count, 0)
    }

    /// Reads a database in memory from here on.
    ///
    /// - Parameter bytes: from `sqlite3_malloc64`; the connection frees them, also when it fails.
    func deserialize(_ bytes: UnsafeMutablePointer<UInt8>, _ count: Int64) throws(StoreError) {
        let code = sqlite3_deserialize(
            handle, "main", bytes, count, count,
            UInt32(SQLITE_DESERIALIZE_FREEONCLOSE | SQLITE_DESERIALIZE_READONLY))
        guard code == SQLITE_OK else { throw error(code) }
    }

    package var changes: Int { Int(sqlite3_changes(handle)) }

    package func setFlag(_ option: Int32, _ isOn: Bool) {
        _ = karvan_db_config_flag(handle, option, isOn ? 1 : 0, nil)
    }

    /// Whether another file lies at the path by now, or none: what is written here is lost then.
    var hasMoved: Bool { karvan_has_moved(handle) != 0 }

    /// A number that changes with every commit to the file, those of this connection too. In a
    /// transaction.
    var fileVersion: UInt32 {
        var version: UInt32 = 0
        sqlite3_file_control(handle, "main", SQLITE_FCNTL_DATA_VERSION, &version)
        return version
    }

    /// Whether a transaction is open.
    package var isInTransaction: Bool { sqlite3_get_autocommit(handle) == 0 }

    /// SQLITE_IOERR_SHMSIZE: no room for the index of the WAL.
    private static let sharedMemorySizeError: Int32 = 4_874

    func error(_ code: Int32) -> StoreError {
        let detail = handle.map { String(cString: sqlite3_errmsg($0)) } ?? "out of memory"
        if code & 0xff == SQLITE_IOERR, code != Self.sharedMemorySizeError { isPoisoned = true }
        switch code & 0xff {
        case _ where code == Self.sharedMemorySizeError: return .full(path: path)
        case SQLITE_FULL: return .full(path: path)
        case SQLITE_READONLY: return .readOnly(path: path, detail: detail)
        case SQLITE_NOTADB: return .notAReplica(path: path, detail: detail)
        case SQLITE_CORRUPT: return .damaged(path: path, detail: detail)
        case SQLITE_CANTOPEN: return .readOnly(path: path, detail: "can't be opened")
        default: return .disk(path: path, code: code, detail: detail)
        }
    }
}
