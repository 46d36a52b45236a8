import Causality
import FieldRecords
import Hub
import Merge
import ReplicaStore
import SyncProtocol
import Testing

/// What newer builds write reaches older ones: nothing of it is lost, and nothing else waits for it.
@Suite("Later builds", .timeLimit(.minutes(20)))
struct LaterBuilds {
    private let forum: TrustedForum

    init() throws { forum = try TrustedForum() }

    /// The run as a newer build would have sealed it: in an encoding that this one doesn't know.
    private func later(_ run: SealedRun, by laptop: TrustedLaptop) throws -> SealedRun {
        var bytes = run.headerBytes
        // Key 8: [encoding, size].
        let place = try #require(
            bytes.indices.dropLast(2).last {
                bytes[$0] == 8 && bytes[$0 + 1] == 0x82 && bytes[$0 + 2] < 4
            })
        bytes[place + 2] = 9
        let signature = try laptop.replica.key().sign(Digest(.run, bytes))
        return try SealedRun(headerBytes: bytes, signature: signature, body: run.body)
    }

    /// As if another build had opened the file last.
    private func note(_ reading: Int64, in replica: Replica) throws {
        try replica.transaction {
            try replica.connection.run(
                "UPDATE sy_meta SET value = ? WHERE key = 'reading'", .integer(reading))
        }
    }

    @Test func `a hub rejects it with words, and takes what comes beside`() throws {
        let (author, carrier) = (try forum.member("L-a"), try forum.member("L-b"))
        try author.note("newer")
        let run = try later(try author.seal(), by: author)
        try carrier.note("as ever")
        let reply = try forum.exchange(carrier, [run, try carrier.seal()])
        #expect(reply.rejections.map(\.run) == [RunStub(run)])
        #expect(reply.rejections.map(\.refusal.code) == [.upgrade])
        #expect(reply.rejections[0].refusal.explanation.contains("update the hub"))
        #expect(try forum.hub.replica.quarantinedRuns().isEmpty)
        #expect(try forum.hub.replica.verify().problems == [])
    }

    @Test func `a laptop keeps it aside, and goes on`() throws {
        let (author, other) = (try forum.member("L-a"), try forum.member("L-c"))
        let reader = try forum.member("L-b")
        try author.note("newer")
        var first = try later(try author.seal(), by: author)
        first.keys = Array(1...64)
        try author.note("and what rests on it")
        let second = try author.seal()
        try other.note("as ever")
        let third = try other.seal()
        let start = try #require(try reader.replica.cursor())
        let given = RunStub(stream: third.header.stream, lastSeq: 99, hash: first.hash)
        let entries: [FeedEntry] = [.whole(first), .whole(second), .later(given), .whole(third)]
        let end = entries.reduce(start) { $0.advanced(by: $1.stub) }
        let reply = ExchangeReply(
            heads: [], rejections: [], entries: entries, cursor: end, hasMore: false,
            hubMilliseconds: forum.now)
        // As the bytes that travel.
        let bytes = SyncReply(
            parts: [.answered(reply)], scopes: [Forum.scope], hubMilliseconds: forum.now
        ).encode()
        guard case .answered(let read)? = try SyncReply(decoding: bytes).parts.first else { return }
        #expect(read.entries == entries)
        let applied = try reader.replica.apply(read, from: start)
        #expect(applied.damage == nil && !applied.lacksBodies)
        #expect(try reader.replica.cursor() == end)
        let reasons = try reader.replica.quarantined().map { $0.reason.prefix(7) }
        #expect(reasons.sorted() == ["GAP: ch", "UPGRADE"])
        #expect(try reader.replica.query("SELECT text FROM note") == [[.text("as ever")]])
        #expect(try reader.replica.verify().problems == [])
        // It comes again when the feed is read anew, and is kept once, keys and all.
        try reader.replica.forgetHub()
        _ = try reader.replica.apply(read, from: start)
        #expect(try reader.replica.quarantined().count == 2)
        func kept(_ replica: Replica) throws -> QuarantinedRun? {
            try replica.quarantinedRuns().first { $0.run == first }
        }
        #expect(try kept(reader.replica)?.run.keys == first.keys)
        // Nor is any of it lost by a repair.
        reader.replica.close()
        let path = forum.folder.file("L-b")
        _ = try Replica.repair(at: path, schema: Forum.schema, environment: forum.environment)
        let again = try Replica.open(
            at: path, schema: Forum.schema, environment: forum.environment)
        #expect(try kept(again)?.run.keys == first.keys)
        #expect(try kept(again)?.reason.hasPrefix("UPGRADE") == true)
        // A build that can read more looks at it.
        try note(Limits.reading - 1, in: again)
        again.close()
        let later = try Replica.open(
            at: path, schema: Forum.schema, environment: forum.environment)
        defer { later.close() }
        #expect(try kept(later)?.reason.hasPrefix("GAP: UPGRADE") == true)
        #expect(try later.verify().problems == [])
    }

    @Test func `one that something of it is not its own is asked for again`() throws {
        let (author, reader) = (try forum.member("L-a"), try forum.member("L-b"))
        try author.note("before")
        try forum.sync(author)
        try forum.sync(reader)
        try author.note("newer")
        let run = try later(try author.seal(), by: author)
        let damaged = try SealedRun(
            headerBytes: run.headerBytes, signature: run.signature.map { $0 ^ 1 }, body: run.body)
        let start = try #require(try reader.replica.cursor())
        let reply = ExchangeReply(
            heads: [], rejections: [], entries: [.whole(damaged)],
            cursor: start.advanced(by: RunStub(run)), hasMore: false, hubMilliseconds: forum.now)
        #expect(try reader.replica.apply(reply, from: start).damage != nil)
        #expect(try reader.replica.cursor() == start)
        #expect(try reader.replica.quarantined().isEmpty)
    }

    @Test func `a build that can read more reads the feeds anew`() throws {
        let laptop = try forum.member("L-a")
        try laptop.note("as ever")
        try forum.sync(laptop)
        #expect(try laptop.replica.outgoingBatch().ahead.isEmpty)
        let path = forum.folder.file("L-a")
        var replica = laptop.replica
        defer { replica.close() }
        for reading in [Limits.reading, Limits.reading - 1] {
            try note(reading, in: replica)
            replica.close()
            replica = try Replica.open(
                at: path, schema: Forum.schema, environment: forum.environment)
            let cursor = try replica.cursor()
            let batch = try replica.outgoingBatch()
            #expect(batch.runs.isEmpty, "the hub has it all the same")
            if reading == Limits.reading {
                #expect(cursor != nil && batch.ahead.isEmpty)
            } else {
                #expect(cursor == nil && !batch.ahead.isEmpty)
            }
        }
    }
}
