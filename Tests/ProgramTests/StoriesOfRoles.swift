import Foundation
import Testing

/// What laptops of each role are let do, and what they are told.
@Suite struct StoriesOfRoles {
    private func forum(_ roles: [String]) throws -> Forum {
        let forum = try Forum()
        try forum.startHub()
        try forum.enrol("HQ")
        try forum.importSample(on: "HQ")
        try forum.must("HQ", "sync")
        for role in roles {
            try forum.must(role, "init", "--name", role)
            try forum.must(role, "enrol", forum.url, try forum.token("--role", role))
            try forum.must(role, "sync")
        }
        return forum
    }

    private func run(_ forum: Forum, _ laptop: String, _ arguments: [String]) throws -> Finished {
        try Programs.run(
            "karvan", arguments, in: forum.directory,
            environment: ["KARVAN_REPLICA": "\(laptop).sqlite"])
    }

    /// Ends with 77, says what is to be done, and writes nothing.
    private func expectRefused(
        _ forum: Forum, _ laptop: String, _ arguments: [String], table: String,
        of scope: String? = nil
    ) throws {
        let before = try forum.stateHash(laptop)
        let finished = try run(forum, laptop, arguments)
        #expect(finished.status == 77, "\(arguments): \(finished)")
        #expect(
            finished.errors.contains(
                "not let change \(table)\(scope.map { " of \($0)" } ?? ""): it is enrolled as \(laptop)"
            ),
            "\(finished.errors)")
        #expect(finished.errors.contains("`karvan enrol`"))
        #expect(try forum.stateHash(laptop) == before)
    }

    @Test func `a recorder records who came, and leaves the programme to the coordinators`() throws
    {
        let forum = try forum(["recorder"])
        try expectRefused(
            forum, "recorder", ["set", "item", "V09", "planned_start=2025-11-26T15:00+04:00"],
            table: "item")
        try expectRefused(
            forum, "recorder", ["delete", "site", "NAX-KARABAGHLAR"], table: "site")
        try forum.must("recorder", "attend", "P07", "AZ-014")
        try forum.must("recorder", "person", "add", "--native", "Əli", "--delegation", "AZ")
        try forum.must("recorder", "sync")
        try forum.must("HQ", "sync")
        #expect(try forum.stateHash("HQ") == forum.stateHash("recorder"))
        #expect(try forum.must("HQ", "list", "observation").contains("AZ-014"))
    }

    @Test func `a viewer sees all, and writes nothing`() throws {
        let forum = try forum(["viewer"])
        try forum.must("HQ", "sync")
        #expect(try forum.stateHash("HQ") == forum.stateHash("viewer"))
        try expectRefused(
            forum, "viewer", ["attend", "P07", "AZ-014"], table: "observation", of: "delegation/AZ")
        try expectRefused(
            forum, "viewer", ["tally", "V01", "door A", "+3"], table: "tally")
        let json = try run(forum, "viewer", ["attend", "P07", "AZ-014", "--json"])
        #expect(json.status == 77 && json.errors.hasPrefix("{"), "\(json)")
    }

    @Test func `what another program changed and may not is taken back, and told`() throws {
        let forum = try forum(["recorder"])
        _ = try forum.sqlite3("recorder", "UPDATE item SET status = 'done' WHERE code = 'V09'")
        try forum.must("recorder", "attend", "P07", "AZ-014")
        try forum.must("recorder", "sync")
        let status = try forum.must("recorder", "status")
        #expect(status.contains("to send        nothing"), "\(status)")
        #expect(
            status.contains(
                "changed item V09, which this laptop is not let, and that was taken back: "
                    + "status='done'"), "\(status)")
        #expect(try forum.must("recorder", "list", "device").contains("1 element\n"))
        #expect(try forum.must("recorder", "show", "item", "V09").contains("planned"))
        #expect(try forum.must("recorder", "verify").contains("is whole"))
        try forum.must("HQ", "sync")
        #expect(try forum.must("HQ", "list", "observation").contains("AZ-014"))
        #expect(try forum.stateHash("HQ") == forum.stateHash("recorder"))
    }

    @Test func `a laptop of one forum joins no other`() throws {
        let (forum, other) = (try forum([]), try self.forum([]))
        let refused = try run(forum, "HQ", ["enrol", other.url, try other.token()])
        #expect(refused.status == 77 && refused.errors.contains("another forum"), "\(refused)")
        try forum.must("HQ", "sync")
    }

    @Test func `what was recorded before joining, and may not be, is refused and kept`() throws {
        let forum = try forum([])
        try forum.must("new", "init", "--name", "new")
        try forum.must("new", "import", "sites", Programs.sample("sites.csv"))
        try forum.must("new", "enrol", forum.url, try forum.token("--role", "recorder"))
        let refused = try run(forum, "new", ["sync"])
        #expect(refused.status == 77, "\(refused)")
        #expect(refused.errors.contains("may not change site"), "\(refused.errors)")
        #expect(try (forum.json("new", "status")["waiting"] as? Int ?? 0) > 0)
        try forum.must("new", "enrol", forum.url, try forum.token("--role", "coordinator"))
        for laptop in ["new", "HQ"] { try forum.must(laptop, "sync") }
        #expect(try forum.json("new", "status")["waiting"] as? Int == 0)
        #expect(try forum.stateHash("HQ") == forum.stateHash("new"))
    }

    @Test func `a hub that was made before certificates serves its laptops, and lets in no others`()
        throws
    {
        let forum = try forum([])
        forum.stopHub(signal: SIGTERM)
        // As such a store is: no root, and laptops that know none.
        try FileManager.default.removeItem(at: forum.path("hub.sqlite.root"))
        let forget = "DELETE FROM sy_meta WHERE key IN ('root', 'hub_certificate', 'certificate')"
        for store in ["hub", "HQ"] { _ = try forum.sqlite3(store, forget) }
        try forum.startHub()
        try forum.must("HQ", "set", "item", "V09", "status=done")
        try forum.must("HQ", "sync")
        #expect(throws: ProgramError.self) { try forum.token() }
        do { _ = try forum.token() } catch let error as ProgramError {
            #expect(error.description.contains("had no certificates"), "\(error)")
        }
    }
}
