/// What people do with one register: values are numbers.
package enum DecisionAct: Hashable, Sendable {
    /// Writes the value from what the register shows.
    case edit(Int)
    /// Settles an open conflict by the value.
    case settle(Int)
    /// Takes back one of the resolutions that live.
    case undo
    /// Takes back one of the undos that live.
    case again
}

/// What was written in one register, by whom, and what each author held by then.
///
/// It says what the merge has to give, from the rules of `Protocol/05-conflicts.md` alone: a set of
/// ops is a number with the bit of each, and all is reckoned from what authors were shown. It
/// shares no code with the engine.
package struct DecisionHistory: Sendable {
    package struct Op: Hashable, Sendable {
        package var act: DecisionAct
        /// `nil` for an undo.
        package var value: Int?
        /// The resolution that is taken back, or the undo that is.
        package var target: Int?
        /// What its author was shown of what lives.
        package var shown: Int
        package var over: Int
        package var covers: Int
        /// Greater values win where nobody compared them.
        package var rank: Int
    }

    /// How clocks run: they only ever break ties.
    package enum Clocks: CaseIterable, Sendable {
        /// What is written later is later.
        case advancing
        /// Of what doesn't know of each other, what is written later is earlier.
        case receding
        /// What doesn't know of each other may be of the same time.
        case frozen
    }

    package private(set) var shape = ScheduleShape()
    package private(set) var ops: [Op] = []
    package let clocks: Clocks
    private var depths: [Int] = []

    package init(clocks: Clocks) { self.clocks = clocks }

    package var count: Int { ops.count }

    /// The time of the op that would be written next, by someone who holds `past`; at least 1.
    package func time(after past: Int) -> Int {
        let depth = depth(after: past)
        return switch clocks {
        case .advancing: count + 1
        case .receding: depth * 16 - count
        case .frozen: depth
        }
    }

    private func depth(after past: Int) -> Int {
        1 + (members(past).map { depths[$0] }.max() ?? 0)
    }

    package func members(_ set: Int) -> [Int] { ops.indices.filter { set & 1 << $0 != 0 } }

    // MARK: What it has to give

    /// The definition: the ops less everything that is named in any over.
    package func live(_ set: Int) -> Int {
        members(set).reduce(set) { $0 & ~ops[$1].over }
    }

    package func resolutions(_ set: Int) -> Int { picked(set) { $0.isResolution } }
    package func puts(_ set: Int) -> Int { picked(set) { $0.value != nil && !$0.isResolution } }
    package func retracts(_ set: Int) -> Int { picked(set) { $0.value == nil } }

    private func picked(_ set: Int, _ isMeant: (Op) -> Bool) -> Int {
        members(set).reduce(0) { isMeant(ops[$1]) ? $0 | 1 << $1 : $0 }
    }

    /// Of what lives: the resolutions, and the puts that none of them covers.
    package func candidates(amongLive live: Int) -> Int {
        let settled = covers(resolutions(live))
        return resolutions(live) | puts(live) & ~settled
    }

    package func candidates(_ set: Int) -> Int { candidates(amongLive: live(set)) }

    package func covers(_ set: Int) -> Int { members(set).reduce(0) { $0 | ops[$1].covers } }

    package func values(_ set: Int) -> Set<Int> { Set(members(set).compactMap { ops[$0].value }) }

    /// Two or more distinct live values that no live resolution covers.
    package func isOpen(_ set: Int) -> Bool { values(candidates(set)).count > 1 }

    /// The candidate whose value is shown.
    package func winner(_ set: Int) -> Int? {
        members(candidates(set)).max { ops[$0].rank < ops[$1].rank }
    }

    /// What someone was shown who read the register as one value: the winner, its equals, and what
    /// those of them that are resolutions cover.
    private func plainView(_ set: Int) -> Int {
        guard let winner = winner(set) else { return 0 }
        let equals = picked(candidates(set)) { $0.value == ops[winner].value }
        return equals | covers(equals) & live(set)
    }

    /// What someone was shown who settles: all candidates, and what they cover.
    private func wholeView(_ set: Int) -> Int {
        live(set) & ~retracts(set)
    }

    // MARK: What people write

    /// The ops that `act` may write for someone who holds `past`; empty where there is nothing to
    /// settle, to undo or to make again.
    package func choices(_ act: DecisionAct, author: Int, past: Int) -> [Op] {
        let live = live(past)
        let rank = (time(after: past) * 4 + author) * 16 + count
        func op(_ value: Int?, target: Int? = nil, shown: Int, over: Int, covers: Int = 0) -> Op {
            Op(
                act: act, value: value, target: target, shown: shown,
                over: over | retracts(live), covers: covers, rank: rank)
        }
        switch act {
        case .edit(let value):
            let view = plainView(past)
            return [op(value, shown: view, over: view)]
        case .settle(let value):
            guard isOpen(past) else { return [] }
            return [
                op(
                    value, shown: wholeView(past), over: resolutions(live), covers: puts(live))
            ]
        case .undo:
            return members(resolutions(live)).map {
                op(nil, target: $0, shown: 1 << $0, over: 1 << $0)
            }
        case .again:
            return members(retracts(live)).map { undo in
                let decision = ops[undo].target!
                let covers = ops[decision].covers & live
                return op(
                    ops[decision].value, target: undo, shown: covers, over: 0, covers: covers)
            }
        }
    }

    package func adding(_ op: Op, author: Int, past: Int) -> Self {
        var next = self
        next.depths.append(depth(after: past))
        next.ops.append(op)
        next.shape.authors.append(author)
        next.shape.pasts.append(past)
        return next
    }

    /// In how many orders three replicas may write and receive this: each replica's own, since
    /// what happens at another replica in between makes no difference to it.
    package var scheduleCount: Int {
        (0..<3).reduce(1) { product, replica in
            var (set, count) = (0, product)
            for op in ops.indices where shape.authors[op] == replica {
                count *= shape.orderCount(from: set, to: shape.pasts[op])
                set = shape.pasts[op] | 1 << op
            }
            return count * shape.orderCount(from: set, to: shape.all)
        }
    }
}

extension DecisionHistory.Op {
    package var isResolution: Bool {
        switch act {
        case .settle, .again: true
        case .edit, .undo: false
        }
    }
}

extension DecisionHistory: CustomStringConvertible {
    package var description: String {
        let acts = ops.map { op in "\(op.act)" + (op.target.map { " of \($0)" } ?? "") }
        return "\(shape): \(acts.joined(separator: ", ")); clocks \(clocks)"
    }
}
