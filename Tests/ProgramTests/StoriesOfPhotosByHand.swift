import Foundation
import Testing

/// Photos of laptops that meet no hub: on a stick, and in a bus.
@Suite(.timeLimit(.minutes(10))) struct StoriesOfPhotosByHand {
    @Test func `a courier brings photos to the hub, and the word that they came back`() throws {
        let forum = try Forum(prepared: ["L1", "L2"])
        let bus = try forum.picture("bus.jpg", 600_000)
        let hall = try forum.picture("hall.jpg", 2_000)
        try forum.must("L1", "photo", "add", "item", "V12", "bus.jpg", "hall.jpg")
        let given = try forum.bundle("L1", "export", "monday.karvan")
        #expect(given.status == 0, "\(given)")
        #expect(given.output.contains("and 2 photos (602 kB) for the hub"), "\(given)")
        #expect(given.output.contains("count as sent when the hub says so"), "\(given)")
        #expect(try forum.must("L1", "status").contains("2 here, 2 to send"))
        let arrived = try forum.hubBundle("import", "monday.karvan")
        #expect(arrived.status == 0, "\(arrived)")
        #expect(arrived.output.contains("2 photos received (602 kB)"), "\(arrived)")
        #expect(try forum.heldPhotos("hub") == [bus, hall])
        let back = try forum.hubBundle("export", "back.karvan", "--for", "L1")
        #expect(back.status == 0, "\(back)")
        let told = try forum.bundle("L1", "import", "back.karvan")
        #expect(told.output.contains("2 photos count as sent now"), "\(told)")
        #expect(try forum.must("L1", "status").contains("2 here, none to send"))
        let next = try forum.bundle("L1", "export", "tuesday.karvan")
        #expect(next.output.contains("nothing that the hub lacks"), "\(next)")

        // To a colleague, when they are asked for; the records go anyway.
        let plain = try forum.hubBundle("export", "plain.karvan", "--for", "L2")
        #expect(plain.status == 0 && !plain.output.contains("photo"), "\(plain)")
        try forum.bundle("L2", "import", "plain.karvan").succeeds()
        #expect(
            try forum.must("L2", "status").contains("0 here, none to send, 2 not on this laptop"))
        let whole = try forum.hubBundle("export", "whole.karvan", "--for", "L2", "--photos", "all")
        #expect(whole.output.contains("2 photos (602 kB) for L2"), "\(whole)")
        let seen = try forum.bundle("L2", "show", "whole.karvan")
        #expect(seen.output.contains("photos: 2, 602 kB, 2 of them not here"), "\(seen)")
        try forum.bundle("L2", "import", "whole.karvan").succeeds()
        #expect(try forum.heldPhotos("L2") == [bus, hall])
        // Whoever met no hub doesn't know that it has them; it asks.
        try forum.connect("L2")
        let synced = try forum.must("L2", "sync")
        #expect(!synced.contains("sent (") && synced.contains("Synced"), "\(synced)")
        #expect(try forum.must("L2", "status").contains("2 here, none to send"))
    }

    @Test func `parts of a series bring a photo that none of them has room for`() throws {
        let forum = try Forum(prepared: ["L1"])
        let large = try forum.picture("large.jpg", 2_500_000)
        try forum.must("L1", "photo", "add", "item", "V12", "large.jpg")
        let given = try forum.bundle("L1", "export", "series.karvan", "--part-size", "1048576")
        #expect(given.status == 0, "\(given)")
        let parts = ["series.karvan", "series.2.karvan", "series.3.karvan"]
        let wrong = try forum.hubBundle("import", parts[2], parts[1])
        #expect(wrong.output.contains("1 photo not taken: no record here names it"), "\(wrong)")
        #expect(try forum.heldPhotos("hub").contains(large) == false)
        var files = parts
        while FileManager.default.fileExists(
            atPath: forum.path("series.\(files.count + 1).karvan").path)
        {
            files.append("series.\(files.count + 1).karvan")
        }
        // As a shell names them: the second comes first.
        let right = try Programs.run(
            "karvan-hub", ["bundle", "import"] + files.sorted() + ["--store", "hub.sqlite"],
            in: forum.directory)
        #expect(right.status == 0 && right.output.contains("1 photo received"), "\(right)")
        #expect(try forum.heldPhotos("hub").contains(large))
    }

    @Test func `in a bus one laptop takes the photos of another, and brings them to the hub`()
        throws
    {
        let forum = try Forum(prepared: ["L1", "L2", "L3"])
        let (server, address) = try forum.serve("L1")
        let bus = try forum.picture("bus.jpg", 700_000)
        try forum.must("L2", "photo", "add", "item", "V12", "bus.jpg")
        func visit(_ laptop: String, _ more: String...) throws -> Finished {
            try Programs.run(
                "karvan", ["sync", "--peer", address] + more, in: forum.directory,
                environment: ["KARVAN_REPLICA": "\(laptop).sqlite"])
        }
        let records = try visit("L2", "--photos", "none")
        #expect(records.status == 0 && records.output.contains("1 photo wait"), "\(records)")
        #expect(try forum.heldPhotos("L1") == [])
        let given = try visit("L2")
        #expect(given.status == 0, "\(given)")
        #expect(given.output.contains("Photos: 1 given (700 kB)."), "\(given)")
        #expect(given.output.contains("1 photo wait for the hub"), "\(given)")
        #expect(try forum.heldPhotos("L1") == [bus])
        let fetched = try visit("L3", "--photos", "all", "--json")
        #expect((fetched.json["photos"] as? [String: Any])?["received"] as? Int == 1, "\(fetched)")
        #expect(try forum.heldPhotos("L3") == [bus])
        #expect(try visit("L3", "--photos", "all").output.contains("Photos:") == false)
        #expect(server.printed.contains("\"photos_received\": 1"), "\(server.printed)")
        #expect(server.printed.contains("\"photos_given\": 1"), "\(server.printed)")
        server.signal(SIGTERM)
        #expect(try server.finish(limitSeconds: 15).status == 0)
        // L1 meets the hub, for all of them.
        try forum.connect("L1")
        #expect(try forum.must("L1", "sync").contains("Photos: 1 sent (700 kB)."))
        #expect(try forum.heldPhotos("hub") == [bus])
    }
}

extension Finished {
    fileprivate func succeeds() { #expect(status == 0, "\(self)") }
}
