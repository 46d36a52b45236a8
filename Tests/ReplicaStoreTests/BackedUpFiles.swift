import Causality
import Foundation
import Merge
import RecordSchema
import ReplicaStore
import StoreTestSupport
import SyncProtocol
import Testing

/// Backups, and what comes of putting one back.
@Suite struct BackedUpFiles {
    private func note(_ replica: Replica, _ text: String) throws {
        try replica.write {
            _ = try $0.insert(into: Sample.note, [.text(text), nil, nil, nil, nil])
        }
    }

    private func titles(_ replica: Replica) throws -> Set<String> {
        Set(
            try replica.query("SELECT title FROM note").map { row in
                if case .text(let title) = row[0] { title } else { "?" }
            })
    }

    private func restore(
        _ bench: Bench, _ file: String, _ name: String, replaces: Bool = false,
        _ disk: FaultyDisk? = nil
    ) throws -> Restoration {
        var environment = bench.environment
        environment.fileSystem = disk?.name
        return try Replica.restore(
            file, to: bench.path(name), schema: Sample.schema, environment: environment,
            replaces: replaces)
    }

    @Test func `a backup holds one state, the key and nothing of this place`() throws {
        let bench = try Bench()
        let a = try bench.create("a")
        try note(a, "one")
        let other = try bench.open("a")
        try note(other, "two")
        let file = bench.directory.appending(path: "saved").path
        let backup = try a.backUp(to: file)
        #expect(backup.changesets == 2)
        #expect(backup.unsent == 2)
        #expect(backup.lastMilliseconds != nil)
        let mode = try FileManager.default.attributesOfItem(atPath: file)[.posixPermissions] as? Int
        #expect(mode == 0o600)
        let names = try FileManager.default.contentsOfDirectory(atPath: bench.directory.path)
        #expect(names.filter { $0.hasPrefix("saved") } == ["saved"])
        #expect(throws: StoreError.self) { try a.backUp(to: file) }
        #expect(throws: StoreError.self) {
            try Replica.open(at: file, schema: Sample.schema, environment: bench.environment)
        }
        try note(a, "three")
        #expect(try titles(other) == ["one", "two", "three"])
    }

    @Test func `a damaged replica gives no backup`() throws {
        let bench = try Bench()
        let a = try bench.create("a")
        try note(a, "one")
        a.close()
        try bench.shell("a", "UPDATE note SET title = 'x';", firesTriggers: false)
        let again = try bench.open("a")
        let file = bench.directory.appending(path: "saved").path
        #expect(throws: StoreError.self) { try again.backUp(to: file) }
        let names = try FileManager.default.contentsOfDirectory(atPath: bench.directory.path)
        #expect(names.filter { $0.hasPrefix("saved") } == [])
    }

    @Test func `a restored replica goes on as a new incarnation, and a sync brings the rest`()
        throws
    {
        let bench = try Bench()
        let (a, hub) = (try bench.create("a"), try bench.create("hub", keepsFeed: true))
        try note(a, "sent")
        try exchange(a, hub)
        try note(a, "in the backup")
        let file = bench.directory.appending(path: "saved").path
        _ = try a.backUp(to: file)
        try note(a, "after it")
        try exchange(a, hub)
        let (stream, state) = (a.stream, try a.stateHash())
        a.close()
        #expect(throws: StoreError.self) { try restore(bench, file, "a") }
        let result = try restore(bench, file, "a", replaces: true)
        #expect(result.lacking == 1)
        #expect(result.isSamePlace)
        let kept = try #require(result.keptAs)
        #expect(FileManager.default.fileExists(atPath: kept))
        let restored = try bench.open("a")
        #expect(try titles(restored) == ["sent", "in the backup"])
        try note(restored, "new")
        #expect(restored.stream != stream)
        try exchange(restored, hub)
        #expect(try titles(restored) == ["sent", "in the backup", "after it", "new"])
        #expect(try hub.stateHash() == restored.stateHash())
        #expect(try restored.verify().problems == [])
        // The file that was put aside holds what it held.
        let old = try Replica.open(
            at: kept, schema: Sample.schema, environment: bench.environment)
        #expect(try old.stateHash() == state)
    }

    @Test func `a backup on another laptop waits to be adopted`() throws {
        let bench = try Bench()
        let (a, hub) = (try bench.create("a"), try bench.create("hub", keepsFeed: true))
        try note(a, "unsent")
        let file = bench.directory.appending(path: "saved").path
        _ = try a.backUp(to: file)
        let result = try restore(bench, file, "b")
        #expect(result.keptAs == nil && !result.isSamePlace)
        let b = try bench.open("b")
        #expect(try b.key().publicKey == a.publicKey)
        try exchange(b, hub)
        #expect(try titles(hub) == [])
        try b.adoptLeft()
        try exchange(b, hub)
        #expect(try titles(hub) == ["unsent"])
    }

    @Test func `nothing is restored over a replica that is in use, or from a damaged backup`()
        throws
    {
        let bench = try Bench()
        let a = try bench.create("a")
        try note(a, "one")
        let file = bench.directory.appending(path: "saved").path
        _ = try a.backUp(to: file)
        #expect {
            try restore(bench, file, "a", replaces: true)
        } throws: {
            if case StoreError.held = $0 { true } else { false }
        }
        a.close()
        var bytes = try Data(contentsOf: URL(filePath: file))
        guard let place = bytes.range(of: Data("one".utf8))?.lowerBound else { return }
        bytes[place] ^= 1
        try bytes.write(to: URL(filePath: file))
        #expect(throws: StoreError.self) { try restore(bench, file, "a", replaces: true) }
        #expect(try titles(bench.open("a")) == ["one"])
    }

    @Test(arguments: [DiskFault.kill, .lose, .tear, .full, .sync])
    func `a backup or a restore that fails at any point loses nothing`(_ fault: DiskFault) throws {
        let bench = try Bench(isVolatile: true)
        let disk = try FaultyDisk()
        var environment = bench.environment
        environment.fileSystem = disk.name
        let a = try bench.create("a")
        for number in 0..<20 { try note(a, "\(number)") }
        let whole = bench.directory.appending(path: "whole").path
        _ = try a.backUp(to: whole)
        try note(a, "after")
        a.close()
        let file = bench.directory.appending(path: "saved").path
        var (point, fired) = (Int64(1), 0)
        repeat {
            try? FileManager.default.removeItem(atPath: file)
            disk.arm(fault, at: point, seed: UInt64(point))
            if let opened = try? Replica.open(
                at: bench.path("a"), schema: Sample.schema, environment: environment)
            {
                _ = try? opened.backUp(to: file)
                opened.close()
            }
            try disk.restart()
            fired += disk.hasFired ? 1 : 0
            if FileManager.default.fileExists(atPath: file) {
                #expect(try restore(bench, file, "b").backup.changesets == 21)
                bench.remove("b")
            }
            disk.arm(fault, at: point, seed: UInt64(point))
            _ = try? restore(bench, whole, "a", replaces: true, disk)
            try disk.restart()
            let found = try bench.open("a")
            let count = try found.counts().changesets
            #expect(count == 21 || count == 20)
            found.close()
            if count == 20 { break }
            point += point < 20 ? 2 : 7
        } while point < 300
        #expect(fired > 3)
    }
}
