import Merge
import SyncProtocol

extension Kind {
    static let cbor = Kind(
        name: "cbor", answer: { try ItemKind.answer($0, $1) },
        vectors: { try ItemVectors.accepted() + ItemVectors.refused() + ItemVectors.values() })
}

enum ItemKind {
    static func answer(_ given: JSON, _ when: JSON) throws -> JSON {
        switch try when.string() {
        case "item": return answer(to: try given.member("bytes").bytes(), "item", item)
        case "value":
            return answer(to: try given.member("bytes").bytes(), "value") {
                decoder throws(CBORError) in
                let start = decoder.offset
                let value = try decoder.value()
                precondition(value.canonicalBytes == Array(decoder.bytes[start..<decoder.offset]))
                return .value(value)
            }
        case "encode": return ["bytes": .bytes(try given.member("value").value().canonicalBytes)]
        default: throw VectorError("cbor: an unknown kind \(when.document)")
        }
    }

    private static func answer(
        to bytes: [UInt8], _ name: String,
        _ read: (inout CBORDecoder) throws(CBORError) -> JSON
    ) -> JSON {
        do throws(CBORError) {
            var decoder = CBORDecoder(bytes)
            let json = try read(&decoder)
            try decoder.finish()
            return .members([name: json])
        } catch {
            return reject(error)
        }
    }

    static func reject(_ error: CBORError) -> JSON { ["reject": .string("\(error.reasonName)")] }

    /// The rules are those of passing over; what the item is, is read beside.
    private static func item(_ decoder: inout CBORDecoder) throws(CBORError) -> JSON {
        var again = decoder
        try decoder.skip()
        return try describe(&again)
    }

    private static func describe(_ decoder: inout CBORDecoder) throws(CBORError) -> JSON {
        switch try decoder.peek() {
        case .unsigned: return .integer(wide: Int128(try decoder.unsigned()))
        case .negative: return .integer(wide: try negative(&decoder))
        case .real: return .value(.real(try decoder.real()))
        case .text: return .text(try decoder.text(limit: .max))
        case .blob: return .value(.blob(try decoder.blob(limit: .max)))
        case .bool: return .bool(try decoder.bool())
        case .null:
            try decoder.null()
            return .null
        case .array:
            var items: [JSON] = []
            for _ in 0..<(try decoder.array()) { items.append(try describe(&decoder)) }
            return .array(items)
        case .map:
            var entries: [JSON] = []
            try decoder.map { (key, decoder) throws(CBORError) in
                entries.append([.integer(wide: Int128(key)), try describe(&decoder)])
            }
            return ["map": .array(entries)]
        }
    }

    /// −2^64 included, which no value of a replica has.
    private static func negative(_ decoder: inout CBORDecoder) throws(CBORError) -> Int128 {
        let start = decoder.offset
        try decoder.skip()
        let head = decoder.bytes[start]
        var argument = Int128(head & 31)
        if head & 31 >= 24 {
            argument = decoder.bytes[(start + 1)..<decoder.offset].reduce(0) {
                $0 << 8 | Int128($1)
            }
        }
        return -1 - argument
    }
}

extension CBORError {
    /// The name that vectors use.
    var reasonName: String { reason.word }
}

extension CBORError.Reason {
    var word: String {
        switch self {
        case .truncated: "truncated"
        case .notShortest: "notShortest"
        case .indefinite: "indefinite"
        case .unexpectedType: "unexpectedType"
        case .outOfRange: "outOfRange"
        case .invalidUTF8: "invalidUTF8"
        case .tooDeep: "tooDeep"
        case .tooLong: "tooLong"
        case .keyOrder: "keyOrder"
        case .unknownKey: "unknownKey"
        case .missingKey: "missingKey"
        case .unsupported: "unsupported"
        case .trailing: "trailing"
        case .invalid: "invalid"
        case .later: "later"
        }
    }
}
