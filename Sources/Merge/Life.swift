/// The life of a row as it reads.
public struct LifeFold: Hashable, Sendable {
    /// There are live deletes, and together they cover every other live op of the row.
    public let isHidden: Bool
    /// There are live deletes beside live ops that none covers.
    public let isConflict: Bool
    /// The live deletes, sorted by dot.
    public let deletes: [LiveOp]
    /// The live ops that no live delete covers; empty when there is no live delete.
    public let uncovered: [CellDot]

    public init(_ row: RowState) {
        deletes = row[.life].live.filter {
            if case .delete = $0.action { true } else { false }
        }
        guard !deletes.isEmpty else {
            (isHidden, isConflict, uncovered) = (false, false, [])
            return
        }
        var covers: Set<CellDot> = []
        for op in deletes {
            if case .delete(let list) = op.action { covers.formUnion(list) }
        }
        uncovered = row.liveBesidesDeletes.filter { !covers.contains($0) }
        isHidden = uncovered.isEmpty
        isConflict = !isHidden
    }

    public func checkInvariants() {
        precondition(!isHidden || !isConflict, "a row is hidden and in conflict")
        precondition(
            (isHidden || isConflict) == !deletes.isEmpty, "a row's deletes say nothing of its life")
        precondition(uncovered.isEmpty != isConflict, "a conflict is not what is uncovered")
        for (a, b) in zip(deletes, deletes.dropFirst()) {
            precondition(a.dot < b.dot, "deletes \(a.dot) and \(b.dot) are out of order")
        }
        for (a, b) in zip(uncovered, uncovered.dropFirst()) {
            precondition(a < b, "what no delete covers is out of order")
        }
    }
}
