/// A character of a badge or a code, as the eye reads it.
///
/// The tables are written out and depend on no locale and on no version of Unicode: a laptop that
/// folded otherwise would give a person another row.
enum FoldedCharacter: Hashable {
    /// A capital Latin letter, in ASCII.
    case letter(UInt8)
    /// A digit, in ASCII.
    case digit(UInt8)
    case hyphen
    case space
    case other

    /// The characters of `text` without spaces at either end, and without marks that nobody sees.
    static func trimmed(_ text: some StringProtocol) -> ArraySlice<FoldedCharacter> {
        let all = text.unicodeScalars.filter { !isInvisible($0.value) }.map { Self($0.value) }
        guard let first = all.firstIndex(where: { $0 != .space }),
            let last = all.lastIndex(where: { $0 != .space })
        else { return [] }
        return all[first...last]
    }

    private init(_ scalar: UInt32) {
        if let digit = Self.digitValue(scalar) {
            self = .digit(UInt8(ascii: "0") + UInt8(digit))
        } else if let letter = Self.latinLetter(scalar) {
            self = .letter(letter)
        } else if Self.isHyphen(scalar) {
            self = .hyphen
        } else {
            self = Self.isSpace(scalar) ? .space : .other
        }
    }

    /// Zero-width marks, the soft hyphen, and the dot that some systems put on a lower-case `İ`.
    private static func isInvisible(_ scalar: UInt32) -> Bool {
        switch scalar {
        case 0x00AD, 0x0307, 0x200B...0x200F, 0x2060, 0xFE0E, 0xFE0F, 0xFEFF: true
        default: false
        }
    }

    private static func isSpace(_ scalar: UInt32) -> Bool {
        switch scalar {
        case 0x09, 0x0A, 0x0D, 0x20, 0xA0, 0x2000...0x200A, 0x202F, 0x205F, 0x3000: true
        default: false
        }
    }

    /// Hyphens, dashes, the minus sign, and their small and full-width forms.
    private static func isHyphen(_ scalar: UInt32) -> Bool {
        switch scalar {
        case 0x2D, 0x2010...0x2015, 0x2043, 0x2212, 0xFE58, 0xFE63, 0xFF0D: true
        default: false
        }
    }

    /// ASCII, full-width, Arabic-Indic and extended Arabic-Indic digits.
    private static func digitValue(_ scalar: UInt32) -> UInt32? {
        for zero: UInt32 in [0x30, 0xFF10, 0x0660, 0x06F0] where (zero...zero + 9).contains(scalar)
        {
            return scalar - zero
        }
        return nil
    }

    private static func latinLetter(_ scalar: UInt32) -> UInt8? {
        switch scalar {
        case 0x41...0x5A: UInt8(scalar)
        case 0x61...0x7A: UInt8(scalar - 0x20)
        case 0xFF21...0xFF3A: UInt8(scalar - 0xFF21 + 0x41)
        case 0xFF41...0xFF5A: UInt8(scalar - 0xFF41 + 0x41)
        default: lookAlikes[scalar]
        }
    }

    /// Letters whose capital looks like a Latin capital, in both cases.
    private static let lookAlikes: [UInt32: UInt8] = {
        let families: [(latin: String, others: String)] = [
            // Turkic dotted and dotless i
            ("II", "İı"),
            // Cyrillic, with the letters that Kazakh and Kyrgyz add
            ("ABEKMHOPCTXYISJYHQW", "АВЕКМНОРСТХУІЅЈҮҺԚԜ"),
            ("ABEKMHOPCTXYISJYHQW", "авекмнорстхуіѕјүһԛԝ"),
            // Greek
            ("ABEZHIKMNOPTYX", "ΑΒΕΖΗΙΚΜΝΟΡΤΥΧ"),
            ("ABEZHIKMNOPTYX", "αβεζηικμνορτυχ"),
        ]
        var table: [UInt32: UInt8] = [:]
        for family in families {
            for (latin, other) in zip(family.latin.utf8, family.others.unicodeScalars) {
                table[other.value] = latin
            }
        }
        return table
    }()
}
