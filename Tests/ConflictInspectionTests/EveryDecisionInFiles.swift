import Foundation
import TestSupport
import Testing

/// A part of what `EveryDecision` enumerates in memory, on replicas in files.
///
/// KARVAN_SEED picks which part; KARVAN_DECISION_SHAPES says how many shapes, 20 unless told.
@Suite struct EveryDecisionInFiles {
    private static func setting(_ name: String) -> Int? {
        ProcessInfo.processInfo.environment[name].flatMap { Int($0) }
    }

    /// Every history with all acts of a named scenario, by who writes and what they know.
    private static func histories() -> [ScheduleShape: [DecisionHistory]] {
        var found: [ScheduleShape: [DecisionHistory]] = [:]
        func explore(_ history: DecisionHistory, _ acts: [DecisionAct]) {
            guard !acts.isEmpty else {
                found[history.shape, default: []].append(history)
                return
            }
            for (next, left) in DecisionScenario.next(after: history, of: acts)
            where !isIdle(next) {
                explore(next, left)
            }
        }
        for scenario in DecisionScenario.named {
            explore(DecisionHistory(clocks: .advancing), scenario.acts)
        }
        return found
    }

    /// An edit of what shows that value already, and alone, is not written.
    private static func isIdle(_ history: DecisionHistory) -> Bool {
        guard let op = history.ops.last, case .edit(let value) = op.act else { return false }
        let past = history.shape.pasts[history.count - 1]
        let shown = history.winner(past).flatMap { history.ops[$0].value }
        return shown == value && !history.isOpen(past)
    }

    @Test func `decisions in files are those of the model`() throws {
        let start = ContinuousClock.now
        let all = Self.histories().sorted { "\($0.key)" < "\($1.key)" }.map(\.value)
        let count = Self.setting("KARVAN_DECISION_SHAPES") ?? 20
        // Half of the replicas' work for shapes in which much may happen, half for the others.
        let parts =
            Self.spread(all.filter { $0.count >= 8 }, count / 2)
            + Self.spread(all.filter { $0.count < 8 }, count - count / 2)
        var (histories, refused) = (0, 0)
        var acts: Set<DecisionAct> = []
        for part in parts {
            let fleet = try DecisionFleet(part)
            let problem = try fleet.run()
            #expect(problem == nil)
            histories += part.count
            refused += fleet.refusedRuns
            for history in part { acts.formUnion(history.ops.map(\.act)) }
        }
        #expect(count < 12 || refused > 0 && acts.isSuperset(of: [.settle(1), .undo, .again]))
        print(
            "\(histories) histories of decisions in files, in \(parts.count) of \(all.count) shapes, "
                + "\(refused) early runs refused, \(ContinuousClock.now - start)")
    }

    private static func spread<Part>(_ parts: [Part], _ count: Int) -> [Part] {
        let first = setting("KARVAN_SEED") ?? 0
        return (0..<min(count, parts.count)).map {
            parts[(first + $0 * parts.count / count) % parts.count]
        }
    }
}
