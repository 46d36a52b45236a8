internal import CSQLite
internal import Foundation
internal import Merge
public import RecordSchema
internal import SyncProtocol

/// How a file is opened: what an interrupted change of files left, and what a damaged log lost, come
/// first.
extension Replica {
    /// Opens a replica, and turns what other programs wrote to it into changesets.
    public static func open(
        at path: String, schema: Schema, environment: Environment
    ) throws(StoreError) -> Replica {
        try open(at: path, schema: schema, environment: environment, captures: true)
    }

    /// - Parameter captures: whether to make the file ready for writes; else it is only looked at,
    ///   and brought up to date as far as that can be done.
    static func open(
        at path: String, schema: Schema, environment: Environment, captures: Bool
    ) throws(StoreError) -> Replica {
        try finishSwap(path, environment)
        guard access(path, F_OK) == 0 else { throw .missing(path: path) }
        let lostCommits = try lostCommits(path, environment)
        let connection = try Connection(
            path: path, isWritable: true, fileSystem: environment.fileSystem)
        try identify(connection, schema)
        try configure(connection)
        let replica = try Replica(
            path: path, schema: schema, environment: environment, connection: connection)
        guard captures else {
            if lostCommits > 0 { try? replica.noteLoss(lostCommits) }
            try? replica.learnSchema()
            return replica
        }
        if lostCommits > 0 { try replica.noteLoss(lostCommits) }
        try replica.learnSchema()
        try replica.readAnewIfNeeded()
        try replica.takeForeignWritesOfWholeRows()
        // A build that knew nothing of that may have come between.
        if try replica.isErasureDue() {
            try replica.transaction { () throws(StoreError) in try replica.erase() }
        }
        return replica
    }

    /// Another process was ended while it put another file in this one's place.
    private static func finishSwap(
        _ path: String, _ environment: Environment
    ) throws(StoreError) {
        let swap = FileSwap(replica: path)
        guard swap.isPending else { return }
        let lock = try ReplicaLock(replica: path, command: environment.command)
        try lock.acquire(
            replica: path, limitMilliseconds: environment.lockLimitMilliseconds,
            now: environment.monotonicMilliseconds)
        defer { lock.release() }
        try swap.finish()
    }

    /// Looks at the write-ahead log before SQLite does; not while someone else is writing it.
    private static func lostCommits(
        _ path: String, _ environment: Environment
    ) throws(StoreError) -> Int {
        guard access(path + "-wal", R_OK) == 0, access(path, W_OK) == 0 else { return 0 }
        let lock = try ReplicaLock(replica: path, command: environment.command)
        do throws(StoreError) {
            try lock.acquire(
                replica: path, limitMilliseconds: 0, now: environment.monotonicMilliseconds)
        } catch {
            return 0
        }
        defer { lock.release() }
        let count = WALScan(database: path).lostCommits
        if count > 0 { try keepLog(path) }
        return count
    }

    /// What SQLite won't read of a log may be whole: it is kept for `repair` before SQLite writes
    /// over it. A log that is kept already has its name by what it holds.
    private static func keepLog(_ path: String) throws(StoreError) {
        guard let log = FileManager.default.contents(atPath: path + "-wal") else { return }
        let name = Digest(sha256: Array(log)).description.prefix(12)
        let copy = "\(path)-wal.lost-\(name)"
        guard access(copy, F_OK) != 0 else { return }
        let isMade = FileManager.default.createFile(
            atPath: copy + ".partial", contents: log, attributes: [.posixPermissions: 0o600])
        guard isMade else { throw StoreError.system(copy) }
        try FileSwap.sync(copy + ".partial")
        guard rename(copy + ".partial", copy) == 0 else { throw StoreError.system(copy) }
        try FileSwap.syncFolder(of: path)
    }

    /// Keeps the loss in mind, and carries the log over, so that it isn't found again.
    private func noteLoss(_ count: Int) throws(StoreError) {
        try transaction { () throws(StoreError) in
            let before: Int64 =
                if case .integer(let number)? = try connection.meta("lost_commits") {
                    number
                } else { 0 }
            try connection.setMeta("lost_commits", .integer(before + Int64(count)))
        }
        try connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    }

    /// Transactions that a damaged disk took, as far as was noticed.
    public func lostCommits() throws(StoreError) -> Int64 {
        guard case .integer(let count)? = try connection.meta("lost_commits") else { return 0 }
        return count
    }

    /// - Parameter name: what to call the file; `nil` for what it is called.
    static func identify(
        _ connection: Connection, _ schema: Schema, as id: Int64 = Layout.applicationID,
        named name: String? = nil
    ) throws(StoreError) {
        let path = name ?? connection.path
        let found = try connection.value("PRAGMA application_id")
        guard found == .integer(id) || found != .integer(Layout.backupID) else {
            throw .notAReplica(
                path: path, detail: "it is a backup, and `karvan restore` brings it back")
        }
        guard found == .integer(id),
            case .integer(let version)? = try connection.value("PRAGMA user_version")
        else { throw .notAReplica(path: path, detail: "another program made it") }
        guard version <= Layout.version else { throw .newer(path: path, layout: version) }
        guard version > Layout.lastTrial else { throw .trial(path: path) }
        guard case .text(let name)? = try connection.meta("schema"), name == schema.name else {
            throw .otherSchema(path: path, schema: schema.name)
        }
        // A build that doesn't know a column would leave it out of the rows that it writes.
        if case .integer(let known)? = try connection.meta("schema_version"),
            known < 0 || known > Int64(schema.version)
        {
            throw .newerSchema(path: path, version: UInt64(clamping: known), known: schema.version)
        }
    }

    static func configure(_ connection: Connection) throws(StoreError) {
        try connection.execute("PRAGMA journal_mode = WAL")
        // A person's record is on disk before the screen says so.
        try connection.execute("PRAGMA synchronous = FULL")
        // Whoever holds the lock decides when to checkpoint.
        try connection.watchLog()
        // What the log was while runs were taken in, it need not stay. More than it has when it is
        // due to be carried over: else it is cut and grows again each time, and each sync of a file
        // that grows takes twice as long.
        try connection.execute("PRAGMA journal_size_limit = \(8 << 20)")
        try connection.execute("PRAGMA temp_store = MEMORY")
        try connection.execute("PRAGMA cache_size = -16384")
        connection.setFlag(SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)
        connection.setFlag(SQLITE_DBCONFIG_ENABLE_TRIGGER, false)
        connection.setFlag(SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)
    }
}
