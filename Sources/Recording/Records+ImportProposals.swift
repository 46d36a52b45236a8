internal import Causality
internal import FieldRecords
internal import Merge
internal import RecordSchema
internal import ReplicaStore

extension Records {
    /// What a proposal of an import says.
    static let missingFromList = "missing from list"

    /// Proposes to delete the rows that earlier lists of the kind had and the file lacks, and
    /// takes the proposal back for those that it has again.
    ///
    /// Whether a row was missing is the list's word too, by the same rule as its fields: who
    /// dismissed a proposal isn't asked again by the same file.
    func propose(
        _ file: ImportFile, isPartial: Bool, _ source: String, _ past: ImportPast,
        in transaction: WriteTransaction, _ summary: inout ImportSummary
    ) throws {
        let table = file.kind.table
        let listed = Set(
            file.rows.filter { $0.table == table }
                .map { replica.schema.rowID(in: table, key: $0.key) })
        for row in past.rows(of: table) where !listed.contains(row) {
            guard try !isPartial && exists(table, row) else { continue }
            summary.missingCount += 1
            guard try propose(table, row, source, past, in: transaction) else { continue }
            summary.proposedCount += 1
            summary.differences.append(
                ImportDifference(
                    kind: .missing, table: table.name, name: try name(of: row, in: table)))
        }
        for row in file.rows where row.table == table {
            let id = replica.schema.rowID(in: table, key: row.key)
            guard try withdraw(table, id, past, in: transaction) else { continue }
            summary.differences.append(
                ImportDifference(
                    kind: .back, line: row.line, table: table.name,
                    name: try name(of: id, in: table)))
        }
    }

    private func key(of table: Table, _ row: RowID) -> [Value] {
        [.integer(Int64(table.id)), .blob(row.identifier.bytes), .text(Self.missingFromList)]
    }

    private func propose(
        _ table: Table, _ row: RowID, _ source: String, _ past: ImportPast,
        in transaction: WriteTransaction
    ) throws -> Bool {
        let key = key(of: table, row)
        let id = replica.schema.rowID(in: Forum.proposal, key: key)
        let column = Forum.proposal.declared("source")
        guard try !replica.state(Forum.proposal.id, id).cells.isEmpty else {
            return try transaction.upsert(Forum.proposal, key: key, [(column, .text(source))])
                .isChanged
        }
        // An earlier list lacked the row too: whatever that one is called, it said the same.
        let said = past.words(Forum.proposal, id, CellKey(column.id)).compactMap(\.value)
            .first { $0 != .null }
        return try say(said ?? .text(source), column, id, past, in: transaction)
    }

    private func withdraw(
        _ table: Table, _ row: RowID, _ past: ImportPast, in transaction: WriteTransaction
    ) throws -> Bool {
        let id = replica.schema.rowID(in: Forum.proposal, key: key(of: table, row))
        guard try exists(Forum.proposal, id) else { return false }
        return try say(nil, Forum.proposal.declared("source"), id, past, in: transaction)
    }

    private func say(
        _ listed: Value?, _ column: Column, _ id: RowID, _ past: ImportPast,
        in transaction: WriteTransaction
    ) throws -> Bool {
        let words = past.words(Forum.proposal, id, CellKey(column.id))
        return try transaction.author(Forum.proposal.id, id) { state in
            let cell = ImportedCell(register: column, listed: listed, words: words, in: state)
            return cell?.operation.map { [$0] } ?? []
        }
    }
}
