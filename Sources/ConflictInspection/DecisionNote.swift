internal import Causality
internal import FieldRecords
internal import Merge
internal import RecordSchema
internal import ReplicaStore
internal import SyncProtocol

/// A decision as a record, for people to read: it stands in the changeset of the decision.
struct DecisionNote {
    var table: UInt32
    var row: RowID
    /// 0 where the row itself, or a rule, is what was decided on.
    var column: UInt32
    /// What was shown to the person who decided.
    var facts: [UInt8]
    var text: String
    var reason: String

    init(_ conflict: Conflict, text: String, reason: String) {
        table = conflict.subject.table.id
        row = conflict.subject.row
        column = conflict.subject.column?.id ?? 0
        var encoder = CBOREncoder()
        let dots = conflict.candidates.compactMap(\.dot).sorted()
        encoder.array(dots.count * 2)
        for dot in dots {
            encoder.blob(dot.stream.identifier.bytes)
            encoder.unsigned(dot.seq)
        }
        facts = encoder.bytes
        self.text = text
        self.reason = reason
    }

    init(_ entry: DecisionEntry, text: String, reason: String) {
        table = entry.about.table
        row = entry.about.row
        column = entry.about.column
        var encoder = CBOREncoder()
        encoder.array(2)
        encoder.blob(entry.dot.stream.identifier.bytes)
        encoder.unsigned(entry.dot.seq)
        facts = encoder.bytes
        self.text = text
        self.reason = reason
    }

    /// What a changeset's row of `resolution` holds; `nil` for rows of other tables.
    init?(_ change: RowChange) {
        guard change.table == Forum.resolution.id else { return nil }
        var values: [UInt32: Value] = [:]
        for operation in change.operations {
            values[operation.cell.column] = operation.action.value
        }
        guard case .integer(let table)? = values[1], case .blob(let row)? = values[2],
            let table = UInt32(exactly: table), let row = Identifier(row)
        else { return nil }
        self.table = table
        self.row = RowID(row)
        (column, facts, text, reason) = (0, [], "", "")
        if case .integer(let number)? = values[3] { column = UInt32(exactly: number) ?? 0 }
        if case .blob(let bytes)? = values[4] { facts = bytes }
        if case .text(let value)? = values[5] { text = value }
        if case .text(let value)? = values[6] { reason = value }
    }
}

extension Conflicts {
    /// What is said of a row; of a person who has been erased nothing is.
    func words(_ text: String, about row: RowID, _ table: UInt32) throws -> Value {
        guard let table = replica.schema.table(id: table) else { return .text(text) }
        return try replica.isAboutErased(table, row) ? .null : .text(text)
    }

    func note(
        _ note: DecisionNote, _ author: String, in transaction: WriteTransaction
    ) throws {
        try transaction.insert(
            into: Forum.resolution,
            [
                .integer(Int64(note.table)), .blob(note.row.identifier.bytes),
                .integer(Int64(note.column)), .blob(note.facts),
                try words(note.text, about: note.row, note.table),
                try words(note.reason, about: note.row, note.table), .text(author),
            ],
            dividedBy: Forum.schema.table(id: note.table)?.isDivided == true ? note.row : nil)
    }
}
