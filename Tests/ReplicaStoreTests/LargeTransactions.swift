import Causality
import Merge
import RecordSchema
import ReplicaStore
import SyncProtocol
import Testing

/// Transactions at and over the limits.
@Suite struct LargeTransactions {
    private func changesets(_ replica: Replica) throws -> [Changeset] {
        var all: [Changeset] = []
        try replica.forEachChangeset { changeset, _ in all.append(changeset) }
        return all
    }

    @Test func `twenty thousand rows of one transaction are changesets of one action in many runs`()
        throws
    {
        let bench = try Bench()
        let a = try bench.create("a")
        let (ids, receipt) = try a.write(author: "Nigar") { transaction in
            try (0..<20_000).map { number in
                try transaction.insert(
                    into: Sample.note,
                    [
                        .text("title of note number \(number)"), .integer(Int64(number)),
                        .composite([.real(Double(number)), .null]), nil, nil,
                    ])
            }
        }
        #expect(Set(ids).count == 20_000)
        #expect(ids == ids.sorted())
        #expect(receipt.operationCount == 60_000)
        #expect(receipt.dots.count > 3)
        let made = try changesets(a)
        #expect(made.map(\.dot) == receipt.dots)
        #expect(made.allSatisfy { $0.author == "Nigar" && $0.action == made[0].action })
        #expect(made[0].action != nil)
        try a.seal()
        let runs = try a.sealedRuns(after: VersionVector())
        #expect(runs.count > 1)
        #expect(runs.allSatisfy { $0.body.count <= Limits.runStoredBytes })
        let b = try bench.create("b")
        for result in try b.ingest(runs) {
            guard case .applied = result else {
                Issue.record("\(result)")
                continue
            }
        }
        #expect(try b.stateHash() == a.stateHash())
        #expect(try b.verify().problems == [])
        #expect(
            try b.query("SELECT count(*), sum(count) FROM note") == [
                [.integer(20_000), .integer(199_990_000)]
            ])
        #expect(try changesets(b) == made)
    }

    @Test func `rows whose ids the application chose are split as well`() throws {
        let bench = try Bench()
        let a = try bench.create("a")
        let receipt = try a.write { transaction in
            for number in 1...5_000 {
                try transaction.insert(
                    into: Sample.note, id: RowID(Identifier(high: 1, low: UInt64(number))),
                    [.text("note \(number)"), nil, nil, nil, nil])
            }
        }.receipt
        let made = try changesets(a)
        #expect(made.map(\.dot) == receipt.dots)
        #expect(made.count > 1)
        #expect(made.allSatisfy { $0.rows.count <= Limits.changesetGoalRows })
        #expect(made.reduce(0) { $0 + $1.rows.count } == 5_000)
    }

    @Test func `a small transaction is one changeset without an action`() throws {
        let bench = try Bench()
        let a = try bench.create("a")
        try a.write { try $0.upsert(Sample.person, key: [.text("A")], []) }
        let made = try changesets(a)
        #expect(made.count == 1)
        #expect(made[0].action == nil)
    }

    @Test(arguments: [Limits.valueBytes, Limits.valueBytes + 1])
    func `a value may have 64 KiB and no more, and a refused one leaves nothing`(count: Int) throws
    {
        let bench = try Bench()
        let a = try bench.create("a")
        let b = try bench.create("b")
        let text = Value.text(String(repeating: "x", count: count))
        let blob = Value.blob([UInt8](repeating: 1, count: count))
        let small = try a.write {
            try $0.insert(into: Sample.note, [.text("small"), nil, nil, nil, nil])
        }.result
        let before = try a.stateHash()
        let write: (WriteTransaction) throws -> Void = { transaction in
            try transaction.upsert(Sample.person, key: [.text("A")], [])
            try transaction.insert(into: Sample.note, [text, nil, nil, nil, nil])
            try transaction.insert(into: Sample.measure, [nil, blob, nil, nil])
            try transaction.set(Sample.note, small, [(Sample.column("title"), text)])
            try transaction.add(Sample.note, small, Sample.column("tags"), [text])
        }
        guard count > Limits.valueBytes else {
            try a.write(write)
            try carry(from: a, to: b)
            #expect(try a.stateHash() == b.stateHash())
            #expect(try b.verify().problems == [])
            return
        }
        #expect(throws: StoreError.self) { try a.write(write) }
        for column in ["title", "tags"] {
            #expect(throws: StoreError.self) {
                try a.write { transaction in
                    let column = Sample.column(column)
                    if column.isSet {
                        try transaction.add(Sample.note, small, column, [text])
                    } else {
                        try transaction.set(Sample.note, small, [(column, text)])
                    }
                }
            }
        }
        #expect(try a.stateHash() == before)
        #expect(try a.query("SELECT count(*) FROM person") == [[.integer(0)]])
        #expect(try a.tailChangesets().count == 1)
    }

    @Test func `a transaction that fails leaves nothing, and the next one uses no name again`()
        throws
    {
        struct Stop: Error {}
        let bench = try Bench()
        let a = try bench.create("a")
        try a.write { try $0.upsert(Sample.person, key: [.text("A")], []) }
        try a.seal()
        let before = (try a.stateHash(), a.versionVector(), try a.counts().runs)
        var lost: Set<RowID> = []
        // The larger one has sealed runs before it fails.
        for count in [1, 8_000] {
            #expect(throws: Stop.self) {
                try a.write { transaction in
                    for number in 0..<count {
                        lost.insert(
                            try transaction.insert(
                                into: Sample.note,
                                [
                                    .text("lost \(number), and long enough to fill a run soon"),
                                    .integer(Int64(number)), nil, nil, nil,
                                ]))
                    }
                    throw Stop()
                }
            }
            #expect(try a.stateHash() == before.0)
            #expect(a.versionVector() == before.1)
            #expect(try a.counts().runs == before.2)
            #expect(try a.query("SELECT count(*) FROM note") == [[.integer(0)]])
        }
        let (id, receipt) = try a.write {
            try $0.insert(into: Sample.note, [.text("kept"), nil, nil, nil, nil])
        }
        #expect(receipt.dots.map(\.seq) == [2])
        #expect(!lost.contains(id))
        let b = try bench.create("b")
        try carry(from: a, to: b)
        #expect(try a.stateHash() == b.stateHash())
        #expect(try a.verify().problems == [])
    }

    @Test func `a transaction that takes in runs and then fails leaves nothing of them`() throws {
        struct Stop: Error {}
        let bench = try Bench()
        let a = try bench.create("a")
        let b = try bench.create("b")
        try a.write { try $0.upsert(Sample.person, key: [.text("A")], []) }
        try a.seal()
        let runs = try a.sealedRuns(after: VersionVector())
        let before = try b.stateHash()
        #expect(throws: Stop.self) { try b.ingest(runs, also: { _ in throw Stop() }) }
        #expect(b.versionVector().isEmpty)
        #expect(try b.stateHash() == before)
        try carry(from: a, to: b)
        #expect(try a.stateHash() == b.stateHash())
    }
}
