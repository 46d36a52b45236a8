public import Causality
internal import Foundation
internal import Merge
public import RecordSchema
public import SyncProtocol

/// Changes of one stream that can't be read any more.
public struct LostChanges: Hashable, Sendable {
    public enum Whose: Hashable, Sendable {
        /// Recorded here, and at the hub: the next sync brings them.
        case ownSent
        /// Recorded here, and nowhere else as far as is known.
        case ownUnsent
        /// Another laptop's: the next sync brings what the hub has.
        case other
    }

    public var stream: StreamID
    /// Both ends included.
    public var first: UInt64
    public var last: UInt64
    public var whose: Whose
    /// `nil` where nothing of the stream could be read.
    public var device: DeviceID?
}

/// What a repair did, or with a dry run would do.
public struct Repair: Sendable {
    public var runs = 0
    public var changesets = 0
    public var lost: [LostChanges] = []
    /// Changes that are kept, and count again once what lies before them is back.
    public var waiting: [LostChanges] = []
    /// Rows that other programs wrote to, and whose values could not be taken in.
    public var foreignWrites: [(table: String, row: RowID)] = []
    /// Tables and views of other programs: they stay in the damaged file.
    public var foreignObjects: [String] = []
    /// What could not be read and has to be set again.
    public var notes: [String] = []
    /// The file goes on as a new incarnation.
    public var isNewIncarnation = false
    /// Where the damaged file lies; `nil` for a dry run.
    public var keptAs: String?
    public var stateHash: Digest?
}

extension Replica {
    /// Builds a new file from what can be read of a damaged one, and puts it in its place.
    ///
    /// The log is read from the pages themselves: what proves itself by signature, hash and chain is
    /// kept, and the rows are made from it. The damaged file stays, under a name that is told.
    /// Killed at any moment, the old or the new file stands there. Needs memory for every op.
    ///
    /// - Throws: ``StoreError/notAReplica(path:detail:)`` when nothing of a replica can be read.
    public static func repair(
        at path: String, schema: Schema, environment: Environment, isDryRun: Bool = false
    ) throws -> Repair {
        guard access(path, F_OK) == 0 || FileSwap(replica: path).isPending else {
            throw StoreError.missing(path: path)
        }
        if !isDryRun { takeInWhatIsWhole(path, schema, environment) }
        let lock = try ReplicaLock(replica: path, command: environment.command)
        try lock.acquire(
            replica: path, limitMilliseconds: environment.lockLimitMilliseconds,
            now: environment.monotonicMilliseconds)
        defer { lock.release() }
        let swap = FileSwap(replica: path)
        if !isDryRun { try swap.finish() }
        let file = try salvage(path, schema)
        let key = try publicKey(file, path)
        let plan = RepairPlan(
            file, schema: schema, publicKey: key, mark: InstallFile(replica: path).read())
        var report = Repair(file, plan, schema)
        guard !isDryRun else { return report }
        swap.clear()
        defer { swap.clear() }
        report.stateHash = try build(file, plan, swap, schema, environment)
        let name = FileSwap.freeName("\(path).damaged-\(Self.stamp(environment))")
        try swap.keepAside(as: name, withKey: false)
        let logs = lostLogs(path)
        try swap.commit()
        // They have given what they had, and stay with the file that they belong to.
        for log in logs { rename(log, name + log.dropFirst(path.count)) }
        report.keptAs = name
        return report
    }

    /// What other programs wrote becomes changesets before the file is left, where its rows are
    /// whole.
    private static func takeInWhatIsWhole(
        _ path: String, _ schema: Schema, _ environment: Environment
    ) {
        let opened = try? open(
            at: path, schema: schema, environment: environment, captures: false)
        guard let replica = opened else { return }
        try? replica.takeForeignWritesOfWholeRows()
        replica.close()
    }

    /// Logs of which SQLite would not read the end, as they were kept when that was noticed.
    static func lostLogs(_ path: String) -> [String] {
        let url = URL(filePath: path)
        let prefix = url.lastPathComponent + "-wal.lost-"
        let folder = url.deletingLastPathComponent()
        let names = (try? FileManager.default.contentsOfDirectory(atPath: folder.path)) ?? []
        return names.filter { $0.hasPrefix(prefix) }.sorted().map { folder.path + "/" + $0 }
    }

    private static func salvage(
        _ path: String, _ schema: Schema
    ) throws(StoreError) -> SalvagedFile {
        let key = try? KeyFile.device(replica: path).load().publicKey
        let file = SalvagedFile(
            database: path, schema: schema, logs: lostLogs(path), publicKey: key)
        if let name = file.meta["schema"]?.text, name != schema.name {
            throw .otherSchema(path: path, schema: name)
        }
        if case .integer(let version)? = file.meta["schema_version"], version > schema.version {
            throw .newerSchema(
                path: path, version: UInt64(clamping: version), known: schema.version)
        }
        if let layout = file.meta[MetaKey.layout]?.integer, layout > Layout.version {
            throw .newer(path: path, layout: layout)
        }
        if file.meta["format"]?.integer == 0 { throw .trial(path: path) }
        guard !file.streams.isEmpty || !file.runs.isEmpty || !file.meta.isEmpty else {
            throw .notAReplica(path: path, detail: "nothing of a replica can be read in it")
        }
        return file
    }

    private static func publicKey(
        _ file: SalvagedFile, _ path: String
    ) throws(StoreError) -> [UInt8] {
        let own = file.meta["own"]?.integer.flatMap { sid in file.streams.first { $0.sid == sid } }
        let inFile = try? KeyFile.device(replica: path).load().publicKey
        // The key that lies beside is this device's, whatever a damaged number says.
        if let inFile, own == nil || file.streams.contains(where: { $0.publicKey == inFile }) {
            return inFile
        }
        guard let key = own?.publicKey ?? inFile else {
            throw .key(
                path: KeyFile.device(replica: path).path,
                detail: "it is missing, and the replica doesn't say which it was")
        }
        return key
    }

    /// Writes the new file, and holds it against itself.
    private static func build(
        _ file: SalvagedFile, _ plan: RepairPlan, _ swap: FileSwap, _ schema: Schema,
        _ environment: Environment
    ) throws -> Digest? {
        try reserve(swap.partial)
        let connection = try Connection(
            path: swap.partial, isWritable: true, fileSystem: environment.fileSystem)
        do {
            try configure(connection)
            try Rebuild(
                file: file, plan: plan, schema: schema, environment: environment,
                connection: connection
            ).write()
            let replica = try Replica(
                path: swap.partial, schema: schema, environment: environment,
                connection: connection)
            try connection.execute("BEGIN IMMEDIATE")
            try replica.makeRows()
            // What was found of a run may be of before somebody was erased.
            try replica.erase()
            try connection.execute("COMMIT")
            let result = try replica.verify()
            guard result.problems.isEmpty else {
                throw StoreError.damaged(
                    path: swap.partial, detail: "the repaired file: \(result.problems[0])")
            }
            try connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            connection.close()
            unlink(swap.partial + "-wal")
            unlink(swap.partial + "-shm")
            return result.stateHash
        } catch {
            connection.close()
            throw error
        }
    }

    /// `20260131T101500Z`: for names of files.
    static func stamp(_ environment: Environment) -> String {
        var seconds = time_t(environment.wallMilliseconds() / 1_000)
        var parts = tm()
        gmtime_r(&seconds, &parts)
        func digits(_ number: Int32, _ count: Int = 2) -> String {
            let text = String(number)
            return String(repeating: "0", count: max(0, count - text.count)) + text
        }
        return digits(parts.tm_year + 1900, 4) + digits(parts.tm_mon + 1) + digits(parts.tm_mday)
            + "T" + digits(parts.tm_hour) + digits(parts.tm_min) + digits(parts.tm_sec) + "Z"
    }
}

extension Repair {
    init(_ file: SalvagedFile, _ plan: RepairPlan, _ schema: Schema) {
        runs = plan.streams.reduce(0) { $0 + $1.runs.count }
        changesets = plan.changesets.count
        lost = plan.lost
        waiting = plan.waiting
        foreignWrites = file.dirty.map { dirty in
            (schema.table(id: dirty.table)?.name ?? "table \(dirty.table)", dirty.row)
        }
        foreignObjects = file.foreignObjects.sorted()
        isNewIncarnation = plan.own == nil
        let joined = ["hub_url", "hub_key", MetaKey.root]
        if joined.contains(where: { file.meta[$0] == nil }),
            file.meta["feed"]?.integer != 1,
            file.damagedTables.contains("sy_meta")
                || !file.isSchemaReadable
        {
            notes.append("which hub it syncs with can't be read: run `karvan enrol` again")
        }
        if !file.isSchemaReadable, file.meta["feed"]?.integer == 1 {
            notes.append("a hub's devices and tokens can't be read: laptops must enrol again")
        }
        for (name, _) in file.others.sorted(by: { $0.key < $1.key })
        where file.damagedTables.contains(name) {
            notes.append("a part of \(name) can't be read: devices may have to enrol again")
        }
    }
}
