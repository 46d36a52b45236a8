/// What people are let in as, and whose rows their devices may write. A hub puts the tables into the
/// certificates that it gives; from then on these decide, whatever schema a reader has.
public struct Role: Hashable, Sendable {
    public let name: String
    /// The numbers of tables in the base scope; `nil` for all, those of later schemas among them.
    public let tables: [UInt32]?
    /// Those in the other scopes that somebody is let in to.
    public let dividedTables: [UInt32]?

    /// - Parameters:
    ///   - tables: of the base scope.
    ///   - dividedTables: of the others.
    public init(_ name: String, writing tables: [Table]?, inDivisions dividedTables: [Table]?) {
        self.name = name
        self.tables = tables.map { $0.map(\.id).sorted() }
        self.dividedTables = dividedTables.map { $0.map(\.id).sorted() }
    }
}

/// Where certificates, cuts and hubs' pins lie: a table with one row for each device, by the hexadecimal
/// digits of its id, and sets of bytes in it. Nobody but a hub writes to that table.
public struct TrustTable: Hashable, Sendable {
    public let table: UInt32
    /// The numbers of the columns.
    public let certificates: UInt32
    public let cuts: UInt32
    public let pins: UInt32
    /// Where a hub says who has been erased; `nil` where nobody is.
    public let erasures: UInt32?

    public init(
        _ table: Table, certificates: String, cuts: String, pins: String, erasures: String? = nil
    ) {
        self.table = table.id
        self.certificates = table.declared(certificates).id
        self.cuts = table.declared(cuts).id
        self.pins = table.declared(pins).id
        self.erasures = erasures.map { table.declared($0).id }
    }

    /// The numbers of all of them.
    var columns: [UInt32] { [certificates, cuts, pins] + [erasures].compactMap { $0 } }
}
