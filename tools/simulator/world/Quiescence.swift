import Causality
import FieldRecords
import Foundation
import Hub
import Merge
import RecordSchema
import ReplicaStore
import StoreTestSupport
import SyncProtocol
import TestSupport

/// What must hold when everything has arrived everywhere.
struct Quiescence {
    private let world: World

    /// So many of the laptops are looked at in full.
    private static let sampleCount = 6

    init(_ world: World) { self.world = world }

    func check() throws {
        guard let store = world.hub.store else { throw Violation("error", "the hub is not open") }
        let hub = store.replica
        try checkLog(hub, "the hub")
        let oracle = try StateOracle(hub, tables: Forum.schema.tables)
        try checkState(hub, oracle, "the hub")
        let hash = try hub.stateHash()
        try world.checkAside(hub, "the hub")
        try world.checkAdmitted()
        try checkCount(hub)
        // Copies of others come last.
        for laptop in world.members.reversed().prefix(Self.sampleCount) {
            let name = "laptop \(laptop.number)"
            let expected = try laptop.scopes.map { try hub.stateHash(in: $0) } ?? hash
            guard try laptop.replica.stateHash() == expected else {
                throw Violation("I1", "\(name) has another state than the hub")
            }
            try checkLog(laptop.replica, name, of: laptop.scopes)
            let own =
                laptop.scopes == nil
                ? oracle : try StateOracle(laptop.replica, tables: Forum.schema.tables)
            try checkState(laptop.replica, own, name)
            try laptop.check()
            try world.checkAside(laptop.replica, name)
        }
        try checkRepetition(hub)
        try checkErased(hub)
    }

    /// I11: of people who were erased nothing is found in any file.
    private func checkErased(_ hub: Replica) throws {
        let people = try hub.erasedPeople()
        guard !people.isEmpty else { return }
        let names = people.flatMap { world.ledger.names[$0] ?? [] }
        let laptops = world.members.reversed().prefix(Self.sampleCount)
        let replicas =
            [("the hub", hub)] + laptops.map { ("laptop \($0.number)", $0.replica) }
        for (name, replica) in replicas {
            guard try replica.emptyFreePages() else {
                throw Violation("I11", "\(name) can't empty its free pages")
            }
            guard try replica.erasedPeople() == people, try replica.missingKeyCount() == 0 else {
                throw Violation("I11", "\(name) reads others than the hub")
            }
            let files = ["", "-wal"].compactMap {
                FileManager.default.contents(atPath: replica.path + $0)
            }
            for text in names where files.contains(where: { Self.holds($0, text) }) {
                throw Violation("I11", "\(name) still has \(text)")
            }
        }
    }

    private static func holds(_ file: Data, _ text: String) -> Bool {
        let name = Array(text.utf8)
        return file.withUnsafeBytes { bytes in
            guard var rest = bytes.baseAddress else { return false }
            let end = rest + bytes.count
            while let found = memchr(rest, Int32(name[0]), rest.distance(to: end)) {
                rest = UnsafeRawPointer(found)
                guard rest.distance(to: end) >= name.count else { return false }
                if memcmp(rest, name, name.count) == 0 { return true }
                rest += 1
            }
            return false
        }
    }

    /// I2, I8: what was acknowledged is there, and says what it said.
    ///
    /// - Parameter scopes: what it may read; `nil` for all.
    private func checkLog(
        _ replica: Replica, _ name: String, of scopes: Set<String>? = nil
    ) throws {
        let isOfIt = { [hub = world.hub.store?.replica] (stream: StreamID) in
            guard let scopes, let scope = hub?.scope(of: stream) else { return true }
            return scopes.contains(scope)
        }
        var held: Set<Dot> = []
        let copied = world.ledger.copied
        var deeds: [DeviceID: [Essence: Int]] = [:]
        try replica.forEachChangeset { changeset, _ in
            if let device = replica.device(of: changeset.dot.stream), copied.contains(device) {
                deeds[device, default: [:]][Essence(changeset), default: 0] += 1
                return
            }
            held.insert(changeset.dot)
            try world.ledger.learn(changeset)
        }
        for (dot, changeset) in world.ledger.acknowledged where isOfIt(dot.stream) {
            // What a lost laptop recorded is told by the states being the same.
            guard held.contains(dot) || world.isOfRevoked(dot.stream) else {
                throw Violation("I2", "\(name) lacks \(dot)")
            }
            if let changeset, let found = world.ledger.allContents[dot],
                !world.ledger.isSame(changeset, found)
            {
                throw Violation("I2", "\(dot) says something else at \(name)")
            }
        }
        let expected = world.ledger.allContents.keys.filter {
            isOfIt($0.stream) && (held.contains($0) || !world.isOfRevoked($0.stream))
        }.count
        guard held.count == expected else {
            throw Violation("I1", "\(name) holds \(held.count) of \(expected) changes")
        }
        for device in copied.sorted() where !world.isRevoked(device) {
            // Of another delegation's nothing is said here.
            guard scopes == nil else { continue }
            try world.ledger.checkDeeds(of: device, held: deeds[device] ?? [:], name)
        }
    }

    /// I6, I14 and the tables; and what the file says of itself.
    private func checkState(_ replica: Replica, _ oracle: StateOracle, _ name: String) throws {
        if let difference = try oracle.difference(from: replica) {
            throw Violation("I6", "\(name): \(difference)")
        }
        let verification = try replica.verify()
        guard verification.problems.isEmpty else {
            throw Violation("I1", "\(name) is not whole: \(verification.problems)")
        }
    }

    /// What people have counted comes to the same, whatever files they counted in.
    private func checkCount(_ hub: Replica) throws {
        guard world.ledger.isCountKnown else { return }
        let sum = try hub.query("SELECT coalesce(sum(count), 0) FROM tally").first?.first
        guard sum == .integer(world.ledger.counted) else {
            throw Violation(
                "I2", "\(world.ledger.counted) were counted, and the hub shows \(sum as Any)")
        }
    }

    /// I4: what comes again, in whatever order, changes nothing.
    private func checkRepetition(_ hub: Replica) throws {
        guard let laptop = world.members.first(where: { $0.guestOf == nil }) else { return }
        var runs = try hub.sealedRuns(after: VersionVector())
        var random = SplitMix64(seed: world.scenario.seed)
        let hash = try laptop.replica.stateHash()
        for _ in 0..<2 {
            for result in try laptop.replica.ingest(runs) {
                guard case .duplicate = result else {
                    throw Violation("I4", "a run that came again was not known: \(result)")
                }
            }
            runs.shuffle(using: &random)
        }
        guard try laptop.replica.stateHash() == hash else {
            throw Violation("I4", "runs that came again changed the state")
        }
    }
}
