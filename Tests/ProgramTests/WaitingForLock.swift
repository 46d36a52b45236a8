import Foundation
import Testing

/// A replica that another process holds.
@Suite struct WaitingForLock {
    /// Both ways to say it, at the same time: each waits for the lock's limit of 10 s.
    private func expectHeld(_ laptop: Laptop, by holder: Int32, _ command: String) throws {
        let before = [try laptop.stateHash(), "\(try laptop.doors())"]
        let text = try laptop.start(["attend", "P07", "AZ-001", "--door", "held"])
        let json = try laptop.start(["attend", "P07", "AZ-002", "--door", "held", "--json"])
        var lasted: [Double] = []
        let (said, object) = (try text.finish(), try json.finish())
        lasted.append(text.seconds)
        #expect(said.status == 75, "\(said.errors)")
        #expect(said.errors.contains("process \(holder) (\(command))"), "\(said.errors)")
        #expect(said.output.isEmpty && object.output.isEmpty)
        #expect(object.status == 75)
        #expect(object.json["holder_pid"] as? Int == Int(holder), "\(object.errors)")
        #expect(object.json["holder"] as? String == command, "\(object.errors)")
        #expect((9.5...13).contains(lasted[0]), "\(lasted[0]) s")
        #expect(try [laptop.stateHash(), "\(laptop.doors())"] == before)
    }

    private func expectFree(_ laptop: Laptop) throws {
        let child = try laptop.start(["attend", "P07", "AZ-003", "--door", "free"])
        let finished = try child.finish(limitSeconds: 20)
        #expect(finished.status == 0, "\(finished.errors)")
        #expect(child.seconds < 2, "\(child.seconds) s")
        #expect(try laptop.doors()["free"] == 1)
        #expect(try laptop.run("verify").status == 0)
    }

    @Test func `a write gives up after ten seconds and names who holds the replica`() throws {
        let forum = try Forum(small: ["L1"])
        let laptop = Laptop("L1", forum)
        let holder = try Script.start(Script.holder, [laptop.lock.path], in: forum.directory)
        try expectHeld(laptop, by: holder.pid, "badge printer")
        holder.signal(SIGKILL)
        _ = try holder.finish()
        try expectFree(laptop)
    }

    @Test func `a shell holds the replica until it is killed`() throws {
        let forum = try Forum(small: ["L1"])
        let laptop = Laptop("L1", forum)
        let shell = try laptop.start(["shell", "--", ".shell sleep 60"], leadsGroup: true)
        // Its own children outlive it.
        defer { kill(-shell.pid, SIGKILL) }
        let isHeld = becomesTrue(withinSeconds: 20) {
            let line = try? String(contentsOf: laptop.lock, encoding: .utf8)
            return line == "\(shell.pid) karvan shell\n"
        }
        #expect(isHeld)
        try expectHeld(laptop, by: shell.pid, "karvan shell")
        shell.signal(SIGKILL)
        _ = try shell.finish()
        try expectFree(laptop)
    }
}
