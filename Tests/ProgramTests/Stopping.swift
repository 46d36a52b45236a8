import Foundation
import ProgramOutput
import Testing

/// Ctrl-C ends long work between two transactions, and says what is done.
@Suite struct Stopping {
    @Test func `a sync that waits for its hub ends with 130 and the number of changes that wait`()
        throws
    {
        let forum = try Forum(small: ["L1"])
        let laptop = Laptop("L1", forum)
        let hub = try #require(forum.hubProcess)
        for badge in Forum.badges.prefix(3) { try laptop.must("attend", "P07", badge) }
        kill(hub, SIGSTOP)
        defer { kill(hub, SIGCONT) }
        let sync = try laptop.start(["sync", "--timeout", "60"])
        // It has sealed what it wants to send once the tail is gone.
        let isSealed = try becomesTrue(withinSeconds: 10) {
            try laptop.must("sql", "SELECT count(*) || ' left' FROM sy_tail").contains("0 left")
        }
        #expect(isSealed)
        sync.signal(SIGINT)
        let finished = try sync.finish(limitSeconds: 30)
        #expect(finished.status == 130, "\(finished.errors)")
        #expect(
            finished.errors.contains("0 changes sent, 0 changes received"), "\(finished.errors)")
        #expect(
            finished.errors.contains("3 changes wait, safe in the replica"), "\(finished.errors)")
        kill(hub, SIGCONT)
        try laptop.must("sync")
        #expect(try forum.hubStore.stateHash() == laptop.stateHash())
    }

    @Test func `an import that is stopped imports nothing, and can be done again`() throws {
        let forum = try Forum(small: ["L1"])
        let laptop = Laptop("L1", forum)
        let before = try laptop.stateHash()
        let text = try String(contentsOfFile: Programs.sample("people.csv"), encoding: .utf8)
        let lines = text.split(separator: "\n")
        let more = [lines[0]] + lines.filter { $0.hasPrefix("AZ-") }.dropFirst(30)
        let list = forum.directory.appending(path: "more.csv").path
        try Data((more.joined(separator: "\n") + "\n").utf8).write(to: URL(filePath: list))
        let holder = try Script.start(Script.holder, [laptop.lock.path], in: forum.directory)
        let work = try laptop.start(["import", "people", list])
        #expect(becomesTrue(withinSeconds: 10) { catchesInterrupts(work) })
        work.signal(SIGINT)
        holder.signal(SIGKILL)
        _ = try holder.finish()
        let finished = try work.finish(limitSeconds: 30)
        #expect(finished.status == 130, "\(finished.errors)")
        #expect(finished.errors.contains("nothing was imported"), "\(finished.errors)")
        #expect(finished.output.isEmpty)
        #expect(try laptop.stateHash() == before)
        try laptop.must("import", "people", list)
        #expect(try laptop.stateHash() != before)
    }

    /// Whether a process has a handler for SIGINT, by proc(5).
    private func catchesInterrupts(_ child: Child) -> Bool {
        let text = try? String(contentsOfFile: "/proc/\(child.pid)/status", encoding: .utf8)
        let line = text?.split(separator: "\n").first { $0.hasPrefix("SigCgt:") }
        let mask = line.flatMap { UInt64($0.dropFirst(7).drop { $0 == "\t" }, radix: 16) } ?? 0
        return mask & (1 << (UInt64(SIGINT) - 1)) != 0
    }

    // MARK: What it says meanwhile

    private final class Screen {
        var time: Int64 = 0
        var text = ""
    }

    private func line(_ screen: Screen, isTerminal: Bool) -> ProgressLine {
        ProgressLine(isTerminal: isTerminal, now: { screen.time }) { screen.text += $0 }
    }

    @Test func `a terminal's line is written over, and ends before other text`() {
        let screen = Screen()
        var line = line(screen, isTerminal: true)
        for (time, text) in [(0, "soon"), (499, "soon"), (500, "12 rows"), (550, "13"), (600, "9")]
        {
            screen.time = Int64(time)
            line.show { text }
        }
        line.end()
        line.end()
        #expect(screen.text == "\r12 rows\r9      \n")
    }

    @Test func `without a terminal there is a plain line now and then`() {
        let screen = Screen()
        var line = line(screen, isTerminal: false)
        for time in stride(from: 0, through: 26_000, by: 1_000) {
            screen.time = Int64(time)
            line.show { "\(time)" }
        }
        line.end()
        #expect(screen.text == "5000\n15000\n25000\n")
    }

    @Test func `work that is done soon says nothing`() {
        for isTerminal in [true, false] {
            let screen = Screen()
            var line = line(screen, isTerminal: isTerminal)
            for time in [0, 100, 400] {
                screen.time = Int64(time)
                line.show { "\(time)" }
            }
            line.end()
            #expect(screen.text == "")
        }
    }

    @Test func `a part is told with its share`() {
        #expect(ProgressLine.part(12, of: 80, "rows") == "12 of 80 rows (15 %)")
        #expect(ProgressLine.part(0, of: 0, "rows") == "0 of 0 rows (100 %)")
    }
}
