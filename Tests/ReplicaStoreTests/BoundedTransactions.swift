import Causality
import Foundation
import Merge
import RecordSchema
import ReplicaStore
import SyncProtocol
import Testing

/// Whoever wants to write says so, and what is taken in at once is bounded then.
@Suite struct BoundedTransactions {
    private struct Stop: Error {}

    /// Another process that waits for a replica's lock and never gets it, as the system sees it: a
    /// shared lock of its own open file on the byte at 1 GiB (fcntl(2), `F_OFD_SETLK`).
    private final class Waiter {
        private let descriptor: Int32
        private static let byte: off_t = 1 << 30

        init(for replica: Replica) throws {
            descriptor = open(replica.path + ".lock", O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
            var region = Self.region(F_RDLCK)
            guard descriptor >= 0, fcntl(descriptor, 37, &region) == 0 else { throw Stop() }
        }

        deinit { close(descriptor) }

        private static func region(_ type: Int32) -> flock {
            flock(
                l_type: Int16(type), l_whence: Int16(SEEK_SET), l_start: byte, l_len: 1, l_pid: 0)
        }

        /// Whether somebody waits for the lock of that file.
        static func isThere(_ descriptor: Int32) -> Bool {
            var region = region(F_WRLCK)
            return fcntl(descriptor, 36, &region) == 0 && region.l_type != Int16(F_UNLCK)
        }
    }

    /// A hub with as many runs as there are counts, each of one changeset of so many rows.
    private func hub(_ bench: Bench, rowCounts: [Int]) throws -> Replica {
        let hub = try bench.create("hub", keepsFeed: true)
        for (number, count) in rowCounts.enumerated() {
            try hub.write { transaction in
                for row in 0..<count {
                    try transaction.insert(
                        into: Sample.note, [.text("\(number)/\(row)"), nil, nil, nil, nil])
                }
            }
            try hub.seal()
        }
        return hub
    }

    private func reply(_ hub: Replica, after cursor: Cursor?) throws -> ExchangeReply {
        let (entries, end, hasMore) = try hub.feedEntries(after: cursor, ahead: [])
        return ExchangeReply(
            heads: [], rejections: [], entries: entries, cursor: end, hasMore: hasMore,
            hubMilliseconds: 1_764_000_000_000)
    }

    private static let counts = [300, 200, 400, 300, 900, 100, 3_000, 50, 50, 700]
    /// A run that begins below the goal goes whole.
    private static let awaitedCounts = [300, 600, 300, 900, 3_100, 800]

    @Test func `a reply is taken in by bounded transactions, and others write between`() throws {
        let bench = try Bench()
        let hub = try hub(bench, rowCounts: Self.counts)
        let sync = try bench.create("a")
        let page = try bench.open("a")
        let waiter = try Waiter(for: sync)
        let reply = try reply(hub, after: nil)
        #expect(reply.entries.count == Self.counts.count)
        var (rowCounts, runCount): ([Int], Int) = ([], 0)
        let applied = try sync.apply(reply, from: nil) { progress in
            rowCounts.append(progress.rowCount)
            runCount += progress.runCount
            // Runs and cursor have moved together, and nobody holds the lock.
            #expect(try page.cursor()?.offset == UInt64(runCount))
            #expect(
                try page.query("SELECT count(*) FROM note")
                    == [[.integer(Int64(rowCounts.reduce(0, +)))]])
            try page.write { try $0.upsert(Sample.person, key: [.text("p\(runCount)")], []) }
        }
        // The largest run holds two changesets.
        #expect(applied.changesetCount == UInt64(Self.counts.count) + 1)
        #expect(rowCounts == Self.awaitedCounts)
        #expect(
            try page.query("SELECT count(*) FROM person") == [[.integer(Int64(rowCounts.count))]])
        #expect(try sync.verify().problems == [])
        try carry(from: sync, to: hub)
        #expect(try sync.stateHash() == hub.stateHash())
        withExtendedLifetime(waiter) {}
    }

    @Test func `a reply is taken in at once while nobody waits`() throws {
        let bench = try Bench()
        let hub = try hub(bench, rowCounts: Self.counts)
        let laptop = try bench.create("a")
        var progresses: [IngestProgress] = []
        _ = try laptop.apply(try reply(hub, after: nil), from: nil) { progresses.append($0) }
        #expect(progresses.map(\.rowCount) == [6_000])
        #expect(progresses.map(\.runCount) == [Self.counts.count])
        #expect(try laptop.stateHash() == hub.stateHash())
    }

    @Test func `whoever waits for the lock says so for as long`() throws {
        let bench = try Bench()
        let laptop = try bench.create("a")
        // Both threads only read it: where files lie, and a clock that is made for many threads.
        nonisolated(unsafe) let folder = bench
        let holder = open(laptop.path + ".lock", O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        defer { close(holder) }
        #expect(flock(holder, LOCK_EX | LOCK_NB) == 0)
        #expect(!Waiter.isThere(holder))
        let writing = Thread {
            let page = try? folder.open("a")
            _ = try? page?.write { try $0.upsert(Sample.person, key: [.text("A")], []) }
        }
        writing.start()
        var isSeen = false
        for _ in 0..<5_000 where !isSeen {
            isSeen = Waiter.isThere(holder)
            usleep(1_000)
        }
        #expect(isSeen)
        #expect(flock(holder, LOCK_UN) == 0)
        for _ in 0..<5_000 where !writing.isFinished { usleep(1_000) }
        #expect(writing.isFinished)
        #expect(!Waiter.isThere(holder))
        #expect(try laptop.query("SELECT count(*) FROM person") == [[.integer(1)]])
    }

    @Test func `a stop between two transactions leaves what the next sync goes on from`() throws {
        let bench = try Bench()
        let counts = [600, 600, 600, 600, 600]
        let hub = try hub(bench, rowCounts: counts)
        let laptop = try bench.create("a")
        let waiter = try Waiter(for: laptop)
        var taken: UInt64 = 0
        for stopAfter in 1...2 {
            var seen = 0
            let cursor = try laptop.cursor()
            #expect(throws: Stop.self) {
                try laptop.apply(try reply(hub, after: cursor), from: cursor) { progress in
                    taken += progress.changesetCount
                    seen += 1
                    if seen == stopAfter { throw Stop() }
                }
            }
            #expect(try laptop.cursor()?.offset == taken)
            #expect(laptop.versionVector()[hub.stream] == taken)
            #expect(try laptop.verify().problems == [])
        }
        #expect(taken == 3)
        let cursor = try laptop.cursor()
        let rest = try laptop.apply(try reply(hub, after: cursor), from: cursor)
        #expect(rest.changesetCount == 5 - taken)
        #expect(try laptop.stateHash() == hub.stateHash())
        withExtendedLifetime(waiter) {}
    }

    @Test func `runs that are brought are taken in by bounded transactions too`() throws {
        let bench = try Bench()
        let hub = try hub(bench, rowCounts: [500, 700, 100, 2_000, 1_100])
        let runs = try hub.sealedRuns(after: VersionVector())
        let other = try bench.create("b", keepsFeed: true)
        let waiter = try Waiter(for: other)
        var (rowCounts, alsoCount): ([Int], Int) = ([], 0)
        let results = try other.ingest(runs) { results in
            alsoCount += 1
            #expect(results.count == 5)
        } observe: { progress in
            rowCounts.append(progress.rowCount)
        }
        #expect(results.count == 5)
        #expect(rowCounts == [500, 700, 2_100, 1_100])
        #expect(alsoCount == 1)
        #expect(try other.feedEnd().offset == 5)
        // Once more nothing changes.
        for result in try other.ingest(runs) {
            guard case .duplicate = result else { throw Stop() }
        }
        #expect(try other.stateHash() == hub.stateHash())
        withExtendedLifetime(waiter) {}
    }

    @Test func `a run that follows a missing one is refused, and the others are taken`() throws {
        let bench = try Bench()
        let hub = try hub(bench, rowCounts: [3, 3, 3])
        let a = try bench.create("a")
        try a.write { try $0.upsert(Sample.person, key: [.text("A")], []) }
        try a.seal()
        let runs = try hub.sealedRuns(after: VersionVector())
        let own = try a.sealedRuns(after: VersionVector())
        let b = try bench.create("b")
        var words: [String] = []
        for result in try b.ingest([runs[0], runs[2], own[0], runs[0], runs[1], runs[2]]) {
            switch result {
            case .applied(let count): words.append("applied \(count)")
            case .duplicate: words.append("duplicate")
            case .refused(let refusal), .setAside(let refusal): words.append(refusal.code.name)
            }
        }
        #expect(
            words == ["applied 1", "GAP", "applied 1", "duplicate", "applied 1", "applied 1"])
    }
}
