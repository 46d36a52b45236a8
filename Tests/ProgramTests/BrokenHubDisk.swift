import Foundation
import Testing

/// A hub whose disk takes nothing more: laptops keep what they can't hand over, and it serves again
/// with room, without being started anew.
@Suite(.enabled(if: SmallDisk.isAllowed, "mounting a file system needs root or sudo"))
struct BrokenHubDisk {
    /// A hub on a disk of its own, and a laptop beside it that holds the small forum.
    private func start(
        _ forum: Forum, on disk: SmallDisk
    ) throws -> (hub: Child, laptop: Laptop, store: Laptop) {
        let (laptop, store) = (Laptop("L1", forum), Laptop("disk/hub", forum))
        let hub = try Child(
            "karvan-hub", ["serve", "--store", store.file.path, "--listen", "127.0.0.1:0"],
            in: forum.directory)
        guard becomesTrue(withinSeconds: 30, { hub.isEnded || hub.printed.hasSuffix("\n") }),
            let url = hub.printed.split(separator: " ").last?.trimmingCharacters(in: .newlines),
            url.hasPrefix("https://")
        else { throw ProgramError(description: try hub.finish(limitSeconds: 0).errors) }
        let token = try Child(
            "karvan-hub",
            ["token", "create", "--store", store.file.path, "--role", "coordinator"],
            in: forum.directory
        ).finish().output.trimmingCharacters(in: .whitespacesAndNewlines)
        try laptop.must("init", "--name", "L1")
        try laptop.must("enrol", url, token)
        for kind in ["delegations", "sites", "people", "programme"] {
            try laptop.must("import", kind, Programs.sample("\(kind).csv"))
        }
        try laptop.must("sync")
        return (hub, laptop, store)
    }

    @Test func `a hub on a full disk acknowledges nothing, loses nothing, and goes on with room`()
        throws
    {
        let start = ContinuousClock.now
        let forum = try Forum()
        let disk = try SmallDisk(forum.path("disk"), kibibytes: 6_144)
        let (hub, laptop, store) = try self.start(forum, on: disk)
        defer {
            hub.signal(SIGKILL)
            _ = try? hub.finish()
        }
        var (recorded, acknowledged) = (Set<String>(), Set<String>())
        var (refused, wrong) = (0, [String]())
        func record(_ number: Int) throws {
            try laptop.must(
                "attend", "P07", Forum.badges[number % 30], "--door", "full\(number)")
            recorded.insert("full\(number)")
        }
        func sync() throws {
            let finished = try laptop.run("sync", "--json", "--timeout", "10")
            let waiting = finished.json["waiting"] as? Int
            switch finished.status {
            case 0: acknowledged = recorded
            case 69: refused += 1
            default: wrong.append("\(finished)")
            }
            if waiting != recorded.count - acknowledged.count { wrong.append("\(finished)") }
        }
        try record(0)
        try sync()
        try disk.fill()
        // First no room at all, then some, which is soon used up, and so on.
        for number in 1...60 {
            if number % 15 == 0 { try disk.free(kibibytes: 40) }
            try record(number)
            try sync()
        }
        let held = try store.doors()
        let lost = acknowledged.filter { held[$0] != 1 }
        report(
            "hub on a full disk",
            [
                ("syncs", 61), ("ended with 69", refused), ("recorded", recorded.count),
                ("acknowledged", acknowledged.count), ("lost", lost.count),
            ], since: start)
        #expect(lost.isEmpty)
        #expect(wrong.isEmpty, "\(wrong.prefix(5))")
        #expect(refused > 0)
        #expect(!hub.isEnded)
        try disk.free()
        try sync()
        #expect(acknowledged == recorded)
        let all = try store.doors()
        #expect(Set(all.keys) == recorded && all.values.allSatisfy { $0 == 1 })
        #expect(try store.stateHash() == laptop.stateHash())
        #expect(try store.run("verify").status == 0)
    }
}
