import Causality
import Merge
import ReplicaStore
import SyncProtocol
import Testing

/// When the tail is sealed by itself: as soon as a changeset of any size might not fit any more.
@Suite struct FullRuns {
    private func write(_ replica: Replica, _ textBytes: Int) throws {
        try replica.write { transaction in
            _ = try transaction.insert(
                into: Sample.note,
                [.text(String(repeating: "x", count: textBytes)), nil, nil, nil, nil])
        }
    }

    private func tail(_ replica: Replica) throws -> (count: Int, bytes: Int) {
        let row = try replica.query(
            "SELECT count(*), coalesce(sum(length(body)), 0) FROM sy_tail")[0]
        guard case .integer(let count) = row[0], case .integer(let bytes) = row[1] else {
            return (-1, -1)
        }
        return (Int(count), Int(bytes))
    }

    @Test(arguments: 0...1)
    func `the tail takes a further changeset while the largest would fit, and not with a byte more`(
        excess: Int
    ) throws {
        let bench = try Bench(isVolatile: true)
        let a = try bench.create("a")
        for _ in 0..<4 { try write(a, 60_000) }
        let before = try tail(a).bytes
        try write(a, 5_000)
        let overhead = try tail(a).bytes - before - 5_000
        let full = Limits.runWrittenBytes - Limits.changesetBytes + excess
        try write(a, full - overhead - (try tail(a).bytes))
        #expect(try tail(a).bytes == full)
        #expect(try a.counts().runs == 0)
        try write(a, 1)
        #expect(try tail(a).count == (excess == 0 ? 7 : 1))
        #expect(try a.counts().runs == excess)
        #expect(try a.verify().problems == [])
    }

    @Test func `a run ends before it does more to rows than others can wait for`() throws {
        let bench = try Bench(isVolatile: true)
        let a = try bench.create("a")
        let written = try a.write { transaction in
            for row in 0..<10_000 {
                try transaction.insert(into: Sample.note, [.text("\(row)"), nil, nil, nil, nil])
            }
        }
        let goal = (Limits.runGoalRows, Limits.changesetGoalRows)
        #expect(goal == (4_096, 2_048))
        #expect(written.receipt.dots.count == 5)
        // What is in the tail counts after the file was opened again, too.
        let again = try bench.open("a")
        for row in 0..<1_000 {
            try again.write { try $0.upsert(Sample.person, key: [.text("p\(row)")], []) }
        }
        try again.seal()
        let runs = try again.sealedRuns(after: VersionVector())
        var rowCounts: [Int] = []
        let b = try bench.create("b")
        for run in runs {
            _ = try b.ingest([run]) { _ in
            } observe: {
                rowCounts.append($0.rowCount)
            }
        }
        // The tail has room as long as a changeset of many rows would fit.
        #expect(rowCounts == [4_096, 4_096, 2_049, 759])
        #expect(try b.stateHash() == again.stateHash())
    }

    @Test func `a run holds as many changesets as it may, and no more`() throws {
        let bench = try Bench(isVolatile: true)
        let a = try bench.create("a")
        for _ in 0..<Limits.runChangesets { try write(a, 1) }
        #expect(try tail(a).count == Limits.runChangesets)
        #expect(try a.counts().runs == 0)
        try write(a, 1)
        #expect(try tail(a).count == 1)
        try a.seal()
        let runs = try a.sealedRuns(after: VersionVector())
        #expect(runs.map(\.header.count) == [Limits.runChangesets, 1])
        let b = try bench.create("b")
        try carry(from: a, to: b)
        #expect(try b.stateHash() == a.stateHash())
    }
}
