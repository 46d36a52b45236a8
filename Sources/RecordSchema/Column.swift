public import Merge

/// What one SQL column holds.
public enum ScalarType: Hashable, Sendable {
    case integer
    case real
    case text
    case blob
    /// Milliseconds since 1970.
    case time
    /// The id of a row in the table of this number.
    case reference(UInt32)

    /// The type in a STRICT table.
    public var sql: String {
        switch self {
        case .integer, .time: "INTEGER"
        case .real: "REAL"
        case .text: "TEXT"
        case .blob, .reference: "BLOB"
        }
    }

    /// Whether a cell of this type may hold `value`.
    public func accepts(_ value: Value) -> Bool {
        switch (self, value) {
        case (_, .null), (.integer, .integer), (.time, .integer), (.real, .real), (.text, .text),
            (.blob, .blob):
            true
        case (.reference, .blob(let bytes)): bytes.count == 16
        default: false
        }
    }

    /// Whether SQLite gives back exactly `value` from a column of this type: it makes NULL of a
    /// NaN, and 0 of −0.
    public func keeps(_ value: Value) -> Bool {
        guard accepts(value) else { return false }
        guard case .real(let number) = value else { return true }
        return !number.isNaN && !(number == 0 && number.sign == .minus)
    }
}

/// How concurrent writes to a column come together.
public enum ColumnShape: Hashable, Sendable {
    /// One value; siblings stay until someone decides.
    case register(ScalarType)
    /// Several SQL columns that are one value.
    case composite([Part])
    /// An add-wins set; its SQL column holds a JSON array, sorted by the elements' bytes.
    case set(ScalarType)
    /// A count that adds up; its SQL column holds the sum.
    case counter

    public struct Part: Hashable, Sendable {
        public var name: String
        public var type: ScalarType

        public init(_ name: String, _ type: ScalarType) {
            self.name = name
            self.type = type
        }
    }
}

/// What it takes to settle a conflict.
public enum ConflictClass: Int, Hashable, Comparable, Sendable, CaseIterable {
    case silent = 0
    /// Worth a notice.
    case notice = 1
    /// A person must decide.
    case decision = 2

    public static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }
}

/// A column of a table.
public struct Column: Hashable, Sendable {
    /// From 1; never used again for another column of the table.
    public let id: UInt32
    public let name: String
    public let shape: ColumnShape
    /// How a register picks what it shows.
    public let policy: RegisterPolicy
    /// The class of a conflict between values that the policy doesn't reconcile.
    public let conflictClass: ConflictClass
    /// Belongs to a person, and can be erased with them.
    public let isPersonal: Bool

    public init(
        _ id: UInt32, _ name: String, _ shape: ColumnShape, policy: RegisterPolicy = .latest,
        conflictClass: ConflictClass = .decision, isPersonal: Bool = false
    ) {
        self.id = id
        self.name = name
        self.shape = shape
        self.policy = policy
        self.conflictClass = conflictClass
        self.isPersonal = isPersonal
    }

    /// A register of one scalar.
    public init(
        _ id: UInt32, _ name: String, _ type: ScalarType, policy: RegisterPolicy = .latest,
        conflictClass: ConflictClass = .decision, isPersonal: Bool = false
    ) {
        self.init(
            id, name, .register(type), policy: policy, conflictClass: conflictClass,
            isPersonal: isPersonal)
    }

    public var isSet: Bool {
        if case .set = shape { true } else { false }
    }

    public var isCounter: Bool { shape == .counter }

    /// A value of two integers is an entry of a counter, for whoever doesn't know the schema.
    var looksLikeCounter: Bool {
        guard case .composite(let parts) = shape, parts.count == 2 else { return false }
        return parts.allSatisfy { $0.type.accepts(.integer(0)) }
    }

    /// One value at a time, of one scalar or of several parts: what can have siblings.
    public var isRegister: Bool {
        switch shape {
        case .register, .composite: true
        case .set, .counter: false
        }
    }

    /// One scalar at a time.
    var isOneScalar: Bool {
        if case .register = shape { true } else { false }
    }

    /// The SQL columns, in order.
    public var sqlColumns: [ColumnShape.Part] {
        switch shape {
        case .register(let type): [ColumnShape.Part(name, type)]
        case .composite(let parts): parts
        case .set: [ColumnShape.Part(name, .text)]
        case .counter: [ColumnShape.Part(name, .integer)]
        }
    }

    /// Whether the column, or one element of it, may hold `value`.
    public func accepts(_ value: Value) -> Bool {
        switch shape {
        case .register(let type): return type.accepts(value)
        case .set(let type): return value != .null && type.accepts(value)
        case .counter: return Counter.isEntry(value)
        case .composite(let parts):
            guard value != .null else { return true }
            guard case .composite(let values) = value, values.count == parts.count else {
                return false
            }
            return zip(parts, values).allSatisfy { $0.type.accepts($1) }
        }
    }

    /// Whether the SQL columns give back exactly `value`.
    public func keeps(_ value: Value) -> Bool {
        switch shape {
        case .register(let type): return type.keeps(value)
        case .set, .counter: return false
        case .composite(let parts):
            guard case .composite(let values) = value, values.count == parts.count,
                values.contains(where: { $0 != .null })
            else { return value == .null }
            return zip(parts, values).allSatisfy { $0.type.keeps($1) }
        }
    }
}
