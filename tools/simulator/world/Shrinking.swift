package import Foundation

/// Makes a scenario smaller while the same invariant is broken: laptops go first, then what people
/// do, then faults.
package struct Shrinking {
    private let isFailing: (Scenario) -> Bool
    private var best: Scenario
    /// How many plays are left.
    private var rest: Int

    /// - Parameters:
    ///   - scenario: one that fails.
    ///   - limit: the most plays.
    package init(
        _ scenario: Scenario, limit: Int = 400, isFailing: @escaping (Scenario) -> Bool
    ) {
        best = scenario
        rest = limit
        self.isFailing = isFailing
    }

    /// Makes smaller what broke an invariant.
    package init(_ report: Report, in folder: URL) {
        let invariant = report.violation?.invariant
        self.init(report.scenario) { scenario in
            World.play(scenario, in: folder).violation?.invariant == invariant
        }
    }

    package mutating func run() -> Scenario {
        var before: Int
        repeat {
            before = best.steps.count + best.laptopCount
            for laptop in (0..<best.laptopCount).reversed() { tryWithout(laptop: laptop) }
            dropPieces { !$0.deed.isFault }
            dropPieces { $0.deed.isFault }
        } while best.steps.count + best.laptopCount < before && rest > 0
        return best
    }

    private mutating func fails(_ scenario: Scenario) -> Bool {
        guard rest > 0 else { return false }
        rest -= 1
        guard isFailing(scenario) else { return false }
        best = scenario
        return true
    }

    private mutating func tryWithout(laptop: Int) {
        guard laptop < best.laptopCount, best.laptopCount > 2 else { return }
        var smaller = best
        smaller.laptopCount -= 1
        smaller.steps = best.steps.filter { $0.laptop != laptop }.map { step in
            var step = step
            if step.laptop > laptop { step.laptop -= 1 }
            return step
        }
        _ = fails(smaller)
    }

    /// Halves, quarters and so on, of those steps that `isChosen` names.
    private mutating func dropPieces(_ isChosen: (Step) -> Bool) {
        var size = max(best.steps.count { isChosen($0) } / 2, 1)
        while true {
            var start = 0
            while true {
                let places = best.steps.indices.filter { isChosen(best.steps[$0]) }
                guard start < places.count else { break }
                let gone = Set(places[start..<min(start + size, places.count)])
                var smaller = best
                smaller.steps = best.steps.enumerated().filter { !gone.contains($0.offset) }
                    .map(\.element)
                if !fails(smaller) { start += size }
            }
            if size == 1 { break }
            size /= 2
        }
    }
}
