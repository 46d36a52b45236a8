public import Causality

/// Where an op lies inside of a row: a column, and for a set the element.
public struct CellKey: Hashable, Comparable, Sendable {
    /// The column's number in the schema; ``life`` is the row itself.
    public var column: UInt32
    /// The element's canonical bytes; empty in a column that isn't a set.
    public var element: [UInt8]

    public init(_ column: UInt32, element: [UInt8] = []) {
        self.column = column
        self.element = element
    }

    /// The column of deletes and restores.
    public static let life = CellKey(0)

    public static func < (a: Self, b: Self) -> Bool {
        a.column != b.column
            ? a.column < b.column : a.element.lexicographicallyPrecedes(b.element)
    }
}

/// One op in a row, by its place and its dot: what a delete covers.
public struct CellDot: Hashable, Comparable, Sendable {
    public var cell: CellKey
    public var dot: Dot

    public init(_ cell: CellKey, _ dot: Dot) {
        self.cell = cell
        self.dot = dot
    }

    public static func < (a: Self, b: Self) -> Bool {
        a.cell != b.cell ? a.cell < b.cell : a.dot < b.dot
    }
}

/// What an op does, besides replacing what its `over` names.
public enum Action: Hashable, Sendable {
    /// Sets a register, or adds an element (whose value is then ``Value/null``).
    case put(Value)
    /// Settles a conflict: `value` is shown, and the puts in `covers` stay, with their authors.
    case resolve(Value, covers: [Dot])
    /// An op without value: undoes a resolution, removes an element, restores a row.
    case retract
    /// Hides the row as long as everything that lives in it is covered by a live delete.
    case delete(covers: [CellDot])

    /// The value that the op gives a register.
    public var value: Value? {
        switch self {
        case .put(let value), .resolve(let value, _): value
        case .retract, .delete: nil
        }
    }
}

/// An op as it is written: what it does and the dots that it replaces in its cell.
public struct Operation: Hashable, Sendable {
    public var cell: CellKey
    public var action: Action
    /// The dots whose values the author was shown: never more, never less.
    public var over: [Dot]

    public init(_ cell: CellKey, _ action: Action, over: [Dot] = []) {
        self.cell = cell
        self.action = action
        self.over = over
    }
}

/// An op that nothing has replaced.
public struct LiveOp: Hashable, Sendable {
    public var dot: Dot
    public var time: HybridTime
    public var action: Action

    public init(dot: Dot, time: HybridTime, action: Action) {
        self.dot = dot
        self.time = time
        self.action = action
    }

    /// The order that picks the value shown: (time, stream, seq), a total order over all ops.
    public func yields(to other: Self) -> Bool {
        time != other.time ? time < other.time : dot < other.dot
    }
}
