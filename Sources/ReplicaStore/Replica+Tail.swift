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

    init(seq: UInt64, streams: [StreamID], body: [UInt8]) {
        (self.seq, self.streams, self.body) = (seq, streams, body)
    }

    /// Reads a piece back; `nil` for one that is not what was written.
    ///
    /// - Parameters:
    ///   - sum: `nil` in files of old layouts.
    ///   - stream: the stream that the piece belongs to.
    ///   - previous: the run that the piece follows: its numbers count from there.
    init?(
        seq: Int64, refs: [UInt8], body: [UInt8], sum: Int64?, of stream: StreamID,
        after previous: Digest?
    ) {
        guard let seq = UInt64(exactly: seq), refs.count.isMultiple(of: 16) else { return nil }
        let streams = stride(from: 0, to: refs.count, by: 16).compactMap {
            Identifier(refs[$0..<$0 + 16]).map { StreamID($0) }
        }
        self.init(seq: seq, streams: streams, body: body)
        guard sum == nil || sum == self.sum(in: stream, after: previous) else { return nil }
    }

    /// - Parameter statement: at a row of (seq, refs, body, sum).
    init?(
        _ statement: Statement, of stream: StreamID, after previous: Digest?, isChecked: Bool = true
    ) {
        self.init(
            seq: statement.integer(0), refs: statement.blob(1), body: statement.blob(2),
            sum: isChecked ? statement.integer(3) : nil, of: stream, after: previous)
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

/// The tail: own changesets that no run holds yet, and how they are sealed.
extension Replica {
    /// Reads the tail, so that the next changeset can refer to what the run has named.
    func resumeTail() throws(StoreError) {
        startTail()
        var reader = tailReader(own)
        try forEachTailPiece { seq, streams, body throws(StoreError) in
            tailCount += 1
            guard seq == own.sealed + UInt64(tailCount) else {
                throw rows.damaged("change \(own.stream):\(seq) of the tail: one before is missing")
            }
            tailBody += body
            reader.append(body, newStreams: streams)
            do throws(CBORError) {
                while try reader.skip() {}
            } catch {
                throw rows.damaged("change \(seq) of the tail: \(error)")
            }
        }
        // A number must never be given twice, nor be left out.
        guard own.head == own.sealed + UInt64(tailCount) else {
            throw rows.damaged("stream \(own.stream): its last change is not the one that is noted")
        }
        tailRowCount = reader.rowCount
        writer.resume(reader)
        clock = HybridClock(last: max(clock.last, reader.lastTime))
    }

    /// A tail of which there is nothing.
    private func startTail() {
        writer = BodyWriter(stream: own.wire, previousRun: own.runHash)
        (tailCount, tailRowCount) = (0, 0)
        tailBody.removeAll(keepingCapacity: tailBody.capacity <= Limits.runStoredBytes)
    }

    func tailReader(_ record: StreamRecord) -> BodyReader {
        BodyReader(
            body: [], stream: record.wire, firstSeq: record.sealed + 1,
            previousRun: record.runHash,
            streams: [], namespace: schema.namespace)
    }

    func forEachTailPiece(
        _ body: (UInt64, [StreamID], [UInt8]) throws(StoreError) -> Void
    ) throws(StoreError) {
        let sum = hasSums ? "sum" : "0"
        let statement = try connection.statement(
            "SELECT seq, refs, body, \(sum) FROM sy_tail ORDER BY seq")
        defer { statement.reset() }
        while try statement.step() {
            guard
                let piece = TailPiece(
                    statement, of: own.stream, after: own.runHash, isChecked: hasSums)
            else {
                throw rows.damaged("change \(own.stream):\(statement.integer(0)) of the tail")
            }
            try body(piece.seq, piece.streams, piece.body)
        }
        for piece in unwrittenTail { try body(piece.seq, piece.streams, piece.body) }
    }

    /// Adds a finished changeset to the tail. Inside of a transaction, which writes it when it ends:
    /// what is sealed before was never in the table.
    func appendToTail(_ body: [UInt8], newStreams: ArraySlice<StreamID>, rowCount: Int) {
        own.head += 1
        own.clock = clock.last
        rows.streams.note(own)
        unwrittenTail.append(
            TailPiece(seq: own.head, streams: Array(newStreams), body: body))
        tailCount += 1
        tailBody += body
        tailRowCount += rowCount
    }

    /// Writes what was added to the tail: the last that a transaction does.
    func writeTail() throws(StoreError) {
        guard !unwrittenTail.isEmpty else { return }
        let statement = try connection.statement("INSERT INTO sy_tail VALUES(?, ?, ?, ?)")
        for piece in unwrittenTail {
            statement.bind(1, Int64(piece.seq))
            statement.bind(2, blob: piece.refs)
            statement.bind(3, blob: piece.body)
            statement.bind(4, piece.sum(in: own.stream, after: own.runHash))
            try statement.step()
        }
        unwrittenTail.removeAll(keepingCapacity: true)
    }

    /// Whether the run has no room for one more changeset of any size, or of many rows.
    var isTailFull: Bool {
        tailCount >= Limits.runChangesets
            || tailBody.count + Limits.changesetBytes > Limits.runWrittenBytes
            || tailRowCount + Limits.changesetGoalRows > Limits.runGoalRows
    }

    /// Seals all own changesets, so that they can leave.
    ///
    /// - Returns: how many were sealed; none when they name what an earlier incarnation left.
    @discardableResult
    public func seal() throws(StoreError) -> Int {
        guard try connection.value("SELECT 1 FROM sy_tail LIMIT 1") != nil else { return 0 }
        return try transaction { () throws(StoreError) in try sealTail() }
    }

    /// Puts the tail's pieces together as a run, as they are. Inside of a transaction.
    @discardableResult
    func sealTail() throws(StoreError) -> Int {
        guard tailCount > 0, try !isTailWaiting() else { return 0 }
        try holdChainEnd(own)
        let count = tailCount
        let run = SealedRun(
            sealing: tailBody, stream: own.stream, firstSeq: own.sealed + 1, count: count,
            previous: own.runHash, dependencies: try dependencies(),
            schemaVersion: schema.version,
            origin: StreamOrigin(
                publicKey: own.publicKey, scope: own.scope, incarnation: own.incarnation),
            key: try key(), namespace: schema.namespace, dictionary: &dictionary,
            earlier: { [own] in try? vocabulary(own.sid, holding: $0) })
        try keep(run, of: &own, received: environment.wallMilliseconds())
        if unwrittenTail.count < count { try connection.run("DELETE FROM sy_tail") }
        unwrittenTail.removeAll(keepingCapacity: true)
        own.clock = clock.last
        try rows.streams.update(own, in: connection)
        startTail()
        return count
    }

    /// The heads of other streams: first those that the tail's dots name, in the order of their
    /// numbers, then those that grew since this replica's last run, as many as a header has room
    /// for; the others wait for the next run. A writer names no more than a header has room for.
    ///
    /// A hub names no more than it must: certificates and cuts must be taken before what they are
    /// about, whatever has come before them.
    private func dependencies() throws(StoreError) -> [Dependency] {
        var named: [StreamRecord] = []
        for stream in writer.streams {
            guard let record = rows.streams[stream] else {
                throw rows.damaged("the tail names a stream that is not known")
            }
            named.append(record)
        }
        let grown = rows.streams.sorted.filter { record in
            !keepsFeed && record.sid != own.sid && record.sealed > record.named
                && !named.contains { $0.sid == record.sid }
        }
        let isEnded = named.contains { $0.end != nil }
        let cutOff = isEnded ? cutOffSeqs(in: try tailChangesets()) : [:]
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
        statement.bind(7, blob: run.signature)
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
