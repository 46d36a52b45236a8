import Causality
import Merge
import TestSupport

extension Schedule {
    /// One person does one thing on one laptop; what can't be done there is not tried for long.
    mutating func step(_ author: Int) -> String? {
        for _ in 0..<3 {
            let before = tally.steps
            if let problem = attempt(author) { return problem }
            if tally.steps > before { break }
        }
        return nil
    }

    private mutating func attempt(_ author: Int) -> String? {
        switch generator.below(27) {
        case 0...2: put(author)
        case 3...5: open(author)
        case 6...9: save(author)
        case 10...11: toggle(author)
        case 12: delete(author)
        case 13...14: restore(author)
        case 15...17: settle(author)
        case 18...19: undo(author)
        case 20...21: redo(author)
        default: meet(author)
        }
    }

    private mutating func count(_ name: String) {
        tally.steps += 1
        tally.counts[name, default: 0] += 1
    }

    private mutating func meet(_ author: Int) -> String? {
        exchange(from: generator.below(laptops.count), to: author)
        count("exchange")
        return nil
    }

    private mutating func value(in cell: Int) -> Value {
        let number = Int64(generator.below(5))
        switch cell {
        case 1:
            return [.text("a"), .text("b"), .integer(0), .real(-0.0), .real(0)][Int(number)]
        case 2: return generator.chance(1, in: 12) ? .null : .integer(number)
        default: return .composite([.integer(number / 2), .real(.nan)])
        }
    }

    /// Commands without a form: one cell or two in one changeset.
    private mutating func put(_ author: Int) -> String? {
        let state = laptops[author].state
        let view = truth.view(laptops[author].heads)
        // Else hidden rows would hardly last.
        if view.isHidden, generator.chance(2, in: 3) { return nil }
        var cells = [generator.pick(Self.registers) ?? 1]
        if let other = generator.pick(Self.registers), generator.chance(1, in: 4),
            other != cells[0]
        {
            cells.append(other)
        }
        var operations: [(Operation, shown: [Int])] = []
        for cell in cells {
            let (key, policy) = Self.cells[cell]
            let basis = state.basis(of: key, policy: policy)
            if let problem = fault(inBasis: basis, of: cell, view.basis(cell), view) {
                return problem
            }
            let written = state.put(key, value(in: cell), basis: basis)
            let shown = view.isHidden ? view.live[cell] : view.basis(cell)
            if let problem = add(written, to: &operations, shown: shown, view) { return problem }
        }
        count(view.isHidden ? "put into a hidden row" : "put")
        return write(author, operations)
    }

    /// The basis that the engine gives to a form is what was shown, and the retracts.
    private func fault(
        inBasis basis: [Dot], of cell: Int, _ shown: [Int], _ view: BruteForce.View
    ) -> String? {
        let found = Set(basis.compactMap { truth.number(of: $0, in: cell) })
        let retracts = view.retracts(cell)
        guard found.subtracting(retracts) == Set(shown).subtracting(retracts),
            found.count == basis.count
        else { return "the basis of \(truth.cells[cell]) is \(basis)" }
        return nil
    }

    /// Adds what one write gave: a restore first, exactly when a row was shown as hidden.
    private func add(
        _ written: [Operation], to operations: inout [(Operation, shown: [Int])], shown: [Int],
        restores: Bool? = nil, _ view: BruteForce.View
    ) -> String? {
        let isRestoring = written.first?.cell == .life
        guard isRestoring == (restores ?? view.isHidden) else {
            return "a write \(isRestoring ? "restores" : "does not restore") the row"
        }
        for operation in written {
            if operation.cell == .life {
                guard !operations.contains(where: { $0.0.cell == .life }) else { continue }
                operations.append((operation, view.live[Self.life]))
            } else {
                operations.append((operation, shown))
            }
        }
        return nil
    }

    // MARK: Forms

    /// A form keeps what it showed, whatever arrives meanwhile. Of a hidden row there is none.
    private mutating func open(_ author: Int) -> String? {
        let view = truth.view(laptops[author].heads)
        guard !view.isHidden else { return nil }
        let state = laptops[author].state
        let cell = 1 + generator.below(Self.cells.count - 1)
        let (key, policy) = Self.cells[cell]
        var form = Form(
            cell: cell, basis: state.basis(of: key, policy: policy), shown: view.basis(cell),
            isSettling: false)
        if Self.registers.contains(cell), generator.chance(1, in: 3) {
            form.isSettling = true
            form.basis = RegisterFold(state[key], policy: policy).allDots
            form.shown = view.allCandidates(cell)
        }
        if let problem = fault(inBasis: form.basis, of: cell, form.shown, view) {
            return problem
        }
        laptops[author].forms.append(form)
        count("form opened")
        return nil
    }

    private mutating func save(_ author: Int) -> String? {
        guard !laptops[author].forms.isEmpty else { return nil }
        let form = laptops[author].forms.remove(
            at: generator.below(laptops[author].forms.count))
        let state = laptops[author].state
        let view = truth.view(laptops[author].heads)
        let key = Self.cells[form.cell].0
        var operations: [(Operation, shown: [Int])] = []
        if form.isSettling {
            operations = [
                (state.resolve(key, value(in: form.cell), basis: form.basis), form.shown)
            ]
            count("settled from a form")
        } else {
            let written: [Operation]
            if key.element.isEmpty {
                written = state.put(
                    key, value(in: form.cell), basis: form.basis, isDeleteShown: false)
            } else if generator.chance(1, in: 2) {
                written = state.put(key, .null, basis: form.basis, isDeleteShown: false)
            } else {
                written = state.remove(key, basis: form.basis, isDeleteShown: false)
            }
            if written.isEmpty { return nil }
            if let problem = add(
                written, to: &operations, shown: form.shown, restores: false, view)
            {
                return "a form: " + problem
            }
            count(view.isHidden ? "form saved after a delete" : "form saved")
        }
        return write(author, operations)
    }

    // MARK: Sets and the row's life

    private mutating func toggle(_ author: Int) -> String? {
        let state = laptops[author].state
        let view = truth.view(laptops[author].heads)
        if view.isHidden, generator.chance(2, in: 3) { return nil }
        let cell = generator.pick(Self.elements) ?? 4
        let key = Self.cells[cell].0
        let isIn = view.live[cell].contains { truth.entries[$0].isPut }
        let basis = state.basis(of: key)
        let written =
            isIn && generator.chance(2, in: 3)
            ? state.remove(key, basis: basis) : state.put(key, .null, basis: basis)
        if !isIn, state.remove(key, basis: basis) != [] { return "an absent element is removed" }
        var operations: [(Operation, shown: [Int])] = []
        if let problem = add(written, to: &operations, shown: view.live[cell], view) {
            return problem
        }
        count("element")
        return write(author, operations)
    }

    private mutating func delete(_ author: Int) -> String? {
        let state = laptops[author].state
        guard !state.cells.isEmpty else { return nil }
        let view = truth.view(laptops[author].heads)
        count("delete")
        return write(author, [(state.delete(), view.live[Self.life])])
            ?? (LifeFold(laptops[author].state).isHidden ? nil : "a delete does not hide the row")
    }

    private mutating func restore(_ author: Int) -> String? {
        let view = truth.view(laptops[author].heads)
        guard let operation = laptops[author].state.restore() else {
            return view.deletes.isEmpty ? nil : "a deleted row can't be restored"
        }
        count("restore")
        return write(author, [(operation, view.live[Self.life])])
            ?? (LifeFold(laptops[author].state).deletes.isEmpty ? nil : "a restore left a delete")
    }

    // MARK: Conflicts

    private mutating func settle(_ author: Int) -> String? {
        let state = laptops[author].state
        let view = truth.view(laptops[author].heads)
        let open = Self.registers.filter { view.fold($0).isConflict }
        let any = Self.registers.filter { view.fold($0).shown != nil }
        guard let cell = generator.pick(generator.chance(3, in: 4) ? open : any) else {
            return nil
        }
        let (key, policy) = Self.cells[cell]
        let fold = RegisterFold(state[key], policy: policy)
        let operation = state.resolve(key, value(in: cell), basis: fold.allDots)
        count("settled")
        if let problem = write(author, [(operation, view.allCandidates(cell))]) { return problem }
        let after = RegisterFold(laptops[author].state[key], policy: policy)
        return after.isConflict || after.candidates.count != 1 ? "a conflict is not settled" : nil
    }

    private mutating func undo(_ author: Int) -> String? {
        let view = truth.view(laptops[author].heads)
        let standing = Self.registers.flatMap { view.live[$0] }
            .filter { truth.entries[$0].isResolution }
        guard let number = generator.pick(standing) else { return nil }
        let entry = truth.entries[number]
        guard
            let operation = laptops[author].state.undo(
                resolution: entry.dot, in: truth.cells[entry.cell])
        else { return "a live resolution can't be undone" }
        count("undone")
        return write(author, [(operation, [number])])
    }

    /// Undoes an undo: resolves again, with the value and the covers of what was undone.
    private mutating func redo(_ author: Int) -> String? {
        let view = truth.view(laptops[author].heads)
        let undone = Self.registers.flatMap { view.retracts($0) }
            .flatMap { truth.entries[$0].over }.filter { truth.entries[$0].isResolution }
        guard let number = generator.pick(undone) else { return nil }
        let entry = truth.entries[number]
        guard case .resolve(let value, let covers) = entry.action else { return nil }
        let operation = laptops[author].state.resolve(
            truth.cells[entry.cell], value, basis: covers)
        count("undo undone")
        return write(author, [(operation, entry.covers)])
    }
}
