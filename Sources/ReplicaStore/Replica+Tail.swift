internal import Causality
internal import Merge
internal import RecordSchema
internal import SyncProtocol

/// An own changeset that no run holds yet.
struct TailPiece {
    var seq: UInt64
    /// The streams that got their numbers in it.
    var streams: [StreamID]
    var body: [UInt8]
    /// Those to what it says of people; see ``SealedRun/keys``.
    var keys: KeptKeys

    init(seq: UInt64, streams: [StreamID], body: [UInt8], keys: KeptKeys = KeptKeys()) {
        (self.seq, self.streams, self.body, self.keys) = (seq, streams, body, keys)
    }

    /// Reads a piece back; `nil` for one that is not what was written.
    ///
    /// - Parameters:
    ///   - stream: the stream that the piece belongs to.
    ///   - previous: the run that the piece follows: its numbers count from there.
    init?(
        seq: Int64, refs: [UInt8], body: [UInt8], sum: Int64, keys: [UInt8],
        of stream: StreamID, after previous: Digest?
    ) {
        guard let seq = UInt64(exactly: seq), refs.count.isMultiple(of: 16) else { return nil }
        let streams = stride(from: 0, to: refs.count, by: 16).compactMap {
            Identifier(refs[$0..<$0 + 16]).map { StreamID($0) }
        }
        self.init(seq: seq, streams: streams, body: body, keys: KeptKeys(keys))
        guard sum == self.sum(in: stream, after: previous) else { return nil }
    }

    /// - Parameter statement: at a row of (seq, refs, body, sum, keys).
    init?(
        _ statement: Statement, of stream: StreamID, after previous: Digest?
    ) {
        self.init(
            seq: statement.integer(0), refs: statement.blob(1), body: statement.blob(2),
            sum: statement.integer(3), keys: statement.blob(4), of: stream, after: previous)
    }

    var refs: [UInt8] { streams.isEmpty ? [] : streams.flatMap { $0.identifier.bytes } }

    /// What tells damage: until a run is signed, nothing else does.
    func sum(in stream: StreamID, after previous: Digest?) -> Int64 {
        var sum = Checksum()
        sum.add(stream.identifier)
        sum.add(previous?.bytes ?? [])
        sum.add(seq)
        for named in streams { sum.add(named.identifier) }
        sum.add(body)
        return Int64(bitPattern: sum.value)
    }
}

/// The tails: own changesets that no run holds yet, and how they are sealed.
extension Replica {
    /// Reads the tails, so that the next changeset can refer to what its run has named.
    func resumeTails() throws(StoreError) {
        for lane in lanes { try resumeTail(of: lane) }
    }

    private func resumeTail(of lane: Lane) throws(StoreError) {
        lane.startTail()
        let own = lane.record
        var reader = tailReader(own)
        try forEachTailPiece(of: lane) { piece throws(StoreError) in
            let seq = piece.seq
            lane.tailCount += 1
            guard seq == own.sealed + UInt64(lane.tailCount) else {
                throw rows.damaged("change \(own.stream):\(seq) of the tail: one before is missing")
            }
            lane.tailBody += piece.body
            lane.tailKeys = lane.tailKeys + piece.keys
            reader.append(piece.body, newStreams: piece.streams)
            do throws(CBORError) {
                while try reader.skip() {}
            } catch {
                throw rows.damaged("change \(seq) of the tail: \(error)")
            }
        }
        // A number must never be given twice, nor be left out.
        guard own.head == own.sealed + UInt64(lane.tailCount) else {
            throw rows.damaged("stream \(own.stream): its last change is not the one that is noted")
        }
        lane.tailRowCount = reader.rowCount
        lane.writer.resume(reader)
        clock = HybridClock(last: max(clock.last, reader.lastTime))
    }

    func tailReader(_ record: StreamRecord) -> BodyReader {
        BodyReader(
            body: [], stream: record.wire, firstSeq: record.sealed + 1,
            previousRun: record.runHash,
            streams: [], namespace: schema.namespace, mark: mark(of: record))
    }

    func forEachTailPiece(
        of lane: Lane, _ body: (TailPiece) throws(StoreError) -> Void
    ) throws(StoreError) {
        let statement = try connection.statement(
            lane.isBase
                ? "SELECT \(Self.pieceColumns) FROM sy_tail ORDER BY seq"
                : "SELECT \(Self.pieceColumns) FROM sy_left WHERE sid = ? ORDER BY seq")
        defer { statement.reset() }
        if !lane.isBase { statement.bind(1, lane.record.sid) }
        while try statement.step() {
            guard
                let piece = TailPiece(
                    statement, of: lane.record.stream, after: lane.record.runHash)
            else {
                throw rows.damaged(
                    "change \(lane.record.stream):\(statement.integer(0)) of the tail")
            }
            try body(piece)
        }
        for piece in lane.unwrittenTail { try body(piece) }
    }

    /// What a piece is read from.
    static let pieceColumns = "seq, refs, body, sum, keys"

    /// Adds a finished changeset to a tail. Inside of a transaction, which writes it when it ends:
    /// what is sealed before was never in the table.
    func append(
        _ body: [UInt8], keys: KeptKeys, newStreams: ArraySlice<StreamID>, rowCount: Int,
        to lane: Lane
    ) {
        lane.record.head += 1
        lane.record.clock = clock.last
        rows.streams.note(lane.record)
        lane.unwrittenTail.append(
            TailPiece(
                seq: lane.record.head, streams: Array(newStreams), body: body, keys: keys))
        lane.tailCount += 1
        lane.tailBody += body
        lane.tailKeys = lane.tailKeys + keys
        lane.tailRowCount += rowCount
    }

    /// Writes what was added to the tails: the last that a transaction does.
    func writeTails() throws(StoreError) {
        for lane in lanes where !lane.unwrittenTail.isEmpty { try writeTail(of: lane) }
    }

    private func writeTail(of lane: Lane) throws(StoreError) {
        let statement = try connection.statement(
            lane.isBase
                ? "INSERT INTO sy_tail(seq, refs, body, sum, keys) VALUES(?, ?, ?, ?, ?)"
                : "INSERT INTO sy_left(seq, refs, body, sum, keys, sid) VALUES(?, ?, ?, ?, ?, ?)")
        for piece in lane.unwrittenTail {
            statement.bind(1, Int64(piece.seq))
            statement.bind(2, blob: piece.refs)
            statement.bind(3, blob: piece.body)
            statement.bind(4, piece.sum(in: lane.record.stream, after: lane.record.runHash))
            statement.bind(5, blob: piece.keys.bytes)
            if !lane.isBase { statement.bind(6, lane.record.sid) }
            try statement.step()
        }
        lane.unwrittenTail.removeAll(keepingCapacity: true)
    }

    /// Seals all own changesets, so that they can leave.
    ///
    /// - Returns: how many were sealed; none when they name what an earlier incarnation left.
    @discardableResult
    public func seal() throws(StoreError) -> Int {
        let hasTail = try connection.value("SELECT 1 FROM sy_tail LIMIT 1") != nil
        guard hasTail || lanes.contains(where: { $0.record.head > $0.record.sealed }) else {
            return 0
        }
        return try transaction { () throws(StoreError) in try sealTails() }
    }

    /// Inside of a transaction.
    @discardableResult
    func sealTails() throws(StoreError) -> Int {
        var count = 0
        for lane in lanes { count += try sealTail(of: lane) }
        return count
    }

    /// Puts the tail's pieces together as a run, as they are. Inside of a transaction.
    @discardableResult
    func sealTail(of lane: Lane) throws(StoreError) -> Int {
        guard lane.tailCount > 0, try !isTailWaiting(lane) else { return 0 }
        let own = lane.record
        try holdChainEnd(own)
        let count = lane.tailCount
        let run = SealedRun(
            sealing: lane.tailBody, stream: own.stream, firstSeq: own.sealed + 1, count: count,
            previous: own.runHash, dependencies: try dependencies(of: lane),
            schemaVersion: schema.version,
            origin: StreamOrigin(
                publicKey: own.publicKey, scope: own.scope, incarnation: own.incarnation),
            key: try key(), namespace: schema.namespace, mark: lane.mark, keys: lane.tailKeys,
            dictionary: &lane.dictionary, earlier: { try? vocabulary(own.sid, holding: $0) })
        try keep(run, of: &lane.record, received: environment.wallMilliseconds())
        if lane.unwrittenTail.count < count {
            if lane.isBase {
                try connection.run("DELETE FROM sy_tail")
            } else {
                try connection.run("DELETE FROM sy_left WHERE sid = ?", .integer(own.sid))
            }
        }
        lane.unwrittenTail.removeAll(keepingCapacity: true)
        lane.record.clock = clock.last
        try rows.streams.update(lane.record, in: connection)
        lane.startTail()
        return count
    }

    /// The heads of other streams of the scope: first those that the tail's dots name, in the order of their
    /// numbers, then those that grew since this replica's last run, as many as a header has room
    /// for; the others wait for the next run. A writer names no more than a header has room for.
    ///
    /// A hub names no more than it must: certificates and cuts must be taken before what they are
    /// about, whatever has come before them.
    private func dependencies(of lane: Lane) throws(StoreError) -> [Dependency] {
        var named: [StreamRecord] = []
        for stream in lane.writer.streams {
            guard let record = rows.streams[stream] else {
                throw rows.damaged("the tail names a stream that is not known")
            }
            named.append(record)
        }
        let own = lane.record
        let grown = rows.streams.sorted.filter { record in
            !keepsFeed && record.sid != own.sid && record.sealed > record.named
                && record.scope == own.scope && !named.contains { $0.sid == record.sid }
        }
        let isEnded = named.contains { $0.end != nil }
        let cutOff = isEnded ? cutOffSeqs(in: try tailChangesets(of: lane)) : [:]
        return try (named + grown).prefix(Limits.runDependencies).map { record throws(StoreError) in
            var record = record
            try holdChainEnd(record)
            if record.named != record.sealed {
                record.named = record.sealed
                try rows.streams.update(record, in: connection)
            }
            return try dependency(on: record, naming: cutOff[record.stream] ?? 0)
        }
    }

    /// What is noted of a stream is the run that it ends with: what is signed next builds on it.
    func holdChainEnd(_ record: StreamRecord) throws(StoreError) {
        guard record.sealed > record.base else {
            guard record.runHash == record.branch?.previous else { throw damagedEnd(of: record) }
            return
        }
        let statement = try connection.statement(
            "SELECT head, x'', x'' FROM sy_run WHERE sid = ? ORDER BY last_seq DESC LIMIT 1")
        defer { statement.reset() }
        statement.bind(1, record.sid)
        guard try statement.step() else { throw damagedEnd(of: record) }
        let run = try sealedRun(statement)
        guard run.header.lastSeq == record.sealed, run.hash == record.runHash,
            run.header.stream == record.wire
        else { throw damagedEnd(of: record) }
    }

    private func damagedEnd(of record: StreamRecord) -> StoreError {
        rows.damaged("stream \(record.stream): its last run is not the one that is noted")
    }

    /// Stores a run, moves its stream's sealed head, and gives it a place in the feed. Inside of a
    /// transaction; the caller writes `record`.
    func keep(
        _ run: SealedRun, of record: inout StreamRecord, received: Int64
    ) throws(StoreError) {
        let hash = run.hash
        let statement = try connection.statement(
            "INSERT INTO sy_run VALUES(?, ?, ?, ?, ?, ?, ?, ?)")
        statement.bind(1, record.sid)
        statement.bind(2, Int64(run.header.lastSeq))
        statement.bind(3, Int64(run.header.firstSeq))
        statement.bind(4, received)
        statement.bind(5, blob: hash.bytes)
        statement.bind(6, blob: run.headerBytes)
        statement.bind(7, blob: run.seal)
        statement.bind(8, blob: run.body)
        try statement.step()
        record.sealed = run.header.lastSeq
        record.head = max(record.head, record.sealed)
        record.runHash = hash
        if keepsFeed {
            try appendToFeed(
                RunStub(stream: record.wire, lastSeq: record.sealed, hash: hash), of: record)
        }
    }
}
