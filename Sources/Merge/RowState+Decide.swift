public import Causality

/// What a person writes who decides on a conflict, or takes a decision back.
extension RowState {
    /// Settles the conflict that was shown, by ``resolve(_:_:basis:)``.
    ///
    /// - Parameter shown: the dots of all candidates that the person was shown; what these cover
    ///   was shown with them.
    /// - Returns: `nil` when a candidate came or went since: the person would settle what nobody
    ///   has shown.
    public func settle(_ key: CellKey, _ value: Value, shown: [Dot]) -> Operation? {
        let fold = RegisterFold(self[key])
        guard fold.candidates.map(\.dot) == shown.sorted() else { return nil }
        return resolve(key, value, basis: fold.allDots)
    }

    /// Takes an undo back: decides again as before, over what still lives of what was covered.
    ///
    /// - Parameters:
    ///   - undo: the dot of the undo.
    ///   - decision: the resolution that it took back.
    /// - Returns: `nil` when the undo lives no more: somebody wrote or decided since.
    public func decideAgain(undo: Dot, of decision: Action, in key: CellKey) -> Operation? {
        guard self[key].retracts.contains(undo), case .resolve(let value, let covers) = decision
        else { return nil }
        return resolve(key, value, basis: covers)
    }
}
