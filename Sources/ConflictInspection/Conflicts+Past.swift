internal import Causality
internal import Merge
public import Recording
internal import ReplicaStore
internal import SyncProtocol

/// How the values of a conflict came about: what was written to the cell since all their authors had been shown the
/// same.
public struct ConflictPast: Sendable {
    public struct Step: Sendable {
        public var provenance: Provenance
        /// The list that an import took it from; empty for what someone recorded.
        public var source: String
        /// When this replica received it, in milliseconds since 1970; `nil` for what was recorded here.
        public var receivedMilliseconds: Int64?
        public var isDecision: Bool
        /// The value, as people read it; `nil` where a decision was taken back.
        public var text: String?
        /// The candidate's; `nil` for what candidates came of.
        public var label: String?
        public var isShown: Bool
        /// The authors of all candidates had been shown it, or what came of it.
        public var isBase: Bool
        /// The places of the steps that it came of, but for those that another one of them came of.
        public var parents: [Int]

        /// By how much the time claimed differs from the time of the clock that recorded it, in milliseconds; `nil` where
        /// that is little.
        public var claimSkewMilliseconds: Int64? { provenance.claimSkewMilliseconds }

        /// By how much the clock that recorded it was ahead of this replica's when it came in, in milliseconds; `nil` where
        /// that is little.
        public var clockAheadMilliseconds: Int64? {
            provenance.clockAheadMilliseconds(receivedAt: receivedMilliseconds)
        }
    }

    /// Oldest first by the clocks that recorded them; none before one that it came of.
    public var steps: [Step] = []
    /// There are earlier ones, or more than are looked for.
    public var hasEarlier = false
    /// So many between these are left out.
    public var omittedCount = 0
    /// The search ended before what all had been shown was found.
    public var isBaseUnknown = false

    /// What the record showed to all of them before; empty where nothing did.
    public var base: [Step] { steps.filter(\.isBase) }
}

extension Conflicts {
    /// No more are looked for: a conflict is about what was written last.
    private static let searchLimit = 500
    /// No more are told, besides the base and the candidates.
    private static let toldLimit = 24

    private struct Known {
        var changeset: Changeset
        var operation: Merge.Operation
        /// All that it came of, as far as it is known.
        var ancestors: Set<Dot> = []
    }

    /// - Returns: `nil` for what is not between the values of a column.
    public func past(of conflict: Conflict) throws -> ConflictPast? {
        guard conflict.ruled == nil, conflict.subject.column != nil else { return nil }
        return try replica.read {
            let dots = conflict.candidates.compactMap(\.dot)
            let (known, isCut) = try ancestry(of: dots, at: conflict.place)
            let above = dots.map { known[$0]?.ancestors ?? [] }
            let common = above.dropFirst().reduce(above.first ?? []) { $0.intersection($1) }
            let older = common.reduce(into: Set<Dot>()) { $0.formUnion(known[$1]?.ancestors ?? []) }
            let base = common.subtracting(older)
            let order = known.keys.filter { !older.contains($0) }.sorted { a, b in
                (known[a]?.changeset.time ?? HybridTime(rawValue: 0), a)
                    < (known[b]?.changeset.time ?? HybridTime(rawValue: 0), b)
            }
            let between = order.filter { !base.contains($0) && !dots.contains($0) }
            let left = Set(between.dropLast(Self.toldLimit))
            let told = order.filter { !left.contains($0) }
            let places = Dictionary(uniqueKeysWithValues: told.enumerated().map { ($1, $0) })
            let steps = try told.compactMap { dot in
                try known[dot].map { step in
                    try self.step(
                        step, dot, conflict, isBase: base.contains(dot),
                        parents: Self.nearest(step, known, among: places))
                }
            }
            return ConflictPast(
                steps: steps, hasEarlier: isCut || !older.isEmpty, omittedCount: left.count,
                isBaseUnknown: isCut && base.isEmpty)
        }
    }

    /// The ops at a place and all that they came of, and whether there are more than are looked for.
    private func ancestry(
        of dots: [Dot], at place: OpenConflict
    ) throws -> (known: [Dot: Known], isCut: Bool) {
        var known: [Dot: Known] = [:]
        var waiting = dots
        var next = 0
        while next < waiting.count, known.count < Self.searchLimit {
            let dot = waiting[next]
            next += 1
            guard known[dot] == nil, let changeset = try replica.changeset(dot),
                let operation = try replica.operation(
                    dot, table: place.table, row: place.row, cell: CellKey(place.column))
            else { continue }
            known[dot] = Known(changeset: changeset, operation: operation)
            waiting += operation.shownDots
        }
        let order = known.sorted {
            ($0.value.changeset.time, $0.key) < ($1.value.changeset.time, $1.key)
        }.map(\.key)
        for dot in order {
            var all: Set<Dot> = []
            for parent in known[dot]?.operation.shownDots ?? [] {
                guard let ancestors = known[parent]?.ancestors else { continue }
                all.insert(parent)
                all.formUnion(ancestors)
            }
            known[dot]?.ancestors = all
        }
        return (known, next < waiting.count)
    }

    /// The places of those among some that it came of, but for those that another one of them came of.
    private static func nearest(
        _ step: Known, _ known: [Dot: Known], among places: [Dot: Int]
    ) -> [Int] {
        let above = step.ancestors.filter { places[$0] != nil }
        let behind = above.reduce(into: Set<Dot>()) { $0.formUnion(known[$1]?.ancestors ?? []) }
        return above.subtracting(behind).compactMap { places[$0] }.sorted()
    }

    private func step(
        _ known: Known, _ dot: Dot, _ conflict: Conflict, isBase: Bool, parents: [Int]
    ) throws -> ConflictPast.Step {
        let candidate = conflict.candidates.first { $0.dot == dot }
        var isDecision = false
        if case .resolve = known.operation.action { isDecision = true }
        let text = try conflict.subject.column.flatMap { column in
            try known.operation.action.value.map { try records.text(of: $0, in: column) }
        }
        return ConflictPast.Step(
            provenance: try records.provenance(of: known.changeset),
            source: known.changeset.source,
            receivedMilliseconds: try replica.receivedMilliseconds(of: dot),
            isDecision: isDecision, text: text, label: candidate?.label,
            isShown: candidate?.isShown ?? false, isBase: isBase, parents: parents)
    }
}
