/// A badge as it names a person: capital Latin letters, a hyphen, and a number of at least three
/// digits, as in `AZ-014`.
///
/// The same on every laptop, whatever its locale and whoever typed it: `az 14`, `AZ014` and
/// `АZ–014` with a Cyrillic А are one badge.
public struct Badge: Hashable, Comparable, Sendable, CustomStringConvertible {
    /// The normalised spelling.
    public let text: String

    /// The most letters of a badge.
    public static let letterLimit = 8
    /// The most digits of a badge's number, leading zeros not counted.
    public static let digitLimit = 9

    /// Reads what a person typed or a scanner sent; `nil` for what can't be a badge.
    ///
    /// Takes letters, then any spaces and hyphens, then digits.
    public init?(_ typed: some StringProtocol) {
        var letters: [UInt8] = []
        var digits: [UInt8] = []
        var isSeparated = false
        for character in FoldedCharacter.trimmed(typed) {
            switch character {
            case .letter(let letter) where digits.isEmpty && !isSeparated: letters.append(letter)
            case .digit(let digit) where !letters.isEmpty: digits.append(digit)
            case .hyphen where digits.isEmpty && !letters.isEmpty,
                .space where digits.isEmpty && !letters.isEmpty:
                isSeparated = true
            default: return nil
            }
        }
        let number = digits.drop { $0 == UInt8(ascii: "0") }
        guard letters.count <= Self.letterLimit, !digits.isEmpty, number.count <= Self.digitLimit
        else { return nil }
        let padding = [UInt8](repeating: UInt8(ascii: "0"), count: max(0, 3 - number.count))
        text = String(decoding: letters + [UInt8(ascii: "-")] + padding + number, as: UTF8.self)
    }

    public static func < (a: Self, b: Self) -> Bool {
        a.text.utf8.lexicographicallyPrecedes(b.text.utf8)
    }

    public var description: String { text }
}
