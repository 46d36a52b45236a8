internal import CNcurses
internal import Glibc
internal import ProgramOutput
internal import Synchronization

/// A key, or what else a terminal reports.
public enum TerminalKey: Hashable, Sendable {
    case character(Character)
    case up, down, left, right, pageUp, pageDown, home, end
    case enter, escape, tab, backspace, delete
    /// Text that was pasted, not typed, in one piece.
    case pasted(String)
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
/// While one is there, SIGINT, SIGTERM and SIGHUP end nothing by themselves: ``endingSignal`` tells of them, so that the
/// terminal is given back first.
public final class TerminalScreen {
    private var isEnded = false
    private var isRepainted = false

    private static let received = Atomic<Int32>(0)

    /// The signal that asked the process to end; `nil` while none did.
    public static var endingSignal: Int32? {
        let number = received.load(ordering: .relaxed)
        return number == 0 ? nil : number
    }

    /// - Parameter kind: what the environment calls the terminal.
    public init(kind: String) throws(TerminalError) {
        guard karvan_screen_begin() != 0 else { throw .unknown(kind) }
        // Made before a handler can run.
        _ = Self.endingSignal
        for number in [SIGINT, SIGTERM, SIGHUP] {
            var action = sigaction()
            // Without SA_RESTART: whoever waits for a key is woken up.
            action.__sigaction_handler.sa_handler = { number in
                TerminalScreen.received.store(number, ordering: .relaxed)
            }
            sigaction(number, &action, nil)
        }
    }

    /// All is drawn anew the next time, whatever the terminal shows.
    public func repaint() { isRepainted = true }

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
        karvan_screen_clear(isRepainted ? 1 : 0)
        isRepainted = false
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
        case 0:
            noteHangUp()
            return nil
        case 1: return Self.key(character: code)
        default:
            let number = Int32(bitPattern: code)
            return number == KARVAN_KEY_PASTE_BEGIN
                ? .pasted(pastedText()) : Self.keys[number] ?? .unknown
        }
    }

    /// A terminal that is gone gives no keys any more, at once each time, and its signal may be blocked.
    private func noteHangUp() {
        var input = pollfd(fd: STDIN_FILENO, events: Int16(POLLIN), revents: 0)
        guard poll(&input, 1, 0) > 0, Int32(input.revents) & (POLLHUP | POLLERR | POLLNVAL) != 0
        else { return }
        Self.received.store(SIGHUP, ordering: .relaxed)
    }

    /// No more of what is pasted is taken.
    private static let pasteLimit = 4_096

    /// What comes until the terminal says that it was all, or for a second nothing does.
    private func pastedText() -> String {
        var text = ""
        while true {
            var code: UInt32 = 0
            let kind = karvan_screen_key(1_000, &code)
            guard kind != 0, kind == 1 || Int32(bitPattern: code) != KARVAN_KEY_PASTE_END else {
                return text
            }
            guard kind == 1, let scalar = Unicode.Scalar(code), text.utf8.count < Self.pasteLimit
            else { continue }
            text.unicodeScalars.append(scalar.value < 32 ? " " : scalar)
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
