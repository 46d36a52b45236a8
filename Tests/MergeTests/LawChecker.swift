import Causality
import Merge

/// Delivers changesets in every causal order, and holds the states against each other.
///
/// The states are kept by the set of what was delivered: each way into a set must give the same
/// state, which by induction says it of all orders, and of all ways to merge parts in turn.
struct LawChecker {
    let base: Laptop
    let commits: [Commit]

    /// - Parameter isMerging: whether all pairs and triples of the states are merged as well, and
    ///   each column type's value checks itself.
    /// - Returns: the law that is broken.
    func fault(isMerging: Bool = false) -> String? {
        var laptops: [Int: Laptop] = [0: base]
        for set in 0..<(1 << commits.count) {
            guard let laptop = laptops[set] else { continue }
            laptop.state.checkInvariants()
            if isMerging {
                for family in DeedFamily.all { family.checkInvariants(laptop.state) }
            }
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
        guard laptops[(1 << commits.count) - 1] != nil else { return "not everything arrived" }
        guard isMerging else { return nil }
        let states = laptops.keys.sorted().compactMap { laptops[$0] }
        return pairFault(states) ?? tripleFault(states)
    }

    /// What two replicas are that exchange all they have: `a` takes what it lacks of `b`.
    private func merged(_ a: Laptop, _ b: Laptop) -> Laptop {
        var result = a
        for commit in commits where Int(commit.dot.seq) <= b.heads[commit.author] {
            result.receive(commit)
        }
        return result
    }

    private func pairFault(_ states: [Laptop]) -> String? {
        for (index, a) in states.enumerated() {
            guard merged(a, a).state == a.state else { return "merging is not idempotent" }
            for b in states[index...] {
                let both = merged(a, b)
                guard both.state == merged(b, a).state else { return "merging is not commutative" }
                // Nothing is known less after a merge, and what was replaced stays so.
                guard zip(both.heads, a.heads).allSatisfy({ $0 >= $1 }),
                    merged(both, a).state == both.state, merged(a, both).state == both.state,
                    keepsReplaced(both, from: a), keepsReplaced(both, from: b)
                else { return "merging is not inflationary" }
            }
        }
        return nil
    }

    private func keepsReplaced(_ both: Laptop, from a: Laptop) -> Bool {
        let lived = ops(a.state)
        return ops(both.state).allSatisfy { op in
            let author = (0..<3).first { Trio.stream($0) == op.dot.stream }
            let isHeld = author.map { a.heads[$0] >= Int(op.dot.seq) } ?? false
            return !isHeld || lived.contains(op)
        }
    }

    private func tripleFault(_ states: [Laptop]) -> String? {
        for a in states {
            for b in states {
                for c in states
                where merged(merged(a, b), c).state != merged(a, merged(b, c)).state {
                    return "merging is not associative"
                }
            }
        }
        return nil
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
