import Causality
import Merge
import Testing

/// A resolution from its first day to its last.
@Suite struct SettlingConflicts {
    private let key = CellKey(1)

    /// Laptops 0 and 1 disagree, and everybody knows.
    private func quarrel() -> Trio {
        var trio = Trio()
        trio.put(0, key, .text("a"))
        trio.put(1, key, .text("b"))
        trio.meet()
        return trio
    }

    private func isOpen(_ trio: Trio, _ laptop: Int = 0) -> Bool {
        trio.fold(laptop, key).isConflict
    }

    @Test func `settling shows the value and keeps the siblings with their authors`() {
        var trio = quarrel()
        #expect(isOpen(trio))
        let settled = trio.resolve(2, key, .text("c"))
        trio.meet()
        for laptop in 0..<3 {
            let fold = trio.fold(laptop, key)
            #expect(!fold.isConflict)
            #expect(fold.shown?.dot == settled.dot)
            #expect(trio.shown(laptop, key) == .text("c"))
            #expect(fold.covered.map(\.dot.stream) == [Trio.stream(0), Trio.stream(1)])
            // The resolution is its laptop's first op, after those that it covers.
            let shown = (0..<3).map { Dot(Trio.stream($0), 1) }
            #expect(fold.allDots == shown)
            #expect(fold.shownDots == shown)
        }
    }

    @Test func `the candidates that were shown may be named in any order`() {
        let trio = quarrel()
        let shown = trio.fold(0, key).candidates.map(\.dot)
        #expect(shown.count == 2)
        for order in [shown, shown.reversed()] {
            #expect(trio.state(0).settle(key, .text("c"), shown: order) != nil)
        }
        #expect(trio.state(0).settle(key, .text("c"), shown: [shown[0]]) == nil)
    }

    @Test func `a basis names what was shown and what has no value, by dot`() {
        let dots = (0..<3).map { Dot(Trio.stream($0), 1) }
        var state = RowState()
        for (dot, action) in zip(dots, [Action.put(.text("a")), .retract, .put(.text("a"))]) {
            let operation = Operation(key, action)
            state.apply(operation, dot: dot, time: HybridTime(milliseconds: 1))
        }
        #expect(state.basis(of: key) == dots)
    }

    @Test func `undo brings the siblings back, and undoing that settles again`() throws {
        var trio = quarrel()
        let settled = trio.resolve(2, key, .text("a"))
        trio.meet()
        trio.undo(0, settled.dot, in: key)
        trio.meet()
        #expect(isOpen(trio, 1))
        #expect(trio.shown(1, key) == .text("b"))
        #expect(trio.fold(1, key).candidates.count == 2)
        guard case .resolve(let value, let covers) = settled.operations[0].action else { return }
        let again = trio.write(1) { [$0.resolve(self.key, value, basis: covers)] }
        trio.meet()
        for laptop in 0..<3 {
            #expect(!isOpen(trio, laptop))
            #expect(trio.fold(laptop, key).shown?.dot == again?.dot)
            #expect(trio.fold(laptop, key).covered.count == 2)
            #expect(trio.state(laptop)[key].retracts == [], "the undo has been replaced")
        }
        // And once more.
        trio.undo(2, try #require(again).dot, in: key)
        trio.meet()
        #expect(isOpen(trio))
        #expect(trio.state(0)[key].live.count == 3)
    }

    @Test func `an undo of what lives no more writes nothing`() {
        var trio = quarrel()
        let settled = trio.resolve(2, key, .text("a"))
        trio.meet()
        trio.put(0, key, .text("edited"))
        trio.meet()
        #expect(trio.state(1).undo(resolution: settled.dot, in: key) == nil)
        #expect(trio.state(1).undo(resolution: trio.commits[0].dot, in: key) == nil)
    }

    @Test func `a sibling that comes late reopens the conflict by itself`() {
        var trio = Trio()
        trio.put(0, key, .text("a"))
        trio.give(from: 0, to: 1)
        trio.write(1) { $0.put(self.key, .text("b"), basis: []) }
        trio.give(from: 1, to: 0)
        // Laptop 2 was away, and wrote too.
        trio.put(2, key, .text("late"))
        let settled = trio.resolve(0, key, .text("a"))
        trio.give(from: 0, to: 1)
        #expect(!isOpen(trio, 1))
        trio.meet()
        for laptop in 0..<3 {
            let fold = trio.fold(laptop, key)
            #expect(fold.isConflict)
            #expect(Set(fold.candidates.map(\.dot)) == [settled.dot, trio.commits[2].dot])
            #expect(fold.covered.count == 2)
        }
        // Settling again covers all three, and is the only candidate.
        trio.resolve(1, key, .text("late"))
        trio.meet()
        #expect(!isOpen(trio))
        #expect(trio.fold(0, key).candidates.count == 1)
        #expect(trio.fold(0, key).covered.count == 3)
    }

    @Test func `a late sibling of equal value is no conflict`() {
        var trio = quarrel()
        trio.write(2) { $0.put(self.key, .text("a"), basis: []) }
        trio.resolve(0, key, .text("a"))
        trio.meet()
        #expect(trio.fold(1, key).candidates.count == 2)
        #expect(!isOpen(trio, 1))
        // An edit was shown both, and replaces everything.
        trio.put(1, key, .text("new"))
        trio.meet()
        #expect(trio.state(0)[key].live.map(\.action) == [.put(.text("new"))])
    }

    @Test func `two equal resolutions at the same time settle it`() {
        var trio = quarrel()
        trio.resolve(0, key, .text("a"))
        trio.resolve(1, key, .text("a"))
        trio.meet()
        #expect(!isOpen(trio))
        #expect(trio.fold(2, key).candidates.count == 2)
        #expect(trio.fold(2, key).shownDots.count == 4, "both, and the two that they cover")
    }

    @Test func `two different resolutions at the same time are a conflict of resolutions`() {
        var trio = quarrel()
        trio.resolve(0, key, .text("a"))
        trio.resolve(1, key, .text("b"))
        trio.meet()
        let fold = trio.fold(2, key)
        #expect(fold.isConflict)
        #expect(fold.candidates.count == 2)
        #expect(fold.covered.count == 2)
        trio.resolve(2, key, .text("b"))
        trio.meet()
        #expect(!isOpen(trio))
        #expect(trio.fold(0, key).candidates.count == 1)
        #expect(trio.fold(0, key).covered.count == 2, "settling ends")
    }

    @Test func `undoing one of two equal resolutions leaves the other`() {
        var trio = quarrel()
        let first = trio.resolve(0, key, .text("a"))
        trio.resolve(1, key, .text("a"))
        trio.meet()
        trio.undo(2, first.dot, in: key)
        trio.meet()
        #expect(!isOpen(trio))
        #expect(trio.fold(0, key).covered.count == 2)
    }

    @Test func `an edit of a resolved cell while another undoes loses neither`() {
        var trio = quarrel()
        let settled = trio.resolve(2, key, .text("a"))
        trio.meet()
        let edit = trio.put(0, key, .text("edited"))
        trio.undo(1, settled.dot, in: key)
        trio.meet()
        for laptop in 0..<3 {
            // The editor was shown the siblings under the resolution: they are replaced.
            let fold = trio.fold(laptop, key)
            #expect(fold.candidates.map(\.dot) == [edit.dot])
            #expect(!fold.isConflict)
        }
        #expect(edit.operations[0].over.count == 3)
    }

    @Test func `an edit by someone who was shown only the winner keeps the loser`() {
        var trio = quarrel()
        let edit = trio.put(2, key, .text("c"))
        #expect(edit.operations[0].over == [trio.commits[1].dot], "b was the winner")
        trio.meet()
        #expect(isOpen(trio))
        #expect(Set(trio.fold(0, key).candidates.map(\.action.value)) == [.text("a"), .text("c")])
    }

    @Test func `a resolution that replaces another covers what that covered`() {
        var trio = quarrel()
        let settled = trio.resolve(2, key, .text("a"))
        trio.meet()
        // Only the resolution itself is named.
        let operation = trio.state(0).resolve(key, .text("b"), basis: [settled.dot])
        #expect(operation.over == [settled.dot])
        #expect(
            operation.action
                == .resolve(.text("b"), covers: [trio.commits[0].dot, trio.commits[1].dot]))
    }

    @Test func `a resolution is a candidate even if another says that it covers it`() {
        var trio = quarrel()
        let settled = trio.resolve(2, key, .text("a"))
        trio.meet()
        trio.write(0) { _ in
            [Operation(self.key, .resolve(.text("b"), covers: [settled.dot]))]
        }
        trio.meet()
        #expect(trio.fold(1, key).candidates.count == 2)
        #expect(isOpen(trio, 1))
    }

    @Test func `a delete covers what a resolution covers, and a restore brings all back`() {
        var trio = quarrel()
        trio.resolve(2, key, .text("a"))
        trio.meet()
        let before = trio.state(0)[key]
        trio.write(0) { [$0.delete()] }
        trio.meet()
        #expect(LifeFold(trio.state(1)).isHidden)
        trio.write(1) { $0.restore().map { [$0] } ?? [] }
        trio.meet()
        #expect(!LifeFold(trio.state(2)).isHidden)
        #expect(trio.state(2)[key] == before)
    }

    @Test func `a form that was opened before a delete meets it as a conflict`() {
        var trio = quarrel()
        let basis = trio.state(0).basis(of: key)
        trio.write(1) { [$0.delete()] }
        trio.meet()
        #expect(LifeFold(trio.state(0)).isHidden)
        trio.write(0) { $0.put(self.key, .text("saved"), basis: basis, isDeleteShown: false) }
        trio.meet()
        let life = LifeFold(trio.state(2))
        #expect(life.isConflict)
        #expect(!life.isHidden)
        #expect(life.uncovered.count == 1)
        // Deleting again settles it, and so does a restore.
        var deleted = trio
        deleted.write(2) { [$0.delete()] }
        #expect(LifeFold(deleted.state(2)).isHidden)
        trio.write(2) { $0.restore().map { [$0] } ?? [] }
        trio.meet()
        #expect(LifeFold(trio.state(0)).deletes.isEmpty)
    }

    @Test func `deleting and writing again and again leaves no trail of restores`() {
        var trio = quarrel()
        for round in 0..<50 {
            trio.write(round % 3) { [$0.delete()] }
            trio.meet()
            trio.put((round + 1) % 3, key, .integer(Int64(round)))
            trio.meet()
        }
        #expect(trio.state(0)[.life].live.count == 1)
        #expect(trio.state(0)[key].live.count == 1)
    }

    @Test func `two deletes that each miss an edit hide the row only together`() {
        var trio = Trio()
        trio.put(0, key, .text("a"))
        trio.meet()
        trio.put(0, CellKey(2), .integer(1))
        trio.put(1, CellKey(3), .integer(2))
        var (left, right) = (trio, trio)
        left.write(0) { [$0.delete()] }
        right.write(1) { [$0.delete()] }
        trio.write(0) { [$0.delete()] }
        trio.write(1) { [$0.delete()] }
        left.meet()
        right.meet()
        trio.meet()
        #expect(LifeFold(left.state(2)).isConflict)
        #expect(LifeFold(right.state(2)).isConflict)
        #expect(LifeFold(trio.state(2)).isHidden, "the union of the covers counts")
    }
}
