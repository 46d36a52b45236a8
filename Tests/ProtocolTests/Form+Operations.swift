import Causality
import Merge
import SyncProtocol

/// Ops, live ops and changesets.
extension JSON {
    private static func cell(_ cell: CellKey) -> [Member] {
        [Member("column", .number(cell.column))]
            + (cell.element.isEmpty ? [] : [Member("element", .hex(cell.element))])
    }

    static func cellDot(_ cellDot: CellDot) -> JSON {
        .object(cell(cellDot.cell) + [Member("dot", .dot(cellDot.dot))])
    }

    private static func members(_ action: Action, over: [Dot]?) -> [Member] {
        let over = over.map { [Member("over", .dots($0))] } ?? []
        switch action {
        case .put(let value):
            return [Member("op", "put"), Member("value", .value(value))] + over
        case .resolve(let value, let covers):
            return [Member("op", "resolve"), Member("value", .value(value))] + over
                + [Member("covers", .dots(covers))]
        case .retract: return [Member("op", "retract")] + over
        case .delete(let covers):
            let covers = Set(covers).sorted().map(JSON.cellDot)
            return [Member("op", "delete")] + over + [Member("covers", .array(covers))]
        }
    }

    static func operation(_ operation: Operation) -> JSON {
        .object(cell(operation.cell) + members(operation.action, over: operation.over))
    }

    /// In the order of their cells, where that means nothing.
    static func operations(sorting operations: [Operation]) -> JSON {
        .array(operations.sorted { $0.cell < $1.cell }.map(JSON.operation))
    }

    static func live(_ cell: CellKey, _ op: LiveOp) -> JSON {
        .object(
            [Member("dot", .dot(op.dot)), Member("time", .time(op.time))] + Self.cell(cell)
                + members(op.action, over: nil))
    }

    static func live(_ row: RowState) -> JSON {
        .array(row.cells.flatMap { entry in entry.cell.live.map { live(entry.key, $0) } })
    }

    static func changeset(_ changeset: Changeset) -> JSON {
        [
            "dot": .dot(changeset.dot), "time": .time(changeset.time),
            "author": .text(changeset.author), "claimed": .number(changeset.claimedMilliseconds),
            "action": changeset.action.map { .hex($0.bytes) } ?? .null,
            "source": .text(changeset.source),
            "rows": .array(
                changeset.rows.map { row in
                    [
                        "table": .number(row.table), "row": .row(row.row),
                        "new": .bool(row.isNew),
                        "ops": .array(row.operations.map(JSON.operation)),
                    ]
                }),
        ]
    }

    private func cell() throws -> CellKey {
        let element = try optional("element") { try $0.hex() } ?? []
        return CellKey(try number("column"), element: element)
    }

    private func cellDot() throws -> CellDot { CellDot(try cell(), try member("dot").dot()) }

    private func action() throws -> Action {
        switch try string("op") {
        case "put": .put(try member("value").value())
        case "resolve":
            .resolve(try member("value").value(), covers: try member("covers").dots())
        case "retract": .retract
        case "delete": .delete(covers: try items("covers").map { try $0.cellDot() })
        default: throw VectorError("an unknown op: \(document)")
        }
    }

    func operation() throws -> Operation {
        Operation(try cell(), try action(), over: try member("over").dots())
    }

    func liveOp() throws -> (cell: CellKey, op: LiveOp) {
        let op = LiveOp(
            dot: try member("dot").dot(), time: try member("time").time(), action: try action())
        return (try cell(), op)
    }

    /// Live ops of one row.
    func rowState() throws -> RowState {
        var state = RowState()
        for entry in try items().map({ try $0.liveOp() }) {
            state.set(entry.cell, Cell(state[entry.cell].live + [entry.op]))
        }
        state.checkInvariants()
        return state
    }
}
