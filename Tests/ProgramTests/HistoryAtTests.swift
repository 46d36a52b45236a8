import Foundation
import Testing

/// Records as they were.
@Suite struct HistoryAtTests {
    @Test func `a record is shown as it was between any two of its changes`() throws {
        let forum = try Forum(prepared: ["L1"])
        try forum.must("L1", "set", "person", "AZ-014", "role=speaker")
        try forum.must("L1", "set", "person", "AZ-014", "languages+=hu", "role=guest")
        try forum.must("L1", "delete", "person", "AZ-014")
        let times = try forum.operations("L1", "person", "AZ-014").compactMap { $0["recorded"] }
        let (made, first, second, deleted) = (times[0], times[7], times[8], times[10])
        for (time, role, languages) in [
            (made, "delegate", "az;ru"), (first, "speaker", "az;ru"), (second, "guest", "az;hu;ru"),
        ] {
            let exact = try moved(time, by: 0)
            let shown = try forum.shown("L1", ["person", "AZ-014", "--at", exact])
            #expect(shown["role"] == role && shown["languages"] == languages, "\(exact)")
        }
        let before = try moved(first, by: -1)
        #expect(try forum.shown("L1", ["person", "AZ-014", "--at", before])["role"] == "delegate")
        let blame = try forum.json("L1", "show", "person", "AZ-014", "--blame", "--at", before)
        #expect((blame["columns"] as? [[String: Any]])?.count == 7)
        try expectMissing(
            ["--at", try moved(made, by: -1)], "there was no person AZ-014 then", forum)
        try expectMissing(
            ["--at", try moved(deleted, by: 0)], "person AZ-014 was deleted then", forum)
        try expectMissing(["--at", "2099-01-01T00:00Z"], "was deleted then, by L1 at ", forum)
    }

    private func expectMissing(_ arguments: [String], _ part: String, _ forum: Forum) throws {
        let finished = try Programs.run(
            "karvan", ["show", "person", "AZ-014"] + arguments, in: forum.directory,
            environment: ["KARVAN_REPLICA": "L1.sqlite"])
        #expect(finished.status == 65 && finished.errors.contains(part), "\(finished.errors)")
    }

    @Test func `the far future is now, in every table`() throws {
        let forum = try Forum(prepared: ["L1"])
        try forum.must("L1", "attend", "P07", "AZ-014", "AZ-015")
        try forum.must("L1", "visit", "V12", "KZ", "--arrived", "10:10", "--note", "by bus")
        try forum.must("L1", "tally", "P07", "door A", "+3")
        try forum.must("L1", "set", "site", "NAX-KARABAGHLAR", "position=39.4,45.2,10")
        try forum.must("L1", "delete", "person", "AZ-180")
        for table in [
            "delegation", "person", "site", "item", "visit", "observation", "tally", "note",
            "device",
        ] {
            for further in [[], ["--received"]] {
                let now = try forum.must("L1", ["list", table])
                let then = try forum.must(
                    "L1", ["list", table, "--at", "2099-01-01T00:00Z"] + further)
                // What tallies come to is of now only.
                let rows = now.components(separatedBy: "\n\nitem  zone    counted")[0]
                #expect(then.contains("\n\n" + rows), "\(table) \(further)")
            }
        }
        let visits = ["list", "visit", "--item", "V12"]
        let then = try forum.must("L1", visits + ["--at", "2099-01-01T00:00Z"])
        #expect(then.hasSuffix("\n\n" + (try forum.must("L1", visits))))
        let none = try forum.must("L1", "list", "person", "--at", "2001-01-01T00:00Z")
        #expect(none.hasSuffix("\n\n0 rows\n"))
    }

    @Test func `a bare time is of the item's day, and a whole second is whole`() throws {
        let forum = try Forum(prepared: ["L1"])
        try forum.must("L1", "visit", "V12", "KZ", "--headcount", "14")
        func time(_ arguments: String...) throws -> String {
            let finished = try Programs.run(
                "karvan", arguments + ["--json"], in: forum.directory,
                environment: ["KARVAN_REPLICA": "L1.sqlite"])
            return finished.json["at"] as? String ?? finished.errors
        }
        let expected = "2025-11-26T10:10:00.999+04:00"
        #expect(try time("list", "visit", "--item", "V12", "--at", "10:10") == expected)
        let shown = try forum.karvan("L1", "show", "visit", "V12/KZ", "--at", "10:10")
        #expect(shown.status == 65 && shown.errors.contains("there was no visit V12/KZ then"))
        #expect(try time("list", "visit", "--at", "10:10").hasSuffix("T10:10:00.999+04:00"))
        // What is printed with a second is there as of that second.
        let recorded = try #require(
            try forum.operations("L1", "visit", "V12/KZ").first?["recorded"])
        let second = recorded.replacingOccurrences(
            of: #"\.\d+"#, with: "", options: .regularExpression)
        #expect(try forum.shown("L1", ["visit", "V12/KZ", "--at", second])["headcount"] == "14")
    }

    @Test func `what was recorded by then and what was received by then are two things`() throws {
        let forum = try Forum(prepared: ["L1", "L2"])
        try forum.connect("L1", "L2")
        try forum.must("L2", "visit", "V12", "KZ", "--arrived", "10:10", "--as", "Murad")
        let recorded = try #require(
            try forum.operations("L2", "visit", "V12/KZ").first?["recorded"])
        for laptop in ["L2", "L1"] { try forum.must(laptop, "sync") }
        let received = try #require(
            try forum.operations("L1", "visit", "V12/KZ").first?["received"])
        let at = ["visit", "V12/KZ", "--at", try moved(recorded, by: 0)]
        #expect(try forum.shown("L1", at)["actual_arrival"] == "2025-11-26T10:10:00+04:00")
        let not = try Programs.run(
            "karvan", ["show"] + at + ["--received"], in: forum.directory,
            environment: ["KARVAN_REPLICA": "L1.sqlite"])
        #expect(not.status == 65 && not.errors.contains(" and received at "), "\(not.errors)")
        let later = ["visit", "V12/KZ", "--received", "--at", try moved(received, by: 0)]
        #expect(try forum.shown("L1", later).count == 3)
        // On the laptop that recorded it, it was there at once.
        #expect(try forum.shown("L2", at + ["--received"]).count == 3)
        let text = Forum.masked(try forum.must("L1", ["show"] + at))
        #expect(
            text.hasPrefix(
                """
                visit V12/KZ  (879238822e1c674e10065ccee1ebbe7a)
                as of TIME by the clocks of those who recorded;
                this replica received the last change on TIME

                column  value
                """), "\(text)")
    }
}
