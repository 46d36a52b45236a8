import Causality
import FieldRecords
import Foundation
import Hub
import Merge
import RecordSchema
import ReplicaStore
import Synchronization
import SyncProtocol

/// A hub's store and laptops in one folder, under one clock.
final class TrustedForum {
    let folder: Folder
    private(set) var hub: HubStore
    private let clock = Clock()

    private final class Clock: Sendable {
        let now = Mutex<Int64>(1_764_000_000_000)
    }

    init() throws {
        folder = try Folder()
        hub = try HubStore(path: folder.file("hub"), environment: Self.environment(clock))
    }

    deinit { hub.close() }

    private static func environment(_ clock: Clock) -> Environment {
        var environment = Environment.system(command: "test")
        environment.wallMilliseconds = { clock.now.withLock { $0 } }
        return environment
    }

    /// That of all files here.
    var environment: Environment { Self.environment(clock) }

    var now: Int64 { clock.now.withLock { $0 } }

    func pass(_ milliseconds: Int64) { clock.now.withLock { $0 += milliseconds } }

    func laptop(_ name: String) throws -> TrustedLaptop {
        TrustedLaptop(
            replica: try Replica.create(
                at: folder.file(name), name: name, schema: Forum.schema,
                environment: Self.environment(clock)))
    }

    func token(
        as role: String, for scopes: [String] = [Forum.scope]
    ) throws -> EnrolmentToken {
        try hub.createToken(
            scopes: scopes, role: role, lifetimeMilliseconds: 3_600_000,
            pin: Array(repeating: 0, count: 32))
    }

    /// The hub lets it in; the laptop itself isn't told.
    @discardableResult
    func enrol(
        _ laptop: TrustedLaptop, as role: String, for scopes: [String] = [Forum.scope]
    ) throws -> Membership {
        let token = try token(as: role, for: scopes)
        let reply = try hub.enrol(
            EnrolmentRequest(secret: token.secret, name: "a laptop", key: try laptop.replica.key()))
        return try Membership(
            anchor: TrustAnchor(root: token.root), hub: reply.hub, own: reply.device,
            device: laptop.replica.publicKey)
    }

    /// A laptop that is let in, and has everything.
    func member(
        _ name: String, as role: String = "coordinator", for scopes: [String] = [Forum.scope]
    ) throws -> TrustedLaptop {
        let laptop = try laptop(name)
        var link = HubLink.test
        link.publicKey = hub.publicKey
        try laptop.replica.setHubLink(link, membership: try enrol(laptop, as: role, for: scopes))
        try sync(laptop)
        return laptop
    }

    /// A whole session, as the bytes that travel.
    ///
    /// - Returns: what the hub did not take.
    @discardableResult
    func sync(_ laptop: TrustedLaptop) throws -> [Rejection] {
        var rejections: [Rejection] = []
        var synced: Set<String> = []
        while let scope = try laptop.replica.syncedScopes().first(where: { !synced.contains($0) }) {
            synced.insert(scope)
            rejections += try sync(laptop, scope)
        }
        return rejections
    }

    private func sync(_ laptop: TrustedLaptop, _ scope: String) throws -> [Rejection] {
        let replica = laptop.replica
        var (asksForBodies, rejections): (Bool, [Rejection]) = (false, [])
        var restarts = 0
        for _ in 0..<50 {
            let batch = try replica.outgoingBatch(of: scope, asksForBodies: asksForBodies)
            let request = ExchangeRequest(
                scope: scope, cursor: batch.cursor, ahead: batch.ahead, runs: batch.runs)
            let reply: ExchangeReply
            do {
                reply = try exchange(request, from: replica.publicKey) { scopes in
                    try replica.note(readableScopes: scopes)
                }
            } catch let refusal as Refusal where refusal.code == .epoch && restarts < 2 {
                restarts += 1
                try replica.forgetHub()
                continue
            } catch let refusal as Refusal where refusal.code == .scope && scope != Forum.scope {
                // It may be read no more, and has been handed over.
                return rejections
            }
            let applied = try replica.apply(reply, in: scope, from: batch.cursor)
            asksForBodies = applied.lacksBodies
            rejections += reply.rejections
            let isRefused = reply.rejections.contains { $0.refusal.code != .gap }
            let isDone =
                !reply.hasMore && !asksForBodies && batch.remainingCount == 0
                && !applied.hasMoreToSend && reply.rejections.isEmpty
            if isDone || isRefused { return rejections }
        }
        throw StoreError.invalid("the session doesn't end")
    }

    // MARK: The store's files

    /// Closes the store while `body` does something to its files, and opens it again.
    func whileClosed(_ body: (_ path: String) throws -> Void) throws {
        hub.close()
        let result = Result { try body(folder.file("hub")) }
        hub = try HubStore(path: folder.file("hub"), environment: Self.environment(clock))
        try result.get()
    }

    func restoreHub(_ file: String, replaces: Bool = true) throws {
        let environment = Self.environment(clock)
        try whileClosed { path in
            _ = try HubStore.restore(
                file, to: path, environment: environment, replaces: replaces)
        }
    }

    /// The store's files as they lie now, with the one beside that names what was written last.
    func hubFiles() throws -> [String: Data] {
        var files: [String: Data] = [:]
        for suffix in ["", "-wal", ".install"] {
            files[suffix] = FileManager.default.contents(atPath: folder.file("hub") + suffix)
        }
        return files
    }

    /// Puts older files in their place.
    ///
    /// - Parameter isWholeDisk: the file beside is as old as the others: nothing here tells.
    func putBack(_ files: [String: Data], isWholeDisk: Bool = false) throws {
        try whileClosed { path in
            for suffix in ["", "-wal", "-shm"] + (isWholeDisk ? [".install"] : []) {
                try? FileManager.default.removeItem(atPath: path + suffix)
                try files[suffix]?.write(to: URL(filePath: path + suffix))
            }
        }
    }

    /// A copy goes on under another stream.
    func copy(of laptop: TrustedLaptop, as name: String) throws -> TrustedLaptop {
        try copy(of: laptop, as: name, with: ["", "-wal", ".key"])
    }

    /// A copy of all that a disk holds: nothing tells it from the first one.
    func clone(of laptop: TrustedLaptop, as name: String) throws -> TrustedLaptop {
        try copy(of: laptop, as: name, with: ["", "-wal", ".key", ".install"])
    }

    private func copy(
        of laptop: TrustedLaptop, as name: String, with suffixes: [String]
    ) throws -> TrustedLaptop {
        for suffix in suffixes {
            try FileManager.default.copyItem(
                atPath: laptop.replica.path + suffix, toPath: folder.file(name) + suffix)
        }
        return TrustedLaptop(
            replica: try Replica.open(
                at: folder.file(name), schema: Forum.schema,
                environment: laptop.replica.environment))
    }

    /// As the operator does.
    @discardableResult
    func revoke(
        _ laptop: TrustedLaptop, receivedBy limit: Int64? = nil
    ) throws -> HubStore.Revocation {
        let device = try hub.devices().first { $0.device == laptop.replica.device.description }
        return try hub.revoke(device!, receivedBy: limit, note: "lost")
    }

    /// As the bytes that travel.
    func exchange(
        _ laptop: TrustedLaptop, _ runs: [SealedRun], in scope: String = Forum.scope
    ) throws -> ExchangeReply {
        try exchange(
            ExchangeRequest(scope: scope, cursor: nil, ahead: [], runs: runs),
            from: laptop.replica.publicKey)
    }

    /// As the bytes that travel.
    ///
    /// - Parameter note: is told what may be read.
    func exchange(
        _ part: ExchangeRequest, from publicKey: [UInt8], note: ([String]) throws -> Void = { _ in }
    ) throws -> ExchangeReply {
        try hub.exchangeOne(part, from: publicKey, now: now, note: note)
    }
}

/// A replica that a test writes to.
struct TrustedLaptop {
    let replica: Replica

    /// Writes a row of any table.
    func write(_ table: RecordSchema.Table, key: Int64 = 1) throws {
        try replica.write { transaction in
            if table.naturalKey.isEmpty {
                let values = table.columns.map { $0.isRegister ? sample($0, key) : nil }
                try transaction.insert(into: table, values)
            } else {
                try transaction.upsert(table, key: table.keyColumns.map { sample($0, key) }, [])
            }
        }
    }

    private func sample(_ column: Column, _ key: Int64) -> Value {
        guard case .register(let type) = column.shape else { return .null }
        return switch type {
        case .integer, .time: .integer(key)
        case .real: .real(Double(key))
        case .text: .text("X\(key)")
        case .blob, .reference: .blob(Array(repeating: UInt8(key), count: 16))
        }
    }

    /// - Returns: the new note.
    @discardableResult
    func note(_ text: String) throws -> (row: RowID, dot: Dot) {
        let (row, receipt) = try replica.write { transaction in
            try transaction.insert(into: Forum.note, [nil, nil, nil, .text(text)])
        }
        return (row, receipt.dots[0])
    }

    /// Takes in what another one holds, without a hub.
    func meet(_ other: TrustedLaptop) throws {
        try other.replica.seal()
        _ = try replica.ingest(other.replica.sealedRuns(beyond: replica.sealedHeads()))
    }

    /// What it has written and not sealed yet; else its last run.
    func seal() throws -> SealedRun {
        try replica.seal()
        let runs = try replica.sealedRuns(after: VersionVector())
        return runs.last { $0.header.stream == replica.stream }!
    }

    func signedRun(writing table: RecordSchema.Table) throws -> SealedRun {
        try write(table)
        return try seal()
    }

    /// A run that the laptop's own program would not make: its device's key signs anything.
    ///
    /// - Parameter row: the row that it changes; by default a new one of the scope.
    func forgedRun(
        writing table: RecordSchema.Table, in scope: String = Forum.scope, to row: RowID? = nil,
        dependencies: [Dependency] = []
    ) throws -> SealedRun {
        let key = try replica.key()
        let origin = StreamOrigin(publicKey: key.publicKey, scope: scope, incarnation: 77)
        let mark = Forum.schema.mark(ofScope: scope)
        let column = table.columns.first { $0.isRegister }!
        var writer = BodyWriter(stream: origin.stream, previousRun: nil, mark: mark)
        let now = replica.environment.wallMilliseconds()
        writer.begin(seq: 1, time: HybridTime(milliseconds: now))
        let id = row ?? RowID(Identifier(high: 1, low: 2 << 32)).marked(by: mark)
        writer.row(table: table.id, id: id, name: .whole, itemCount: BodyWriter.putItemCount)
        writer.put(column: column.id, .plain(sample(column, 1)))
        let (body, _) = writer.finish(
            author: "", claimedMilliseconds: now, action: nil, source: "")
        return SealedRun(
            signing: RunHeader(
                stream: origin.stream, firstSeq: 1, count: 1, previous: nil,
                bodyHash: Digest(sha256: body), dependencies: dependencies,
                schemaVersion: Forum.schema.version, encoding: .plain, expandedBytes: body.count,
                origin: origin), body: body, key: key)
    }
}

extension Replica {
    func rowCount(of table: RecordSchema.Table) throws -> Int {
        let value = try connection.value("SELECT count(*) FROM \(table.name)")
        guard case .integer(let count)? = value else { return -1 }
        return Int(count)
    }
}

extension HubLink {
    static let test = HubLink(
        url: "https://hub.invalid", pins: nil, authority: nil,
        publicKey: Array(repeating: 1, count: 32), role: "")
}

/// Another program that writes to a replica's file.
enum Shell {
    static func run(_ path: String, _ statement: String) throws {
        let process = Process()
        process.executableURL = URL(filePath: "/usr/bin/sqlite3")
        process.arguments = ["-bail", path, statement]
        try process.run()
        process.waitUntilExit()
        guard process.terminationStatus == 0 else { throw StoreError.invalid("sqlite3 failed") }
    }
}
