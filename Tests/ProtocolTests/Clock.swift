import Causality

extension Kind {
    static let clock = Kind(
        name: "clock", answer: { try ClockKind.answer($0, $1) },
        vectors: { try ClockKind.vectors() })
}

/// The hybrid clock. All answers are by hand.
private enum ClockKind {
    static func answer(_ given: JSON, _ when: JSON) throws -> JSON {
        var clock = HybridClock(last: try given.member("last").time())
        var times: [JSON] = []
        for step in try when.items() {
            if let wall = step["next"] {
                _ = clock.next(wallMilliseconds: try wall.number())
            } else {
                clock.observe(
                    try step.member("observe").time(), wallMilliseconds: try step.number("wall"))
            }
            times.append(.time(clock.last))
        }
        return ["last": .array(times)]
    }

    private enum Step {
        case next(Int64)
        case observe(JSON, wall: Int64)

        var json: JSON {
            switch self {
            case .next(let wall): ["next": .number(wall)]
            case .observe(let time, let wall): ["observe": time, "wall": .number(wall)]
            }
        }
    }

    private static let now: Int64 = 1_764_000_000_000
    private static let top = (Int64(1) << 48) - 1

    private static func vector(
        _ name: String, from last: JSON = "0.0", _ steps: (Step, JSON)...
    ) throws -> Vector {
        try Vector(
            name, given: ["last": last], when: .array(steps.map(\.0.json)),
            expect: ["last": .array(steps.map(\.1))], by: .clock)
    }

    static func vectors() throws -> [Vector] { try writing() + taking() + together() }

    private static func writing() throws -> [Vector] {
        [
            try vector(
                "the first write takes the wall's millisecond", (.next(now), "1764000000000.0")),
            try vector(
                "writes of one millisecond count", (.next(now), "1764000000000.0"),
                (.next(now), "1764000000000.1"), (.next(now), "1764000000000.2")),
            try vector(
                "a wall that moves on starts counting anew", from: "1764000000000.7",
                (.next(now + 1), "1764000000001.0")),
            try vector(
                "a wall that goes back is not followed", from: "1764000000000.7",
                (.next(now - 1), "1764000000000.8"), (.next(now - 86_400_000), "1764000000000.9")),
            try vector(
                "a counter that overflows borrows the next millisecond",
                from: "1764000000000.65535",
                (.next(now), "1764000000001.0"), (.next(now), "1764000000001.1"),
                (.next(now + 1), "1764000000001.2"), (.next(now + 2), "1764000000002.0")),
            try vector("a wall of 0 still gives a time over 0", (.next(0), "0.1")),
            try vector("a wall before 1970 counts as 1970", (.next(-5), "0.1")),
            try vector("the least wall counts as 1970", (.next(.min), "0.1")),
            try vector(
                "a wall beyond 48 bits counts as the last millisecond",
                (.next(top + 1), "281474976710655.0"), (.next(.max), "281474976710655.1")),
            try vector(
                "the wall of the last millisecond", (.next(top), "281474976710655.0")),
            try vector(
                "the last time but one can still be followed", from: "281474976710655.65534",
                (.next(now), "281474976710655.65535")),
        ]
    }

    private static func taking() throws -> [Vector] {
        [
            try vector(
                "a remote time in the past changes nothing", from: "1764000000000.3",
                (.observe("1763999999999.9", wall: now), "1764000000000.3")),
            try vector(
                "a remote time of long ago changes nothing", from: "1764000000000.3",
                (.observe("1448640000000.0", wall: now), "1764000000000.3")),
            try vector(
                "a remote time that is greater is taken over with its counter",
                from: "1764000000000.3",
                (.observe("1764000000000.9", wall: now), "1764000000000.9")),
            try vector(
                "a remote time is taken over also when the wall is ahead of it",
                (.observe("1763999990000.4", wall: now), "1763999990000.4")),
            try vector(
                "a remote time of just under ten minutes ahead is taken over",
                (.observe("1764000599999.65535", wall: now), "1764000599999.65535")),
            try vector(
                "ten minutes ahead is taken over",
                (.observe("1764000600000.0", wall: now), "1764000600000.0")),
            try vector(
                "the counter of the bound itself is not taken over",
                (.observe("1764000600000.1", wall: now), "1764000600000.0")),
            try vector(
                "a remote time ten years ahead pulls ten minutes",
                (.observe("2079360000000.5", wall: now), "1764000600000.0")),
            try vector(
                "the greatest remote time pulls ten minutes",
                (.observe("281474976710655.65535", wall: now), "1764000600000.0")),
            try vector(
                "a local time beyond the bound is not pulled back", from: "2079360000000.5",
                (.observe("2079360000001.0", wall: now), "2079360000000.5")),
            try vector(
                "a wall before 1970 bounds at ten minutes after it",
                (.observe("1764000000000.0", wall: -1), "600000.0")),
            try vector(
                "the least wall bounds at ten minutes after 1970",
                (.observe("1764000000000.0", wall: .min), "600000.0")),
            try vector(
                "a bound beyond 48 bits is the last millisecond",
                (.observe("281474976710655.65535", wall: top), "281474976710655.0")),
            try vector(
                "a bound beyond 63 bits is the last millisecond",
                (.observe("281474976710655.7", wall: .max), "281474976710655.0")),
            try vector(
                "a remote time that equals the last changes nothing", from: "1764000000000.3",
                (.observe("1764000000000.3", wall: now), "1764000000000.3")),
        ]
    }

    private static func together() throws -> [Vector] {
        [
            try vector(
                "a reply to a remote write is later than it",
                (.observe("1764000300000.4", wall: now), "1764000300000.4"),
                (.next(now), "1764000300000.5")),
            try vector(
                "a reply to a clock ten years ahead may be earlier, and is not held up",
                (.observe("2079360000000.5", wall: now), "1764000600000.0"),
                (.next(now), "1764000600000.1")),
            try vector(
                "the bound moves with the wall",
                (.observe("2079360000000.5", wall: now), "1764000600000.0"),
                (.observe("2079360000000.5", wall: now + 1_000), "1764000601000.0"),
                (.next(now + 1_000), "1764000601000.1")),
            try vector(
                "a device ten years behind writes after what it took over",
                (.next(1_448_640_000_000), "1448640000000.0"),
                (.observe("1764000000000.0", wall: 1_448_640_000_000), "1448640600000.0"),
                (.next(1_448_640_000_001), "1448640600000.1")),
            try vector(
                "a wall that passes the pulled clock leads again",
                (.observe("1764000600000.0", wall: now), "1764000600000.0"),
                (.next(now + 600_001), "1764000600001.0")),
        ]
    }
}
