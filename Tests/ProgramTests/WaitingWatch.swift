import Foundation
import Testing

/// A sync that goes on beside everything else.
@Suite(.serialized) struct WaitingWatch {
    @Test(arguments: [SIGTERM, SIGINT])
    func `two people record while a watch syncs, and nothing is lost`(_ ending: Int32) throws {
        let count = repetitions("KARVAN_ATTENDS", usually: 60)
        let start = ContinuousClock.now
        let forum = try Forum(small: ["L1"])
        let laptop = Laptop("L1", forum)
        let watch = try laptop.start(["sync", "--watch", "--every", "1"])
        let crew = Crew(
            (0..<2).map { person in
                {
                    for number in 0..<count / 2 {
                        let badge = Forum.badges[(number * 2 + person) % 30]
                        try laptop.must("attend", "P07", badge, "--door", "w\(person)-\(number)")
                    }
                }
            })
        #expect(crew.finish(limitSeconds: Double(count) + 60).isEmpty)
        let recorded = ContinuousClock.now
        let doors = try laptop.doors()
        #expect(doors.count == count / 2 * 2)
        #expect(doors.filter { $0.value != 1 }.isEmpty)
        let isThere = try becomesTrue(withinSeconds: 10) { try forum.hubStore.doors() == doors }
        #expect(isThere)
        let lag = (ContinuousClock.now - recorded).components.seconds
        #expect(!watch.isEnded)

        watch.signal(ending)
        let ended = try watch.finish(limitSeconds: 10)
        #expect(ended.status == 0, "\(ended.errors)")
        #expect(ended.errors.isEmpty, "\(ended.errors)")
        #expect(try laptop.run("verify").status == 0)
        #expect(try forum.hubStore.stateHash() == laptop.stateHash())
        report(
            "watch beside attend",
            [
                ("recorded", count), ("held", doors.count), ("seconds to the hub", lag),
                ("reports", ended.output.split(separator: "\n").count),
            ], since: start)
    }

    @Test func `a watch outlives the hub's end, and sends what was recorded meanwhile`() throws {
        let kills = repetitions("KARVAN_WATCH_KILLS", usually: 8)
        let start = ContinuousClock.now
        let forum = try Forum(small: ["L1"])
        let laptop = Laptop("L1", forum)
        let watch = try laptop.start(["sync", "--watch", "--every", "1", "--timeout", "3"])
        var random = CrashRandom("watch")
        for number in 0..<kills {
            try laptop.must("attend", "P07", Forum.badges[number % 30], "--door", "h\(number)")
            let delay = Int.random(in: 0..<400_000, using: &random)
            try forum.killHub(.after(microseconds: delay)) { false }
        }
        let isThere = try becomesTrue(withinSeconds: 15) {
            try forum.hubStore.doors().count == kills
        }
        #expect(isThere)
        #expect(!watch.isEnded)
        watch.signal(SIGTERM)
        let ended = try watch.finish(limitSeconds: 10)
        #expect(ended.status == 0, "\(ended.errors)")
        #expect(try forum.hubStore.stateHash() == laptop.stateHash())
        let held = try forum.hubStore.doors()
        report(
            "hub killed under a watch",
            [
                ("killed", kills), ("acknowledged", kills), ("lost", kills - held.count),
                ("repeated", held.filter { $0.value > 1 }.count),
            ], since: start)
        #expect(held.values.allSatisfy { $0 == 1 })
    }

    /// Neither of them looks from time to time: what comes has been announced.
    @Test func `a colleague's check-in comes when it is made`() throws {
        let forum = try Forum(small: ["L1", "L2"])
        let (one, two) = (Laptop("L1", forum), Laptop("L2", forum))
        let watches = try [one, two].map { try $0.start(["sync", "--watch", "--every", "3600"]) }
        usleep(1_500_000)
        var slowest = 0.0
        for number in 0..<5 {
            try one.must("attend", "P07", Forum.badges[number], "--door", "n\(number)")
            let start = ContinuousClock.now
            let isThere = try becomesTrue(withinSeconds: 20, everyMicroseconds: 20_000) {
                try two.doors().count == number + 1
            }
            #expect(isThere)
            slowest = max(slowest, (ContinuousClock.now - start) / .seconds(1))
        }
        // The hub's own: a bundle that another process takes in, or a decision of the operator.
        forum.stopHub()
        try forum.startHub()
        try one.must("attend", "P07", Forum.badges[9], "--door", "after")
        let isBack = try becomesTrue(withinSeconds: 30) { try forum.hubStore.doors().count == 6 }
        #expect(isBack, "a hub that was away is found again")
        for watch in watches {
            watch.signal(SIGTERM)
            let ended = try watch.finish(limitSeconds: 15)
            #expect(ended.status == 0, "\(ended.errors)")
        }
        report(
            "live", [("check-ins", 5), ("slowest, ms", Int(slowest * 1_000))],
            since: ContinuousClock.now)
    }

    @Test func `a watch that hangs in the network ends at once when it is asked to`() throws {
        let forum = try Forum(small: ["L1"])
        let laptop = Laptop("L1", forum)
        let hub = try #require(forum.hubProcess)
        kill(hub, SIGSTOP)
        defer { kill(hub, SIGCONT) }
        let watch = try laptop.start(["sync", "--watch", "--every", "1", "--timeout", "30"])
        usleep(1_000_000)
        #expect(!watch.isEnded)
        watch.signal(SIGTERM)
        let ended = try watch.finish(limitSeconds: 15)
        #expect(ended.status == 0, "\(ended.errors)")
    }
}
