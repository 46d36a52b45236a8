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

/// Runs that nobody of the forum has signed as they are, or that their device may not write: nothing
/// becomes of them, whoever carries them.
extension World {
    private enum Forgery: CaseIterable {
        /// An honest run, with one bit changed.
        case altered
        /// Of a device without a certificate.
        case stranger
        /// Of a device that is let see the forum, and write nothing.
        case viewer
        /// Of a device that may write all, and signs what nobody can read.
        case poison
    }

    func forge(to laptop: Laptop, _ random: inout SplitMix64) throws -> String {
        let kind = random.pick(Forgery.allCases) ?? .altered
        let runs =
            switch kind {
            case .altered: try altered(&random)
            case .stranger: try forgers.runs(of: .stranger, at: hub, &random)
            case .viewer: try forgers.runs(of: .viewer, at: hub, &random)
            case .poison: try forgers.runs(of: .coordinator, at: hub, &random).map(spoilt)
            }
        guard !runs.isEmpty else { return "\(kind): nothing to forge" }
        count("fault: forged run")
        // By hand, and to the hub by a member that was given it.
        return "\(kind): "
            + (try random.chance(1, in: 2)
                ? laptop.attempt { try self.offer(runs, kind, to: $0) }
                : offer(runs, kind, to: hub, by: laptop))
    }

    private func altered(_ random: inout SplitMix64) throws -> [SealedRun] {
        let carrier = laptops[random.below(laptops.count)]
        var runs: [SealedRun] = []
        _ = try carrier.attempt { carrier in
            runs = try carrier.replica.sealedRuns(after: VersionVector())
            return ""
        }
        guard let run = random.pick(runs) else { return [] }
        // Its keys stay: a hash that is changed is put right where header and body are read, and the run is whole.
        var parts = [run.headerBytes, run.signature, run.body]
        let part = random.below(parts.count)
        guard !parts[part].isEmpty else { return [] }
        parts[part][random.below(parts[part].count)] ^= 1 << UInt8(random.below(8))
        let forged = try? SealedRun(
            headerBytes: parts[0], signature: parts[1], body: parts[2], keys: run.keys)
        return forged.map { [$0] } ?? []
    }

    /// Its body ends early; the device has signed it like that.
    private func spoilt(_ run: SealedRun) throws -> SealedRun {
        var header = run.header
        let body = Array(run.body.dropLast())
        header.bodyHash = Digest(sha256: body)
        return SealedRun(signing: header, body: body, key: try forgers.key(of: .coordinator))
    }

    private func offer(
        _ runs: [SealedRun], _ kind: Forgery, to laptop: Laptop
    ) throws -> String {
        // Taking runs takes in what another program wrote, too.
        try laptop.replica.takeForeignWrites()
        let before = try laptop.replica.stateHash()
        let results = try laptop.replica.ingest(runs)
        // Whether something happened to the disk meanwhile, its own process can't say.
        guard !laptop.disk.isDead else { return "offered" }
        for (run, result) in zip(runs, results) {
            switch result {
            case .refused: continue
            // Its header is that of a run that is held, and nobody looks at the rest.
            case .duplicate where try laptop.replica.run(RunStub(run)) != run: continue
            default:
                throw Violation("I9", "laptop \(laptop.number) took a forged run: \(result)")
            }
        }
        guard try laptop.replica.stateHash() == before else {
            throw Violation("I9", "laptop \(laptop.number) is changed by a forged run")
        }
        return "\(runs.count) offered to laptop \(laptop.number)"
    }

    private func offer(
        _ runs: [SealedRun], _ kind: Forgery, to hub: SimulatedHub, by laptop: Laptop
    ) throws -> String {
        var parts: [String: [SealedRun]] = [:]
        for run in runs { parts[run.header.origin?.scope ?? Forum.scope, default: []].append(run) }
        let request = SyncRequest(
            parts: parts.sorted { $0.key < $1.key }.map {
                ExchangeRequest(scope: $0.key, cursor: nil, ahead: [], runs: $0.value)
            }, pendingCount: 0, wallMilliseconds: laptop.clock.wallMilliseconds,
            schemaVersion: Forum.schema.version)
        guard let answer = try hub.answer(request.encode(), from: laptop.replica.publicKey),
            case .success(let bytes) = answer
        else { return "refused as a whole" }
        let rejections = try SyncReply(decoding: bytes).parts.flatMap { part in
            if case .answered(let reply) = part { reply.rejections } else { [] as [Rejection] }
        }
        let taken = runs.filter { run in
            !rejections.contains { $0.run == RunStub(run) }
        }
        for run in taken where try hub.store?.replica.run(RunStub(run)) == run {
            throw Violation("I9", "the hub took a forged run of \(run.header.stream)")
        }
        for run in runs where kind != .altered {
            guard let held = hub.store?.replica.versionVector()[run.header.stream], held > 0 else {
                continue
            }
            throw Violation("I9", "the hub holds \(held) changes of a forger")
        }
        return "\(runs.count) brought to the hub"
    }
}

/// Devices whose runs nobody takes.
final class Forgers {
    /// By what they were enrolled as, if they were.
    enum Kind: String, Hashable { case stranger, viewer, coordinator }

    private let directory: String
    private let clock: SimulatedClock
    /// One that never fails.
    private let disk: FaultyDisk
    private var replicas: [Kind: Replica] = [:]
    /// Whom the hub has let in.
    private var enrolled: Set<Kind> = []

    init(in directory: String, clock: SimulatedClock) throws {
        (self.directory, self.clock) = (directory, clock)
        disk = try FaultyDisk()
    }

    func close() { for replica in replicas.values { replica.close() } }

    /// All that it has signed, and one run more.
    func runs(
        of kind: Kind, at hub: SimulatedHub, _ random: inout SplitMix64
    ) throws -> [SealedRun] {
        let replica = try replicas[kind] ?? make(kind)
        replicas[kind] = replica
        guard try kind == .stranger || enrolled.contains(kind) || enrol(replica, as: kind, at: hub)
        else { return [] }
        // Its own program knows nothing of what it may not do.
        let code = "F\(random.below(1_000))"
        try replica.write { transaction in
            try transaction.upsert(Forum.site, key: [.text(code)], [])
        }
        try replica.seal()
        return try replica.sealedRuns(after: VersionVector())
    }

    func key(of kind: Kind) throws -> DeviceKey {
        guard let replica = replicas[kind] else { throw Violation("error", "no such forger") }
        return try replica.key()
    }

    private func make(_ kind: Kind) throws -> Replica {
        try Replica.create(
            at: "\(directory)/\(kind.rawValue)", name: kind.rawValue, schema: Forum.schema,
            environment: clock.environment(on: disk))
    }

    /// - Returns: whether the hub, whose disk may fail, has let it in.
    private func enrol(
        _ replica: Replica, as kind: Kind, at hub: SimulatedHub
    ) throws -> Bool {
        let key = try replica.key()
        let done: Void? = try hub.perform { store in
            let token = try store.createToken(
                scopes: [], role: kind.rawValue, lifetimeMilliseconds: 3_600_000,
                pin: Array(repeating: 0, count: 32))
            _ = try store.enrol(
                EnrolmentRequest(secret: token.secret, name: kind.rawValue, key: key))
        }
        guard done != nil else { return false }
        enrolled.insert(kind)
        return true
    }
}
