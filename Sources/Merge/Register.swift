public import Causality

/// How a register picks the value that it shows. It is a fold, never an op that is written.
public enum RegisterPolicy: Hashable, Sendable {
    /// The candidate with the greatest (time, stream, seq), of those that can be read if there are any.
    case latest
    /// The least integer, while all candidates are integers no more than `tolerance` apart (both
    /// ends included); otherwise as ``latest``.
    case earliest(within: Int64)
}

/// A register as it reads: what is shown, and what else stands beside it.
public struct RegisterFold: Hashable, Sendable {
    /// The live resolutions, and the live puts that none of them covers, sorted by dot.
    public let candidates: [LiveOp]
    /// The live puts that a live resolution covers: settled, and kept with their authors.
    public let covered: [LiveOp]
    /// The candidate whose value is shown; `nil` for a cell without a value.
    public let shown: LiveOp?
    /// Two or more candidates with distinct values. What nobody can read is none.
    public let isConflict: Bool
    /// A conflict whose candidates lie within the tolerance of the policy.
    public let isWithinTolerance: Bool

    public init(_ cell: Cell, policy: RegisterPolicy = .latest) {
        self.init(cell.live, policy: policy)
    }

    public init(_ live: [LiveOp], policy: RegisterPolicy = .latest) {
        var settled: [Dot] = []
        var isAllPuts = true
        for op in live {
            guard case .put = op.action else {
                isAllPuts = false
                if case .resolve(_, let covers) = op.action { settled += covers }
                continue
            }
        }
        (candidates, covered) =
            isAllPuts ? (live, []) : Self.sort(live, settled: settled)
        let candidates = candidates
        // Mostly all can be read, and nothing is copied.
        let areLegible = candidates.allSatisfy { $0.action.value?.isUnreadable == false }
        let legible =
            areLegible ? candidates : candidates.filter { $0.action.value?.isUnreadable == false }
        isConflict = legible.contains { $0.action.value != legible[0].action.value }
        let earliest = Self.earliest(candidates, policy)
        isWithinTolerance = isConflict && earliest != nil
        shown = earliest ?? (legible.isEmpty ? candidates : legible).max { $0.yields(to: $1) }
    }

    private static func sort(
        _ live: [LiveOp], settled: [Dot]
    ) -> (candidates: [LiveOp], covered: [LiveOp]) {
        var candidates: [LiveOp] = []
        var covered: [LiveOp] = []
        for op in live {
            switch op.action {
            case .resolve: candidates.append(op)
            case .put where settled.contains(op.dot): covered.append(op)
            case .put: candidates.append(op)
            case .retract, .delete: continue
            }
        }
        return (candidates, covered)
    }

    private static func earliest(_ candidates: [LiveOp], _ policy: RegisterPolicy) -> LiveOp? {
        guard case .earliest(let tolerance) = policy, let first = candidates.first else {
            return nil
        }
        var (least, low, high) = (first, Int64.max, Int64.min)
        for op in candidates {
            guard case .integer(let value) = op.action.value else { return nil }
            if value < low || value == low && least.yields(to: op) { least = op }
            low = min(low, value)
            high = max(high, value)
        }
        let (spread, overflow) = high.subtractingReportingOverflow(low)
        return !overflow && spread <= tolerance ? least : nil
    }

    /// What someone saw who was shown this register as a plain value: the winner, its equals, and
    /// what a shown resolution covers. Sorted.
    public var shownDots: [Dot] {
        guard let shown else { return [] }
        return dots(shownWith: candidates.filter { $0.action.value == shown.action.value })
    }

    /// What someone saw who was shown every candidate: the person who settles a conflict. Sorted.
    public var allDots: [Dot] { dots(shownWith: candidates) }

    private func dots(shownWith ops: [LiveOp]) -> [Dot] {
        var settled: [Dot] = []
        for op in ops {
            if case .resolve(_, let covers) = op.action { settled += covers }
        }
        return (ops + covered.filter { settled.contains($0.dot) }).map(\.dot).sorted()
    }

    public func checkInvariants() {
        for ops in [candidates, covered] {
            for (a, b) in zip(ops, ops.dropFirst()) {
                precondition(a.dot < b.dot, "live ops \(a.dot) and \(b.dot) are out of order")
            }
        }
        precondition(
            !covered.contains { candidates.contains($0) }, "a candidate is covered as well")
        precondition(candidates.isEmpty == (shown == nil), "candidates are there, and none shown")
        precondition(shown.map(candidates.contains) ?? true, "what is shown is no candidate")
        precondition(!isConflict || candidates.count > 1, "a single candidate is in conflict")
        precondition(isConflict || !isWithinTolerance, "agreement has no tolerance")
    }
}
