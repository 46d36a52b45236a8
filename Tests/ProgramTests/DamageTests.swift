import Foundation
import Testing

/// A coordinator whose disk fails, at the command line.
@Suite(.serialized) struct DamageTests {
    private func damage(_ forum: Forum, _ laptop: String, _ sql: String) throws {
        let finished = try Programs.run(
            "/usr/bin/sqlite3",
            [
                "-cmd", ".dbconfig enable_trigger off",
                forum.directory.appending(path: "\(laptop).sqlite").path, sql,
            ], in: forum.directory)
        guard finished.status == 0 else { throw ProgramError(description: finished.errors) }
    }

    @Test func `a damaged record is named, and a repair brings it back`() throws {
        let forum = try Forum(small: ["L1"])
        try forum.must("L1", "attend", "P07", "AZ-001", "--door", "A")
        let before = try forum.stateHash("L1")
        try damage(forum, "L1", "UPDATE person SET role = 'spy' WHERE badge = 'AZ-001'")
        let verified = try forum.karvan("L1", "verify")
        #expect(verified.status == 74)
        #expect(verified.errors.contains("of person (AZ-001), role: it is not what the log says"))
        #expect(verified.errors.contains("karvan repair"))
        let json = try forum.karvan("L1", "verify", "--json").json
        let rows = json["damaged_rows"] as? [[String: Any]]
        #expect(rows?.count == 1)
        #expect(rows?.first?["key"] as? String == "AZ-001")
        #expect(try forum.karvan("L1", "set", "person", "AZ-001", "role=spy").status == 74)
        let dry = try forum.must("L1", "repair", "--dry-run")
        #expect(dry.contains("can be saved"))
        let repaired = try forum.karvan("L1", "repair", "--json")
        #expect(repaired.status == 0)
        #expect(repaired.json["state_hash"] as? String == before)
        let kept = try #require(repaired.json["damaged_file"] as? String)
        #expect(kept.contains("L1.sqlite.damaged-"))
        #expect(FileManager.default.fileExists(atPath: forum.directory.appending(path: kept).path))
        #expect(try forum.must("L1", "verify").contains("is whole"))
        #expect(try forum.stateHash("L1") == before)
        try forum.must("L1", "sync")
        #expect(try forum.stateHash("hub") == forum.stateHash("L1"))
    }

    @Test func `a lost change of another laptop comes back with the next sync`() throws {
        let forum = try Forum(small: ["L1", "L2"])
        try forum.must("L2", "attend", "P07", "AZ-001", "--door", "B")
        try forum.must("L2", "sync")
        try forum.must("L1", "sync")
        let before = try forum.stateHash("L1")
        try damage(
            forum, "L1",
            """
            UPDATE sy_run SET sig = zeroblob(64) WHERE rowid = (SELECT max(r.rowid) FROM sy_run r
            JOIN sy_stream s ON s.sid = r.sid WHERE s.device <> (SELECT device FROM sy_stream
            WHERE sid = (SELECT value FROM sy_meta WHERE key = 'own')))
            """)
        #expect(try forum.karvan("L1", "verify").errors.contains("can't be read"))
        let text = try forum.must("L1", "repair")
        #expect(text.contains("the next sync brings what the hub has"))
        try forum.must("L1", "sync")
        #expect(try forum.stateHash("L1") == before)
        #expect(try forum.must("L1", "verify").contains("is whole"))
    }

    @Test func `a broken header is told, not stumbled over, and repaired`() throws {
        let forum = try Forum(small: ["L1"])
        let before = try forum.stateHash("L1")
        let file = forum.directory.appending(path: "L1.sqlite")
        try damage(forum, "L1", "PRAGMA wal_checkpoint(TRUNCATE)")
        var bytes = try Data(contentsOf: file)
        for place in 0..<512 { bytes[place] = 0 }
        try bytes.write(to: file)
        for command in ["verify", "status"] {
            let finished = try forum.karvan("L1", command)
            #expect([74, 78].contains(finished.status))
            #expect(finished.errors.hasPrefix("karvan: "))
        }
        #expect(try forum.karvan("L1", "repair").status == 0)
        #expect(try forum.stateHash("L1") == before)
    }

    @Test func `a hub's store is repaired, and its laptops need not enrol again`() throws {
        let forum = try Forum(small: ["L1"])
        try forum.must("L1", "attend", "P07", "AZ-001", "--door", "A")
        try forum.must("L1", "sync")
        forum.stopHub(signal: SIGTERM)
        try damage(forum, "hub", "UPDATE person SET role = 'spy'; UPDATE sy_feed SET sid = 99")
        #expect(try forum.karvan("hub", "verify").status == 74)
        try forum.must("hub", "repair")
        #expect(try forum.must("hub", "verify").contains("is whole"))
        try forum.startHub()
        try forum.must("L1", "attend", "P07", "AZ-002", "--door", "A")
        #expect(try forum.must("L1", "sync").contains("1 change sent"))
        #expect(try forum.stateHash("hub") == forum.stateHash("L1"))
    }

    @Test func `a backup is restored, and refuses to lose anything`() throws {
        let forum = try Forum(small: ["L1"])
        try forum.must("L1", "attend", "P07", "AZ-001", "--door", "A")
        let made = try forum.karvan("L1", "backup", "monday.karvan", "--json")
        #expect(made.status == 0)
        #expect(made.json["unsent"] as? Int == 1)
        #expect(try forum.karvan("L1", "backup", "monday.karvan").status == 65)
        #expect(try forum.karvan("monday", "status").status == 65)
        let direct = try forum.karvan("x", "status", "--replica", "monday.karvan")
        #expect(direct.status == 78)
        #expect(direct.errors.contains("karvan restore"))
        let hash = try forum.stateHash("L1")
        try forum.must("L1", "attend", "P07", "AZ-002", "--door", "A")
        let refused = try forum.karvan("L1", "restore", "monday.karvan")
        #expect(refused.status == 65)
        #expect(refused.errors.contains("holds 1 change that the backup lacks"))
        #expect(try forum.must("L1", "restore", "monday.karvan", "--dry-run").contains("is whole"))
        let text = try forum.must("L1", "restore", "monday.karvan", "--replace")
        #expect(text.contains("new incarnation"))
        #expect(try forum.stateHash("L1") == hash)
        try forum.must("L1", "attend", "P07", "AZ-003", "--door", "A")
        try forum.must("L1", "sync")
        #expect(try forum.stateHash("hub") == forum.stateHash("L1"))
        #expect(try forum.must("L2", "restore", "monday.karvan").contains("karvan adopt"))
        for command in ["repair", "backup", "restore"] {
            let help = try forum.must("L1", command, "--help")
            #expect(help.contains("karvan \(command)"))
        }
        #expect(try forum.must("L1", "backup", "--help").contains("private key"))
    }

    @Test func `a repair that is killed at any moment leaves the old file or the new one`() throws {
        let kills = repetitions("KARVAN_REPAIR_KILLS", usually: 12)
        let forum = try Forum(small: ["L1"])
        let laptop = Laptop("L1", forum)
        let before = try laptop.stateHash()
        try damage(forum, "L1", "UPDATE person SET role = 'spy' WHERE badge = 'AZ-001'")
        try damage(forum, "L1", "PRAGMA wal_checkpoint(TRUNCATE)")
        let bytes = try Data(contentsOf: laptop.file)
        var random = CrashRandom("repair")
        let start = ContinuousClock.now
        try laptop.must("repair")
        let usual = Int((ContinuousClock.now - start) / .microseconds(1))
        var (killed, old, new) = (0, 0, 0)
        for number in 0..<kills * 4 + 50 where killed < kills {
            for suffix in ["-wal", "-shm", ".new", ".new.partial"] {
                try? FileManager.default.removeItem(atPath: laptop.file.path + suffix)
            }
            try bytes.write(to: laptop.file)
            let finished = try laptop.run(
                ["repair"],
                killed: .after(
                    microseconds: number == 0 ? 0 : Int.random(in: 0..<usual, using: &random)))
            if finished.status == 128 + SIGKILL { killed += 1 }
            switch try laptop.run("verify").status {
            case 0: new += 1
            case 74: old += 1
            case let status: Issue.record("verify ended with \(status)")
            }
            try laptop.must("repair")
            #expect(try laptop.stateHash() == before)
        }
        report(
            "repair killed", [("killed", killed), ("old file", old), ("new file", new)],
            since: start)
        #expect(killed == kills)
    }
}
