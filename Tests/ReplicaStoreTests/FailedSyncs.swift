import Causality
import Foundation
import Merge
import ReplicaStore
import StoreTestSupport
import SyncProtocol
import Testing

/// What was in a log whose sync had failed, or had not come yet, when the power went. The simulator
/// found the orders of things; here each is played by itself.
@Suite struct FailedSyncs {
    private let bench: Bench
    private let disk: FaultyDisk

    init() throws {
        (bench, disk) = (try Bench(isVolatile: true), try FaultyDisk())
    }

    private var environment: Environment {
        var environment = bench.environment
        environment.fileSystem = disk.name
        return environment
    }

    private func laptop() throws -> Replica {
        try Replica.create(
            at: bench.path("laptop"), name: "laptop", schema: Sample.schema,
            environment: environment)
    }

    private func open() throws -> Replica {
        try Replica.open(
            at: bench.path("laptop"), schema: Sample.schema, environment: environment)
    }

    @discardableResult
    private func write(_ title: String, to replica: Replica) throws -> Dot {
        try #require(
            try replica.write { transaction in
                _ = try transaction.insert(
                    into: Sample.note, [.text(title), nil, nil, nil, nil])
            }.receipt.dots.first)
    }

    /// A laptop whose seal has failed on its way to the disk, opened anew: the run lies in its log.
    private func laptopWithFailedSeal() throws -> (replica: Replica, dot: Dot) {
        let replica = try laptop()
        let dot = try write("recorded", to: replica)
        disk.arm(.sync, at: 1, seed: 1)
        #expect(throws: StoreError.self) { try replica.seal() }
        #expect(disk.hasFired)
        replica.close()
        return (try open(), dot)
    }

    /// Closes it, lets the power go, and looks for what had left it.
    private func expect(_ runs: [SealedRun], _ dot: Dot, after replica: Replica) throws {
        #expect(!runs.isEmpty)
        replica.close()
        try disk.restart()
        let again = try open()
        defer { again.close() }
        #expect(try again.changeset(dot) != nil)
        for run in runs { #expect(try again.run(RunStub(run)) == run) }
    }

    /// Seed 201792: the replica finds the run in its log, seals nothing, and so wrote nothing either,
    /// before the run left.
    @Test func `a run of a failed seal is on the disk before it goes to a hub`() throws {
        let (replica, dot) = try laptopWithFailedSeal()
        try expect(try replica.outgoingBatch().runs, dot, after: replica)
    }

    @Test func `a run of a failed seal is on the disk before a meeting`() throws {
        let (replica, dot) = try laptopWithFailedSeal()
        try replica.seal()
        try expect(try replica.sealedRuns(after: VersionVector()), dot, after: replica)
    }

    /// Seed 300114: what a sync had taken in was left for the disk to keep later; it went with another
    /// program's failed sync, and what was acknowledged behind it as well.
    @Test func `what a sync has received is on the disk when it ends`() throws {
        let hub = try bench.create("hub", keepsFeed: true)
        defer { hub.close() }
        for number in 1...20 {
            try write("by others \(number)", to: hub)
            if number.isMultiple(of: 5) { try hub.seal() }
        }
        var replica = try laptop()
        try exchange(replica, hub)
        let state = try replica.stateHash()
        #expect(state == (try hub.stateHash()))
        disk.arm(.lose, at: 1, seed: 1)
        // The power goes before this is on the disk.
        #expect(throws: StoreError.self) { try write("never", to: replica) }
        replica.close()
        try disk.restart()
        replica = try open()
        defer { replica.close() }
        #expect(try replica.stateHash() == state)
        #expect(try replica.cursor() != nil)
    }
}
