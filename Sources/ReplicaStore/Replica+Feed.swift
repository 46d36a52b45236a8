internal import Causality
internal import Merge
public import SyncProtocol

/// The feed of a replica that serves: the commit-ordered list of what arrived.
extension Replica {
    /// The end of the feed.
    public func feedEnd() throws(StoreError) -> Cursor {
        let rows = try connection.rows(
            "SELECT epoch, off, chain FROM sy_scope WHERE scope = ?", .text(Self.scope))
        guard let row = rows.first, case .blob(let epoch) = row[0],
            let epoch = Identifier(epoch), case .integer(let offset) = row[1], offset >= 0,
            case .blob(let chain) = row[2], let chain = Digest(chain)
        else { throw self.rows.damaged("the feed of \(Self.scope)") }
        return Cursor(epoch: epoch, offset: UInt64(offset), chain: chain)
    }

    /// Gives a run the next place: offsets are dense, and in the order of commits.
    func appendToFeed(_ stub: RunStub, of record: StreamRecord) throws(StoreError) {
        let end = try feedEnd().advanced(by: stub)
        try connection.run(
            "INSERT INTO sy_feed VALUES(?, ?, ?, ?, ?)", .text(Self.scope),
            .integer(Int64(end.offset)), .integer(record.sid), .integer(Int64(stub.lastSeq)),
            .blob(end.chain.bytes))
        try connection.run(
            "UPDATE sy_scope SET off = ?, chain = ? WHERE scope = ?",
            .integer(Int64(end.offset)), .blob(end.chain.bytes), .text(Self.scope))
        try countKept()
    }

    // MARK: What was kept

    /// How many runs a hub has kept for others, in its feed or aside: an older copy of its store has fewer.
    var keptCount: UInt64 {
        guard keepsFeed else { return 0 }
        if let knownKept { return knownKept }
        var count: UInt64 = 0
        if case .integer(let noted) = (try? connection.meta(MetaKey.kept)) ?? nil {
            count = UInt64(clamping: noted)
        }
        knownKept = count
        return count
    }

    /// Counts one more. Inside of a transaction.
    func countKept() throws(StoreError) {
        guard keepsFeed else { return }
        let count = keptCount + 1
        try connection.setMeta(MetaKey.kept, .integer(Int64(clamping: count)))
        knownKept = count
    }

    // MARK: Entries

    /// The entries behind `cursor`, at most one batch of bodies.
    ///
    /// - Parameters:
    ///   - cursor: `nil` for the start.
    ///   - ahead: heads that the asker holds: those of its runs come by name only.
    /// - Throws: ``Refusal`` EPOCH when the cursor is not on this feed's chain.
    public func feedEntries(
        after cursor: Cursor?, ahead: [RunStub]
    ) throws -> (entries: [FeedEntry], cursor: Cursor, hasMore: Bool) {
        try keepInstall()
        // On one state of the file: another process may admit something, or cut it off.
        return try read { try entries(after: cursor, ahead: ahead) }
    }

    private func entries(
        after cursor: Cursor?, ahead: [RunStub]
    ) throws -> (entries: [FeedEntry], cursor: Cursor, hasMore: Bool) {
        let end = try feedEnd()
        let start = cursor ?? .start(epoch: end.epoch, scope: Self.scope)
        try check(start, against: end)
        let held = try held(ahead)
        var position = start
        var entries: [FeedEntry] = []
        var size = 0
        while position.offset < end.offset, entries.count < Self.entryLimit {
            let (stub, stream) = try feedEntry(behind: position)
            guard let stream, !isCutOff(Dot(stream, stub.lastSeq)) else {
                entries.append(.cut(stub))
                position = position.advanced(by: stub)
                continue
            }
            if stub.lastSeq <= held[stream] {
                entries.append(.stub(stub))
            } else {
                guard let run = try run(stub) else { throw rows.damaged("a run of the feed") }
                guard entries.isEmpty || size + run.storedBytes <= Limits.batchBytes else { break }
                size += run.storedBytes
                entries.append(.whole(run))
            }
            position = position.advanced(by: stub)
        }
        return (entries, position, position.offset < end.offset)
    }

    /// Up to where an asker holds each stream; what he holds of a branch that is not here tells nothing.
    private func held(_ ahead: [RunStub]) throws(StoreError) -> VersionVector {
        var held = VersionVector()
        for stub in ahead {
            guard rows.streams.isForked(stub.stream) else {
                held[stub.stream] = max(held[stub.stream], stub.lastSeq)
                continue
            }
            guard let record = try holder(of: stub) else { continue }
            rows.streams.add(record, upTo: stub.lastSeq, to: &held)
        }
        return held
    }

    /// Entries of one reply: a run can be very small.
    private static let entryLimit = 4_096

    /// Holds a cursor against the feed.
    ///
    /// - Throws: ``Refusal`` EPOCH when it is not on this feed's chain.
    package func check(_ cursor: Cursor) throws { try check(cursor, against: feedEnd()) }

    private func check(_ cursor: Cursor, against end: Cursor) throws {
        guard cursor.epoch == end.epoch, cursor.offset <= end.offset else {
            throw Refusal(.epoch, "the hub's feed is not the one that was read before")
        }
        let chain: Digest?
        if cursor.offset == 0 {
            chain = Cursor.start(epoch: end.epoch, scope: Self.scope).chain
        } else if case .blob(let bytes)? = try connection.value(
            "SELECT chain FROM sy_feed WHERE scope = ? AND off = ?", .text(Self.scope),
            .integer(Int64(cursor.offset)))
        {
            chain = Digest(bytes)
        } else {
            chain = nil
        }
        guard chain == cursor.chain else {
            throw Refusal(.epoch, "the hub's feed has another history than was read before")
        }
    }

    /// Begins a new epoch of the feed, with the entries that there are: whoever has read it before reads
    /// it anew, and offers all that it holds. Inside of a transaction.
    func renewEpoch() throws(StoreError) {
        let end = try feedEnd()
        guard let epoch = Identifier(environment.randomBytes(16)) else {
            preconditionFailure("16 random bytes are an identifier")
        }
        var old = Cursor.start(epoch: end.epoch, scope: Self.scope)
        var new = Cursor.start(epoch: epoch, scope: Self.scope)
        while old.offset < end.offset {
            let stub = try feedStub(behind: old)
            (old, new) = (old.advanced(by: stub), new.advanced(by: stub))
            try connection.run(
                "UPDATE sy_feed SET chain = ? WHERE scope = ? AND off = ?",
                .blob(new.chain.bytes), .text(Self.scope), .integer(Int64(new.offset)))
        }
        try connection.run(
            "UPDATE sy_scope SET epoch = ?, chain = ? WHERE scope = ?", .blob(epoch.bytes),
            .blob(new.chain.bytes), .text(Self.scope))
    }

    private func feedStub(behind cursor: Cursor) throws(StoreError) -> RunStub {
        try feedEntry(behind: cursor).stub
    }

    /// - Returns: what is next in the feed, and the stream or the branch that it lies in; no stream when it
    ///   was cut off.
    private func feedEntry(
        behind cursor: Cursor
    ) throws(StoreError) -> (stub: RunStub, stream: StreamID?) {
        let offset = cursor.offset + 1
        let found = try connection.rows(
            """
            SELECT f.sid, f.last_seq, r.hash, f.chain FROM sy_feed f
            LEFT JOIN sy_run r ON r.sid = f.sid AND r.last_seq = f.last_seq
            WHERE f.scope = ? AND f.off = ?
            """, .text(Self.scope), .integer(Int64(offset)))
        guard let row = found.first, case .integer(let sid) = row[0],
            let record = rows.streams[sid: sid], case .integer(let seq) = row[1], seq > 0,
            case .blob(let chain) = row[3]
        else { throw rows.damaged("entry \(offset) of the feed") }
        if case .blob(let hash) = row[2], let hash = Digest(hash) {
            let stub = RunStub(stream: record.wire, lastSeq: UInt64(seq), hash: hash)
            // Another one of its number may have been cut off, and this one admitted in its place.
            if cursor.advanced(by: stub).chain.bytes == chain { return (stub, record.stream) }
        }
        if let moved = try movedRun(record, seq, leadingTo: chain, from: cursor) { return moved }
        guard let stub = try cutOffRun(record.wire, seq: seq, leadingTo: chain, from: cursor)
        else { throw rows.damaged("entry \(offset) of the feed") }
        return (stub, nil)
    }

    /// A run of the feed that was cut off with its branch and admitted: it lies where the tree has it now.
    func movedRun(
        _ record: StreamRecord, _ seq: Int64, leadingTo chain: [UInt8], from cursor: Cursor
    ) throws(StoreError) -> (stub: RunStub, stream: StreamID?)? {
        for other in rows.streams.family(record.wire) {
            for row in try connection.rows(
                "SELECT hash FROM sy_run WHERE sid = ? AND last_seq = ?", .integer(other.sid),
                .integer(seq))
            {
                guard case .blob(let bytes) = row[0], let hash = Digest(bytes) else { continue }
                let stub = RunStub(stream: record.wire, lastSeq: UInt64(seq), hash: hash)
                if cursor.advanced(by: stub).chain.bytes == chain { return (stub, other.stream) }
            }
        }
        return nil
    }

    /// A run of the feed that was cut off since; others may be kept aside under its number.
    func cutOffRun(
        _ stream: StreamID, seq: Int64, leadingTo chain: [UInt8], from cursor: Cursor
    ) throws(StoreError) -> RunStub? {
        let heads = try connection.rows(
            "SELECT head FROM sy_quar WHERE stream = ? AND last_seq = ?",
            .blob(stream.identifier.bytes), .integer(seq))
        return heads.lazy.compactMap { row -> RunStub? in
            guard case .blob(let head) = row[0] else { return nil }
            return RunStub(stream: stream, lastSeq: UInt64(seq), hash: Digest(.run, head))
        }.first { cursor.advanced(by: $0).chain.bytes == chain }
    }
}
