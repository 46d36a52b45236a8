import Foundation
import Testing

/// Laptops in one network find each other, and nobody types an address. One after the other: they would find those of
/// other tests.
@Suite(.serialized, .enabled(if: geteuid() == 0, "a daemon of its own needs root"))
struct StoriesOfDiscovery {
    private func syncNearby(
        _ forum: Forum, _ laptop: String, _ network: LocalNetwork, _ more: String...
    ) throws -> Finished {
        try Programs.run(
            "karvan", ["sync", "--nearby"] + more, in: forum.directory,
            environment: network.environment.merging(["KARVAN_REPLICA": "\(laptop).sqlite"]) { $1 })
    }

    private func names(_ finished: Finished) -> [String] {
        (finished.json["visits"] as? [[String: Any]] ?? []).compactMap { $0["peer"] as? String }
    }

    private func serve(
        _ forum: Forum, _ laptop: String, _ network: LocalNetwork, _ more: String...
    ) throws -> Child {
        try forum.serve(laptop, more, environment: network.environment).0
    }

    @Test func `three laptops find each other, and in the end all hold the same`() throws {
        let forum = try Forum(prepared: ["L1", "L2", "L3"])
        let network = try LocalNetwork(in: forum.directory)
        let servers = try ["L1", "L2", "L3"].map { try serve(forum, $0, network) }
        defer { servers.forEach { $0.signal(SIGKILL) } }
        for (laptop, badge) in [("L1", "AZ-014"), ("L2", "AZ-015"), ("L3", "AZ-016")] {
            try forum.must(laptop, "attend", "P07", badge)
        }
        // It may take a moment until all are there.
        var first = try syncNearby(forum, "L3", network, "--json")
        _ = try becomesTrue(withinSeconds: 20) {
            if Set(names(first)) == ["L1", "L2"] { return true }
            first = try syncNearby(forum, "L3", network, "--json")
            return false
        }
        #expect(first.status == 0 && Set(names(first)) == ["L1", "L2"], "\(first)")
        #expect(try forum.stateHash("L1") == forum.stateHash("L3"))
        #expect(try forum.stateHash("L2") == forum.stateHash("L3"))
        let again = try syncNearby(forum, "L1", network)
        #expect(again.status == 0, "\(again)")
        #expect(again.output.contains("Met L2: 0 changes given, 0 changes received."), "\(again)")
        #expect(again.output.contains("Met L3: ") && !again.output.contains("Met L1"), "\(again)")
        #expect(again.output.hasSuffix("from whichever laptop meets it first.\n"), "\(again)")
        #expect(again.errors.isEmpty, "\(again)")

        // One is killed: it is found no more, at once.
        servers[0].signal(SIGKILL)
        _ = try servers[0].finish(limitSeconds: 10)
        #expect(try names(syncNearby(forum, "L3", network, "--json")) == ["L2"])
    }

    @Test func `who doesn't answer is named, and the others are met all the same`() throws {
        let forum = try Forum(prepared: ["L1", "L2", "L3"])
        let network = try LocalNetwork(in: forum.directory)
        let servers = try ["L1", "L2"].map { try serve(forum, $0, network) }
        defer { servers.forEach { $0.signal(SIGKILL) } }
        try forum.must("L3", "attend", "P07", "AZ-016")
        servers[0].signal(SIGSTOP)
        let partly = try syncNearby(forum, "L3", network, "--timeout", "2")
        #expect(partly.status == 0 && partly.output.hasPrefix("Met L2: "), "\(partly)")
        #expect(partly.errors.contains("L1 was found, but not met: https://"), "\(partly)")
        #expect(try forum.stateHash("L2") == forum.stateHash("L3"))
        let told = try syncNearby(forum, "L3", network, "--timeout", "2", "--json").json
        let missed = told["missed"] as? [[String: Any]]
        #expect(missed?.first?["name"] as? String == "L1" && missed?.count == 1, "\(told)")
        #expect((told["visits"] as? [[String: Any]])?.count == 1, "\(told)")
        servers[1].signal(SIGTERM)
        #expect(try servers[1].finish(limitSeconds: 15).status == 0)
        let nobody = try syncNearby(forum, "L3", network, "--timeout", "2")
        #expect(nobody.status == 69 && nobody.errors.contains("not met"), "\(nobody)")
        servers[0].signal(SIGCONT)
        let whole = try syncNearby(forum, "L3", network)
        #expect(whole.status == 0 && whole.output.contains("Met L1: 1 change given"), "\(whole)")
    }

    @Test func `another forum's laptop is left alone, also one that bears the same name`() throws {
        let forum = try Forum(prepared: ["L1", "L2"])
        let other = try Forum()
        try other.startHub()
        try other.enrol("L1")
        let network = try LocalNetwork(in: forum.directory)
        let stranger = try serve(other, "L1", network)
        defer { stranger.signal(SIGKILL) }
        let alone = try syncNearby(forum, "L2", network)
        #expect(alone.status == 69 && alone.errors.contains("but of 1 other forum"), "\(alone)")
        #expect(alone.errors.contains("karvan sync --peer ADDRESS"), "\(alone)")
        // Only its address leads to this one.
        let quiet = try serve(forum, "L1", network, "--no-announce")
        #expect(try syncNearby(forum, "L2", network).status == 69)
        quiet.signal(SIGTERM)
        #expect(try quiet.finish(limitSeconds: 15).status == 0)
        let server = try serve(forum, "L1", network)
        defer { server.signal(SIGKILL) }
        let found = try becomesTrue(withinSeconds: 20) {
            let met = try syncNearby(forum, "L2", network, "--json")
            return met.status == 0 && names(met) == ["L1"]
                && met.json["other_forums"] as? Int == 1
        }
        #expect(found)
    }

    @Test func `a daemon that is away is named, waited for, and told again`() throws {
        let forum = try Forum(prepared: ["L1", "L2"])
        let nowhere = try Programs.run(
            "karvan", ["sync", "--nearby"], in: forum.directory,
            environment: [
                "KARVAN_REPLICA": "L2.sqlite", "DBUS_SYSTEM_BUS_ADDRESS": "unix:path=/nowhere",
            ])
        #expect(nowhere.status == 78 && nowhere.errors.contains("avahi-daemon"), "\(nowhere)")
        #expect(nowhere.errors.contains("karvan sync --peer ADDRESS"), "\(nowhere)")
        let unheard = try Child(
            "karvan", ["serve", "--listen", "127.0.0.1:0"], in: forum.directory,
            environment: [
                "KARVAN_REPLICA": forum.path("L1.sqlite").path,
                "DBUS_SYSTEM_BUS_ADDRESS": "unix:path=/nowhere",
            ])
        #expect(
            becomesTrue(withinSeconds: 30) {
                unheard.printed.contains("They can't find it without an address: ")
            }, "\(unheard.printed)")
        #expect(unheard.printed.contains("karvan sync --peer 127.0.0.1:"), "\(unheard.printed)")
        unheard.signal(SIGTERM)
        #expect(try unheard.finish(limitSeconds: 15).status == 0)

        let network = try LocalNetwork(in: forum.directory, isUp: false)
        #expect(try syncNearby(forum, "L2", network).status == 78)
        let server = try serve(forum, "L1", network)
        defer { server.signal(SIGKILL) }
        for _ in 0..<2 {
            try network.startDaemon()
            #expect(
                try becomesTrue(withinSeconds: 20) {
                    try syncNearby(forum, "L2", network).status == 0
                })
            try network.stopDaemon()
        }
        #expect(!server.isEnded)
    }

    @Test func `only a laptop of a forum looks for others, and only for those`() throws {
        let forum = try Forum()
        try forum.must("N1", "init", "--name", "N1")
        func refused(_ arguments: [String]) throws -> Finished {
            try Programs.run(
                "karvan", arguments, in: forum.directory,
                environment: ["KARVAN_REPLICA": "N1.sqlite"])
        }
        let outside = try refused(["sync", "--nearby"])
        #expect(outside.status == 65 && outside.errors.contains("enrol"), "\(outside)")
        for wrong in [["--watch"], ["--hub", "https://a.example"], ["--peer", "127.0.0.1"]] {
            #expect(try refused(["sync", "--nearby"] + wrong).status == 64)
        }
    }
}
