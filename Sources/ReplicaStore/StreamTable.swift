internal import Causality
internal import Merge
internal import SyncProtocol

/// What a replica knows of one stream.
struct StreamRecord: Sendable {
    /// The stream's number in this file.
    var sid: Int64
    var stream: StreamID
    var scope: String
    /// Ed25519, 32 bytes.
    var publicKey: [UInt8]
    var incarnation: UInt64
    /// The last changeset that is part of the state.
    var head: UInt64
    /// The last changeset that lies in a sealed run.
    var sealed: UInt64
    var runHash: Digest?
    /// Up to where this replica's own last run named the stream as a dep.
    var named: UInt64
    /// The greatest time given or taken over; kept with the replica's own stream.
    var clock: HybridTime
    /// Where a hub has ended it.
    var end: StreamEnd?
    /// Where it leaves another one, which has the name that its runs have.
    var branch: Branch?
    /// What its runs call it.
    var wire: StreamID

    init(sid: Int64, _ origin: StreamOrigin) {
        (self.sid, wire, stream) = (sid, origin.stream, origin.stream)
        (scope, publicKey, incarnation) = (origin.scope, origin.publicKey, origin.incarnation)
        (head, sealed, named, clock) = (0, 0, 0, HybridTime(rawValue: 0))
    }

    var device: DeviceID { DeviceID(publicKey: publicKey) }

    /// The last changeset before its own.
    var base: UInt64 { branch?.base ?? 0 }

    /// Greater than that of what it leaves.
    var depth: UInt64 { branch.map { $0.base + 1 } ?? 0 }

    /// So many changesets are its own.
    var changesetCount: UInt64 { head - base - (branch?.sharedCount ?? 0) }

    /// It holds changesets behind its end.
    var isBeyondEnd: Bool { end.map { head > $0.lastSeq } ?? false }

    /// It ends later than it is held.
    var isShortOfEnd: Bool { end.map { $0.lastSeq > sealed } ?? false }

    /// Its last run, if it has one.
    var tip: RunStub? {
        guard sealed > base, let runHash else { return nil }
        return RunStub(stream: wire, lastSeq: sealed, hash: runHash)
    }

    /// Whose stream it is.
    var origin: StreamOrigin {
        StreamOrigin(publicKey: publicKey, scope: scope, incarnation: incarnation)
    }
}

/// As it lies in `sy_stream`: the seq in 8 bytes, the highest first, and the run's hash.
extension StreamEnd {
    init?(stored bytes: [UInt8]) {
        guard bytes.count == 8 || bytes.count == 40 else { return nil }
        let seq = bytes.prefix(8).reduce(0) { $0 << 8 | UInt64($1) }
        guard seq <= UInt64(Int64.max) else { return nil }
        self.init(lastSeq: seq, run: Digest(Array(bytes.dropFirst(8))))
    }

    var stored: [UInt8] {
        withUnsafeBytes(of: lastSeq.bigEndian) { Array($0) } + (run?.bytes ?? [])
    }
}

/// The streams of a file, by number and by name. A copy of `sy_stream`, written through.
struct StreamTable {
    private(set) var records: [Int64: StreamRecord] = [:]
    private var numbers: [StreamID: Int64] = [:]
    /// By number.
    private var names: [StreamID?] = []
    /// The branches of the streams that have some, by what their runs call them.
    private var families: [StreamID: [Int64]] = [:]
    /// How often changes have got other names.
    private(set) var naming: Int64 = 0

    init() {}

    init(reading connection: Connection) throws(StoreError) {
        let branches = try Branch.all(in: connection)
        let rows = try connection.rows(
            """
            SELECT sid, scope, stream, device, incarnation, head, sealed, run_hash, named, clock,
                cut
            FROM sy_stream
            """)
        for row in rows {
            guard case .integer(let sid) = row[0], (1...Self.sidLimit).contains(sid),
                case .text(let scope) = row[1],
                case .blob(let name) = row[2], let identifier = Identifier(name),
                case .blob(let key) = row[3], case .integer(let incarnation) = row[4],
                case .integer(let head) = row[5], case .integer(let sealed) = row[6],
                case .integer(let named) = row[8], case .integer(let clock) = row[9],
                let incarnation = UInt64(exactly: incarnation), let head = UInt64(exactly: head),
                let sealed = UInt64(exactly: sealed), let named = UInt64(exactly: named),
                head >= sealed, clock >= 0, clock < .max
            else { throw Self.damaged(connection, row[0]) }
            var hash: Digest?
            if case .blob(let bytes) = row[7] { hash = Digest(bytes) }
            var record = StreamRecord(
                sid: sid,
                StreamOrigin(publicKey: key, scope: scope, incarnation: incarnation))
            record.branch = branches[sid]
            // A stream's name is a hash of what stands beside it.
            if let branch = branches[sid] {
                record.stream = StreamID(branchOf: record.wire, from: branch.firstRun)
            }
            guard record.stream == StreamID(identifier) else {
                throw Self.damaged(connection, row[0])
            }
            (record.head, record.sealed, record.runHash) = (head, sealed, hash)
            (record.named, record.clock) = (
                named, HybridTime(rawValue: UInt64(bitPattern: clock))
            )
            if case .blob(let bytes) = row[10] {
                record.end = StreamEnd(stored: bytes)
                guard record.end != nil else { throw Self.damaged(connection, row[0]) }
            }
            guard (sealed == 0) == (hash == nil), sealed >= record.base,
                numbers[record.stream] == nil
            else { throw Self.damaged(connection, row[0]) }
            insert(record)
        }
        if case .integer(let count)? = try connection.meta(MetaKey.naming) { naming = count }
        // A write touches its tail only, and not the row of its stream.
        if case .integer(let sid)? = try connection.meta("own"),
            case .integer(let last)? = try connection.value("SELECT max(seq) FROM sy_tail")
        {
            guard let last = UInt64(exactly: last) else {
                throw .damaged(path: connection.path, detail: "a row of sy_tail")
            }
            records[sid]?.head = last
        }
        for (_, sid) in try Lane.others(in: connection) {
            let last = try connection.value(
                "SELECT max(seq) FROM sy_left WHERE sid = ?", .integer(sid))
            guard case .integer(let last)? = last else { continue }
            guard let last = UInt64(exactly: last) else {
                throw .damaged(path: connection.path, detail: "a row of sy_left")
            }
            records[sid]?.head = last
        }
    }

    /// Streams of one file: their numbers are dense.
    private static let sidLimit: Int64 = 1 << 20

    private static func damaged(_ connection: Connection, _ sid: Value) -> StoreError {
        guard case .integer(let sid) = sid else {
            return .damaged(path: connection.path, detail: "a row of sy_stream")
        }
        return .damaged(path: connection.path, detail: "row \(sid) of sy_stream")
    }

    /// Changes have got other names.
    mutating func countNaming(in connection: Connection) throws(StoreError) {
        naming += 1
        try connection.setMeta(MetaKey.naming, .integer(naming))
    }

    /// Keeps a record that has changed, and not in the file.
    mutating func note(_ record: StreamRecord) { records[record.sid] = record }

    private mutating func insert(_ record: StreamRecord) {
        records[record.sid] = record
        numbers[record.stream] = record.sid
        while names.count <= record.sid { names.append(nil) }
        names[Int(record.sid)] = record.stream
        guard record.branch != nil else { return }
        families[record.wire, default: []].append(record.sid)
    }

    subscript(stream: StreamID) -> StreamRecord? { numbers[stream].flatMap { records[$0] } }
    subscript(sid sid: Int64) -> StreamRecord? { records[sid] }

    /// The name of a stream.
    func stream(sid: Int64) -> StreamID? {
        sid > 0 && sid < names.count ? names[Int(sid)] : nil
    }

    func sid(of stream: StreamID) -> Int64? { numbers[stream] }

    // MARK: Branches

    /// Whether any stream has branches.
    var hasBranches: Bool { !families.isEmpty }

    func isForked(_ stream: StreamID) -> Bool { families[stream] != nil }

    /// All that runs call by one name: the stream that has it, then its branches.
    func family(_ stream: StreamID) -> [StreamRecord] {
        guard let stem = self[stream], stem.branch == nil else { return [] }
        return [stem] + (families[stream] ?? []).compactMap { records[$0] }
    }

    /// What a changeset is called that was written, as far as its author knew, to `stream`: up to where
    /// that left another one, it lies in that; and what several branches share lies in one of them.
    func canonical(_ dot: Dot) -> Dot {
        guard !families.isEmpty, var record = self[dot.stream], record.branch != nil else {
            return dot
        }
        while let branch = record.branch {
            let owner =
                dot.seq <= branch.base
                ? branch.parent : branch.shared.first { dot.seq <= $0.last }?.owner
            guard let owner, let next = records[owner] else { break }
            record = next
        }
        return Dot(record.stream, dot.seq)
    }

    /// The stream that holds a changeset of `record`: itself, or one that it left behind that.
    func holder(of seq: UInt64, in record: StreamRecord) -> StreamRecord {
        var record = record
        while let branch = record.branch, seq <= branch.base, let parent = records[branch.parent] {
            record = parent
        }
        return record
    }

    /// Adds to what somebody holds all that lies on the way to a changeset.
    func add(_ record: StreamRecord, upTo seq: UInt64, to held: inout VersionVector) {
        var (record, seq) = (record, seq)
        held[record.stream] = max(held[record.stream], seq)
        while let branch = record.branch, let parent = records[branch.parent] {
            (record, seq) = (parent, branch.base)
            held[record.stream] = max(held[record.stream], seq)
        }
    }

    /// Makes a branch known; its number is the next.
    mutating func add(
        _ branch: Branch, of stream: StreamRecord, to connection: Connection
    ) throws(StoreError) -> StreamRecord {
        var record = StreamRecord(sid: (records.keys.max() ?? 0) + 1, stream.origin)
        record.stream = StreamID(branchOf: record.wire, from: branch.firstRun)
        record.branch = branch
        (record.head, record.sealed, record.named) = (branch.base, branch.base, branch.base)
        record.runHash = branch.previous
        try insert(record, into: connection)
        return record
    }

    /// Forgets a branch of which nothing is left.
    mutating func remove(_ record: StreamRecord, from connection: Connection) throws(StoreError) {
        try connection.run("DELETE FROM sy_stream WHERE sid = ?", .integer(record.sid))
        // Another stream may get its number.
        try connection.run(
            "DELETE FROM sy_meta WHERE key = ?", .text(MetaKey.named(record.sid)))
        records[record.sid] = nil
        numbers[record.stream] = nil
        names[Int(record.sid)] = nil
        families[record.wire]?.removeAll { $0 == record.sid }
        if families[record.wire]?.isEmpty == true { families[record.wire] = nil }
    }

    /// Writes down where branches leave.
    func writeBranches(to connection: Connection) throws(StoreError) {
        try Branch.write(
            records.compactMapValues(\.branch), to: connection)
    }

    /// In the order of their names: the same on every replica.
    var sorted: [StreamRecord] { records.values.sorted { $0.stream < $1.stream } }

    /// Makes a stream known; its number is the next.
    mutating func add(
        _ origin: StreamOrigin, to connection: Connection
    ) throws(StoreError) -> StreamRecord {
        let record = StreamRecord(sid: (records.keys.max() ?? 0) + 1, origin)
        try insert(record, into: connection)
        return record
    }

    private mutating func insert(
        _ record: StreamRecord, into connection: Connection
    ) throws(StoreError) {
        try connection.run(
            "INSERT INTO sy_stream VALUES(?, ?, ?, ?, ?, ?, ?, ?, NULL, ?, 0)",
            .integer(record.sid), .text(record.scope),
            .blob(record.stream.identifier.bytes), .blob(record.publicKey),
            .integer(Int64(record.incarnation)), .integer(Int64(record.head)),
            .integer(Int64(record.sealed)), record.runHash.map { .blob($0.bytes) } ?? .null,
            .integer(Int64(record.named)))
        insert(record)
    }

    /// Writes a changed record.
    mutating func update(_ record: StreamRecord, in connection: Connection) throws(StoreError) {
        let statement = try connection.statement(
            """
            UPDATE sy_stream SET head = ?, sealed = ?, run_hash = ?, named = ?, clock = ?, cut = ?
            WHERE sid = ?
            """)
        statement.bind(1, Int64(record.head))
        statement.bind(2, Int64(record.sealed))
        if let hash = record.runHash {
            statement.bind(3, blob: hash.bytes)
        } else {
            statement.bindNull(3)
        }
        statement.bind(4, Int64(record.named))
        statement.bind(5, Int64(bitPattern: record.clock.rawValue))
        if let end = record.end {
            statement.bind(6, blob: end.stored)
        } else {
            statement.bindNull(6)
        }
        statement.bind(7, record.sid)
        try statement.step()
        records[record.sid] = record
    }
}
