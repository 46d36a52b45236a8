internal import Causality
internal import Merge
internal import RecordSchema

/// Makes rows of records, and notes all that is wrong with them.
struct ImportReader {
    let kind: ImportKind
    private(set) var problems: ImportProblems
    private(set) var rows: [ImportRow] = []
    private(set) var emptied: [ImportRow] = []
    private(set) var references: [ImportReference] = []
    /// The line of each natural key; only looked up, never walked through.
    private var linesByKey: [String: Int] = [:]

    init(kind: ImportKind, problems: ImportProblems) {
        self.kind = kind
        self.problems = problems
    }

    /// - Parameter records: the header first. A record without any text is passed over, as
    ///   spreadsheets leave them behind.
    mutating func read(_ records: [CSVRecord]) {
        guard let first = records.first else { return }
        let header = ImportHeader(first, kind: kind, problems: &problems)
        let rest = records.dropFirst().filter { !$0.fields.allSatisfy(\.isEmpty) }
        if rest.isEmpty, problems.isEmpty {
            problems.append(
                ImportProblem(
                    line: first.lines.upperBound, "no records follow the names of the columns"))
        }
        guard header.position(of: kind.keyHeader) != nil else { return }
        for record in rest {
            if let problem = Self.countProblem(record, header) {
                problems.append(problem)
            } else {
                read(FieldReader(record, header))
            }
        }
    }

    private static func countProblem(
        _ record: CSVRecord, _ header: ImportHeader
    ) -> ImportProblem? {
        guard record.fields.count != header.count else { return nil }
        let end = record.lines.upperBound
        let hint =
            record.lines.count > 1
            ? "the record runs to line \(end), so look for a quote too few or too many"
            : "quote fields that contain the separator"
        return ImportProblem(
            line: record.lines.lowerBound,
            "the record has \(record.fields.count) fields and not \(header.count): \(hint)")
    }

    private mutating func read(_ reader: FieldReader) {
        var reader = reader
        let key = reader.key(kind.keyHeader, in: kind.table)
        if let key {
            let first = linesByKey.updateValue(reader.line, forKey: key)
            if let first {
                linesByKey[key] = first
                reader.fail(kind.keyHeader, "\(key) stands already on line \(first): keep one")
            }
        }
        // Read even without a key, so that the rest of the record's problems show too.
        let row = row(key ?? "", &reader)
        let contact = kind == .people ? contact(of: row, &reader) : nil
        if key != nil {
            rows.append(row)
            if let contact {
                let hasFields = contact.registers.count > contact.key.count
                if hasFields { rows.append(contact) } else { emptied.append(contact) }
            }
        }
        for problem in reader.problems { problems.append(problem) }
        references += reader.references
    }

    private func row(_ key: String, _ reader: inout FieldReader) -> ImportRow {
        let table = kind.table
        var row = ImportRow(
            line: reader.line, table: table, scope: Forum.scope, key: [.text(key)],
            registers: [], elements: [])
        if let column = table.column(named: kind.keyHeader) {
            row.registers.append(.init(column: column, value: .text(key)))
        }
        for header in kind.headers.dropFirst() {
            guard let column = table.column(named: header) else { continue }
            if column.isSet {
                let values = reader.languages(header)
                if !values.isEmpty {
                    row.elements.append(.init(column: column, values: values))
                } else if reader.hasColumn(header) {
                    row.emptyColumns.append(column)
                }
            } else {
                row.add(reader.value(header, of: column, in: kind), column, header, reader)
            }
        }
        if kind == .sites, let column = table.column(named: "position") {
            row.add(reader.position(), column, "lat", reader)
        }
        if kind == .programme { reader.checkOrder(row) }
        return row
    }

    /// The row for a person's telephone and mail: apart from the person, in their delegation's
    /// scope. Without a delegation there is no such scope, and nobody the row could be for.
    private func contact(of person: ImportRow, _ reader: inout FieldReader) -> ImportRow? {
        let table = Forum.contact
        var row = ImportRow(
            line: person.line, table: table, scope: Forum.scope, key: [], registers: [],
            elements: [])
        for header in ["phone", "email"] {
            guard let column = table.column(named: header) else { continue }
            row.add(reader.value(header, of: column, in: kind), column, header, reader)
        }
        guard !row.registers.isEmpty || !row.emptyColumns.isEmpty else { return nil }
        guard let delegation = reader.code("delegation") else {
            if let first = row.registers.first, !reader.hasText("delegation") {
                reader.fail(
                    first.column.name,
                    "fill in the delegation too: it says who may read how to reach a person")
            }
            return nil
        }
        let key: [Value] = [
            .blob(Forum.schema.rowID(in: Forum.person, key: person.key).identifier.bytes),
            .blob(
                Forum.schema.rowID(in: Forum.delegation, key: [.text(delegation.text)])
                    .identifier.bytes),
        ]
        let keyed = zip(table.keyColumns, key).map { ImportRow.Register(column: $0, value: $1) }
        var contact = ImportRow(
            line: person.line, table: table, scope: Forum.scope(of: delegation), key: key,
            registers: keyed + row.registers, elements: [])
        contact.emptyColumns = row.emptyColumns
        return contact
    }
}

extension ImportRow {
    /// Takes in what a field says; without a value it is empty, if the file has the column at all.
    fileprivate mutating func add(
        _ value: Value?, _ column: Column, _ header: String, _ reader: FieldReader
    ) {
        if let value {
            registers.append(.init(column: column, value: value))
        } else if reader.hasColumn(header) {
            emptyColumns.append(column)
        }
    }
}
