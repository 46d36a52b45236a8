internal import Causality
internal import Merge
internal import RecordSchema
internal import SyncProtocol

/// One of the streams that a replica writes to: it has one for each scope in which it writes.
final class Lane {
    var record: StreamRecord
    /// What the ids of the rows end with that are made in it.
    let mark: ScopeMark?
    /// What goes into the run that is not sealed yet.
    var writer: BodyWriter
    var tailCount = 0
    /// What this transaction has added to the tail.
    var unwrittenTail: [TailPiece] = []
    /// The bodies of the tail, one after another, as a run will hold them.
    var tailBody: [UInt8] = []
    /// Their keys.
    var tailKeys = KeptKeys()
    var tailRowCount = 0
    /// What the stream's runs have said.
    var dictionary = SealingDictionary()

    init(_ record: StreamRecord, mark: ScopeMark?) {
        (self.record, self.mark) = (record, mark)
        writer = BodyWriter(stream: record.wire, previousRun: record.runHash, mark: mark)
    }

    /// How much has been written to it: it only grows.
    var count: UInt64 { record.head + record.sealed }

    /// The scope that everybody reads: the table of its tail holds nothing else.
    var isBase: Bool { mark == nil }

    /// A tail of which there is nothing.
    func startTail() {
        writer = BodyWriter(stream: record.wire, previousRun: record.runHash, mark: mark)
        (tailCount, tailRowCount) = (0, 0)
        tailKeys = KeptKeys()
        tailBody.removeAll(keepingCapacity: tailBody.capacity <= Limits.runStoredBytes)
    }

    /// Whether the run has no room for one more changeset of any size, or of many rows.
    var isTailFull: Bool {
        tailCount >= Limits.runChangesets
            || tailBody.count + Limits.changesetBytes > Limits.runWrittenBytes
            || tailRowCount + Limits.changesetGoalRows > Limits.runGoalRows
    }

    /// The numbers of the streams that a file writes to beside that of the base scope, by their scopes.
    static func others(in connection: Connection) throws(StoreError) -> [(String, Int64)] {
        try connection.rows(
            "SELECT key, value FROM sy_meta WHERE key GLOB ? ORDER BY key", .text(MetaKey.lane("*"))
        ).compactMap { row in
            guard case .text(let key) = row[0], case .integer(let sid) = row[1] else { return nil }
            return (String(key.dropFirst(MetaKey.lane("").count)), sid)
        }
    }
}

extension Replica {
    /// The streams that the file says it writes to; that of the base scope first.
    func readLanes() throws(StoreError) -> [Lane] {
        guard case .integer(let sid)? = try connection.meta("own"),
            let own = rows.streams[sid: sid]
        else { throw .damaged(path: path, detail: "its own stream is missing") }
        return try [Lane(own, mark: nil)]
            + Lane.others(in: connection).map { scope, sid throws(StoreError) in
                guard let record = rows.streams[sid: sid], record.publicKey == own.publicKey,
                    record.scope == scope, let mark = schema.mark(ofScope: scope)
                else {
                    throw .damaged(path: path, detail: "its own stream of \(scope) is missing")
                }
                return Lane(record, mark: mark)
            }
    }

    /// The lane of a stream, by its number.
    func lane(sid: Int64) -> Lane? { lanes.first { $0.record.sid == sid } }

    /// The lane of a stream, by what its runs call it.
    func lane(of stream: StreamID) -> Lane? { lanes.first { $0.record.wire == stream } }

    /// The lane of a scope, which is made where there is none. Inside of a transaction.
    func lane(in scope: String) throws(StoreError) -> Lane {
        if scope == Self.scope { return base }
        if let lane = lanes.first(where: { $0.record.scope == scope }) { return lane }
        guard let mark = schema.mark(ofScope: scope) else {
            throw .invalid("there is no scope \(scope)")
        }
        var origin = StreamOrigin(
            publicKey: own.publicKey, scope: scope, incarnation: own.incarnation)
        // A file that was repaired goes on under another name than before, and so does one that has forgotten
        // what it wrote there.
        if try connection.meta(MetaKey.dropped(scope)) != nil {
            origin.incarnation = randomIncarnation()
        }
        while rows.streams[origin.stream] != nil { origin.incarnation = randomIncarnation() }
        let record = try rows.streams.add(origin, to: connection)
        try connection.setMeta(MetaKey.lane(scope), .integer(record.sid))
        let lane = Lane(record, mark: mark)
        lanes.append(lane)
        return lane
    }

    /// Two copies must not take the same.
    func randomIncarnation() -> UInt64 {
        environment.randomBytes(8).reduce(0) { $0 << 8 | UInt64($1) } >> 2 | 1
    }

    /// What has been written in other scopes than the base one: an older copy of the file has less.
    var laneCount: UInt64 {
        lanes.dropFirst().reduce(goneLaneCount) { $0 + $1.count }
    }

    /// What was, in streams that this replica goes on with no more.
    private var goneLaneCount: UInt64 {
        if let knownLaneCount { return knownLaneCount }
        var count: UInt64 = 0
        if case .integer(let noted) = (try? connection.meta(MetaKey.laneCount)) ?? nil {
            count = UInt64(clamping: noted)
        }
        knownLaneCount = count
        return count
    }
}
