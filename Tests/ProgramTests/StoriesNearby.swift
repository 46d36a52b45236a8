import Foundation
import Testing

/// Laptops in a bus: one network, no hub.
@Suite struct StoriesNearby {
    private func visit(
        _ forum: Forum, _ laptop: String, _ address: String, _ more: String...
    ) throws -> Finished {
        try Programs.run(
            "karvan", ["sync", "--peer", address] + more, in: forum.directory,
            environment: ["KARVAN_REPLICA": "\(laptop).sqlite"])
    }

    @Test func `a day without a hub, and one of three brings it all`() throws {
        let forum = try Forum(prepared: ["L1", "L2", "L3"])
        let (server, address) = try forum.serve("L1")
        try forum.must("L1", "visit", "V12", "KZ", "--arrived", "11:10")
        try forum.must("L2", "visit", "V12", "KZ", "--arrived", "11:25")
        try forum.must("L3", "attend", "P07", "AZ-014")

        let second = try visit(forum, "L2", address)
        #expect(second.status == 0 && second.output.hasPrefix("Met L1: "), "\(second)")
        #expect(second.output.contains("wait for the hub"), "\(second)")
        let third = try visit(forum, "L3", address, "--json")
        #expect(third.json["received"] as? Int ?? 0 > 0, "\(third)")
        #expect(try visit(forum, "L2", address).status == 0)
        #expect(try forum.stateHash("L1") == forum.stateHash("L3"))
        #expect(try forum.stateHash("L1") == forum.stateHash("L2"))
        #expect(try forum.must("L3", "conflicts", "list").contains("KZ"))
        let again = try visit(forum, "L2", address, "--json")
        #expect(again.json["given"] as? Int == 0 && again.json["received"] as? Int == 0)
        #expect(again.json["round_trips"] as? Int == 1)
        server.signal(SIGTERM)
        let ended = try server.finish(limitSeconds: 15)
        #expect(ended.status == 0, "\(ended)")
        #expect(ended.errors.isEmpty, "\(ended)")

        // L2 meets the hub, for all of them.
        try forum.connect("L1", "L2", "L3")
        try forum.must("L2", "sync")
        #expect(try forum.json("L2", "status")["waiting"] as? Int == 0)
        for laptop in ["L1", "L3"] {
            let synced = try forum.json(laptop, "sync")
            #expect(synced["waiting"] as? Int == 0, "\(synced)")
            #expect(try forum.hubStore.stateHash() == Laptop(laptop, forum).stateHash())
        }
    }

    @Test func `both may be killed at any moment, and nothing is lost or counted twice`() throws {
        let forum = try Forum(prepared: ["L1", "L2"])
        var random = CrashRandom("nearby")
        let count = repetitions("KARVAN_NEARBY_KILLS", usually: 6)
        for number in 0..<count {
            try forum.must("L1", "attend", "P07", "AZ-014", "--door", "one-\(number)")
            try forum.must("L2", "attend", "P07", "AZ-015", "--door", "two-\(number)")
            let (server, address) = try forum.serve("L1")
            let caller = try Child(
                "karvan", ["sync", "--peer", address, "--timeout", "5"], in: forum.directory,
                environment: ["KARVAN_REPLICA": forum.path("L2.sqlite").path])
            usleep(UInt32.random(in: 0..<120_000, using: &random))
            (number % 2 == 0 ? server : caller).signal(SIGKILL)
            _ = try caller.finish(limitSeconds: 30)
        }
        let (server, address) = try forum.serve("L1")
        let last = try visit(forum, "L2", address)
        #expect(last.status == 0, "\(last)")
        server.signal(SIGINT)
        #expect(try server.finish(limitSeconds: 15).status == 0)
        #expect(try forum.stateHash("L1") == forum.stateHash("L2"))
        for laptop in ["L1", "L2"] {
            let doors = try forum.rows(laptop, "SELECT door, count(*) FROM observation GROUP BY 1")
            #expect(doors.count == 2 * count && doors.allSatisfy { $0.hasSuffix(" 1") }, "\(doors)")
            #expect(try forum.json(laptop, "verify")["problems"] as? [String] ?? [] == [])
        }
    }

    @Test func `what goes wrong is said, and nothing is told to strangers`() throws {
        let forum = try Forum(prepared: ["L1", "L2"])
        let (server, address) = try forum.serve("L1")
        defer { server.signal(SIGKILL) }

        let nobody = try visit(forum, "L2", "127.0.0.1:1", "--timeout", "2")
        #expect(nobody.status == 69, "\(nobody)")
        let itself = try visit(forum, "L1", address)
        #expect(itself.status == 77 && itself.errors.contains("this laptop itself"), "\(itself)")
        let odd = try visit(forum, "L2", "http://127.0.0.1:1")
        #expect(odd.status == 65, "\(odd)")
        for wrong in [["--watch"], ["--hub", "https://a.example"]] {
            let refused = try Programs.run(
                "karvan", ["sync", "--peer", address] + wrong, in: forum.directory,
                environment: ["KARVAN_REPLICA": "L2.sqlite"])
            #expect(refused.status == 64, "\(refused)")
        }
        // A hub is no laptop that serves.
        try forum.startHub()
        let hub = try visit(forum, "L2", String(forum.url.dropFirst("https://".count)))
        #expect(hub.status == 69 && hub.errors.contains("404"), "\(hub)")

        // Another forum's laptop.
        let other = try Forum()
        try other.startHub()
        try other.enrol("X1")
        let stranger = try Programs.run(
            "karvan", ["sync", "--peer", address], in: other.directory,
            environment: ["KARVAN_REPLICA": "X1.sqlite"])
        #expect(stranger.status == 77 && stranger.errors.contains("another forum"), "\(stranger)")
        // One that belongs to none.
        try other.must("N1", "init", "--name", "N1")
        for arguments in [["sync", "--peer", address], ["serve", "--listen", "127.0.0.1:0"]] {
            let refused = try Programs.run(
                "karvan", arguments, in: other.directory,
                environment: ["KARVAN_REPLICA": "N1.sqlite"])
            #expect(refused.status == 65 && refused.errors.contains("enrol"), "\(refused)")
        }
        // The port is taken.
        let taken = try Programs.run(
            "karvan", ["serve", "--listen", address], in: forum.directory,
            environment: ["KARVAN_REPLICA": "L2.sqlite"])
        #expect(taken.status == 78 && taken.errors.contains("cannot listen"), "\(taken)")
    }
}
