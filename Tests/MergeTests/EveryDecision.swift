import Foundation
import Merge
import TestSupport
import Testing

/// Decisions that are made, differ, are taken back and made again, in all orders of acts and
/// deliveries on three replicas: each act by any replica, at any time, knowing anything that it can
/// know by then.
///
/// A run that waits in a park counts as delivered when it leaves the park. KARVAN_EXHAUSTIVE=1 adds
/// the longer scenarios.
@Suite struct EveryDecision {
    struct Tally: Sendable {
        var histories = 0
        var complete = 0
        var schedules = 0
        var applications = 0
        var refusals = 0
        var problems: [String] = []

        mutating func add(_ other: Tally) {
            histories += other.histories
            complete += other.complete
            schedules += other.schedules
            applications += other.applications
            refusals += other.refusals
            problems += other.problems
        }
    }

    private static var scenarios: [DecisionScenario] {
        let isWhole = ProcessInfo.processInfo.environment["KARVAN_EXHAUSTIVE"] == "1"
        return DecisionScenario.named + (isWhole ? DecisionScenario.longer : [])
    }

    @Test func `schedules are counted as by hand`() {
        var history = DecisionHistory(clocks: .advancing)
        for (author, act) in [DecisionAct.edit(0), .edit(1)].enumerated() {
            let op = history.choices(act, author: author, past: 0)[0]
            history = history.adding(op, author: author, past: 0)
        }
        // Each author receives one run, and the third replica two, in either order.
        #expect(history.scheduleCount == 2)
        let settled = history.choices(.settle(0), author: 2, past: 0b11)
        #expect(settled.count == 1)
        #expect(settled[0].covers == 0b11 && settled[0].over == 0)
        history = history.adding(settled[0], author: 2, past: 0b11)
        #expect(history.scheduleCount == 2, "whoever decides has both, and the others must")
        #expect(history.choices(.undo, author: 0, past: 0b1).isEmpty)
        #expect(history.choices(.undo, author: 0, past: 0b111).map(\.over) == [0b100])
    }

    @Test func `decisions hold in every order of acts and deliveries`() async {
        let start = ContinuousClock.now
        var total = Tally()
        for scenario in Self.scenarios {
            let tally = await Self.run(scenario)
            print(
                "\(scenario): \(tally.complete) histories with all acts, "
                    + "\(tally.schedules) schedules")
            #expect(tally.complete > 0, "\(scenario) never came to its end")
            total.add(tally)
        }
        for problem in total.problems.prefix(5) { Issue.record(Comment(rawValue: problem)) }
        #expect(total.refusals > 0)
        print(
            "\(total.schedules) schedules of decisions, in \(total.histories) histories and "
                + "\(total.applications) applications, \(total.refusals) late decisions refused, "
                + "\(total.problems.count) at fault, \(ContinuousClock.now - start)")
    }

    private static func run(_ scenario: DecisionScenario) async -> Tally {
        var total = Tally()
        await withTaskGroup(of: Tally.self) { group in
            for clocks in DecisionHistory.Clocks.allCases {
                group.addTask {
                    var tally = Tally()
                    explore(DecidedRegister(clocks: clocks), scenario.acts, &tally)
                    return tally
                }
            }
            for await tally in group { total.add(tally) }
        }
        return total
    }

    private static func explore(
        _ register: DecidedRegister, _ acts: [DecisionAct], _ tally: inout Tally
    ) {
        for (next, left) in DecisionScenario.next(after: register.history, of: acts) {
            var register = register
            tally.histories += 1
            if let problem = register.go(on: next) {
                tally.problems.append("\(next): \(problem)")
                continue
            }
            tally.applications += register.applications
            tally.refusals += register.refusals
            if left.isEmpty {
                tally.complete += 1
                tally.schedules += next.scheduleCount
            } else {
                explore(register, left, &tally)
            }
        }
    }
}
