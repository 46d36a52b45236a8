import Foundation
import Testing

/// A terminal of its own that a program runs on, and that is typed on and looked at through tmux.
private final class Terminal {
    private let socket: String
    private let forum: Forum

    init(_ forum: Forum, columns: Int, rows: Int) throws {
        self.forum = forum
        // A socket's path is short.
        socket =
            FileManager.default.temporaryDirectory
            .appending(path: "karvan-\(UUID().uuidString.prefix(8))").path
        // The session ends by itself, whatever becomes of this process. Its server outlives this command, and Foundation waits for all that holds what it hands on; and signals
        // reach who runs there, though the thread here has them blocked.
        let closing = """
            import signal, subprocess, sys
            signal.pthread_sigmask(signal.SIG_SETMASK, [])
            sys.exit(subprocess.run(sys.argv[1:]).returncode)
            """
        try run(
            "/usr/bin/python3",
            ["-c", closing] + command + [
                "-f", "/dev/null", "new-session", "-d", "-x", "\(columns)", "-y", "\(rows)",
                "timeout --foreground 170 env PS1='$ ' /bin/bash --norc --noprofile",
            ])
        try expect("$")
    }

    deinit {
        _ = try? tmux("kill-server")
        try? FileManager.default.removeItem(atPath: socket)
    }

    private var command: [String] { ["/usr/bin/tmux", "-u", "-S", socket] }

    @discardableResult
    func tmux(_ arguments: String...) throws -> String {
        try run(command[0], command.dropFirst() + arguments)
    }

    @discardableResult
    private func run(_ program: String, _ arguments: [String]) throws -> String {
        let finished = try Programs.run(
            program, arguments, in: forum.directory,
            environment: ["LC_ALL": "C.UTF-8", "KARVAN_REPLICA": "L1.sqlite", "NO_COLOR": "1"],
            limitSeconds: 20)
        guard finished.status == 0 else { throw ProgramError(description: finished.errors) }
        return finished.output
    }

    func press(_ keys: String...) throws {
        for key in keys { try tmux("send-keys", key) }
    }

    func type(_ text: String) throws { try tmux("send-keys", "-l", text) }

    /// Starts `karvan` there, as somebody who types it.
    func start(_ arguments: String) throws {
        try type("clear; \(Programs.path("karvan")) \(arguments)")
        try press("Enter")
    }

    var screen: String { get throws { try tmux("capture-pane", "-p") } }

    func fact(_ name: String) throws -> String {
        try tmux("display-message", "-p", "#{\(name)}").filter { $0 != "\n" }
    }

    /// Waits until the screen shows it.
    func expect(_ text: String, sourceLocation: SourceLocation = #_sourceLocation) throws {
        let isShown = try becomesTrue(withinSeconds: 20) { try screen.contains(text) }
        if !isShown {
            Issue.record("not “\(text)” but\n\(try screen)", sourceLocation: sourceLocation)
        }
    }

    /// What it shows, with this run's times and ids masked.
    func expect(
        screen expected: String, sourceLocation: SourceLocation = #_sourceLocation
    ) throws {
        let shown = try screen
        let masked = shown.replacing(#/2\d{3}-\d\d-\d\d \d\d:\d\d/#, with: "TIME")
            .replacing(#/here \d\d:\d\d/#, with: "here since")
        #expect(masked == expected + "\n", "\(shown)", sourceLocation: sourceLocation)
    }

    /// The pid of what runs there, besides the shell.
    func program() throws -> Int32 {
        try Self.child(of: Self.child(of: try #require(Int32(try fact("pane_pid")))))
    }

    private static func child(of pid: Int32) throws -> Int32 {
        let text = try String(
            contentsOfFile: "/proc/\(pid)/task/\(pid)/children", encoding: .utf8)
        return try #require(text.split(separator: " ").first.flatMap { Int32($0) })
    }
}

/// `karvan conflicts` on a whole terminal.
@Suite(.timeLimit(.minutes(3))) struct StoriesOnATerminal {
    private func disagreeing() throws -> Forum {
        let forum = try Forum(prepared: ["L1", "L2"])
        try forum.connect("L1", "L2")
        for (laptop, person, time, role) in [
            ("L1", "Leyla", "10:10", "guest"), ("L2", "Murad", "10:25", "speaker"),
        ] {
            try forum.must(laptop, "visit", "V12", "KZ", "--arrived", time, "--as", person)
            try forum.must(laptop, "set", "person", "AZ-014", "role=\(role)", "--as", person)
        }
        for laptop in ["L1", "L2", "L1"] { try forum.must(laptop, "sync") }
        return forum
    }

    @Test func `a conflict is looked at, settled, taken back and put off by keys`() throws {
        let forum = try disagreeing()
        let terminal = try Terminal(forum, columns: 80, rows: 24)
        try terminal.start("conflicts --as Aysel")
        try terminal.expect("Murad on L2")
        try terminal.expect(
            screen: """
                L1.sqlite: 2 open conflicts                                                  1/2
                >2 visit V12/KZ actual_arrival   │ visit V12/KZ actual_arrival
                 2 person AZ-014 role            │ class 2: a person must decide
                                                 │ 2 records lie 15 min apart, more than the 10
                                                 │ min within which the earliest would count;
                                                 │ they were written by people who had not seen
                                                 │ each other's.
                                                 │
                                                 │ A  2025-11-26T10:10:00+04:00
                                                 │    by Leyla on L1, TIME
                                                 │    had been shown nothing here
                                                 │ B* 2025-11-26T10:25:00+04:00
                                                 │    by Murad on L2, TIME
                                                 │    had been shown nothing here
                                                 │ * is shown meanwhile.
                                                 │
                                                 │ Before: nothing that all of them had been
                                                 │ shown.
                                                 │ ● A 2025-11-26T10:10:00+04:00  Leyla on L1
                                                 │   TIME, recorded here
                                                 │ ● B 2025-11-26T10:25:00+04:00  Murad on L2
                                                 │   TIME, here since
                                                 │
                A–B take  e edit  d put off  u undo  Enter read on  a all  ? help  q quit
                """)
        try terminal.press("A")
        try terminal.expect("Why?")
        try terminal.type("sürücü dedi: Гюльшан ə")
        try terminal.press("Enter")
        try terminal.expect("1 open conflict ")
        try terminal.expect("u takes it back")
        let log = try forum.must("L1", "conflicts", "log")
        #expect(log.contains("Aysel on L1") && log.contains("sürücü dedi: Гюльшан ə"), "\(log)")
        try terminal.press("u")
        try terminal.expect("2 open conflicts")
        try terminal.press("Home", "Down", "d")
        try terminal.expect("Until (18:00")
        try terminal.press("Enter")
        try terminal.expect("Why wait?")
        try terminal.press("Enter")
        try terminal.expect("2 open conflicts, 1 put off")
        #expect(try forum.must("L1", "conflicts", "list").contains("1 deferred"))
        try terminal.press("u")
        try terminal.expect("Taken back")
        #expect(!(try forum.must("L1", "conflicts", "list").contains("deferred")))
        try terminal.press("q")
        try terminal.expect("$")
        #expect(try terminal.fact("alternate_on") == "0")
    }

    @Test func `it fits a small screen, and what others decide shows by itself`() throws {
        let forum = try disagreeing()
        let terminal = try Terminal(forum, columns: 80, rows: 24)
        try terminal.start("conflicts")
        try terminal.expect("q quit")
        try terminal.tmux("resize-window", "-x", "40", "-y", "10")
        try terminal.expect("? q")
        try terminal.expect(
            screen: """
                L1.sqlite: 2 open conflicts          1/2
                >2 visit V12/KZ actual_arrival
                 2 person AZ-014 role






                A–B take  e d u  Enter look  ? q
                """)
        try terminal.press("Enter")
        try terminal.expect("class 2: a person must decide")
        try terminal.press("NPage", "Escape")
        try terminal.expect(" 2 person AZ-014 role")
        try terminal.tmux("resize-window", "-x", "80", "-y", "24")
        try terminal.expect("q quit")
        let first = try #require(try forum.conflicts("L1").first)
        try forum.must("L1", ["conflicts", "resolve", first.id, "--take", "A", "--reason", "why"])
        try terminal.expect("1 open conflict ")
    }

    @Test func `a terminal is given back, however it ends`() throws {
        let forum = try disagreeing()
        let terminal = try Terminal(forum, columns: 80, rows: 24)
        try terminal.type("stty -a > before.txt")
        try terminal.press("Enter")
        for signal in [SIGTERM, SIGINT, SIGHUP] {
            try terminal.start("conflicts; echo ended with $?")
            try terminal.expect("q quit")
            #expect(try terminal.fact("alternate_on") == "1")
            try terminal.press("B")
            try terminal.expect("Why?")
            try terminal.type("half a reas")
            kill(try terminal.program(), signal)
            try terminal.expect("ended with \(128 + signal)")
            #expect(try terminal.fact("alternate_on") == "0")
            #expect(try terminal.fact("cursor_flag") == "1")
            try terminal.type("clear; stty -a > after.txt; echo done")
            try terminal.press("Enter")
            try terminal.expect("done")
            #expect(
                try Data(contentsOf: forum.path("before.txt"))
                    == Data(contentsOf: forum.path("after.txt")))
        }
        #expect(try forum.conflicts("L1").count == 2, "nothing was decided")
    }

    @Test func `what is pasted is no command, and another process is waited for`() throws {
        let forum = try disagreeing()
        let terminal = try Terminal(forum, columns: 80, rows: 24)
        try terminal.start("conflicts --table person")
        try terminal.expect("Before: delegate")
        try terminal.tmux("set-buffer", "Astana\nBus log\nq\n")
        try terminal.tmux("paste-buffer", "-p")
        try terminal.expect("What is pasted is not taken here")
        try terminal.press("A")
        try terminal.expect("Why?")
        try terminal.tmux("paste-buffer", "-p")
        try terminal.expect("Astana Bus log q")
        #expect(try forum.conflicts("L1").count == 2, "nothing was decided")
        // The lock's holder is told, and what was typed is still there.
        let holder = try Script.start(
            Script.holder, [forum.path("L1.sqlite.lock").path], in: forum.directory)
        try terminal.press("Enter")
        try terminal.expect("Nothing was written: ")
        holder.signal(SIGKILL)
        _ = try holder.finish()
        try terminal.press("Enter")
        try terminal.expect("Settled: guest. u takes it back.")
        #expect(try forum.must("L1", "conflicts", "log").contains("Astana Bus log q"))
        try terminal.expect("No such conflicts are open")
    }

    @Test func `without a terminal that is known it is the list, or says so`() throws {
        let forum = try disagreeing()
        let list = try forum.must("L1", "conflicts", "list")
        #expect(try forum.must("L1", "conflicts") == list)
        #expect(try forum.karvan("L1", "conflicts", "--open").status == 20)
        let terminal = try Terminal(forum, columns: 100, rows: 24)
        for kind in ["nonesuch", "dumb"] {
            try terminal.type("export TERM=\(kind)")
            try terminal.press("Enter")
            try terminal.start("conflicts; echo ended with $?")
            try terminal.expect("ended with 78")
        }
        try terminal.expect("set TERM, or use `karvan conflicts list`")
    }
}
