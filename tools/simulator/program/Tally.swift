import Foundation
import Simulation

/// Figures over many forums.
struct Tally {
    var commit: String
    /// Of forums that were drawn one after the other.
    var firstSeed: UInt64?
    var forumCount = 0
    var stepCount = 0
    var laptopCount = 0
    var acknowledgedCount = 0
    var violationCount = 0
    var stallCount = 0
    var comparedCount = 0
    /// Forums that the oracle judged.
    var judgedCount = 0
    var differentCount = 0
    var seconds = 0.0
    /// Of the processor, in this process.
    var processorSeconds = 0.0
    var counts: [String: Int] = [:]
    private var failures: [(seed: UInt64, invariant: String)] = []

    init(commit: String, firstSeed: UInt64? = nil) {
        (self.commit, self.firstSeed) = (commit, firstSeed)
    }

    mutating func add(_ report: Report) {
        forumCount += 1
        stepCount += report.scenario.steps.count
        laptopCount += report.scenario.laptopCount
        acknowledgedCount += report.acknowledgedCount
        counts.merge(report.counts, uniquingKeysWith: +)
        guard let violation = report.violation else { return }
        violationCount += 1
        failures.append((report.scenario.seed, violation.invariant))
        if violation.invariant == "I13" { stallCount += 1 }
    }

    private var faults: [(name: String, count: Int)] {
        counts.filter { $0.key.hasPrefix("fault: ") }
            .map { (String($0.key.dropFirst("fault: ".count)), $0.value) }
            .sorted { $0.0 < $1.0 }
    }

    private var perHour: Double {
        processorSeconds > 0 ? Double(forumCount) / processorSeconds * 3_600 : 0
    }

    var text: String {
        var lines = counts.filter { !$0.key.hasPrefix("fault: ") }.sorted { $0.key < $1.key }
            .map { "  \($0.key) \($0.value)" }
        lines.insert("what people did:", at: 0)
        lines.append("faults that happened:")
        lines += faults.map { "  \($0.name) \($0.count)" }
        lines.append(
            """
            \(forumCount) forums, \(laptopCount) laptops, \(stepCount) steps, \
            \(acknowledgedCount) changes acknowledged
            \(comparedCount) run twice, \(judgedCount) judged by the oracle
            \(violationCount) violations, \(stallCount) stalls, \(differentCount) ran another way; \
            \(Int(seconds)) s, \(Int(perHour)) forums an hour of one core
            """)
        return lines.joined(separator: "\n")
    }

    var json: String {
        var object: [String: Any] = [
            "tool": "simulate", "commit": commit,
            "failures": failures.map {
                ["seed": $0.seed, "invariant": $0.invariant] as [String: Any]
            },
            "forums": forumCount, "laptops": laptopCount, "steps": stepCount,
            "acknowledged": acknowledgedCount, "violations": violationCount,
            "stalls": stallCount, "ran_another_way": differentCount, "run_twice": comparedCount,
            "judged": judgedCount,
            "seconds": seconds, "forums_per_core_hour": perHour,
            "faults": Dictionary(uniqueKeysWithValues: faults.map { ($0.name, $0.count) }),
            "deeds": counts.filter { !$0.key.hasPrefix("fault: ") },
        ]
        object["from"] = firstSeed
        let data = try? JSONSerialization.data(
            withJSONObject: object, options: [.sortedKeys, .prettyPrinted])
        return data.map { String(decoding: $0, as: UTF8.self) } ?? "{}"
    }
}
