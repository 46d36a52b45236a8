public import Causality

/// All live ops of one row.
///
/// Invariant: cells are sorted by key, each once, none empty.
public struct RowState: Hashable, Sendable {
    public struct Entry: Hashable, Sendable {
        public var key: CellKey
        public var cell: Cell
    }

    public private(set) var cells: [Entry] = []

    public init() {}

    /// The cell at `key`; empty when nothing lives there.
    public subscript(key: CellKey) -> Cell {
        let place = index(of: key)
        return place < cells.count && cells[place].key == key ? cells[place].cell : Cell()
    }

    /// Replaces a cell whole: for reading a stored row.
    public mutating func set(_ key: CellKey, _ cell: Cell) {
        let place = index(of: key)
        let exists = place < cells.count && cells[place].key == key
        switch (exists, cell.isEmpty) {
        case (true, true): cells.remove(at: place)
        case (true, false): cells[place].cell = cell
        case (false, true): break
        case (false, false): cells.insert(Entry(key: key, cell: cell), at: place)
        }
    }

    /// Takes in one op; see ``Cell/apply(_:over:)``.
    public mutating func apply(_ operation: Operation, dot: Dot, time: HybridTime) {
        var cell = self[operation.cell]
        cell.apply(
            LiveOp(dot: dot, time: time, action: operation.action), over: operation.over)
        set(operation.cell, cell)
    }

    private func index(of key: CellKey) -> Int {
        var (low, high) = (0, cells.count)
        while low < high {
            let middle = (low + high) / 2
            if cells[middle].key < key { low = middle + 1 } else { high = middle }
        }
        return low
    }

    /// Every live op other than deletes, by its place. Sorted.
    public var liveBesidesDeletes: [CellDot] {
        cells.flatMap { entry in
            entry.cell.live.compactMap { op in
                if case .delete = op.action { nil } else { CellDot(entry.key, op.dot) }
            }
        }
    }

    public func checkInvariants() {
        for (a, b) in zip(cells, cells.dropFirst()) {
            precondition(a.key < b.key, "the cells of a row are out of order")
        }
        for entry in cells {
            precondition(!entry.cell.isEmpty, "a row holds an empty cell")
            entry.cell.checkInvariants()
        }
    }
}
