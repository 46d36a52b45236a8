internal import Causality
internal import Foundation
internal import Merge
public import RecordSchema
public import SyncProtocol

/// How a new file is made.
extension Replica {
    /// Makes a new replica with a key of its own.
    ///
    /// - Parameters:
    ///   - name: what people call the laptop.
    ///   - key: the device's; `nil` makes a new one from the environment's random bytes.
    ///   - keepsFeed: whether others pull from it: a hub's does.
    /// - Throws: ``StoreError/exists(path:)`` when there is a file already.
    public static func create(
        at path: String, name: String, schema: Schema, environment: Environment,
        key: DeviceKey? = nil, keepsFeed: Bool = false
    ) throws(StoreError) -> Replica {
        guard !name.isEmpty, name.utf8.count <= Limits.nameBytes else {
            throw .invalid("a replica's name has 1 to \(Limits.nameBytes) bytes")
        }
        guard let key = key ?? DeviceKey(seed: environment.randomBytes(32)) else {
            throw .invalid("a key is made of 32 random bytes")
        }
        try reserve(path)
        do throws(StoreError) {
            try KeyFile.device(replica: path).create(key)
            let connection = try Connection(
                path: path, isWritable: true, fileSystem: environment.fileSystem)
            try configure(connection)
            try lay(
                out: schema, name: name, key: key, keepsFeed: keepsFeed, in: connection, environment
            )
            let replica = try Replica(
                path: path, schema: schema, environment: environment, connection: connection)
            try replica.install.reserve()
            try replica.install.sync(InstallFile.Mark(replica.own, kept: replica.keptCount))
            return replica
        } catch {
            // Nobody was told of it yet, so nothing is lost with it.
            for suffix in ["", "-wal", "-shm"] { unlink(path + suffix) }
            unlink(InstallFile.path(replica: path))
            if case .exists = error { throw error }
            unlink(KeyFile.device(replica: path).path)
            throw error
        }
    }

    /// An empty file of mode 0600, so that no other user ever sees the database.
    static func reserve(_ path: String) throws(StoreError) {
        let descriptor = Foundation.open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else {
            if errno == EEXIST { throw .exists(path: path) }
            throw StoreError.system(path)
        }
        Foundation.close(descriptor)
    }

    private static func lay(
        out schema: Schema, name: String, key: DeviceKey, keepsFeed: Bool,
        in connection: Connection, _ environment: Environment
    ) throws(StoreError) {
        // A file that holds no more than this is no replica yet.
        try LayoutTemplate.lay([Layout.tables] + Layout.statements(for: schema), in: connection)
        try connection.execute("BEGIN IMMEDIATE")
        let origin = StreamOrigin(publicKey: key.publicKey, scope: scope, incarnation: 0)
        var streams = StreamTable()
        let own = try streams.add(origin, to: connection)
        try connection.setMeta("own", .integer(own.sid))
        try connection.setMeta("install", .integer(1))
        try connection.setMeta("name", .text(name))
        try connection.setMeta("schema", .text(schema.name))
        try connection.setMeta("schema_version", .integer(Int64(schema.version)))
        try connection.setMeta("format", .integer(Int64(Limits.format)))
        try connection.setMeta(MetaKey.reading, .integer(Limits.reading))
        if keepsFeed {
            try connection.setMeta("feed", .integer(1))
            let epoch = Identifier(environment.randomBytes(16))!
            let start = Cursor.start(epoch: epoch, scope: scope)
            try connection.run(
                "INSERT INTO sy_scope VALUES(?, ?, 0, ?)", .text(scope), .blob(epoch.bytes),
                .blob(start.chain.bytes))
        }
        try connection.execute("PRAGMA application_id = \(Layout.applicationID)")
        try connection.execute("PRAGMA user_version = \(Layout.version)")
        try connection.execute("COMMIT")
    }
}
