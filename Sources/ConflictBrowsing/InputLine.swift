internal import ProgramOutput
internal import Terminals

/// A line that a person types.
struct InputLine {
    private(set) var text = ""
    /// How many characters stand before the cursor.
    private(set) var cursor = 0

    /// - Returns: whether the key was one for editing.
    mutating func edit(_ key: TerminalKey) -> Bool {
        switch key {
        case .character("\u{15}"): (text, cursor) = ("", 0)
        case .character(let character):
            guard character.unicodeScalars.allSatisfy({ $0.value >= 32 && $0.value != 127 }) else {
                return false
            }
            insert(character)
        case .pasted(let pasted):
            for character in pasted where character.unicodeScalars.allSatisfy({ $0.value >= 32 }) {
                insert(character)
            }
        case .backspace:
            guard cursor > 0 else { return true }
            cursor -= 1
            remove()
        case .delete: remove()
        case .left: cursor = max(0, cursor - 1)
        case .right: cursor = min(text.count, cursor + 1)
        case .home: cursor = 0
        case .end: cursor = text.count
        default: return false
        }
        return true
    }

    /// A combining mark joins the character before it.
    private mutating func insert(_ character: Character) {
        let start = String(text.prefix(cursor)) + String(character)
        text = start + text.dropFirst(cursor)
        cursor = start.count
    }

    private mutating func remove() {
        guard cursor < text.count else { return }
        text.remove(at: text.index(text.startIndex, offsetBy: cursor))
    }

    /// The part around the cursor that has room, and the cursor's column in it.
    func shown(in columns: Int) -> (text: String, cursor: Int) {
        var start = 0
        func width(_ start: Int) -> Int {
            TerminalText.width(of: String(text.prefix(cursor).dropFirst(start)))
        }
        while width(start) >= columns, start < cursor { start += 1 }
        let rest = TerminalText.countable(String(text.dropFirst(start)))
        return (TerminalText.cut(rest, to: columns), width(start))
    }
}
