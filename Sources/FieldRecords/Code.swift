/// The code of a delegation, a site or an item: capital Latin letters and digits, and hyphens
/// between them, as in `KZ`, `V12` and `NAX-ORDUBAD`.
///
/// Folded as a ``Badge`` is, but its digits stay as they are: `V1` and `V01` are two codes.
public struct Code: Hashable, Comparable, Sendable, CustomStringConvertible {
    /// The normalised spelling.
    public let text: String

    /// The most letters, digits and hyphens of a code.
    public static let lengthLimit = 32

    /// Reads what a person typed; `nil` for what can't be a code. Spaces around it don't count.
    public init?(_ typed: some StringProtocol) {
        let hyphen = UInt8(ascii: "-")
        var bytes: [UInt8] = []
        for character in FoldedCharacter.trimmed(typed) {
            switch character {
            case .letter(let byte), .digit(let byte): bytes.append(byte)
            case .hyphen: bytes.append(hyphen)
            case .space, .other: return nil
            }
        }
        guard (1...Self.lengthLimit).contains(bytes.count), bytes.first != hyphen,
            bytes.last != hyphen
        else { return nil }
        text = String(decoding: bytes, as: UTF8.self)
    }

    public static func < (a: Self, b: Self) -> Bool {
        a.text.utf8.lexicographicallyPrecedes(b.text.utf8)
    }

    public var description: String { text }
}
