import Causality
import Foundation
import Merge
import RecordSchema
import ReplicaStore
import StoreTestSupport
import SyncProtocol
import Testing

/// A day at a laptop and a hub, on a disk that fails at each point in turn.
///
/// With `KARVAN_FAULT_POINTS=all` at every point, else at a part of them; with `few` at half of that part.
@Suite struct FaultPoints {
    @Test(arguments: Day.Victim.allCases, DiskFault.allCases)
    func `nothing acknowledged is lost`(_ victim: Day.Victim, _ fault: DiskFault) throws {
        let start = ContinuousClock.now
        let extent = ProcessInfo.processInfo.environment["KARVAN_FAULT_POINTS"]
        let (_, count) = try Day.run(victim, fault, at: 0)
        #expect(count > 100)
        // Primes, so that each part of the day has its turn; a failed sync matters at few points.
        let strides = extent == "few" ? [29, 37, 41, 47, 11] : [13, 17, 19, 23, 5]
        let stride = extent == "all" ? 1 : strides[Int(fault.rawValue) - 1]
        var fired = 0
        for point in Swift.stride(from: 1, through: count, by: stride) {
            do {
                let (hasFired, _) = try Day.run(victim, fault, at: point)
                fired += hasFired ? 1 : 0
            } catch {
                Issue.record("\(victim), \(fault) at point \(point) of \(count): \(error)")
            }
        }
        #expect(fired > 0)
        // In the form that `tools/torture` reads.
        print(
            "write points of \(victim.rawValue) - \(fault): struck \(fired), points \(count), "
                + "\((ContinuousClock.now - start).components.seconds) s")
    }
}

/// Steps whose effects can be looked for afterwards, and that can be done again.
final class Day {
    /// Whose disk fails.
    enum Victim: String, CaseIterable, CustomStringConvertible {
        case laptop, hub

        var description: String { self == .laptop ? "a laptop's disk" : "a hub's disk" }
    }

    private struct Problem: Error, CustomStringConvertible {
        var description: String
    }

    private let bench: Bench
    private let victim: Victim
    private let disk: FaultyDisk
    private var laptop: Replica?
    private var hub: Replica?
    /// What was acknowledged: a question in SQL, and its answer.
    private var acknowledged: [(sql: String, answer: Value)] = []
    /// The laptop's changesets that were acknowledged.
    private var written: [Changeset?] = []
    private var isLaptopMade = false
    private var isHubMade = false
    /// What the hub said that it holds.
    private var held = VersionVector()

    private init(_ victim: Victim, _ disk: FaultyDisk) throws {
        bench = try Bench(isVolatile: true)
        self.victim = victim
        self.disk = disk
    }

    /// - Parameter point: 0 for none.
    /// - Returns: whether the fault happened, and how many points there were.
    static func run(
        _ victim: Victim, _ fault: DiskFault, at point: Int64
    ) throws -> (hasFired: Bool, points: Int64) {
        let disk = try FaultyDisk()
        disk.arm(fault, at: point, seed: UInt64(point))
        let day = try Day(victim, disk)
        defer { day.close() }
        for (number, step) in day.steps.enumerated() {
            do {
                try step()
            } catch {
                guard disk.hasFired else { throw Problem(description: "step \(number): \(error)") }
                try day.survive(fault, error)
                do {
                    try step()
                } catch {
                    throw Problem(description: "step \(number), again: \(error)")
                }
            }
        }
        let result = (disk.hasFired, disk.points)
        day.close()
        try disk.restart()
        try day.open()
        try day.finish()
        return result
    }

    private func survive(_ fault: DiskFault, _ error: any Error) throws {
        switch fault {
        case .kill, .lose, .tear:
            close()
            try disk.restart()
            try open()
            try check()
        case .full:
            guard case .full? = error as? StoreError else {
                throw Problem(description: "a full disk is told as: \(error)")
            }
            disk.makeRoom()
            try check()
        case .sync:
            guard case .disk? = error as? StoreError else {
                throw Problem(description: "a failed sync is told as: \(error)")
            }
            // A command ends with the error, and the next one knows nothing of it; a server goes on.
            if disk.points.isMultiple(of: 2) { try reopen() }
            try check()
        }
    }

    // MARK: Files

    private func environment(_ owner: Victim) -> Environment {
        var environment = bench.environment
        if owner == victim { environment.fileSystem = disk.name }
        // Small, so that the day has many checkpoints.
        environment.checkpointFrames = 16
        return environment
    }

    private func close() {
        laptop?.close()
        hub?.close()
        (laptop, hub) = (nil, nil)
    }

    /// Whoever was told that it is made finds it; of another there may be a beginning.
    private func open() throws {
        if isLaptopMade {
            laptop = try Replica.open(
                at: bench.path("laptop"), schema: Sample.schema, environment: environment(.laptop))
        } else {
            bench.remove("laptop")
        }
        if isHubMade {
            hub = try Replica.open(
                at: bench.path("hub"), schema: Sample.schema, environment: environment(.hub))
        } else {
            bench.remove("hub")
        }
    }

    private func opened(_ replica: Replica?) throws -> Replica {
        guard let replica else { throw Problem(description: "it is not open") }
        return replica
    }

    // MARK: Steps

    private typealias Step = () throws -> Void

    private var steps: [Step] {
        func people(_ numbers: ClosedRange<Int>) -> [Step] {
            numbers.map { number in { [self] in try person(number) } }
        }
        let notes: [Step] = (1...3).map { number in { [self] in try note(number) } }
        var steps: [Step] = [makeHub, makeLaptop]
        steps += people(1...4)
        steps += [colleague(1), sync]
        steps += notes
        steps += [edit, reopen, sync, colleague(2), clash, sync, many, settle, sync, delete]
        steps += people(5...8)
        steps += [reopen, sync]
        for round in Int64(3)...9 { steps += [colleague(round), clash, sync, settle, sync] }
        return steps
    }

    private func makeHub() throws {
        hub = try Replica.create(
            at: bench.path("hub"), name: "hub", schema: Sample.schema,
            environment: environment(.hub), keepsFeed: true)
        isHubMade = true
    }

    private func makeLaptop() throws {
        laptop = try Replica.create(
            at: bench.path("laptop"), name: "laptop", schema: Sample.schema,
            environment: environment(.laptop))
        isLaptopMade = true
    }

    private func reopen() throws {
        close()
        try open()
    }

    private func write(_ body: (WriteTransaction) throws -> Void) throws {
        let laptop = try opened(laptop)
        let receipt = try laptop.write(author: "Ay") { try body($0) }.receipt
        written += try receipt.dots.map { try laptop.changeset($0) }
    }

    private func acknowledge(_ sql: String, _ answer: Value) { acknowledged.append((sql, answer)) }

    private func person(_ number: Int) throws {
        try write {
            _ = try $0.upsert(
                Sample.person, key: [.text("P\(number)")],
                [(Sample.column("name"), .text("name \(number)"))])
        }
        acknowledge(
            "SELECT name FROM person WHERE badge = 'P\(number)'", .text("name \(number)"))
    }

    private func note(_ number: Int) throws {
        let text = "note \(number) " + String(repeating: "x", count: 3_000)
        try write {
            let id = try $0.insert(
                into: Sample.note, [.text(text), .integer(Int64(number)), nil, nil, nil])
            try $0.add(Sample.note, id, Sample.column("tags"), [.text("t\(number)")])
        }
        acknowledge("SELECT title FROM note WHERE count = \(number) LIMIT 1", .text(text))
    }

    private func edit() throws {
        try write { transaction in
            let id = Sample.schema.rowID(in: Sample.person, key: [.text("P1")])
            try transaction.set(Sample.person, id, [(Sample.column("born"), .integer(7))])
        }
        acknowledge("SELECT born FROM person WHERE badge = 'P1'", .integer(7))
    }

    /// Another laptop, whose disk is sound, writes to the same person that this one edits.
    private func colleague(_ round: Int64) -> () throws -> Void {
        { [self] in
            let hub = try opened(hub)
            let name = "colleague \(round) \(UUID().uuidString)"
            let other = try bench.create(name)
            defer { other.close() }
            try carry(from: hub, to: other)
            let id = Sample.schema.rowID(in: Sample.person, key: [.text("X")])
            try other.write { transaction in
                _ = try transaction.upsert(Sample.person, key: [.text("X")], [])
                try transaction.set(
                    Sample.person, id, [(Sample.column("name"), .text("round \(round)"))])
            }
            try carry(from: other, to: hub)
        }
    }

    /// An edit of what a colleague edits meanwhile, in a cell of its own.
    private func clash() throws {
        try write { transaction in
            let id = Sample.schema.rowID(in: Sample.person, key: [.text("X")])
            try transaction.set(Sample.person, id, [(Sample.column("name"), .text("here"))])
        }
    }

    /// One transaction of many pages: more than its log has in memory.
    private func many() throws {
        try write { transaction in
            for number in 0..<240 {
                _ = try transaction.insert(
                    into: Sample.measure,
                    [
                        .real(Double(number)), .blob(Array(repeating: 7, count: 600)), nil, nil,
                    ])
            }
        }
        acknowledge("SELECT count(*) >= 240 FROM measure", .integer(1))
        acknowledge("SELECT count(*) % 240 FROM measure", .integer(0))
    }

    /// Decides whatever is open.
    private func settle() throws {
        let laptop = try opened(laptop)
        for conflict in try laptop.openConflicts() {
            try laptop.write(author: "Ay") { transaction in
                _ = try transaction.set(
                    Sample.person, conflict.row, [(Sample.column("name"), .text("settled"))],
                    basis: try laptop.state(conflict.table, conflict.row)[
                        CellKey(conflict.column)
                    ].live.map(\.dot))
            }
        }
    }

    private func delete() throws {
        // Whether it was done is not certain until it is acknowledged.
        acknowledged.removeAll { $0.sql.contains("'P4'") }
        try write {
            _ = try $0.delete(
                Sample.person, Sample.schema.rowID(in: Sample.person, key: [.text("P4")]))
        }
        acknowledge("SELECT count(*) FROM person WHERE badge = 'P4'", .integer(0))
    }

    private func sync() throws {
        let (laptop, hub) = (try opened(laptop), try opened(hub))
        while true {
            let batch = try laptop.outgoingBatch()
            var heads: [RunStub] = []
            for (run, result) in zip(batch.runs, try hub.ingest(batch.runs)) {
                if case .refused(let refusal) = result { throw refusal }
                heads.append(hub.sealedHeads(of: run.header.stream)[0])
            }
            let feed = try hub.feedEntries(after: batch.cursor, ahead: batch.ahead)
            // What it answers is what it holds from now on.
            held = hub.versionVector()
            let reply = ExchangeReply(
                heads: heads, rejections: [], entries: feed.entries, cursor: feed.cursor,
                hasMore: feed.hasMore, hubMilliseconds: 1_764_000_000_000)
            _ = try laptop.apply(reply, from: batch.cursor)
            if batch.remainingCount == 0, !feed.hasMore { break }
        }
    }

    // MARK: Checks

    private func check() throws {
        if let laptop {
            for case let changeset? in written {
                guard try laptop.changeset(changeset.dot) == changeset else {
                    throw Problem(description: "changeset \(changeset.dot) is not what it was")
                }
            }
            for (sql, answer) in acknowledged {
                let found = try laptop.query(sql)
                guard found == [[answer]] else {
                    throw Problem(description: "\(sql) gives \(found)".prefix(300).description)
                }
            }
        }
        for replica in [laptop, hub].compactMap({ $0 }) {
            let problems = try replica.verify().problems
            guard problems.isEmpty else {
                throw Problem(description: "\(replica.path): \(problems)")
            }
        }
        if let hub {
            let vector = hub.versionVector()
            for (stream, seq) in held.entries where vector[stream] < seq {
                throw Problem(description: "the hub lost \(stream) after \(vector[stream])")
            }
        }
    }

    private func finish() throws {
        try check()
        try sync()
        try sync()
        try check()
        guard try opened(laptop).stateHash() == opened(hub).stateHash() else {
            throw Problem(description: "laptop and hub differ")
        }
    }
}
