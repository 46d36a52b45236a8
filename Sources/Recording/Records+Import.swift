public import FieldRecords
internal import Merge
internal import RecordSchema
public import ReplicaStore

/// What an import did, or with a dry run would do.
public struct ImportSummary: Hashable, Sendable {
    /// Lines of the file, without its header.
    public var lineCount = 0
    /// Rows that were not there.
    public var createdCount = 0
    /// Rows of which something was changed.
    public var changedCount = 0
    public var unchangedCount = 0
}

extension Records {
    /// Imports a file in one transaction; what shows its value already is left alone.
    ///
    /// - Throws: ``ImportErrors`` when a line refers to something that is neither in the replica
    ///   nor in the file; then nothing is imported.
    public func importFile(
        _ file: ImportFile, author: String, isDryRun: Bool
    ) throws -> (summary: ImportSummary, receipt: WriteReceipt) {
        try check(file)
        var summary = ImportSummary(lineCount: Set(file.rows.map(\.line)).count)
        do {
            let (_, receipt) = try replica.write(author: author) { transaction in
                for row in file.rows { try write(row, in: transaction, &summary) }
                if isDryRun { throw DryRun() }
            }
            return (summary, receipt)
        } catch is DryRun {
            return (summary, WriteReceipt())
        }
    }

    /// Ends the transaction of a dry run: everything was done, and is taken back.
    private struct DryRun: Error {}

    private func write(
        _ row: ImportRow, in transaction: WriteTransaction, _ summary: inout ImportSummary
    ) throws {
        let id = replica.schema.rowID(in: row.table, key: row.key)
        let isNew = try !exists(row.table, id)
        var isChanged = try transaction.upsert(
            row.table, key: row.key, row.registers.map { ($0.column, $0.value) }
        ).isChanged
        for elements in row.elements {
            if try transaction.add(row.table, id, elements.column, elements.values) {
                isChanged = true
            }
        }
        if isNew {
            summary.createdCount += 1
        } else if isChanged {
            summary.changedCount += 1
        } else {
            summary.unchangedCount += 1
        }
    }

    /// Every row that a line refers to is in the replica or in the file.
    private func check(_ file: ImportFile) throws {
        let inFile = Set(file.rows.map { replica.schema.rowID(in: $0.table, key: $0.key) })
        var known = inFile
        var problems: [ImportProblem] = []
        for reference in file.references {
            guard let id = Forum.rowID(in: reference.table, named: reference.key),
                !known.contains(id)
            else { continue }
            if try exists(reference.table, id) {
                known.insert(id)
            } else {
                problems.append(
                    ImportProblem(
                        line: reference.line, column: reference.column,
                        "there is no \(reference.table.name) \(reference.key); import it first"))
            }
        }
        if !problems.isEmpty { throw ImportErrors(name: file.name, problems: problems) }
    }
}
