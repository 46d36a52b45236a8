import Foundation
import Synchronization
import Testing

/// Programs that are killed -9 at any moment, again and again. One test at a time: the moments are
/// counted in microseconds.
@Suite(.serialized) struct Crash {
    /// A command that was started, and perhaps killed.
    private struct Attempt {
        var door: String
        var badges: [String]
        var finished: Finished

        /// All that it was to print has been printed: a person may have read it.
        var isAcknowledged: Bool {
            let lines = finished.output.split(separator: "\n")
            return finished.output.hasSuffix("\n") && lines.count == badges.count
                && zip(lines, badges).allSatisfy { $0.hasPrefix($1 + " ") }
        }
    }

    @Test func `what attend printed survives being killed at any moment`() throws {
        let kills = repetitions("KARVAN_KILLS", usually: 120)
        let start = ContinuousClock.now
        let forum = try Forum(small: ["L1"])
        let laptop = Laptop("L1", forum)
        var random = CrashRandom("attend")
        let usual = try usualMicroseconds(laptop) {
            ["attend", "P07", "AZ-030", "--door", "usual\($0)"]
        }
        var attempts: [Attempt] = []
        var killed = 0
        for number in 0..<kills * 4 + 50 where killed < kills {
            if number % 100 == 99 { try laptop.must("sync") }
            let door = "k\(number)"
            let badges = Array(
                Forum.badges.shuffled(using: &random).prefix([1, 1, 1, 3][number % 4]))
            let moment: Moment =
                switch number % 12 == 0 ? 0 : Int.random(in: 1..<20, using: &random) {
                case 0: .never
                case 1..<11:
                    .after(microseconds: Int.random(in: 0..<usual * 5 / 4, using: &random))
                case 11..<14:
                    .afterWrite(
                        to: laptop.lock, microseconds: Int.random(in: 0..<3_000, using: &random))
                default:
                    .afterWrite(
                        to: laptop.log, microseconds: Int.random(in: 0..<1_500, using: &random))
                }
            let finished = try laptop.run(
                ["attend", "P07"] + badges + ["--door", door], killed: moment)
            attempts.append(Attempt(door: door, badges: badges, finished: finished))
            if finished.status == 128 + SIGKILL { killed += 1 }
        }

        let doors = try laptop.doors()
        let failed = attempts.filter { ![0, 128 + SIGKILL].contains($0.finished.status) }
        let acknowledged = attempts.filter(\.isAcknowledged)
        let lost = acknowledged.filter { doors[$0.door] != $0.badges.count }
        let torn = attempts.filter { doors[$0.door] != nil && doors[$0.door] != $0.badges.count }
        let ended = attempts.filter { $0.finished.status == 0 }
        let before = attempts.filter { doors[$0.door] == nil }
        let between = attempts.filter { doors[$0.door] != nil && !$0.isAcknowledged }
        report(
            "attend killed",
            [
                ("killed", killed), ("started", attempts.count), ("finished", ended.count),
                ("killed before the commit", before.count),
                ("between commit and print", between.count),
                ("acknowledged", acknowledged.count), ("lost", lost.count), ("torn", torn.count),
                ("usual ms", usual / 1_000),
            ], since: start)
        #expect(failed.isEmpty, "\(failed.map(\.finished.errors))")
        #expect(lost.isEmpty, "\(lost.map(\.door))")
        #expect(torn.isEmpty, "\(torn.map(\.door))")
        #expect(ended.filter { !$0.isAcknowledged }.isEmpty)
        #expect(killed == kills && !ended.isEmpty && !before.isEmpty && !between.isEmpty)

        #expect(try laptop.run("verify").status == 0)
        #expect(try laptop.run("status", "--json").json["lost_commits"] as? Int == 0)
        try laptop.must("sync")
        #expect(try forum.hubStore.doors() == doors)
        #expect(try forum.hubStore.stateHash() == laptop.stateHash())
        #expect(try forum.hubStore.run("verify").status == 0)
    }

    @Test func `what a sync confirmed is on the hub, whenever the sync after it is killed`() throws
    {
        let kills = repetitions("KARVAN_SYNC_KILLS", usually: 60)
        let start = ContinuousClock.now
        let forum = try Forum(small: ["L1", "L2"])
        let (laptop, other) = (Laptop("L1", forum), Laptop("L2", forum))
        var random = CrashRandom("sync")
        let usual = try usualMicroseconds(laptop) { _ in ["sync"] }
        var recorded: Set<String> = []
        var waiting: Set<String> = []
        var (ended, before, between, acknowledged) = (0, 0, 0, 0)
        var lost: [String] = []
        var failures: [String] = []
        var started = 0
        for number in 0..<kills * 4 + 50 where before + between < kills {
            started += 1
            let door = "s\(number)"
            let badge = Forum.badges.randomElement(using: &random) ?? "AZ-001"
            try laptop.must("attend", "P07", badge, "--door", door)
            recorded.insert(door)
            waiting.insert(door)
            if number % 3 == 0 {
                try other.must("attend", "P07", badge, "--door", "o\(number)")
                try other.must("sync")
                recorded.insert("o\(number)")
            }
            let moment: Moment =
                switch number % 12 == 0 ? 0 : Int.random(in: 1..<20, using: &random) {
                case 0: .never
                case 1..<10:
                    .after(microseconds: Int.random(in: 0..<usual * 5 / 4, using: &random))
                case 10..<13:
                    .afterWrite(
                        to: laptop.log, microseconds: Int.random(in: 0..<4_000, using: &random))
                default:
                    .afterWrite(
                        to: forum.hubStore.log,
                        microseconds: Int.random(in: 0..<15_000, using: &random))
                }
            let finished = try laptop.run(["sync"], killed: moment)
            let held = try forum.hubStore.doors()
            switch finished.status {
            case 0:
                ended += 1
                acknowledged += waiting.count
                lost += waiting.filter { held[$0] != 1 }
                waiting = []
            case 128 + SIGKILL:
                if held[door] == nil { before += 1 } else { between += 1 }
            default: failures.append("\(finished.status): \(finished.errors)")
            }
        }
        report(
            "sync killed",
            [
                ("killed", before + between), ("started", started), ("finished", ended),
                ("before the hub had it", before), ("after", between),
                ("acknowledged", acknowledged), ("lost", lost.count),
                ("usual ms", usual / 1_000),
            ], since: start)
        #expect(failures.isEmpty, "\(failures)")
        #expect(lost.isEmpty, "\(lost)")
        #expect(before + between == kills && ended > 0 && before > 0 && between > 0)
        try forum.expectAllEqual([laptop, other], holding: recorded)
    }

    @Test func `what a sync confirmed is on the hub, however often the hub is killed`() throws {
        let pushes = repetitions("KARVAN_PUSHES", usually: 60)
        let wantedKills = repetitions("KARVAN_HUB_KILLS", usually: 10)
        let start = ContinuousClock.now
        let names = ["L1", "L2", "L3"]
        let forum = try Forum(small: names)
        let laptops = names.map { Laptop($0, forum) }
        let store = forum.hubStore
        let ledger = PushLedger()
        let isEnough = Mutex(false)
        let crew = Crew(
            laptops.map { laptop in
                {
                    for number in 0... {
                        try laptop.push(number, ledger) { try store.doors()[$0] != nil }
                        if number >= pushes / 3, isEnough.withLock({ $0 }) { return }
                    }
                }
            })
        var random = CrashRandom("hub")
        var kills = 0
        let limit = start + .seconds((pushes + wantedKills) * 3 + 60)
        while !crew.isDone, ContinuousClock.now < limit {
            // Else most syncs would find no hub at all.
            usleep(100_000)
            let moment: Moment =
                Bool.random(using: &random)
                ? .after(microseconds: Int.random(in: 0..<300_000, using: &random))
                : .afterWrite(
                    to: store.log, microseconds: Int.random(in: 0..<5_000, using: &random))
            try forum.killHub(moment) { crew.isDone || ContinuousClock.now > limit }
            kills += 1
            if kills >= wantedKills { isEnough.withLock { $0 = true } }
        }
        isEnough.withLock { $0 = true }
        let problems = crew.finish(limitSeconds: 60)
        forum.stopHub()

        let figures = ledger.figures
        let held = try store.doors()
        let lost = figures.acknowledged.filter { held[$0] != 1 }
        report(
            "hub killed",
            [
                ("killed", kills), ("pushes", figures.pushes),
                ("failed", figures.failedPushes), ("failed though the hub had it", figures.silent),
                ("recorded", figures.recorded.count), ("acknowledged", figures.acknowledged.count),
                ("lost", lost.count), ("repeated", held.filter { $0.value > 1 }.count),
            ], since: start)
        #expect(problems.isEmpty, "\(problems)")
        #expect(lost.isEmpty, "\(lost)")
        #expect(figures.failures.isEmpty, "\(figures.failures)")
        #expect(kills >= wantedKills && figures.failedPushes > 0 && !figures.acknowledged.isEmpty)
        #expect(try store.run("verify").status == 0)
        try forum.startHub()
        try forum.expectAllEqual(laptops, holding: figures.recorded)
    }

    // MARK: Common

    /// The median of a few runs.
    private func usualMicroseconds(
        _ laptop: Laptop, _ arguments: (Int) -> [String]
    ) throws -> Int {
        let times = try (0..<5).map { number in
            let child = try laptop.start(arguments(number))
            let finished = try child.finish()
            guard finished.status == 0 else { throw ProgramError(description: finished.errors) }
            return child.seconds
        }
        return Int(times.sorted()[2] * 1e6)
    }
}
