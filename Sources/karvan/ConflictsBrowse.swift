internal import ArgumentParser
internal import ConflictBrowsing
internal import ConflictInspection
internal import FieldRecords
internal import Foundation
internal import ProgramOutput
internal import Recording
internal import ReplicaStore
internal import SyncProtocol
internal import Terminals

/// Conflicts on a whole terminal; anywhere else their list.
struct ConflictsBrowse: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "browse",
        abstract: "Look at conflicts and settle them on the whole terminal; ? tells the keys.",
        discussion: """
            Example: karvan conflicts --item V12

            Without a terminal, with --json, --open or --limit it is `karvan conflicts list`.
            """)

    @OptionGroup var common: CommonOptions
    @OptionGroup var list: ConflictListOptions

    func run() throws {
        let isScreen = isatty(STDIN_FILENO) != 0 && isatty(STDOUT_FILENO) != 0
        guard isScreen, !common.json, !list.open, list.limit == nil else {
            return try list.run(common)
        }
        let replica = try common.open("conflicts browse")
        defer { replica.close() }
        var session = BrowserSession(replica, list, author: common.author)
        // What is asked for wrongly is said before the screen is taken.
        _ = try list.filter.filter(in: Records(replica))
        let kind = ProcessInfo.processInfo.environment["TERM"] ?? ""
        let screen: TerminalScreen
        do {
            screen = try TerminalScreen(kind: kind)
        } catch .unknown {
            throw CommandFailure(
                .configuration,
                "nothing is known of a terminal “\(kind)”: set TERM, or use `karvan conflicts list`"
            )
        }
        defer { screen.end() }
        try session.run(on: screen)
        if let signal = TerminalScreen.endingSignal {
            screen.end()
            throw ExitCode(128 + signal)
        }
    }
}

/// Browser, replica and terminal, until somebody quits.
private struct BrowserSession {
    private let replica: Replica
    private let conflicts: Conflicts
    private let options: ConflictListOptions
    private let author: String
    private var browser: ConflictBrowser
    /// Decisions that were made here, and put-off conflicts: the last one is taken back first.
    private var made: [String] = []
    private var seen: Int64 = 0

    /// Between two looks for what came in from elsewhere, in milliseconds.
    private static let patience = 1_000

    init(_ replica: Replica, _ options: ConflictListOptions, author: String) {
        self.replica = replica
        conflicts = Conflicts(replica)
        self.options = options
        self.author = author
        browser = ConflictBrowser(
            title: URL(filePath: replica.path).lastPathComponent,
            includesDeferred: options.all)
    }

    mutating func run(on screen: TerminalScreen) throws {
        resize(to: screen)
        try answer(browser.firstRequest)
        while TerminalScreen.endingSignal == nil {
            try look()
            screen.draw(browser.lines, cursor: browser.cursor)
            guard let key = screen.key(within: Self.patience) else {
                // Nobody typed: what came in meanwhile is shown, but never under somebody's hands.
                if browser.cursor == nil, try replica.foreignVersion() != seen {
                    try answer(browser.firstRequest)
                }
                continue
            }
            if key == .resize { resize(to: screen) }
            if key == .character("r") || key == .character("\u{0c}") { screen.repaint() }
            guard let request = browser.handle(key) else { continue }
            if case .quit = request { return }
            do {
                try answer(request)
            } catch ConflictError.stale, ConflictError.undone {
                try read(
                    again: "Somebody has settled, changed or taken it back meanwhile: nothing was "
                        + "written. This is how it stands now.")
            } catch let error as ConflictError {
                browser.askAgain(Self.sentence(error.explanation))
            } catch let error as RecordError {
                browser.askAgain(Self.sentence(error.explanation))
            } catch let error as StoreError {
                switch error {
                case .invalid(let detail): browser.askAgain(Self.sentence(detail))
                case .held, .denied, .full:
                    browser.askAgain(
                        "Nothing was written: \(CommandFailure(describing: error)?.message ?? "")")
                default: throw error
                }
            }
        }
    }

    private mutating func resize(to screen: TerminalScreen) {
        let (columns, rows) = screen.size
        browser.resize(columns: columns, rows: rows)
    }

    /// Tells the selected conflict whole.
    private mutating func look() throws {
        guard let wanted = browser.wanted else { return }
        let told = try conflicts.withLog(wanted)
        browser.show(ConflictDetail(told, past: try conflicts.past(of: told)))
    }

    private mutating func answer(_ request: ConflictBrowser.Request) throws {
        switch request {
        case .quit: break
        case .read(let limit, let includesDeferred):
            try read(limit, includesDeferred)
        case .resolve(let conflict, let decision, let reason):
            let settled = try conflicts.resolve(
                conflict.id.description, decision, reason: reason, author: author)
            if let name = settled.decision { made.append(name.description) }
            try read(
                again:
                    "Settled: \(settled.text). u takes it back. (\(conflict.subjectText))")
        case .postpone(let conflict, let until, let reason):
            let time =
                until.isEmpty ? nil : try Records(replica).instant(until, for: nil).milliseconds
            let (_, receipt) = try conflicts.postpone(
                conflict.id.description, untilMilliseconds: time, reason: reason, author: author)
            if let name = try conflicts.deferral(in: receipt) { made.append(name.description) }
            try read(again: "Put off. a lists it, u takes that back. (\(conflict.subjectText))")
        case .undo:
            guard let last = made.last else {
                return browser.tell(
                    "There is nothing to take back here; `karvan conflicts log` tells all decisions."
                )
            }
            let undoing: Undoing
            do {
                undoing = try conflicts.undo(last, reason: "", author: author)
            } catch ConflictError.undone {
                made.removeLast()
                throw ConflictError.undone(last)
            }
            made.removeLast()
            let kept = undoing.kept.joined(separator: ", ")
            try read(
                again: "Taken back: “\(undoing.entry.text)”."
                    + (kept.isEmpty ? "" : " Stays, for someone has changed it since: \(kept).")
                    + " (\(undoing.entry.subjectText))")
        }
    }

    private mutating func read(again message: String) throws {
        guard case .read(let limit, let includesDeferred) = browser.firstRequest else { return }
        try read(limit, includesDeferred)
        browser.tell(Self.sentence(message))
    }

    private mutating func read(_ limit: Int, _ includesDeferred: Bool) throws {
        seen = try replica.foreignVersion()
        let filter = try options.filter.filter(in: Records(replica))
        browser.show(
            try conflicts.briefPage(filter, limit: limit, includesDeferred: includesDeferred))
    }

    private static func sentence(_ text: String) -> String {
        text.prefix(1).uppercased() + text.dropFirst()
    }
}
