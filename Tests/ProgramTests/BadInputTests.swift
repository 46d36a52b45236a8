import Foundation
import Testing

/// What can't be used is refused whole, with a word on what to do instead.
@Suite struct BadInput {
    @Test(arguments: [
        Mistake(
            "an unknown badge", ["attend", "P07", "AZ-999"], ends: 65,
            says: "nobody has the badge AZ-999", "karvan list person"),
        Mistake(
            "an unknown badge among others", ["attend", "P07", "AZ-014", "AZ-999", "AZ-015"],
            ends: 65, says: "nobody has the badge AZ-999"),
        Mistake("what is no badge", ["attend", "P07", "?"], ends: 65, says: "badge ?"),
        Mistake(
            "an unknown item", ["attend", "P99", "AZ-014"], ends: 65, says: "there is no item P99",
            "karvan list item"),
        Mistake(
            "an unknown delegation", ["visit", "V12", "XX", "--arrived", "10:10"], ends: 65,
            says: "there is no delegation XX", "karvan list delegation"),
        Mistake(
            "an hour that no day has", ["attend", "P07", "AZ-014", "--at", "25:99"], ends: 65,
            says: "25:99", "00:00:00 to 23:59:59"),
        Mistake(
            "what is no time", ["attend", "P07", "AZ-014", "--at", "yesterday"], ends: 65,
            says: "yesterday", "write it like 2025-11-26T10:10:00+04:00"),
        Mistake(
            "nothing to undo", ["attend", "P07", "AZ-014", "--undo"], ends: 65,
            says: "has recorded nothing of AZ-014 at P07"),
        Mistake("an empty visit", ["visit", "V12", "KZ"], ends: 65, says: "--arrived"),
        Mistake(
            "an unknown status", ["visit", "V12", "KZ", "--status", "odd"], ends: 65,
            says: "planned, cancelled, done"),
        Mistake(
            "an unknown table", ["set", "persons", "AZ-014", "role=x"], ends: 65,
            says: "there is no table persons", "person"),
        Mistake(
            "an unknown column", ["set", "person", "AZ-014", "rank=x"], ends: 65,
            says: "no column rank", "role"),
        Mistake(
            "no assignment", ["set", "person", "AZ-014", "role"], ends: 65, says: "COLUMN=VALUE"),
        Mistake(
            "another badge", ["set", "person", "AZ-014", "badge=AZ-015"], ends: 65,
            says: "never changes"),
        Mistake(
            "a changed observation", ["set", "observation", "0000", "kind=out"], ends: 65,
            says: "never changed", "--undo"),
        Mistake(
            "an unknown reference", ["set", "person", "AZ-014", "delegation=XX"], ends: 65,
            says: "there is no delegation XX"),
        Mistake(
            "a basis that is none", ["set", "person", "AZ-014", "role=x", "--basis", "zz"],
            ends: 65, says: "STREAM:SEQ"),
        Mistake("an unknown row", ["delete", "person", "AZ-999"], ends: 65, says: "AZ-999"),
        Mistake(
            "an unknown conflict", ["conflicts", "resolve", "abcdef12", "--take", "A"], ends: 21,
            says: "no open conflict abcdef12", "karvan conflicts list --open"),
        Mistake(
            "half a conflict's id", ["conflicts", "resolve", "ab", "--take", "A"], ends: 65,
            says: "at least four digits"),
        Mistake("SQL that writes", ["sql", "DELETE FROM person"], ends: 65, says: "karvan shell"),
        Mistake("SQL that is none", ["sql", "SELEKT 1"], ends: 65, says: "SELEKT"),
        Mistake(
            "a replica that exists", ["init", "--name", "other"], ends: 65,
            says: "L1.sqlite exists already"),
        Mistake(
            "a missing list", ["import", "people", "nowhere.csv"], ends: 65,
            says: "nowhere.csv can't be read"),
        Mistake(
            "an unknown kind of list", ["import", "buses", "nowhere.csv"], ends: 65,
            says: "there is no list of buses", "delegations, people, sites, programme"),
    ])
    func `nothing is written for`(_ mistake: Mistake) throws {
        let forum = try Forum(prepared: ["L1"])
        try forum.expectNothingWritten(mistake, on: "L1")
    }

    @Test func `usage errors end with 64`() throws {
        let forum = try Forum(prepared: ["L1"])
        let before = try forum.verified("L1")
        let mistakes: [(arguments: [String], says: String)] = [
            (["atend", "P07", "AZ-014"], "'atend'"), (["attend"], "<item>"),
            (["attend", "P07"], "<people>"),
            (["attend", "P07", "AZ-014", "--in", "--out"], "one of --in, --out"),
            (["attend", "P07", "AZ-014", "AZ-015", "--undo"], "--undo takes one person"),
            (["attend", "P07", "AZ-014", "--loud"], "--loud"),
            (["visit", "V12", "KZ", "--headcount", "many"], "many"), (["init"], "--name"),
            (["sync", "--every", "0"], "1 to 3600"),
            (["conflicts", "resolve", "abcdef12"], "one of --take, --take-from"),
            (["conflicts", "list", "--class", "7"], "--class takes 1 or 2"),
        ]
        for (arguments, says) in mistakes {
            try forum.expect(
                Mistake(arguments.joined(separator: " "), arguments, ends: 64, says: says), on: "L1"
            )
        }
        #expect(try forum.verified("L1") == before)
    }

    @Test func `a replica that is none is left as it is`() throws {
        let forum = try Forum()
        try Data("attendance of the first day\n".utf8).write(to: forum.path("text.sqlite"))
        try Data().write(to: forum.path("empty.sqlite"))
        try forum.sqlite3("other", "CREATE TABLE guests(name); INSERT INTO guests VALUES('A')")
        for name in ["text", "empty", "other"] {
            let before = try Data(contentsOf: forum.path("\(name).sqlite"))
            for arguments in [["attend", "P07", "AZ-014"], ["status"], ["sync"]] {
                try forum.expect(
                    Mistake(
                        name, arguments, ends: 78, says: "\(name).sqlite is not a Karvan replica",
                        "--replica"), on: name)
            }
            #expect(try Data(contentsOf: forum.path("\(name).sqlite")) == before)
            try forum.expect(
                Mistake(name, ["init", "--name", "L1"], ends: 65, says: "exists already"), on: name)
            #expect(try Data(contentsOf: forum.path("\(name).sqlite")) == before)
            #expect(!forum.exists("\(name).sqlite.key"))
        }
        try forum.expect(
            Mistake(
                "missing", ["attend", "P07", "AZ-014"], ends: 65,
                says: "missing.sqlite: there is no such file", "karvan init --name"), on: "missing")
        #expect(!forum.exists("missing.sqlite"))
    }

    @Test func `sync without a hub ends with 78`() throws {
        let forum = try Forum()
        try forum.must("L1", "init", "--name", "L1")
        try forum.expectNothingWritten(
            Mistake("no hub", ["sync"], ends: 78, says: "knows no hub", "karvan enrol URL TOKEN"),
            on: "L1")
    }
}

/// Lists with something wrong in them: all or nothing.
@Suite struct BadInputLists {
    enum Fault: String, CaseIterable {
        case openQuote, surplusField, missingField, unknownDelegation, notUTF8

        func apply(to line: String) -> [UInt8] {
            var fields = line.split(separator: ",", omittingEmptySubsequences: false)
            switch self {
            case .openQuote: fields[1] = "\"" + fields[1]
            case .surplusField: fields.append("x")
            case .missingField: fields.removeLast()
            case .unknownDelegation: fields[5] = "XX"
            case .notUTF8: return Array(line.utf8) + [0xff, 0xfe]
            }
            return Array(fields.joined(separator: ",").utf8)
        }

        var says: String {
            switch self {
            case .openQuote: "has a quote in the wrong place"
            case .surplusField: "the record has 9 fields and not 8"
            case .missingField: "the record has 7 fields and not 8"
            case .unknownDelegation: "there is no delegation XX; import it first"
            case .notUTF8: "is not UTF-8"
            }
        }
    }

    @Test(arguments: Fault.allCases)
    func `a fault at line 300 is named and nothing is imported`(_ fault: Fault) throws {
        let forum = try Forum()
        try forum.must("L1", "init", "--name", "L1")
        try forum.must("L1", "import", "delegations", Programs.sample("delegations.csv"))
        let text = try String(contentsOfFile: Programs.sample("people.csv"), encoding: .utf8)
        var lines = text.split(separator: "\n").map { Array($0.utf8) }
        // No quoted field in it.
        lines[299] = fault.apply(to: "TR-119,Ad Soyad,Ad Soyad,delegate,tr,TR,,ad@example.org")
        try Data(lines.joined(separator: Array("\n".utf8))).write(to: forum.path("people.csv"))
        let facts = try forum.expectNothingWritten(
            Mistake(
                fault.rawValue, ["import", "people", "people.csv"], ends: 65,
                says: "people.csv: line 300", fault.says, "nothing was imported"), on: "L1")
        let problems = facts["problems"] as? [[String: Any]] ?? []
        #expect(problems.first?["line"] as? Int == 300 && problems.count == 1)
        #expect(try forum.rows("L1", "SELECT count(*) FROM person") == ["0"])
    }

    @Test func `a list without a fault is imported, and once more without any change`() throws {
        let forum = try Forum()
        try forum.must("L1", "init", "--name", "L1")
        try forum.must("L1", "import", "delegations", Programs.sample("delegations.csv"))
        let before = try forum.verified("L1")
        // Said what would be done, and not done.
        let people = ["import", "people", Programs.sample("people.csv")]
        let would = try forum.must("L1", people + ["--dry-run"])
        #expect(would.contains("Would import") && would.contains("1040 rows new"))
        #expect(try forum.verified("L1") == before)
        try forum.must("L1", people)
        let imported = try forum.verified("L1")
        let again = try forum.must("L1", people)
        #expect(again.contains("0 rows new, 0 changed, 1040 as before"))
        #expect(try forum.verified("L1") == imported && imported != before)
    }
}
