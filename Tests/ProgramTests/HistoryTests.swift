import Foundation
import Testing

/// Who wrote what and when, what each had been shown, and what became of it.
@Suite struct HistoryTests {
    // MARK: One laptop

    @Test func `a history tells each change, what it took the place of, and the deletion`() throws {
        let forum = try Forum(prepared: ["L1"])
        try forum.must(
            "L1", "set", "person", "AZ-014", "role=speaker", "languages-=ru", "--as", "Leyla")
        try forum.must("L1", "delete", "person", "AZ-014", "--as", "Murad")
        let operations = try forum.operations("L1", "person", "AZ-014")
        #expect(
            operations.map(\.deed) == [
                "badge set AZ-014", "name_native set Xəyal Rüstəmov",
                "name_latin set Khayal Rustamov", "role set delegate", "languages added az",
                "languages added ru", "delegation set AZ", "role set speaker",
                "languages removed ru", "deleted",
            ])
        #expect(operations[3].fate == ["replaced", "speaker Leyla L1"])
        #expect(operations[5].fate == ["replaced", "ru Leyla L1"])
        #expect(operations[7].shown == ["delegate hq"])
        #expect(operations[7].fate == ["deleted", "Murad L1"])
        #expect(operations[8].shown == ["ru hq"])
        #expect(operations[9].fate == ["stands"] && operations[9].stands)
        #expect(!operations[7].stands)
        #expect(operations[3]["received"] != nil && operations[7]["received"] == nil)
        let text = Forum.masked(
            try forum.must("L1", "history", "person", "AZ-014", "--column", "role"))
        #expect(
            text == """
                person AZ-014  (5bbe309c7dd9c3beb4590c56e2518ff0)  deleted

                TIME  hq, received TIME, imported from people list people.csv
                  role  set to delegate
                  replaced by  Leyla on L1 at TIME

                TIME  Leyla on L1, recorded here
                  role  set to speaker
                  had been shown  delegate (hq)

                """)
        let graph = Forum.masked(
            try forum.must("L1", "history", "person", "AZ-014", "--column", "role", "--graph"))
        #expect(
            graph.contains(
                """
                ●  TIME  hq, people list people.csv  role set to delegate  TIME
                ●  TIME  Leyla on L1  role set to speaker  recorded here
                """), "\(graph)")
    }

    @Test func `a visit is found by its name when its item and it are deleted`() throws {
        let forum = try Forum(prepared: ["L1"])
        try forum.must("L1", "visit", "V12", "KZ", "--arrived", "10:10")
        try forum.must("L1", "delete", "visit", "V12/KZ")
        try forum.must("L1", "delete", "item", "V12")
        #expect(try forum.karvan("L1", "show", "visit", "V12/KZ").status == 65)
        let json = try forum.json("L1", "history", "visit", "V12/KZ")
        #expect(json["name"] as? String == "V12/KZ" && json["deleted"] as? Bool == true)
        let id = try #require(json["id"] as? String)
        #expect(try forum.operations("L1", "visit", String(id.prefix(12))).count == 4)
    }

    @Test func `observations, composites and counters have a history`() throws {
        let forum = try Forum(prepared: ["L1"])
        try forum.must("L1", "attend", "P07", "AZ-014", "--at", "09:02", "--door", "A")
        let id = try forum.rows("L1", "SELECT hex(id) FROM observation")[0]
        let scan = try forum.operations("L1", "observation", String(id.prefix(14)))
        #expect(
            scan.map(\.deed) == [
                "item set P07", "person set AZ-014", "kind set in", "method set badge",
                "claimed_at set 2025-11-25T09:02:00+04:00", "door set A",
            ])
        #expect(scan.allSatisfy { $0["claimed"] == "2025-11-25T09:02:00+04:00" })
        #expect(scan.allSatisfy { ($0.claimSkewMilliseconds ?? 0) < 0 })
        let text = try forum.must("L1", "history", "observation", String(id.prefix(14)))
        #expect(text.contains("  ! that is the time claimed; it was recorded at "), "\(text)")
        try forum.must("L1", "set", "site", "NAX-KARABAGHLAR", "position=39.4,45.2,10")
        let places = try forum.operations("L1", "site", "NAX-KARABAGHLAR", column: "position")
        #expect(places.last?.deed == "position set 39.4, 45.2, 10.0")
        for amount in ["+3", "+4", "-1"] {
            try forum.must("L1", "tally", "P07", "door A", amount)
        }
        let counts = try forum.operations("L1", "tally", "P07/door A", column: "count")
        #expect(
            counts.map(\.deed) == ["count counted +3", "count counted +4", "count counted -1"])
        #expect(counts.allSatisfy { $0.fate == ["stands"] && $0.stands })
        #expect(try forum.shown("L1", ["tally", "P07/door A", "--blame"])["count"] == "6")
    }

    @Test func `what can't be told is an error that says so`() throws {
        let forum = try Forum(prepared: ["L1"])
        for (arguments, status, part) in [
            (["history", "person", "AZ-999"], 65, "nobody has the badge AZ-999"),
            (["history", "visit", "V12/KZ"], 65, "there is no row V12/KZ in visit"),
            (["history", "visit", "X99/KZ"], 65, "there is no item X99"),
            (["history", "visitor", "V12/KZ"], 65, "there is no table visitor"),
            (["history", "person", "AZ-014", "--column", "x"], 65, "person has no column x"),
            (["show", "person", "AZ-014", "--received"], 64, "--received goes with --at TIME"),
            (["show", "person", "AZ-014", "--at", "25:00"], 65, "the time of day must lie in"),
            (["list", "person", "--at", "yesterday"], 65, "is not a time"),
            (["list", "attendance", "--at", "10:00"], 65, "--at takes a table"),
            (["list", "person", "--item", "P07", "--at", "10:00"], 65, "does not belong to items"),
        ] {
            let finished = try Programs.run(
                "karvan", arguments, in: forum.directory,
                environment: ["KARVAN_REPLICA": "L1.sqlite"])
            #expect(finished.status == status && finished.output.isEmpty, "\(arguments)")
            #expect(finished.errors.contains(part), "\(arguments): \(finished.errors)")
        }
    }

    // MARK: Several laptops

    @Test func `two arrivals and a decision are told alike on laptops and hub`() throws {
        let forum = try Forum(prepared: ["L1", "L2"])
        try forum.connect("L1", "L2")
        try forum.must("L1", "visit", "V12", "KZ", "--arrived", "10:10", "--as", "Leyla")
        try forum.must("L2", "visit", "V12", "KZ", "--arrived", "10:25", "--as", "Murad")
        for laptop in ["L1", "L2", "L1"] { try forum.must(laptop, "sync") }
        let (early, late) = ("2025-11-26T10:10:00+04:00", "2025-11-26T10:25:00+04:00")
        let open = try forum.operations("L1", "visit", "V12/KZ", column: "actual_arrival")
        #expect(open.map(\.fate.first) == ["sibling", "sibling"])
        #expect(open.map { $0.fate.last } == ["\(late) Murad L2", "\(early) Leyla L1"])
        let id = try #require(try forum.conflicts("L1").first).id
        try forum.must(
            "L1", "conflicts", "resolve", id, "--take", "A", "--reason", "bus log", "--as", "Aysel")
        for laptop in ["L1", "L2"] { try forum.must(laptop, "sync") }
        for store in ["L1", "L2", "hub"] {
            let told = try forum.operations(store, "visit", "V12/KZ", column: "actual_arrival")
            #expect(
                told.map(\.deed) == [
                    "actual_arrival set \(early)", "actual_arrival set \(late)",
                    "actual_arrival decided \(early)",
                ], "\(store)")
            #expect(told[0].fate == ["settled", "\(early) Aysel L1"], "\(store)")
            #expect(told[1].fate == told[0].fate && told[2].fate == ["stands"], "\(store)")
            #expect(told[2].shown == ["\(early) Leyla L1", "\(late) Murad L2"], "\(store)")
            #expect(told.map(\.stands) == [false, false, true], "\(store)")
            let isOwn = told.map { $0["received"] == nil }
            #expect(isOwn == [store == "L1", store == "L2", store == "L1"], "\(store)")
        }
        try expectBlame(early, late, in: forum)
    }

    /// Of the decision, and of what it took the place of.
    private func expectBlame(_ early: String, _ late: String, in forum: Forum) throws {
        let text = Forum.masked(try forum.must("L2", "show", "visit", "V12/KZ", "--blame"))
        #expect(
            text.hasSuffix(
                """
                actual_arrival  \(early) (a decision)
                  by Aysel on L1 at TIME
                  received TIME
                  instead of \(early) (Leyla on L1)
                  and of  \(late) (Murad on L2)

                """), "\(text)")
    }

    @Test func `a clock that ran ahead is noted where its change was received`() throws {
        let forum = try Forum(prepared: ["L1", "L2"])
        try forum.connect("L1", "L2")
        try forum.must(
            "L2", clock: "+3h", ["set", "item", "V09", "planned_start=2025-11-26T15:00+04:00"])
        for laptop in ["L2", "L1"] { try forum.must(laptop, "sync") }
        let ahead = try #require(
            try forum.operations("L1", "item", "V09", column: "planned_start").last)
        let minutes = (ahead.clockAheadMilliseconds ?? 0) / 60_000
        #expect((170...180).contains(minutes))
        let text = try forum.must("L1", "history", "item", "V09", "--column", "planned_start")
        #expect(text.contains("  ! its clock was at least 2 h ahead of this laptop's\n"), "\(text)")
        let own = try forum.operations("L2", "item", "V09", column: "planned_start").last
        #expect(own?.clockAheadMilliseconds == nil)
    }
}
