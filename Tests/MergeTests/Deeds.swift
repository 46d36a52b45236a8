import Causality
import Merge

/// Something that a person may do to a row, by what they see of it.
struct Deed: Sendable {
    var name: String
    /// From the row and the author's own stream.
    var make: @Sendable (RowState, StreamID) -> [Operation]

    init(_ name: String, _ make: @escaping @Sendable (RowState) -> [Operation]) {
        self.name = name
        self.make = { state, _ in make(state) }
    }

    init(
        _ name: String, counting make: @escaping @Sendable (RowState, StreamID) -> [Operation]
    ) {
        self.name = name
        self.make = make
    }

    static func put(
        _ key: CellKey, _ value: Value, policy: RegisterPolicy = .latest
    ) -> Deed {
        Deed("put") { $0.put(key, value, basis: $0.basis(of: key, policy: policy)) }
    }

    /// From a form that was opened before anything was written.
    static func blindPut(_ key: CellKey, _ value: Value) -> Deed {
        Deed("blind put") { $0.put(key, value, basis: [], isDeleteShown: false) }
    }

    static func remove(_ key: CellKey) -> Deed {
        Deed("remove") { $0.remove(key, basis: $0.basis(of: key)) }
    }

    static func count(_ key: CellKey, _ amount: Int64) -> Deed {
        Deed("count \(amount)", counting: { $0.count(key, by: amount, stream: $1) ?? [] })
    }

    static func resolve(_ key: CellKey, _ value: Value) -> Deed {
        Deed("resolve") { state in
            let fold = RegisterFold(state[key])
            return fold.shown == nil ? [] : [state.resolve(key, value, basis: fold.allDots)]
        }
    }

    static func undo(_ key: CellKey) -> Deed {
        Deed("undo") { state in
            for op in state[key].live {
                if case .resolve = op.action {
                    return state.undo(resolution: op.dot, in: key).map { [$0] } ?? []
                }
            }
            return []
        }
    }

    static let delete = Deed("delete") { $0.cells.isEmpty ? [] : [$0.delete()] }
    static let restore = Deed("restore") { $0.restore().map { [$0] } ?? [] }
}

/// What may be done to one type of column, and what must hold of it.
struct DeedFamily: Sendable {
    var name: String
    var deeds: [Deed]
    /// Folds the column, and lets the fold check itself.
    var checkInvariants: @Sendable (RowState) -> Void

    private static let plain = CellKey(1)
    private static let composite = CellKey(2)
    private static let element = CellKey(3, element: [1])
    private static let other = CellKey(3, element: [2])
    private static let counter = CellKey(4)
    private static let arrival = CellKey(5)
    private static let place = Value.composite([.real(1), .null])
    static let tolerance = RegisterPolicy.earliest(within: 10)

    static let all = [register, earliest, compositeRegister, set, count]

    static let register = DeedFamily(
        name: "register",
        deeds: [
            .put(plain, .text("a")), .put(plain, .text("b")), .blindPut(plain, .text("b")),
            .resolve(plain, .text("c")), .undo(plain), .delete, .restore,
        ]
    ) { state in
        RegisterFold(state[plain]).checkInvariants()
        LifeFold(state).checkInvariants()
    }

    static let earliest = DeedFamily(
        name: "earliest",
        deeds: [
            .put(arrival, .integer(3), policy: tolerance), .blindPut(arrival, .integer(9)),
            .blindPut(arrival, .integer(14)), .resolve(arrival, .integer(5)), .delete,
        ]
    ) { state in
        RegisterFold(state[arrival], policy: tolerance).checkInvariants()
        LifeFold(state).checkInvariants()
    }

    static let compositeRegister = DeedFamily(
        name: "composite",
        deeds: [
            .put(composite, place), .blindPut(composite, .composite([.real(-0.0), .real(.nan)])),
            .resolve(composite, .null), .undo(composite), .delete,
        ]
    ) { state in
        RegisterFold(state[composite]).checkInvariants()
        LifeFold(state).checkInvariants()
    }

    static let set = DeedFamily(
        name: "set",
        deeds: [
            .put(element, .null), .blindPut(element, .null), .remove(element),
            .put(other, .null), .delete, .restore,
        ]
    ) { state in
        AddWinsSet(state, column: 3).checkInvariants()
        LifeFold(state).checkInvariants()
    }

    static let count = DeedFamily(
        name: "counter",
        deeds: [.count(counter, 1), .count(counter, -1), .delete, .restore]
    ) { state in
        Counter(state[counter]).checkInvariants()
        LifeFold(state).checkInvariants()
    }
}
