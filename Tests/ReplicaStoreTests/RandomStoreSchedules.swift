import Foundation
import Testing

/// KARVAN_STORE_SCHEDULES overrides how many schedules run, KARVAN_SEED where they start.
@Suite struct RandomStoreSchedules {
    private static var count: Int {
        #if DEBUG
            let usual = 60
        #else
            let usual = 300
        #endif
        return setting("KARVAN_STORE_SCHEDULES") ?? usual
    }

    private static func setting(_ name: String) -> Int? {
        ProcessInfo.processInfo.environment[name].flatMap { Int($0) }
    }

    @Test func `replicas in files agree with the definition, whatever people and shells did`()
        async
    {
        let start = ContinuousClock.now
        let first = Self.setting("KARVAN_SEED") ?? 1
        let seeds = first..<first + Self.count
        var counts: [String: Int] = [:]
        var problems: [String] = []
        await withTaskGroup(of: ([String: Int], [String]).self) { group in
            for start in stride(from: seeds.lowerBound, to: seeds.upperBound, by: 10) {
                let part = start..<min(start + 10, seeds.upperBound)
                group.addTask { Self.runPart(part) }
            }
            for await result in group {
                counts.merge(result.0, uniquingKeysWith: +)
                problems += result.1
            }
        }
        for problem in problems.prefix(5) { Issue.record(Comment(rawValue: problem)) }
        let summary = counts.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)" }
        print(
            "\(seeds.count) store schedules, \(problems.count) at fault, "
                + "\(ContinuousClock.now - start): \(summary.joined(separator: ", "))")
        #expect(counts.count >= 13 || seeds.count < 20, "something never came up")
    }

    private static func runPart(_ seeds: Range<Int>) -> ([String: Int], [String]) {
        var counts: [String: Int] = [:]
        var problems: [String] = []
        for seed in seeds {
            let name = "KARVAN_SEED=\(seed) KARVAN_STORE_SCHEDULES=1"
            do {
                let schedule = try StoreSchedule(seed: UInt64(seed))
                if let problem = try schedule.run() { problems.append("\(name): \(problem)") }
                counts.merge(schedule.counts, uniquingKeysWith: +)
            } catch {
                problems.append("\(name): \(error)")
            }
        }
        return (counts, problems)
    }
}
