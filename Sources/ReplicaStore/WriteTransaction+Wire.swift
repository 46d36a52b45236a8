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

    /// Whether the id follows from the key alone: whoever reads it derives it so. One that bears a scope's mark
    /// is shorter than most keys of such rows.
    private func isNamed(_ id: RowID, by key: [Value], in table: Table) -> Bool {
        RowID(namespace: rows.schema.namespace, table: table.id, key: key) == id
    }

    func noteKey(_ key: [Value], of id: RowID, in table: Table) {
        keys[id] = .some(isNamed(id, by: key, in: table) ? key : nil)
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
            if isNamed(id, by: found, in: access.table) { key = found }
        }
        keys[id] = .some(key)
        return key
    }
}
