import Foundation
import Testing

/// What people have seen decides, whatever their clocks say.
@Suite struct StoriesOfClocks {
    static let laptops = ["hq", "L2", "L3"]
    static let orders = Stories.orders.map { $0.map { $0 == "L1" ? "hq" : $0 } }

    /// Three hours fast in every order, other clocks in three of them.
    static let cases: [([String], String)] =
        orders.map { ($0, "+3h") }
        + ["-3h", "+10y", "-10y"].flatMap { clock in [0, 2, 4].map { (orders[$0], clock) } }

    @Test(arguments: cases)
    func `whoever saw a value replaces it, with any clock, in every order of syncing`(
        _ order: [String], _ clock: String
    ) throws {
        let forum = try Forum(prepared: Self.laptops)
        try forum.connect("hq", "L2", "L3")
        try forum.must("hq", "set", "item", "V10", "planned_start=2025-11-26T16:00+04:00")
        try forum.syncAll(["hq", "L2"])
        let setV09 = ["set", "item", "V09", "planned_start=2025-11-26T15:00+04:00"]
        try forum.must("L2", clock: clock, setV09)
        try forum.must(
            "L2", clock: clock, ["set", "item", "V10", "planned_start=2025-11-26T16:20+04:00"])
        try forum.must("L2", clock: clock, ["attend", "P07", "AZ-014"])
        try forum.syncWithWrongClock("L2", clock)
        try forum.must("hq", "sync")
        #expect(
            try forum.shown("hq", ["item", "V09"])["planned_start"] == "2025-11-26T15:00:00+04:00")
        try forum.must("hq", "set", "item", "V09", "planned_start=2025-11-26T15:30+04:00")
        // Someone who has seen nothing of this writes something else.
        try forum.must("L3", "set", "item", "V09", "planned_end=2025-11-26T17:00+04:00")
        try forum.syncAll(order + order)
        for laptop in order {
            let item = try forum.shown(laptop, ["item", "V09"])
            #expect(item["planned_start"] == "2025-11-26T15:30:00+04:00", "\(laptop)")
            #expect(item["planned_end"] == "2025-11-26T17:00:00+04:00", "\(laptop)")
            let other = try forum.shown(laptop, ["item", "V10"])
            #expect(other["planned_start"] == "2025-11-26T16:20:00+04:00", "\(laptop)")
            #expect(try forum.conflicts(laptop).isEmpty, "\(laptop)")
        }
        if clock.hasPrefix("+") { try expectAnnotated(on: ["hq", "L3"], in: forum) }
    }

    /// The claimed times of a clock that ran ahead, where others read them.
    private func expectAnnotated(on laptops: [String], in forum: Forum) throws {
        for laptop in laptops {
            let text = try forum.must(laptop, "history", "item", "V09")
            #expect(text.contains("  ! its clock was at least "), "\(laptop): \(text)")
            let changes = try forum.operations(laptop, "item", "V09", column: "planned_start")
            #expect(
                changes.suffix(2).map { $0.clockAheadMilliseconds != nil } == [true, false],
                "\(laptop)")
        }
    }
}

extension Forum {
    /// Runs a command on a laptop whose clock is wrong by so much, such as `+3h`.
    @discardableResult
    func must(_ laptop: String, clock: String, _ arguments: [String]) throws -> String {
        let command = Programs.withClock(clock, [Programs.path("karvan")] + arguments)
        let finished = try Programs.run(
            command[0], Array(command.dropFirst()), in: directory,
            environment: [
                "KARVAN_REPLICA": "\(laptop).sqlite", "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            ])
        guard finished.status == 0 else {
            throw ProgramError(description: "karvan \(arguments) at \(clock): \(finished.errors)")
        }
        return finished.output
    }

    /// And expects `status` to tell how wrong the clock is.
    func syncWithWrongClock(_ laptop: String, _ clock: String) throws {
        try must(laptop, clock: clock, ["sync"])
        let hours = clock.hasSuffix("y") ? 10.0 * 365 * 24 : 3
        let ahead = clock.hasPrefix("+") ? hours : -hours
        let offset = try #require(try json(laptop, "status")["clock_offset_ms"] as? Int)
        #expect(abs(Double(-offset) / 3_600_000 - ahead) < 0.1, "\(offset)")
        let text = try must(laptop, "status")
        #expect(text.contains(ahead > 0 ? "min ahead of the hub" : "min behind the hub"), "\(text)")
    }
}

extension Programs {
    /// The command that runs a program under libfaketime, its clock wrong by so much.
    ///
    /// By the wrapper, for a preloaded library alone moves the environment, where the Swift runtime
    /// looks for the arguments. The wrapper names a semaphore after its process id and refuses to
    /// start when a wrapper of the same id was killed and left its own behind: that goes first.
    static func withClock(_ clock: String, _ program: [String]) -> [String] {
        let script = """
            rm -f "/dev/shm/sem.faketime_sem_$$" "/dev/shm/faketime_shm_$$"
            exec faketime "$@"
            """
        return ["/bin/sh", "-c", script, "sh", "-f", clock] + program
    }
}
