import Foundation
import Testing

/// Photos of a day in the field: their bytes arrive, whatever the line does, where they may be seen and nowhere else.
@Suite(.timeLimit(.minutes(10))) struct StoriesOfPhotos {
    private func run(_ forum: Forum, _ laptop: String, _ arguments: String...) throws -> Finished {
        try Programs.run(
            "karvan", arguments, in: forum.directory,
            environment: ["KARVAN_REPLICA": "\(laptop).sqlite"])
    }

    private func photos(_ laptop: String, _ forum: Forum) throws -> [[String: Any]] {
        try #require(try forum.json(laptop, "photo", "list")["photos"] as? [[String: Any]])
    }

    @Test func `photos of a visit reach those who may see it, and are saved as they were`() throws {
        let forum = try Forum(prepared: ["hq", "L1"])
        try forum.connect("hq", "L1")
        for code in ["KZ", "UZ"] {
            try forum.must(code, "init", "--name", code)
            let token = try forum.token("--role", "recorder", "--scope", "delegation/\(code)")
            try forum.must(code, "enrol", forum.url, token)
            try forum.must(code, "sync")
        }
        let bus = try forum.picture("bus.jpg", 1_000_000)
        let hall = try forum.picture("hall.jpg", 3_000)
        let added = try forum.must(
            "KZ", "--as", "Aida", "photo", "add", "visit", "V12/KZ", "bus.jpg", "hall.jpg",
            "--caption", "Bus 3 at the gate")
        #expect(added.contains("2 photos of visit V12/KZ added (1.0 MB)"), "\(added)")
        #expect(try forum.must("KZ", "status").contains("2 here, 2 to send (1.0 MB)"))
        #expect(try forum.must("KZ", "photo", "list").contains("here, waits to be sent"))
        let sent = try forum.must("KZ", "sync")
        #expect(sent.contains("Photos: 2 sent (1.0 MB)."), "\(sent)")
        #expect(try forum.must("KZ", "status").contains("2 here, none to send"))
        // The records come at once, the bytes when they are asked for.
        let told = try forum.must("hq", "sync")
        #expect(told.contains("2 of others aren't here: `karvan sync --photos all`"), "\(told)")
        #expect(try forum.heldPhotos("hq") == [])
        let kept = try run(forum, "hq", "photo", "save", hall)
        #expect(kept.status == 65 && kept.errors.contains("sync --photos all"), "\(kept)")
        let fetched = try forum.must("hq", "sync", "--photos", "all")
        #expect(fetched.contains("Photos: 2 received (1.0 MB)."), "\(fetched)")
        for store in ["KZ", "hub", "hq"] { #expect(try forum.heldPhotos(store) == [bus, hall]) }
        try forum.must("hq", "photo", "save", hall, "saved.jpg")
        #expect(
            FileManager.default.contentsEqual(
                atPath: forum.path("saved.jpg").path, andPath: forum.path("hall.jpg").path))
        #expect(try run(forum, "hq", "photo", "save", hall, "saved.jpg").status == 65)
        let list = try forum.must("hq", "photo", "list", "visit", "V12/KZ")
        #expect(list.contains("Bus 3 at the gate") && list.contains("Aida"), "\(list)")
        // Another delegation has neither record nor bytes.
        try forum.must("UZ", "sync", "--photos", "all")
        #expect(try photos("UZ", forum).isEmpty)
        #expect(try forum.heldPhotos("UZ") == [])
        // Without photos, where a line is paid for by the byte.
        try forum.must("L1", "sync", "--photos", "none")
        #expect(
            try forum.must("L1", "status").contains("0 here, none to send, 2 not on this laptop"))
    }

    @Test func `what is no picture, or nobody's, is told before anything is kept`() throws {
        let forum = try Forum(prepared: ["hq"])
        _ = try forum.picture("bus.jpg", 1_000)
        try Data("not a picture".utf8).write(to: forum.path("notes.jpg"))
        let before = try forum.stateHash("hq")
        for (arguments, words) in [
            (["visit", "V99/KZ", "bus.jpg"], "there is no item V99"),
            (["item", "V12", "bus.jpg", "notes.jpg"], "notes.jpg is no picture"),
            (["item", "V12", "bus.jpg", "gone.jpg"], "gone.jpg can't be read"),
            (["person", "AZ-999", "bus.jpg"], "AZ-999"),
            (["table", "x", "bus.jpg"], "no table table"),
        ] {
            let finished = try Programs.run(
                "karvan", ["photo", "add"] + arguments, in: forum.directory,
                environment: ["KARVAN_REPLICA": "hq.sqlite"])
            #expect(finished.status == 65 && finished.errors.contains(words), "\(finished)")
        }
        #expect(try forum.stateHash("hq") == before)
        #expect(try forum.heldPhotos("hq") == [])
    }

    /// The line breaks again and again within a photo: no more is lost than a range each time.
    @Test func `a line that breaks costs a range, and everything arrives`() throws {
        let forum = try Forum(prepared: ["hq", "L1"])
        try forum.connect("hq", "L1")
        try forum.must("L1", "sync")
        let proxy = try FaultyProxy()
        defer { proxy.stop() }
        let port = try #require(forum.url.split(separator: ":").last.flatMap { Int($0) })
        proxy.aim(at: port)
        try forum.sqlite3(
            "L1",
            "UPDATE sy_meta SET value = 'https://127.0.0.1:\(proxy.port)' WHERE key = 'hub_url'")
        var digests: Set<String> = []
        var brokenCount = 0
        // Within a range, within the hub's answer to one, and a silent end.
        for (kind, way, byte) in [
            (NetworkFault.Kind.reset, Way.toHub, 900_000), (.close, .toHub, 700_000),
            (.truncate, .toLaptop, 2_200), (.flip, .toHub, 500_000), (.stall, .toHub, 400_000),
        ] {
            let digest = try forum.picture("\(kind).jpg", 2_000_000)
            digests.insert(digest)
            try forum.must("L1", "photo", "add", "item", "V12", "\(kind).jpg")
            proxy.arm(NetworkFault(kind: kind, way: way, byte: byte))
            let broken = try run(forum, "L1", "sync", "--timeout", "2")
            let passage = proxy.disarm()
            var carried = passage.counts[Way.toHub.rawValue]
            #expect(passage.isStruck, "\(kind)")
            // libcurl sends a request once more by itself where a connection that was kept is gone.
            if broken.status != 0 {
                brokenCount += 1
                #expect([69, 76].contains(broken.status), "\(kind): \(broken)")
                #expect(
                    broken.errors.contains("1 (2.0 MB) waits, safe beside the replica"), "\(broken)"
                )
                let status = try forum.must("L1", "status")
                #expect(status.contains("1 to send (2.0 MB)"), "\(status)")
                #expect(status.contains("to send        nothing"), "\(status)")
            }
            proxy.arm(nil)
            try forum.must("L1", "sync")
            carried += proxy.disarm().counts[Way.toHub.rawValue]
            #expect(try forum.heldPhotos("hub") == digests)
            // A range of 256 KiB, and what TLS and HTTP add.
            #expect(
                (2_000_000..<2_000_000 + 262_144 + 60_000).contains(carried), "\(kind): \(carried)")
        }
        #expect(brokenCount >= 1)
        // And down again, likewise.
        try forum.sqlite3(
            "hq",
            "UPDATE sy_meta SET value = 'https://127.0.0.1:\(proxy.port)' WHERE key = 'hub_url'")
        try forum.must("hq", "sync")
        proxy.arm(NetworkFault(kind: .reset, way: .toLaptop, byte: 4_500_000))
        let cut = try run(forum, "hq", "sync", "--photos", "all")
        #expect(cut.status == 69 && cut.errors.contains("All changes are with the hub"), "\(cut)")
        var carried = proxy.disarm().counts[Way.toLaptop.rawValue]
        #expect(try forum.heldPhotos("hq") != digests)
        proxy.arm(nil)
        try forum.must("hq", "sync", "--photos", "all")
        carried += proxy.disarm().counts[Way.toLaptop.rawValue]
        #expect(try forum.heldPhotos("hq") == digests)
        #expect((10_000_000..<10_000_000 + 262_144 + 200_000).contains(carried), "\(carried)")
    }

    /// Two minutes of upload at 64 kB a second; a colleague's check-in doesn't wait for its end.
    @Test func `records go between two pieces of a photo`() throws {
        let forum = try Forum(prepared: ["hq", "L1", "L2"])
        try forum.connect("hq", "L1", "L2")
        _ = try forum.picture("bus.jpg", 8_000_000)
        try forum.must("L1", "photo", "add", "item", "V12", "bus.jpg")
        let watch = try Laptop("L1", forum).start(["sync", "--watch", "--limit", "64"])
        defer {
            watch.signal(SIGTERM)
            _ = try? watch.finish()
        }
        func waits(_ seconds: Double, until isThere: () throws -> Bool) throws -> Bool {
            let end = Date.now + seconds
            while Date.now < end {
                if try isThere() { return true }
                Thread.sleep(forTimeInterval: 0.2)
            }
            return false
        }
        let folder = forum.path("hub.sqlite-blobs/forum").path
        func files() -> [String] {
            (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
        }
        #expect(try waits(60) { files().contains { $0.hasSuffix(".part") } })
        try forum.must("L2", "attend", "P07", "AZ-014")
        try forum.must("L2", "sync", "--photos", "none")
        #expect(
            try waits(60) { try forum.must("L1", "list", "attendance").contains("AZ-014") })
        // And what is recorded here goes too.
        try forum.must("L1", "attend", "P07", "AZ-015")
        #expect(
            try waits(60) {
                try forum.must("L2", "sync", "--photos", "none")
                return try forum.must("L2", "list", "attendance").contains("AZ-015")
            })
        #expect(files().contains { $0.hasSuffix(".part") })
    }

    @Test func `an erasure takes photos off the hub and all laptops`() throws {
        let forum = try Forum(prepared: ["hq", "L1"])
        try forum.connect("hq", "L1")
        let portrait = try forum.picture("portrait.jpg", 300_000)
        let hall = try forum.picture("hall.jpg", 1_000)
        try forum.must(
            "L1", "photo", "add", "person", "UZ-020", "portrait.jpg", "--caption", "Kanarya")
        try forum.must("L1", "photo", "add", "item", "V12", "hall.jpg")
        try forum.must("L1", "sync")
        try forum.must("hq", "sync", "--photos", "all")
        for store in ["hub", "hq", "L1"] {
            #expect(try forum.heldPhotos(store) == [portrait, hall])
        }
        try forum.must("hq", "erase", "UZ-020")
        for laptop in ["hq", "L1"] { try forum.must(laptop, "sync", "--photos", "all") }
        for store in ["hub", "hq", "L1"] {
            #expect(try forum.heldPhotos(store) == [hall])
            #expect(try forum.must(store, "verify").contains("is whole"))
        }
        let refused = try run(forum, "L1", "photo", "add", "person", "UZ-020", "portrait.jpg")
        #expect(refused.status == 65 && refused.errors.contains("was erased"), "\(refused)")
        let list = try forum.must("L1", "photo", "list")
        #expect(!list.contains("Kanarya") && list.contains("hall") == false, "\(list)")
    }

    @Test func `a backup has the photos, and gives them back`() throws {
        let forum = try Forum(prepared: ["hq", "L1"])
        try forum.connect("hq", "L1")
        let digest = try forum.picture("bus.jpg", 400_000)
        try forum.must("L1", "photo", "add", "item", "V12", "bus.jpg")
        let made = try forum.must("L1", "backup", "b.karvan")
        #expect(made.contains("In b.karvan-blobs is 1 photo (400 kB)."), "\(made)")
        try FileManager.default.removeItem(at: forum.path("L1.sqlite-blobs"))
        #expect(try forum.must("L1", "status").contains("1 not on this laptop"))
        try forum.must("L1", "restore", "b.karvan")
        #expect(try forum.heldPhotos("L1") == [digest])
        try forum.must("L1", "sync")
        #expect(try forum.heldPhotos("hub") == [digest])
        // A disk that turns bits is noticed, and what the hub has takes the damaged one's place.
        let folder = forum.path("L1.sqlite-blobs/forum")
        let file = folder.appending(path: digest + ".sent")
        var bytes = try Data(contentsOf: file)
        bytes[77] ^= 1
        try bytes.write(to: file)
        let damaged = try run(forum, "L1", "verify")
        #expect(damaged.status == 74 && damaged.errors.contains("photo \(digest)"), "\(damaged)")
        try FileManager.default.removeItem(at: file)
        try forum.must("L1", "sync", "--photos", "all")
        #expect(try forum.heldPhotos("L1") == [digest])
        #expect(try forum.must("L1", "verify").contains("is whole"))
    }
}
