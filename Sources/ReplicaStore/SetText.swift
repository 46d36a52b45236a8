internal import Foundation
internal import Merge
internal import SyncProtocol

/// How a set stands in its SQL column: a JSON array, sorted by the elements' canonical bytes. Blobs
/// are lower-case hexadecimal.
enum SetText {
    /// - Parameter elements: canonical bytes, sorted.
    static func text(of elements: [[UInt8]]) -> Value {
        guard !elements.isEmpty else { return .null }
        let items = elements.compactMap { try? Value(canonicalBytes: $0) }.map(item)
        return .text("[" + items.joined(separator: ",") + "]")
    }

    private static func item(_ value: Value) -> String {
        switch value {
        case .null, .composite, .sealed, .erased: "null"
        case .integer(let value): String(value)
        case .real(let value): value.isFinite ? "\(value)" : "null"
        case .text(let text): quoted(text)
        case .blob(let bytes): "\"\(bytes.hexadecimal)\""
        }
    }

    private static func quoted(_ text: String) -> String {
        var result = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": result += "\\\""
            case "\\": result += "\\\\"
            case "\n": result += "\\n"
            case "\t": result += "\\t"
            case "\r": result += "\\r"
            case "\0"..<" ":
                let digits = String(scalar.value, radix: 16)
                result += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result + "\""
    }

    /// The elements that another program wrote; `nil` when it isn't an array of texts and numbers.
    static func elements(of value: Value) -> [Value]? {
        guard value != .null else { return [] }
        guard case .text(let text) = value,
            let items = try? JSONSerialization.jsonObject(with: Data(text.utf8)) as? [Any]
        else { return nil }
        var elements: [Value] = []
        for item in items {
            if let text = item as? String {
                elements.append(.text(text))
            } else if let number = item as? NSNumber, let whole = Int64(exactly: number) {
                elements.append(.integer(whole))
            } else {
                return nil
            }
        }
        return elements
    }
}
