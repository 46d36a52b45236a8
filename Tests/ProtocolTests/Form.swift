import Causality
import Merge
import SyncProtocol

/// Reads the members of a vector; each throws what is wrong.
extension JSON {
    func member(_ name: String) throws -> JSON {
        guard let value = self[name] else { throw VectorError("\(name) is missing in \(document)") }
        return value
    }

    func items() throws -> [JSON] {
        guard case .array(let items) = self else { throw VectorError("\(document) is no array") }
        return items
    }

    func items(_ name: String) throws -> [JSON] { try member(name).items() }

    func string() throws -> String {
        guard case .string(let string) = self else { throw VectorError("\(document) is no string") }
        return string
    }

    func string(_ name: String) throws -> String { try member(name).string() }

    func bool() throws -> Bool {
        guard case .bool(let bool) = self else { throw VectorError("\(document) is no bool") }
        return bool
    }

    func number<Number: FixedWidthInteger>(as type: Number.Type = Number.self) throws -> Number {
        switch self {
        case .integer(let value):
            if let number = Number(exactly: value) { return number }
        case .string(let digits):
            if let number = Number(digits), number.magnitude >= 1 << 53 { return number }
        default: break
        }
        throw VectorError("\(document) is no number of this form")
    }

    func number<Number: FixedWidthInteger>(
        _ name: String, as type: Number.Type = Number.self
    ) throws -> Number {
        try member(name).number()
    }

    /// `nil` for null and for what isn't there.
    func optional<T>(_ name: String, _ read: (JSON) throws -> T) throws -> T? {
        guard let value = self[name], value != .null else { return nil }
        return try read(value)
    }
}

/// Bytes and names.
extension JSON {
    static func number(_ value: some FixedWidthInteger) -> JSON {
        value.magnitude < 1 << 53 ? .integer(Int64(value)) : .string(String(value))
    }

    static func hex(_ bytes: some Collection<UInt8>) -> JSON { .string(bytes.hexadecimal) }
    static func hash(_ digest: Digest) -> JSON { .hex(digest.bytes) }
    static func stream(_ stream: StreamID) -> JSON { .string(stream.description) }
    static func row(_ row: RowID) -> JSON { .string(row.description) }
    static func dot(_ dot: Dot) -> JSON { .string(dot.description) }
    static func time(_ time: HybridTime) -> JSON { .string(time.description) }
    static func dots(_ dots: some Sequence<Dot>) -> JSON {
        .array(Set(dots).sorted().map(JSON.dot))
    }

    /// Bytes of which long stretches of one byte are told by their number.
    static func bytes(_ bytes: [UInt8]) -> JSON {
        guard bytes.count > 1_000 else { return .hex(bytes) }
        var parts: [JSON] = []
        var plain: [UInt8] = []
        var index = 0
        while index < bytes.count {
            let end = bytes[index...].firstIndex { $0 != bytes[index] } ?? bytes.count
            if end - index >= 64 {
                if !plain.isEmpty { parts.append(.hex(plain)) }
                plain = []
                parts.append([.hex([bytes[index]]), .number(end - index)])
            } else {
                plain += bytes[index..<end]
            }
            index = end
        }
        if !plain.isEmpty { parts.append(.hex(plain)) }
        return .array(parts)
    }

    func hex() throws -> [UInt8] {
        guard let bytes = [UInt8](hexadecimal: try string()) else {
            throw VectorError("\(document) is not hexadecimal")
        }
        return bytes
    }

    func bytes() throws -> [UInt8] {
        guard case .array(let parts) = self else { return try hex() }
        var bytes: [UInt8] = []
        for part in parts {
            guard case .array(let pair) = part, pair.count == 2 else {
                bytes += try part.hex()
                continue
            }
            let piece = try pair[0].hex()
            for _ in 0..<(try pair[1].number(as: Int.self)) { bytes += piece }
        }
        return bytes
    }

    func hash() throws -> Digest {
        guard let digest = Digest(try hex()) else { throw VectorError("\(document) is no hash") }
        return digest
    }

    func identifier() throws -> Identifier {
        guard let identifier = Identifier(try hex()) else {
            throw VectorError("\(document) has no 16 bytes")
        }
        return identifier
    }

    func stream() throws -> StreamID { StreamID(try identifier()) }
    func row() throws -> RowID { RowID(try identifier()) }

    func dot() throws -> Dot {
        guard let dot = Dot(try string()) else { throw VectorError("\(document) is no dot") }
        return dot
    }

    func dots() throws -> [Dot] { try items().map { try $0.dot() } }

    static func origin(_ origin: StreamOrigin) -> JSON {
        [
            "publicKey": .hex(origin.publicKey), "scope": .text(origin.scope),
            "incarnation": .number(origin.incarnation),
        ]
    }

    func origin() throws -> StreamOrigin {
        StreamOrigin(
            publicKey: try member("publicKey").hex(), scope: try member("scope").text(),
            incarnation: try number("incarnation"))
    }

    func time() throws -> HybridTime {
        let parts = try string().split(separator: ".")
        guard parts.count == 2, let milliseconds = UInt64(parts[0]), milliseconds < 1 << 48,
            let counter = UInt16(parts[1])
        else { throw VectorError("\(document) is no time") }
        return HybridTime(rawValue: milliseconds << 16 | UInt64(counter))
    }
}
