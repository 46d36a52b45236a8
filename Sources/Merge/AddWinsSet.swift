/// An add-wins set: an element is in as long as its cell has a live put.
///
/// A remove replaces only the puts that its author was shown, so an add that it didn't see stays
/// (the OR-set of Shapiro, Preguiça, Baquero and Zawirski, 2011).
public struct AddWinsSet: Hashable, Sendable {
    /// The canonical bytes of the elements that are in, sorted, each once.
    public let elements: [[UInt8]]

    public init(_ row: RowState, column: UInt32) {
        elements = Self.elements(of: row, column: column)
    }

    /// The canonical bytes of the elements that are in, sorted.
    public static func elements(of row: RowState, column: UInt32) -> [[UInt8]] {
        row.cells.filter { entry in
            entry.key.column == column && !entry.key.element.isEmpty && holds(entry.cell)
        }.map(\.key.element)
    }

    /// Whether the element of this cell is in.
    public static func holds(_ element: Cell) -> Bool {
        element.live.contains { op in
            if case .put = op.action { true } else { false }
        }
    }

    public func checkInvariants() {
        for (a, b) in zip(elements, elements.dropFirst()) {
            precondition(
                a.lexicographicallyPrecedes(b), "the elements of a set are out of order")
        }
    }
}
