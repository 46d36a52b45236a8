import Causality
import Merge
import SyncProtocol

/// What several targets hold against what was read.
enum Readings {
    /// All changesets of a body by rows, up to its end or to what is wrong with it.
    static func changesets(
        _ reader: BodyReader
    ) -> (changesets: [Changeset], error: CBORError?, end: BodyReader) {
        var (reader, changesets): (BodyReader, [Changeset]) = (reader, [])
        do throws(CBORError) {
            while let changeset = try reader.next() { changesets.append(changeset) }
            return (changesets, nil, reader)
        } catch {
            return (changesets, error, reader)
        }
    }

    /// The order goes by table and row, and each change is in it once.
    static func checkOrder(_ contents: RunContents) throws(Violation) {
        let changes = contents.changes.changes
        let order = contents.order ?? Array(0..<UInt32(changes.count))
        try hold(order.count == changes.count, "an order of other changes")
        let isStrict = contents.order == nil
        for (left, right) in zip(order, order.dropFirst()) {
            let (one, other) = (changes[Int(left)], changes[Int(right)])
            let isBefore =
                one.table != other.table
                ? one.table < other.table
                : one.row != other.row ? one.row < other.row : !isStrict && left < right
            try hold(isBefore, "changes \(left) and \(right) are out of order")
        }
    }

    /// Dots count on from the run's first, times rise, and no op names what comes after it.
    static func check(_ changesets: [Changeset], firstSeq: UInt64) throws(Violation) {
        var last = HybridTime(rawValue: 0)
        for (index, changeset) in changesets.enumerated() {
            try hold(changeset.dot.seq == firstSeq + UInt64(index), "dots have a hole")
            try hold(changeset.time > last, "times don't rise")
            try hold(
                changeset.author.utf8.count <= Limits.nameBytes
                    && changeset.source.utf8.count <= Limits.nameBytes, "a name over its limit")
            last = changeset.time
            try checkOperations(changeset)
        }
    }

    private static func checkOperations(_ changeset: Changeset) throws(Violation) {
        var cells: Set<Cell> = []
        for row in changeset.rows {
            for operation in row.operations {
                let cell = Cell(table: row.table, row: row.row, key: operation.cell)
                try hold(cells.insert(cell).inserted, "two ops in one cell")
                for dot in dots(operation) {
                    try hold(
                        dot.seq > 0
                            && (dot.stream != changeset.dot.stream || dot.seq < changeset.dot.seq),
                        "an op names a dot that is not before it")
                }
            }
        }
    }

    /// Every dot that an op refers to.
    private static func dots(_ operation: Operation) -> [Dot] {
        switch operation.action {
        case .put, .retract: operation.over
        case .resolve(_, let covers): operation.over + covers
        case .delete(let covers): operation.over + covers.map(\.dot)
        }
    }

    private struct Cell: Hashable {
        var table: UInt32
        var row: RowID
        var key: CellKey
    }

    /// Written by rows, changesets are read as they were.
    static func checkRows(_ changesets: [Changeset]) throws(Violation) {
        guard changesets.allSatisfy(isWithinRows) else { return }
        let (body, streams) = FixedStream.rows(changesets)
        let again = Self.changesets(FixedStream.reader(body, streams: streams))
        // Ids in full may take more than the numbers that were read.
        if again.error?.reason == .tooLong { return }
        try hold(again.error == nil, "what was written can't be read: \(again.error as Any)")
        try hold(again.changesets == changesets, "what was written is read as something else")
    }

    /// A body by columns counts dots, one by rows the items that they take.
    private static func isWithinRows(_ changeset: Changeset) -> Bool {
        changeset.rows.allSatisfy { row in
            row.operations.allSatisfy { dots($0).count <= Limits.dotsPerOperation }
        }
    }
}
