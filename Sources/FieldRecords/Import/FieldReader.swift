internal import Causality
internal import Merge
internal import RecordSchema
internal import SyncProtocol

/// One record's fields by the names of their columns, as values.
///
/// A missing column and an empty field read as `nil`: there is nothing to write. So does a field
/// that is wrong, which is noted.
struct FieldReader {
    let line: Int
    private(set) var problems: [ImportProblem] = []
    private(set) var references: [ImportReference] = []
    private let header: ImportHeader
    private let fields: [[UInt8]]

    init(_ record: CSVRecord, _ header: ImportHeader) {
        line = record.lines.lowerBound
        fields = record.fields
        self.header = header
    }

    mutating func fail(_ column: String, _ message: String) {
        problems.append(ImportProblem(line: line, column: column, message))
    }

    /// Whether there is more than spaces.
    func hasText(_ column: String) -> Bool {
        bytes(column).map { !ImportText.trimmed($0).isEmpty } ?? false
    }

    /// Whether the file has such a column, whatever it says there.
    func hasColumn(_ column: String) -> Bool { header.position(of: column) != nil }

    private func bytes(_ column: String) -> [UInt8]? {
        guard let position = header.position(of: column), !fields[position].isEmpty else {
            return nil
        }
        return fields[position]
    }

    /// The bytes as they stand, if they aren't too many. They are UTF-8: the file was checked.
    private mutating func text(_ column: String) -> String? {
        guard let bytes = bytes(column) else { return nil }
        guard bytes.count <= Limits.valueBytes else {
            fail(
                column,
                "the field has \(bytes.count) bytes and may have \(Limits.valueBytes): shorten it,"
                    + " or look for a missing quote")
            return nil
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// What a field that isn't free text says, without the spaces around it.
    mutating func token(_ column: String) -> String? {
        guard text(column) != nil, let bytes = bytes(column) else { return nil }
        let token = ImportText.trimmed(bytes)
        return token.isEmpty ? nil : String(decoding: token, as: UTF8.self)
    }

    /// The normalised natural key, which must be there.
    mutating func key(_ column: String, in table: Table) -> String? {
        let count = problems.count
        guard let typed = token(column) else {
            if problems.count == count {
                fail(column, "the field is empty: without it nothing says which row is meant")
            }
            return nil
        }
        return naturalKey(typed, column, in: table)
    }

    private mutating func naturalKey(_ typed: String, _ column: String, in table: Table) -> String?
    {
        if let key = Forum.naturalKey(in: table, named: typed) { return key }
        let shown = ImportText.clipped(typed)
        let isBadge = table.naturalKey == ["badge"]
        fail(
            column,
            isBadge
                ? "“\(shown)” is not a badge: write letters and a number, like AZ-014"
                : "“\(shown)” is not a code: use Latin letters, digits and hyphens, like NAX-UNI")
        return nil
    }

    /// A code that is noted elsewhere when it is wrong.
    func code(_ column: String) -> Code? {
        bytes(column).flatMap { Code(String(decoding: $0, as: UTF8.self)) }
    }

    /// A register's value, read as the type of `column` asks.
    mutating func value(_ name: String, of column: Column, in kind: ImportKind) -> Value? {
        guard case .register(let type) = column.shape else { return nil }
        switch (type, kind, name) {
        case (.text, .programme, "kind"): return word(name, ItemKind.allCases.map(\.rawValue))
        case (.text, .programme, "status"): return word(name, ItemStatus.allCases.map(\.rawValue))
        case (.text, _, _): return text(name).map { .text($0) }
        case (.time, _, _): return time(name)
        case (.reference(let table), _, _): return reference(name, to: table)
        case (.integer, _, _), (.real, _, _), (.blob, _, _): return nil
        }
    }

    private mutating func word(_ column: String, _ known: [String]) -> Value? {
        guard let typed = token(column) else { return nil }
        let word = ImportText.plain(Array(typed.utf8))
        guard known.contains(word) else {
            fail(
                column,
                "“\(ImportText.clipped(typed))” is unknown: write \(known.joined(separator: ", "))")
            return nil
        }
        return .text(word)
    }

    private mutating func time(_ column: String) -> Value? {
        guard let typed = token(column) else { return nil }
        do throws(InstantError) {
            return .integer(try Instant(typed).milliseconds)
        } catch {
            fail(column, "\(error)")
            return nil
        }
    }

    private mutating func reference(_ column: String, to number: UInt32) -> Value? {
        guard let table = Forum.schema.table(id: number), let typed = token(column),
            let key = naturalKey(typed, column, in: table)
        else { return nil }
        references.append(ImportReference(line: line, column: column, table: table, key: key))
        let id = Forum.schema.rowID(in: table, key: [.text(key)])
        return .blob(id.identifier.bytes)
    }

    /// The codes of ISO 639, of two or three letters, separated by semicolons; each once.
    mutating func languages(_ column: String) -> [Value] {
        guard let typed = token(column) else { return [] }
        var codes: [String] = []
        for part in typed.split(separator: ";") {
            let code = ImportText.plain(Array(part.utf8))
            let letters = UInt8(ascii: "a")...UInt8(ascii: "z")
            if (2...3).contains(code.utf8.count), code.utf8.allSatisfy(letters.contains) {
                if !codes.contains(code) { codes.append(code) }
            } else if !code.isEmpty {
                fail(
                    column,
                    "“\(ImportText.clipped(code))” is not a language: write codes such as az;tr;ru,"
                        + " with semicolons between them")
            }
        }
        return codes.map { .text($0) }
    }
}
