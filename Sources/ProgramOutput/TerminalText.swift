/// Text in a terminal's columns.
public enum TerminalText {
    /// How many columns it takes: none for combining marks, two for wide characters.
    public static func width(of text: String) -> Int {
        text.unicodeScalars.reduce(0) { $0 + width(of: $1) }
    }

    static func width(of scalar: Unicode.Scalar) -> Int {
        switch scalar.properties.generalCategory {
        case .nonspacingMark, .enclosingMark, .format: 0
        default: scalar.isWide || scalar.properties.isEmojiPresentation ? 2 : 1
        }
    }

    /// Text for a screen whose columns are counted: what terminals join differently is taken apart, and a mark that has
    /// nothing before it stands on a circle.
    public static func countable(_ text: String) -> String {
        var result = ""
        for scalar in text.unicodeScalars
        where scalar.value != 0x200c && scalar.value != 0x200d
            && !(0xfe00...0xfe0f).contains(scalar.value)
        {
            if result.isEmpty, width(of: scalar) == 0 { result = "◌" }
            result.unicodeScalars.append(scalar)
        }
        return result
    }

    /// The text, or its start and an ellipsis, in no more columns than these.
    public static func cut(_ text: String, to columns: Int) -> String {
        guard width(of: text) > columns else { return text }
        guard columns > 0 else { return "" }
        var (result, taken) = ("", 0)
        for character in text {
            let width = width(of: String(character))
            guard taken + width <= columns - 1 else { break }
            result.append(character)
            taken += width
        }
        return result + "…"
    }

    /// The text in exactly so many columns.
    public static func fitted(_ text: String, to columns: Int) -> String {
        let cut = cut(text, to: columns)
        return cut + String(repeating: " ", count: max(0, columns - width(of: cut)))
    }

    /// Lines of no more columns than these, broken at spaces where there are any.
    ///
    /// - Parameter indent: what each line but the first begins with.
    public static func wrapped(_ text: String, to columns: Int, indent: String = "") -> [String] {
        var lines: [String] = []
        let spaces = String(text.prefix { $0 == " " })
        let margin = spaces.count < columns ? spaces : ""
        var line = margin
        func room() -> Int { max(1, columns - width(of: line)) }
        let words = text.dropFirst(spaces.count).split(
            separator: " ", omittingEmptySubsequences: false)
        for var word in words.map(String.init) {
            let isFirst = line == (lines.isEmpty ? margin : indent)
            if !isFirst {
                if width(of: line) + 1 + width(of: word) <= columns {
                    line += " " + word
                    continue
                }
                lines.append(line)
                line = indent
            }
            // A word that is longer than a line is cut.
            while width(of: word) > room() {
                let start = prefix(of: word, columns: room())
                lines.append(line + start)
                word.removeFirst(start.count)
                line = indent
            }
            line += word
        }
        return lines + [line]
    }

    /// At least one character.
    private static func prefix(of word: String, columns: Int) -> String {
        var (result, taken) = ("", 0)
        for character in word {
            let width = width(of: String(character))
            guard result.isEmpty || taken + width <= columns else { break }
            result.append(character)
            taken += width
        }
        return result
    }
}

extension Unicode.Scalar {
    /// The East Asian wide blocks and the emoji.
    var isWide: Bool {
        switch value {
        case 0x1100...0x115f, 0x2e80...0xa4cf, 0xac00...0xd7a3, 0xf900...0xfaff, 0xfe30...0xfe6f,
            0xff00...0xff60, 0xffe0...0xffe6, 0x1f300...0x1f64f, 0x1f900...0x1f9ff,
            0x20000...0x3fffd:
            true
        default: false
        }
    }
}
