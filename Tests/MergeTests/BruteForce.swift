import Causality
import Merge

/// What the tests hold the merge against: every op that anyone wrote, kept for good, and the
/// definitions read out literally. It shares no code with `Sources/Merge` beyond the data types.
struct BruteForce {
    /// An op by its number, with what its author was shown.
    struct Entry {
        var cell: Int
        var dot: Dot
        var time: HybridTime
        var action: Action
        var author: Int
        var seq: Int
        /// The ops that it replaces.
        var over: [Int]
        /// The ops that it covers: of a resolution in its cell, of a delete anywhere.
        var covers: [Int]
        /// The ops of its cell that its author was shown.
        var shown: [Int]

        var hasValue: Bool { action.value != nil }
        var isDelete: Bool { if case .delete = action { true } else { false } }
        var isResolution: Bool { if case .resolve = action { true } else { false } }
        var isPut: Bool { if case .put = action { true } else { false } }
    }

    let cells: [CellKey]
    let policies: [RegisterPolicy]
    private(set) var entries: [Entry] = []
    private var numbers: [CellDot: Int] = [:]

    init(cells: [(CellKey, RegisterPolicy)]) {
        self.cells = cells.map(\.0)
        policies = cells.map(\.1)
    }

    func number(of dot: Dot, in cell: Int) -> Int? { numbers[CellDot(cells[cell], dot)] }

    /// Keeps an op for good.
    ///
    /// - Returns: what is wrong with it: a dot that no op of the cell has.
    mutating func add(
        _ operation: Operation, dot: Dot, time: HybridTime, author: Int, shown: [Int]
    ) -> String? {
        guard let cell = cells.firstIndex(of: operation.cell) else { return "an unknown cell" }
        let over = operation.over.map { number(of: $0, in: cell) }
        var covers: [Int?] = []
        switch operation.action {
        case .resolve(_, let dots): covers = dots.map { number(of: $0, in: cell) }
        case .delete(let dots): covers = dots.map { numbers[$0] }
        case .put, .retract: break
        }
        guard !over.contains(nil), !covers.contains(nil) else {
            return "\(operation) names a dot that its cell does not have"
        }
        numbers[CellDot(operation.cell, dot)] = entries.count
        entries.append(
            Entry(
                cell: cell, dot: dot, time: time, action: operation.action, author: author,
                seq: Int(dot.seq), over: over.compactMap(\.self), covers: covers.compactMap(\.self),
                shown: shown))
        return nil
    }

    /// The state of whoever holds the first `heads[author]` changesets of each author:
    /// `its ops − everything named in any over`, by cell.
    func view(_ heads: [Int]) -> View {
        var isReplaced = [Bool](repeating: false, count: entries.count)
        for entry in entries where entry.seq <= heads[entry.author] {
            for number in entry.over { isReplaced[number] = true }
        }
        var live = [[Int]](repeating: [], count: cells.count)
        for (number, entry) in entries.enumerated()
        where entry.seq <= heads[entry.author] && !isReplaced[number] {
            live[entry.cell].append(number)
        }
        return View(all: self, live: live)
    }

    struct Fold {
        var candidates: [Int] = []
        var covered: [Int] = []
        var shown: Int?
        var isConflict = false
        var isWithinTolerance = false
    }

    struct View {
        let all: BruteForce
        /// By cell: the numbers of the live ops.
        let live: [[Int]]

        func contains(_ number: Int) -> Bool { live[all.entries[number].cell].contains(number) }

        var deletes: [Int] { live[0].filter { all.entries[$0].isDelete } }

        var uncovered: [Int] {
            let covers = Set(deletes.flatMap { all.entries[$0].covers })
            return live.joined().filter { !all.entries[$0].isDelete && !covers.contains($0) }
        }

        var isHidden: Bool { !deletes.isEmpty && uncovered.isEmpty }

        func retracts(_ cell: Int) -> [Int] {
            live[cell].filter { all.entries[$0].action == .retract }
        }

        func fold(_ cell: Int) -> Fold {
            let entries = all.entries
            let settled = live[cell].filter { entries[$0].isResolution }
                .flatMap { entries[$0].covers }
            var fold = Fold()
            for number in live[cell] where entries[number].hasValue {
                if entries[number].isPut, settled.contains(number) {
                    fold.covered.append(number)
                } else {
                    fold.candidates.append(number)
                }
            }
            let values = Set(fold.candidates.compactMap { entries[$0].action.value })
            fold.isConflict = values.count > 1
            fold.shown = fold.candidates.max { ranks(entries[$0]) < ranks(entries[$1]) }
            guard case .earliest(let tolerance) = all.policies[cell] else { return fold }
            let times = values.compactMap { value -> Int64? in
                if case .integer(let time) = value { time } else { nil }
            }
            guard let least = times.min(), let most = times.max(), times.count == values.count,
                most - least <= tolerance
            else { return fold }
            fold.shown = fold.candidates.filter { entries[$0].action.value == .integer(least) }
                .max { ranks(entries[$0]) < ranks(entries[$1]) }
            fold.isWithinTolerance = fold.isConflict
            return fold
        }

        private func ranks(_ entry: Entry) -> (UInt64, StreamID, UInt64) {
            (entry.time.rawValue, entry.dot.stream, entry.dot.seq)
        }

        /// What someone was shown who read the cell as a plain value; without the retracts.
        func basis(_ cell: Int) -> [Int] {
            guard all.cells[cell].element.isEmpty else { return live[cell] }
            let fold = fold(cell)
            guard let shown = fold.shown else { return [] }
            let value = all.entries[shown].action.value
            return withCovers(
                fold.candidates.filter { all.entries[$0].action.value == value }, fold)
        }

        /// What someone was shown who was shown every candidate.
        func allCandidates(_ cell: Int) -> [Int] {
            let fold = fold(cell)
            return withCovers(fold.candidates, fold)
        }

        private func withCovers(_ numbers: [Int], _ fold: Fold) -> [Int] {
            let settled = numbers.filter { all.entries[$0].isResolution }
                .flatMap { all.entries[$0].covers }
            return numbers + fold.covered.filter(settled.contains)
        }
    }
}

extension BruteForce.View {
    /// Where `state` differs; `nil` when it agrees in every live op and every fold.
    func difference(from state: RowState) -> String? {
        var cellCount = 0
        for (cell, key) in all.cells.enumerated() {
            let expected = Set(live[cell].map { liveOp($0) })
            let found = state[key].live
            guard found.count == expected.count, Set(found) == expected else {
                return "cell \(key): \(found) lives, not \(expected)"
            }
            if !expected.isEmpty { cellCount += 1 }
            if cell > 0, let difference = difference(cell, state) { return difference }
        }
        guard state.cells.count == cellCount else { return "there are further cells" }
        let life = LifeFold(state)
        guard life.isHidden == isHidden else { return "hidden is \(life.isHidden)" }
        guard life.isConflict == (!deletes.isEmpty && !isHidden) else {
            return "the conflict of life is \(life.isConflict)"
        }
        let bare = deletes.isEmpty ? [] : Set(uncovered.map { cellDot($0) })
        guard Set(life.uncovered) == bare else {
            return "uncovered are \(life.uncovered), not \(bare)"
        }
        return nil
    }

    private func difference(_ cell: Int, _ state: RowState) -> String? {
        let key = all.cells[cell]
        guard key.element.isEmpty else {
            let isIn = live[cell].contains { all.entries[$0].isPut }
            let elements = AddWinsSet.elements(of: state, column: key.column)
            return elements.contains(key.element) == isIn ? nil : "element \(key) is wrong"
        }
        let expected = fold(cell)
        let found = RegisterFold(state[key], policy: all.policies[cell])
        guard Set(found.candidates) == Set(expected.candidates.map { liveOp($0) }),
            Set(found.covered) == Set(expected.covered.map { liveOp($0) })
        else { return "cell \(key): candidates or covered differ" }
        guard found.shown == expected.shown.map({ liveOp($0) }) else {
            return "cell \(key) shows \(found.shown as Any)"
        }
        guard found.isConflict == expected.isConflict,
            found.isWithinTolerance == expected.isWithinTolerance
        else { return "cell \(key): conflict is \(found.isConflict)" }
        return nil
    }

    private func liveOp(_ number: Int) -> LiveOp {
        let entry = all.entries[number]
        return LiveOp(dot: entry.dot, time: entry.time, action: entry.action)
    }

    private func cellDot(_ number: Int) -> CellDot {
        CellDot(all.cells[all.entries[number].cell], all.entries[number].dot)
    }
}
