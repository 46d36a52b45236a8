import Foundation
import Testing

/// A list comes in several versions, and people edit what it says in between.
@Suite struct ImportTests {
    static let laptops = ["hq", "L1", "L2"]

    static let orders = laptops.flatMap { first in
        laptops.filter { $0 != first }.flatMap { second in
            laptops.filter { $0 != first && $0 != second }.map { [first, second, $0] }
        }
    }

    private func listV3(in forum: Forum) throws -> String {
        try forum.list("v3.csv", changing: ["TM-006": [.delegation: "UZ"]], lacking: ["TM-011"])
    }

    @Test(arguments: orders)
    func `a new list against local edits ends alike in every order of syncing`(
        _ order: [String]
    ) throws {
        let forum = try Forum(prepared: Self.laptops)
        let v3 = try listV3(in: forum)
        try forum.must(
            "L1", "--as", "Leyla", "set", "person", "TM-006", "role=press", "delegation=KZ")
        // The contact in the new delegation is a row of its own.
        #expect(try forum.imported("hq", v3) == [1, 1, 0, 0, 1, 1])
        try forum.connect("hq", "L1", "L2")
        for laptop in order + order { try forum.must(laptop, "sync") }
        try expectStory(of: v3, in: forum)
        try settle(by: order[2], importing: v3, in: forum)
    }

    @Test func `a new list that comes after the local edits were synced is the same`() throws {
        let forum = try Forum(prepared: Self.laptops)
        let v3 = try listV3(in: forum)
        try forum.connect("hq", "L1", "L2")
        try forum.must("L1", "set", "person", "TM-006", "role=press", "delegation=KZ")
        try forum.must("L1", "sync")
        try forum.must("hq", "sync")
        // The role was kept; both delegations stand.
        #expect(try forum.imported("hq", v3, "--dry-run") == [1, 1, 1, 1, 1, 1])
        #expect(try forum.imported("hq", v3) == [1, 1, 1, 1, 1, 1])
        for laptop in ["hq", "L1", "L2"] { try forum.must(laptop, "sync") }
        try expectStory(of: v3, in: forum)
    }

    private func expectStory(of list: String, in forum: Forum) throws {
        let hub = try forum.verified("hub")
        for laptop in Self.laptops {
            #expect(try forum.verified(laptop) == hub, "\(laptop)")
            #expect(try forum.value(laptop, "TM-006", "role") == "press", "\(laptop)")
            #expect(
                try forum.columnConflicts(laptop) == ["person TM-006 delegation: KZ, UZ, class 2"],
                "\(laptop)")
            #expect(try forum.karvan(laptop, "conflicts", "list", "--open").status == 20)
            #expect(
                try forum.proposals(laptop) == ["TM-011: missing from list, people list v3.csv"],
                "\(laptop)")
            #expect(try forum.value(laptop, "TM-011", "badge") == "TM-011", "\(laptop)")
            // The role is what someone edited, and which delegation is shown depends on clocks.
            let again = try forum.imported(laptop, list)
            #expect(again[..<2] == [0, 0] && again[3...] == [0, 1, 0], "\(laptop): \(again)")
            #expect(try forum.verified(laptop) == hub, "\(laptop)")
        }
    }

    /// Whatever was decided, the same list doesn't ask again.
    private func settle(by laptop: String, importing list: String, in forum: Forum) throws {
        let conflict = try #require(
            try forum.conflicts(laptop).first { $0.subject == "person TM-006 delegation" })
        let choice = laptop == "hq" ? "A" : "B"
        try forum.must(
            laptop,
            ["conflicts", "resolve", conflict.id, "--take", choice, "--reason", "they called"])
        for each in [laptop] + Self.laptops { try forum.must(each, "sync") }
        let hub = try forum.verified("hub")
        for each in Self.laptops {
            #expect(try forum.columnConflicts(each).isEmpty, "\(each)")
            let before = try forum.delegation(each, "TM-006")
            #expect(try forum.imported(each, list)[3...] == [0, 1, 0], "\(each)")
            #expect(try forum.delegation(each, "TM-006") == before, "\(each)")
            #expect(try forum.verified(each) == hub, "\(each)")
        }
    }

    @Test func `two laptops that import the same version apart don't disagree`() throws {
        let forum = try Forum(prepared: Self.laptops)
        let v3 = try listV3(in: forum)
        for laptop in ["hq", "L1"] { try forum.imported(laptop, v3) }
        try forum.connect("hq", "L1", "L2")
        for laptop in ["hq", "L1", "L2", "hq"] { try forum.must(laptop, "sync") }
        let hub = try forum.verified("hub")
        for laptop in Self.laptops {
            #expect(try forum.columnConflicts(laptop).isEmpty, "\(laptop)")
            #expect(try forum.imported(laptop, v3) == [0, 0, 0, 0, 1, 0], "\(laptop)")
            #expect(try forum.verified(laptop) == hub, "\(laptop)")
        }
        // The next version replaces what both said.
        let v4 = try forum.list("v4.csv", changing: ["TM-006": [.delegation: "HU"]])
        #expect(try forum.imported("L2", v4) == [1, 1, 0, 0, 0, 0])
        #expect(try forum.delegation("L2", "TM-006") == "HU")
        #expect(try forum.columnConflicts("L2").isEmpty)
        #expect(try forum.proposals("L2").isEmpty)
    }

    @Test func `edits survive the same list, and the next one changes only what it changed`() throws
    {
        let forum = try Forum(prepared: ["hq"])
        let v1 = Programs.sample("people.csv")
        try forum.must("hq", "set", "person", "TM-006", "role=press", "languages+=en")
        try forum.must("hq", "set", "person", "TM-006", "languages-=ru")
        let before = try forum.verified("hq")
        #expect(try forum.imported("hq", v1) == [0, 0, 2, 0, 0, 0])
        #expect(try forum.verified("hq") == before)
        let v2 = try forum.list(
            "v2.csv",
            changing: ["TM-006": [.latin: "Dovlet", .languages: "tk;az"], "TM-008": [.role: ""]])
        #expect(try forum.imported("hq", v2) == [0, 2, 1, 0, 0, 0])
        #expect(try forum.value("hq", "TM-006", "name_latin") == "Dovlet")
        #expect(try forum.value("hq", "TM-006", "role") == "press")
        #expect(try forum.value("hq", "TM-008", "role") == "-")
        let languages = try forum.must("hq", "show", "person", "TM-006")
        #expect(languages.contains("az;en;tk"), "\(languages)")
        let after = try forum.verified("hq")
        try forum.imported("hq", v2)
        #expect(try forum.verified("hq") == after)
        #expect(try forum.columnConflicts("hq").isEmpty)
    }

    @Test func `a field that the list empties meets an edit as a conflict`() throws {
        let forum = try Forum(prepared: ["hq"])
        try forum.must("hq", "set", "person", "TM-008", "role=press")
        let v2 = try forum.list("v2.csv", changing: ["TM-008": [.role: ""]])
        #expect(try forum.imported("hq", v2) == [0, 1, 0, 1, 0, 0])
        let conflict = try #require(try forum.conflicts("hq").first)
        #expect(conflict.subject == "person TM-008 role" && conflict.conflictClass == 2)
        #expect(Set([conflict.shown] + conflict.others) == ["", "press"])
    }

    @Test func `a list that says what was set here already takes nobody's later edit back`() throws
    {
        let forum = try Forum(prepared: ["hq"])
        try forum.must("hq", "set", "person", "TM-008", "role=press")
        let v2 = try forum.list("v2.csv", changing: ["TM-008": [.role: "press"]])
        #expect(try forum.imported("hq", v2) == [0, 0, 0, 0, 0, 0])
        try forum.must("hq", "set", "person", "TM-008", "role=guest")
        let before = try forum.verified("hq")
        #expect(try forum.imported("hq", v2) == [0, 0, 1, 0, 0, 0])
        #expect(try forum.verified("hq") == before)
        #expect(try forum.value("hq", "TM-008", "role") == "guest")
    }

    @Test func `a person made by hand and a list that differs are a conflict, once`() throws {
        let forum = try Forum(prepared: ["hq"])
        try forum.must("hq", "set", "person", "TM-900", "role=press", "name_latin=Jeren")
        let file = forum.path("more.csv")
        try Data("badge,name_latin,role,delegation\nTM-900,Jeren,guest,TM\n".utf8).write(to: file)
        #expect(try forum.imported("hq", file.path, "--partial") == [0, 1, 0, 1, 0, 0])
        #expect(
            try forum.columnConflicts("hq") == ["person TM-900 role: guest, press, class 2"])
        let before = try forum.verified("hq")
        try forum.imported("hq", file.path, "--partial")
        #expect(try forum.verified("hq") == before)
    }

    @Test func `a deleted person stays deleted, unless the list has something new of them`() throws
    {
        let forum = try Forum(prepared: ["hq"])
        try forum.must("hq", "delete", "person", "TM-008")
        let before = try forum.verified("hq")
        #expect(try forum.imported("hq", Programs.sample("people.csv"))[..<4] == [0, 0, 1, 0])
        #expect(try forum.verified("hq") == before)
        let v2 = try forum.list("v2.csv", changing: ["TM-008": [.role: "press"]])
        #expect(try forum.imported("hq", v2)[..<4] == [0, 1, 0, 1])
        #expect(try forum.conflicts("hq").map(\.conflictClass) == [2])
    }

    @Test func `a dry run says all that differs and writes nothing`() throws {
        let forum = try Forum(prepared: ["hq"])
        let before = try forum.verified("hq")
        try forum.must("hq", "set", "person", "TM-008", "role=press")
        let edited = try forum.verified("hq")
        #expect(edited != before)
        let v2 = try forum.list(
            "v2.csv", changing: ["TM-008": [.role: "guest"], "TM-009": [.role: "press"]],
            lacking: ["TM-011"])
        let text = try forum.must("hq", "import", "people", v2, "--dry-run", "--list", "v2")
        for line in [
            "conflict  person TM-008  role    press     guest",
            "changed   person TM-009  role    delegate  press", "missing   person TM-011",
            "In conflict: 1 value.", "Missing from this list: 1 row, 1 proposed",
        ] {
            #expect(text.contains(line), "\(text)")
        }
        #expect(try forum.verified("hq") == edited)
        try forum.must("hq", "import", "people", v2, "--list", "v2")
        #expect(try forum.proposals("hq") == ["TM-011: missing from list, people list v2"])
        // It is called what it was called first.
        try forum.must("hq", "import", "people", v2, "--list", "v2 again")
        #expect(try forum.proposals("hq") == ["TM-011: missing from list, people list v2"])
        try forum.must("hq", "import", "people", Programs.sample("people.csv"))
        #expect(try forum.proposals("hq").isEmpty)
    }
}
