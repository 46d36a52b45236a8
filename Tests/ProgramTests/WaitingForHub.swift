import Foundation
import Testing

/// Hubs that don't answer: the work is safe, and says so in time.
@Suite struct WaitingForHub {
    private struct Ended {
        var finished: Finished
        var seconds: Double
    }

    private func sync(_ laptop: Laptop, _ arguments: String...) throws -> Ended {
        let child = try laptop.start(["sync"] + arguments)
        return Ended(finished: try child.finish(limitSeconds: 40), seconds: child.seconds)
    }

    /// What a sync may change: nothing but how the tail is stored.
    private func facts(_ laptop: Laptop) throws -> [String] {
        let counts = try laptop.must(
            "sql", "SELECT count(*), (SELECT count(*) FROM person) FROM observation")
        return [try laptop.stateHash(), counts, "\(try laptop.waiting() ?? -1)"]
    }

    /// Puts it in the hub's place, for as long as what it gives back is kept.
    private func place(_ obstacle: Obstacle, _ forum: Forum, _ laptop: Laptop) throws -> Child? {
        if obstacle == .stoppedHub {
            if let hub = forum.hubProcess { kill(hub, SIGSTOP) }
        } else if obstacle != .unknownName {
            forum.stopHub()
        }
        if obstacle == .unknownName {
            try Script.must(
                Script.move, laptop.file.path, "https://hub.invalid:8443", in: forum.directory)
        }
        guard let mode = obstacle.mode else { return nil }
        let port = forum.url.split(separator: ":").last.map(String.init) ?? ""
        let store = forum.hubStore.file.path
        return try Script.start(
            Script.listener, [port, mode, "\(store).tls-cert.pem", "\(store).tls-key.pem"],
            in: forum.directory)
    }

    private func remove(
        _ obstacle: Obstacle, _ listener: Child?, _ forum: Forum, _ laptop: Laptop
    ) throws {
        if let listener {
            listener.signal(SIGKILL)
            _ = try listener.finish()
        }
        switch obstacle {
        case .stoppedHub:
            if let hub = forum.hubProcess { kill(hub, SIGCONT) }
        case .unknownName:
            try Script.must(Script.move, laptop.file.path, forum.url, in: forum.directory)
        default: try forum.startHub()
        }
    }

    @Test(arguments: Obstacle.allCases)
    func `a sync ends in time, with 69 and the number of changes that wait`(
        _ obstacle: Obstacle
    ) throws {
        let forum = try Forum(small: ["L1"])
        let laptop = Laptop("L1", forum)
        for badge in Forum.badges.prefix(3) { try laptop.must("attend", "P07", badge) }
        let before = try facts(laptop)
        let listener = try place(obstacle, forum, laptop)

        let text = try sync(laptop, "--timeout", "3")
        let json = try sync(laptop, "--timeout", "1", "--json")
        // A resolver may take its time to find nothing; connecting has the same limit.
        let range = obstacle.isSilent ? 2.9...6.0 : 0...(obstacle == .unknownName ? 6.0 : 2.5)
        #expect(text.finished.status == 69, "\(text.finished.errors)")
        #expect(range.contains(text.seconds), "\(text.seconds) s")
        #expect(
            text.finished.errors.contains("3 changes wait, safe in the replica"),
            "\(text.finished.errors)")
        #expect(text.finished.output.isEmpty)
        #expect(json.finished.status == 69)
        #expect(json.finished.json["waiting"] as? Int == 3, "\(json.finished.errors)")
        #expect(json.finished.json["exit"] as? Int == 69)
        #expect(json.seconds < 4, "\(json.seconds) s")
        #expect(try facts(laptop) == before)
        #expect(try laptop.run("verify").status == 0)

        try remove(obstacle, listener, forum, laptop)
        try laptop.must("sync")
        #expect(try laptop.waiting() == 0)
        #expect(try forum.hubStore.stateHash() == laptop.stateHash())
    }

    @Test func `a stranger's key is refused, and told nothing`() throws {
        let forum = try Forum(small: ["L1"])
        let laptop = Laptop("L1", forum)
        try laptop.must("attend", "P07", "AZ-001")
        forum.stopHub()
        // A store of its own, for its certificate.
        let other = forum.directory.appending(path: "other.sqlite").path
        _ = try Child(
            "karvan-hub", ["token", "create", "--store", other], in: forum.directory
        ).finish()
        let port = forum.url.split(separator: ":").last.map(String.init) ?? ""
        let listener = try Script.start(
            Script.listener, [port, "tls-page", "\(other).tls-cert.pem", "\(other).tls-key.pem"],
            in: forum.directory)
        let ended = try sync(laptop, "--timeout", "3", "--json")
        #expect(ended.finished.status == 76, "\(ended.finished.errors)")
        #expect(ended.finished.json["waiting"] as? Int == 1)
        listener.signal(SIGKILL)
        _ = try listener.finish()
        try forum.startHub()
        try laptop.must("sync")
    }

    /// Without its word it would be asked again after one, three and seven seconds, and at each change here.
    @Test func `a watch leaves a busy server alone for as long as it says`() throws {
        let forum = try Forum(small: ["L1"])
        let laptop = Laptop("L1", forum)
        try laptop.must("attend", "P07", Forum.badges[0])
        forum.stopHub()
        let port = forum.url.split(separator: ":").last.map(String.init) ?? ""
        let store = forum.hubStore.file.path
        let listener = try Script.start(
            Script.listener, [port, "tls-busy", "\(store).tls-cert.pem", "\(store).tls-key.pem"],
            in: forum.directory)
        func askedCount() -> Int { listener.printed.split(separator: "\n").count { $0 == "asked" } }
        let watch = try laptop.start(["sync", "--watch", "--every", "1"])
        #expect(becomesTrue(withinSeconds: 30) { askedCount() > 0 })
        for badge in Forum.badges[1..<4] { try laptop.must("attend", "P07", badge) }
        Thread.sleep(forTimeInterval: 9)
        #expect(askedCount() == 1)
        watch.signal(SIGTERM)
        let ended = try watch.finish(limitSeconds: 20)
        #expect(ended.errors.contains("Try again in 90 s"), "\(ended.errors)")
        #expect(try laptop.waiting() == 4)
        listener.signal(SIGKILL)
        _ = try listener.finish()
        try forum.startHub()
        try laptop.must("sync")
        #expect(try laptop.waiting() == 0)
    }

    @Test func `people are recorded at once while a sync hangs in the network`() throws {
        let forum = try Forum(small: ["L1"])
        let laptop = Laptop("L1", forum)
        let hub = try #require(forum.hubProcess)
        for badge in Forum.badges.prefix(3) { try laptop.must("attend", "P07", badge) }
        kill(hub, SIGSTOP)
        defer { kill(hub, SIGCONT) }
        let sync = try laptop.start(["sync", "--timeout", "30"])
        // It has sealed what it wants to send once the tail is gone.
        let isSealed = try becomesTrue(withinSeconds: 5) {
            try laptop.must("sql", "SELECT count(*) || ' left' FROM sy_tail").contains("0 left")
        }
        #expect(isSealed)
        var slowest = 0.0
        for badge in Forum.badges[3..<8] {
            let child = try laptop.start(["attend", "P07", badge, "--door", "meanwhile"])
            #expect(try child.finish(limitSeconds: 15).status == 0)
            slowest = max(slowest, child.seconds)
        }
        #expect(slowest < 2, "\(slowest) s")
        #expect(!sync.isEnded)
        kill(hub, SIGCONT)
        let finished = try sync.finish(limitSeconds: 40)
        #expect(finished.status == 0, "\(finished.errors)")
        try laptop.must("sync")
        #expect(try forum.hubStore.doors()["meanwhile"] == 5)
        #expect(try forum.hubStore.stateHash() == laptop.stateHash())
    }
}
