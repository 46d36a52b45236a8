/// How far a long piece of work has come, for the person who waits: on a terminal one line that is
/// written over, else a line now and then. Work that is done soon says nothing.
public struct ProgressLine {
    private let isTerminal: Bool
    private let now: () -> Int64
    private let write: (String) -> Void
    private let start: Int64
    private var last: Int64?
    /// What the terminal's line holds, in characters.
    private var width = 0

    /// The silence at the start, and between two lines, in milliseconds.
    private static let patience: (terminal: Int64, file: Int64) = (500, 5_000)
    private static let interval: (terminal: Int64, file: Int64) = (100, 10_000)

    /// - Parameters:
    ///   - now: a clock that never goes back, in milliseconds.
    ///   - write: takes text for standard error.
    public init(isTerminal: Bool, now: @escaping () -> Int64, write: @escaping (String) -> Void) {
        self.isTerminal = isTerminal
        self.now = now
        self.write = write
        start = now()
    }

    /// Tells where the work stands, if it is time to.
    public mutating func show(_ text: () -> String) {
        let (time, patience, interval) =
            isTerminal
            ? (now(), Self.patience.terminal, Self.interval.terminal)
            : (now(), Self.patience.file, Self.interval.file)
        guard time - start >= patience, time - (last ?? time - interval) >= interval else { return }
        last = time
        let line = text()
        guard isTerminal else { return write(line + "\n") }
        let blanks = String(repeating: " ", count: max(0, width - line.count))
        write("\r" + line + blanks)
        width = line.count
    }

    /// Ends the terminal's line, so that what follows has its own.
    public mutating func end() {
        if width > 0 { write("\n") }
        width = 0
    }

    /// `12 of 80 lines (15 %)`.
    public static func part(_ done: Int, of total: Int, _ unit: String) -> String {
        let share = total > 0 ? done * 100 / total : 100
        return "\(done) of \(total) \(unit) (\(share) %)"
    }
}
