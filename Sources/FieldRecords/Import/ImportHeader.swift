/// The first record of a file: which field is which column.
struct ImportHeader {
    /// How many fields every record must have.
    let count: Int
    private var positions: [String: Int] = [:]

    /// Notes the columns that are unknown, doubled or missing. Capitals and spaces around a name
    /// don't count.
    init(_ record: CSVRecord, kind: ImportKind, problems: inout ImportProblems) {
        count = record.fields.count
        let line = record.lines.lowerBound
        for (position, field) in record.fields.enumerated() {
            let name = ImportText.plain(field)
            if !kind.headers.contains(name) {
                let known = kind.headers.joined(separator: ", ")
                problems.append(
                    ImportProblem(
                        line: line,
                        "there is no column “\(ImportText.clipped(name))” in \(kind.rawValue):"
                            + " rename it to one of \(known), or remove it"))
            } else if let first = positions[name] {
                problems.append(
                    ImportProblem(
                        line: line, column: name,
                        "fields \(first + 1) and \(position + 1) have the same name: remove one"))
            } else {
                positions[name] = position
            }
        }
        if positions[kind.keyHeader] == nil {
            problems.append(
                ImportProblem(
                    line: line, column: kind.keyHeader,
                    "the column is missing: without it nothing says which row is meant"))
        }
    }

    /// Where `name` is among a record's fields; `nil` when the file lacks it.
    func position(of name: String) -> Int? { positions[name] }
}

/// Small things about the text of a field.
enum ImportText {
    /// Without the ASCII spaces around it.
    static func trimmed(_ bytes: [UInt8]) -> ArraySlice<UInt8> {
        let space = UInt8(ascii: " ")
        guard let first = bytes.firstIndex(where: { $0 != space }),
            let last = bytes.lastIndex(where: { $0 != space })
        else { return [] }
        return bytes[first...last]
    }

    /// Trimmed, and with ASCII's capitals made small: never by a locale's rules.
    static func plain(_ bytes: [UInt8]) -> String {
        let capitals = UInt8(ascii: "A")...UInt8(ascii: "Z")
        return String(
            decoding: trimmed(bytes).map { capitals.contains($0) ? $0 + 32 : $0 }, as: UTF8.self)
    }

    /// As much as a message has room for.
    static func clipped(_ text: String) -> String {
        text.count > 40 ? text.prefix(40) + "…" : text
    }
}
