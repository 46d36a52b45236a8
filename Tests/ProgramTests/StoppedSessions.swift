import Foundation
import Synchronization
import Testing

/// Programs that stand still in the middle of a session (SIGSTOP, a closed lid) while all others go
/// on, and continue as if nothing had been.
@Suite(.serialized) struct StoppedSessions {
    private let stops = repetitions("KARVAN_STOPS", usually: 6)

    private struct Tally {
        /// Stops that met a session under way.
        var met = 0
        var completed = 0
        var unreachable = 0
        var meanwhile = 0
        var waitedForLock = 0
        var acknowledged: Set<String> = []
        var lost: [String] = []
        var repeated: [String] = []
        var problems: [String] = []

        func figures(of tried: Int) -> [(String, Any)] {
            [
                ("stops", tried), ("in a session", met), ("ended with 0", completed),
                ("with 69", unreachable), ("recorded meanwhile", meanwhile),
                ("waited for the lock", waitedForLock), ("acknowledged", acknowledged.count),
                ("lost", lost.count), ("repeated", repeated.count), ("wrong", problems.count),
            ]
        }
    }

    /// Two laptops, of which the first reaches the hub through a proxy.
    private final class Scene {
        let forum: Forum
        let proxy: FaultyProxy
        let laptop: Laptop
        let other: Laptop
        /// By laptop and altogether; kept outside of what is stopped.
        private(set) var recorded: [String: Set<String>] = [:]
        /// Bytes of a usual session, by way, and how long it lasts.
        private(set) var counts = [0, 0]
        private(set) var usualMicroseconds = 0

        init() throws {
            forum = try Forum(small: ["L1", "L2"])
            proxy = try FaultyProxy()
            (laptop, other) = (Laptop("L1", forum), Laptop("L2", forum))
            proxy.aim(at: Int(forum.url.split(separator: ":").last ?? "") ?? 0)
            try Script.must(
                Script.move, laptop.file.path, "https://127.0.0.1:\(proxy.port)",
                in: forum.directory)
            try prepare(-1)
            proxy.arm(nil)
            let sync = try laptop.start(["sync"])
            let finished = try sync.finish()
            usualMicroseconds = Int(sync.seconds * 1e6)
            counts = proxy.disarm().counts
            guard finished.status == 0 else { throw ProgramError(description: finished.errors) }
        }

        deinit { proxy.stop() }

        var everything: Set<String> { recorded.values.reduce(Set()) { $0.union($1) } }

        func record(_ laptop: Laptop, _ door: String) throws {
            try laptop.must(
                "attend", "P07", Forum.badges[everything.count % 30], "--door", door)
            note(laptop, door)
        }

        func note(_ laptop: Laptop, _ door: String) {
            recorded[laptop.name, default: []].insert(door)
        }

        /// Something to send and something to fetch.
        func prepare(_ number: Int) throws {
            for part in 0..<3 { try record(laptop, "s\(number)-\(part)") }
            try record(other, "o\(number)")
            try other.must("sync")
        }

        /// Waits for a moment of a usual session, or for the sync's end.
        func letRun(_ sync: Child, _ random: inout CrashRandom) {
            let microseconds = Int.random(in: 0..<usualMicroseconds, using: &random)
            Moment.after(microseconds: microseconds).wait(from: sync.start, since: nil) {
                sync.isEnded
            }
        }

        /// What a session said, against what the hub holds.
        ///
        /// - Parameter before: what the laptop had recorded when the session started.
        func judge(_ finished: Finished, _ before: Set<String>, _ tally: inout Tally) throws {
            let held = try forum.hubStore.doors()
            switch finished.status {
            case 0:
                tally.completed += 1
                tally.acknowledged.formUnion(before)
                tally.lost += before.filter { held[$0] == nil }
            case 69: tally.unreachable += 1
            default: tally.problems.append("\(finished)")
            }
            guard let waiting = finished.json["waiting"] as? Int else {
                return tally.problems.append("\(finished)")
            }
            // What was recorded meanwhile may wait as well.
            let arrived = before.filter { held[$0] != nil }.count
            if before.count - waiting > arrived { tally.lost.append("\(finished)") }
        }

        /// The next session completes, and the hub holds each record once.
        func heal(_ tally: inout Tally) throws {
            proxy.arm(nil)
            try laptop.must("sync")
            let held = try forum.hubStore.doors()
            tally.lost += everything.filter { held[$0] == nil }
            tally.repeated += held.filter { $0.value != 1 }.map(\.key)
        }
    }

    /// Where a session is stopped: at a byte of one way, or at any moment.
    private func fault(
        _ number: Int, _ scene: Scene, _ random: inout CrashRandom
    ) -> NetworkFault? {
        guard number % 4 != 3, let way = Way(rawValue: number % 2) else { return nil }
        let byte = Int.random(in: 0..<scene.counts[way.rawValue], using: &random)
        return NetworkFault(kind: .pause, way: way, byte: byte)
    }

    @Test func `a sync that is stopped and goes on holds nobody up, and repeats nothing`() throws {
        let start = ContinuousClock.now
        let scene = try Scene()
        let (laptop, other) = (scene.laptop, scene.other)
        var random = CrashRandom("stopped sync")
        var tally = Tally()
        for number in 0..<stops {
            try scene.prepare(number)
            let before = scene.recorded[laptop.name] ?? []
            let place = fault(number, scene, &random)
            let stopped = Mutex<Child?>(nil)
            scene.proxy.arm(place) {
                _ = becomesTrue(withinSeconds: 2, everyMicroseconds: 100) {
                    stopped.withLock { $0 } != nil
                }
                stopped.withLock { $0 }?.signal(SIGSTOP)
            }
            let sync = try laptop.start(["sync", "--json", "--timeout", "2"])
            stopped.withLock { $0 = sync }
            if place == nil {
                scene.letRun(sync, &random)
                sync.signal(SIGSTOP)
            }
            let isMet = becomesTrue(withinSeconds: 10, everyMicroseconds: 500) {
                sync.isEnded || sync.isStopped
            }
            #expect(isMet)
            if !sync.isEnded {
                tally.met += 1
                try scene.record(other, "m\(number)")
                try other.must("sync")
                try recordBeside(sync, number, scene, &tally)
                // Longer than its own patience, now and then.
                if number % 8 == 4 { usleep(2_500_000) }
                sync.signal(SIGCONT)
            }
            try scene.judge(try sync.finish(limitSeconds: 30), before, &tally)
            try scene.heal(&tally)
        }
        report("sync stopped", tally.figures(of: stops), since: start)
        expectKept(tally)
        #expect(tally.met > stops / 2 && tally.completed > 0 && tally.meanwhile > stops / 2)
        try scene.forum.expectAllEqual([laptop, other], holding: scene.everything)
    }

    /// The same laptop records, and syncs a second time, while its first sync stands still. If that
    /// holds the replica at this moment, they wait for it.
    private func recordBeside(
        _ sync: Child, _ number: Int, _ scene: Scene, _ tally: inout Tally
    ) throws {
        let laptop = scene.laptop
        let door = "w\(number)"
        let writer = try laptop.start(["attend", "P07", "AZ-001", "--door", door])
        let second = number % 2 == 1 ? try laptop.start(["sync", "--timeout", "5"]) : nil
        let isFree = becomesTrue(withinSeconds: 2, everyMicroseconds: 1_000) { writer.isEnded }
        if !isFree {
            tally.waitedForLock += 1
            sync.signal(SIGCONT)
        }
        let written = try writer.finish(limitSeconds: 20)
        if written.status == 0 {
            scene.note(laptop, door)
            tally.meanwhile += 1
        } else {
            tally.problems.append("beside: \(written)")
        }
        guard let second else { return }
        if !becomesTrue(withinSeconds: 2, everyMicroseconds: 1_000, { second.isEnded }) {
            sync.signal(SIGCONT)
        }
        let finished = try second.finish(limitSeconds: 40)
        if finished.status != 0 { tally.problems.append("a second sync: \(finished)") }
    }

    @Test func `a hub that is stopped for longer than anybody waits goes on, and repeats nothing`()
        throws
    {
        let start = ContinuousClock.now
        let scene = try Scene()
        let (laptop, other) = (scene.laptop, scene.other)
        let hub = try #require(scene.forum.hubProcess)
        defer { kill(hub, SIGCONT) }
        var random = CrashRandom("stopped hub")
        var tally = Tally()
        for number in 0..<stops {
            try scene.prepare(number)
            let before = scene.recorded[laptop.name] ?? []
            let place = fault(number, scene, &random)
            scene.proxy.arm(place) { kill(hub, SIGSTOP) }
            let sync = try laptop.start(["sync", "--json", "--timeout", "1"])
            if place == nil {
                scene.letRun(sync, &random)
                kill(hub, SIGSTOP)
            }
            let isMet = becomesTrue(withinSeconds: 10, everyMicroseconds: 500) {
                sync.isEnded || Child.isStopped(hub)
            }
            #expect(isMet)
            if Child.isStopped(hub) {
                if !sync.isEnded { tally.met += 1 }
                // Nobody is served, and everybody is told so; what is recorded is safe.
                let refused = try other.start(["sync", "--json", "--timeout", "1"])
                try scene.record(laptop, "w\(number)")
                tally.meanwhile += 1
                let ended = try refused.finish(limitSeconds: 10)
                if ended.status != 69 { tally.problems.append("the other: \(ended)") }
            }
            let finished = try sync.finish(limitSeconds: 10)
            kill(hub, SIGCONT)
            try scene.judge(finished, before, &tally)
            try scene.heal(&tally)
        }
        report("hub stopped", tally.figures(of: stops), since: start)
        expectKept(tally)
        #expect(tally.met > stops / 2 && tally.unreachable > 0)
        try scene.forum.expectAllEqual([laptop, other], holding: scene.everything)
    }

    private func expectKept(_ tally: Tally) {
        #expect(tally.lost.isEmpty, "\(tally.lost.prefix(5))")
        #expect(tally.repeated.isEmpty, "\(tally.repeated.prefix(5))")
        #expect(tally.problems.isEmpty, "\(tally.problems.prefix(5))")
    }
}

extension Child {
    var isStopped: Bool { Self.isStopped(pid) }

    /// Whether a process stands still, by proc(5).
    static func isStopped(_ pid: Int32) -> Bool {
        let text = try? String(contentsOfFile: "/proc/\(pid)/stat", encoding: .utf8)
        return text?.split(separator: ")").last?.hasPrefix(" T ") == true
    }
}
