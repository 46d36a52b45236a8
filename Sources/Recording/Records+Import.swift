internal import Causality
public import FieldRecords
internal import Merge
internal import RecordSchema
public import ReplicaStore
internal import SyncProtocol

extension Records {
    /// Imports a file as the difference to what its list said before, in one transaction.
    ///
    /// What the list hasn't changed since is left as it stands, whoever edited it. What it changed
    /// replaces its own former value, and stands beside what someone put in that one's place: a
    /// conflict. Rows that earlier lists had and the file lacks are proposed for deletion. So the
    /// same file again changes nothing. The log is read once, whatever the length of the file.
    ///
    /// - Parameters:
    ///   - label: what to call the list; the file's name unless given.
    ///   - isPartial: the file is a part of the list, and what it lacks means nothing.
    ///   - observe: called after each row with how many are done, and of how many. What it throws
    ///     ends the import, and then nothing is imported.
    /// - Throws: ``ImportErrors`` when a line refers to something that is neither in the replica
    ///   nor in the file; then nothing is imported.
    public func importFile(
        _ file: ImportFile, label: String? = nil, isPartial: Bool = false, author: String,
        isDryRun: Bool, observe: (_ done: Int, _ total: Int) throws -> Void = { _, _ in }
    ) throws -> (summary: ImportSummary, receipt: WriteReceipt) {
        try check(file)
        var summary = ImportSummary()
        summary.lineCount = Set(file.rows.map(\.line)).count
        let source = Self.source(of: file, label)
        do {
            let (_, receipt) = try replica.write(author: author, source: source) { transaction in
                let past = try ImportPast(
                    replica, tables: [file.kind.table, Forum.contact, Forum.proposal])
                let total = file.rows.count + file.emptied.count
                for (index, row) in file.rows.enumerated() {
                    try write(row, past, in: transaction, &summary)
                    try observe(index + 1, total)
                }
                for (index, row) in file.emptied.enumerated() {
                    try clear(row, past, in: transaction, &summary)
                    try observe(file.rows.count + index + 1, total)
                }
                try propose(
                    file, isPartial: isPartial, source, past, in: transaction, &summary)
                if isDryRun { throw DryRun() }
            }
            return (summary, receipt)
        } catch is DryRun {
            return (summary, WriteReceipt())
        }
    }

    /// Ends the transaction of a dry run: everything was done, and is taken back.
    private struct DryRun: Error {}

    /// `people list people-v3.csv`. A file's name that is too long is cut; a label isn't.
    private static func source(of file: ImportFile, _ label: String?) -> String {
        var source = "\(file.kind.rawValue) list \(label ?? file.name)"
        while label == nil, source.utf8.count > Limits.nameBytes { source.removeLast() }
        return source
    }

    private func write(
        _ row: ImportRow, _ past: ImportPast, in transaction: WriteTransaction,
        _ summary: inout ImportSummary
    ) throws {
        let id = replica.schema.rowID(in: row.table, key: row.key)
        guard try !isErased(row, id) else {
            if row.table == Forum.person { summary.erasedCount += 1 }
            return note(.erased, row, id, "", "", &summary)
        }
        guard try replica.state(row.table.id, id).cells.isEmpty else {
            return try merge(row, id, past, in: transaction, &summary)
        }
        try transaction.upsert(
            row.table, key: row.key, row.registers.map { ($0.column, $0.value) })
        for elements in row.elements {
            try transaction.add(row.table, id, elements.column, elements.values)
        }
        summary.createdCount += 1
        summary.differences.append(
            ImportDifference(
                kind: .created, line: row.line, table: row.table.name,
                name: try name(of: id, in: row.table)))
    }

    /// Whether a row is about a person who has been erased.
    private func isErased(_ row: ImportRow, _ id: RowID) throws -> Bool {
        let people = try replica.erasedPeople()
        guard !people.isEmpty else { return false }
        if row.table == Forum.person { return people.contains(id) }
        guard row.table == Forum.contact, case .blob(let bytes)? = row.key.first,
            let person = Identifier(bytes)
        else { return false }
        return people.contains(RowID(person))
    }

    /// A row whose fields are all empty makes none, and is cleared where it is.
    private func clear(
        _ row: ImportRow, _ past: ImportPast, in transaction: WriteTransaction,
        _ summary: inout ImportSummary
    ) throws {
        let id = replica.schema.rowID(in: row.table, key: row.key)
        guard try !isErased(row, id), try !replica.state(row.table.id, id).cells.isEmpty else {
            return
        }
        try merge(row, id, past, in: transaction, &summary)
    }

    // MARK: Rows that are there

    private func merge(
        _ row: ImportRow, _ id: RowID, _ past: ImportPast, in transaction: WriteTransaction,
        _ summary: inout ImportSummary
    ) throws {
        var found: [(column: Column, listed: Value?, cell: ImportedCell)] = []
        var isHidden = false
        try transaction.author(row.table.id, id) { state in
            isHidden = LifeFold(state).isHidden
            found = registers(row, id, past, state) + elements(row, id, past, state)
            return found.compactMap(\.cell.operation)
        }
        var isChanged = false
        if isHidden {
            isChanged = found.contains { $0.cell.operation != nil }
            let kind: ImportDifference.Kind = isChanged ? .conflict : .kept
            note(kind, row, id, "deleted", "in the list", &summary)
        } else {
            for (column, listed, cell) in found {
                guard let kind = cell.outcome.difference else { continue }
                if kind != .kept { isChanged = true }
                note(
                    kind, row, id, column: column.name,
                    try text(of: cell.standing ?? .null, in: column),
                    try text(of: listed ?? .null, in: column), &summary)
            }
        }
        if isChanged { summary.changedCount += 1 } else { summary.unchangedCount += 1 }
    }

    private func registers(
        _ row: ImportRow, _ id: RowID, _ past: ImportPast, _ state: RowState
    ) -> [(Column, Value?, ImportedCell)] {
        let listed: [(Column, Value?)] =
            row.registers.map { ($0.column, $0.value) }
            + row.emptyColumns.filter(\.isRegister).map { ($0, nil) }
        return listed.compactMap { column, value in
            // A key never changes: it is only put where another program left it out.
            let isKey = row.table.naturalKey.contains(column.name)
            if isKey, !state[CellKey(column.id)].isEmpty { return nil }
            let words = past.words(row.table, id, CellKey(column.id))
            return ImportedCell(register: column, listed: value, words: words, in: state)
                .map { (column, value, $0) }
        }
    }

    private func elements(
        _ row: ImportRow, _ id: RowID, _ past: ImportPast, _ state: RowState
    ) -> [(Column, Value?, ImportedCell)] {
        let listed: [(column: Column, values: [Value])] =
            row.elements.map { ($0.column, $0.values) }
            + row.emptyColumns.filter(\.isSet).map { ($0, []) }
        return listed.flatMap { column, values in
            let wanted = values.map { CellKey(column.id, element: $0.canonicalBytes) }
            let keys = Set(wanted + past.elements(row.table, id, column)).sorted()
            return keys.compactMap { key -> (Column, Value?, ImportedCell)? in
                let isListed = wanted.contains(key)
                return ImportedCell(
                    element: key, isListed: isListed, words: past.words(row.table, id, key),
                    in: state
                ).map { (column, isListed ? try? Value(canonicalBytes: key.element) : nil, $0) }
            }
        }
    }

    private func note(
        _ kind: ImportDifference.Kind, _ row: ImportRow, _ id: RowID, column: String? = nil,
        _ standing: String, _ listed: String, _ summary: inout ImportSummary
    ) {
        if kind == .kept { summary.keptCount += 1 }
        if kind == .conflict { summary.conflictCount += 1 }
        summary.differences.append(
            ImportDifference(
                kind: kind, line: row.line, table: row.table.name,
                name: (try? name(of: id, in: row.table)) ?? "", column: column,
                standing: standing, listed: listed))
    }

    /// Every row that a line refers to is in the replica or in the file.
    private func check(_ file: ImportFile) throws {
        let inFile = Set(file.rows.map { replica.schema.rowID(in: $0.table, key: $0.key) })
        var known = inFile
        var problems = ImportProblems()
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
        if !problems.isEmpty { throw ImportErrors(name: file.name, problems) }
    }
}

extension ImportedCell.Outcome {
    /// How it is told; `nil` for nothing to tell.
    fileprivate var difference: ImportDifference.Kind? {
        switch self {
        case .same: nil
        case .changed: .changed
        case .kept: .kept
        case .conflict: .conflict
        }
    }
}
