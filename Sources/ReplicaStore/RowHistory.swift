public import Causality
public import Merge

/// An op as the log keeps it, with what its changeset says of it.
public struct LoggedOperation: Hashable, Sendable {
    public var dot: Dot
    public var time: HybridTime
    /// The person recording; empty when nobody was named.
    public var author: String
    /// When it happened, by its author's word: milliseconds since 1970.
    public var claimedMilliseconds: Int64
    /// The list that an import took it from; empty for what someone recorded.
    public var source: String
    /// When this replica received the run that holds it, in milliseconds since 1970; `nil` for what
    /// was recorded here.
    public var receivedMilliseconds: Int64?
    public var operation: Operation

    public var place: CellDot { CellDot(operation.cell, dot) }
    public var live: LiveOp { LiveOp(dot: dot, time: time, action: operation.action) }
}

/// Which changesets a past state is made of.
///
/// Neither set need be causally closed: a laptop whose clock is more than the look-ahead behind
/// another's gives an effect a lower time than its cause, and a wall clock that was set back may
/// do the same to times of receipt. The definition, `ops − everything named in any over`, gives a
/// state for any set of changesets, and so needs no order among them.
public enum PastPoint: Hashable, Sendable {
    /// What had been recorded anywhere, by the clocks of those who recorded: changesets whose time
    /// lies in this millisecond or before.
    case recorded(milliseconds: Int64)
    /// What this replica held: runs of others by the time of receipt, its own changesets by their
    /// time, both in this millisecond or before.
    case received(milliseconds: Int64)

    func includes(_ time: HybridTime, receivedMilliseconds: Int64?) -> Bool {
        switch self {
        case .recorded(let limit): time.milliseconds <= limit
        case .received(let limit): receivedMilliseconds ?? time.milliseconds <= limit
        }
    }
}

/// All that was ever written to one row, whether the row is still there or not.
public struct RowHistory: Sendable {
    /// No effect before its cause, where causes leave it open by (time, dot); those of a changeset
    /// by their cells.
    public let operations: [LoggedOperation]
    private let places: [CellDot: Int]
    private let replacing: [CellDot: [Int]]

    public init(_ operations: [LoggedOperation]) {
        var order = CausalOrder()
        for operation in operations { order.add(operation) }
        let changesets = order.places
        let sorted = operations.sorted { one, other in
            one.dot == other.dot
                ? one.operation.cell < other.operation.cell
                : changesets[one.dot, default: 0] < changesets[other.dot, default: 0]
        }
        var places: [CellDot: Int] = [:]
        var replacing: [CellDot: [Int]] = [:]
        for (index, operation) in sorted.enumerated() {
            places[operation.place] = index
            for dot in operation.operation.over {
                replacing[CellDot(operation.operation.cell, dot), default: []].append(index)
            }
        }
        self.operations = sorted
        self.places = places
        self.replacing = replacing
    }

    /// The op at a place; `nil` when the log doesn't hold it.
    public subscript(place: CellDot) -> LoggedOperation? { places[place].map { operations[$0] } }

    /// The ops that replaced the one at a place: several when their authors didn't know of each
    /// other. None for an op that lives.
    public func replacements(of place: CellDot) -> [LoggedOperation] {
        replacing[place, default: []].map { operations[$0] }
    }

    /// What lives of it all, by the definition.
    public var state: RowState {
        let key = LogReplay.Key.only
        var replay = LogReplay()
        for entry in operations {
            replay.add(entry.operation, to: key, dot: entry.dot, time: entry.time)
        }
        return replay.rows()[key] ?? RowState()
    }

    /// The same row as it was known at a past point.
    public func upTo(_ point: PastPoint) -> RowHistory {
        RowHistory(
            operations.filter {
                point.includes($0.time, receivedMilliseconds: $0.receivedMilliseconds)
            })
    }

    /// Since when something has been true of a cell without a break, by the times of its ops.
    ///
    /// - Parameter holds: is asked once for each op of the cell.
    /// - Returns: `nil` when it isn't true of the cell as it stands.
    public func time(of key: CellKey, since holds: (Cell) -> Bool) -> HybridTime? {
        var live: [LiveOp] = []
        var replaced: Set<Dot> = []
        var since: HybridTime?
        for entry in operations where entry.operation.cell == key {
            replaced.formUnion(entry.operation.over)
            live.removeAll { entry.operation.over.contains($0.dot) }
            if !replaced.contains(entry.dot) { live.append(entry.live) }
            if !holds(Cell(live)) {
                since = nil
            } else if since == nil {
                since = entry.time
            }
        }
        return since
    }
}
