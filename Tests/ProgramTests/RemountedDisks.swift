import Foundation
import Synchronization
import Testing

/// Disks that turn read-only under programs that write, and come back.
@Suite(.serialized) struct RemountedDisks {
    private let rounds = repetitions("KARVAN_REMOUNTS", usually: 3)

    /// Moves a store with what belongs to it, and waits until the disk has it.
    private func move(_ name: String, of forum: Forum, to disk: URL) throws -> Laptop {
        let ends = [
            "", "-wal", ".key", ".install", ".tls-cert.pem", ".tls-key.pem", ".tls-next-key.pem",
        ]
        for end in ends where forum.exists("\(name).sqlite\(end)") {
            try FileManager.default.moveItem(
                at: forum.path("\(name).sqlite\(end)"),
                to: disk.appending(path: "\(name).sqlite\(end)"))
        }
        let finished = try Programs.run("/bin/sync", ["-f", disk.path], in: forum.directory)
        guard finished.status == 0 else { throw ProgramError(description: finished.errors) }
        return Laptop("\(disk.lastPathComponent)/\(name)", forum)
    }

    // MARK: A laptop

    /// What people recorded, and what they were told.
    private final class Notes: Sendable {
        struct State {
            var acknowledged: Set<String> = []
            /// Ended with 74.
            var refused: Set<String> = []
            var wrong: [String] = []
            var isOver = false
        }

        let state = Mutex(State())

        var now: State { state.withLock { $0 } }

        func end() { state.withLock { $0.isOver = true } }

        /// Records until it is told to end.
        func record(on laptop: Laptop, as name: String) throws {
            for number in 0... {
                let door = "\(name)-\(number)"
                let badge = Forum.badges[number % 30]
                let finished = try laptop.run("attend", "P07", badge, "--door", door)
                state.withLock { state in
                    switch finished.status {
                    case 0 where finished.output.hasPrefix(badge):
                        state.acknowledged.insert(door)
                    case 74 where finished.output.isEmpty: state.refused.insert(door)
                    default: state.wrong.append("\(door): \(finished)")
                    }
                }
                guard !now.isOver else { return }
            }
        }

        /// Waits until both numbers have grown by so much.
        func grows(acknowledged: Int = 0, refused: Int = 0) -> Bool {
            let before = now
            return becomesTrue(withinSeconds: 60, everyMicroseconds: 2_000) {
                let now = now
                return now.acknowledged.count >= before.acknowledged.count + acknowledged
                    && now.refused.count >= before.refused.count + refused
            }
        }
    }

    /// A plain remount, which the system does only while nobody has a file open for writing: between
    /// two commands. What it reaches is a command that opens the replica.
    @Test(.enabled(if: SmallDisk.isAllowed, "mounting a file system needs root or sudo"))
    func `a laptop whose disk is remounted records what it says it does, and nothing else`() throws
    {
        let start = ContinuousClock.now
        let forum = try Forum(small: ["L1"])
        let disk = try SmallDisk(forum.path("disk"), kibibytes: 16_384)
        let laptop = try move("L1", of: forum, to: disk.directory)
        let notes = Notes()
        defer { notes.end() }
        let crew = Crew([{ try notes.record(on: laptop, as: "r") }])
        var busyCount = 0
        for _ in 0..<rounds {
            try #require(notes.grows(acknowledged: 2))
            let isDone = becomesTrue(withinSeconds: 60, everyMicroseconds: 100) {
                if (try? disk.makeReadOnly()) != nil { return true }
                busyCount += 1
                return false
            }
            #expect(isDone)
            try #require(notes.grows(refused: 2))
            try disk.makeWritable()
        }
        try #require(notes.grows(acknowledged: 2))
        notes.end()
        let problems = crew.finish(limitSeconds: 60)
        let held = try laptop.doors()
        let told = notes.now
        report(
            "laptop remounted",
            [
                ("remounts", rounds), ("busy", busyCount), ("refused", told.refused.count),
                ("acknowledged", told.acknowledged.count),
                ("lost", told.acknowledged.filter { held[$0] == nil }.count),
                ("repeated", held.filter { $0.value != 1 }.count),
            ], since: start)
        #expect(problems.isEmpty && told.wrong.isEmpty, "\(problems) \(told.wrong.prefix(5))")
        #expect(Set(held.keys) == told.acknowledged && held.values.allSatisfy { $0 == 1 })
        try expectEqual(forum, laptop)
    }

    @Test(.enabled(if: FailingDisk.isAllowed, "a failing disk needs root or sudo, loops and ext4"))
    func `a laptop whose disk fails keeps what it acknowledged, and goes on behind a repair`()
        throws
    {
        let start = ContinuousClock.now
        let forum = try Forum(small: ["L1"])
        let disk = try FailingDisk(forum.path("disk"), mebibytes: 24)
        let laptop = try move("L1", of: forum, to: disk.directory)
        var random = CrashRandom("failing laptop")
        var (acknowledged, refused) = (Set<String>(), Set<String>())
        var (lost, watchesEnded) = (Set<String>(), 0)
        for round in 0..<rounds {
            // It has the replica open all the time.
            let watch = try laptop.start(["sync", "--watch", "--every", "1"])
            let notes = Notes()
            defer { notes.end() }
            let crew = Crew(
                (0..<2).map { person in
                    { try notes.record(on: laptop, as: "f\(round)-\(person)") }
                })
            try #require(notes.grows(acknowledged: 3))
            usleep(UInt32.random(in: 0..<30_000, using: &random))
            try disk.fail()
            try #require(notes.grows(refused: 4))
            notes.end()
            let problems = crew.finish(limitSeconds: 60)
            let told = notes.now
            #expect(problems.isEmpty && told.wrong.isEmpty, "\(problems) \(told.wrong.prefix(5))")
            if watch.isEnded { watchesEnded += 1 }
            watch.signal(SIGTERM)
            let ended = try watch.finish(limitSeconds: 20)
            #expect([0, 74].contains(ended.status), "\(ended.errors)")
            try disk.repair()
            #expect(try laptop.run("verify").status == 0)
            acknowledged.formUnion(told.acknowledged)
            refused.formUnion(told.refused)
            let held = try laptop.doors()
            lost.formUnion(acknowledged.filter { held[$0] == nil })
        }
        let held = try laptop.doors()
        report(
            "laptop on a failing disk",
            [
                ("failures", rounds), ("watches that ended", watchesEnded),
                ("refused", refused.count),
                ("of them kept", refused.filter { held[$0] == 1 }.count),
                ("acknowledged", acknowledged.count), ("lost", lost.count),
                ("repeated", held.filter { $0.value != 1 }.count),
            ], since: start)
        #expect(lost.isEmpty, "\(lost)")
        #expect(held.values.allSatisfy { $0 == 1 })
        // A command whose disk failed says that its last change isn't certain.
        #expect(Set(held.keys).isSubset(of: acknowledged.union(refused)))
        try expectEqual(forum, laptop)
    }

    private func expectEqual(_ forum: Forum, _ laptop: Laptop) throws {
        #expect(try laptop.run("verify").status == 0)
        #expect(try laptop.run("status", "--json").json["lost_commits"] as? Int == 0)
        try laptop.must("attend", "P07", "AZ-030", "--door", "after")
        try laptop.must("sync")
        #expect(try forum.hubStore.doors() == laptop.doors())
        #expect(try forum.hubStore.stateHash() == laptop.stateHash())
    }

    // MARK: A hub

    /// Two laptops that push until they are told to end.
    private final class Pushing: Sendable {
        let ledger = PushLedger()
        private let isOver = Mutex(false)

        func end() { isOver.withLock { $0 = true } }

        func push(_ laptop: Laptop) throws {
            for number in 0... {
                try laptop.push(number, ledger)
                guard !isOver.withLock({ $0 }) else { return }
            }
        }

        /// Waits until so many further pushes succeeded or failed.
        func grows(acknowledged: Int = 0, failed: Int = 0) -> Bool {
            let before = ledger.figures
            return becomesTrue(withinSeconds: 60, everyMicroseconds: 2_000) {
                let now = ledger.figures
                return now.acknowledged.count >= before.acknowledged.count + acknowledged
                    && now.failedPushes >= before.failedPushes + failed
            }
        }
    }

    /// - Returns: it, once it takes connections or has ended.
    private func serve(_ store: Laptop, _ forum: Forum) throws -> Child {
        let address = String(forum.url.dropFirst("https://".count))
        let hub = try Child(
            "karvan-hub", ["serve", "--store", store.file.path, "--listen", address],
            in: forum.directory)
        #expect(becomesTrue(withinSeconds: 30) { hub.isEnded || hub.printed.hasSuffix("\n") })
        return hub
    }

    @Test(.enabled(if: FailingDisk.isAllowed, "a failing disk needs root or sudo, loops and ext4"))
    func `a hub whose disk fails acknowledges only what it keeps, and goes on behind a repair`()
        throws
    {
        let start = ContinuousClock.now
        let forum = try Forum(small: ["L1", "L2"])
        forum.stopHub(signal: SIGTERM)
        let disk = try FailingDisk(forum.path("disk"), mebibytes: 48)
        let store = try move("hub", of: forum, to: disk.directory)
        let laptops = ["L1", "L2"].map { Laptop($0, forum) }
        var hub = try serve(store, forum)
        defer { hub.signal(SIGKILL) }
        let pushing = Pushing()
        let crew = Crew(laptops.map { laptop in { try pushing.push(laptop) } })
        defer { pushing.end() }
        var random = CrashRandom("failing hub")
        var lost: Set<String> = []
        for round in 0..<rounds {
            try #require(pushing.grows(acknowledged: 4))
            let limit = ContinuousClock.now + .seconds(5)
            Moment.afterWrite(
                to: store.log, microseconds: Int.random(in: 0..<5_000, using: &random)
            ).wait(from: .now, since: FileMark(store.log)) { ContinuousClock.now > limit }
            try disk.fail()
            try #require(pushing.grows(failed: 4))
            try #require(!hub.isEnded)
            hub.signal(round % 2 == 0 ? SIGTERM : SIGKILL)
            let ended = try hub.finish(limitSeconds: 30)
            #expect(ended.status == (round % 2 == 0 ? 0 : 128 + SIGKILL), "\(ended.errors)")
            let refused = try serve(store, forum).finish(limitSeconds: 10)
            #expect(refused.status == 74, "\(refused.errors)")
            #expect(refused.errors.contains("mounted read-only"), "\(refused.errors)")
            try disk.repair()
            // Before any laptop can bring it again.
            let (acknowledged, held) = (pushing.ledger.figures.acknowledged, try store.doors())
            lost.formUnion(acknowledged.filter { held[$0] != 1 })
            hub = try serve(store, forum)
        }
        try #require(pushing.grows(acknowledged: 4))
        pushing.end()
        let problems = crew.finish(limitSeconds: 60)
        for laptop in laptops + laptops { try laptop.must("sync") }
        let (figures, held) = (pushing.ledger.figures, try store.doors())
        report(
            "hub on a failing disk",
            [
                ("failures", rounds), ("pushes", figures.pushes),
                ("ended with 69", figures.failedPushes), ("recorded", figures.recorded.count),
                ("acknowledged", figures.acknowledged.count), ("lost", lost.count),
                ("repeated", held.filter { $0.value != 1 }.count),
            ], since: start)
        #expect(problems.isEmpty, "\(problems)")
        #expect(figures.failures.isEmpty, "\(figures.failures.prefix(5))")
        #expect(lost.isEmpty, "\(lost)")
        #expect(Set(held.keys) == figures.recorded && held.values.allSatisfy { $0 == 1 })
        let hash = try store.stateHash()
        for laptop in laptops { #expect(try laptop.stateHash() == hash, "\(laptop.name)") }
        #expect(try store.run("verify").status == 0)
        hub.signal(SIGTERM)
        #expect(try hub.finish(limitSeconds: 30).status == 0)
    }
}
