import Foundation
import Testing

/// What the commands print, for people and for programs.
@Suite struct Output {
    // MARK: Text

    /// Replaces what differs from run to run: the times of this run (those of the forum's days are
    /// kept), ids made in it, ages, the port. Columns are set apart by two spaces.
    private func masked(_ text: String) -> String {
        var text = text
        let patterns = [
            (#"(?!2025-11-2[456]T)\d{4}-\d\d-\d\dT[\d:.]+\+\d\d:\d\d"#, "TIME"),
            (#"\((conflict|[^()\n]*device) [0-9a-f]{8}\b"#, "($1 ID"),
            (#"(?m)(^|resolve |show )[0-9a-f]{8}(?= |$)"#, "$1ID"),
            (#"(127\.0\.0\.1):\d+"#, "$1:PORT"), (#"\b\d+ (s|min)\b"#, "AGE"),
            (#"(\S) {2,}"#, "$1  "),
        ]
        for (pattern, replacement) in patterns {
            text = text.replacingOccurrences(
                of: pattern, with: replacement, options: .regularExpression)
        }
        return text
    }

    private func expect(
        _ forum: Forum, _ laptop: String, _ arguments: String..., prints expected: String,
        sourceLocation: SourceLocation = #_sourceLocation
    ) throws {
        let text = masked(try forum.must(laptop, arguments))
        #expect(text == expected + "\n", "\(arguments)", sourceLocation: sourceLocation)
    }

    /// Two arrivals over the tolerance and two within it, as both laptops know.
    private func twoArrivals() throws -> Forum {
        let forum = try Forum(prepared: ["L1", "L2"])
        try forum.connect("L1", "L2")
        for (laptop, person, late, early) in [
            ("L1", "Leyla", "10:10", "10:10"), ("L2", "Murad", "10:25", "10:15"),
        ] {
            try forum.must(laptop, "visit", "V12", "KZ", "--arrived", late, "--as", person)
            try forum.must(laptop, "visit", "V10", "KZ", "--arrived", early, "--as", person)
        }
        for laptop in ["L1", "L2", "L1"] { try forum.must(laptop, "sync") }
        return forum
    }

    @Test func `conflicts are told with who wrote what, and what to do`() throws {
        let forum = try twoArrivals()
        try expect(
            forum, "L1", "conflicts", "list",
            prints: """
                id  class  what  shown  others
                ID  2  visit V12/KZ actual_arrival  2025-11-26T10:25:00+04:00 by Murad on L2  \
                2025-11-26T10:10:00+04:00 by Leyla on L1
                ID  1  visit V10/KZ actual_arrival  2025-11-26T10:10:00+04:00 by Leyla on L1  \
                2025-11-26T10:15:00+04:00 by Murad on L2
                """)
        let conflicts = try forum.conflicts("L1")
        try expect(
            forum, "L1", "conflicts", "show", String(conflicts[0].id.prefix(8)),
            prints: """
                visit V12/KZ actual_arrival  (conflict ID, class 2)
                2 records lie AGE apart, more than the AGE within which the earliest would \
                count; they were written by people who had not seen each other's.
                Before: nothing that all of them had been shown.

                     value  by  had been shown
                A  2025-11-26T10:10:00+04:00  Leyla on L1  nothing here
                B *  2025-11-26T10:25:00+04:00  Murad on L2  nothing here

                        said to be at  by  value  here since
                ●  A  TIME  Leyla on L1  2025-11-26T10:10:00+04:00  recorded here
                ●  B *  TIME  Murad on L2  2025-11-26T10:25:00+04:00  TIME

                * is shown meanwhile. Settle it with one of
                  karvan conflicts resolve ID --take A --reason TEXT
                  karvan conflicts resolve ID --take B --reason TEXT
                  karvan conflicts resolve ID --value VALUE --reason TEXT
                """)
        try expect(
            forum, "L2", "conflicts", "explain", String(conflicts[0].id.prefix(8)),
            prints: """
                visit V12/KZ actual_arrival  (conflict ID, class 2)

                Why it is a conflict
                  2 records lie AGE apart, more than the AGE within which the earliest would \
                count; they were written by people who had not seen each other's.
                  A, 2025-11-26T10:10:00+04:00, by Leyla on L1: had been shown nothing here.
                  B, 2025-11-26T10:25:00+04:00, by Murad on L2: had been shown nothing here.

                Which rule
                  Each visit has one actual_arrival. Values that differ, none of whose authors had \
                been shown the other's, stand side by side; equal ones are no conflict.
                  Times up to AGE apart count as one, the earliest of them.
                  Class 2: a person must decide.

                What is shown meanwhile
                  2025-11-26T10:25:00+04:00: by the clocks that recorded them the latest.

                What ends it
                  A decision covers all values told here; they stay on record with their authors. \
                A value whose author had not been shown the decision opens it again.
                  An edit by someone who has been shown all of them ends it too: it takes their \
                place.

                Look at it: karvan conflicts show ID
                """)
        let within = try forum.must("L2", "conflicts", "show", conflicts[1].id)
        #expect(
            within.contains(
                "2 records lie within 10 min of each other, so the earliest counts; nobody has to "
                    + "decide.\n"), "\(within)")
        try expect(
            forum, "L1", "conflicts", "list", "--class", "1",
            prints: """
                id  class  what  shown  others
                ID  1  visit V10/KZ actual_arrival  2025-11-26T10:10:00+04:00 by Leyla on L1  \
                2025-11-26T10:15:00+04:00 by Murad on L2
                """)
    }

    @Test(arguments: [
        (["--table", "persons"], "there is no table persons"),
        (["--column", "rolle"], "there is no column rolle"),
        (["--table", "visit", "--column", "role"], "there is no column role in visit"),
        (["--item", "X99"], "there is no item X99"),
        (["--table", "visit", "--where", "stat = 1"], "no such column: stat"),
        (["--table", "visit", "--where", "1); SELECT (1"], "holds no “;”"),
    ])
    func `a filter that is about nothing is bad input`(_ filter: [String], _ words: String) throws {
        let forum = try Forum(prepared: ["L1"])
        for command in [["list"], ["resolve", "--take", "shown", "--reason", "why"]] {
            let finished = try Programs.run(
                "karvan", ["conflicts"] + command + filter, in: forum.directory,
                environment: ["KARVAN_REPLICA": "L1.sqlite"])
            #expect(finished.status == 65, "\(finished.output)")
            #expect(finished.errors.contains(words), "\(finished.errors)")
        }
        #expect(
            try forum.must("L1", "conflicts", "resolve", "--by", "nobody", "--take", "shown")
                == "No open conflicts.\n")
    }

    @Test func `a decision is told when it is made and afterwards`() throws {
        let forum = try twoArrivals()
        let id = String(try #require(try forum.conflicts("L1").first).id.prefix(8))
        let take = ["conflicts", "resolve", id, "--take", "b", "--reason"]
        let before = try forum.verified("L1")
        let would = try forum.must("L1", take + ["the bus log", "--dry-run"])
        #expect(
            would == "visit V12/KZ actual_arrival would be 2025-11-26T10:25:00+04:00. "
                + "The other values stay on record.\n")
        #expect(try forum.verified("L1") == before)
        try expect(forum, "L1", "conflicts", "log", prints: "No decisions yet.")
        // A reason holds what a terminal would obey.
        let done = try forum.must(
            "L1", ["--as", "Aysel"] + take + ["the bus\u{1b}[2J log\nsays so"])
        #expect(
            done == "visit V12/KZ actual_arrival is now 2025-11-26T10:25:00+04:00. "
                + "The other values stay on record.\n")
        for laptop in ["L1", "L2"] {
            try forum.must(laptop, "sync")
            try expect(
                forum, laptop, "conflicts", "log",
                prints: """
                    id  when  what  value  by  reason
                    ID  TIME  visit V12/KZ actual_arrival resolved  2025-11-26T10:25:00+04:00  \
                    Aysel on L1  the bus\u{fffd}[2J log⏎says so
                    """)
        }
        try forum.must("L1", "conflicts", "resolve", "--take", "A", try forum.conflicts("L1")[0].id)
        try expect(forum, "L1", "conflicts", "list", "--open", prints: "No open conflicts.")
    }

    @Test func `a record is told with who wrote each value`() throws {
        let forum = try twoArrivals()
        try expect(
            forum, "L2", "show", "visit", "V12/KZ",
            prints: """
                visit V12/KZ  (879238822e1c674e10065ccee1ebbe7a)
                column  value  by  claimed
                item  V12  Murad on L2  TIME
                delegation  KZ  Murad on L2  TIME
                actual_arrival  2025-11-26T10:25:00+04:00  [+1 other]  Murad on L2  TIME
                """)
        try expect(
            forum, "L2", "show", "item", "V12",
            prints: """
                item V12  (f1b3ba92d638382f27ae7b747a45d919)
                column  value  by  claimed
                code  V12  hq  TIME
                kind  visit  hq  TIME
                site  NAX-KARABAGHLAR  hq  TIME
                planned_start  2025-11-26T11:15:00+04:00  hq  TIME
                planned_end  2025-11-26T12:30:00+04:00  hq  TIME
                status  planned  hq  TIME
                title_az  Ziyarət: Qarabağlar türbəsi  hq  TIME
                title_en  Visit: Karabaghlar Mausoleum  hq  TIME
                """)
    }

    @Test func `status tells what waits, how fresh it is, and what is to decide`() throws {
        let forum = try twoArrivals()
        try expect(
            forum, "L1", "status",
            prints: """
                L1  (L1.sqlite, device ID)
                hub  https://127.0.0.1:PORT, as coordinator
                reads  all
                to send  nothing
                last success  TIME (AGE ago)
                clock  OK
                conflicts  1 to decide, 1 to note
                records  1114 rows from 22 changes
                """)
        try forum.must("L1", "attend", "P07", "AZ-014", "AZ-015")
        try forum.must("L1", "attend", "P07", "AZ-016")
        let text = masked(try forum.must("L1", "status"))
        #expect(text.contains("to send  2 changes (oldest AGE)\n"), "\(text)")
        let new = try Forum()
        try new.must("new", "init", "--name", "new laptop")
        try expect(
            new, "new", "status",
            prints: """
                new laptop  (new.sqlite, device ID)
                hub  none: karvan enrol URL TOKEN
                to send  nothing
                last success  never
                clock  not compared yet
                conflicts  0 to decide, 0 to note
                records  0 rows from 0 changes
                """)
    }

    @Test func `columns are aligned, whatever is in them`() throws {
        let forum = try Forum(prepared: ["L1"])
        try forum.must("L1", "set", "person", "AZ-001", "name_latin=a\u{301}e", "role=日本")
        let lines = try forum.must(
            "L1", "sql",
            "SELECT badge, name_latin, role FROM person WHERE badge IN ('AZ-001', 'AZ-002')"
        ).split(separator: "\n").map(String.init)
        #expect(
            lines == [
                "badge   name_latin     role", "AZ-001  a\u{301}e             日本",
                "AZ-002  Arzu Gasimova  coordinator",
            ])
        // A line for each row, and no more.
        let odd = try forum.must("L1", "sql", "SELECT 'a\nb' AS \"c\nd\"")
        #expect(odd == "c⏎d\na⏎b\n")
    }

    // MARK: Who records

    @Test func `who records may stand before and after the command`() throws {
        let forum = try Forum(prepared: ["L1"])
        try forum.must("L1", "--as", "Leyla", "attend", "P07", "AZ-001")
        try forum.must("L1", "attend", "P07", "AZ-002", "--as", "Murad")
        try forum.must("L1", "--as=Aysel", "--json", "attend", "P07", "AZ-003")
        try forum.must("L1", "attend", "--as=Kamran", "P07", "AZ-004")
        _ = try forum.karvan(
            "L1", "attend", "P07", "AZ-005", environment: ["KARVAN_AS": "Nigar"])
        _ = try forum.karvan(
            "L1", "--as", "Orxan", "attend", "P07", "AZ-006", environment: ["KARVAN_AS": "Nigar"])
        try forum.must("L1", "attend", "P07", "AZ-007")
        try forum.must("L1", "--as", "Leyla", "conflicts", "list")
        let observations = try #require(
            try forum.json("L1", "list", "observation")["rows"] as? [[String: String]])
        let authors = try observations.map { row in
            let id = try #require(row["id"])
            let columns = try forum.json("L1", "show", "observation", id)["columns"]
            let persons = (columns as? [[String: Any]] ?? []).compactMap { $0["person"] as? String }
            return "\(row["person"] ?? "") \(Set(persons).joined(separator: "+"))"
        }
        #expect(
            authors.sorted() == [
                "AZ-001 Leyla", "AZ-002 Murad", "AZ-003 Aysel", "AZ-004 Kamran", "AZ-005 Nigar",
                "AZ-006 Orxan", "AZ-007 ",
            ])
    }

    @Test func `a replica may be named before and after the command`() throws {
        let forum = try Forum()
        for arguments in [
            ["--replica", "a.sqlite", "init", "--name", "a"],
            ["init", "--name", "b", "--replica=b.sqlite"],
        ] {
            try forum.must("c", arguments)
        }
        #expect(forum.exists("a.sqlite") && forum.exists("b.sqlite") && !forum.exists("c.sqlite"))
    }
}
