import Foundation
import Testing

/// What people write with SQLite's own shell is recorded like everything else.
@Suite struct ShellTests {
    /// The changes that wait on a laptop for the hub.
    private func waiting(_ laptop: String, in forum: Forum) throws -> Int {
        try #require(try forum.json(laptop, "status")["waiting"] as? Int)
    }

    private func value(
        _ column: String, of badge: String, on laptop: String, in forum: Forum
    ) throws -> String? {
        try forum.rows(laptop, "SELECT \(column) FROM person WHERE badge = '\(badge)'").first
    }

    private func expectEqual(_ laptops: String..., in forum: Forum) throws {
        let hub = try forum.verified("hub")
        for laptop in laptops { #expect(try forum.verified(laptop) == hub, "\(laptop)") }
    }

    @Test func `what sqlite3 writes becomes changes at the next command and reaches others`() throws
    {
        let forum = try Forum(prepared: ["L1", "L2"])
        try forum.connect("L1", "L2")
        let statements = [
            "UPDATE person SET role = 'moderator' WHERE badge = 'AZ-060'",
            """
            INSERT INTO note(id, subject_table, subject, author, text)
            SELECT randomblob(16), 2, id, 'Leyla', 'sits in front' FROM person
            WHERE badge = 'AZ-060'
            """,
            """
            INSERT OR REPLACE INTO person(id, badge, name_native, name_latin, role, languages,
              delegation, merged_into)
            SELECT id, badge, name_native, name_latin, 'guest', languages, delegation, merged_into
            FROM person WHERE badge = 'AZ-061'
            """,
            "DELETE FROM person WHERE badge = 'AZ-062'",
        ]
        for statement in statements {
            let before = try waiting("L1", in: forum)
            try forum.sqlite3("L1", statement)
            #expect(try waiting("L1", in: forum) > before, "\(statement)")
        }
        for laptop in ["L1", "L2"] { try forum.must(laptop, "sync") }
        try expectEqual("L1", "L2", in: forum)
        for laptop in ["L1", "L2"] {
            #expect(try value("role", of: "AZ-060", on: laptop, in: forum) == "moderator")
            #expect(try value("role", of: "AZ-061", on: laptop, in: forum) == "guest")
            #expect(try value("count(*)", of: "AZ-062", on: laptop, in: forum) == "0")
            let notes = try forum.rows(laptop, "SELECT author || ': ' || text FROM note")
            #expect(notes == ["Leyla: sits in front"])
            #expect(try forum.conflicts(laptop).isEmpty)
        }
    }

    @Test(arguments: [
        // All columns are named, and all but one keep their value.
        """
        UPDATE person SET role = 'guest', name_latin = name_latin, name_native = name_native,
          delegation = delegation WHERE badge = 'AZ-060'
        """,
        // SQLite deletes the row and inserts another one.
        """
        INSERT OR REPLACE INTO person(id, badge, name_native, name_latin, role, languages,
          delegation, merged_into)
        SELECT id, badge, name_native, name_latin, 'guest', languages, delegation, merged_into
        FROM person WHERE badge = 'AZ-060'
        """,
        """
        CREATE TEMP TABLE kept AS SELECT * FROM person WHERE badge = 'AZ-060';
        DELETE FROM person WHERE badge = 'AZ-060';
        UPDATE kept SET role = 'guest';
        INSERT INTO person SELECT * FROM kept
        """,
    ])
    func `columns that sqlite3 leaves as they were are not written`(_ statement: String) throws {
        let forum = try Forum(prepared: ["L1", "L2"])
        try forum.connect("L1", "L2")
        try forum.sqlite3("L1", statement)
        // Concurrent edits of all that L1 did not change.
        try forum.must(
            "L2", "set", "person", "AZ-060", "name_latin=Changed", "name_native=Dəyişdi",
            "delegation=TR", "languages+=hu")
        for laptop in ["L1", "L2", "L1"] { try forum.must(laptop, "sync") }
        try expectEqual("L1", "L2", in: forum)
        for laptop in ["L1", "L2"] {
            #expect(try forum.conflicts(laptop).isEmpty, "\(laptop)")
            let cells = try forum.json(laptop, "show", "person", "AZ-060")["columns"]
            let texts = (cells as? [[String: Any]] ?? []).map {
                "\($0["column"] ?? "")=\($0["value"] ?? "") by \($0["device"] ?? "")"
            }
            #expect(
                texts == [
                    "badge=AZ-060 by hq", "name_native=Dəyişdi by L2", "name_latin=Changed by L2",
                    "role=guest by L1", "languages=az;en;hu;tr by L2", "delegation=TR by L2",
                ], "\(laptop)")
        }
    }

    @Test func `what changes nothing is no change`() throws {
        let forum = try Forum(prepared: ["L1"])
        let before = try forum.verified("L1")
        try forum.sqlite3("L1", "UPDATE person SET role = role, badge = badge")
        try forum.sqlite3("L1", "BEGIN; UPDATE person SET role = 'x'; ROLLBACK")
        #expect(try forum.verified("L1") == before)
        #expect(try waiting("L1", in: forum) == 0)
    }

    @Test func `karvan shell records what its statements write`() throws {
        let forum = try Forum(prepared: ["L1", "L2"])
        try forum.connect("L1", "L2")
        let update = "UPDATE person SET role = 'chair' WHERE badge = 'AZ-063'"
        try forum.must("L1", "shell", "--", update)
        // Before any other command.
        try forum.must("L1", "sync")
        try forum.must("L2", "sync")
        #expect(try value("role", of: "AZ-063", on: "L2", in: forum) == "chair")
        #expect(
            try forum.must("L1", "shell", "--", "SELECT role FROM person WHERE badge = 'AZ-063'")
                == "chair\n")
        try expectEqual("L1", "L2", in: forum)
        let before = try forum.verified("L1")
        let wrong = try forum.karvan("L1", "shell", "--", "nonsense")
        #expect(wrong.status == 65 && wrong.errors.contains("sqlite3 ended with 1"))
        #expect(try forum.verified("L1") == before)
    }

    @Test func `while karvan shell runs, recording waits`() throws {
        let forum = try Forum(prepared: ["L1"])
        let laptop = Laptop("L1", forum)
        let (held, slept) = (forum.path("held").path, forum.path("slept").path)
        let shell = try laptop.start(
            ["shell", "--", ".shell touch '\(held)'; sleep 1; touch '\(slept)'"])
        try #require(becomesTrue(withinSeconds: 20) { forum.exists("held") })
        #expect(!forum.exists("slept"))
        let finished = try laptop.run("attend", "P07", "AZ-014", limitSeconds: 20)
        #expect(finished.status == 0, "\(finished.errors)")
        #expect(forum.exists("slept"))
        #expect(try shell.finish(limitSeconds: 20).status == 0)
        #expect(try forum.rows("L1", "SELECT count(*) FROM attendance") == ["1"])
    }
}
