internal import Causality
internal import Merge
public import SyncProtocol

/// The feeds of a replica that serves, one for each scope: the commit-ordered lists of what arrived. All
/// have one epoch. A run stands in its feed a second time when keys came that had been missing.
extension Replica {
    /// The scopes that have feeds, the base scope first.
    package func feedScopes() throws(StoreError) -> [String] {
        let found = try connection.rows(
            "SELECT scope FROM sy_scope ORDER BY scope <> ?, scope", .text(Self.scope))
        return found.compactMap { row in
            if case .text(let scope) = row[0] { scope } else { nil }
        }
    }

    /// The end of the feed of a scope; the start where there is none yet.
    public func feedEnd(of scope: String = Replica.scope) throws(StoreError) -> Cursor {
        let rows = try connection.rows(
            "SELECT epoch, off, chain FROM sy_scope WHERE scope = ?", .text(scope))
        if rows.isEmpty, scope != Self.scope {
            return .start(epoch: try feedEnd().epoch, scope: scope)
        }
        guard let row = rows.first, case .blob(let epoch) = row[0],
            let epoch = Identifier(epoch), case .integer(let offset) = row[1], offset >= 0,
            case .blob(let chain) = row[2], let chain = Digest(chain)
        else { throw self.rows.damaged("the feed of \(scope)") }
        return Cursor(epoch: epoch, offset: UInt64(offset), chain: chain)
    }

    /// Gives a run the next place: offsets are dense, and in the order of commits.
    func appendToFeed(_ stub: RunStub, of record: StreamRecord) throws(StoreError) {
        let scope = Value.text(record.scope)
        let end = try feedEnd(of: record.scope).advanced(by: stub)
        try connection.run(
            "INSERT INTO sy_feed VALUES(?, ?, ?, ?, ?)", scope,
            .integer(Int64(end.offset)), .integer(record.sid), .integer(Int64(stub.lastSeq)),
            .blob(end.chain.bytes))
        try connection.run(
            "INSERT OR REPLACE INTO sy_scope VALUES(?, ?, ?, ?)", scope, .blob(end.epoch.bytes),
            .integer(Int64(end.offset)), .blob(end.chain.bytes))
        try countKept()
    }

    // MARK: What was kept

    /// How many runs a hub has kept for others, in its feed or aside; of a laptop, what it has written in
    /// other scopes than the base one. An older copy of the file has less.
    var keptCount: UInt64 {
        guard keepsFeed else { return laneCount }
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

    /// The entries of a scope's feed behind `cursor`, at most one batch of bodies.
    ///
    /// - Parameters:
    ///   - room: the most that the bodies take, in bytes; a whole batch's room holds any one.
    ///   - cursor: `nil` for the start.
    ///   - ahead: heads that the asker holds: those of its runs come by name only.
    /// - Throws: ``Refusal`` EPOCH when the cursor is not on this feed's chain.
    public func feedEntries(
        of scope: String = Replica.scope, after cursor: Cursor?, ahead: [RunStub],
        room: Int = Limits.batchBytes
    ) throws -> (entries: [FeedEntry], cursor: Cursor, hasMore: Bool) {
        try keepInstall()
        // On one state of the file: another process may admit something, or cut it off.
        return try read { try entries(of: scope, after: cursor, ahead: ahead, room) }
    }

    private func entries(
        of scope: String, after cursor: Cursor?, ahead: [RunStub], _ room: Int
    ) throws -> (entries: [FeedEntry], cursor: Cursor, hasMore: Bool) {
        let end = try feedEnd(of: scope)
        let start = cursor ?? .start(epoch: end.epoch, scope: scope)
        try check(start, against: end, of: scope)
        let held = try held(ahead)
        var position = start
        var entries: [FeedEntry] = []
        var size = 0
        while position.offset < end.offset, entries.count < Self.entryLimit {
            let (stub, stream) = try feedEntry(behind: position, of: scope)
            guard let stream, !isCutOff(Dot(stream, stub.lastSeq)) else {
                guard size + Self.stubBytes <= room || entries.isEmpty && room > 0 else { break }
                size += Self.stubBytes
                entries.append(.cut(stub))
                position = position.advanced(by: stub)
                continue
            }
            // Whoever holds one of which keys are missing here may have them.
            if stub.lastSeq <= held[stream], try !lacksKeys(stub) {
                guard size + Self.stubBytes <= room || entries.isEmpty && room > 0 else { break }
                size += Self.stubBytes
                entries.append(.stub(stub))
            } else {
                guard let run = try run(stub) else { throw rows.damaged("a run of the feed") }
                let isFirst = entries.isEmpty && room >= Limits.batchBytes
                guard isFirst || size + run.storedBytes <= room else { break }
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

    /// What a name of a run takes in a message, at most.
    package static let stubBytes = 64
    /// Entries of one reply: a run can be very small.
    private static let entryLimit = 4_096

    /// Holds a cursor against the feed.
    ///
    /// - Throws: ``Refusal`` EPOCH when it is not on this feed's chain.
    package func check(_ cursor: Cursor, of scope: String = Replica.scope) throws {
        try check(cursor, against: feedEnd(of: scope), of: scope)
    }

    private func check(_ cursor: Cursor, against end: Cursor, of scope: String) throws {
        guard cursor.epoch == end.epoch, cursor.offset <= end.offset else {
            throw Refusal(.epoch, "the hub's feed is not the one that was read before")
        }
        let chain: Digest?
        if cursor.offset == 0 {
            chain = Cursor.start(epoch: end.epoch, scope: scope).chain
        } else if case .blob(let bytes)? = try connection.value(
            "SELECT chain FROM sy_feed WHERE scope = ? AND off = ?", .text(scope),
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

    /// Begins a new epoch of all feeds, with the entries that there are: whoever has read them before reads
    /// them anew, and offers all that it holds. Inside of a transaction.
    func renewEpoch() throws(StoreError) {
        guard let epoch = Identifier(environment.randomBytes(16)) else {
            preconditionFailure("16 random bytes are an identifier")
        }
        for scope in try feedScopes() { try renewEpoch(epoch, of: scope) }
    }

    private func renewEpoch(_ epoch: Identifier, of scope: String) throws(StoreError) {
        let end = try feedEnd(of: scope)
        var old = Cursor.start(epoch: end.epoch, scope: scope)
        var new = Cursor.start(epoch: epoch, scope: scope)
        while old.offset < end.offset {
            let stub = try feedStub(behind: old, of: scope)
            (old, new) = (old.advanced(by: stub), new.advanced(by: stub))
            try connection.run(
                "UPDATE sy_feed SET chain = ? WHERE scope = ? AND off = ?",
                .blob(new.chain.bytes), .text(scope), .integer(Int64(new.offset)))
        }
        try connection.run(
            "UPDATE sy_scope SET epoch = ?, chain = ? WHERE scope = ?", .blob(epoch.bytes),
            .blob(new.chain.bytes), .text(scope))
    }

    private func feedStub(
        behind cursor: Cursor, of scope: String
    ) throws(StoreError) -> RunStub {
        try feedEntry(behind: cursor, of: scope).stub
    }

    /// - Returns: what is next in the feed, and the stream or the branch that it lies in; no stream when it
    ///   was cut off.
    private func feedEntry(
        behind cursor: Cursor, of scope: String
    ) throws(StoreError) -> (stub: RunStub, stream: StreamID?) {
        let offset = cursor.offset + 1
        let found = try connection.rows(
            """
            SELECT f.sid, f.last_seq, r.hash, f.chain FROM sy_feed f
            LEFT JOIN sy_run r ON r.sid = f.sid AND r.last_seq = f.last_seq
            WHERE f.scope = ? AND f.off = ?
            """, .text(scope), .integer(Int64(offset)))
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
