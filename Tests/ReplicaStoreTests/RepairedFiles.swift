import Causality
import Foundation
import Merge
import RecordSchema
import ReplicaStore
import StoreTestSupport
import SyncProtocol
import Testing

/// Repairs of a hub's store, and of files that are killed or refused meanwhile.
@Suite struct RepairedFiles {
    private func note(_ replica: Replica, _ text: String) throws {
        try replica.write {
            _ = try $0.insert(into: Sample.note, [.text(text), nil, nil, nil, nil])
        }
    }

    private func repair(_ bench: Bench, _ name: String, _ disk: FaultyDisk? = nil) throws -> Repair
    {
        var environment = bench.environment
        environment.fileSystem = disk?.name
        return try Replica.repair(
            at: bench.path(name), schema: Sample.schema, environment: environment)
    }

    private func forum() throws -> (bench: Bench, a: Replica, hub: Replica) {
        let bench = try Bench()
        let (a, b) = (try bench.create("a"), try bench.create("b"))
        let hub = try bench.create("hub", keepsFeed: true)
        for number in 0..<6 {
            try note(a, "a \(number)")
            try note(b, "b \(number)")
            try exchange(a, hub)
            try exchange(b, hub)
        }
        try exchange(a, hub)
        return (bench, a, hub)
    }

    @Test func `a hub whose rows are damaged keeps its epoch, its offsets and its chain`() throws {
        let (bench, a, hub) = try forum()
        let (end, state) = (try hub.feedEnd(), try hub.stateHash())
        hub.close()
        try bench.shell(
            "hub", "UPDATE note SET title = 'x'; DELETE FROM sy_feed WHERE off = 3;",
            firesTriggers: false)
        let result = try repair(bench, "hub")
        #expect(result.lost == [])
        #expect(result.stateHash == state)
        let repaired = try bench.open("hub")
        #expect(try repaired.feedEnd() == end)
        try note(a, "later")
        try exchange(a, repaired)
        #expect(try repaired.stateHash() == a.stateHash())
    }

    @Test func `a hub that lost a run begins a new epoch, and gets it back`() throws {
        let (bench, a, hub) = try forum()
        let (end, state) = (try hub.feedEnd(), try hub.stateHash())
        hub.close()
        try bench.shell("hub", "UPDATE sy_run SET body = zeroblob(9) WHERE rowid = 5;")
        let result = try repair(bench, "hub")
        #expect(!result.lost.isEmpty)
        let repaired = try bench.open("hub")
        #expect(try repaired.feedEnd().epoch != end.epoch)
        #expect(throws: Refusal.self) { try exchange(a, repaired) }
        try a.forgetHub()
        try exchange(a, repaired)
        #expect(try repaired.stateHash() == state)
        #expect(try repaired.verify().problems == [])
        #expect(try a.stateHash() == state)
    }

    @Test func `changes that were lost and sent come back, and what lay behind them is not lost`()
        throws
    {
        let (bench, a, hub) = try forum()
        try note(a, "unsent")
        let state = try a.stateHash()
        let own = a.stream
        a.close()
        try bench.shell(
            "a",
            """
            UPDATE sy_run SET body = zeroblob(9) WHERE first_seq > 2 AND sid =
            (SELECT value FROM sy_meta WHERE key = 'own');
            """)
        let result = try repair(bench, "a")
        #expect(result.isNewIncarnation)
        #expect(result.lost.map(\.whose) == [.ownSent])
        #expect(result.waiting.map(\.whose) == [.ownUnsent])
        let repaired = try bench.open("a")
        #expect(try repaired.verify().problems == [])
        try exchange(repaired, hub)
        try exchange(repaired, hub)
        #expect(repaired.stream != own)
        #expect(try repaired.stateHash() == state)
        #expect(try hub.stateHash() == state)
        #expect(try repaired.verify().problems == [])
    }

    @Test func `a lost change that nobody else has is named as such`() throws {
        let (bench, a, _) = try forum()
        try note(a, "unsent")
        try note(a, "unsent too")
        let head = a.versionVector()[a.stream]
        let stream = a.stream
        a.close()
        try bench.shell("a", "UPDATE sy_tail SET body = zeroblob(9) WHERE seq = \(head - 1);")
        let result = try repair(bench, "a")
        #expect(result.lost.map { [$0.first, $0.last] } == [[head - 1, head - 1]])
        #expect(result.lost.map(\.whose) == [.ownUnsent])
        #expect(result.waiting.map { [$0.first, $0.last] } == [[head, head]])
        let repaired = try bench.open("a")
        try note(repaired, "again")
        #expect(repaired.stream != stream)
        #expect(try repaired.verify().problems == [])
    }

    @Test func `a change in the middle of what was not sent is lost, and those before it are sent`()
        throws
    {
        let bench = try Bench()
        let hub = try bench.create("hub", keepsFeed: true)
        let laptop = try bench.create("a")
        for number in 1...6 { try note(laptop, "\(number)") }
        let stream = laptop.stream
        laptop.close()
        try bench.shell("a", "UPDATE sy_tail SET body = zeroblob(30) WHERE seq = 4;")
        let result = try repair(bench, "a")
        #expect(result.lost.map { [$0.first, $0.last] } == [[4, 4]])
        #expect(result.waiting.map { [$0.first, $0.last] } == [[5, 6]])
        let repaired = try bench.open("a")
        #expect(
            try repaired.query("SELECT title FROM note ORDER BY title").flatMap { $0 }
                == ["1", "2", "3"].map(Value.text))
        try note(repaired, "anew")
        #expect(repaired.stream != stream)
        #expect(try repaired.verify().problems == [])
        try exchange(repaired, hub)
        #expect(hub.versionVector()[stream] == 3)
        #expect(try hub.stateHash() == repaired.stateHash())
    }

    @Test func `a dry run changes nothing`() throws {
        let (bench, a, _) = try forum()
        a.close()
        try bench.shell("a", "UPDATE note SET title = 'x';", firesTriggers: false)
        func files() throws -> [String: Data] {
            var found: [String: Data] = [:]
            for name in try FileManager.default.contentsOfDirectory(atPath: bench.directory.path)
            where !name.hasSuffix(".lock") && !name.hasSuffix("-shm") {
                found[name] = try Data(contentsOf: bench.directory.appending(path: name))
            }
            return found
        }
        let before = try files()
        let result = try Replica.repair(
            at: bench.path("a"), schema: Sample.schema, environment: bench.environment,
            isDryRun: true)
        #expect(result.keptAs == nil)
        #expect(result.changesets > 0)
        #expect(try files() == before)
    }

    @Test func `a file of which nothing can be read is left as it is`() throws {
        let bench = try Bench()
        try bench.create("a").close()
        let bytes = Data(repeating: 0x5a, count: 40_960)
        try bytes.write(to: URL(filePath: bench.path("a")))
        bench.removeLog("a")
        #expect(throws: StoreError.self) { try repair(bench, "a") }
        #expect(try Data(contentsOf: URL(filePath: bench.path("a"))) == bytes)
    }

    @Test(arguments: [DiskFault.kill, .lose, .tear, .full, .sync])
    func `a repair that fails at any point leaves the old file or the new one`(
        _ fault: DiskFault
    ) throws {
        let (bench, a, _) = try forum()
        let state = try a.stateHash()
        a.close()
        try bench.shell("a", "UPDATE note SET title = 'x';", firesTriggers: false)
        try bench.copy("a", to: "kept")
        let disk = try FaultyDisk()
        var (point, fired) = (Int64(1), 0)
        repeat {
            bench.remove("a")
            try bench.copy("kept", to: "a")
            disk.arm(fault, at: point, seed: UInt64(point))
            _ = try? repair(bench, "a", disk)
            try disk.restart()
            fired += disk.hasFired ? 1 : 0
            let found = try Replica.inspect(
                at: bench.path("a"), schema: Sample.schema, environment: bench.environment)
            #expect(try found.counts().changesets == 12)
            found.close()
            #expect(try repair(bench, "a").stateHash == state)
            point += point < 20 ? 3 : 11
        } while disk.hasFired && point < 400
        #expect(fired > 5)
    }

    @Test func `a change of files that was interrupted is finished by whoever opens next`() throws {
        let (bench, a, _) = try forum()
        try note(a, "in the log")
        try bench.copy("a", to: "old")
        a.close()
        for step in 0..<3 {
            bench.remove("a")
            try bench.copy("old", to: "a")
            let other = try bench.create("new")
            try note(other, "the new one")
            _ = try other.query("PRAGMA wal_checkpoint(TRUNCATE)")
            other.close()
            let (path, manager) = (bench.path("a"), FileManager.default)
            try manager.moveItem(atPath: bench.path("new"), toPath: path + ".new")
            try manager.moveItem(atPath: bench.path("new") + ".key", toPath: path + ".new.key")
            bench.remove("new")
            if step > 0 {
                try manager.removeItem(atPath: path + ".key")
                try manager.moveItem(atPath: path + ".new.key", toPath: path + ".key")
            }
            if step > 1 { bench.removeLog("a") }
            let opened = try bench.open("a")
            #expect(try opened.query("SELECT title FROM note") == [[.text("the new one")]])
            #expect(try opened.key().publicKey == opened.publicKey)
            opened.close()
        }
    }
}

extension Bench {
    func removeLog(_ name: String) {
        for suffix in ["-wal", "-shm"] {
            try? FileManager.default.removeItem(atPath: path(name) + suffix)
        }
    }
}
