import Causality
import Merge
import SyncProtocol

/// Values, byte by byte.
extension JSON {
    static func integer(wide value: Int128) -> JSON {
        value.magnitude < 1 << 53
            ? .integer(Int64(value)) : ["int": .string(String(value))]
    }

    static func text(_ text: String) -> JSON {
        text.utf8.count <= 1_000 && text.utf8.allSatisfy { (0x20...0x7e).contains($0) }
            ? .string(text) : ["text": .bytes(Array(text.utf8))]
    }

    static func value(_ value: Merge.Value) -> JSON {
        switch value {
        case .null: .null
        case .integer(let value): .integer(wide: Int128(value))
        case .real(let value): ["real": .string(Self.digits(value.bitPattern))]
        case .text(let text): .text(text)
        case .blob(let bytes): ["blob": .bytes(bytes)]
        case .composite(let parts): ["composite": .array(parts.map(JSON.value))]
        case .sealed(let value):
            [
                "sealed": .array(
                    [.bytes(value.box)]
                        + (value.subject.map { [.bytes($0.identifier.bytes)] } ?? []))
            ]
        case .erased: ["erased": .bool(true)]
        }
    }

    private static func digits(_ bits: UInt64) -> String {
        (0..<8).map { UInt8(truncatingIfNeeded: bits >> (56 - 8 * UInt64($0))) }.hexadecimal
    }

    func value() throws -> Merge.Value {
        switch self {
        case .null: return .null
        case .integer(let value): return .integer(value)
        case .string(let text): return .text(text)
        case .object(let members) where members.count == 1:
            return try Self.value(members[0].name, members[0].value)
        default: throw VectorError("\(document) is no value")
        }
    }

    private static func value(_ form: String, _ json: JSON) throws -> Merge.Value {
        switch form {
        case "int": return .integer(try JSON.string(try json.string()).number())
        case "real":
            let bits = try json.hex().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
            return .real(Double(bitPattern: bits))
        case "text":
            let bytes = try json.bytes()
            guard let text = String(validating: bytes, as: UTF8.self) else {
                throw VectorError("a text that is not UTF-8")
            }
            return .text(text)
        case "blob": return .blob(try json.bytes())
        case "sealed":
            let parts = try json.items().map { try $0.bytes() }
            guard (1...2).contains(parts.count) else { throw VectorError("a sealed value") }
            let subject = parts.count == 2 ? Identifier(parts[1]).map { RowID($0) } : nil
            return .sealed(SealedValue(about: subject, box: parts[0]))
        case "erased": return .erased
        case "composite": return .composite(try json.items().map { try $0.value() })
        default: throw VectorError("a value of the unknown form \(form)")
        }
    }

    func text() throws -> String {
        guard case .text(let text) = try value() else {
            throw VectorError("\(document) is no text")
        }
        return text
    }
}
