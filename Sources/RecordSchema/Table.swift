public import Causality
public import Merge
internal import SyncProtocol

/// A table whose rows merge.
public struct Table: Hashable, Sendable {
    /// From 1; never used again for another table of the schema.
    public let id: UInt32
    public let name: String
    public let columns: [Column]
    /// The columns by which two laptops know the same row; empty where a row's id comes from the
    /// changeset that creates it.
    public let naturalKey: [String]
    /// Columns to index, one list for each index.
    public let indices: [[String]]

    public init(
        _ id: UInt32, _ name: String, key naturalKey: [String] = [], indices: [[String]] = [],
        _ columns: [Column]
    ) {
        self.id = id
        self.name = name
        self.columns = columns
        self.naturalKey = naturalKey
        self.indices = indices
    }

    public func column(named name: String) -> Column? { columns.first { $0.name == name } }
    /// A column that the program names itself: that it isn't declared is a bug, and stops the program.
    public func declared(_ name: String) -> Column {
        guard let column = column(named: name) else {
            preconditionFailure("\(self.name) declares no column \(name)")
        }
        return column
    }

    public func column(id: UInt32) -> Column? { columns.first { $0.id == id } }

    /// The columns of the natural key, in order.
    public var keyColumns: [Column] { naturalKey.compactMap(column(named:)) }

    /// All SQL columns but `id`, in order.
    public var sqlColumns: [ColumnShape.Part] { columns.flatMap(\.sqlColumns) }
}

/// What a team declares: its tables, the views that read them, and the rules by which records clash.
public struct Schema: Sendable {
    public struct View: Sendable {
        public let name: String
        public let select: String

        public init(_ name: String, _ select: String) {
            self.name = name
            self.select = select
        }
    }

    public let name: String
    /// Rises with every change of the declaration.
    public let version: UInt64
    public let tables: [Table]
    public let views: [View]
    public let rules: [ConflictRule]
    /// Where devices' certificates and cuts lie, and hubs' pins; `nil` where nobody has any.
    public let trust: TrustTable?

    /// Checks the declaration: a wrong one is a bug, and stops the program.
    public init(
        name: String, version: UInt64, tables: [Table], views: [View] = [],
        rules: [ConflictRule] = [], trust: TrustTable? = nil
    ) {
        self.name = name
        self.version = version
        self.tables = tables.sorted { $0.id < $1.id }
        self.views = views
        self.rules = rules.sorted { $0.number < $1.number }
        self.trust = trust
        checkInvariants()
    }

    public func table(named name: String) -> Table? { tables.first { $0.name == name } }

    public func table(id: UInt32) -> Table? { tables.first { $0.id == id } }

    /// What natural keys are derived in.
    public var namespace: [UInt8] { Array(name.utf8) }

    /// The id of the row that `key` names; the same on every laptop.
    ///
    /// - Parameter key: normalised, in the order of the declaration.
    public func rowID(in table: Table, key: [Value]) -> RowID {
        RowID(namespace: namespace, table: table.id, key: key)
    }

    private func checkInvariants() {
        precondition(Set(tables.map(\.id)).count == tables.count, "two tables share a number")
        precondition(Set(tables.map(\.name)).count == tables.count, "two tables share a name")
        precondition(Set(rules.map(\.number)).count == rules.count, "two rules share a number")
        precondition(Set(rules.map(\.name)).count == rules.count, "two rules share a name")
        if let trust {
            let table = table(id: trust.table)
            precondition(
                trust.columns.allSatisfy { table?.column(id: $0)?.shape == .set(.blob) },
                "certificates, cuts and pins lie in sets of bytes")
        }
        for table in tables {
            precondition(table.id > 0, "table \(table.name): numbers start at 1")
            let parts = table.sqlColumns.map(\.name)
            for name in [table.name] + parts {
                precondition(Self.isIdentifier(name), "\(name) can't name a table or column")
            }
            precondition(
                Set(parts + ["id"]).count == parts.count + 1, "\(table.name): a column is doubled")
            let ids = table.columns.map(\.id)
            precondition(
                Set(ids).count == ids.count && ids.allSatisfy { (1...250).contains($0) },
                "\(table.name): column numbers are distinct and in 1...250")
            precondition(
                table.keyColumns.count == table.naturalKey.count,
                "\(table.name): the natural key names an unknown column")
            precondition(
                table.indices.joined().allSatisfy(parts.contains),
                "\(table.name): an index names an unknown column")
        }
    }

    /// Lower-case letters, digits and underscores, from a letter; not the engine's own prefix.
    private static func isIdentifier(_ name: String) -> Bool {
        let letters = UInt8(ascii: "a")...UInt8(ascii: "z")
        let digits = UInt8(ascii: "0")...UInt8(ascii: "9")
        guard let first = name.utf8.first, letters.contains(first), !name.hasPrefix("sy_"),
            !name.hasPrefix("sqlite_")
        else { return false }
        return name.utf8.allSatisfy {
            letters.contains($0) || digits.contains($0) || $0 == UInt8(ascii: "_")
        }
    }
}
