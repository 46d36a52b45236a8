import Causality
import TestSupport
import Testing

@Suite struct Clocks {
    private static let now: Int64 = 1_764_000_000_000
    private static let decade: Int64 = 10 * 365 * 86_400_000

    @Test func `times rise strictly, whatever the wall clock does`() {
        var generator = SplitMix64(seed: 1)
        for _ in 0..<50 {
            var clock = HybridClock()
            var (wall, last) = (Self.now, HybridTime(rawValue: 0))
            for _ in 0..<2_000 {
                switch generator.below(8) {
                case 0: wall += Self.decade
                case 1: wall -= Self.decade
                case 2: wall += Int64(generator.below(1_000))
                case 3:
                    clock.observe(
                        HybridTime(
                            milliseconds: wall + Int64(generator.below(2_000_000)) - 1_000_000),
                        wallMilliseconds: wall)
                case 4: wall = [0, -1, -Self.decade, Self.now, Self.now + 1][generator.below(5)]
                default: break
                }
                let time = clock.next(wallMilliseconds: wall)
                #expect(time > last)
                #expect(time >= HybridTime(milliseconds: wall))
                #expect(clock.last == time)
                last = time
            }
        }
    }

    @Test func `a clock that goes back ten years counts on, and follows the wall when it is back`()
    {
        var clock = HybridClock()
        let before = clock.next(wallMilliseconds: Self.now)
        let during = clock.next(wallMilliseconds: Self.now - Self.decade)
        #expect(during.rawValue == before.rawValue + 1)
        #expect(clock.next(wallMilliseconds: Self.now + 1).milliseconds == Self.now + 1)
    }

    @Test func `a frozen clock gives more than 65,536 times, which run into the next millisecond`()
    {
        var clock = HybridClock()
        let first = clock.next(wallMilliseconds: Self.now)
        var last = first
        for _ in 0..<70_000 {
            let next = clock.next(wallMilliseconds: Self.now)
            #expect(next > last)
            last = next
        }
        #expect(last.rawValue == first.rawValue + 70_000)
        #expect(last.milliseconds == Self.now + 1)
    }

    @Test func `a remote time pulls no further than ten minutes ahead of the wall`() {
        let limit = HybridClock.lookaheadMilliseconds
        #expect(limit == 600_000)
        for (ahead, expected) in [
            (0, 0), (1, 1), (limit - 1, limit - 1), (limit, limit), (limit + 1, limit),
            (Self.decade, limit),
        ] as [(Int64, Int64)] {
            var clock = HybridClock()
            clock.observe(
                HybridTime(milliseconds: Self.now + ahead), wallMilliseconds: Self.now)
            #expect(clock.last == HybridTime(milliseconds: Self.now + expected))
            #expect(
                clock.next(wallMilliseconds: Self.now)
                    >= HybridTime(milliseconds: Self.now + expected))
        }
    }

    @Test func `a remote time never pulls back, and an old one changes nothing`() {
        var clock = HybridClock()
        let last = clock.next(wallMilliseconds: Self.now)
        clock.observe(HybridTime(milliseconds: Self.now - 1), wallMilliseconds: Self.now)
        #expect(clock.last == last)
        // Set ahead itself, a clock keeps what it has given.
        clock.observe(
            HybridTime(rawValue: .max), wallMilliseconds: Self.now - Self.decade)
        #expect(clock.last == last)
    }

    private static let edges: [Int64] = [.min, -1, 0, 1, 1 << 48 - 1, 1 << 48, .max - 1, .max]

    @Test(arguments: edges)
    func `a wall clock at the edge of numbers stops nothing`(wall: Int64) {
        var clock = HybridClock()
        clock.observe(HybridTime(milliseconds: wall), wallMilliseconds: wall)
        clock.observe(HybridTime(rawValue: 5), wallMilliseconds: wall)
        let first = clock.next(wallMilliseconds: wall)
        #expect(clock.next(wallMilliseconds: wall) > first)
        #expect((0..<1 << 48).contains(first.milliseconds))
    }

    @Test func `the first time of all is one, not none`() {
        var clock = HybridClock()
        #expect(clock.last.rawValue == 0)
        #expect(clock.next(wallMilliseconds: 0).rawValue == 1)
    }

    @Test func `milliseconds and counter take 48 and 16 bits`() {
        #expect(HybridTime(milliseconds: 1).rawValue == 65_536)
        #expect(HybridTime(milliseconds: -5) == HybridTime(rawValue: 0))
        for beyond in [Int64(1) << 48 - 1, 1 << 48, 1 << 48 + 1, .max] {
            #expect(HybridTime(milliseconds: beyond).milliseconds == (1 << 48) - 1)
        }
        #expect(HybridTime(rawValue: 3 << 16 | 7).description == "3.7")
        #expect(HybridTime(rawValue: .max).milliseconds == (1 << 48) - 1)
    }
}
