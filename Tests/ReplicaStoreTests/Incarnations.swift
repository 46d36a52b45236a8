import Causality
import Foundation
import Merge
import RecordSchema
import SyncProtocol
import Testing

import ReplicaStore

/// A file that was copied, or an older one that was put back, goes on as a new incarnation.
@Suite struct Incarnations {
    private let bench: Bench

    init() throws { bench = try Bench(isVolatile: true) }

    @discardableResult
    private func note(_ replica: Replica, _ title: String) throws -> (RowID, Dot) {
        let (id, receipt) = try replica.write {
            try $0.insert(into: Sample.note, [.text(title), nil, nil, nil, nil])
        }
        return (id, receipt.dots[0])
    }

    private func retitle(_ replica: Replica, _ id: RowID, _ title: String) throws -> WriteReceipt {
        try replica.write {
            try $0.set(Sample.note, id, [(Sample.column("title"), .text(title))])
        }.receipt
    }

    @Test func `the file that wrote last goes on, however it ended`() throws {
        let first = try bench.create("a")
        try note(first, "one")
        // Another process, and one that never closed.
        let second = try bench.open("a")
        try note(second, "two")
        try note(first, "three")
        try first.seal()
        let third = try bench.open("a")
        #expect(try note(third, "four").1 == Dot(first.stream, 4))
        #expect(try third.left() == (0, 0))
    }

    @Test func `a copy takes another name before its first write, and nothing of it is lost`()
        throws
    {
        let original = try bench.create("a")
        let (shared, _) = try note(original, "sent before")
        try original.seal()
        let (id, dot) = try note(original, "not sent")
        try bench.copy("a", to: "b")
        let copy = try bench.open("b")
        #expect(copy.stream == original.stream)
        let (_, first) = try note(copy, "in the copy")
        #expect(copy.stream != original.stream)
        #expect(first == Dot(copy.stream, 1))
        #expect(try copy.query("SELECT count(*) FROM note") == [[.integer(3)]])
        #expect(try copy.changeset(dot)?.dot == dot)
        #expect(try copy.left() == (1, 0))
        #expect(try copy.verify().problems == [])
        // What does not rest on it can be sent, and what does waits.
        #expect(try copy.seal() == 1)
        _ = try retitle(copy, shared, "anew")
        _ = try retitle(copy, id, "more")
        #expect(try copy.seal() == 0)
        #expect(try copy.pending().count == 5)
        // The original goes on, and sends.
        #expect(try note(original, "later").1 == Dot(original.stream, 3))
        try carry(from: original, to: copy)
        #expect(try copy.left() == (0, 0))
        #expect(try copy.seal() == 2)
        try carry(from: copy, to: original)
        #expect(try copy.stateHash() == original.stateHash())
        #expect(copy.versionVector() == original.versionVector())
        #expect(try copy.verify().problems == [])
        #expect(try original.verify().problems == [])
    }

    @Test func `two copies never take the same name`() throws {
        let original = try bench.create("a")
        try note(original, "one")
        try bench.copy("a", to: "b")
        try bench.copy("a", to: "c")
        let copies = [try bench.open("b"), try bench.open("c")]
        for copy in copies { try note(copy, "more") }
        #expect(Set((copies + [original]).map(\.stream)).count == 3)
        // A copy of a copy that has taken its name and not written yet.
        try copies[0].transaction {}
        try bench.copy("b", to: "d")
        let fourth = try bench.open("d")
        try note(fourth, "more")
        #expect(fourth.stream != copies[0].stream)
    }

    @Test func `an older copy that was put back takes another name, and adopts what nobody sent`()
        throws
    {
        let hub = try bench.create("hub", keepsFeed: true)
        let laptop = try bench.create("a")
        try note(laptop, "one")
        try exchange(laptop, hub)
        try note(laptop, "kept")
        try bench.copy("a", to: "old")
        try note(laptop, "lost")
        let stream = laptop.stream
        laptop.close()
        try bench.putBack("old", as: "a")
        let again = try bench.open("a")
        let missing = try again.verify().missingEnd
        #expect(missing?.stream == stream && missing?.first == 3 && missing?.last == 3)
        #expect(try note(again, "after").1 == Dot(again.stream, 1))
        #expect(try again.verify().missingEnd == nil)
        #expect(again.stream != stream)
        #expect(try again.left() == (1, 1))
        #expect(try again.seal() == 1)
        try exchange(again, hub)
        #expect(try again.left() == (0, 0))
        #expect(try again.pending().count == 0)
        #expect(hub.versionVector()[stream] == 2)
        #expect(try hub.stateHash() == again.stateHash())
    }

    @Test func `what the lost life had sent comes back instead`() throws {
        let hub = try bench.create("hub", keepsFeed: true)
        let laptop = try bench.create("a")
        try note(laptop, "kept")
        try bench.copy("a", to: "old")
        try note(laptop, "sent")
        try exchange(laptop, hub)
        let stream = laptop.stream
        laptop.close()
        try bench.putBack("old", as: "a")
        let again = try bench.open("a")
        try note(again, "after")
        try exchange(again, hub)
        #expect(
            try again.query("SELECT title FROM note ORDER BY title").flatMap { $0 }
                == ["after", "kept", "sent"].map(Value.text))
        #expect(try again.left() == (0, 0))
        #expect(hub.versionVector()[stream] == 2)
        #expect(try hub.stateHash() == again.stateHash())
    }

    @Test func `a copy from before a run was sealed does not seal another in its place`() throws {
        let hub = try bench.create("hub", keepsFeed: true)
        let (laptop, other) = (try bench.create("a"), try bench.create("o"))
        try note(other, "elsewhere")
        try exchange(other, hub)
        // Written while a sync is under way: the run names what that sync brought.
        let batch = try laptop.outgoingBatch()
        try note(laptop, "here")
        try bench.copy("a", to: "old")
        let feed = try hub.feedEntries(after: batch.cursor, ahead: batch.ahead)
        _ = try laptop.apply(
            ExchangeReply(
                heads: [], rejections: [], entries: feed.entries, cursor: feed.cursor,
                hasMore: false, hubMilliseconds: 0), from: batch.cursor)
        try exchange(laptop, hub)
        let stream = laptop.stream
        laptop.close()
        try bench.putBack("old", as: "a")
        let again = try bench.open("a")
        try exchange(again, hub)
        #expect(again.stream != stream)
        #expect(try again.quarantined().isEmpty)
        #expect(try again.left() == (0, 0))
        #expect(try hub.stateHash() == again.stateHash())
        #expect(try again.verify().problems == [])
    }

    @Test func `a log that lost its tail is noticed, and what was sent of it comes back`() throws {
        let hub = try bench.create("hub", keepsFeed: true)
        let laptop = try bench.create("a")
        for number in 0..<10 { try note(laptop, "\(number)") }
        try exchange(laptop, hub)
        try bench.copy("a", to: "b")
        try FileManager.default.copyItem(
            atPath: InstallFile.path(replica: bench.path("a")),
            toPath: InstallFile.path(replica: bench.path("b")))
        let log = URL(filePath: bench.path("b") + "-wal")
        var bytes = try Data(contentsOf: log)
        bytes[bytes.count - 9 * 4_120 - 100] ^= 1
        try bytes.write(to: log)
        let damaged = try bench.open("b")
        #expect(try damaged.lostCommits() > 0)
        let (_, dot) = try note(damaged, "after")
        #expect(dot == Dot(damaged.stream, 1))
        #expect(damaged.stream != laptop.stream)
        try exchange(damaged, hub)
        #expect(try damaged.left() == (0, 0))
        #expect(try damaged.quarantined().isEmpty)
        #expect(try damaged.query("SELECT count(*) FROM note") == [[.integer(11)]])
        #expect(try damaged.stateHash() == hub.stateHash())
        #expect(try damaged.verify().problems == [])
    }

    @Test func `two files of one name that went apart both keep their work`() throws {
        let hub = try bench.create("hub", keepsFeed: true)
        let laptop = try bench.create("a")
        try note(laptop, "one")
        try bench.copy("a", to: "old")
        try note(laptop, "in the file")
        laptop.close()
        // With the file beside, a copy can't be told.
        try bench.copy("old", to: "a2")
        try FileManager.default.copyItem(
            atPath: InstallFile.path(replica: bench.path("a")),
            toPath: InstallFile.path(replica: bench.path("a2")))
        try Data(contentsOf: URL(filePath: bench.path("a"))).write(
            to: URL(filePath: bench.path("keep")))
        let mark = InstallFile(replica: bench.path("a2"))
        mark.note(InstallFile.Mark(stream: laptop.stream, head: 1))
        let twin = try bench.open("a2")
        try note(twin, "in the twin")
        #expect(twin.stream == laptop.stream)
        try exchange(twin, hub)
        // The first file, copied once more, meets what the twin sent.
        try bench.copy("a", to: "b")
        let copy = try bench.open("b")
        try note(copy, "anew")
        try exchange(copy, hub)
        #expect(try copy.quarantined().isEmpty)
        #expect(try copy.left() == (0, 0), "what was left is sealed beside what the twin sealed")
        #expect(try copy.verify().problems == [])
        try exchange(copy, hub)
        try exchange(twin, hub)
        for replica in [copy, twin, hub] {
            #expect(
                try replica.query("SELECT title FROM note ORDER BY title")
                    == ["anew", "in the file", "in the twin", "one"].map { [.text($0)] })
            #expect(try replica.stateHash() == hub.stateHash())
            #expect(try replica.openConflicts().isEmpty)
        }
    }

    @Test func `what a copy holds unsent can be adopted`() throws {
        let original = try bench.create("a")
        let other = try bench.create("o")
        let (id, _) = try note(other, "elsewhere")
        try carry(from: other, to: original)
        _ = try retitle(original, id, "here")
        try original.seal()
        _ = try retitle(original, id, "here again")
        try bench.copy("a", to: "b")
        let copy = try bench.open("b")
        _ = try retitle(copy, id, "in the copy")
        #expect(try copy.seal() == 0)
        #expect(try copy.adoptLeft() == 1)
        #expect(try copy.adoptLeft() == 0)
        #expect(try copy.seal() == 1)
        try carry(from: copy, to: other)
        #expect(try other.query("SELECT title FROM note") == [[.text("in the copy")]])
        #expect(try other.stateHash() == copy.stateHash())
        #expect(try other.openConflicts().isEmpty)
        #expect(try copy.verify().problems == [])
    }

    @Test func `a copy of a copy adopts in the order in which they were left`() throws {
        let original = try bench.create("a")
        let (id, _) = try note(original, "one")
        try bench.copy("a", to: "b")
        let copy = try bench.open("b")
        _ = try retitle(copy, id, "two")
        try bench.copy("b", to: "c")
        let third = try bench.open("c")
        _ = try retitle(third, id, "three")
        #expect(try third.left().count == 2)
        #expect(try third.adoptLeft() == 2)
        #expect(try third.seal() == 1)
        let other = try bench.create("o")
        try carry(from: third, to: other)
        #expect(try other.query("SELECT title FROM note") == [[.text("three")]])
        #expect(try other.stateHash() == third.stateHash())
    }

    @Test func `one opening goes on with the name that another took`() throws {
        let original = try bench.create("a")
        try note(original, "one")
        try bench.copy("a", to: "b")
        let (page, shell) = (try bench.open("b"), try bench.open("b"))
        _ = try page.counts()
        try note(shell, "two")
        #expect(try note(page, "three").1 == Dot(shell.stream, 2))
        #expect(page.stream == shell.stream)
        #expect(try page.verify().problems == [])
    }

    @Test func `a tail that waits says so when it has no more room`() throws {
        let original = try bench.create("a")
        let (id, _) = try note(original, "one")
        try bench.copy("a", to: "b")
        let copy = try bench.open("b")
        _ = try retitle(copy, id, "two")
        for number in 1..<Limits.runChangesets { try note(copy, "\(number)") }
        #expect(throws: StoreError.self) { try note(copy, "no room") }
        #expect(
            try copy.query("SELECT count(*) FROM note WHERE title = 'no room'")
                == [[.integer(0)]])
        #expect(try copy.adoptLeft() == 1)
        try note(copy, "room again")
        #expect(try copy.verify().problems == [])
    }

    @Test func `a file that another one took the place of is not written any more`() throws {
        let replica = try bench.create("a")
        try note(replica, "one")
        try bench.copy("a", to: "old")
        try note(replica, "two")
        try FileManager.default.removeItem(atPath: bench.path("a"))
        try FileManager.default.moveItem(atPath: bench.path("old"), toPath: bench.path("a"))
        #expect {
            try note(replica, "three")
        } throws: { error in
            guard case .replaced(let path)? = error as? StoreError else { return false }
            return path == bench.path("a")
        }
    }

    @Test(arguments: ["", "karvan install 1\n", String(repeating: "x", count: 128)])
    func `a file beside that can't be read is as none`(content: String) throws {
        let replica = try bench.create("a")
        try note(replica, "one")
        let stream = replica.stream
        replica.close()
        try Data(content.utf8).write(
            to: URL(filePath: InstallFile.path(replica: bench.path("a"))))
        let again = try bench.open("a")
        try note(again, "two")
        #expect(again.stream != stream)
        again.close()
        // And then it is one that can.
        let third = try bench.open("a")
        #expect(try note(third, "three").1 == Dot(again.stream, 2))
    }
}

extension Bench {
    /// Copies a replica as a person would: with its key and its log, as they lie there.
    func copy(_ name: String, to other: String) throws {
        for suffix in ["", "-wal", ".key"] {
            let (from, to) = (path(name) + suffix, path(other) + suffix)
            try? FileManager.default.removeItem(atPath: to)
            if FileManager.default.fileExists(atPath: from) {
                try FileManager.default.copyItem(atPath: from, toPath: to)
            }
        }
    }

    /// Copies all that a disk holds of a replica: nothing tells the copy from it.
    func clone(_ name: String, as other: String) throws -> Replica {
        try copy(name, to: other)
        try FileManager.default.copyItem(
            atPath: InstallFile.path(replica: path(name)),
            toPath: InstallFile.path(replica: path(other)))
        return try open(other)
    }

    /// Puts a copy in a replica's place.
    func putBack(_ name: String, as other: String) throws {
        try? FileManager.default.removeItem(atPath: path(other) + "-shm")
        try copy(name, to: other)
    }
}

/// A sync with a hub that serves a feed, without the network between.
func exchange(_ laptop: Replica, _ hub: Replica) throws {
    var asksForBodies = false
    for _ in 0..<20 {
        let batch = try laptop.outgoingBatch(asksForBodies: asksForBodies)
        let isRefused = try hub.ingest(batch.runs).contains {
            if case .refused(let refusal) = $0 { refusal.code != .gap } else { false }
        }
        let feed = try hub.feedEntries(after: batch.cursor, ahead: batch.ahead)
        let heads = Set(batch.runs.map(\.header.stream)).sorted().flatMap(hub.sealedHeads(of:))
        let reply = ExchangeReply(
            heads: heads, rejections: [], entries: feed.entries, cursor: feed.cursor,
            hasMore: feed.hasMore, hubMilliseconds: hub.environment.wallMilliseconds())
        let applied = try laptop.apply(reply, from: batch.cursor)
        asksForBodies = applied.lacksBodies
        let isDone =
            !feed.hasMore && !asksForBodies && batch.remainingCount == 0 && !applied.hasMoreToSend
        // What was refused for good is not offered again.
        if isDone || isRefused { return }
    }
    throw ExchangeError()
}

struct ExchangeError: Error {}
