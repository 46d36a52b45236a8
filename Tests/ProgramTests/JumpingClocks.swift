import Foundation
import Testing

/// Clocks that are another time at every command, up to ten years ahead and behind, on laptops and
/// hub.
@Suite struct JumpingClocks {
    private let steps = repetitions("KARVAN_JUMPS", usually: 10)

    /// The ends in turn, and any day between them.
    private func clock(_ number: Int, _ random: inout CrashRandom) -> String {
        switch number % 4 {
        case 0: "+10y"
        case 1: "-10y"
        default:
            "\(Int.random(in: 0..<2, using: &random) == 0 ? "+" : "-")"
                + "\(Int.random(in: 0...3_650, using: &random))d"
        }
    }

    private func time(_ number: Int) -> String {
        let minute = number % (24 * 60)
        return String(format: "2025-11-26T%02d:%02d", minute / 60, minute % 60)
    }

    @Test func `clocks that jump by ten years lose nothing, decide nothing, and repeat nothing`()
        throws
    {
        let start = ContinuousClock.now
        let names = ["L1", "L2", "L3"]
        let forum = try Forum(small: names)
        let laptops = names.map { Laptop($0, forum) }
        var random = CrashRandom("clocks")
        var (acknowledged, lost, hubClocks) = (Set<String>(), Set<String>(), 0)
        for number in 0..<steps {
            if number % 3 == 0 {
                forum.stopHub(signal: SIGTERM)
                try forum.startHub(clock: clock(number / 3, &random))
                hubClocks += 1
            }
            let (laptop, clock) = (names[number % 3], clock(number, &random))
            try forum.must(laptop, clock: clock, ["sync"])
            if number > 0 {
                let seen = try forum.shown(laptop, ["item", "P07"])["planned_start"]
                #expect(seen == time(number - 1) + ":00+04:00", "\(number): \(laptop)")
            }
            let value = "planned_start=\(time(number))+04:00"
            try forum.must(laptop, clock: clock, ["set", "item", "P07", value])
            let badge = Forum.badges[number % 30]
            try forum.must(
                laptop, clock: clock, ["attend", "P07", badge, "--door", "c\(number)"])
            try forum.must(laptop, clock: clock, ["sync"])
            acknowledged.insert("c\(number)")
            let held = try forum.hubStore.doors()
            lost.formUnion(acknowledged.filter { held[$0] == nil })
        }
        // Nobody has seen the other's: whatever the clocks say, a person decides.
        for (laptop, clock) in zip(names, ["+10y", "-10y"]) {
            let value = "planned_end=2025-11-27T\(laptop == "L1" ? 10 : 11):00+04:00"
            try forum.must(laptop, clock: clock, ["set", "item", "P07", value])
        }
        for laptop in names + names { try forum.must(laptop, clock: "-10y", ["sync"]) }
        for laptop in names {
            #expect(try forum.conflicts(laptop).map(\.subject) == ["item P07 planned_end"])
        }
        let held = try forum.hubStore.doors()
        report(
            "clocks",
            [
                ("jumps", 4 * steps), ("of the hub", hubClocks),
                ("acknowledged", acknowledged.count), ("lost", lost.count),
                ("repeated", held.filter { $0.value != 1 }.count),
            ], since: start)
        #expect(lost.isEmpty, "\(lost)")
        try forum.expectAllEqual(laptops, holding: acknowledged)
    }
}
