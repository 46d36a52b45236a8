import AntiEntropy
import Causality
import FieldRecords
package import Foundation
import Hub
import RecordSchema
import ReplicaStore
import ReplicaSync
import StoreTestSupport
import SyncProtocol
import TestSupport

/// One simulated forum: laptops, a hub, couriers and what goes wrong, on one thread under virtual
/// time.
package final class World {
    let scenario: Scenario
    let time = VirtualTime()
    let ledger = Ledger()
    let hub: SimulatedHub
    /// Those that are copies of others come last.
    var laptops: [Laptop]
    private let hubClock: SimulatedClock
    private let directory: URL
    let forgers: Forgers
    /// What couriers carry.
    private var bags: [[SealedRun]] = []
    var lateRequests: [(bytes: [UInt8], publicKey: [UInt8])] = []
    /// The numbers of laptops that were lost.
    var revoked: Set<Int> = []
    /// What the operator was told counts after all.
    var admitted: [RunStub] = []
    /// How often each deed and fault has happened.
    private(set) var counts: [String: Int] = [:]
    private var trace = DigestTrace()
    private let observe: ((String) -> Void)?

    private init(
        _ scenario: Scenario, in folder: URL, observe: ((String) -> Void)?
    ) throws {
        self.scenario = scenario
        self.observe = observe
        let directory = folder.appending(path: "forum-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
        self.directory = directory
        var random = SplitMix64(seed: scenario.seed)
        hubClock = SimulatedClock(time, seed: random.next())
        hub = try SimulatedHub(path: directory.appending(path: "hub").path, clock: hubClock)
        forgers = try Forgers(
            in: directory.path, clock: SimulatedClock(time, seed: random.next()))
        var laptops: [Laptop] = []
        for number in 0..<scenario.laptopCount {
            let clock = SimulatedClock(time, seed: random.next())
            let laptop = try Laptop(
                number, path: Self.path(ofLaptop: number, in: directory), clock: clock,
                ledger: ledger)
            laptop.guestOf = Self.guestOf(number, in: scenario)
            try laptop.enrol(at: hub)
            laptops.append(laptop)
        }
        self.laptops = laptops
    }

    /// One in three laptops is one delegation's, besides the first two.
    private static func guestOf(_ number: Int, in scenario: Scenario) -> String? {
        var random = SplitMix64(seed: scenario.seed ^ UInt64(number) << 32)
        guard number > 1, random.chance(1, in: 3) else { return nil }
        return random.chance(2, in: 3) ? "delegation/KZ" : "delegation/UZ"
    }

    private static func path(ofLaptop number: Int, in directory: URL) -> String {
        directory.appending(path: "laptop-\(number)").path
    }

    func path(ofLaptop number: Int) -> String { Self.path(ofLaptop: number, in: directory) }

    deinit {
        hub.close()
        forgers.close()
        for laptop in laptops { laptop.close() }
        try? FileManager.default.removeItem(at: directory)
    }

    // MARK: Running

    /// Plays a scenario to its end, and looks whether all promises were kept.
    ///
    /// - Parameters:
    ///   - folder: where the files may lie while it plays: in memory, if it is to be quick.
    ///   - exports: where to put what some replicas export at the end, for the oracle.
    ///   - observe: gets the trace, line by line.
    package static func play(
        _ scenario: Scenario, in folder: URL, exportingTo exports: URL? = nil,
        observe: ((String) -> Void)? = nil
    ) -> Report {
        var report = Report(scenario: scenario)
        do {
            let world = try World(scenario, in: folder, observe: observe)
            do {
                try world.play()
                if let exports { try world.export(to: exports) }
            } catch {
                report.violation =
                    error as? Violation ?? Violation("error", "\(error)")
                world.note("violation: \(error)")
            }
            report.counts = world.counts
            report.acknowledgedCount = world.ledger.acknowledged.count
            report.traceHash = world.trace.hash
        } catch {
            report.violation = error as? Violation ?? Violation("error", "\(error)")
        }
        return report
    }

    private func play() throws {
        for (index, step) in scenario.steps.enumerated() {
            var random = SplitMix64(seed: step.draw)
            time.advance(by: Int64(1 + random.below(random.chance(1, in: 10) ? 600_000 : 2_000)))
            let laptop = laptop(for: step)
            let result = try take(step, laptop, &random)
            note("\(index) \(step.deed.rawValue) \(laptop.number): \(result)")
            // A damaged cursor makes a laptop begin anew, and a lost one gets nothing to go on with.
            if laptop.isSessionNoisy, revoked.contains(laptop.number) { laptop.cursors = [:] }
            try laptop.check()
        }
        try heal()
        try converge()
        try Quiescence(self).check()
    }

    /// A laptop, or one of its copies.
    private func laptop(for step: Step) -> Laptop {
        guard laptops.count > scenario.laptopCount else { return laptops[step.laptop] }
        var random = SplitMix64(seed: ~step.draw)
        let those = laptops.filter { $0.original == step.laptop }
        return those[random.below(those.count)]
    }

    /// What the hub and the first laptops export, and what authors were shown.
    private func export(to folder: URL) throws {
        guard let store = hub.store else { throw Violation("error", "the hub is not open") }
        let replicas =
            [store.replica] + members.filter { $0.guestOf == nil }.prefix(2).map(\.replica)
        for (number, replica) in replicas.enumerated() {
            var text = ""
            try replica.export { text += $0 + "\n" }
            try Data(text.utf8).write(to: folder.appending(path: "export-\(number).jsonl"))
        }
        let views = ledger.viewLines(in: store.replica.versionVector())
            .map { $0 + "\n" }.joined()
        try Data(views.utf8).write(to: folder.appending(path: "views.jsonl"))
    }

    private func note(_ line: String) {
        trace.add(line)
        observe?(line)
    }

    func count(_ name: String) { counts[name, default: 0] += 1 }

    private func take(
        _ step: Step, _ laptop: Laptop, _ random: inout SplitMix64
    ) throws -> String {
        let deed = step.deed
        if !deed.isFault { count(deed.rawValue) }
        switch deed {
        case .sync: return try laptop.attempt { try session($0) }
        case .advance: return try laptop.attempt { try advance($0) }
        case .reopen: return try laptop.attempt { try reopen($0) }
        case .meet:
            let other = laptops[random.below(laptops.count)]
            return try meet(laptop, other)
        case .pack:
            return try laptop.attempt { laptop in
                try laptop.replica.seal()
                self.bags.append(try laptop.replica.sealedRuns(after: VersionVector()))
                return "took \(self.bags.last?.count ?? 0) runs along"
            }
        case .deliver: return try deliver(to: laptop, &random)
        case .disk: return arm(laptop.disk, &random)
        case .hubDisk: return arm(hub.disk, &random)
        case .network:
            laptop.networkFault = random.pick(NetworkFault.losses)
            return laptop.networkFault?.rawValue ?? ""
        case .noise:
            laptop.networkFault = random.pick(NetworkFault.noises)
            laptop.noise = SplitMix64(seed: random.next())
            return laptop.networkFault?.rawValue ?? ""
        case .lie:
            laptop.networkFault = .hubLies
            laptop.lie = random.pick(HubLie.allCases)
            laptop.noise = SplitMix64(seed: random.next())
            return laptop.lie?.rawValue ?? ""
        case .forge: return try forge(to: laptop, &random)
        case .clock: return set(laptop.clock, &random)
        case .kill: return try cutPower(laptop, &random)
        case .revoke: return try revoke(laptop, &random)
        case .admit: return try admit(&random)
        case .hubRestore: return try restoreHub(&random)
        case .fileCopy: return try copy(laptop, wholeDisk: false, &random)
        case .diskCopy: return try copy(laptop, wholeDisk: true, &random)
        case .putBack: return try putBack(laptop, &random)
        case .erase:
            let result = try laptop.attempt { laptop in
                var random = random
                return try laptop.record(.erase, &random)
            }
            if result.hasPrefix("wrote") { count("fault: person erased") }
            return result
        case .hubKill:
            count("fault: hub ends")
            try hub.crash()
            return "the hub starts again"
        default:
            let fired = laptop.disk.fault
            let result = try laptop.attempt { laptop in
                var random = random
                return try laptop.record(deed, &random)
            }
            if let fired, laptop.disk.fault == nil || laptop.disk.hasFired {
                count("fault: \(fired)")
            }
            return result
        }
    }

    private func reopen(_ laptop: Laptop) throws -> String {
        try laptop.reopen()
        return "opened again"
    }

    // MARK: What goes wrong

    private func arm(_ disk: FaultyDisk, _ random: inout SplitMix64) -> String {
        let fault = random.pick(DiskFault.allCases) ?? .kill
        let point = Int64(1 + random.below(random.chance(1, in: 3) ? 8 : 120))
        disk.arm(fault, at: point, seed: random.next())
        return "\(fault) at point \(point)"
    }

    private func set(_ clock: SimulatedClock, _ random: inout SplitMix64) -> String {
        let year: Int64 = 365 * 86_400_000
        switch random.below(6) {
        case 0:
            clock.freeze()
            count("fault: clock stands still")
            return "stands still"
        case 1:
            clock.set(offset: 0)
            return "is right"
        case let kind:
            let limit = [2: 10 * year, 3: 10 * year, 4: 86_400_000, 5: 900_000][kind] ?? year
            let offset = Int64(random.next() % UInt64(2 * limit)) - limit
            clock.set(offset: offset)
            count(offset > 0 ? "fault: clock ahead" : "fault: clock behind")
            return "is \(offset / 1_000) s off"
        }
    }

    /// While something is written, or just before.
    private func cutPower(_ laptop: Laptop, _ random: inout SplitMix64) throws -> String {
        let fault: DiskFault = random.pick([.kill, .lose, .tear]) ?? .lose
        laptop.disk.arm(fault, at: Int64(1 + random.below(12)), seed: random.next())
        let result = try laptop.attempt { laptop in
            var random = random
            return try laptop.record(.person, &random)
        }
        count("fault: \(fault)")
        return result
    }

    // MARK: By hand

    private func meet(_ from: Laptop, _ to: Laptop) throws -> String {
        var runs: [SealedRun] = []
        let result = try from.attempt { laptop in
            try laptop.replica.seal()
            runs = try laptop.replica.sealedRuns(
                beyond: to.replica.sealedHeads(), in: to.scopes)
            return "gives \(runs.count) runs"
        }
        return try result + "; "
            + to.attempt { laptop in try self.ingest(runs, at: laptop) }
    }

    private func ingest(_ runs: [SealedRun], at laptop: Laptop) throws -> String {
        var words: [String: Int] = [:]
        for (run, result) in zip(runs, try laptop.replica.ingest(runs)) {
            switch result {
            case .applied: words["applied", default: 0] += 1
            case .duplicate: words["known", default: 0] += 1
            case .setAside(let refusal):
                guard isOfRevoked(run.header.stream) else {
                    throw Violation(
                        "I4", "laptop \(laptop.number) put an honest run aside: \(refusal)")
                }
                words["put aside", default: 0] += 1
            case .refused(let refusal):
                guard refusal.code == .gap else {
                    throw Violation(
                        "I4", "laptop \(laptop.number) refused an honest run: \(refusal)")
                }
                words["too early", default: 0] += 1
            }
        }
        return words.sorted { $0.key < $1.key }.map { "\($0.value) \($0.key)" }
            .joined(separator: ", ")
    }

    /// In any order, and some twice.
    private func deliver(to laptop: Laptop, _ random: inout SplitMix64) throws -> String {
        guard !bags.isEmpty else { return "no courier" }
        var runs = try bags[random.below(bags.count)].filter { run in
            guard let scopes = laptop.scopes else { return true }
            // Where nobody can say whose it is, a courier can't either.
            return try scope(of: run).map(scopes.contains) ?? false
        }
        if random.chance(1, in: 2) { runs.shuffle(using: &random) }
        if let again = random.pick(runs) { runs.append(again) }
        let carried = runs
        return try laptop.attempt { try self.ingest(carried, at: $0) }
    }

    /// The scope of a run, by whoever knows its stream.
    func scope(of run: SealedRun) throws -> String? {
        if let scope = run.header.origin?.scope { return scope }
        let all = [hub.store?.replica].compactMap { $0 } + laptops.map(\.replica)
        return try all.lazy.compactMap { try $0.scope(of: run) }.first
    }

    // MARK: The end

    /// All that is wrong with machines and networks is mended; wrong clocks stay wrong.
    private func heal() throws {
        note("everything works again")
        for laptop in laptops {
            laptop.networkFault = nil
            laptop.disk.arm(.kill, at: 0, seed: 0)
            try laptop.reopen()
        }
        hub.disk.arm(.kill, at: 0, seed: 0)
        hub.close()
        try hub.open()
    }

    /// Rounds in which each laptop syncs once. What one round brings to the hub the next takes to all.
    static let roundLimit = 3

    /// I13: everything arrives everywhere, and nothing waits.
    private func converge() throws {
        for round in 1...Self.roundLimit {
            for laptop in members {
                let result = try session(laptop)
                guard result == "completed" else {
                    throw Violation("I13", "laptop \(laptop.number) ends its sync with \(result)")
                }
            }
            if try isQuiet() { return note("quiet after round \(round)") }
            try adopt()
        }
        throw Violation("I13", "not quiet after \(Self.roundLimit) rounds: \(try waiting())")
    }

    /// What waits for a file that is gone for good, somebody adopts.
    private func adopt() throws {
        for laptop in members where ledger.copied.contains(laptop.replica.device) {
            let count = try laptop.replica.adoptLeft()
            if count > 0 { note("laptop \(laptop.number) adopts \(count)") }
        }
    }

    private func isQuiet() throws -> Bool { try waiting().isEmpty }

    private func waiting() throws -> [String] {
        guard let store = hub.store else { throw Violation("error", "the hub is not open") }
        let hash = try store.replica.stateHash()
        return try members.compactMap { laptop in
            let hash = try laptop.scopes.map { try store.replica.stateHash(in: $0) } ?? hash
            let heads = store.replica.sealedHeads().filter { head in
                laptop.scopes?.contains(store.replica.scope(of: head.stream) ?? "") ?? true
            }
            let pending = try laptop.replica.pending().count
            // A run may say nothing that another one doesn't.
            let isSame =
                try laptop.replica.stateHash() == hash
                && Set(laptop.replica.sealedHeads()) == Set(heads)
            guard pending > 0 || !isSame else { return nil }
            return "laptop \(laptop.number): \(pending) wait, the same: \(isSame)"
                + Self.difference(laptop.replica.versionVector(), store.replica.versionVector())
        }
    }

    private static func difference(_ ours: VersionVector, _ hubs: VersionVector) -> String {
        var streams = Set(ours.entries.map(\.stream))
        streams.formUnion(hubs.entries.map(\.stream))
        return streams.sorted().filter { ours[$0] != hubs[$0] }
            .map { ", \($0.description.prefix(6)):\(ours[$0]) while the hub has \(hubs[$0])" }
            .joined()
    }
}

/// What came of a scenario.
package struct Report: Sendable {
    package var scenario: Scenario
    package var violation: Violation?
    package var counts: [String: Int] = [:]
    package var acknowledgedCount = 0
    package var traceHash = ""
}

/// The hash over a trace, so that two runs can be compared.
struct DigestTrace {
    private var bytes: [UInt8] = []

    mutating func add(_ line: String) { bytes += Array(line.utf8) + [0x0a] }

    var hash: String { Digest(sha256: bytes).description }
}
