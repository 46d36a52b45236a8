public import Causality
internal import Merge
public import RecordSchema
public import ReplicaStore

/// A value that a record shows, or an element of a set, and where it comes from.
public struct BlamedValue: Sendable {
    public var column: Column
    /// As people read it.
    public var text: String
    /// It is someone's decision, not a record.
    public var isDecision: Bool
    public var provenance: Provenance
    /// When this replica received it, in milliseconds since 1970; `nil` for what was recorded here.
    public var receivedMilliseconds: Int64?
    /// Since when it has been shown without a break, by the clocks of those who recorded, in
    /// milliseconds since 1970. Later than its own time when a decision in between was taken back.
    public var sinceMilliseconds: Int64
    /// Other values that stand beside it.
    public var siblings: [HistoryReference]
    /// What it took the place of: the values that its author had been shown.
    public var replaced: [HistoryReference]
}

extension Records {
    /// Who wrote each value that a row shows, since when, and what was there before.
    ///
    /// - Parameters:
    ///   - key: as in ``row(in:_:)``.
    ///   - point: as the row was then; `nil` for now.
    /// - Throws: ``RecordError`` when there is, or was then, no such row.
    public func blame(
        _ table: Table, _ key: String, at point: PastPoint? = nil
    ) throws -> (row: RowID, values: [BlamedValue]) {
        try replica.read {
            let id = try point == nil ? row(in: table, key) : knownRow(in: table, key)
            var history = try replica.history(of: id, in: table.id)
            if let point { history = try visible(history, table, id, at: point) }
            let reader = HistoryReader(self, table, history)
            let values = try table.columns.flatMap { column in
                switch column.shape {
                case .register, .composite: try blameRegister(column, reader)
                case .set: try blameSet(column, reader)
                case .counter: try blameCounter(column, reader)
                }
            }
            return (id, values)
        }
    }

    private func blameRegister(
        _ column: Column, _ reader: HistoryReader
    ) throws -> [BlamedValue] {
        let key = CellKey(column.id)
        let fold = reader.fold(column)
        guard let shown = fold.shown, let logged = reader.history[CellDot(key, shown.dot)] else {
            return []
        }
        let since = reader.history.time(of: key) { cell in
            RegisterFold(cell, policy: column.policy).shown?.action.value == shown.action.value
        }
        let siblings = fold.candidates.filter { $0.action.value != shown.action.value }
        return [try blamed(logged, column, since, siblings: siblings.map(\.dot), reader)]
    }

    private func blameSet(_ column: Column, _ reader: HistoryReader) throws -> [BlamedValue] {
        try reader.state.cells.compactMap { entry in
            guard entry.key.column == column.id else { return nil }
            let puts = entry.cell.live.filter { $0.action != .retract }
            guard let last = puts.max(by: { $0.yields(to: $1) }),
                let logged = reader.history[CellDot(entry.key, last.dot)]
            else { return nil }
            let since = reader.history.time(of: entry.key, since: AddWinsSet.holds)
            return try blamed(logged, column, since, siblings: [], reader)
        }
    }

    /// Of a count the last who counted is named; nobody's count takes another's place.
    private func blameCounter(_ column: Column, _ reader: HistoryReader) throws -> [BlamedValue] {
        let key = CellKey(column.id)
        let counter = Counter(reader.state[key])
        guard let last = reader.state[key].live.max(by: { $0.yields(to: $1) }),
            let logged = reader.history[CellDot(key, last.dot)], !counter.entries.isEmpty
        else { return [] }
        let since = reader.history.time(of: key) { Counter($0).value == counter.value }
        var blamed = try blamed(logged, column, since, siblings: [], reader)
        blamed.text = String(counter.value)
        blamed.replaced = []
        return [blamed]
    }

    private func blamed(
        _ logged: LoggedOperation, _ column: Column, _ since: HybridTime?, siblings: [Dot],
        _ reader: HistoryReader
    ) throws -> BlamedValue {
        let reference = try reader.reference(logged)
        return BlamedValue(
            column: column, text: reference.text, isDecision: reference.kind == .decided,
            provenance: reference.provenance,
            receivedMilliseconds: logged.receivedMilliseconds,
            sinceMilliseconds: (since ?? logged.time).milliseconds,
            siblings: try siblings.sorted().compactMap { dot in
                try reader.history[CellDot(logged.operation.cell, dot)].map(reader.reference)
            },
            replaced: try reader.shown(to: logged))
    }
}
