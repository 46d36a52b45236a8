import Foundation
import Simulation
import Testing

/// A part of what `tools/simulate` plays: with `KARVAN_FORUMS=few` half of it.
@Suite struct ManyForums {
    private static let firsts: [UInt64] =
        ProcessInfo.processInfo.environment["KARVAN_FORUMS"] == "few"
        ? [1_000_000] : [1_000_000, 2_000_000]

    private static let faults = [
        "kill", "lose what was not synced", "tear what was not synced", "full disk", "failed sync",
        "hub ends", "hub: kill", "hub: lose what was not synced", "hub: failed sync",
        "clock ahead", "clock behind", "clock stands still", "request lost", "reply lost",
        "request twice", "request late", "laptop lost",
    ]

    @Test(arguments: firsts)
    func `every promise is kept, and everything that can go wrong does`(_ first: UInt64) {
        var counts: [String: Int] = [:]
        for seed in first..<(first + 120) {
            let report = World.play(Scenario(drawnFrom: seed), in: memory)
            #expect(report.violation == nil, "tools/simulate --seeds 1 --from \(seed) --trace")
            counts.merge(report.counts, uniquingKeysWith: +)
        }
        for fault in Self.faults {
            #expect(counts["fault: \(fault)"] ?? 0 > 0, "\(fault) never happened")
        }
        for deed in Deed.allCases where !deed.isFault {
            #expect(counts[deed.rawValue] ?? 0 > 0, "nobody did \(deed.rawValue)")
        }
    }

    @Test func `a large forum keeps its promises`() {
        let report = World.play(
            Scenario(drawnFrom: 7, laptopCount: 40, stepCount: 600), in: memory)
        #expect(report.violation == nil)
        #expect(report.acknowledgedCount > 50)
    }

    @Test(arguments: [11, 12, 13] as [UInt64])
    func `a seed always plays the same`(_ seed: UInt64) {
        let scenario = Scenario(drawnFrom: seed)
        var traces: [[String]] = [[], []]
        let first = World.play(scenario, in: memory) { traces[0].append($0) }
        let second = World.play(scenario, in: memory) { traces[1].append($0) }
        #expect(traces[0] == traces[1])
        #expect(first.traceHash == second.traceHash)
        #expect(traces[0].count > scenario.steps.count)
    }
}

/// Files live in memory where the machine offers that.
let memory: URL = {
    let shared = URL(filePath: "/dev/shm")
    return FileManager.default.isWritableFile(atPath: shared.path)
        ? shared : FileManager.default.temporaryDirectory
}()
