import Foundation
import Testing

/// Walk-ins, twins, two people on one badge, and who belongs to which delegation.
@Suite struct PeopleTests {
    static let laptops = ["L1", "L2", "L3"]

    /// Adds a walk-in; gives the name that is printed for them.
    private func add(
        _ name: String, to delegation: String = "AZ", on laptop: String, in forum: Forum
    ) throws -> (name: String, alike: [String]) {
        let facts = try forum.json(
            laptop, "person", "add", "--native", name, "--delegation", delegation)
        let person = try #require(facts["person"] as? [String: Any])
        let alike = try #require(facts["alike"] as? [[String: Any]])
        return (
            try #require(person["name"] as? String), alike.compactMap { $0["name"] as? String }
        )
    }

    /// Who was where, with how many observations in all: `name state first_in observations`.
    private func attendance(_ laptop: String, _ item: String, in forum: Forum) throws -> [String] {
        try forum.rows(
            laptop,
            """
            SELECT p.name_native || ': ' || coalesce(a.state, '-') || ' '
              || coalesce(strftime('%H:%M', (a.first_in / 1000) + 14400, 'unixepoch'), '-')
            FROM attendance a JOIN person p ON p.id = a.person JOIN item i ON i.id = a.item
            WHERE i.code = '\(item)' ORDER BY p.name_native
            """)
    }

    private func sync(_ laptops: [String], in forum: Forum) throws {
        for laptop in laptops { try forum.must(laptop, "sync") }
        let hub = try forum.verified("hub")
        for laptop in Set(laptops) { #expect(try forum.verified(laptop) == hub, "\(laptop)") }
    }

    @Test(arguments: ImportTests.orders.map { $0.map { $0 == "hq" ? "L3" : $0 } })
    func `walk-in twins stay three people until someone merges them, and again after`(
        _ order: [String]
    ) throws {
        let forum = try Forum(prepared: Self.laptops)
        let first = try add("Gulshan Mammadova", on: "L1", in: forum)
        let second = try add("Gülşən Məmmədova", on: "L2", in: forum)
        // The list has her in a third spelling.
        #expect(first.alike == ["KZ-017"] && second.alike == ["KZ-017"])
        try forum.must("L1", "attend", "P07", first.name, "--at", "09:02")
        try forum.must("L2", "attend", "P07", second.name, "--at", "09:05")
        try forum.connect("L1", "L2", "L3")
        try sync(order + order, in: forum)
        let apart = ["Gulshan Mammadova: in 09:02", "Gülşən Məmmədova: in 09:05"]
        for laptop in Self.laptops {
            #expect(try attendance(laptop, "P07", in: forum) == apart, "\(laptop)")
        }
        // Opposite merges on two laptops, and the person of the list into one of them.
        try forum.must("L1", "person", "merge", first.name, second.name)
        try forum.must("L2", "person", "merge", second.name, first.name)
        try forum.must("L3", "person", "merge", first.name, "KZ-017")
        try sync(order + order, in: forum)
        for laptop in Self.laptops {
            let lines = try attendance(laptop, "P07", in: forum)
            #expect(lines.count == 1 && lines[0].hasSuffix(": in 09:02"), "\(laptop): \(lines)")
            let one = try forum.rows(laptop, "SELECT DISTINCT hex(canonical) FROM person_identity")
            #expect(one.count == 1, "\(laptop)")
        }
        let before = try forum.verified(order[0])
        try forum.must(order[0], "person", "merge", first.name, second.name)
        #expect(try forum.verified(order[0]) == before)
        // One unmerge ends both of the merges that were opposite.
        try forum.must(order[1], "person", "unmerge", second.name)
        try sync([order[1]] + order, in: forum)
        for laptop in Self.laptops {
            #expect(try attendance(laptop, "P07", in: forum) == apart, "\(laptop)")
            let merged = try forum.rows(laptop, "SELECT count(*) AS n FROM person_identity")
            #expect(merged == ["1"], "\(laptop)")
        }
    }

    @Test func `a walk-in is warned of, never refused, and attends by the id that is printed`()
        throws
    {
        let forum = try Forum(prepared: ["L1"])
        let text = try forum.must(
            "L1", "person", "add", "--native", "Məmmədova Gülşən", "--delegation", "AZ", "--role",
            "guest")
        let name = String(text.prefix { $0 != " " })
        #expect(name.count >= 12 && name.allSatisfy(\.isHexDigit))
        #expect(text.contains("Məmmədova Gülşən (AZ, guest) added. Name them by \(name)."))
        #expect(text.contains("\n  KZ-017  Гюльшан Мамедова (KZ, delegate)\n"), "\(text)")
        #expect(text.contains("karvan person merge KZ-017 \(name)"))
        #expect(
            try forum.must("L1", "attend", "P07", name)
                == "\(name)  Məmmədova Gülşən  in  P07\n")
        let half = String(name.prefix(11))
        #expect(try forum.must("L1", "attend", "P07", half, "--out").contains("(already in since"))
        #expect(try forum.must("L1", "attend", "P07", name, "--undo").contains("'out' taken back"))
        // Whoever is merged is known under both names.
        try forum.must("L1", "person", "merge", "KZ-017", name)
        #expect(try forum.must("L1", "attend", "P07", "KZ-017").contains("(already in since"))
        #expect(try forum.must("L1", "attend", "P07", name).contains("(already in since"))
        // Both badges in one command are two observations of one person.
        let both = try forum.must("L1", "attend", "P07", "KZ-017", name, "--out")
        #expect(both.split(separator: "\n").count == 2, "\(both)")
    }

    @Test func `someone merged into two people is unmerged from both, and told of both`() throws {
        let forum = try Forum(prepared: Self.laptops)
        try forum.must("L1", "--as", "Leyla", "person", "merge", "AZ-014", "AZ-020")
        try forum.must("L2", "--as", "Murad", "person", "merge", "AZ-015", "AZ-020")
        try forum.connect("L1", "L2", "L3")
        try sync(["L1", "L2", "L3", "L1"], in: forum)
        #expect(
            try forum.columnConflicts("L3") == [
                "person AZ-020 merged_into: AZ-014, AZ-015, class 2"
            ]
        )
        let text = try forum.must("L3", "person", "unmerge", "AZ-020")
        #expect(
            text.contains("AZ-014") && text.contains("as Leyla on L1 had it")
                && text.contains("AZ-015") && text.contains("as Murad on L2 had it"), "\(text)")
        try sync(["L3", "L1", "L2"], in: forum)
        for laptop in Self.laptops {
            #expect(try forum.columnConflicts(laptop).isEmpty, "\(laptop)")
            #expect(try forum.value(laptop, "AZ-020", "hex(merged_into)") == "", "\(laptop)")
        }
        let before = try forum.verified("L3")
        let again = try forum.must("L3", "person", "unmerge", "AZ-020")
        #expect(again.contains("is not merged into anyone"))
        #expect(try forum.verified("L3") == before)
    }

    @Test func `a merge that makes no sense is refused or does nothing, with words`() throws {
        let forum = try Forum(prepared: ["L1"])
        try forum.must("L1", "person", "merge", "AZ-014", "AZ-020")
        let before = try forum.verified("L1")
        let mistakes: [(arguments: [String], says: String)] = [
            (["person", "merge", "AZ-014", "AZ-014"], "can't be merged into themselves"),
            (["person", "merge", "AZ-015", "AZ-014", "AZ-015"], "can't be merged into themselves"),
            (["person", "merge", "AZ-014", "AZ-999"], "nobody has the badge AZ-999"),
            (["person", "merge", "AZ-015", "AZ-016", "AZ-020"], "is merged into AZ-014 already"),
            (["person", "unmerge", "ffffffffffff"], "nobody has the badge"),
            (["person", "add", "--native", " ", "--delegation", "AZ"], "needs a name"),
            (
                ["person", "add", "--native", "A", "--delegation", "XX"],
                "there is no delegation XX"
            ),
            (["person", "transfer", "AZ-014", "XX"], "there is no delegation XX"),
        ]
        for (arguments, says) in mistakes {
            let finished = try Programs.run(
                "karvan", arguments, in: forum.directory,
                environment: ["KARVAN_REPLICA": "L1.sqlite"])
            #expect(finished.status == 65 && finished.errors.contains(says), "\(finished)")
        }
        for arguments in [["AZ-014", "AZ-020"], ["AZ-020", "AZ-014"]] {
            let text = try forum.must("L1", ["person", "merge"] + arguments)
            #expect(text.contains("are one already"), "\(text)")
        }
        #expect(try forum.must("L1", "person", "unmerge", "AZ-014").contains("  AZ-020  "))
        #expect(try forum.verified("L1") == before)
    }

    @Test(arguments: [true, false])
    func `two people on one badge are parted, and merged again`(isByItem: Bool) throws {
        let forum = try Forum(prepared: ["L1", "L2"])
        try forum.must("L1", "attend", "P07", "AZ-014", "--at", "09:02", "--door", "A")
        try forum.must("L1", "attend", "P07", "AZ-014", "--at", "11:00", "--out")
        try forum.must("L1", "attend", "P08", "AZ-014", "--at", "10:20", "--roll-call")
        let first = try attendance("L1", "P07", in: forum)
        let ids = try forum.rows(
            "L1",
            """
            SELECT lower(hex(o.id)) AS id FROM observation o JOIN item i ON i.id = o.item
            WHERE i.code = 'P07' ORDER BY o.id
            """)
        #expect(first == ["Xəyal Rüstəmov: out 09:02"] && ids.count == 2)
        let split = try forum.json(
            "L1",
            ["person", "split", "AZ-014", "--native", "Xəyalə Rüstəmova"]
                + (isByItem ? ["--item", "P07"] : ["--observations"] + ids))
        #expect(split["moved"] as? Int == 2)
        let second = try #require((split["second"] as? [String: Any])?["name"] as? String)
        try forum.connect("L1", "L2")
        try sync(["L1", "L2"], in: forum)
        for laptop in ["L1", "L2"] {
            #expect(
                try attendance(laptop, "P07", in: forum) == [
                    "Xəyal Rüstəmov: - -", "Xəyalə Rüstəmova: out 09:02",
                ], "\(laptop)")
            #expect(try attendance(laptop, "P08", in: forum) == ["Xəyal Rüstəmov: in 10:20"])
            let doors = try forum.rows(
                laptop,
                """
                SELECT o.kind || ' ' || o.method || ' ' || coalesce(o.door, '-') AS facts
                FROM observation o JOIN person p ON p.id = o.person
                WHERE p.badge IS NULL ORDER BY o.id
                """)
            #expect(doors == ["in badge A", "out badge -"], "\(laptop)")
        }
        // What is moved already can't be moved again.
        let again = try forum.karvan(
            "L2", "person", "split", "AZ-014", "--native", "N", "--observations", ids[0])
        #expect(again.status == 65 && again.errors.contains("was taken back"), "\(again)")
        try forum.must("L2", "person", "merge", "AZ-014", second)
        try sync(["L2", "L1"], in: forum)
        for laptop in ["L1", "L2"] {
            #expect(try attendance(laptop, "P07", in: forum) == first, "\(laptop)")
        }
    }

    @Test func `transfers that two laptops make apart are for a person to decide`() throws {
        let forum = try Forum(prepared: Self.laptops)
        let text = try forum.must("L1", "person", "transfer", "TM-006", "UZ")
        #expect(text.hasSuffix("moved from TM to UZ\n"), "\(text)")
        try forum.must("L2", "person", "transfer", "TM-006", "KZ")
        try forum.must("L3", "person", "transfer", "TM-007", "KZ")
        try forum.connect("L1", "L2", "L3")
        try sync(["L1", "L2", "L3", "L1", "L2"], in: forum)
        for laptop in Self.laptops {
            #expect(
                try forum.columnConflicts(laptop) == ["person TM-006 delegation: KZ, UZ, class 2"],
                "\(laptop)")
        }
        let before = try forum.verified("L3")
        #expect(
            try forum.must("L3", "person", "transfer", "TM-007", "KZ").hasSuffix("nothing new\n"))
        #expect(try forum.verified("L3") == before)
    }
}

extension Forum {
    /// The object that a command prints; any end but 0 is an error.
    func json(_ laptop: String, _ arguments: [String]) throws -> [String: Any] {
        let finished = try Programs.run(
            "karvan", arguments + ["--json"], in: directory,
            environment: ["KARVAN_REPLICA": "\(laptop).sqlite"])
        guard finished.status == 0 else { throw ProgramError(description: finished.errors) }
        return finished.json
    }
}

/// Who may be one, told with a score and why.
@Suite struct AlikePeopleTests {
    private func pairs(_ forum: Forum, _ arguments: String...) throws -> [String] {
        let finished = try Programs.run(
            "karvan", ["person", "alike"] + arguments + ["--json"], in: forum.directory,
            environment: ["KARVAN_REPLICA": "L1.sqlite"])
        try #require(finished.status == 0, "\(finished)")
        let pairs = try #require(finished.json["pairs"] as? [[String: Any]])
        return pairs.map { pair in
            func name(_ key: String) -> String {
                let person = pair[key] as? [String: Any]
                return person?["name_native"] as? String ?? ""
            }
            let reasons = (pair["reasons"] as? [String] ?? []).joined(separator: ", ")
            return "\(pair["score"] ?? ""): \(name("kept")) / \(name("other")): \(reasons)"
        }
    }

    @Test func `twins are suggested by name, telephone and delegation, until someone decides`()
        throws
    {
        let forum = try Forum(prepared: ["L1"])
        try forum.must("L1", "person", "add", "--native", "Gülşən Məmmədova", "--delegation", "KZ")
        try forum.must("L1", "person", "add", "--native", "Gulshan Mammadoba", "--delegation", "KZ")
        let found = try pairs(forum, "KZ-017")
        #expect(
            found == [
                "75: Гюльшан Мамедова / Gülşən Məmmədova: one name, as it is spoken, one delegation",
                "55: Гюльшан Мамедова / Gulshan Mammadoba: names that differ in a letter, "
                    + "one delegation",
            ])
        #expect(try pairs(forum, "KZ-017", "--least", "60") == [found[0]])
        let text = try forum.must("L1", "person", "alike", "KZ-017", "--least", "60")
        #expect(text.contains("karvan person merge KZ-017 "), "\(text)")
        // Someone says that they are not.
        let conflict = try #require(try forum.conflicts("L1").first { $0.isByRule })
        try forum.must(
            "L1", "conflicts", "resolve", conflict.id, "--take", "different", "--reason",
            "both stood here")
        #expect(try pairs(forum, "KZ-017", "--least", "60").isEmpty)
        let unknown = try forum.karvan("L1", "person", "alike", "ZZ-999")
        #expect(unknown.status == 65 && unknown.errors.contains("ZZ-999"))
        #expect(try forum.karvan("L1", "person", "alike", "--least", "0").status == 64)
    }
}
