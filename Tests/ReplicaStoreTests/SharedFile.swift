import Causality
import Merge
import RecordSchema
import ReplicaStore
import SyncProtocol
import Testing

/// Two openings of one file, as the page and the command line have.
@Suite struct SharedFile {
    private func note(_ replica: Replica, _ title: String) throws -> (RowID, Dot) {
        let (id, receipt) = try replica.write {
            try $0.insert(into: Sample.note, [.text(title), nil, nil, nil, nil])
        }
        return (id, receipt.dots[0])
    }

    @Test func `writes of two openings interleave, each once and in one order`() throws {
        let bench = try Bench()
        let page = try bench.create("a")
        let shell = try bench.open("a")
        var dots: [Dot] = []
        for round in 0..<20 {
            dots.append(try note(round % 3 == 0 ? page : shell, "note \(round)").1)
            if round % 7 == 0 { try page.seal() }
            if round % 5 == 0 { try shell.seal() }
        }
        #expect(dots.map(\.seq) == Array(1...20))
        #expect(Set(dots).count == 20)
        #expect(try page.stateHash() == shell.stateHash())
        #expect(try page.verify().problems == [])
        let other = try bench.create("b")
        try carry(from: shell, to: other)
        #expect(try other.stateHash() == page.stateHash())
    }

    @Test func `one opening reads what another took in from a stream that was unknown`() throws {
        let bench = try Bench()
        let page = try bench.create("a")
        let shell = try bench.open("a")
        let other = try bench.create("b")
        let (id, _) = try note(other, "from b")
        try other.write { try $0.add(Sample.note, id, Sample.column("tags"), [.text("t")]) }
        try carry(from: other, to: page)
        #expect(try shell.query("SELECT title FROM note") == [[.text("from b")]])
        #expect(try shell.state(1, id) == page.state(1, id))
        #expect(try shell.stateHash() == page.stateHash())
        #expect(shell.versionVector() == page.versionVector())
        #expect(try shell.verify().problems == [])
        #expect(
            try shell.sealedRuns(after: VersionVector()) == page.sealedRuns(after: VersionVector()))
    }

    @Test func `one opening reads in the log what another wrote and sealed`() throws {
        let bench = try Bench()
        let page = try bench.create("a")
        let shell = try bench.open("a")
        let (_, dot) = try note(page, "one")
        #expect(try shell.changeset(dot)?.rows.count == 1)
        #expect(try shell.tailChangesets().count == 1)
        try page.seal()
        #expect(try shell.changeset(dot)?.rows.count == 1)
        #expect(try shell.tailChangesets().isEmpty)
        #expect(try shell.pending().count == 1)
    }

    @Test func `a write that can't have the lock names who holds it and changes nothing`() throws {
        let bench = try Bench()
        let page = try bench.create("a")
        var environment = bench.environment
        environment.lockLimitMilliseconds = 30
        let shell = try Replica.open(
            at: bench.path("a"), schema: Sample.schema, environment: environment)
        let hash = try shell.stateHash()
        try page.withLock {
            do {
                _ = try note(shell, "never")
                Issue.record("the lock was not held")
            } catch StoreError.held(_, let holder, let waited) {
                #expect(holder.command == "test")
                #expect(holder.process > 0)
                #expect(waited >= 30)
            }
            // The holder itself may write.
            _ = try note(page, "mine")
        }
        _ = try note(shell, "afterwards")
        #expect(try shell.stateHash() != hash)
        #expect(
            try page.query("SELECT title FROM note ORDER BY title") == [
                [.text("afterwards")], [.text("mine")],
            ])
        #expect(try page.verify().problems == [])
    }

    @Test func `a fresh replica that holds only others' changes counts them as pending`() throws {
        let bench = try Bench()
        let a = try bench.create("a")
        let b = try bench.create("b")
        _ = try note(a, "one")
        try carry(from: a, to: b)
        #expect(try b.pending().count == 1)
        #expect(try b.changeset(Dot(b.stream, 1)) == nil)
        #expect(try b.changeset(Dot(a.stream, 0)) == nil)
    }
}
