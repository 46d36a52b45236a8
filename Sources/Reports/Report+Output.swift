internal import FieldRecords
public import ProgramOutput
internal import SyncProtocol

extension Report {
    /// The sections as a terminal shows them.
    ///
    /// - Parameter names: of the sections that are to be told.
    public func text(sections names: Set<String>) -> String {
        var lines =
            [
                title + (limits.isEmpty ? "" : ": " + limits.joined(separator: ", ")),
                basis.completeText,
            ] + warnings
        for section in sections where names.contains(section.name) {
            lines += ["", section.title]
            if let note = section.note { lines.append(note) }
            guard !section.rows.isEmpty else {
                lines.append(section.emptyText)
                continue
            }
            // Columns of which nothing is known only take room.
            let used = section.columns.indices.filter { index in
                section.rows.contains { $0[index] != .empty && $0[index] != .text("") }
            }
            var table = TextTable(used.map { section.columns[$0].title })
            for row in section.rows { table.add(used.map { row[$0].text }) }
            lines += table.lines
        }
        lines += [
            "", "State hash \(basis.stateHash)",
            "The same again, a year later or on another laptop: --vector \(VectorText.text(of: basis.vector))",
        ]
        return lines.joined(separator: "\n")
    }

    /// All of it, as one object.
    public var json: JSONValue {
        .object([
            ("report", .string(title.lowercased())),
            ("limits", .array(limits.map(JSONValue.string))),
            ("complete", .string(basis.completeText)),
            ("state_hash", .string(basis.stateHash.description)),
            ("vector", .string(VectorText.text(of: basis.vector))),
            ("scopes", .array(basis.scopes.map(JSONValue.string))),
            ("sections", .object((sections + [basis.section]).map { ($0.name, $0.json) })),
        ])
    }
}

extension ReportSection {
    fileprivate var json: JSONValue {
        .array(
            rows.map { row in
                .object(zip(columns, row).map { ($0.name, $1.json) })
            })
    }
}

extension ReportCell {
    /// A number is a number; what is unresolved is an object, so that nobody takes it for a value.
    fileprivate var json: JSONValue {
        switch self {
        case .empty: .null
        case .text(let text): .string(text)
        case .number(let number), .open(let number): .integer(number)
        case .time(let time): .string(time.formatted())
        case .range(let range):
            .object([
                ("unresolved", .bool(true)), ("least", .integer(range.lowerBound)),
                ("most", .integer(range.upperBound)),
            ])
        case .unresolved(let text):
            .object([("unresolved", .bool(true)), ("values", .string(text))])
        }
    }
}
