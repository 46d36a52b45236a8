public import Causality
internal import CSQLite
internal import Foundation
internal import Merge
internal import RecordSchema
internal import SyncProtocol

/// What a backup holds.
public struct Backup: Hashable, Sendable {
    public var path: String
    /// What people call the laptop that it was made on.
    public var name: String
    public var changesets: Int
    /// The time of its last change, in milliseconds since 1970; `nil` for none.
    public var lastMilliseconds: Int64?
    /// Changes that no hub is known to hold.
    public var unsent: UInt64
    /// When it was made, in milliseconds since 1970.
    public var madeMilliseconds: Int64
    /// It is a hub's store.
    public var servesFeed: Bool
    /// What the file holds of each stream.
    public var vector: VersionVector
    /// What lies in the folder beside it, and which of the replica's a disk has damaged: these are not there.
    public var blobCount = 0
    public var blobBytes: UInt64 = 0
    public var damagedBlobCount = 0
}

extension Replica {
    /// Writes a copy of the replica to a new file: one state of it, whatever others write meanwhile.
    ///
    /// It is read in one transaction, which keeps nobody from writing, and needs no lock. The copy
    /// holds the device's key, and is held against itself before it gets its name. What records name beside the
    /// replica is copied beside it first: see ``BlobFolder``.
    ///
    /// - Parameter attachments: what goes along, by names that a restoration gives it back under.
    /// - Throws: ``StoreError/exists(path:)`` when there is such a file; ``StoreError/damaged`` when
    ///   the replica is: then there is none.
    public func backUp(
        to target: String, attachments: [String: [UInt8]] = [:]
    ) throws -> Backup {
        guard access(target, F_OK) != 0 else { throw StoreError.exists(path: target) }
        let key = try key()
        let partial = target + ".partial"
        for suffix in ["", "-journal"] { unlink(partial + suffix) }
        try Self.reserve(partial)
        do {
            try connection.run("VACUUM INTO ?", .text(partial))
            var backup = try finish(partial, target, key, attachments)
            let copied = try BlobFolder(replica: target).copy(from: blobs)
            (backup.blobCount, backup.blobBytes) = (copied.count, copied.bytes)
            backup.damagedBlobCount = copied.damagedCount
            try FileSwap.sync(partial)
            guard rename(partial, target) == 0 else { throw StoreError.system(target) }
            try FileSwap.syncFolder(of: target)
            return backup
        } catch {
            for suffix in ["", "-journal"] { unlink(partial + suffix) }
            throw error
        }
    }

    private func finish(
        _ partial: String, _ target: String, _ key: DeviceKey, _ attachments: [String: [UInt8]]
    ) throws -> Backup {
        let copy = try Connection(
            path: partial, isWritable: true, fileSystem: environment.fileSystem)
        defer { copy.close() }
        try Self.configureCopy(copy)
        let now = environment.wallMilliseconds()
        try copy.execute("BEGIN IMMEDIATE")
        try copy.setMeta(MetaKey.backupKey, .blob(key.seed))
        try copy.setMeta(MetaKey.backupTime, .integer(now))
        try copy.setMeta(MetaKey.renew, MetaKey.restored)
        for (name, bytes) in attachments {
            try copy.setMeta(MetaKey.attachment(name), .blob(bytes))
        }
        try copy.execute("PRAGMA application_id = \(Layout.backupID)")
        try copy.execute("COMMIT")
        return try Self.check(copy, as: target, schema, environment)
    }

    /// A copy is one file, without a log beside it.
    static func configureCopy(_ connection: Connection) throws(StoreError) {
        try connection.execute("PRAGMA journal_mode = DELETE")
        try connection.execute("PRAGMA synchronous = FULL")
        try connection.execute("PRAGMA secure_delete = ON")
        connection.setFlag(SQLITE_DBCONFIG_ENABLE_TRIGGER, false)
        connection.setFlag(SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)
    }

    /// Holds a backup against itself.
    ///
    /// - Parameter path: what to call it.
    static func check(
        _ connection: Connection, as path: String, _ schema: Schema, _ environment: Environment
    ) throws -> Backup {
        let copy = try Replica(
            path: connection.path, schema: schema, environment: environment,
            connection: connection)
        let result = try copy.verify()
        if let problem = result.problems.first {
            throw StoreError.damaged(
                path: path, detail: "\(problem); \(result.problems.count) faults in all")
        }
        var last: HybridTime?
        try copy.forEachChangeset { changeset, _ in
            last = max(last ?? changeset.time, changeset.time)
        }
        var made: Int64 = 0
        if case .integer(let time)? = try connection.meta(MetaKey.backupTime) { made = time }
        return Backup(
            path: path, name: try copy.name, changesets: result.changesets,
            lastMilliseconds: last?.milliseconds, unsent: try copy.pending().count,
            madeMilliseconds: made, servesFeed: copy.servesFeed, vector: copy.versionVector())
    }
}
