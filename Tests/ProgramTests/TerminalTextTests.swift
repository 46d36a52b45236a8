import ProgramOutput
import Testing

/// Text in columns: cut, filled and wrapped.
@Suite struct TextInColumns {
    @Test func `marks take no room, and wide characters two`() {
        #expect(TerminalText.width(of: "Gülşən") == 6)
        #expect(TerminalText.width(of: "Gu\u{308}l") == 3)
        #expect(TerminalText.width(of: "日本 🎪") == 7)
    }

    @Test func `what doesn't fit ends in an ellipsis`() {
        #expect(TerminalText.cut("Мамедова", to: 8) == "Мамедова")
        #expect(TerminalText.cut("Мамедова", to: 7) == "Мамедо…")
        #expect(TerminalText.cut("日本日本", to: 4) == "日…")
        #expect(TerminalText.cut("abc", to: 0).isEmpty)
        #expect(TerminalText.fitted("日本日本", to: 4) == "日… ")
        #expect(TerminalText.fitted("ab", to: 4) == "ab  ")
    }

    @Test func `lines break at spaces, and long words anywhere`() {
        #expect(TerminalText.wrapped("", to: 5) == [""])
        #expect(TerminalText.wrapped("one two three", to: 7) == ["one two", "three"])
        #expect(
            TerminalText.wrapped("   by Leyla on L1", to: 11, indent: "   ")
                == ["   by Leyla", "   on L1"])
        #expect(TerminalText.wrapped("abcdefgh", to: 3) == ["abc", "def", "gh"])
        #expect(
            TerminalText.wrapped("ab abcdefgh", to: 4, indent: " ") == [
                "ab", " abc", " def", " gh",
            ])
    }

    @Test(arguments: 1...12)
    func `no line is wider, and nothing is lost`(_ columns: Int) {
        let text = "  Гюльшан Мамедова asks: what  became of 日本 and Gu\u{308}ls\u{327}\u{259}n?"
        let lines = TerminalText.wrapped(text, to: columns)
        for line in lines {
            #expect(TerminalText.width(of: line) <= max(2, columns), "\(line)")
        }
        let letters = { (text: String) in text.filter { $0 != " " } }
        #expect(letters(lines.joined()) == letters(text))
    }
}
