public import Causality

/// A counter: one cumulative entry for each stream, so that two laptops which count apart add up
/// and none counts twice.
///
/// An entry is a put of ``entryValue(increments:decrements:)``; it replaces its own stream's
/// previous entry and no other (the PN-counter of Shapiro, Preguiça, Baquero and Zawirski, 2011).
/// A live op of another form counts as nothing, and stays.
public struct Counter: Hashable, Sendable {
    public struct Entry: Hashable, Sendable {
        public var dot: Dot
        /// Both at least 0.
        public var increments: Int64
        public var decrements: Int64
    }

    /// Sorted by dot.
    public let entries: [Entry]

    public init(_ cell: Cell) {
        entries = cell.live.compactMap(Entry.init)
    }

    /// All increments less all decrements; what Int64 can't hold shows as its bound.
    public var value: Int64 {
        let sum = entries.reduce(into: Int128(0)) {
            $0 += Int128($1.increments) - Int128($1.decrements)
        }
        return Int64(clamping: sum)
    }

    /// The value of an entry's put.
    public static func entryValue(increments: Int64, decrements: Int64) -> Value {
        .composite([.integer(increments), .integer(decrements)])
    }

    /// Whether `value` is an entry's.
    public static func isEntry(_ value: Value) -> Bool { parts(of: value) != nil }

    fileprivate static func parts(of value: Value) -> (increments: Int64, decrements: Int64)? {
        guard case .composite(let parts) = value, parts.count == 2,
            case .integer(let increments) = parts[0], case .integer(let decrements) = parts[1],
            increments >= 0, decrements >= 0
        else { return nil }
        return (increments, decrements)
    }

    public func checkInvariants() {
        for entry in entries {
            precondition(
                entry.increments >= 0 && entry.decrements >= 0, "entry \(entry.dot) is negative")
        }
        for (a, b) in zip(entries, entries.dropFirst()) {
            precondition(a.dot < b.dot, "entries \(a.dot) and \(b.dot) are out of order")
        }
    }
}

extension Counter.Entry {
    fileprivate init?(_ op: LiveOp) {
        guard case .put(let value) = op.action, let parts = Counter.parts(of: value) else {
            return nil
        }
        self.init(dot: op.dot, increments: parts.increments, decrements: parts.decrements)
    }
}

extension RowState {
    /// Counts on by `amount`: replaces `stream`'s own entry by one that includes it.
    ///
    /// On a row whose delete was shown it is preceded by a restore. The other streams' entries
    /// come back with the row: to replace them would count what their owners count on from twice.
    ///
    /// - Returns: `nil` when the stream has counted more than an entry can hold.
    public func count(
        _ key: CellKey, by amount: Int64, stream: StreamID, isDeleteShown: Bool = true
    ) -> [Operation]? {
        guard amount != 0 else { return [] }
        guard amount != .min else { return nil }
        let own = Counter(self[key]).entries.filter { $0.dot.stream == stream }
        var (increments, decrements) = (Int64(0), Int64(0))
        var parts: [(Int64, Int64)] = own.map { ($0.increments, $0.decrements) }
        parts.append((max(amount, 0), max(-amount, 0)))
        for (more, less) in parts {
            let up = increments.addingReportingOverflow(more)
            let down = decrements.addingReportingOverflow(less)
            guard !up.overflow, !down.overflow else { return nil }
            (increments, decrements) = (up.partialValue, down.partialValue)
        }
        let entry = Operation(
            key, .put(Counter.entryValue(increments: increments, decrements: decrements)),
            over: own.map(\.dot))
        guard isDeleteShown, LifeFold(self).isHidden, let restore = restore() else {
            return [entry]
        }
        return [restore, entry]
    }
}
