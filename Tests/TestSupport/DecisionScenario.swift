/// Acts whose every order, authorship and knowledge is to be tried on three replicas.
package struct DecisionScenario: Sendable, CustomStringConvertible {
    package var name: String
    package var acts: [DecisionAct]

    package var description: String { name }

    /// What issue and protocol name, each with two values that may clash.
    package static let named: [Self] = [
        Self("resolve, undo, undo of the undo", [.settle(0), .undo, .again]),
        Self("late sibling", [.settle(0), .edit(2)]),
        Self("late sibling of equal value", [.settle(0), .edit(0)]),
        Self("two equal resolutions, one undone", [.settle(0), .settle(0), .undo]),
        Self("two different resolutions, one undone", [.settle(0), .settle(1), .undo]),
        Self("two different resolutions and a third", [.settle(0), .settle(1), .settle(2)]),
        Self("late sibling or edit of a resolved cell, and undo", [.settle(0), .edit(2), .undo]),
        Self("two undos", [.settle(0), .undo, .undo]),
        Self("two equal resolutions, both undone", [.settle(0), .settle(0), .undo, .undo]),
        Self("equal resolutions, undo of the undo", [.settle(0), .settle(0), .undo, .again]),
    ]

    /// What the named ones come to when one more thing happens.
    package static let longer: [Self] = [
        Self("late sibling, undo, undo of the undo", [.settle(0), .edit(2), .undo, .again]),
        Self("late sibling, different resolutions", [.settle(0), .settle(1), .edit(2), .undo]),
        Self("different resolutions, undo of the undo", [.settle(0), .settle(1), .undo, .again]),
        Self("undone, made and undone again", [.settle(0), .undo, .again, .undo]),
        Self("two undos of an undo", [.settle(0), .undo, .again, .again]),
        Self("three equal resolutions, one undone", [.settle(0), .settle(0), .settle(0), .undo]),
    ]

    private init(_ name: String, _ acts: [DecisionAct]) {
        self.name = name
        self.acts = [.edit(0), .edit(1)] + acts
    }

    /// Every way to write one more op: any act that is left, by any replica, knowing anything that
    /// it can know. Replicas that have not written yet are as good as each other.
    package static func next(
        after history: DecisionHistory, of acts: [DecisionAct]
    ) -> [(history: DecisionHistory, left: [DecisionAct])] {
        var found: [(DecisionHistory, [DecisionAct])] = []
        for author in 0...min((history.shape.authors.max() ?? -1) + 1, 2) {
            for past in 0...history.shape.all where history.shape.isPast(past, of: author) {
                for (place, act) in acts.enumerated() where !acts[..<place].contains(act) {
                    var left = acts
                    left.remove(at: place)
                    for op in history.choices(act, author: author, past: past) {
                        found.append((history.adding(op, author: author, past: past), left))
                    }
                }
            }
        }
        return found
    }
}
