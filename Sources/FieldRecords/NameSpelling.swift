/// A name spelt in small Latin letters, word by word.
///
/// The tables are written out: what Unicode calls the same letter isn't what a passport office
/// makes of it.
enum NameSpelling {
    /// The words of `name` as scalars: small Latin letters, digits, and letters of alphabets that
    /// have no table here, in small. No word is empty.
    static func words(of name: String) -> [[UInt32]] {
        var words: [[UInt32]] = [[]]
        var last: (base: UInt32, start: Int)?
        let small = name.unicodeScalars.lazy.flatMap(\.properties.lowercaseMapping.unicodeScalars)
        for scalar in small where !isSilent(scalar.value) {
            let word = words.count - 1
            if isMark(scalar.value) {
                // A letter and its mark may be two scalars; with some, that is another letter.
                if let base = last, let letters = marked[Pair(base.base, scalar.value)] {
                    words[word].replaceSubrange(base.start..., with: letters)
                    last = nil
                }
            } else if let letters = letters(of: scalar) {
                last = (scalar.value, words[word].count)
                words[word] += letters
            } else {
                last = nil
                if !words[word].isEmpty { words.append([]) }
            }
        }
        return words.filter { !$0.isEmpty }
    }

    /// The letters that a scalar stands for, none for a soft sign; `nil` for what parts words.
    private static func letters(of scalar: Unicode.Scalar) -> [UInt32]? {
        switch scalar.value {
        case 0x61...0x7A, 0x30...0x39: return [scalar.value]
        case 0xFF41...0xFF5A: return [scalar.value - 0xFF41 + 0x61]
        default:
            if let letters = spellings[scalar.value] { return letters }
            switch scalar.properties.generalCategory {
            case .lowercaseLetter, .uppercaseLetter, .titlecaseLetter, .otherLetter,
                .decimalNumber, .spacingMark, .nonspacingMark:
                return [scalar.value]
            default: return nil
            }
        }
    }

    /// Apostrophes of all kinds, the letters that look like them, and marks that nobody sees.
    private static func isSilent(_ scalar: UInt32) -> Bool {
        switch scalar {
        case 0x27, 0x60, 0xB4, 0x2B9...0x2CF, 0x2018...0x201B, 0x2032...0x2037, 0xA78B, 0xA78C,
            0xFF07, 0xFF40, 0xAD, 0x200B...0x200F, 0x202A...0x202E, 0x2060, 0x2066...0x2069,
            0xFE00...0xFE0F, 0xFEFF:
            true
        default: false
        }
    }

    /// Combining marks of the alphabets below.
    private static func isMark(_ scalar: UInt32) -> Bool {
        switch scalar {
        case 0x300...0x36F, 0x483...0x487, 0x1AB0...0x1AFF, 0x1DC0...0x1DFF, 0xFE20...0xFE2F: true
        default: false
        }
    }

    private struct Pair: Hashable {
        var base: UInt32
        var mark: UInt32

        init(_ base: UInt32, _ mark: UInt32) {
            self.base = base
            self.mark = mark
        }
    }

    /// й, ў, ё, ї and ž as a letter and a mark: unlike ä or ş they aren't spelt as the bare letter.
    private static let marked: [Pair: [UInt32]] = {
        let letters: [(base: Unicode.Scalar, mark: UInt32, latin: String)] = [
            ("и", 0x306, "y"), ("у", 0x306, "o"), ("е", 0x308, "yo"), ("і", 0x308, "yi"),
            ("z", 0x30C, "j"),
        ]
        var table: [Pair: [UInt32]] = [:]
        for (base, mark, latin) in letters {
            table[Pair(base.value, mark)] = latin.unicodeScalars.map(\.value)
        }
        return table
    }()

    private static let spellings: [UInt32: [UInt32]] = {
        var table: [UInt32: [UInt32]] = [:]
        for (latin, others) in latinLetters + cyrillicLetters {
            for other in others.unicodeScalars {
                table[other.value] = latin.unicodeScalars.map(\.value)
            }
        }
        return table
    }()

    /// Latin letters with marks, in one scalar, and those that look like another one.
    private static let latinLetters = [
        ("a", "àáâãäåāăąǎǟǡǻȁȃȧḁạảấầẩẫậắằẳẵặəǝɐ"), ("ae", "æǣǽ"), ("b", "ḃḅḇ"), ("c", "çćĉċčḉ"),
        ("d", "ďḋḍḏḑḓđðɖ"), ("e", "èéêëēĕėęěȅȇȩḕḗḙḛḝẹẻẽếềểễệ"), ("f", "ḟ"), ("g", "ĝğġģǧǵḡǥƣ"),
        ("h", "ĥȟḣḥḧḩḫẖħ"), ("i", "ìíîïĩīĭįǐȉȋḭḯỉịıɨ"), ("j", "ĵǰž"), ("k", "ķǩḱḳḵĸ"),
        ("l", "ĺļľḷḹḻḽłŀ"), ("m", "ḿṁṃ"), ("n", "ñńņňǹṅṇṉṋŋŉ"),
        ("o", "òóôõöōŏőơǒǫǭȍȏȫȭȯȱṍṏṑṓọỏốồổỗộớờởỡợøǿɵ"), ("oe", "œ"), ("p", "ṕṗ"),
        ("r", "ŕŗřȑȓṙṛṝṟ"), ("s", "śŝşšșṡṣṥṧṩſ"), ("ss", "ß"), ("t", "ţťțṫṭṯṱẗþŧ"),
        ("u", "ùúûüũūŭůűųưǔǖǘǚǜȕȗṳṵṷṹṻụủứừửữựʉ"), ("v", "ṽṿ"), ("w", "ŵẁẃẅẇẉẘ"), ("x", "ẋẍ"),
        ("y", "ýÿŷȳẏẙỳỵỷỹ"), ("z", "źżẑẓẕƶ"),
    ]

    /// The Cyrillic of Russian, Azerbaijani, Kazakh, Kyrgyz, Uzbek, Turkmen, Tatar and Tajik.
    private static let cyrillicLetters = [
        ("a", "аәӑӓӛ"), ("b", "б"), ("v", "в"), ("g", "гғґѓҝ"), ("d", "д"), ("e", "еэєѐӗӭ"),
        ("yo", "ё"), ("j", "жҷҹҗӂӝџ"), ("z", "зҙӟ"), ("i", "иыіѝӣӥӹ"), ("yi", "ї"), ("y", "йј"),
        ("k", "кқҡҟќ"), ("l", "л"), ("m", "м"), ("n", "нңҥ"), ("o", "оөӧӫў"), ("p", "п"),
        ("r", "р"), ("s", "сҫ"), ("t", "т"), ("u", "уүұӯӱӳ"), ("f", "ф"), ("h", "хһҳ"),
        ("ts", "ц"), ("ch", "чӵ"), ("sh", "шщ"), ("", "ъь"), ("yu", "ю"), ("ya", "я"),
    ]
}
