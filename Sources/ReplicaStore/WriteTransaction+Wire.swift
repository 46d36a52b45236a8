internal import Causality
internal import Merge
internal import RecordSchema
internal import SyncProtocol

/// The forms in which values and rows travel best.
extension WriteTransaction {
    /// A value in the form in which it travels best.
    func wire(_ value: Value, _ column: Column) throws(StoreError) -> WireValue {
        // What is encrypted has one form.
        if column.isPersonal { return .plain(value) }
        switch (column.shape, value) {
        case (.register(.time), .integer(let milliseconds)): return .time(milliseconds)
        case (.register(.reference(let table)), .blob(let bytes)):
            guard let id = Identifier(bytes).map({ RowID($0) }) else { return .plain(value) }
            if let key = try naturalKey(table, id) { return .keyed(id, table: table, key: key) }
            return .row(id)
        default: return .plain(value)
        }
    }

    // MARK: What is personal

    /// Whom the personal values are about that are being written to a row; `nil` where none is written that
    /// says anything.
    ///
    /// - Throws: ``StoreError/invalid(_:)`` for a person who has been erased.
    func subject(
        of row: RowID?, in table: Table, writing value: (Column) -> Value?
    ) throws(StoreError) -> PersonalSubject? {
        let personal = table.columns.lazy.filter(\.isPersonal).compactMap(value)
        guard personal.contains(where: Self.saysSomething) else { return nil }
        guard !personal.contains(where: \.isUnreadable) else {
            throw .invalid("what nobody can read can't be written anew")
        }
        let subject = try replica.subject(of: row, in: table, writing: value)
        if case .nobody = subject { return nil }
        if let person = subject.person(of: row), try replica.erasedPeople().contains(person) {
            throw .invalid(
                "this is about a person who has been erased: nothing personal can be recorded of "
                    + "them any more")
        }
        return subject
    }

    /// Whether there is anything in a value to be encrypted.
    private static func saysSomething(_ value: Value) -> Bool {
        switch value {
        case .null: false
        case .text(let text): !text.utf8.isEmpty
        default: true
        }
    }

    /// Encrypts what is personal of the values that a row gets, for the changeset under way. The next that is
    /// done is to write them, in this order.
    func seal(
        _ wires: inout [WireValue?], _ columns: [Column], of row: RowID, in table: UInt32,
        about subject: PersonalSubject?
    ) {
        guard let subject else { return }
        var person: RowID?
        if case .person(let other) = subject { person = other }
        for index in wires.indices where columns[index].isPersonal {
            guard case .plain(let value)? = wires[index], Self.saysSomething(value) else {
                continue
            }
            let key = key(for: person ?? row)
            wires[index] = .plain(
                .sealed(
                    SealedValue(
                        about: person == row ? nil : person,
                        box: key.seal(value, table: table, row: row, column: columns[index].id))))
        }
    }

    /// What sealing adds to a value, at most, in bytes.
    static let sealLimit = 64

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
