internal import Causality
internal import Merge
internal import RecordSchema
internal import SyncProtocol

/// What a list says of one cell, against what it said before and what stands there: the three-way
/// rule, in one place.
///
/// An import writes to a cell only where the list changed its word, or has its first; and then
/// always, also when that is what stands already. Otherwise the next import of the same file would
/// take it for news, and overwrite what was edited in between.
struct ImportedCell {
    enum Outcome {
        /// What the file says stands here.
        case same
        /// What stood here was the list's, and follows it.
        case changed
        /// The list says what it said before; what someone made of it since stays.
        case kept
        /// The list changed, and so did someone here: both stand.
        case conflict
    }

    var outcome: Outcome
    /// What to write.
    var operation: Operation?
    /// What stood before.
    var standing: Value?

    /// - Parameter listed: `nil` for an empty field. That says nothing where the list never said
    ///   anything, and else that the value is gone.
    init?(
        register column: Column, listed: Value?, words: [ImportPast.Word], in state: RowState
    ) {
        let key = CellKey(column.id)
        let fold = RegisterFold(state[key], policy: column.policy)
        let shown = fold.shown?.action.value ?? .null
        let value = listed ?? .null
        let said = words.map(\.dot)
        standing = shown
        func put(_ basis: [Dot]) -> Operation {
            Operation(key, .put(value), over: Set(said + basis).sorted())
        }
        if words.isEmpty, listed == nil || fold.shown == nil {
            guard listed != nil else { return nil }
            (outcome, operation) = (.changed, put(state.basis(of: key, policy: column.policy)))
        } else if words.contains(where: { $0.value == value }) {
            (outcome, operation) = (shown == value ? .same : .kept, nil)
        } else if shown == value {
            (outcome, operation) = (.same, put([]))
        } else if words.contains(where: { $0.value == shown }) {
            (outcome, operation) = (.changed, put(state.basis(of: key, policy: column.policy)))
        } else {
            (outcome, operation) = (.conflict, put([]))
        }
    }

    /// As for a register, of one element of a set. Sets have no conflicts: an element that someone
    /// put in by hand stays in when the list drops it.
    init?(
        element key: CellKey, isListed: Bool, words: [ImportPast.Word], in state: RowState
    ) {
        let cell = state[key]
        let holds = AddWinsSet.holds(cell)
        let live = cell.live.map(\.dot)
        let said = words.map(\.dot)
        standing = holds ? try? Value(canonicalBytes: key.element) : nil
        func write(_ basis: [Dot]) -> Operation {
            Operation(
                key, isListed ? .put(.null) : .retract, over: Set(said + basis).sorted())
        }
        if words.isEmpty, !isListed { return nil }
        if words.contains(where: { ($0.value != nil) == isListed }) {
            (outcome, operation) = (holds == isListed ? .same : .kept, nil)
        } else if holds == isListed {
            (outcome, operation) = (.same, write([]))
        } else if isListed || live.contains(where: said.contains) {
            (outcome, operation) = (.changed, write(live))
        } else {
            (outcome, operation) = (.kept, write([]))
        }
    }
}
