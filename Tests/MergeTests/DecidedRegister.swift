import Causality
import Merge
import TestSupport

/// A history of decisions as the merge sees it: the ops that it writes, and what everybody who may
/// hold some of them has.
struct DecidedRegister: Sendable {
    /// Told apart by their place; unlike each other in kind, too.
    static let values: [Value] = [.text("a"), .text("b"), .integer(-1)]
    static let key = CellKey(1)

    private(set) var history: DecisionHistory
    private var commits: [Commit] = []
    /// By set of ops: the laptop that holds it; `nil` where nobody can hold just that.
    private var laptops: [Laptop?] = [Laptop(heads: [0, 0, 0], skew: 0)]
    /// Of this history, not of those that it goes on from.
    private(set) var applications = 0
    private(set) var refusals = 0

    init(clocks: DecisionHistory.Clocks) { history = DecisionHistory(clocks: clocks) }

    /// Goes on to `next`, which has one op more: writes it by the product's rules, and hands it to
    /// everybody in every order.
    ///
    /// - Returns: what is wrong.
    mutating func go(on next: DecisionHistory) -> String? {
        let op = history.count
        let past = next.shape.pasts[op]
        guard let author = laptops[past] else { return "nobody holds what the author held" }
        guard let operation = write(next.ops[op], author.state) else {
            return "nothing was written by \(next.ops[op].act)"
        }
        let time = history.time(after: past)
        history = next
        (applications, refusals) = (0, 0)
        let number = next.shape.authors[op]
        commits.append(
            Commit(
                author: number,
                dot: Dot(Trio.stream(number), UInt64(author.heads[number] + 1)),
                time: HybridTime(milliseconds: Int64(time)), past: author.heads,
                operations: [operation]))
        return fault(in: operation, next.ops[op]) ?? deliver(op)
    }

    private func write(_ op: DecisionHistory.Op, _ state: RowState) -> Operation? {
        let key = Self.key
        switch op.act {
        case .edit(let value):
            return state.put(key, Self.values[value], basis: state.basis(of: key)).first
        case .settle(let value):
            let shown = RegisterFold(state[key]).candidates.map(\.dot)
            return state.settle(key, Self.values[value], shown: shown)
        case .undo:
            return op.target.flatMap { state.undo(resolution: commits[$0].dot, in: key) }
        case .again:
            guard let undo = op.target, let decision = history.ops[undo].target else { return nil }
            return state.decideAgain(
                undo: commits[undo].dot, of: commits[decision].operations[0].action, in: key)
        }
    }

    /// Over and covers are what the author was shown: never more and never less.
    private func fault(in operation: Operation, _ op: DecisionHistory.Op) -> String? {
        let value = op.value.map { Self.values[$0] }
        var covers: [Dot] = []
        if case .resolve(_, let dots) = operation.action { covers = dots }
        let isAsMeant =
            operation.action.value == value
            && set(operation.over) == op.over && set(covers) == op.covers
        return isAsMeant ? nil : "\(operation) is written, not \(op)"
    }

    /// The ops with these dots; -1 when one has no op.
    private func set(_ dots: [Dot]) -> Int {
        dots.reduce(0) { set, dot in
            guard let op = commits.firstIndex(where: { $0.dot == dot }) else { return -1 }
            return set | 1 << op
        }
    }

    /// All sets that hold `op`, each by every way into it.
    private mutating func deliver(_ op: Int) -> String? {
        let shape = history.shape
        laptops += [Laptop?](repeating: nil, count: 1 << op)
        for set in 0...shape.all {
            guard let laptop = laptops[set] else { continue }
            if set & 1 << op != 0, let fault = fault(laptop, set) { return fault }
            for other in 0...op
            where shape.isReady(other, at: set) && (set | 1 << other) & 1 << op != 0 {
                var next = laptop
                next.receive(commits[other])
                applications += 1
                if let known = laptops[set | 1 << other] {
                    guard known.state == next.state, known.heads == next.heads else {
                        return "the order matters: \(known.state) or \(next.state)"
                    }
                } else {
                    laptops[set | 1 << other] = next
                }
            }
        }
        return nil
    }

    private mutating func fault(_ laptop: Laptop, _ set: Int) -> String? {
        laptop.state.checkInvariants()
        let fold = RegisterFold(laptop.state[Self.key])
        fold.checkInvariants()
        let reading = DecisionHistory.Reading(
            live: self.set(laptop.state[Self.key].live.map(\.dot)),
            candidates: self.set(fold.candidates.map(\.dot)), isOpen: fold.isConflict,
            shown: fold.shown.flatMap { shown in
                commits.firstIndex { $0.dot == shown.dot }
            })
        if let broken = history.brokenLaw(reading, at: set) {
            return "who holds \(history.members(set)): \(broken)"
        }
        var again = laptop
        for op in history.members(set) { again.receive(commits[op]) }
        guard again.state == laptop.state else { return "a repetition changes the state" }
        return lateDecision(laptop.state, set)
    }

    /// Nobody settles what differs from what they were shown, and nobody takes back what lives no
    /// more.
    private mutating func lateDecision(_ state: RowState, _ set: Int) -> String? {
        let key = Self.key
        for op in history.members(set) {
            let (dot, isLive) = (commits[op].dot, history.live(set) & 1 << op != 0)
            let isUndone = state.undo(resolution: dot, in: key) != nil
            guard isUndone == (isLive && history.ops[op].isResolution) else {
                return "op \(op) can be undone is \(isUndone)"
            }
            if history.ops[op].act == .undo, let decision = history.ops[op].target {
                let action = commits[decision].operations[0].action
                let isMade = state.decideAgain(undo: dot, of: action, in: key) != nil
                guard isMade == isLive else { return "undo \(op) can be taken back is \(isMade)" }
            }
            // What the conflict was before this op came.
            guard let before = laptops[set & ~(1 << op)] else { continue }
            let shown = RegisterFold(before.state[key]).candidates.map(\.dot)
            let isSame = history.candidates(set & ~(1 << op)) == history.candidates(set)
            guard (state.settle(key, .null, shown: shown) != nil) == isSame else {
                return "op \(op) came, and settling goes on is \(!isSame)"
            }
            if !isSame { refusals += 1 }
        }
        return nil
    }
}
