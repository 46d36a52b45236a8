public import Causality
internal import FieldRecords
public import Merge
public import RecordSchema
public import ReplicaStore
internal import SyncProtocol

/// One `COLUMN=VALUE` as a person typed it.
public struct Assignment: Hashable, Sendable {
    public enum Kind: Sendable { case set, add, remove }

    public var column: String
    public var kind: Kind
    public var text: String

    /// Reads `COLUMN=VALUE`, for sets `COLUMN+=ELEMENT` and `COLUMN-=ELEMENT`, and for counters
    /// `COLUMN+=N` and `COLUMN-=N`.
    public init(_ argument: String) throws(RecordError) {
        guard let place = argument.firstIndex(of: "=") else {
            throw RecordError("'\(argument)' is not COLUMN=VALUE")
        }
        var name = argument[..<place]
        kind = .set
        if name.hasSuffix("+") { kind = .add } else if name.hasSuffix("-") { kind = .remove }
        if kind != .set { name = name.dropLast() }
        column = String(name)
        text = String(argument[argument.index(after: place)...])
    }
}

extension Records {
    /// Sets columns of a row, which must exist; a row with a natural key is made when it doesn't.
    ///
    /// - Parameter basis: what the author was shown; `nil` for what the row shows now.
    /// - Returns: the row, and whether anything had to be written.
    /// - Throws: ``RecordError`` also where what was shown is called otherwise by now: a dot could mean
    ///   what nobody saw.
    public func set(
        _ table: Table, _ key: String, _ assignments: [Assignment], basis: Basis?, author: String
    ) throws -> (row: RowID, isChanged: Bool, receipt: WriteReceipt) {
        guard table != Forum.observation else {
            throw RecordError("observations are never changed; use `karvan attend … --undo`")
        }
        let natural = try naturalRow(in: table, key)
        let id = try natural ?? row(in: table, key)
        let changes = try assignments.map { ($0, try column(table, $0.column)) }
        let registers = try changes.filter { $0.1.isRegister }.map { assignment, column in
            guard assignment.kind == .set else {
                throw RecordError("\(column.name) is no set; write \(column.name)=VALUE")
            }
            guard !table.naturalKey.contains(column.name) else {
                throw RecordError("\(column.name) is the name of the row, which never changes")
            }
            let day = try day(of: column, in: table, id, key)
            return (column, try value(assignment.text, for: column, onDayOf: day))
        }
        let amounts = try changes.filter { $0.1.isCounter }.map { assignment, column in
            (column, try Self.amount(assignment, column))
        }
        let (isChanged, receipt) = try replica.write(author: author) { transaction in
            if let basis, try basis.naming != replica.naming() {
                throw RecordError(
                    "what this was based on has got other names, since two files of one laptop were "
                        + "found: look at it again, and set it then")
            }
            var isChanged = false
            if natural != nil, try !exists(table, id) {
                isChanged = try transaction.upsert(
                    table, key: try naturalKey(table, key), registers
                ).isChanged
            } else if !registers.isEmpty {
                isChanged = try transaction.set(table, id, registers, basis: basis?.dots)
            }
            for (assignment, column) in changes where column.isSet {
                if try change(table, id, column, assignment, in: transaction) { isChanged = true }
            }
            for (column, amount) in amounts {
                if try transaction.count(table, id, column, by: amount) { isChanged = true }
            }
            return isChanged
        }
        return (id, isChanged, receipt)
    }

    private static func amount(
        _ assignment: Assignment, _ column: Column
    ) throws(RecordError) -> Int64 {
        guard assignment.kind != .set else {
            throw RecordError(
                "\(column.name) is a counter: write \(column.name)+=N or \(column.name)-=N")
        }
        guard let amount = Int64(assignment.text), amount >= 0 else {
            throw RecordError("\(column.name) counts whole heads, not '\(assignment.text)'")
        }
        return assignment.kind == .add ? amount : -amount
    }

    func naturalKey(_ table: Table, _ text: String) throws -> [Value] {
        if let key = Forum.naturalKey(in: table, named: text) { return [.text(key)] }
        let parts = text.split(separator: "/").map(String.init)
        return [
            .blob(try row(in: Forum.item, parts[0]).identifier.bytes),
            .blob(try row(in: Forum.delegation, parts[1]).identifier.bytes),
        ]
    }

    func column(_ table: Table, _ name: String) throws(RecordError) -> Column {
        guard let column = table.column(named: name) else {
            let names = table.columns.map(\.name).joined(separator: ", ")
            throw RecordError("\(table.name) has no column \(name); its columns are \(names)")
        }
        return column
    }

    private func change(
        _ table: Table, _ id: RowID, _ column: Column, _ assignment: Assignment,
        in transaction: WriteTransaction
    ) throws -> Bool {
        let elements = assignment.text.split(separator: ";").map { Value.text(String($0)) }
        switch assignment.kind {
        case .add: return try transaction.add(table, id, column, elements)
        case .remove: return try transaction.remove(table, id, column, elements)
        case .set:
            let state = try replica.state(table.id, id)
            let present = AddWinsSet.elements(of: state, column: column.id).compactMap {
                try? Value(canonicalBytes: $0)
            }
            let surplus = present.filter { !elements.contains($0) }
            let removed = try transaction.remove(table, id, column, surplus)
            return try transaction.add(table, id, column, elements) || removed
        }
    }

    /// What tells the day of a bare time: the value that stands there, else the visit's item.
    private func day(
        of column: Column, in table: Table, _ id: RowID, _ key: String
    ) throws -> Int64? {
        guard case .register(.time) = column.shape else { return nil }
        let state = try replica.state(table.id, id)
        let fold = RegisterFold(state[CellKey(column.id)], policy: column.policy)
        if case .integer(let shown)? = fold.shown?.action.value { return shown }
        guard table == Forum.visit, let item = key.split(separator: "/").first else { return nil }
        let found = try replica.query(
            "SELECT planned_start FROM item WHERE id = ?",
            .blob(try row(in: Forum.item, String(item)).identifier.bytes))
        if case .integer(let start)? = found.first?[0] { return start }
        return nil
    }

    /// A value as a person types it; the empty text is no value.
    ///
    /// - Parameter day: lies in the day of a bare time such as 10:10, in milliseconds since 1970;
    ///   without one a time needs its date.
    public func value(
        _ text: String, for column: Column, onDayOf day: Int64?
    ) throws -> Value {
        guard !text.isEmpty else { return .null }
        switch column.shape {
        case .register(.time):
            do throws(InstantError) {
                let instant =
                    if let day {
                        try Instant(text, onDayOf: Instant(milliseconds: day))
                    } else {
                        try Instant(text)
                    }
                return .integer(instant.milliseconds)
            } catch {
                throw RecordError("\(column.name): \(error)")
            }
        case .register(let type): return try scalar(text, type, column.name)
        case .set: return .text(text)
        case .counter: throw RecordError("\(column.name) is a counter; it takes no value")
        case .composite(let parts):
            let fields = text.split(separator: ",", omittingEmptySubsequences: false)
                .map { $0.filter { $0 != " " } }
            guard fields.count == parts.count else {
                let names = parts.map(\.name).joined(separator: ",")
                throw RecordError("\(column.name) takes \(parts.count) values: \(names)")
            }
            return .composite(
                try zip(fields, parts).map {
                    try $0.isEmpty ? .null : scalar($0, $1.type, "\(column.name).\($1.name)")
                })
        }
    }

    private func scalar(_ text: String, _ type: ScalarType, _ name: String) throws -> Value {
        switch type {
        case .text: return .text(text)
        case .integer:
            guard let value = Int64(text) else {
                throw RecordError("\(name) takes a whole number, not '\(text)'")
            }
            return .integer(value)
        case .real:
            guard let value = Double(text) else {
                throw RecordError("\(name) takes a number, not '\(text)'")
            }
            return .real(value)
        case .time:
            guard let instant = try? Instant(text) else {
                throw RecordError("\(name) takes a date and time, not '\(text)'")
            }
            return .integer(instant.milliseconds)
        case .blob:
            guard let bytes = Hexadecimal.bytes(of: text) else {
                throw RecordError("\(name) takes bytes in hexadecimal, not '\(text)'")
            }
            return .blob(bytes)
        case .reference(let number):
            guard let table = replica.schema.table(id: number) else {
                throw RecordError("\(name) refers to a table that this build doesn't know")
            }
            return .blob(try row(in: table, text).identifier.bytes)
        }
    }

    /// Hides a row. What someone else writes to it meanwhile brings it back, as a conflict.
    public func delete(
        _ table: Table, _ key: String, author: String
    ) throws -> (row: RowID, receipt: WriteReceipt) {
        let id = try row(in: table, key)
        let (_, receipt) = try replica.write(author: author) { transaction in
            try transaction.delete(table, id)
        }
        return (id, receipt)
    }
}
