public import Causality
public import Merge
public import SyncProtocol

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
    /// Whether its rows may lie in another scope than the base one: those that bear that scope's mark.
    public let isDivided: Bool
    /// The column of the natural key that says where a row lies: with the row that it names, or in the
    /// scope that this row stands for. `nil` where whoever makes a row says it.
    public let dividedBy: String?
    /// Where a row names the person whom its personal values are about; `nil` where a row is that person.
    public let about: Subject?
    /// The column that names bytes beside the log by their SHA-256; `nil` where rows name none. What it says
    /// changes no table, so the schema's version doesn't rise with it.
    public let blob: String?

    /// The column that holds the id of a person's row, or of one that is about a person.
    public struct Subject: Hashable, Sendable {
        public let column: String
        /// The column that holds the number of that row's table; `nil` where the first is a reference.
        public let tableColumn: String?

        public init(_ column: String, in tableColumn: String? = nil) {
            (self.column, self.tableColumn) = (column, tableColumn)
        }
    }

    public init(
        _ id: UInt32, _ name: String, key naturalKey: [String] = [], indices: [[String]] = [],
        isDivided: Bool = false, dividedBy: String? = nil, about: Subject? = nil,
        blob: String? = nil, _ columns: [Column]
    ) {
        self.id = id
        self.name = name
        self.columns = columns
        self.naturalKey = naturalKey
        self.indices = indices
        self.isDivided = isDivided || dividedBy != nil
        self.dividedBy = dividedBy
        self.about = about
        self.blob = blob
    }

    /// Whether its rows stand for people.
    public var isOfPeople: Bool { about == nil && columns.contains(where: \.isPersonal) }

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
    /// The tables of which each row stands for a scope, by its natural key.
    public let divisions: [Table]

    /// Checks the declaration: a wrong one is a bug, and stops the program.
    public init(
        name: String, version: UInt64, tables: [Table], views: [View] = [],
        rules: [ConflictRule] = [], trust: TrustTable? = nil, divisions: [Table] = []
    ) {
        self.name = name
        self.version = version
        self.tables = tables.sorted { $0.id < $1.id }
        self.views = views
        self.rules = rules.sorted { $0.number < $1.number }
        self.trust = trust
        self.divisions = divisions
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
            .marked(by: division(of: table, key: key).map(ScopeMark.init(endOf:)))
    }

    /// The row that the natural key says a row lies with.
    public func division(of table: Table, key: [Value]) -> RowID? {
        guard let column = table.dividedBy, let place = table.naturalKey.firstIndex(of: column),
            place < key.count, case .blob(let bytes) = key[place]
        else { return nil }
        return Identifier(bytes).map { RowID($0) }
    }

    // MARK: Scopes

    /// The row that a scope stands for, as that of delegation KZ for `delegation/KZ`; `nil` for the base
    /// scope, and for what names none.
    public func division(ofScope scope: String) -> RowID? {
        guard let table = divisionTable(ofScope: scope) else { return nil }
        return rowID(in: table, key: [.text(String(scope.dropFirst(table.name.count + 1)))])
    }

    /// The table of that row. A scope's name has no spaces: lists of them are separated by these.
    public func divisionTable(ofScope scope: String) -> Table? {
        let parts = scope.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
        guard parts.count == 2, !parts[1].isEmpty, scope.utf8.allSatisfy({ $0 > 0x20 }) else {
            return nil
        }
        return divisions.first { $0.name == parts[0] }
    }

    /// What the ids of the rows of a scope end with; `nil` in the base scope.
    public func mark(ofScope scope: String) -> ScopeMark? {
        division(ofScope: scope).map(ScopeMark.init(endOf:))
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
        precondition(
            divisions.allSatisfy { division in
                division.keyColumns.count == 1
                    && division.keyColumns[0].shape == .register(.text)
                    && table(id: division.id) == division
            }, "a scope is named by a table and one text")
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
                table.dividedBy.map(table.naturalKey.contains) ?? true,
                "\(table.name): what divides it is no column of its natural key")
            precondition(
                table.keyColumns.allSatisfy { !$0.isPersonal },
                "\(table.name): what is personal names no row")
            precondition(
                !table.columns.contains(where: \.looksLikeCounter),
                "\(table.name): two integers are what a counter's entries are")
            precondition(
                table.columns.allSatisfy { !$0.isPersonal || $0.isOneScalar },
                "\(table.name): only a register of one scalar can be personal")
            precondition(
                table.indices.joined().allSatisfy { name in
                    !table.columns.contains { column in
                        column.isPersonal && column.sqlColumns.contains { $0.name == name }
                    }
                }, "\(table.name): what is personal is in no index")
            precondition(
                table.about.map { about in
                    table.column(named: about.column) != nil
                        && about.tableColumn.map { table.column(named: $0) != nil } ?? true
                } ?? true, "\(table.name): what it is about is no column")
            precondition(
                table.blob.map { table.column(named: $0)?.shape == .register(.blob) } ?? true,
                "\(table.name): a blob is named by a register of bytes")
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
