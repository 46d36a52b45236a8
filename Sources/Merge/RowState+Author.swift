public import Causality

/// What an author writes, given what the author was shown.
///
/// The rules of basis and cover are in one place, so that the replica, the tests and the simulator
/// can't come to differ about them. None of these changes the row: each gives the ops that the
/// author's changeset holds.
extension RowState {
    /// What someone was shown who read the row as plain values: the winner and its equals, which
    /// are all puts of an element; and the ops without value, which nobody has to see. Sorted.
    public func basis(of key: CellKey, policy: RegisterPolicy = .latest) -> [Dot] {
        let cell = self[key]
        let fold = RegisterFold(cell, policy: policy)
        return (fold.shownDots + cell.retracts).sorted()
    }

    /// A put that replaces `basis`, preceded by a restore when the row is hidden.
    ///
    /// - Parameters:
    ///   - basis: the dots that the author was shown in this cell; dots that live no more are left
    ///     out, for they have been replaced already.
    ///   - isDeleteShown: whether an author who writes to a hidden row knew that it is hidden. A
    ///     form that was opened before didn't: then nothing is restored, and the write meets the
    ///     delete as a conflict.
    public func put(
        _ key: CellKey, _ value: Value, basis: [Dot], isDeleteShown: Bool = true
    ) -> [Operation] {
        write(key, .put(value), basis, isDeleteShown)
    }

    /// Takes an element out; nothing when it isn't in.
    public func remove(
        _ key: CellKey, basis: [Dot], isDeleteShown: Bool = true
    ) -> [Operation] {
        AddWinsSet.holds(self[key]) ? write(key, .retract, basis, isDeleteShown) : []
    }

    private func write(
        _ key: CellKey, _ action: Action, _ basis: [Dot], _ isDeleteShown: Bool
    ) -> [Operation] {
        let life = LifeFold(self)
        let live = self[key].live.map(\.dot)
        guard life.isHidden, isDeleteShown else {
            return [Operation(key, action, over: live.filter(basis.contains))]
        }
        // The author was shown the delete, and all that lives here is covered by it.
        let restore = Operation(
            .life, .retract, over: life.deletes.map(\.dot) + self[.life].retracts)
        return [restore, Operation(key, action, over: live)]
    }

    /// Hides the row: covers everything that lives in it and replaces the deletes.
    public func delete() -> Operation {
        Operation(
            .life, .delete(covers: liveBesidesDeletes), over: LifeFold(self).deletes.map(\.dot))
    }

    /// Shows the row again, or settles a delete that met an edit; `nil` when nothing is deleted.
    public func restore() -> Operation? {
        let life = LifeFold(self)
        guard !life.deletes.isEmpty else { return nil }
        return Operation(.life, .retract, over: (life.deletes.map(\.dot) + self[.life].retracts))
    }

    /// Settles a register: covers every live put that was shown, those under the replaced
    /// resolutions included, and replaces those resolutions.
    ///
    /// - Parameter basis: the dots that the author was shown; normally ``RegisterFold/allDots``.
    public func resolve(_ key: CellKey, _ value: Value, basis: [Dot]) -> Operation {
        var covers: [Dot] = []
        var over: [Dot] = []
        for op in self[key].live {
            switch op.action {
            case .put where basis.contains(op.dot): covers.append(op.dot)
            case .resolve(_, let replaced) where basis.contains(op.dot):
                over.append(op.dot)
                covers += replaced.filter { self[key].contains($0) }
            case .retract: over.append(op.dot)
            default: continue
            }
        }
        return Operation(key, .resolve(value, covers: Set(covers).sorted()), over: over)
    }

    /// Takes a resolution back: the siblings that it covered are candidates again.
    /// `nil` when the resolution lives no more.
    public func undo(resolution dot: Dot, in key: CellKey) -> Operation? {
        guard let op = self[key].live.first(where: { $0.dot == dot }),
            case .resolve = op.action
        else { return nil }
        return Operation(key, .retract, over: [dot] + self[key].retracts)
    }
}

extension Cell {
    /// The live ops that carry no value: they replace, and show nothing.
    public var retracts: [Dot] {
        live.filter { $0.action == .retract }.map(\.dot)
    }
}
