/// What must hold of whoever holds a set of ops, told by what their authors had seen.
extension DecisionHistory {
    /// What a replica says of the register.
    package struct Reading: Hashable, Sendable {
        package var live: Int
        package var candidates: Int
        package var isOpen: Bool
        package var shown: Int?

        package init(live: Int, candidates: Int, isOpen: Bool, shown: Int?) {
            self.live = live
            self.candidates = candidates
            self.isOpen = isOpen
            self.shown = shown
        }
    }

    /// What the definition gives.
    package func reading(_ set: Int) -> Reading {
        Reading(
            live: live(set), candidates: candidates(set), isOpen: isOpen(set),
            shown: winner(set))
    }

    /// - Returns: the first law that `reading` breaks for someone who holds `set`.
    package func brokenLaw(_ reading: Reading, at set: Int) -> String? {
        guard reading == self.reading(set) else {
            return "\(reading) is read, and the definition gives \(self.reading(set))"
        }
        for op in members(set) {
            let fault =
                droppedValue(op, reading, set) ?? lostDecision(op, reading, set)
                ?? missedSibling(op, reading) ?? wrongUndo(op, reading, set)
                ?? wrongAgain(op, reading, set) ?? outlivedEdit(op, reading)
            if let fault { return fault }
        }
        return disagreement(reading)
    }

    /// I6: a value that is gone was replaced by someone who was shown it.
    private func droppedValue(_ op: Int, _ reading: Reading, _ set: Int) -> String? {
        guard ops[op].value != nil, reading.live & 1 << op == 0 else { return nil }
        let isKnown = members(set).contains {
            shape.pasts[$0] & ops[$0].shown & ops[$0].over & 1 << op != 0
        }
        return isKnown ? nil : "op \(op) was dropped by nobody who was shown it"
    }

    /// I14: a resolution lives until someone who was shown it edits, settles or undoes it, and
    /// whatever it settled that still lives stays settled.
    private func lostDecision(_ op: Int, _ reading: Reading, _ set: Int) -> String? {
        guard ops[op].isResolution else { return nil }
        let isReplaced = members(set).contains { ops[$0].shown & 1 << op != 0 }
        guard isReplaced == (reading.live & 1 << op == 0) else {
            return "resolution \(op) lives is \(isReplaced), for someone was shown it and wrote"
        }
        guard !isReplaced else { return nil }
        guard reading.candidates & 1 << op != 0 else { return "resolution \(op) is no candidate" }
        let settled = puts(ops[op].shown) & reading.candidates
        return settled == 0 ? nil : "resolution \(op) settled \(members(settled)); they are back"
    }

    /// A value that a resolution's author had not seen stands beside it.
    private func missedSibling(_ op: Int, _ reading: Reading) -> String? {
        guard ops[op].isResolution, reading.live & 1 << op != 0 else { return nil }
        for late in members(puts(reading.live)) where shape.pasts[op] & 1 << late == 0 {
            let isSettled = members(resolutions(reading.live)).contains {
                ops[$0].shown & 1 << late != 0
            }
            guard !isSettled else { continue }
            guard reading.candidates & 1 << late != 0 else { return "late op \(late) is hidden" }
            guard reading.isOpen || ops[late].value == ops[op].value else {
                return "late op \(late) differs from resolution \(op), and nothing is open"
            }
        }
        return nil
    }

    /// An undo brings back what the resolution had settled, and nothing else.
    private func wrongUndo(_ op: Int, _ reading: Reading, _ set: Int) -> String? {
        guard ops[op].act == .undo, let decision = ops[op].target else { return nil }
        guard reading.live & 1 << decision == 0 else { return "undo \(op) undid nothing" }
        let before = shape.pasts[op]
        guard set == before | 1 << op else { return nil }
        guard reading.candidates == candidates(amongLive: live(before) & ~(1 << decision)) else {
            return "undo \(op) leaves \(members(reading.candidates))"
        }
        let known = shape.pasts[decision]
        guard before == known | 1 << decision, !isAgain(decision) else { return nil }
        // Nothing happened in between: all values that were settled are open again.
        let settled = puts(live(known))
        return reading.candidates == settled && reading.isOpen == (values(settled).count > 1)
            ? nil : "undo \(op) does not restore what resolution \(decision) had settled"
    }

    private func isAgain(_ op: Int) -> Bool { ops[op].act == .again }

    /// Taking an undo back decides as before.
    private func wrongAgain(_ op: Int, _ reading: Reading, _ set: Int) -> String? {
        guard isAgain(op), let undo = ops[op].target, let first = ops[undo].target else {
            return nil
        }
        guard ops[op].value == ops[first].value, reading.live & 1 << undo == 0 else {
            return "op \(op) does not take undo \(undo) back"
        }
        let isUnbroken =
            set == shape.pasts[op] | 1 << op && shape.pasts[op] == shape.pasts[undo] | 1 << undo
            && shape.pasts[undo] == shape.pasts[first] | 1 << first
        guard isUnbroken else { return nil }
        let before = self.reading(shape.pasts[undo])
        // The same but for the name of the decision.
        let renamed = before.candidates & ~(1 << first) | 1 << op
        return reading.candidates == renamed && reading.isOpen == before.isOpen
            ? nil : "op \(op) does not restore resolution \(first)"
    }

    /// Neither a resolution nor what it covers outlives an edit whose author was shown them, undone
    /// or not.
    private func outlivedEdit(_ op: Int, _ reading: Reading) -> String? {
        guard case .edit = ops[op].act else { return nil }
        let left = ops[op].shown & reading.live
        return left == 0 ? nil : "\(members(left)) outlived edit \(op)"
    }

    /// Equal decisions are no conflict, different ones are one.
    private func disagreement(_ reading: Reading) -> String? {
        let decisions = members(resolutions(reading.live))
        guard !decisions.isEmpty else { return nil }
        let decided = Set(decisions.map { ops[$0].value })
        if decided.count > 1, !reading.isOpen { return "decisions differ, and nothing is open" }
        let isAllSeen = members(puts(reading.live)).allSatisfy { put in
            decisions.contains { ops[$0].shown & 1 << put != 0 } || decided == [ops[put].value]
        }
        if decided.count == 1, isAllSeen, reading.isOpen {
            return "all decisions are equal, and their authors saw everything; yet it is open"
        }
        return nil
    }
}
