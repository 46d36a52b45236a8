import Causality
import Merge
import RecordSchema
import ReplicaStore
import SyncProtocol
import Testing

/// What is taken in at once is bounded, so that others can write between.
@Suite struct BoundedTransactions {
    private struct Stop: Error {}

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

    /// One run may be larger than a transaction otherwise is.
    private func isBounded(_ progress: IngestProgress) -> Bool {
        progress.runCount == 1 || progress.rowCount <= Replica.ingestRowGoal
    }

    @Test func `a reply is taken in by bounded transactions, and others write between`() throws {
        let bench = try Bench()
        let counts = [300, 200, 400, 300, 900, 100, 3_000, 50, 50, 700]
        let hub = try hub(bench, rowCounts: counts)
        let sync = try bench.create("a")
        let page = try bench.open("a")
        let reply = try reply(hub, after: nil)
        #expect(reply.entries.count == counts.count)
        var (transactionCount, rowCount, runCount) = (0, 0, 0)
        let applied = try sync.apply(reply, from: nil) { progress in
            transactionCount += 1
            rowCount += progress.rowCount
            runCount += progress.runCount
            #expect(isBounded(progress), "\(progress)")
            // Runs and cursor have moved together, and nobody holds the lock.
            #expect(try page.cursor()?.offset == UInt64(runCount))
            #expect(
                try page.query("SELECT count(*) FROM note") == [[.integer(Int64(rowCount))]])
            try page.write { try $0.upsert(Sample.person, key: [.text("p\(runCount)")], []) }
        }
        #expect(applied.changesetCount == UInt64(counts.count))
        #expect(rowCount == counts.reduce(0, +))
        #expect(transactionCount == 5)
        #expect(
            try page.query("SELECT count(*) FROM person") == [[.integer(Int64(transactionCount))]])
        #expect(try sync.verify().problems == [])
        try carry(from: sync, to: hub)
        #expect(try sync.stateHash() == hub.stateHash())
    }

    @Test func `a stop between two transactions leaves what the next sync goes on from`() throws {
        let bench = try Bench()
        let counts = [600, 600, 600, 600, 600]
        let hub = try hub(bench, rowCounts: counts)
        let laptop = try bench.create("a")
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
    }

    @Test func `runs that are brought are taken in by bounded transactions too`() throws {
        let bench = try Bench()
        let hub = try hub(bench, rowCounts: [500, 700, 100, 2_000, 1_100])
        let runs = try hub.sealedRuns(after: VersionVector())
        let other = try bench.create("b", keepsFeed: true)
        var (transactionCount, alsoCount) = (0, 0)
        let results = try other.ingest(runs) { results in
            alsoCount += 1
            #expect(results.count == 5)
        } observe: { progress in
            transactionCount += 1
            #expect(isBounded(progress), "\(progress)")
        }
        #expect(results.count == 5)
        #expect(transactionCount == 4)
        #expect(alsoCount == 1)
        #expect(try other.feedEnd().offset == 5)
        // Once more nothing changes.
        for result in try other.ingest(runs) {
            guard case .duplicate = result else { throw Stop() }
        }
        #expect(try other.stateHash() == hub.stateHash())
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
            case .refused(let refusal): words.append(refusal.code.name)
            }
        }
        #expect(
            words == ["applied 1", "GAP", "applied 1", "duplicate", "applied 1", "applied 1"])
    }
}
