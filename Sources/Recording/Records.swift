public import Causality
internal import FieldRecords
public import Merge
public import RecordSchema
public import ReplicaStore

/// Why something can't be recorded as it was given. Nothing was written.
public struct RecordError: Error, Hashable, Sendable {
    /// What is wrong and what to do.
    public var explanation: String

    public init(_ explanation: String) {
        self.explanation = explanation
    }
}

/// A forum's records in a replica, by the names that people use: people by badge, items, sites and
/// delegations by code.
public struct Records {
    public let replica: Replica

    public init(_ replica: Replica) {
        self.replica = replica
    }

    // MARK: From names to rows

    public func table(_ name: String) throws(RecordError) -> Table {
        guard let table = replica.schema.table(named: name) else {
            let names = replica.schema.tables.map(\.name).joined(separator: ", ")
            throw RecordError("there is no table \(name); tables are \(names)")
        }
        return table
    }

    /// The row that `text` names: by badge or code, a visit as `ITEM/DELEGATION`, a tally as
    /// `ITEM/ZONE/SESSION`, any row by its id or the start of it.
    ///
    /// - Throws: ``RecordError`` when the name is no name, or names no row.
    public func row(in table: Table, _ text: String) throws -> RowID {
        if let id = try naturalRow(in: table, text) {
            if try exists(table, id) { return id }
            guard let other = try rowOfAnotherProgram(in: table, text) else {
                throw RecordError(missing(table, text))
            }
            return other
        }
        return try row(in: table, startingWith: text)
    }

    /// A row that another program made, with the badge or code but an id of its own choice.
    private func rowOfAnotherProgram(in table: Table, _ text: String) throws -> RowID? {
        guard let key = Forum.naturalKey(in: table, named: text), table.naturalKey.count == 1 else {
            return nil
        }
        let found = try replica.query(
            "SELECT id FROM \(table.name) WHERE \(table.naturalKey[0]) = ? ORDER BY id LIMIT 1",
            .text(key))
        guard case .blob(let bytes)? = found.first?[0] else { return nil }
        return Identifier(bytes).map { RowID($0) }
    }

    /// The id that `text` has by the table's natural key, whether there is such a row or not.
    func naturalRow(in table: Table, _ text: String) throws -> RowID? {
        if let id = Forum.rowID(in: table, named: text) { return id }
        if table == Forum.tally { return try tallyRow(text) }
        guard table == Forum.visit else { return nil }
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count == 2 else { return nil }
        let item = try row(in: Forum.item, String(parts[0]))
        let delegation = try row(in: Forum.delegation, String(parts[1]))
        return replica.schema.rowID(
            in: table, key: [.blob(item.identifier.bytes), .blob(delegation.identifier.bytes)])
    }

    private func row(in table: Table, startingWith text: String) throws -> RowID {
        guard (4...32).contains(text.count), text.allSatisfy(\.isHexDigit) else {
            throw RecordError(missing(table, text))
        }
        let found = try replica.query(
            "SELECT id FROM \(table.name) WHERE hex(id) LIKE ? || '%' LIMIT 2",
            .text(text.uppercased()))
        guard found.count < 2 else {
            throw RecordError("more than one row of \(table.name) starts with \(text); give more")
        }
        guard let row = found.first, case .blob(let bytes) = row[0], let id = Identifier(bytes)
        else { throw RecordError(missing(table, text)) }
        return RowID(id)
    }

    private func missing(_ table: Table, _ text: String) -> String {
        switch table {
        case Forum.person:
            "nobody has the badge \(text), or an id that starts so. Look with `karvan list person`, or import the people"
        case Forum.item, Forum.site, Forum.delegation:
            "there is no \(table.name) \(text). Look with `karvan list \(table.name)`"
        default: "there is no row \(text) in \(table.name). Look with `karvan list \(table.name)`"
        }
    }

    public func exists(_ table: Table, _ id: RowID) throws -> Bool {
        try !replica.query(
            "SELECT 1 FROM \(table.name) WHERE id = ?", .blob(id.identifier.bytes)
        ).isEmpty
    }

    // MARK: From rows to names

    /// What people call a row.
    public func name(of id: RowID, in table: Table) throws -> String {
        let columns = table.keyColumns.map(\.name)
        guard !columns.isEmpty,
            let row = try replica.query(
                "SELECT \(columns.joined(separator: ", ")) FROM \(table.name) WHERE id = ?",
                .blob(id.identifier.bytes)
            ).first, row.contains(where: { $0 != .null })
        else { return String(id.description.prefix(12)) }
        return try zip(table.keyColumns, row).map { try text(of: $1, in: $0) }
            .joined(separator: "/")
    }

    /// A value as people read it.
    public func text(of value: Value, in column: Column) throws -> String {
        switch (column.shape, value) {
        case (_, .null): return ""
        case (.register(.time), .integer(let milliseconds)):
            return Instant(milliseconds: milliseconds).formatted()
        case (.register(.reference(let number)), .blob(let bytes)):
            guard let table = replica.schema.table(id: number), let id = Identifier(bytes) else {
                return bytes.map { String($0, radix: 16) }.joined()
            }
            return try name(of: RowID(id), in: table)
        case (.set(.blob), .text(let elements)):
            // Bytes say nothing to people.
            let count = elements.utf8.count { $0 == UInt8(ascii: "\"") } / 2
            return "\(count) element\(count == 1 ? "" : "s")"
        case (.composite, .composite(let parts)):
            return parts.map(Self.plain).joined(separator: ", ")
        default: return Self.plain(value)
        }
    }

    static func plain(_ value: Value) -> String {
        switch value {
        case .null: ""
        case .integer(let value): String(value)
        case .real(let value): "\(value)"
        case .text(let text): text
        case .blob(let bytes): Hexadecimal.text(of: bytes)
        case .composite(let parts): parts.map(plain).joined(separator: ", ")
        case .sealed: "(can't be read: its key is missing)"
        case .erased: "(erased)"
        }
    }

    /// What people call the device that writes a stream.
    public func deviceName(of stream: StreamID) throws -> String {
        guard let device = replica.device(of: stream) else { return "unknown device" }
        if device == replica.device { return try replica.name }
        let found = try replica.query(
            "SELECT name FROM device WHERE device = ?", .text(device.description))
        guard case .text(let name)? = found.first?[0] else { return "device \(device.short)" }
        return name
    }

    /// A person's name, as it is written at home.
    public func personName(_ id: RowID) throws -> String {
        let found = try replica.query(
            "SELECT coalesce(name_native, name_latin) FROM person WHERE id = ?",
            .blob(id.identifier.bytes))
        guard case .text(let name)? = found.first?[0] else { return "" }
        return name
    }
}
