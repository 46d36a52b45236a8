public import Causality
internal import CSQLite
internal import Foundation
internal import Merge
public import RecordSchema
public import SyncProtocol

/// One SQLite file that takes writes.
///
/// A replica belongs to one thread at a time. Other processes may have the same file open: whoever
/// writes takes the file's lock for that transaction, and sees what the others wrote before.
public final class Replica {
    public let path: String
    public let schema: Schema
    public let environment: Environment
    package private(set) var connection: Connection
    private(set) var rows: RowStore
    private(set) var lock: ReplicaLock?
    let install: InstallFile
    private var keyInMemory: DeviceKey?
    /// The streams that this replica writes to, one for each scope; that of the base scope is the first.
    var lanes: [Lane] = []
    /// Scopes by what the ids of their rows end with, as far as they were asked for.
    var scopesByMark: [ScopeMark: String] = [:]
    var clock = HybridClock()
    let log = ReplicaLog()
    let vocabularies = VocabularyCache()
    /// The file's version when `own` and the tail were read, and when the streams were.
    private var dataVersion: Int64 = -1
    /// The file's number when this connection has committed.
    private var committedVersion: UInt32?
    /// The version in which nothing was noted that other programs wrote: they alone note.
    private var drainedVersion: Int64 = -1
    private var streamsVersion: Int64 = -1
    let keepsFeed: Bool
    /// Columns that the file has just got: what other programs wrote before says nothing of them.
    var newColumns: Set<SchemaColumn> = []
    /// What was read of certificates; `nil` before that.
    var trust: Trust?
    /// Who has been erased; `nil` before that was read.
    var erased: Set<RowID>?
    /// Erasures have come that are not carried out yet, or runs were put aside since: before the transaction ends.
    var holdsUncheckedKeys = false
    /// Rows of which more can be read than before, and runs to which keys came: until the transaction ends.
    var filledRows: Set<LogReplay.Key> = []
    var filledRuns: Set<RunStub> = []
    /// What the last request for a scope brought so that the hub gets keys that it lacks.
    var owedOffered: [String: [RunStub]] = [:]
    /// The streams of which the last request for a scope brought runs.
    var offeredStreams: [String: Set<StreamID>] = [:]
    /// What the last list of scopes that may be read did not name, and was named before.
    var missingScopes: Set<String> = []
    /// How many runs a hub has kept; `nil` before that was read.
    var knownKept: UInt64?
    /// What was written in streams of other scopes that are gone; `nil` before that was read.
    var knownLaneCount: UInt64?
    /// The scopes of which the hub was thought to hold what its feed doesn't name, since the file was opened.
    var doubtedScopes: Set<String> = []
    /// What the authors of branches had counted before these, by the branches' numbers.
    var countedBefore: [Int64: [CountedCell: Merge.Operation]] = [:]
    /// A stream that forks, and ends, has got a run: others of it may lie beside the way to an end now.
    var mayReachEnd = false
    /// Branches have got other names: the rows are made anew before the transaction ends.
    var areRowsStale = false
    /// How deps are read that are met, and not here; `nil` before that was looked at.
    var readings: [Dependency: Reading]?
    /// Runs that were kept aside and are part of the log again, since somebody last asked.
    var takenBack = (runCount: 0 as UInt64, changesetCount: 0 as UInt64)
    private var isDurable = true

    /// The base scope: that of the whole forum, which everybody reads.
    public static let scope = "forum"

    init(
        path: String, schema: Schema, environment: Environment, connection: Connection
    ) throws(StoreError) {
        self.path = path
        self.schema = schema
        self.environment = environment
        self.connection = connection
        install = InstallFile(replica: path)
        rows = RowStore(connection, schema: schema)
        rows.streams = try StreamTable(reading: connection)
        keepsFeed = try connection.meta("feed") == .integer(1)
        // The first transaction reads the tail: most of what is opened is only read, or written once.
        lanes = try readLanes()
        clock = HybridClock(last: latestOwnTime)
    }

    /// The greatest time that any stream of this device notes: each is written with its own.
    private var latestOwnTime: HybridTime {
        rows.streams.records.values.lazy.filter { [own] in $0.publicKey == own.publicKey }
            .map(\.clock).max() ?? own.clock
    }

    /// The lane of the base scope.
    var base: Lane { lanes[0] }

    /// The stream that this replica writes to in the base scope.
    var own: StreamRecord {
        get { base.record }
        set { base.record = newValue }
    }

    /// Ends the use of the file.
    public func close() { connection.close() }

    // MARK: Who it is

    public var name: String {
        get throws(StoreError) {
            guard case .text(let name)? = try connection.meta("name") else { return "" }
            return name
        }
    }

    public var device: DeviceID { own.device }
    public var publicKey: [UInt8] { own.publicKey }
    public var stream: StreamID { own.stream }
    /// Whether others pull from it.
    public var servesFeed: Bool { keepsFeed }

    /// The device's private key, from its file beside the replica.
    public func key() throws(StoreError) -> DeviceKey {
        if let keyInMemory { return keyInMemory }
        let key = try KeyFile.device(replica: path).load()
        guard key.publicKey == own.publicKey else {
            throw .key(
                path: KeyFile.device(replica: path).path, detail: "it belongs to another replica")
        }
        keyInMemory = key
        return key
    }

    // MARK: Transactions

    /// Runs `body` in one transaction under the replica's lock: all of it is durable afterwards,
    /// or none.
    ///
    /// - Parameters:
    ///   - isBulk: one of many that take in runs: the log may grow further before it is carried into
    ///     the file, so that pages which each of them writes are carried over once.
    ///   - checksIdentity: whether a file that was copied or put back goes on as a new incarnation
    ///     first.
    package func transaction<T>(
        isDurable: Bool = true, isBulk: Bool = false, checksIdentity: Bool = true,
        _ body: () throws -> T
    ) throws -> T {
        try takeLock()
        defer { lock?.release() }
        try reopenIfPoisoned()
        guard !connection.hasMoved else { throw StoreError.replaced(path: path) }
        defer { if connection.isPoisoned { lock?.mark(logInDoubt: true) } }
        try setDurable(isDurable)
        try connection.run("BEGIN IMMEDIATE")
        do {
            if lock?.isLogInDoubt == true {
                try connection.rewriteLog()
                lock?.mark(logInDoubt: false)
            }
            try refresh(checksIdentity: checksIdentity)
            let result = try body()
            try remakeFilled()
            if holdsUncheckedKeys { try erase() }
            try writeTails()
            try connection.run("COMMIT")
            committedVersion = connection.fileVersion
            // What the disk may still lose must not be named there.
            if isDurable {
                install.note(InstallFile.Mark(own, kept: keptCount))
            }
            checkpointIfDue(isBulk: isBulk)
            return result
        } catch {
            if connection.isInTransaction { try? connection.execute("ROLLBACK") }
            // What is in memory may be ahead of the file now.
            (dataVersion, committedVersion) = (-1, nil)
            for lane in lanes { lane.unwrittenTail = [] }
            if let streams = try? StreamTable(reading: connection) {
                rows.streams = streams
                lanes = (try? readLanes()) ?? lanes
                // Times that were given away in vain may lie years ahead.
                clock = HybridClock(last: latestOwnTime)
                forgetCaches()
            }
            throw error
        }
    }

    /// After a failed write or sync the file is opened anew before anything is written, and never
    /// synced again by the connection that failed: the system forgets what it could not write. The
    /// new connection comes before the old one goes, so that the log's index stays as it is, without
    /// the transaction that failed.
    private func reopenIfPoisoned() throws(StoreError) {
        guard connection.isPoisoned else { return }
        let fresh = try Connection(
            path: path, isWritable: true, fileSystem: environment.fileSystem)
        do throws(StoreError) {
            try Self.configure(fresh)
            let store = RowStore(fresh, schema: schema)
            store.streams = try StreamTable(reading: fresh)
            connection.close()
            connection = fresh
            rows = store
        } catch {
            fresh.close()
            throw error
        }
        lanes = try readLanes()
        // SQLite's numbers of versions are each connection's own.
        (dataVersion, streamsVersion, drainedVersion) = (-1, -1, -1)
        (committedVersion, isDurable) = (nil, true)
        forgetCaches()
    }

    /// As above, for bodies that fail only as the store does.
    func transaction<T>(
        isDurable: Bool = true, checksIdentity: Bool = true, _ body: () throws(StoreError) -> T
    ) throws(StoreError) -> T {
        do {
            return try transaction(isDurable: isDurable, checksIdentity: checksIdentity) {
                () throws in try body()
            }
        } catch let error as StoreError {
            throw error
        } catch {
            preconditionFailure("a body of typed errors threw \(error)")
        }
    }

    /// Whether commits wait for the disk.
    private func setDurable(_ isDurable: Bool) throws(StoreError) {
        guard isDurable != self.isDurable else { return }
        try connection.execute("PRAGMA synchronous = \(isDurable ? "FULL" : "NORMAL")")
        self.isDurable = isDurable
    }

    func takeLock() throws(StoreError) {
        let lock: ReplicaLock
        if let opened = self.lock {
            lock = opened
        } else {
            lock = try ReplicaLock(replica: path, command: environment.command)
        }
        self.lock = lock
        try lock.acquire(
            replica: path, limitMilliseconds: environment.lockLimitMilliseconds,
            now: environment.monotonicMilliseconds)
    }

    func letGo() { lock?.release() }

    /// Runs `body` on one state of the file, whatever other processes write meanwhile. Inside of a
    /// transaction, or of another read, it is part of that.
    public func read<T>(_ body: () throws -> T) throws -> T {
        guard !connection.isInTransaction else { return try body() }
        try reopenIfPoisoned()
        try connection.execute("BEGIN")
        defer { try? connection.execute("COMMIT") }
        try refreshStreams()
        return try body()
    }

    /// As above, for bodies that fail only as the store does.
    func read<T>(_ body: () throws(StoreError) -> T) throws(StoreError) -> T {
        guard !connection.isInTransaction else { return try body() }
        try reopenIfPoisoned()
        try connection.execute("BEGIN")
        defer { try? connection.execute("COMMIT") }
        try refreshStreams()
        return try body()
    }

    /// What another process has added to the streams since. The snapshot starts with the first
    /// row that is read, so the number of the file's version is asked for after that.
    private func refreshStreams() throws(StoreError) {
        _ = try connection.value("SELECT 1 FROM sy_stream LIMIT 1")
        let version = try foreignVersion()
        guard version != streamsVersion else { return }
        rows.streams = try StreamTable(reading: connection)
        // The writer is read anew by the next transaction, which sees that it is behind.
        lanes = try readLanes()
        forgetCaches()
        streamsVersion = version
    }

    /// Keeps other processes from writing while `body` runs; it may write itself, or let a program
    /// that it starts do so.
    public func withLock<T>(_ body: () throws -> T) throws -> T {
        try takeLock()
        defer { lock?.release() }
        // What another program appends must not lie behind a hole.
        try settleLog()
        return try body()
    }

    /// Writes the log once more when the disk may not have kept it. Under the lock.
    func settleLog() throws(StoreError) {
        if lock?.isLogInDoubt == true { try transaction { () throws(StoreError) in } }
    }

    /// Reads anew what another process may have changed. Inside of a transaction.
    private func refresh(checksIdentity: Bool) throws(StoreError) {
        guard connection.fileVersion != committedVersion,
            case .integer(let version)? = try connection.value("PRAGMA data_version"),
            version != dataVersion
        else { return }
        try reload()
        if checksIdentity, try !isThisInstall() {
            try takeNewIncarnation()
            try connection.run("BEGIN IMMEDIATE")
            try reload()
        }
        dataVersion = version
        streamsVersion = version
    }

    /// Whether another program may have written since nothing was noted. In a transaction.
    var mayHaveForeignWrites: Bool { dataVersion < 0 || drainedVersion != dataVersion }

    func noteNoForeignWrites() { drainedVersion = dataVersion }

    /// A number that changes when another process has written.
    public func foreignVersion() throws(StoreError) -> Int64 {
        guard case .integer(let version)? = try connection.value("PRAGMA data_version") else {
            return 0
        }
        return version
    }

    /// Another process, or a transaction that was taken back, may have changed what was kept.
    private func forgetCaches() {
        log.removeAll()
        for lane in lanes { lane.dictionary = SealingDictionary() }
        scopesByMark = [:]
        trust = nil
        erased = nil
        holdsUncheckedKeys = false
        (filledRows, filledRuns) = ([], [])
        knownKept = nil
        knownLaneCount = nil
        countedBefore = [:]
        readings = nil
        rows.forget()
    }

    func reload() throws(StoreError) {
        rows.streams = try StreamTable(reading: connection)
        lanes = try readLanes()
        clock = HybridClock(last: max(latestOwnTime, clock.last))
        forgetCaches()
        try resumeTails()
    }

    /// How much further than otherwise the log may grow while runs are taken in.
    private static let bulkFactor = 8

    /// The WAL is carried into the database by whoever holds the lock, when it has grown.
    private func checkpointIfDue(isBulk: Bool) {
        let limit = environment.checkpointFrames * (isBulk ? Self.bulkFactor : 1)
        guard connection.logFrames > limit else { return }
        // A reader may be in the way; the next writer tries again.
        try? connection.execute("PRAGMA wal_checkpoint(PASSIVE)")
    }
}
