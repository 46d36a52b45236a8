/// An add-wins set, one element at a time: an element is in as long as it has a live put.
///
/// A remove replaces only the puts that its author was shown, so an add that it didn't see stays.
public enum AddWinsSet {
    public static func holds(_ element: Cell) -> Bool {
        element.live.contains { op in
            if case .put = op.action { true } else { false }
        }
    }

    /// The canonical bytes of the elements that are in, sorted.
    public static func elements(of row: RowState, column: UInt32) -> [[UInt8]] {
        row.cells.filter { $0.key.column == column && holds($0.cell) }.map(\.key.element)
    }
}
