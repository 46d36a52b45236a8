internal import Causality
internal import Merge
internal import RecordSchema
internal import SyncProtocol

/// The forms in which values and rows travel best.
extension WriteTransaction {
    /// A value in the form in which it travels best.
    func wire(_ value: Value, _ column: Column) throws(StoreError) -> WireValue {
        switch (column.shape, value) {
        case (.register(.time), .integer(let milliseconds)): return .time(milliseconds)
        case (.register(.reference(let table)), .blob(let bytes)):
            guard let id = Identifier(bytes).map({ RowID($0) }) else { return .plain(value) }
            if let key = try naturalKey(table, id) { return .keyed(id, table: table, key: key) }
            return .row(id)
        default: return .plain(value)
        }
    }

    func name(_ table: UInt32, _ id: RowID) throws(StoreError) -> RowName {
        try naturalKey(table, id).map(RowName.keyed) ?? .whole
    }

    /// The natural key that `id` is derived from, as far as the row shows it.
    func naturalKey(_ table: UInt32, _ id: RowID) throws(StoreError) -> [Value]? {
        if let key = keys[id] { return key }
        guard let access = rows.access(table), !access.table.naturalKey.isEmpty else { return nil }
        var key: [Value]?
        if let values = try access.values(id) {
            let found = access.table.keyColumns.compactMap { column in
                access.place(of: column.id).map { values[$0] }
            }
            if rows.schema.rowID(in: access.table, key: found) == id { key = found }
        }
        keys[id] = .some(key)
        return key
    }
}
