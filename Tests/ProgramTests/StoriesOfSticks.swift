import Foundation
import Testing

/// Two laptops in a valley without a network, and a courier who passes by both of them and the hub.
@Suite struct StoriesOfSticks {
    @Test func `changes go to a colleague and to the hub on a stick, and the receipt comes back`()
        throws
    {
        let forum = try Forum(prepared: ["L1", "L2"])
        try forum.must("L1", "attend", "P07", "AZ-014")
        try forum.must("L1", "visit", "V12", "KZ", "--arrived", "11:10")
        try forum.must("L2", "visit", "V12", "KZ", "--arrived", "11:25")

        // To the colleague.
        let given = try forum.bundle("L1", "export", "for-l2.karvan", "--for", "L2")
        #expect(given.status == 0 && given.output.contains("for L2"), "\(given)")
        let seen = try forum.bundle("L2", "show", "for-l2.karvan")
        #expect(seen.output.contains("by    L1 on 20"), "\(seen)")
        #expect(seen.output.contains("not here"), "\(seen)")
        let taken = try forum.bundle("L2", "import", "for-l2.karvan")
        #expect(taken.status == 0 && taken.output.contains("by L1"), "\(taken)")
        #expect(taken.output.contains("changes received"), "\(taken)")
        #expect(try forum.must("L2", "conflicts", "list").contains("KZ"))
        #expect(try forum.must("L1", "status").contains("to send"))
        let again = try forum.bundle("L2", "import", "for-l2.karvan")
        #expect(again.output.contains("0 changes received"), "\(again)")

        // L2 carries both to the hub, and the hub's answer back.
        let sent = try forum.bundle("L2", "export", "for-hub.karvan")
        #expect(sent.output.contains("count as sent when the hub says so"), "\(sent)")
        let arrived = try forum.hubBundle("import", "for-hub.karvan")
        #expect(arrived.status == 0 && arrived.output.contains("by L2"), "\(arrived)")
        #expect(try forum.stateHash("hub") == forum.stateHash("L2"))
        for laptop in ["L1", "L2"] {
            let back = try forum.hubBundle("export", "back-\(laptop).karvan", "--for", laptop)
            #expect(back.status == 0, "\(back)")
            let told = try forum.bundle(laptop, "import", "back-\(laptop).karvan")
            #expect(told.status == 0 && told.output.contains("count as sent now"), "\(told)")
            #expect(try forum.json(laptop, "status")["waiting"] as? Int == 0)
            #expect(try forum.stateHash("hub") == forum.stateHash(laptop))
        }
    }

    @Test func `what can't be taken is refused whole, with what to do`() throws {
        let forum = try Forum(prepared: ["L1", "L2", "L3"])
        try forum.must("L1", "attend", "P07", "AZ-014")
        #expect(try forum.bundle("L1", "export", "for-l2.karvan", "--for", "L2").status == 0)
        let file = forum.directory.appending(path: "for-l2.karvan")
        let bytes = try Data(contentsOf: file)
        let before = try forum.stateHash("L2")
        for (name, contents, words) in [
            ("short", bytes.dropLast(9), "it was not copied whole"),
            ("damaged", flipped(bytes, at: bytes.count / 2), "is damaged"),
            ("other", Data("a list of people".utf8), "not a Karvan bundle"),
        ] {
            try Data(contents).write(to: forum.directory.appending(path: name))
            let refused = try forum.bundle("L2", "import", name)
            #expect(refused.status == 65 && refused.errors.contains(words), "\(refused)")
            #expect(refused.errors.contains(name), "\(refused)")
        }
        let stranger = try forum.bundle("L3", "import", "for-l2.karvan")
        #expect(stranger.status == 77 && stranger.errors.contains("for others"), "\(stranger)")
        #expect(
            try forum.bundle("L3", "show", "for-l2.karvan").output.contains("only these can see"))
        let there = try forum.bundle("L1", "export", "for-l2.karvan", "--for", "L2")
        #expect(there.status == 65 && there.errors.contains("is there already"), "\(there)")
        let nobody = try forum.bundle("L1", "export", "x.karvan", "--for", "L9")
        #expect(nobody.status == 65 && nobody.errors.contains("L2 ("), "\(nobody)")
        #expect(try forum.bundle("L1", "import", "nowhere").status == 65)
        // One that is bad keeps no other from being taken.
        let some = try forum.bundle("L2", "import", "short", "for-l2.karvan", "other")
        #expect(some.status == 65 && some.output.contains("change received"), "\(some)")
        #expect(some.errors.contains("short") && some.errors.contains("other"), "\(some)")
        #expect(try forum.stateHash("L2") != before)
        #expect(try forum.stateHash("L2") == forum.stateHash("L1"))
    }

    private func flipped(_ bytes: Data, at place: Int) -> Data {
        var bytes = bytes
        bytes[place] ^= 0x10
        return bytes
    }

    @Test func `a disk that is full leaves nothing behind`() throws {
        let forum = try Forum(prepared: ["L1"])
        let full = try forum.bundle("L1", "export", "/dev/full", "--all")
        #expect(full.status == 65, "it is there: \(full)")
        // Sixty blocks of 1,024 bytes are less than the sample takes.
        let small = try Programs.run(
            "/bin/bash",
            [
                "-c",
                "ulimit -f 60; trap '' XFSZ; exec '\(Programs.path("karvan"))' bundle export b.karvan --all",
            ], in: forum.directory, environment: ["KARVAN_REPLICA": "L1.sqlite"])
        #expect(small.status == 74 && small.errors.contains("--part-size"), "\(small)")
        let left = try FileManager.default.contentsOfDirectory(atPath: forum.directory.path)
        #expect(!left.contains { $0.hasPrefix("b.karvan") }, "\(left)")
    }
}
