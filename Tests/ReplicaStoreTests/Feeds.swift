import Causality
import Merge
import RecordSchema
import ReplicaStore
import SyncProtocol
import TestSupport
import Testing

/// A hub's feed, and a laptop that reads it.
@Suite struct Feeds {
    private func fill(_ replica: Replica, _ count: Int, length: Int = 10) throws {
        for number in 0..<count {
            // Bytes that don't compress, so that few runs fill a batch.
            var generator = SplitMix64(seed: UInt64(number))
            let blob = (0..<length).map { _ in UInt8(truncatingIfNeeded: generator.next()) }
            try replica.write {
                _ = try $0.insert(
                    into: Sample.measure, [.real(Double(number)), .blob(blob), nil, nil])
            }
            try replica.seal()
        }
    }

    private func reply(
        _ hub: Replica, after cursor: Cursor?, ahead: [RunStub] = []
    ) throws -> ExchangeReply {
        let (entries, end, hasMore) = try hub.feedEntries(after: cursor, ahead: ahead)
        return ExchangeReply(
            heads: [], rejections: [], entries: entries, cursor: end, hasMore: hasMore,
            hubMilliseconds: 1_764_000_000_000)
    }

    @Test func `a long feed comes in pages that join without a hole`() throws {
        let bench = try Bench()
        let hub = try bench.create("hub", keepsFeed: true)
        let a = try bench.create("a")
        let b = try bench.create("b")
        try fill(a, 50, length: 60_000)
        try fill(hub, 3)
        try carry(from: a, to: hub)
        #expect(try hub.feedEnd().offset == 53)
        var cursor: Cursor?
        var (pages, count) = (0, 0)
        while true {
            let page = try reply(hub, after: cursor)
            let size = page.entries.reduce(0) { sum, entry in
                if case .whole(let run) = entry { sum + run.storedBytes } else { sum }
            }
            #expect(size <= Limits.batchBytes)
            let applied = try b.apply(page, from: cursor)
            #expect(applied.quarantinedCount == 0)
            #expect(!applied.lacksBodies)
            cursor = try b.cursor()
            #expect(cursor == page.cursor)
            pages += 1
            count += page.entries.count
            if !page.hasMore { break }
        }
        #expect(pages >= 3)
        #expect(count == 53)
        #expect(try cursor == hub.feedEnd())
        #expect(try b.stateHash() == hub.stateHash())
        #expect(try b.verify().problems == [])
        // At the end there is nothing, and it can be asked for again and again.
        let last = try reply(hub, after: cursor)
        #expect(last.entries == [])
        #expect(last.cursor == cursor)
        #expect(try b.apply(last, from: cursor).changesetCount == 0)
        #expect(try b.pending().count == 0)
    }

    @Test func `what the asker holds comes by name, and moves its cursor all the same`() throws {
        let bench = try Bench()
        let hub = try bench.create("hub", keepsFeed: true)
        let a = try bench.create("a")
        let b = try bench.create("b")
        try fill(a, 5)
        try carry(from: a, to: hub)
        try carry(from: a, to: b)
        try fill(hub, 2)
        let batch = try b.outgoingBatch()
        #expect(batch.ahead.map(\.lastSeq) == [5])
        let page = try reply(hub, after: batch.cursor, ahead: batch.ahead)
        let stubs = page.entries.filter { if case .stub = $0 { true } else { false } }
        #expect(stubs.count == 5)
        #expect(try b.apply(page, from: batch.cursor).changesetCount == 2)
        #expect(try b.cursor() == hub.feedEnd())
        #expect(try b.stateHash() == hub.stateHash())
        #expect(try b.outgoingBatch().ahead == [], "the feed has named them")
    }

    @Test func `a name without its body stops there, and asking for bodies goes on`() throws {
        let bench = try Bench()
        let hub = try bench.create("hub", keepsFeed: true)
        let a = try bench.create("a")
        let b = try bench.create("b")
        try fill(a, 4)
        try carry(from: a, to: hub)
        guard let head = try a.sealedRuns(after: VersionVector()).last else { return }
        let page = try reply(hub, after: nil, ahead: [RunStub(head)])
        let applied = try b.apply(page, from: nil)
        #expect(applied.lacksBodies)
        #expect(applied.changesetCount == 0)
        #expect(try b.cursor()?.offset == 0)
        let batch = try b.outgoingBatch(asksForBodies: true)
        #expect(batch.ahead == [])
        let whole = try reply(hub, after: batch.cursor, ahead: batch.ahead)
        #expect(try b.apply(whole, from: batch.cursor).changesetCount == 4)
        #expect(try b.stateHash() == hub.stateHash())
    }

    /// A page whose third run is not what it was, in its signature or its body.
    private func damage(_ page: ExchangeReply, inBody: Bool) -> ExchangeReply {
        var page = page
        guard case .whole(let run) = page.entries[2] else { return page }
        page.entries[2] = .whole(flipped(run, inBody: inBody))
        return page
    }

    private func flipped(_ run: SealedRun, inBody: Bool) -> SealedRun {
        var (body, signature) = (run.body, run.signature)
        if inBody { body[7] ^= 4 } else { signature[7] ^= 4 }
        do {
            return try SealedRun(headerBytes: run.headerBytes, signature: signature, body: body)
        } catch {
            Issue.record("\(error)")
            return run
        }
    }

    @Test(arguments: [false, true])
    func `a run that was damaged on the way is asked for again`(inBody: Bool) throws {
        let bench = try Bench()
        let hub = try bench.create("hub", keepsFeed: true)
        let a = try bench.create("a")
        let c = try bench.create("c")
        let b = try bench.create("b")
        try fill(a, 5)
        try fill(c, 2)
        try carry(from: a, to: hub)
        try carry(from: c, to: hub)
        let good = try reply(hub, after: nil)
        let damaged = damage(good, inBody: inBody)
        let applied = try b.apply(damaged, from: nil)
        #expect(applied.damage?.code == .poison)
        #expect(applied.damage?.explanation.contains(":3 to 3 came damaged") == true)
        #expect(applied.changesetCount == 4, "what does not build on it is taken in")
        let held = VersionVector([(a.stream, 2), (c.stream, 2)] as [(StreamID, UInt64)])
        #expect(b.versionVector() == held)
        #expect(try b.cursor()?.offset == 2, "the feed is read on from there")
        // However often: nothing is put aside, and nothing behind it is lost.
        for _ in 0..<3 {
            let batch = try b.outgoingBatch()
            #expect(batch.ahead.map(\.stream) == [c.stream])
            var again = try reply(hub, after: batch.cursor, ahead: batch.ahead)
            #expect(again.entries.count == 5)
            guard case .whole(var run) = again.entries[0] else { return }
            run = flipped(run, inBody: inBody)
            again.entries[0] = .whole(run)
            #expect(try b.apply(again, from: batch.cursor).damage != nil)
        }
        #expect(try b.quarantined().isEmpty)
        let batch = try b.outgoingBatch()
        let whole = try reply(hub, after: batch.cursor, ahead: batch.ahead)
        let rest = try b.apply(whole, from: batch.cursor)
        #expect(rest.changesetCount == 3)
        #expect(rest.damage == nil)
        #expect(try b.cursor() == hub.feedEnd())
        #expect(try b.stateHash() == hub.stateHash())
        #expect(try b.verify().problems == [])
    }

    @Test func `a cursor of another epoch, chain or length is refused`() throws {
        let bench = try Bench()
        let hub = try bench.create("hub", keepsFeed: true)
        try fill(hub, 4)
        let end = try hub.feedEnd()
        let (_, middle, _) = try hub.feedEntries(after: nil, ahead: [])
        #expect(middle == end)
        var wrong: [Cursor] = []
        wrong.append(
            Cursor(epoch: Identifier(high: 1, low: 2), offset: end.offset, chain: end.chain))
        wrong.append(Cursor(epoch: end.epoch, offset: end.offset + 1, chain: end.chain))
        wrong.append(Cursor(epoch: end.epoch, offset: end.offset - 1, chain: end.chain))
        wrong.append(Cursor(epoch: end.epoch, offset: 0, chain: end.chain))
        wrong.append(Cursor(epoch: end.epoch, offset: .max, chain: end.chain))
        for cursor in wrong {
            do {
                _ = try hub.feedEntries(after: cursor, ahead: [])
                Issue.record("a wrong cursor was taken: \(cursor)")
            } catch let refusal as Refusal {
                #expect(refusal.code == .epoch)
            }
        }
        #expect(try hub.feedEntries(after: end, ahead: []).entries == [])
    }

    @Test func `a reply that does not lead to its own cursor changes nothing`() throws {
        let bench = try Bench()
        let hub = try bench.create("hub", keepsFeed: true)
        let b = try bench.create("b")
        try fill(hub, 4)
        let good = try reply(hub, after: nil)
        var bad: [ExchangeReply] = []
        for change in 0..<6 {
            var reply = good
            switch change {
            case 0: reply.entries.removeLast()
            case 1: reply.entries.removeFirst()
            case 2: reply.entries.swapAt(0, 1)
            case 3: reply.entries.append(reply.entries[0])
            case 4: reply.cursor.offset += 1
            default: reply.cursor.chain = Digest(sha256: [])
            }
            bad.append(reply)
        }
        let before = try b.stateHash()
        for reply in bad {
            do {
                _ = try b.apply(reply, from: nil)
                Issue.record("a wrong reply was taken")
            } catch let refusal as Refusal {
                #expect(refusal.code == .poison)
            }
            #expect(try b.cursor() == nil)
            #expect(try b.stateHash() == before)
            #expect(b.versionVector().isEmpty)
            #expect(try b.lastSync() == nil)
        }
        #expect(try b.apply(good, from: nil).changesetCount == 4)
        #expect(try b.stateHash() == hub.stateHash())
    }

    @Test func `a hub that forgets what it held is told again`() throws {
        let bench = try Bench()
        let a = try bench.create("a")
        try fill(a, 3)
        let first = try a.outgoingBatch()
        #expect(first.runs.count == 3)
        #expect(first.changesetCount == 3)
        #expect(first.remainingCount == 0)
        // Its feed is not read to the end yet.
        var reply = ExchangeReply(
            heads: [RunStub(first.runs[2])], rejections: [], entries: [],
            cursor: .start(epoch: Identifier(high: 0, low: 1), scope: "forum"), hasMore: true,
            hubMilliseconds: 0)
        _ = try a.apply(reply, from: nil)
        #expect(try a.outgoingBatch().runs == [])
        #expect(try a.pending().count == 0)
        reply.heads = [RunStub(first.runs[0])]
        _ = try a.apply(reply, from: nil)
        #expect(try a.outgoingBatch().runs == Array(first.runs[1...]))
        try a.forgetHub()
        #expect(try a.outgoingBatch().runs == first.runs)
        #expect(try a.cursor() == nil)
    }

    @Test func `a cursor that another process has dropped meanwhile stays dropped`() throws {
        let bench = try Bench()
        let hub = try bench.create("hub", keepsFeed: true)
        let b = try bench.create("b")
        try fill(hub, 2)
        _ = try b.apply(try reply(hub, after: nil), from: nil)
        let known = try #require(try b.cursor())
        try fill(hub, 2)
        let late = try reply(hub, after: known)
        try b.forgetHub()
        _ = try b.apply(late, from: known)
        #expect(try b.cursor() == nil)
        // It counts as held here alone: the feed that is read next may lack it.
        #expect(try b.outgoingBatch().runs.count == 4)
        #expect(try b.stateHash() == hub.stateHash())
        // And read anew, it gets where it was.
        _ = try b.apply(try reply(hub, after: nil), from: nil)
        #expect(try b.cursor() == late.cursor)
        // What was asked for earlier doesn't take it back.
        _ = try b.apply(try reply(hub, after: known), from: known)
        #expect(try b.cursor() == late.cursor)
    }

    @Test func `a head that is not the replica's own run leaves what waits waiting`() throws {
        let bench = try Bench()
        let a = try bench.create("a")
        try fill(a, 3)
        let runs = try a.outgoingBatch().runs
        var reply = ExchangeReply(
            heads: [RunStub(runs[0])], rejections: [], entries: [],
            cursor: .start(epoch: Identifier(high: 0, low: 1), scope: "forum"), hasMore: true,
            hubMilliseconds: 0)
        #expect(try !a.apply(reply, from: nil).hasMoreToSend)
        #expect(try a.pending().count == 2)
        // A bit of the seq changes on the way, or of the hash.
        reply.heads[0].lastSeq = 3
        #expect(try a.apply(reply, from: nil).hasMoreToSend, "the hub is asked again")
        #expect(try a.pending().count == 2)
        let other = Digest(sha256: [1])
        for head in [
            RunStub(stream: a.stream, lastSeq: 3, hash: other),
            RunStub(stream: a.stream, lastSeq: 7, hash: runs[0].hash),
            RunStub(stream: StreamID(Identifier(high: 1, low: 2)), lastSeq: 1, hash: runs[0].hash),
            RunStub(stream: a.stream, lastSeq: 1, hash: other),
        ] {
            reply.heads = [head]
            #expect(try a.apply(reply, from: nil).hasMoreToSend, "the hub is asked again")
            #expect(try a.pending().count == 2)
            #expect(try a.outgoingBatch().runs == Array(runs[1...]))
        }
        // A hub that holds nothing of it any more is told all.
        reply.heads = [RunStub(noneOf: a.stream)]
        _ = try a.apply(reply, from: nil)
        #expect(try a.outgoingBatch().runs == runs)
    }

    @Test func `what the feed brings of another file of the same name leaves what waits waiting`()
        throws
    {
        let bench = try Bench()
        let key = DeviceKey()
        let twins = try ["one", "two"].map { name in
            try Replica.create(
                at: bench.path(name), name: name, schema: Sample.schema,
                environment: bench.environment, key: key)
        }
        try fill(twins[0], 2)
        try fill(twins[1], 3, length: 20)
        let hub = try bench.create("hub", keepsFeed: true)
        let b = try bench.create("b")
        try carry(from: twins[0], to: b)
        try carry(from: twins[1], to: hub)
        let page = try reply(hub, after: nil)
        #expect(try b.apply(page, from: nil).quarantinedCount == 0)
        #expect(try b.counts().changesets == 5)
        #expect(try b.pending().count == 2, "the hub holds none of these")
        let batch = try b.outgoingBatch()
        #expect(batch.changesetCount == 2)
        _ = try hub.ingest(batch.runs)
        #expect(try hub.stateHash() == b.stateHash())
    }
}
