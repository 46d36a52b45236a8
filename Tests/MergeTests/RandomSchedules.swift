import Foundation
import Merge
import Testing

/// KARVAN_SCHEDULES overrides how many schedules run, KARVAN_SEED where they start.
@Suite struct RandomSchedules {
    private static var count: Int {
        #if DEBUG
            let usual = 5_000
        #else
            let usual = 100_000
        #endif
        return setting("KARVAN_SCHEDULES") ?? usual
    }

    private static func setting(_ name: String) -> Int? {
        ProcessInfo.processInfo.environment[name].flatMap { Int($0) }
    }

    @Test func `every replica agrees with the definition after every step, whatever the order`()
        async
    {
        let start = ContinuousClock.now
        let first = Self.setting("KARVAN_SEED") ?? 1
        let seeds = first..<first + Self.count
        let (tally, problems) = await Self.run(seeds)
        for problem in problems.prefix(5) { Issue.record(Comment(rawValue: problem)) }
        let counts = tally.counts.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)" }
        print(
            "\(seeds.count) schedules, \(tally.commits) changesets, \(problems.count) at fault, "
                + "\(ContinuousClock.now - start): \(counts.joined(separator: ", "))")
        let kinds = [
            "delete", "element", "exchange", "form opened", "form saved",
            "form saved after a delete", "put", "put into a hidden row", "restore", "settled",
            "settled from a form", "undo undone", "undone",
        ]
        if seeds.count >= 1_000 {
            for kind in kinds { #expect(tally.counts[kind] ?? 0 > 0, "no \(kind) came up") }
        }
    }

    private static func run(_ seeds: Range<Int>) async -> (Tally, [String]) {
        let share = 250
        return await withTaskGroup(of: (Tally, [String]).self) { group in
            for start in stride(from: seeds.lowerBound, to: seeds.upperBound, by: share) {
                let part = start..<min(start + share, seeds.upperBound)
                group.addTask { runPart(part) }
            }
            var result = (Tally(), [String]())
            for await (tally, problems) in group {
                result.0.add(tally)
                result.1 += problems
            }
            return result
        }
    }

    private static func runPart(_ seeds: Range<Int>) -> (Tally, [String]) {
        var result = (Tally(), [String]())
        for seed in seeds {
            var schedule = Schedule(seed: UInt64(seed))
            if let problem = schedule.run() {
                result.1.append("KARVAN_SEED=\(seed) KARVAN_SCHEDULES=1: \(problem)")
            }
            result.0.add(schedule.tally)
        }
        return result
    }
}
