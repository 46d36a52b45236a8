import Causality
import Foundation
import Merge
import RecordSchema
import ReplicaStore
import SyncProtocol
import TestSupport
import Testing

/// The state at a past point is the definition's over exactly the changesets of then.
///
/// KARVAN_STORE_SCHEDULES overrides how many schedules run, KARVAN_SEED where they start.
@Suite struct PastStates {
    private static func setting(_ name: String) -> Int? {
        ProcessInfo.processInfo.environment[name].flatMap { Int($0) }
    }

    @Test func `every row at any past point is what its changesets of then make of it`() throws {
        let first = Self.setting("KARVAN_SEED") ?? 1
        var comparisons = 0
        for seed in first..<first + min(Self.setting("KARVAN_STORE_SCHEDULES") ?? 12, 40) {
            let schedule = try StoreSchedule(seed: UInt64(seed))
            #expect(try schedule.run() == nil, "KARVAN_SEED=\(seed)")
            var generator = SplitMix64(seed: UInt64(seed))
            for replica in schedule.replicas.prefix(2) {
                let past = try Past(replica)
                for point in past.points(&generator) {
                    let problem = try past.difference(at: point)
                    #expect(problem == nil, "KARVAN_SEED=\(seed) \(point)")
                    let differing = try past.differenceOfCopy(at: point)
                    #expect(differing == nil, "KARVAN_SEED=\(seed) \(point)")
                    comparisons += 1
                }
                for point in Past.never {
                    for table in Sample.tables {
                        #expect(try replica.states(of: table.id, at: point).isEmpty)
                    }
                }
                for point in Past.always {
                    let problem = try past.differenceFromNow(at: point)
                    #expect(problem == nil, "KARVAN_SEED=\(seed) \(point)")
                }
            }
        }
        #expect(comparisons >= 10)
    }

    @Test func `a copy of now is what it was copied from, and writes nothing`() throws {
        let bench = try Bench()
        let a = try bench.create("a")
        for number in 0..<9 {
            try a.write {
                try $0.insert(into: Sample.note, [.text("\(number)"), nil, nil, nil, nil])
            }
        }
        let bytes = try Data(contentsOf: URL(filePath: a.path))
        let copy = try a.past(a.versionVector())
        defer { copy.close() }
        #expect(try copy.stateHash() == a.stateHash() && copy.versionVector() == a.versionVector())
        #expect(try copy.query("SELECT * FROM note") == a.query("SELECT * FROM note"))
        try a.write { try $0.insert(into: Sample.note, [.text("later"), nil, nil, nil, nil]) }
        #expect(try copy.query("SELECT count(*) FROM note") == [[.integer(9)]])
        // The log lies beside the file, which is as it was.
        #expect(try Data(contentsOf: URL(filePath: a.path)) == bytes)
        #expect(throws: StoreError.self) {
            _ = try bench.create("b").past(a.versionVector())
        }
    }

    @Test func `an effect that a slow clock dated before its cause replaces it all the same`()
        throws
    {
        let bench = try Bench()
        let fast = try bench.create("fast", aheadMilliseconds: 10_800_000)
        let slow = try bench.create("slow")
        let key: [Value] = [.text("P1")]
        let name = Sample.column("name")
        let id = Sample.schema.rowID(in: Sample.person, key: key)
        let cell = CellKey(name.id)
        try fast.write { _ = try $0.upsert(Sample.person, key: key, [(name, .text("cause"))]) }
        try carry(from: fast, to: slow)
        try slow.write { try $0.set(Sample.person, id, [(name, .text("effect"))]) }
        let history = try slow.history(of: id, in: Sample.person.id)
        let ops = history.operations.filter { $0.operation.cell == cell }
        try #require(ops.map(\.operation.action.value) == [.text("cause"), .text("effect")])
        #expect(ops[1].time < ops[0].time)
        #expect(history.replacements(of: ops[0].place) == [ops[1]])
        for time in [ops[0].time, ops[1].time, HybridTime(milliseconds: .max)] {
            let point = PastPoint.recorded(milliseconds: time.milliseconds)
            let live = history.upTo(point).state[cell].live.map(\.action.value)
            #expect(live == [.text("effect")])
        }
        #expect(history.state == (try slow.state(Sample.person.id, id)))
    }

    @Test func `a value that comes back stands since then, not since it was written`() throws {
        let bench = try Bench()
        let a = try bench.create("a")
        let b = try bench.create("b")
        let key: [Value] = [.text("P1")]
        let name = Sample.column("name")
        let id = Sample.schema.rowID(in: Sample.person, key: key)
        let cell = CellKey(name.id)
        for (replica, text) in [(a, "from a"), (b, "from b")] {
            try replica.write {
                _ = try $0.upsert(Sample.person, key: key, [(name, .text(text))])
            }
        }
        try carry(from: a, to: b)
        try carry(from: b, to: a)
        func shown(_ cell: Cell) -> Value? { RegisterFold(cell).shown?.action.value }
        func since(_ text: String) throws -> HybridTime? {
            try a.history(of: id, in: 2).time(of: cell) { shown($0) == .text(text) }
        }
        let written = try a.history(of: id, in: 2).operations.filter { $0.operation.cell == cell }
        #expect(try since("from b") == written[1].time)
        #expect(try since("from a") == nil)
        try a.write { transaction in
            try transaction.author(2, id) {
                [$0.resolve(cell, .text("from a"), basis: RegisterFold($0[cell]).allDots)]
            }
        }
        #expect(try since("from b") == nil)
        try a.write { transaction in
            try transaction.author(2, id) { state in
                let decision = try #require(RegisterFold(state[cell]).shown)
                return [try #require(state.undo(resolution: decision.dot, in: cell))]
            }
        }
        let last = try #require(try a.history(of: id, in: 2).operations.last)
        #expect(try since("from b") == last.time)
        #expect(last.time > written[1].time)
    }

    @Test func `what others recorded has a time of receipt, what was recorded here has none`()
        throws
    {
        let bench = try Bench()
        let a = try bench.create("a")
        let b = try bench.create("b")
        let (id, _) = try a.write(author: "Leyla", claimed: 5) {
            try $0.insert(into: Sample.note, [.text("one"), nil, nil, nil, nil])
        }
        try carry(from: a, to: b)
        try b.write(author: "Murad") {
            try $0.set(Sample.note, id, [(Sample.column("title"), .text("two"))])
        }
        let here = try a.history(of: id, in: 1).operations
        #expect(here.map(\.receivedMilliseconds) == [nil])
        #expect(here.map(\.claimedMilliseconds) == [5])
        let there = try b.history(of: id, in: 1).operations
        #expect(there.map(\.author) == ["Leyla", "Murad"])
        let received = try #require(there[0].receivedMilliseconds)
        #expect(there[1].receivedMilliseconds == nil && received > there[0].time.milliseconds)
        #expect(try b.lastReceivedMilliseconds() == received)
        #expect(try a.lastReceivedMilliseconds() == nil)
        let before = PastPoint.received(milliseconds: received - 1)
        #expect(try b.states(of: 1, at: before).isEmpty)
        #expect(try b.states(of: 1, at: .received(milliseconds: received)).count == 1)
    }
}

extension Bench {
    /// A replica whose wall clock is ahead of the bench's.
    fileprivate func create(_ name: String, aheadMilliseconds: Int64) throws -> Replica {
        var environment = environment
        let wall = environment.wallMilliseconds
        environment.wallMilliseconds = { wall() + aheadMilliseconds }
        return try Replica.create(
            at: path(name), name: name, schema: Sample.schema, environment: environment)
    }
}

/// All changesets of a replica, and by brute force what lives of some of them.
private struct Past {
    private struct Place: Hashable {
        var table: UInt32
        var row: RowID
    }

    private let replica: Replica
    private var changesets: [(changeset: Changeset, received: Int64?)] = []

    static let never: [PastPoint] = [.recorded(milliseconds: 0), .received(milliseconds: 0)]
    static let always: [PastPoint] = [
        .recorded(milliseconds: .max), .received(milliseconds: .max),
    ]

    init(_ replica: Replica) throws {
        self.replica = replica
        var changesets: [(changeset: Changeset, received: Int64?)] = []
        try replica.forEachChangeset { changesets.append(($0, $1)) }
        self.changesets = changesets
    }

    func points(_ generator: inout SplitMix64) -> [PastPoint] {
        let recorded = (0..<4).compactMap { _ in generator.pick(changesets) }.map {
            PastPoint.recorded(milliseconds: $0.changeset.time.milliseconds)
        }
        let received = (0..<3).compactMap { _ in generator.pick(changesets)?.received }.map {
            PastPoint.received(milliseconds: $0)
        }
        return recorded + received
    }

    private func isWithin(_ point: PastPoint, _ changeset: Changeset, _ received: Int64?) -> Bool {
        switch point {
        case .recorded(let limit): changeset.time.milliseconds <= limit
        case .received(let limit): (received ?? changeset.time.milliseconds) <= limit
        }
    }

    /// By row, what lives by the definition; a row without anything is absent.
    private func expected(at point: PastPoint) -> [Place: [CellKey: Set<LiveOp>]] {
        var rows: [Place: [CellKey: Set<LiveOp>]] = [:]
        let then = changesets.filter { isWithin(point, $0.changeset, $0.received) }
        for (changeset, _) in then {
            for change in changeset.rows {
                let place = Place(table: change.table, row: change.row)
                for operation in change.operations {
                    let isReplaced = then.contains { other in
                        other.changeset.rows.contains { row in
                            row.table == place.table && row.row == place.row
                                && row.operations.contains {
                                    $0.cell == operation.cell && $0.over.contains(changeset.dot)
                                }
                        }
                    }
                    guard !isReplaced else { continue }
                    rows[place, default: [:]][operation.cell, default: []].insert(
                        LiveOp(
                            dot: changeset.dot, time: changeset.time, action: operation.action))
                }
            }
        }
        return rows
    }

    private func cells(_ state: RowState) -> [CellKey: Set<LiveOp>] {
        Dictionary(
            uniqueKeysWithValues: state.cells.map { ($0.key, Set($0.cell.live)) })
    }

    func difference(at point: PastPoint) throws -> String? {
        var expected = expected(at: point)
        for table in Sample.tables {
            for (row, state) in try replica.states(of: table.id, at: point) {
                state.checkInvariants()
                let place = Place(table: table.id, row: row)
                guard expected.removeValue(forKey: place) == cells(state) else {
                    return "\(table.name) \(row) is \(state)"
                }
                let history = try replica.history(of: row, in: table.id)
                guard history.upTo(point).state == state else {
                    return "\(table.name) \(row) differs by its history"
                }
            }
        }
        return expected.isEmpty ? nil : "missing are \(expected.keys)"
    }

    /// The copy at a past point holds what the log makes of then, and nothing else.
    func differenceOfCopy(at point: PastPoint) throws -> String? {
        let vector = try replica.vector(at: point)
        let then = changesets.filter { isWithin(point, $0.changeset, $0.received) }
        guard then.allSatisfy({ vector.contains($0.changeset.dot) }),
            changesets.count(where: { vector.contains($0.changeset.dot) }) == then.count
        else { return "\(vector) is not of \(then.count) changes" }
        let copy = try replica.past(vector)
        defer { copy.close() }
        for table in Sample.tables {
            let states = try replica.states(of: table.id, at: point).filter {
                !$0.state.cells.isEmpty
            }
            for (row, state) in states {
                guard try copy.state(table.id, row) == state else {
                    return "\(table.name) \(row) differs in the copy"
                }
            }
            let shown = states.count { table.values(of: $0.state) != nil }
            guard try copy.query("SELECT count(*) FROM \(table.name)") == [[.integer(Int64(shown))]]
            else {
                return "the copy's \(table.name) has other rows"
            }
        }
        return nil
    }

    func differenceFromNow(at point: PastPoint) throws -> String? {
        for table in Sample.tables {
            let states = try replica.states(of: table.id, at: point)
            for (row, state) in states {
                let history = try replica.history(of: row, in: table.id)
                guard try replica.state(table.id, row) == state, history.state == state else {
                    return "\(table.name) \(row) is not what it is now"
                }
            }
            // SQLite keeps no NaN and no −0, which a measure may hold.
            guard table != Sample.measure else { continue }
            let names = table.sqlColumns.map(\.name).joined(separator: ", ")
            let rows = try replica.query("SELECT id, \(names) FROM \(table.name) ORDER BY id")
            let found = states.compactMap { row, state in
                table.values(of: state).map { [Value.blob(row.identifier.bytes)] + $0 }
            }
            guard found == rows else { return "\(table.name) holds \(rows), not \(found)" }
        }
        return nil
    }
}
