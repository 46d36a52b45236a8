internal import Causality
internal import Merge
internal import SyncProtocol

/// One line of JSON in the form that `Protocol/01-encoding.md` §6 defines, so that every value is
/// byte-exact whatever reads it.
struct ExportLine {
    private(set) var text = ""

    // MARK: Structure

    /// Members or items, each preceded by a comma but for the first.
    mutating func list<Item>(
        _ items: some Sequence<Item>, _ open: String = "[", _ close: String = "]",
        _ write: (inout ExportLine, Item) -> Void
    ) {
        text += open
        var isFirst = true
        for item in items {
            if !isFirst { text += "," }
            isFirst = false
            write(&self, item)
        }
        text += close
    }

    /// Text that is JSON already.
    mutating func raw(_ json: String) { text += json }

    // MARK: Values

    /// An integer beyond 2^53 is a string, for not every reader of JSON keeps it.
    mutating func number(_ value: Int64) {
        text += value.magnitude < 1 << 53 ? String(value) : "\"\(value)\""
    }

    mutating func value(_ value: Value) {
        switch value {
        case .null: text += "null"
        case .integer(let number) where number.magnitude < 1 << 53: text += String(number)
        case .integer(let number): text += "{\"int\":\"\(number)\"}"
        case .real(let number):
            text += "{\"real\":\"\(Identifier(high: number.bitPattern, low: 0).digits)\"}"
        case .text(let text): string(text)
        case .blob(let bytes): text += "{\"blob\":\"\(bytes.hexadecimal)\"}"
        case .sealed(let value):
            let parts = [value.box] + (value.subject.map { [$0.identifier.bytes] } ?? [])
            list(parts, "{\"sealed\":[", "]}") { $0.text += "\"\($1.hexadecimal)\"" }
        case .erased: text += "{\"erased\":true}"
        case .composite(let parts):
            list(parts, "{\"composite\":[", "]}") { $0.value($1) }
        }
    }

    /// Readable where that is exact in every reader, else the UTF-8 in hexadecimal digits.
    mutating func string(_ value: String) {
        guard value.utf8.count <= 1_000, value.utf8.allSatisfy({ (0x20...0x7e).contains($0) })
        else {
            text += "{\"text\":\"\(Array(value.utf8).hexadecimal)\"}"
            return
        }
        text += "\""
        for byte in value.utf8 {
            if byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\") { text += "\\" }
            text.unicodeScalars.append(Unicode.Scalar(byte))
        }
        text += "\""
    }

    mutating func dots(_ dots: [Dot]) {
        list(Set(dots).sorted()) { $0.text += "\"\($1)\"" }
    }

    // MARK: Changesets

    /// - Parameter received: when this replica took it in, in milliseconds; `nil` for its own.
    mutating func changeset(_ changeset: Changeset, received: Int64?) {
        text += "{\"dot\":\"\(changeset.dot)\",\"time\":\"\(changeset.time)\",\"author\":"
        string(changeset.author)
        text += ",\"claimed\":"
        number(changeset.claimedMilliseconds)
        text += ",\"action\":" + (changeset.action.map { "\"\($0.hexadecimal)\"" } ?? "null")
        text += ",\"source\":"
        string(changeset.source)
        list(changeset.rows, ",\"rows\":[", "]") { $0.row($1) }
        text += ",\"received\":"
        if let received { number(received) } else { text += "null" }
        text += "}"
    }

    private mutating func row(_ row: RowChange) {
        text += "{\"table\":\(row.table),\"row\":\"\(row.row)\",\"new\":\(row.isNew)"
        list(row.operations, ",\"ops\":[", "]}") { $0.operation($1) }
    }

    private mutating func operation(_ operation: Merge.Operation) {
        text += "{"
        cell(operation.cell)
        switch operation.action {
        case .put(let value):
            text += ",\"op\":\"put\",\"value\":"
            self.value(value)
        case .resolve(let value, _):
            text += ",\"op\":\"resolve\",\"value\":"
            self.value(value)
        case .retract: text += ",\"op\":\"retract\""
        case .delete: text += ",\"op\":\"delete\""
        }
        text += ",\"over\":"
        dots(operation.over)
        switch operation.action {
        case .put, .retract: break
        case .resolve(_, let covers):
            text += ",\"covers\":"
            dots(covers)
        case .delete(let covers):
            list(Set(covers).sorted(), ",\"covers\":[", "]") { line, cover in
                line.text += "{"
                line.cell(cover.cell)
                line.text += ",\"dot\":\"\(cover.dot)\"}"
            }
        }
        text += "}"
    }

    private mutating func cell(_ key: CellKey) {
        text += "\"column\":\(key.column)"
        if !key.element.isEmpty { text += ",\"element\":\"\(key.element.hexadecimal)\"" }
    }
}

extension Identifier {
    /// The 16 hexadecimal digits of the first word.
    fileprivate var digits: Substring { hexadecimal.prefix(16) }
}
