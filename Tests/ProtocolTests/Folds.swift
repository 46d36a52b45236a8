import Causality
import ConflictInspection
import Merge
import ReplicaStore
import SyncProtocol

extension Kind {
    static let folds = Kind(
        name: "folds", answer: { try FoldKind.answer($0, $1) },
        vectors: { try FoldVectors.vectors() })
}

extension JSON {
    func policy() throws -> RegisterPolicy {
        if self == "latest" { return .latest }
        return .earliest(within: try number("earliest"))
    }

    static func policy(_ policy: RegisterPolicy) -> JSON {
        switch policy {
        case .latest: "latest"
        case .earliest(let tolerance): ["earliest": .number(tolerance)]
        }
    }
}

/// What vectors tell of a column.
struct ColumnForm {
    var column: UInt32
    var shape: String
    var policy: RegisterPolicy

    init(_ json: JSON) throws {
        column = try json.number("column")
        shape = try json.string("shape")
        policy = try json.optional("policy") { try $0.policy() } ?? .latest
        guard ["register", "set", "counter"].contains(shape) else {
            throw VectorError("a column of the unknown shape \(shape)")
        }
    }

    var key: CellKey { CellKey(column) }
}

enum FoldKind {
    static func answer(_ given: JSON, _ when: JSON) throws -> JSON {
        let state = try given.member("live").rowState()
        if when == "life" { return life(state) }
        if let policy = try when["register"]?.policy() {
            guard state.cells.count <= 1 else { throw VectorError("more than one cell") }
            return register(RegisterFold(state.cells.first?.cell ?? Cell(), policy: policy))
        }
        if let column = try when["set"]?.number(as: UInt32.self) {
            return ["elements": elements(state, column)]
        }
        if let column = try when["counter"]?.number(as: UInt32.self) {
            return ["total": total(state, column).map(JSON.number) ?? .null]
        }
        if let columns = try when["conflicts"]?.items() {
            let place = RowStates.Place(
                table: try given.number("table"), row: try given.member("row").row())
            return ["open": open(state, place, try columns.map { try ColumnForm($0) })]
        }
        throw VectorError("folds: an unknown kind \(when.document)")
    }

    private static func register(_ fold: RegisterFold) -> JSON {
        .members([
            "shown": fold.shown.map { .dot($0.dot) } ?? .null,
            "value": fold.shown.map { .value($0.action.value ?? .null) },
            "candidates": .dots(fold.candidates.map(\.dot)),
            "covered": .dots(fold.covered.map(\.dot)), "conflict": .bool(fold.isConflict),
            "withinTolerance": .bool(fold.isWithinTolerance), "shownDots": .dots(fold.shownDots),
            "allDots": .dots(fold.allDots),
        ])
    }

    static func elements(_ state: RowState, _ column: UInt32) -> JSON {
        .array(AddWinsSet.elements(of: state, column: column).map { JSON.hex($0) })
    }

    static func total(_ state: RowState, _ column: UInt32) -> Int64? {
        let counter = Counter(state[CellKey(column)])
        counter.checkInvariants()
        return counter.entries.isEmpty ? nil : counter.value
    }

    private static func life(_ state: RowState) -> JSON {
        let life = LifeFold(state)
        return [
            "hidden": .bool(life.isHidden), "conflict": .bool(life.isConflict),
            "deletes": .dots(life.deletes.map(\.dot)),
            "uncovered": .array(life.uncovered.sorted().map(JSON.cellDot)),
        ]
    }

    /// As a replica marks them: see `RowStore`.
    static func open(
        _ state: RowState, _ place: RowStates.Place, _ columns: [ColumnForm]
    ) -> JSON {
        let life = LifeFold(state)
        guard !life.isHidden else { return [] }
        var open: [JSON] = []
        if life.isConflict {
            let dots = life.deletes.map(\.dot) + life.uncovered.map(\.dot)
            open.append(conflict(place, 0, dots))
        }
        for column in columns.sorted(by: { $0.column < $1.column }) where column.shape == "register"
        {
            let fold = RegisterFold(state[column.key], policy: column.policy)
            guard fold.isConflict else { continue }
            open.append(conflict(place, column.column, fold.candidates.map(\.dot)))
        }
        return .array(open)
    }

    private static func conflict(
        _ place: RowStates.Place, _ column: UInt32, _ dots: [Dot]
    ) -> JSON {
        let subject = OpenConflict(table: place.table, row: place.row, column: column)
        return ["column": .number(column), "conflict": .hash(Conflicts.id(subject, dots))]
    }
}
