internal import Causality
internal import CSQLite
internal import Foundation
internal import Merge
public import RecordSchema
internal import SyncProtocol

/// A backup that was, or with a dry run would be, put in a replica's place.
public struct Restoration: Sendable {
    public var backup: Backup
    /// Changes that the present file holds and the backup lacks.
    public var lacking: UInt64 = 0
    /// The present file can't be read.
    public var isPresentDamaged = false
    /// Where the file lies that stood there; `nil` when there was none.
    public var keptAs: String?
    /// A replica of the same device stood there.
    public var isSamePlace = false
    /// What went along with the backup, by name.
    public var attachments: [String: [UInt8]] = [:]
    /// What lay in the folder beside it, and lies beside the replica now.
    public var blobCount = 0
}

extension Replica {
    /// Puts a backup in a replica's place. The first write goes on as a new incarnation.
    ///
    /// The backup is checked first, and stays as it is. Killed at any moment, what stood there or
    /// the backup stands there.
    ///
    /// - Parameter replaces: also when the present file holds changes that the backup lacks, can't
    ///   be read, or belongs to another device; it is kept under a name that is told.
    /// - Parameter serves: whether it must be the backup of a hub's store; else it must be none.
    /// - Throws: ``StoreError/held(path:holder:waitedMilliseconds:)`` while another process has the
    ///   replica open; ``StoreError/invalid(_:)`` when it would have to replace.
    public static func restore(
        _ file: String, to path: String, schema: Schema, environment: Environment,
        replaces: Bool = false, isDryRun: Bool = false, serves: Bool = false
    ) throws -> Restoration {
        guard access(file, R_OK) == 0 else { throw StoreError.missing(path: file) }
        let lock = try ReplicaLock(replica: path, command: environment.command)
        try lock.acquire(
            replica: path, limitMilliseconds: environment.lockLimitMilliseconds,
            now: environment.monotonicMilliseconds)
        let swap = FileSwap(replica: path)
        do {
            defer { lock.release() }
            try swap.finish()
            try refuseWhileOpen(path)
            swap.clear()
        }
        defer { swap.clear() }
        var (result, key) = try prepare(file, swap, schema, environment)
        guard result.backup.servesFeed == serves else {
            throw StoreError.invalid(
                serves
                    ? "\(file) is the backup of a laptop: `karvan restore` puts it in its place"
                    : "\(file) is the backup of a hub: `karvan-hub restore` puts it in its place")
        }
        try compare(path, key, &result, schema, environment)
        guard !isDryRun else { return result }
        if !replaces { try refuseLoss(path, result) }
        try lock.acquire(
            replica: path, limitMilliseconds: environment.lockLimitMilliseconds,
            now: environment.monotonicMilliseconds)
        defer { lock.release() }
        try refuseWhileOpen(path)
        if (try? KeyFile.device(replica: path).load().seed) != key.seed {
            try KeyFile.device(replica: swap.partial).create(key)
        }
        if access(path, F_OK) == 0 {
            let name = FileSwap.freeName("\(path).before-\(stamp(environment))")
            try swap.keepAside(as: name, withKey: true)
            result.keptAs = name
        }
        result.blobCount = try BlobFolder(replica: path).copy(from: BlobFolder(replica: file)).count
        try swap.commit()
        return result
    }

    /// Copies the backup beside the replica, holds it against itself, and takes the key out of it.
    private static func prepare(
        _ file: String, _ swap: FileSwap, _ schema: Schema, _ environment: Environment
    ) throws -> (Restoration, DeviceKey) {
        try reserve(swap.partial)
        try copy(file, to: swap.partial)
        let connection = try Connection(
            path: swap.partial, isWritable: true, fileSystem: environment.fileSystem)
        defer { connection.close() }
        guard try connection.value("PRAGMA application_id") == .integer(Layout.backupID) else {
            throw StoreError.notAReplica(
                path: file, detail: "it is no backup: `karvan backup FILE` makes them")
        }
        try identify(connection, schema, as: Layout.backupID, named: file)
        try configureCopy(connection)
        guard case .blob(let seed)? = try connection.meta(MetaKey.backupKey),
            let key = DeviceKey(seed: seed)
        else { throw StoreError.damaged(path: file, detail: "the key in it can't be read") }
        var result = Restoration(
            backup: try check(connection, as: file, schema, environment))
        let prefix = MetaKey.attachment("")
        for row in try connection.rows(
            "SELECT key, value FROM sy_meta WHERE substr(key, 1, length(?1)) = ?1", .text(prefix))
        {
            guard case .text(let key) = row[0], case .blob(let bytes) = row[1] else { continue }
            result.attachments[String(key.dropFirst(prefix.count))] = bytes
        }
        try connection.execute("BEGIN IMMEDIATE")
        let names = result.attachments.keys.map(MetaKey.attachment)
        for name in [MetaKey.backupKey, MetaKey.backupTime] + names {
            try connection.run("DELETE FROM sy_meta WHERE key = ?", .text(name))
        }
        try connection.setMeta(MetaKey.renew, MetaKey.restored)
        try connection.execute("PRAGMA application_id = \(Layout.applicationID)")
        try connection.execute("COMMIT")
        return (result, key)
    }

    private static func copy(_ file: String, to target: String) throws {
        let bytes: Data
        do {
            bytes = try Data(contentsOf: URL(filePath: file), options: .mappedIfSafe)
        } catch {
            throw StoreError.readOnly(path: file, detail: "it can't be read")
        }
        do {
            let handle = try FileHandle(forWritingTo: URL(filePath: target))
            try handle.write(contentsOf: bytes)
            try handle.close()
        } catch {
            throw StoreError.system(target)
        }
    }

    // MARK: What stands there

    private static func compare(
        _ path: String, _ key: DeviceKey, _ result: inout Restoration, _ schema: Schema,
        _ environment: Environment
    ) throws {
        guard access(path, F_OK) == 0 else { return }
        do throws(StoreError) {
            let present = try open(at: path, schema: schema, environment: environment)
            defer { present.close() }
            for (stream, seq) in present.versionVector().entries {
                result.lacking += seq - min(seq, result.backup.vector[stream])
            }
            result.isSamePlace = present.publicKey == key.publicKey
            // What is not taken in yet is in the file only.
            let rest = try present.unreadableForeignWrites().count
            result.lacking += UInt64(rest)
            if !result.isSamePlace { result.lacking = max(result.lacking, 1) }
        } catch {
            if case .held = error { throw error }
            result.isPresentDamaged = true
        }
    }

    private static func refuseLoss(
        _ path: String, _ result: Restoration
    ) throws(StoreError) {
        guard result.lacking > 0 || result.isPresentDamaged else { return }
        let what =
            result.isPresentDamaged
            ? "can't be read, and may hold changes that the backup lacks"
            : "holds \(result.lacking) change\(result.lacking == 1 ? "" : "s") that the backup lacks"
        throw .invalid(
            "\(path) \(what). Nothing was replaced; with --replace the file is kept under another "
                + "name, and the backup put in its place")
    }

    /// SQLite's bytes in a file that say who has it open: it keeps a lock there as long as that.
    private static let sharedFirst: off_t = 0x4000_0002
    private static let sharedCount: off_t = 510
    /// `F_OFD_GETLK`: asks for another's lock, one of this process included.
    private static let askForLock: Int32 = 36

    private static func refuseWhileOpen(_ path: String) throws(StoreError) {
        let descriptor = Foundation.open(path, O_RDWR | O_CLOEXEC)
        guard descriptor >= 0 else { return }
        defer { Foundation.close(descriptor) }
        var lock = Foundation.flock()
        lock.l_type = Int16(F_WRLCK)
        lock.l_whence = Int16(SEEK_SET)
        lock.l_start = sharedFirst
        lock.l_len = sharedCount
        guard fcntl(descriptor, askForLock, &lock) == 0, lock.l_type != Int16(F_UNLCK) else {
            return
        }
        throw .held(
            path: path,
            holder: LockHolder(process: Int64(max(lock.l_pid, 0)), command: "it has the file open"),
            waitedMilliseconds: 0)
    }
}
