import Foundation
import Synchronization

/// A laptop with changes that its hub doesn't have yet, and others that it lacks; nobody runs.
struct WaitingChanges: Sendable {
    let directory: URL
    /// The doors of what was recorded: each once. Kept outside of what is broken.
    let recorded: Set<String>
    /// Changes that wait on the laptop.
    let count: Int

    /// - Parameter forum: has L1 and L2, and a hub that runs.
    init(_ count: Int, in forum: Forum) throws {
        directory = forum.directory
        self.count = count
        var recorded: Set<String> = []
        func record(_ laptop: String, _ count: Int) throws {
            for number in 0..<count {
                let door = "\(laptop)-\(number)"
                try Laptop(laptop, forum).must(
                    "attend", "P07", Forum.badges[number % 30], "--door", door)
                recorded.insert(door)
            }
        }
        try record("L2", max(count / 10, 3))
        try Laptop("L2", forum).must("sync")
        try record("L1", count)
        forum.stopHub(signal: SIGTERM)
        self.recorded = recorded
    }
}

/// The laptop and its hub with a faulty network between them, put back as they were again and
/// again. One per thread.
final class BrokenLine {
    let laptop: Laptop
    let hubStore: Laptop
    let proxy: FaultyProxy
    private let base: URL
    private let directory: URL
    private var hub: Child?
    private var hubPort = 0
    private var relay: Child?

    init(_ changes: WaitingChanges, name: String) throws {
        directory = changes.directory.appending(path: name)
        base = directory.appending(path: "base")
        try FileManager.default.createDirectory(at: base, withIntermediateDirectories: true)
        (laptop, hubStore) = (Laptop("L1", in: directory), Laptop("hub", in: directory))
        proxy = try FaultyProxy()
        try Self.copy(from: changes.directory, to: base)
        let statement =
            "UPDATE sy_meta SET value = 'https://127.0.0.1:\(proxy.port)' WHERE key = 'hub_url'"
        let finished = try Programs.run(
            "/usr/bin/sqlite3", ["-bail", "L1.sqlite", statement], in: base)
        guard finished.status == 0 else { throw ProgramError(description: finished.errors) }
        try restore()
    }

    /// Ends the hub and the proxies.
    func end() {
        stopHub()
        relay?.signal(SIGKILL)
        _ = try? relay?.finish()
        proxy.stop()
    }

    /// All files of both, the key, the mark of the place and the certificate among them: without
    /// the mark the laptop would take itself for a copy.
    private static func copy(from source: URL, to target: URL) throws {
        let ends = [
            "", "-wal", ".key", ".install", ".tls-cert.pem", ".tls-key.pem", ".tls-next-key.pem",
        ]
        for store in ["L1.sqlite", "hub.sqlite"] {
            for end in ends + ["-shm", ".lock"] {
                try? FileManager.default.removeItem(at: target.appending(path: store + end))
            }
            for end in ends {
                let file = source.appending(path: store + end)
                guard FileManager.default.fileExists(atPath: file.path) else { continue }
                try FileManager.default.copyItem(
                    at: file, to: target.appending(path: store + end))
            }
        }
    }

    /// Puts both back, and starts the hub.
    func restore() throws {
        stopHub()
        try Self.copy(from: base, to: directory)
        let child = try Child(
            "karvan-hub",
            ["serve", "--store", hubStore.file.path, "--listen", "127.0.0.1:0"], in: directory)
        hub = child
        _ = becomesTrue(withinSeconds: 30, everyMicroseconds: 1_000) {
            child.isEnded || child.printed.hasSuffix("\n")
        }
        let port = child.printed.split(separator: ":").last
            .flatMap { Int($0.trimmingCharacters(in: .newlines)) }
        guard let port else { throw ProgramError(description: "the hub did not start") }
        hubPort = port
        if relay == nil { proxy.aim(at: port) }
        try expectNoFault()
    }

    // MARK: Above TLS

    /// Puts a proxy that ends TLS between the other one and the hub.
    ///
    /// - Parameter seconds: until it ends by itself.
    func startRelay(seconds: Int) throws {
        let store = base.appending(path: "hub.sqlite").path
        let child = try Script.start(
            Script.relay,
            ["\(store).tls-cert.pem", "\(store).tls-key.pem", plan.path, "\(seconds)"],
            in: directory)
        let words = child.printed.split { $0 == " " || $0 == "\n" }
        guard words.count > 1, let port = Int(words[1]) else {
            throw ProgramError(description: "the relay did not start")
        }
        relay = child
        proxy.aim(at: port)
        try expectNoFault()
    }

    var hasRelay: Bool { relay != nil }

    private var plan: URL { directory.appending(path: "plan") }

    /// What the relay does from the next request on.
    func expect(_ fault: RelayFault?, byte: Int) throws {
        // Not atomically: nobody reads it now.
        try Data("\(hubPort) \(fault?.rawValue ?? "none") \(byte)".utf8).write(to: plan)
    }

    func expectNoFault() throws {
        proxy.arm(nil)
        if relay != nil { try expect(nil, byte: 0) }
    }

    /// How many bytes the relay's first request and its answer had.
    var relayedCounts: (request: Int, answer: Int)? {
        let lines = relay?.printed.split(separator: "\n") ?? []
        let counts = lines.count > 1 ? lines[1].split(separator: " ").compactMap { Int($0) } : []
        return counts.count == 2 ? (counts[0], counts[1]) : nil
    }

    private func stopHub() {
        hub?.signal(SIGKILL)
        _ = try? hub?.finish()
        hub = nil
    }

    /// A replica's standing, verified.
    func verified(_ laptop: Laptop) throws -> Standing {
        let finished = try laptop.run("verify", "--json")
        guard finished.status == 0 else {
            throw ProgramError(description: "\(laptop.name): \(finished.output)\(finished.errors)")
        }
        return Standing(
            stateHash: finished.json["state_hash"] as? String ?? "",
            changes: finished.json["changes"] as? Int ?? -1)
    }
}

/// What both sides hold before a session, and behind one without a fault.
struct CalmSession: Sendable {
    var before: Standing
    var after: Standing
    /// What passed, in each way.
    var bytes: [[UInt8]]

    init(_ line: BrokenLine, _ changes: WaitingChanges) throws {
        before = try line.verified(line.laptop)
        line.proxy.arm(nil, isRecording: true)
        let finished = try line.laptop.run("sync", "--json")
        bytes = line.proxy.disarm().bytes
        after = try line.verified(line.laptop)
        let hub = try line.verified(line.hubStore)
        let doors = try line.hubStore.doors()
        guard finished.status == 0, finished.json["sent"] as? Int == changes.count,
            hub == after, Set(doors.keys) == changes.recorded,
            doors.values.allSatisfy({ $0 == 1 })
        else {
            throw ProgramError(description: "no fault, and \(finished): \(hub), \(after)")
        }
        try line.restore()
    }

    func count(_ way: Way) -> Int { bytes[way.rawValue].count }

    /// The first and the last byte of each record of TLS, and of the whole.
    func edges(_ way: Way) -> [Int] {
        let bytes = bytes[way.rawValue]
        var edges: Set<Int> = [bytes.count - 1]
        var place = 0
        while place + 5 <= bytes.count {
            let next = place + 5 + Int(bytes[place + 3]) << 8 + Int(bytes[place + 4])
            edges.formUnion([place, min(next, bytes.count) - 1])
            place = next
        }
        return edges.sorted()
    }
}

/// What came of faults of one kind.
struct FaultTally: Sendable {
    var tried = 0
    /// Sessions that reached the byte.
    var struck = 0
    var endedUnreachable = 0
    var endedInWords = 0
    var completed = 0
    /// Changes that a session said the hub has.
    var acknowledged = 0
    var lost = 0
    var stuck = 0
    var problems: [String] = []

    static func + (left: Self, right: Self) -> Self {
        FaultTally(
            tried: left.tried + right.tried, struck: left.struck + right.struck,
            endedUnreachable: left.endedUnreachable + right.endedUnreachable,
            endedInWords: left.endedInWords + right.endedInWords,
            completed: left.completed + right.completed,
            acknowledged: left.acknowledged + right.acknowledged, lost: left.lost + right.lost,
            stuck: left.stuck + right.stuck, problems: left.problems + right.problems)
    }

    var figures: [(String, Any)] {
        [
            ("tried", tried), ("struck", struck), ("ended with 69", endedUnreachable),
            ("with 76 or 77", endedInWords), ("with 0", completed),
            ("acknowledged", acknowledged), ("lost", lost), ("stuck", stuck),
            ("wrong", problems.count),
        ]
    }
}

/// The tallies of all threads, by what they are about.
final class FaultLedger: Sendable {
    private let tallies = Mutex([String: FaultTally]())

    func add(_ tally: FaultTally, for name: String) {
        tallies.withLock { $0[name] = ($0[name] ?? FaultTally()) + tally }
    }

    var all: [(key: String, value: FaultTally)] {
        tallies.withLock { $0.sorted { $0.key < $1.key } }
    }

    var problems: [String] {
        all.flatMap { name, tally in tally.problems.map { "\(name): \($0)" } }
    }
}

/// One session after another through faults, and what has to hold behind each.
struct FaultRun {
    let line: BrokenLine
    let calm: CalmSession
    let changes: WaitingChanges
    let pulse: MachinePulse
    /// The ends that a broken network explains.
    let allowed: Set<Int32>
    private(set) var tally = FaultTally()
    /// Whether the hub may hold more than at first.
    private var isTouched = false
    /// What the laptop held when its files stood so.
    private var known: (marks: [FileMark], hash: String)?

    init(
        line: BrokenLine, calm: CalmSession, changes: WaitingChanges, pulse: MachinePulse,
        allowed: Set<Int32> = [0, 69]
    ) {
        (self.line, self.calm, self.changes) = (line, calm, changes)
        (self.pulse, self.allowed) = (pulse, allowed)
    }

    /// A session that something is to happen to.
    ///
    /// As long as the hub takes in nothing, the next one finds all as it was; else both sides are
    /// looked at, and put back.
    ///
    /// - Parameters:
    ///   - isHarmless: it has to get through.
    ///   - prepare: called before the session starts.
    ///   - reap: called behind it; tells whether it met the fault.
    mutating func attempt(
        _ name: String, isHarmless: Bool = false, prepare: () throws -> Void,
        reap: () throws -> Bool
    ) throws {
        if isTouched {
            try line.restore()
            isTouched = false
        }
        let mark = FileMark(line.hubStore.log)
        let limit = isHarmless ? 20 : 1
        try prepare()
        let child = try line.laptop.start(["sync", "--json", "--timeout", "\(limit)"])
        let finished: Finished
        do {
            finished = try child.finish(limitSeconds: 60)
        } catch {
            tally.stuck += 1
            tally.problems.append("\(name): \(error)")
            isTouched = true
            return
        }
        let seconds = child.seconds
        tally.tried += 1
        if try reap() { tally.struck += 1 }
        // Connecting and silence have a limit each; the rest is what a busy machine takes.
        let late = pulse.lateSeconds(since: child.start)
        if seconds > Double(2 * limit) + 4 + late {
            tally.problems.append("\(name): \(seconds) s, of which the disk took \(late)")
        }
        try judge(name, finished, isHarmless)
        if finished.status == 0 || FileMark(line.hubStore.log) != mark {
            isTouched = true
            try finish(name)
        }
    }

    /// What the session said, against what is there.
    private mutating func judge(
        _ name: String, _ finished: Finished, _ isHarmless: Bool
    ) throws {
        let waiting = finished.json["waiting"] as? Int
        switch finished.status {
        case 0: tally.completed += 1
        case 69: tally.endedUnreachable += 1
        default: tally.endedInWords += 1
        }
        if !allowed.contains(finished.status) || isHarmless && finished.status != 0 {
            tally.problems.append("\(name): \(finished)")
        }
        guard let waiting, (0...changes.count).contains(waiting) else {
            tally.problems.append("\(name): \(finished)")
            return
        }
        let acknowledged = changes.count - waiting
        tally.acknowledged += acknowledged
        if acknowledged > 0 {
            let held = try line.hubStore.doors().filter { $0.key.hasPrefix("L1-") }
            tally.lost += max(acknowledged - held.count, 0)
            if held.count < acknowledged { tally.problems.append("\(name): lost") }
        }
        let hash = try laptopHash()
        let mayBe =
            finished.status == 0
            ? [calm.after.stateHash] : [calm.before.stateHash, calm.after.stateHash]
        if !mayBe.contains(hash) {
            tally.problems.append("\(name): ended with \(finished.status), holds \(hash)")
        }
    }

    /// What the laptop holds: as long as nobody writes to its files, what was found before.
    private mutating func laptopHash() throws -> String {
        func marks() -> [FileMark] { [line.laptop.file, line.laptop.log].map { FileMark($0) } }
        if let known, known.marks == marks() { return known.hash }
        let hash = try line.laptop.stateHash().trimmingCharacters(in: .whitespacesAndNewlines)
        known = (marks(), hash)
        return hash
    }

    /// A session without a fault: it completes, and both sides hold what was recorded, once.
    mutating func finish(_ name: String) throws {
        try line.expectNoFault()
        let finished = try line.laptop.run("sync", "--json", limitSeconds: 90)
        _ = line.proxy.disarm()
        guard finished.status == 0, finished.json["waiting"] as? Int == 0 else {
            tally.stuck += 1
            tally.problems.append("\(name), then: \(finished)")
            return
        }
        isTouched = true
        for replica in [line.laptop, line.hubStore] {
            do {
                let standing = try line.verified(replica)
                if standing != calm.after {
                    tally.problems.append("\(name), then \(replica.name): \(standing)")
                }
            } catch {
                tally.problems.append("\(name), then \(replica.name): \(error)")
            }
        }
        let status = try line.laptop.run("status", "--json").json
        if (status["quarantined"] as? [Any])?.isEmpty != true {
            tally.problems.append("\(name), then: runs kept aside")
        }
    }
}
