import Foundation
import Testing

/// What is sent to whoever helps, and what two states of the records differ in.
@Suite struct StoriesOfSupport {
    @Test func `a support file tells what is wrong, and nothing of anybody`() throws {
        let forum = try Forum(prepared: ["L1", "L2"])
        try forum.connect("L1", "L2")
        let canary = "Kanarienvogel"
        try forum.must("L1", "set", "person", "AZ-014", "name_native=\(canary)", "role=\(canary)")
        try forum.must(
            "L1", "person", "add", "--native", "\(canary) X", "--delegation", "AZ", "--as", canary)
        try forum.must(
            "L1", "attend", "P07", "AZ-014", "--excused", canary, "--as", canary, "--door", canary)
        try forum.must("L1", "visit", "V12", "KZ", "--outcome", canary, "--note", canary)
        try forum.must("L2", "attend", "P07", "AZ-014")
        try forum.must("L2", "sync")
        let revoked = try Programs.run(
            "karvan-hub",
            ["device", "revoke", "L1", "--reason", canary, "--store", "hub.sqlite"],
            in: forum.directory)
        #expect(revoked.status == 0)
        #expect(try forum.karvan("L1", "sync").status == 77)
        // Two bytes of a row: a fault that has a place.
        try forum.sqlite3(
            "L1",
            "UPDATE item SET status = 'done\(canary)' WHERE code = 'V09'; DELETE FROM sy_dirty")
        let before = try Data(contentsOf: forum.path("L1.sqlite"))
        let told = try forum.must("L1", "doctor", "--output", "support.json")
        #expect(try Data(contentsOf: forum.path("L1.sqlite")) == before)
        for words in [
            "ok  programs", " !  hub", "refused this laptop", "wrote support.json", "1 fault",
            "karvan repair --dry-run",
        ] {
            #expect(told.contains(words), "\(words) in \(told)")
        }
        let data = try Data(contentsOf: forum.path("support.json"))
        let text = String(decoding: data, as: UTF8.self)
        let facts = try #require(try JSONSerialization.jsonObject(with: data) as? [String: Any])
        for secret in [canary, "L1", "L2", "AZ-014", "127.0.0.1", "Məmmədov", "/tmp"] {
            #expect(!text.contains(secret) && !told.contains(canary), "\(secret)")
        }
        #expect((facts["rows"] as? [String: Int])?["person"] == 521)
        #expect(facts["faults"] as? Int == 1 && facts["refused"] as? Bool == true)
        #expect((facts["damaged_rows"] as? [[String: Any]])?.first?["table"] as? String == "item")
        let again = try forum.karvan("L1", "doctor", "--output", "support.json")
        #expect(again.status == 65 && again.errors.contains("exists already"))
        let well = try forum.must("L2", "doctor")
        #expect(well.hasSuffix("All is well.\n"), "\(well)")
    }

    @Test func `two states are told apart, in time and between laptops`() throws {
        let forum = try Forum(prepared: ["L1", "L2"])
        try forum.connect("L1", "L2")
        try forum.must("L1", "visit", "V12", "KZ", "--arrived", "10:10", "--as", "Leyla")
        let vector = try #require(
            try forum.json("L1", "report", "visits")["vector"] as? String)
        try forum.must("L1", "visit", "V12", "KZ", "--arrived", "10:25")
        try forum.must("L1", "set", "item", "V09", "status=done")
        try forum.must("L1", "delete", "person", "AZ-014")
        let told = try forum.must("L1", "diff", "--vector", vector)
        for line in [
            "  item V09", "    status  planned → done", "- person AZ-014",
            "    actual_arrival  2025-11-26T10:10:00+04:00 → 2025-11-26T10:25:00+04:00",
        ] {
            #expect(told.contains(line + "\n"), "\(line) in \(told)")
        }
        #expect(told.hasSuffix("\n3 rows differ\n"), "\(told)")
        #expect(try forum.must("L1", "diff", "--at", "2099-01-01T00:00Z") == "Nothing differs.\n")
        let rows = try #require(
            try forum.json("L1", "diff", "--with", "L2.sqlite")["rows"] as? [[String: Any]])
        #expect(
            rows.map { "\($0["kind"] ?? "") \($0["table"] ?? "") \($0["name"] ?? "")" } == [
                "removed person AZ-014", "changed item V09", "added visit V12/KZ",
            ])
        for laptop in ["L1", "L2"] { try forum.must(laptop, "sync") }
        #expect(try forum.must("L1", "diff", "--with", "L2.sqlite") == "Nothing differs.\n")
        #expect(
            try forum.must("L1", "diff", "--with", "L2.sqlite", "--table", "visit")
                == "Nothing differs.\n")
        for (arguments, status) in [
            ([], 64), (["--with", "L2.sqlite", "--vector", vector], 64),
            (["--with", "no.sqlite"], 65),
            (["--with", "L2.sqlite", "--table", "bus"], 65),
        ] {
            let finished = try Programs.run(
                "karvan", ["diff"] + arguments, in: forum.directory,
                environment: ["KARVAN_REPLICA": "L1.sqlite"])
            #expect(finished.status == status, "\(arguments) \(finished)")
        }
    }
}
