/// What is wrong with a line of a file of vectors.
struct JSONError: Error, CustomStringConvertible {
    var what: String
    var offset: Int
    var description: String { "\(what) at byte \(offset)" }
}

extension JSON {
    /// Reads one document that fills `text`.
    init(document text: some StringProtocol) throws {
        var parser = JSONParser(Array(text.utf8))
        self = try parser.document()
    }
}

/// Reads the JSON that vectors are made of: no fractions, no exponents, each member once.
private struct JSONParser {
    private let bytes: [UInt8]
    private var offset = 0

    init(_ bytes: [UInt8]) { self.bytes = bytes }

    private func error(_ what: String) -> JSONError { JSONError(what: what, offset: offset) }

    mutating func document() throws -> JSON {
        let value = try value()
        skipBlanks()
        guard offset == bytes.count else { throw error("something follows the end") }
        return value
    }

    private mutating func skipBlanks() {
        while offset < bytes.count, [0x20, 0x09, 0x0d].contains(bytes[offset]) { offset += 1 }
    }

    private mutating func takes(_ text: StaticString) -> Bool {
        skipBlanks()
        let wanted = UnsafeBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount)
        guard bytes[offset...].starts(with: wanted) else { return false }
        offset += wanted.count
        return true
    }

    private mutating func value() throws -> JSON {
        if takes("null") { return .null }
        if takes("true") { return .bool(true) }
        if takes("false") { return .bool(false) }
        if takes("[") { return .array(try list("]") { parser in try parser.value() }) }
        if takes("{") {
            let members = try list("}") { parser in try parser.member() }
            guard Set(members.map(\.name)).count == members.count else {
                throw error("a member is doubled")
            }
            return .object(members)
        }
        if takes("\"") { return .string(try string()) }
        return .integer(try number())
    }

    private mutating func list<Item>(
        _ end: StaticString, _ item: (inout Self) throws -> Item
    ) throws -> [Item] {
        if takes(end) { return [] }
        var items: [Item] = []
        repeat { items.append(try item(&self)) } while takes(",")
        guard takes(end) else { throw error("a list doesn't end") }
        return items
    }

    private mutating func member() throws -> JSON.Member {
        guard takes("\"") else { throw error("a member has no name") }
        let name = try string()
        guard takes(":") else { throw error("a member has no value") }
        return JSON.Member(name, try value())
    }

    private mutating func string() throws -> String {
        var text: [UInt8] = []
        while offset < bytes.count {
            let byte = bytes[offset]
            offset += 1
            switch byte {
            case UInt8(ascii: "\""): return String(decoding: text, as: UTF8.self)
            case UInt8(ascii: "\\"):
                guard offset < bytes.count, [0x22, 0x5c].contains(bytes[offset]) else {
                    throw error("an escape that vectors don't use")
                }
                text.append(bytes[offset])
                offset += 1
            case 0x20...0x7e: text.append(byte)
            default: throw error("a byte that vectors don't use")
            }
        }
        throw error("a string doesn't end")
    }

    private mutating func number() throws -> Int64 {
        let start = offset
        while offset < bytes.count,
            bytes[offset] == UInt8(ascii: "-") || (0x30...0x39).contains(bytes[offset])
        {
            offset += 1
        }
        let text = String(decoding: bytes[start..<offset], as: UTF8.self)
        guard let value = Int64(text), value.magnitude < 1 << 53, String(value) == text else {
            throw error("no value, or a number that JSON would round")
        }
        return value
    }
}
