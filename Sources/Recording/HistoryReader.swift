internal import Causality
internal import Merge
internal import RecordSchema
internal import ReplicaStore
internal import SyncProtocol

/// Puts the ops of one row into people's words.
final class HistoryReader {
    let records: Records
    let table: Table
    let history: RowHistory
    let state: RowState
    let life: LifeFold
    private var folds: [UInt32: RegisterFold] = [:]
    private var devices: [StreamID: String] = [:]

    init(_ records: Records, _ table: Table, _ history: RowHistory) {
        self.records = records
        self.table = table
        self.history = history
        state = history.state
        life = LifeFold(state)
    }

    var entries: [HistoryEntry] {
        get throws {
            var written: [CellKey: Set<Value>] = [:]
            return try history.operations.map { logged in
                let value = logged.operation.action.value
                let others = written[logged.operation.cell, default: []]
                if let value { written[logged.operation.cell, default: []].insert(value) }
                return try entry(logged, isLate: others.contains { $0 != value })
            }
        }
    }

    func fold(_ column: Column) -> RegisterFold {
        if let fold = folds[column.id] { return fold }
        let fold = RegisterFold(state[CellKey(column.id)], policy: column.policy)
        folds[column.id] = fold
        return fold
    }

    /// - Parameter isLate: by the clocks, its cell had been given another value before.
    private func entry(_ logged: LoggedOperation, isLate: Bool) throws -> HistoryEntry {
        let cell = logged.operation.cell
        let column = table.column(id: cell.column)
        let shown = try shown(to: logged)
        return HistoryEntry(
            provenance: try provenance(logged), source: logged.source,
            receivedMilliseconds: logged.receivedMilliseconds,
            column: column,
            columnName: cell == .life ? "" : column?.name ?? "column \(cell.column)",
            kind: kind(logged), text: try text(logged), shown: shown,
            isUnaware: isLate && shown.isEmpty && kind(logged) != .counted,
            isShown: isShown(logged),
            fate: try fate(of: logged))
    }

    // MARK: Who and what

    func provenance(_ logged: LoggedOperation) throws -> Provenance {
        let stream = logged.dot.stream
        let device = try devices[stream] ?? records.deviceName(of: stream)
        devices[stream] = device
        return Provenance(
            dot: logged.dot, device: device, person: logged.author,
            claimedMilliseconds: logged.claimedMilliseconds, time: logged.time)
    }

    func reference(_ logged: LoggedOperation) throws -> HistoryReference {
        HistoryReference(
            provenance: try provenance(logged), kind: kind(logged),
            column: table.column(id: logged.operation.cell.column), text: try text(logged))
    }

    private func references(_ places: [CellDot]) throws -> [HistoryReference] {
        try places.compactMap { try history[$0].map(reference) }
            .sorted {
                ($0.provenance.time, $0.provenance.dot) < ($1.provenance.time, $1.provenance.dot)
            }
    }

    private func kind(_ logged: LoggedOperation) -> HistoryKind {
        guard counted(logged) == nil else { return .counted }
        let isElement = !logged.operation.cell.element.isEmpty
        return switch logged.operation.action {
        case .put(.null) where !isElement: .cleared
        case .put: isElement ? .added : .set
        case .resolve: .decided
        case .delete: .deleted
        case .retract where logged.operation.cell == .life: .restored
        case .retract: isElement ? .removed : .takenBack
        }
    }

    private func text(_ logged: LoggedOperation) throws -> String {
        let cell = logged.operation.cell
        guard cell.element.isEmpty else {
            return (try? Value(canonicalBytes: cell.element)).map(Records.plain) ?? ""
        }
        if let amount = counted(logged) { return amount < 0 ? "\(amount)" : "+\(amount)" }
        guard let value = logged.operation.action.value else { return "" }
        guard let column = table.column(id: cell.column) else { return Records.plain(value) }
        return try records.knownText(of: value, in: column)
    }

    /// By how much an entry of a counter counts on from those that it replaces; `nil` for any other
    /// op.
    private func counted(_ logged: LoggedOperation) -> Int128? {
        let cell = logged.operation.cell
        guard table.column(id: cell.column)?.isCounter == true,
            let entry = Counter(Cell([logged.live])).entries.first
        else { return nil }
        let replaced = logged.operation.over.compactMap { history[CellDot(cell, $0)]?.live }
        return Counter(Cell(replaced)).entries.reduce(
            Int128(entry.increments) - Int128(entry.decrements)
        ) { $0 - Int128($1.increments) + Int128($1.decrements) }
    }

    /// An entry that its stream has counted on from is part of the later one.
    private func isPartOfCount(_ logged: LoggedOperation) -> Bool {
        counted(logged) != nil
            && history.replacements(of: logged.place).allSatisfy { counted($0) != nil }
    }

    /// What its author had been shown; ops without a value are nothing that can be seen.
    func shown(to logged: LoggedOperation) throws -> [HistoryReference] {
        let cell = logged.operation.cell
        var places = logged.operation.over.map { CellDot(cell, $0) }
        switch logged.operation.action {
        case .resolve(_, let covers): places += covers.map { CellDot(cell, $0) }
        case .delete(let covers): places += covers
        case .put, .retract: break
        }
        return try references(Set(places).sorted()).filter { reference in
            switch reference.kind {
            case .removed, .restored, .takenBack: false
            default: true
            }
        }
    }

    // MARK: What became of it

    private func isShown(_ logged: LoggedOperation) -> Bool {
        if isPartOfCount(logged) { return !life.isHidden }
        let cell = logged.operation.cell
        guard state[cell].contains(logged.dot) else { return false }
        if case .delete = logged.operation.action { return life.isHidden }
        guard !life.isHidden, let column = table.column(id: cell.column) else { return false }
        guard column.isRegister else {
            if case .put = logged.operation.action { return column.isSet }
            return false
        }
        let fold = fold(column)
        return fold.candidates.contains {
            $0.dot == logged.dot && $0.action.value == fold.shown?.action.value
        }
    }

    private func fate(of logged: LoggedOperation) throws -> HistoryFate {
        let replacements = history.replacements(of: logged.place)
        guard replacements.isEmpty || isPartOfCount(logged) else {
            return .replaced(try replacements.map(reference))
        }
        let cell = logged.operation.cell
        guard cell != .life else {
            guard life.isConflict, case .delete = logged.operation.action else { return .stands }
            return .sibling(try references(life.uncovered))
        }
        guard !life.isHidden else {
            let covering = life.deletes.filter { op in
                if case .delete(let covers) = op.action {
                    covers.contains(logged.place)
                } else {
                    false
                }
            }
            return .hidden(try references(covering.map { CellDot(.life, $0.dot) }))
        }
        guard let column = table.column(id: cell.column), !column.isCounter else { return .stands }
        return column.isSet ? try elementFate(logged) : try registerFate(logged, column)
    }

    /// A remove whose author didn't know of an add leaves the element in.
    private func elementFate(_ logged: LoggedOperation) throws -> HistoryFate {
        let cell = logged.operation.cell
        guard logged.operation.action == .retract, AddWinsSet.holds(state[cell]) else {
            return .stands
        }
        let puts = state[cell].live.filter { $0.action != .retract }
        return .sibling(try references(puts.map { CellDot(cell, $0.dot) }))
    }

    private func registerFate(
        _ logged: LoggedOperation, _ column: Column
    ) throws -> HistoryFate {
        let cell = logged.operation.cell
        let fold = fold(column)
        if fold.covered.contains(where: { $0.dot == logged.dot }) {
            let decisions = fold.candidates.filter { op in
                if case .resolve(_, let covers) = op.action {
                    covers.contains(logged.dot)
                } else {
                    false
                }
            }
            return .settled(try references(decisions.map { CellDot(cell, $0.dot) }))
        }
        guard fold.isConflict, let own = fold.candidates.first(where: { $0.dot == logged.dot })
        else { return .stands }
        let others = fold.candidates.filter { $0.action.value != own.action.value }
        return .sibling(try references(others.map { CellDot(cell, $0.dot) }))
    }
}
