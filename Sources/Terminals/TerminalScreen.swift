internal import CNcurses
internal import ProgramOutput

/// A key, or what else a terminal reports.
public enum TerminalKey: Hashable, Sendable {
    case character(Character)
    case up, down, left, right, pageUp, pageDown, home, end
    case enter, escape, tab, backspace, delete
    /// The screen has another size.
    case resize
    /// Any other.
    case unknown
}

/// Part of a line, as it is drawn.
public struct ScreenSpan: Hashable, Sendable {
    public var text: String
    public var isBold: Bool
    public var isReversed: Bool

    public init(_ text: String, isBold: Bool = false, isReversed: Bool = false) {
        self.text = text
        self.isBold = isBold
        self.isReversed = isReversed
    }
}

/// Why a terminal can't be drawn on.
public enum TerminalError: Error, Sendable {
    /// Nothing is known of a terminal of this kind.
    case unknown(String)
}

/// A whole terminal that is drawn on, through ncurses. One at a time.
///
/// It is given back by ``end()``, and by ncurses itself when the process is interrupted or told to end.
public final class TerminalScreen {
    private var isEnded = false

    /// - Parameter kind: what the environment calls the terminal.
    public init(kind: String) throws(TerminalError) {
        guard karvan_screen_begin() != 0 else { throw .unknown(kind) }
    }

    deinit { end() }

    public func end() {
        guard !isEnded else { return }
        isEnded = true
        karvan_screen_end()
    }

    public var size: (columns: Int, rows: Int) {
        (Int(karvan_screen_columns()), Int(karvan_screen_rows()))
    }

    /// - Parameters:
    ///   - lines: from the top; each no wider than the screen.
    ///   - cursor: where it stands; `nil` hides it.
    public func draw(_ lines: [[ScreenSpan]], cursor: (column: Int, row: Int)?) {
        karvan_screen_clear()
        for (row, spans) in lines.enumerated() {
            var column = 0
            for span in spans {
                karvan_screen_put(
                    Int32(row), Int32(column), span.text, span.isBold ? 1 : 0,
                    span.isReversed ? 1 : 0)
                column += TerminalText.width(of: span.text)
            }
        }
        karvan_screen_show(Int32(cursor?.row ?? -1), Int32(cursor?.column ?? 0))
    }

    /// Waits for a key.
    ///
    /// - Returns: `nil` where none came in time.
    public func key(within milliseconds: Int) -> TerminalKey? {
        var code: UInt32 = 0
        switch karvan_screen_key(Int32(clamping: milliseconds), &code) {
        case 0: return nil
        case 1: return Self.key(character: code)
        default: return Self.keys[Int32(bitPattern: code)] ?? .unknown
        }
    }

    private static let keys: [Int32: TerminalKey] = [
        KEY_UP: .up, KEY_DOWN: .down, KEY_LEFT: .left, KEY_RIGHT: .right, KEY_PPAGE: .pageUp,
        KEY_NPAGE: .pageDown, KEY_HOME: .home, KEY_END: .end, KEY_ENTER: .enter,
        KEY_BACKSPACE: .backspace, KEY_DC: .delete, KEY_RESIZE: .resize, KEY_BTAB: .tab,
    ]

    private static func key(character code: UInt32) -> TerminalKey {
        switch code {
        case 10, 13: .enter
        case 27: .escape
        case 9: .tab
        case 8, 127: .backspace
        default: Unicode.Scalar(code).map { .character(Character($0)) } ?? .unknown
        }
    }
}
