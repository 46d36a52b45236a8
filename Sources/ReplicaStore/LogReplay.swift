internal import Causality
internal import Merge
internal import SyncProtocol

/// The live ops by the definition, `ops − everything named in any over`, in whatever order the
/// changesets come.
struct LogReplay {
    struct Key: Hashable, Comparable {
        var table: UInt32
        var row: RowID

        /// For a replay of one row, whichever it is.
        static let only = Key(table: 0, row: RowID(Identifier(high: 0, low: 0)))

        static func < (a: Self, b: Self) -> Bool {
            a.table != b.table ? a.table < b.table : a.row < b.row
        }
    }

    private struct Named {
        var ops: [(cell: CellKey, op: LiveOp)] = []
        var replaced: Set<CellDot> = []
    }

    private var named: [Key: Named] = [:]

    mutating func add(_ changeset: Changeset) {
        for change in changeset.rows { add(change, dot: changeset.dot, time: changeset.time) }
    }

    mutating func add(_ change: RowChange, dot: Dot, time: HybridTime) {
        let key = Key(table: change.table, row: change.row)
        for operation in change.operations { add(operation, to: key, dot: dot, time: time) }
    }

    mutating func add(_ operation: Operation, to key: Key, dot: Dot, time: HybridTime) {
        named[key, default: Named()].ops.append(
            (operation.cell, LiveOp(dot: dot, time: time, action: operation.action)))
        for over in operation.over {
            named[key, default: Named()].replaced.insert(CellDot(operation.cell, over))
        }
    }

    /// What changes replaced in one cell, whether the log holds that or not.
    func replaced(_ key: Key, in cell: CellKey) -> [Dot] {
        (named[key]?.replaced ?? []).filter { $0.cell == cell }.map(\.dot)
    }

    func rows() -> [Key: RowState] {
        named.mapValues { row in
            var state = RowState()
            for (cell, op) in row.ops where !row.replaced.contains(CellDot(cell, op.dot)) {
                var live = state[cell]
                live.apply(op, over: [])
                state.set(cell, live)
            }
            return state
        }
    }
}
