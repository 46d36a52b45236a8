public import Causality
internal import FieldRecords
internal import Merge
public import RecordSchema
internal import ReplicaStore

extension Records {
    /// All that was ever written to a row, oldest first: no effect before its cause, where causes
    /// leave it open by the clocks of those who recorded.
    ///
    /// - Parameters:
    ///   - key: as in ``row(in:_:)``; the row may be deleted meanwhile.
    ///   - columnName: only this column.
    /// - Throws: ``RecordError`` when nothing was ever written to such a row.
    public func history(
        of key: String, in table: Table, column columnName: String? = nil
    ) throws -> RecordHistory {
        try replica.read {
            let wanted = try columnName.map { name in try column(table, name) }
            let id = try knownRow(in: table, key)
            let reader = HistoryReader(self, table, try replica.history(of: id, in: table.id))
            let entries = try reader.entries.filter { wanted == nil || $0.column == wanted }
            return RecordHistory(
                table: table, row: id, name: try knownName(of: id, in: table),
                isDeleted: reader.life.isHidden, entries: entries)
        }
    }

    // MARK: Rows that may be deleted

    /// The row that `text` names, whether it is there or was deleted.
    public func knownRow(in table: Table, _ text: String) throws -> RowID {
        if let id = try knownNaturalRow(in: table, text), try isKnown(table, id) { return id }
        guard (4...32).contains(text.count), text.allSatisfy(\.isHexDigit) else {
            return try row(in: table, text)
        }
        let found = try replica.knownRows(in: table.id, startingWith: text, limit: 2)
        guard found.count < 2 else {
            throw RecordError("more than one row of \(table.name) starts with \(text); give more")
        }
        return try found.first ?? row(in: table, text)
    }

    private func isKnown(_ table: Table, _ id: RowID) throws -> Bool {
        try !replica.state(table.id, id).cells.isEmpty
    }

    /// The id by the natural key, whose parts may name deleted rows.
    private func knownNaturalRow(in table: Table, _ text: String) throws -> RowID? {
        if let id = Forum.rowID(in: table, named: text) { return id }
        var parts = text.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
        // A laptop's own session of a tally needn't be named.
        if table == Forum.tally, parts.count == 2 { parts.append(replica.device.short) }
        guard table.keyColumns.count > 1, parts.count == table.keyColumns.count else { return nil }
        let key = try zip(table.keyColumns, parts).map { column, part -> Value? in
            switch column.shape {
            case .register(.text): .text(part)
            case .register(.reference(let number)):
                try replica.schema.table(id: number).map {
                    .blob(try knownRow(in: $0, part).identifier.bytes)
                }
            default: nil
            }
        }
        guard !key.contains(nil) else { return nil }
        return replica.schema.rowID(in: table, key: key.compactMap { $0 })
    }

    /// As ``name(of:in:)``, of rows that were deleted as well.
    public func knownName(of id: RowID, in table: Table) throws -> String {
        guard try !exists(table, id), !table.naturalKey.isEmpty else {
            return try name(of: id, in: table)
        }
        let state = try replica.state(table.id, id)
        let values = table.keyColumns.map { column in
            RegisterFold(state[CellKey(column.id)]).shown?.action.value ?? .null
        }
        guard values.contains(where: { $0 != .null }) else { return try name(of: id, in: table) }
        return try zip(table.keyColumns, values).map { try knownText(of: $1, in: $0) }
            .joined(separator: "/")
    }

    /// As ``text(of:in:)``, where the value may refer to a row that was deleted.
    func knownText(of value: Value, in column: Column) throws -> String {
        guard case .register(.reference(let number)) = column.shape, case .blob(let bytes) = value,
            let table = replica.schema.table(id: number), let id = Identifier(bytes)
        else { return try text(of: value, in: column) }
        return try knownName(of: RowID(id), in: table)
    }
}
