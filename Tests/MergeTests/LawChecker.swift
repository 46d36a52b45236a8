import Causality
import Merge

/// Delivers changesets in every causal order, and holds the states against each other.
///
/// The states are kept by the set of what was delivered: each way into a set must give the same
/// state, which by induction says it of all orders, and of all ways to merge parts in turn.
struct LawChecker {
    let base: Laptop
    let commits: [Commit]

    /// - Returns: the law that is broken.
    func fault() -> String? {
        var laptops: [Int: Laptop] = [0: base]
        for set in 0..<(1 << commits.count) {
            guard let laptop = laptops[set] else { continue }
            laptop.state.checkInvariants()
            for (index, commit) in commits.enumerated() where set & 1 << index == 0 {
                guard laptop.isReady(for: commit) else { continue }
                var next = laptop
                next.receive(commit)
                if let fault = fault(from: laptop, to: next, commit) { return fault }
                if let other = laptops[set | 1 << index], other.state != next.state {
                    return "the order matters: \(other.state) or \(next.state)"
                }
                laptops[set | 1 << index] = next
            }
        }
        return laptops[(1 << commits.count) - 1] == nil ? "not everything arrived" : nil
    }

    private func fault(from laptop: Laptop, to next: Laptop, _ commit: Commit) -> String? {
        var again = next
        again.receive(commit)
        for old in commits where laptop.heads[old.author] >= Int(old.dot.seq) { again.receive(old) }
        guard again.state == next.state else { return "a repetition changes the state" }
        var twice = next.state
        for operation in commit.operations {
            twice.apply(operation, dot: commit.dot, time: commit.time)
        }
        guard twice == next.state else { return "an op applied twice changes the state" }
        let before = ops(laptop.state)
        guard ops(next.state).allSatisfy({ before.contains($0) || $0.dot == commit.dot }) else {
            return "what was replaced lives again"
        }
        return nil
    }

    private func ops(_ state: RowState) -> Set<CellDot> {
        Set(state.cells.flatMap { entry in entry.cell.live.map { CellDot(entry.key, $0.dot) } })
    }
}
