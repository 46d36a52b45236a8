import Foundation
import Testing

/// `--json` prints one object for each command, with the members that other programs rely on.
@Suite struct OutputJSON {
    /// A command and the members of what it prints, in their order.
    struct Printed: Sendable {
        var arguments: [String]
        var members: String

        init(_ arguments: String..., members: String) {
            self.arguments = arguments
            self.members = members
        }
    }

    /// In this order: some need what others wrote.
    static let recording = [
        Printed(
            "import", "people", Programs.sample("people.csv"), "--dry-run",
            members: """
                kind file dry_run lines created changed unchanged kept conflicts missing proposed \
                erased differences
                """),
        Printed(
            "person", "add", "--native", "Gülşən Məmmədova", "--delegation", "AZ",
            members: "person alike changes"),
        Printed("person", "transfer", "AZ-021", "KZ", members: "person from changed changes"),
        Printed("person", "merge", "AZ-022", "AZ-023", members: "kept merged changes"),
        Printed("person", "unmerge", "AZ-023", members: "person taken_back changes"),
        Printed(
            "person", "split", "AZ-024", "--native", "Aysel",
            members: "first second moved changes"),
        Printed("attend", "P07", "AZ-014", "AZ-015", members: "item kind recorded changes"),
        Printed(
            "attend", "P07", "AZ-014", "--undo",
            members: "item badge taken_back observation changes"),
        Printed(
            "visit", "V12", "KZ", "--arrived", "10:10", members: "visit item delegation changes"),
        Printed("set", "person", "AZ-014", "role=speaker", members: "table id changed changes"),
        Printed("delete", "person", "AZ-180", members: "table id changes"),
        Printed("erase", "AZ-180", members: "people dry_run emptied changes"),
        Printed(
            "photo", "add", "item", "V12", "p.jpg", members: "table record photos changes"),
        Printed("photo", "list", members: "photos"),
        Printed(
            "photo", "save", String(OutputJSON.pictureHash.prefix(8)), members: "file id sha256"),
        Printed("list", "attendance", members: "table rows"),
        Printed("list", "attendance_summary", "--item", "P07", members: "table rows"),
        Printed("list", "person", members: "table rows"),
        Printed("list", "tally", members: "table rows totals"),
        Printed("show", "person", "AZ-014", members: "table id columns"),
        Printed("show", "person", "AZ-014", "--blame", members: "table id columns"),
        Printed(
            "show", "person", "AZ-014", "--at", "2099-01-01T00:00Z",
            members: "table id at by_receipt last_received columns"),
        Printed(
            "list", "person", "--at", "2099-01-01T00:00Z",
            members: "table at by_receipt last_received rows"),
        Printed("history", "person", "AZ-014", members: "table id name deleted operations"),
        Printed(
            "bundle", "export", "b.karvan", members: "files for device changes photos photo_bytes"),
        Printed("bundle", "import", "b.karvan", members: "bundles"),
        Printed(
            "bundle", "show", "b.karvan",
            members:
                "file by sender made for series part last_part bytes scopes photos photo_bytes new_photos"
        ),
        Printed("sql", "SELECT badge, role FROM person LIMIT 3", members: "rows"),
        Printed(
            "status",
            members: """
                replica name device hub waiting oldest_waiting last_success clock_offset_ms \
                open_conflicts quarantined scopes refused lost_commits left unreadable_rows \
                erasures_asked unreadable_values photos rows changes
                """),
        Printed("status", "--mine", "--last", "3", members: "changes refused"),
        Printed(
            "verify",
            members: "runs changes rows state_hash lost_commits missing_end problems"),
        Printed("verify", "--state-hash", members: "state_hash"),
        Printed("conflicts", "list", members: "conflicts deferred more"),
        Printed("conflicts", "log", members: "decisions"),
        Printed(
            "sync",
            members: """
                sent received waiting quarantined_runs dropped_scopes round_trips \
                clock_offset_ms photos bytes_out bytes_in
                """),
    ]

    /// A picture of no more than its head, and its SHA-256.
    static let picture = Data([0xff, 0xd8, 0xff, 0xe0])
    static let pictureHash = "ba4f25bf16ba4be6bc7d3276fafeb67f9eb3c5df042bc3a405e1af15b921eed7"

    /// Runs it, holds the object against its members and gives it back.
    @discardableResult
    private func expect(
        _ printed: Printed, program: String = "karvan", in forum: Forum, on laptop: String = "L1",
        ends status: Int32 = 0, sourceLocation: SourceLocation = #_sourceLocation
    ) throws -> [String: Any] {
        let finished = try Programs.run(
            program, printed.arguments + ["--json"], in: forum.directory,
            environment: ["KARVAN_REPLICA": "\(laptop).sqlite"])
        #expect(finished.status == status, "\(finished.errors)", sourceLocation: sourceLocation)
        #expect(finished.errors.isEmpty, "\(finished.errors)", sourceLocation: sourceLocation)
        // JSONSerialization forgets the order; top members are indented by two spaces.
        let order = finished.output.split(separator: "\n")
            .filter { $0.hasPrefix("  \"") }
            .compactMap { $0.split(separator: "\"").dropFirst().first.map(String.init) }
        #expect(
            order.joined(separator: " ") == printed.members, "\(printed.arguments)",
            sourceLocation: sourceLocation)
        #expect(finished.json.count == order.count, sourceLocation: sourceLocation)
        return finished.json
    }

    @Test func `every command that records or shows`() throws {
        let forum = try Forum(prepared: ["L1"])
        try forum.connect("L1")
        try Self.picture.write(to: forum.path("p.jpg"))
        try expect(
            Printed("init", "--name", "new", members: "replica name device stream"), in: forum,
            on: "new")
        try expect(
            Printed("enrol", forum.url, try forum.token(), members: "hub role scopes"), in: forum,
            on: "new")
        for printed in Self.recording { try expect(printed, in: forum) }
        let columns = try expect(
            Printed("show", "person", "AZ-014", members: "table id columns"), in: forum)["columns"]
        for column in try #require(columns as? [[String: Any]]) {
            #expect(
                Set(column.keys) == [
                    "column", "value", "device", "person", "claimed", "others", "basis",
                ])
        }
    }

    @Test func `every command of the hub`() throws {
        let forum = try Forum(prepared: [])
        let devices =
            try expect(
                Printed("device", "list", "--store", "hub.sqlite", members: "devices"),
                program: "karvan-hub", in: forum)["devices"] as? [[String: Any]]
        for device in try #require(devices) {
            #expect(
                Set(device.keys) == [
                    "device", "name", "role", "scopes", "enrolled", "last_contact", "waiting",
                    "clock_offset_ms", "revoked",
                ])
        }
        try expect(
            Printed(
                "token", "create", "--store", "hub.sqlite",
                members: "token expires role scopes command png"),
            program: "karvan-hub", in: forum)
        let name = try #require(devices?.first?["name"] as? String)
        try expect(
            Printed(
                "device", "grant", name, "--scope", "delegation/KZ", "--store", "hub.sqlite",
                members: "device name role scopes"), program: "karvan-hub", in: forum)
        try expect(
            Printed(
                "device", "revoke", name, "--since", "2000-01-01T00:00:00Z", "--store",
                "hub.sqlite", members: "device name changes taken_out"),
            program: "karvan-hub", in: forum)
        let kept =
            try expect(
                Printed("quarantine", "list", "--store", "hub.sqlite", members: "runs"),
                program: "karvan-hub", in: forum)["runs"] as? [[String: Any]]
        for run in try #require(kept) {
            #expect(
                Set(run.keys) == [
                    "no", "device", "name", "stream", "first", "last", "received", "reason",
                    "skipped",
                ])
        }
        let facts = "changes up_to made"
        try expect(
            Printed(
                "certificate", "show", "--store", "hub.sqlite",
                members: "pin next_pin names good_until told"), program: "karvan-hub", in: forum)
        try expect(
            Printed(
                "backup", "hub.karvan", "--store", "hub.sqlite",
                members: "backup \(facts) photos damaged_photos"),
            program: "karvan-hub", in: forum)
        try expect(
            Printed(
                "restore", "hub.karvan", "--dry-run", "--store", "hub.sqlite",
                members: "dry_run backup \(facts) lacking present_damaged kept_as"),
            program: "karvan-hub", in: forum)
    }

    @Test func `conflicts and decisions`() throws {
        let forum = try Forum(prepared: ["L1", "L2"])
        try forum.connect("L1", "L2")
        try forum.must("L1", "visit", "V12", "KZ", "--arrived", "10:10", "--as", "Leyla")
        try forum.must("L2", "visit", "V12", "KZ", "--arrived", "10:25", "--as", "Murad")
        for laptop in ["L1", "L2", "L1"] { try forum.must(laptop, "sync") }
        let listed = try expect(
            Printed("conflicts", "list", "--open", members: "conflicts deferred more"), in: forum,
            ends: 20)
        let conflicts = try #require(listed["conflicts"] as? [[String: Any]])
        let id = try #require(conflicts.first?["id"] as? String)
        let shown = try expect(
            Printed(
                "conflicts", "show", id,
                members: """
                    id class table row name column rule shown within_tolerance explanation \
                    candidates choices deferred past
                    """), in: forum)
        let past = try #require(shown["past"] as? [String: Any])
        let steps = try #require(past["steps"] as? [[String: Any]])
        #expect(Set(past.keys) == ["earlier", "steps"] && steps.count == 2)
        #expect(
            Set(steps.flatMap(\.keys)) == [
                "dot", "label", "value", "shown", "resolution", "base", "device", "person",
                "source", "claimed", "recorded", "received", "came_of",
            ])
        try expect(
            Printed("conflicts", "explain", id, members: "id subject class why rule shown ends"),
            in: forum)
        let candidates = try #require(shown["candidates"] as? [[String: Any]])
        #expect(candidates.compactMap { $0["person"] as? String } == ["Leyla", "Murad"])
        for candidate in candidates {
            #expect(
                Set(candidate.keys) == [
                    "label", "dot", "value", "shown", "resolution", "delete", "device", "person",
                    "claimed", "recorded", "saw",
                ])
        }
        let members = "conflict subject value effect dry_run changes"
        let take = ["conflicts", "resolve", id, "--take", "A", "--reason", "the bus log"]
        var would = Printed(members: members)
        would.arguments = take + ["--dry-run"]
        #expect((try expect(would, in: forum)["changes"] as? [String])?.isEmpty == true)
        would.arguments = take
        #expect((try expect(would, in: forum)["changes"] as? [String])?.count == 1)
        let log = try expect(Printed("conflicts", "log", members: "decisions"), in: forum)
        let decision = try #require((log["decisions"] as? [[String: Any]])?.first)
        #expect(
            Set(decision.keys) == [
                "id", "dot", "subject", "what", "stands", "value", "reason", "device", "person",
                "claimed",
            ])
        let decisionID = try #require(decision["id"] as? String)
        try expect(
            Printed(
                "conflicts", "undo", decisionID,
                members: "decision subject what value put_back stays conflict changes"), in: forum)
        try expect(
            Printed("conflicts", "defer", id, members: "conflict subject until changes"), in: forum)
        let several = "settled left deferred id decision dry_run changes"
        let all = [
            "conflicts", "resolve", "--table", "visit", "--all", "--reason", "why", "--take",
        ]
        would = Printed(members: several)
        would.arguments = all + ["shown", "--dry-run"]
        #expect((try expect(would, in: forum)["left"] as? [Any])?.isEmpty == true)
        would.arguments = all + ["held"]
        let left = try #require(try expect(would, in: forum)["left"] as? [[String: Any]])
        #expect(Set(left.flatMap(\.keys)) == ["conflict", "subject", "why"])
        would.arguments = all + ["latest"]
        let done = try expect(would, in: forum)
        let settled = try #require(done["settled"] as? [[String: Any]])
        #expect(settled.count == 1)
        #expect(Set(settled.flatMap(\.keys)) == ["conflict", "subject", "value", "effect"])
        try expect(
            Printed(
                "conflicts", "undo", try #require(done["decision"] as? String), "--together",
                members: "undone left put_back stays changes"), in: forum)
    }

    @Test func `what is printed of conflicts is as its schema says`() throws {
        let forum = try Forum(prepared: ["L1", "L2"])
        try forum.connect("L1", "L2")
        for (laptop, person, time, role) in [
            ("L1", "Leyla", "10:10", "guest"), ("L2", "Murad", "10:25", "speaker"),
        ] {
            try forum.must(laptop, "visit", "V12", "KZ", "--arrived", time, "--as", person)
            try forum.must(laptop, "set", "person", "AZ-014", "role=\(role)")
            try forum.must(
                laptop, ["attend", "P07", "AZ-015"] + (laptop == "L1" ? ["--excused", "ill"] : []))
        }
        for laptop in ["L1", "L2", "L1"] { try forum.must(laptop, "sync") }
        var checks: [String] = []
        /// Keeps what a command prints, to be held against the schema of this name.
        func keep(_ name: String, _ arguments: [String]) throws -> [String: Any] {
            let file = "\(checks.count).json"
            let text = try forum.must("L1", ["conflicts"] + arguments + ["--json"])
            try Data(text.utf8).write(to: forum.path(file))
            checks.append("\(file):conflicts/\(name)")
            return try #require(
                try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any])
        }
        let listed = try keep("list", ["list"])
        let conflicts = try #require(listed["conflicts"] as? [[String: Any]])
        #expect(conflicts.count == 3)
        let ids = conflicts.compactMap { $0["id"] as? String }
        for id in ids {
            _ = try keep("show", ["show", id])
            _ = try keep("explain", ["explain", id])
        }
        _ = try keep("defer", ["defer", ids[0], "--until", "2099-01-01T00:00Z"])
        _ = try keep("list", ["list", "--all"])
        _ = try keep("show", ["show", ids[0]])
        _ = try keep("resolve", ["resolve", ids[0], "--take", "A", "--reason", "why"])
        let several = ["resolve", "--class", "2", "--take", "latest", "--reason", "why"]
        _ = try keep("resolve-several", several + ["--dry-run"])
        let done = try keep("resolve-several", several)
        #expect((done["left"] as? [Any])?.count == 1, "records that clash have no latest value")
        let log = try keep("log", ["log"])
        let decisions = try #require(log["decisions"] as? [[String: Any]])
        let first = try #require(decisions.first { $0["what"] as? String == "resolved" })
        _ = try keep("undo", ["undo", try #require(first["id"] as? String)])
        _ = try keep(
            "undo-together", ["undo", try #require(done["decision"] as? String), "--together"])
        _ = try keep("log", ["log"])
        _ = try keep("list", ["list"])
        let checked = try Programs.run(
            "/usr/bin/python3",
            [Programs.checkout.appending(path: "Protocol/cli/check.py").path] + checks,
            in: forum.directory)
        #expect(checked.status == 0, "\(checked.output)\(checked.errors)")
        #expect(checked.output.hasSuffix("\(checks.count) objects, 0 problems\n"))
    }

    @Test func `what reports, archives and support files print is as its schema says`() throws {
        let forum = try Forum(prepared: ["L1", "L2"])
        try forum.connect("L1", "L2")
        for (laptop, time, heads) in [("L1", "10:10", "14"), ("L2", "10:25", "16")] {
            try forum.must(laptop, "visit", "V12", "KZ", "--arrived", time, "--headcount", heads)
            try forum.must(laptop, "tally", "P07", "A", "+\(heads)")
            try forum.must(
                laptop, ["attend", "P07", "AZ-015"] + (laptop == "L1" ? ["--excused", "ill"] : []))
        }
        try forum.must("L1", "person", "add", "--native", "Gülşən Məmmədova", "--delegation", "KZ")
        for laptop in ["L1", "L2", "L1"] { try forum.must(laptop, "sync") }
        var checks: [String] = []
        for (name, arguments) in [
            ("report-attendance", ["report", "attendance"]),
            ("report-attendance", ["report", "attendance", "--delegation", "KZ"]),
            ("report-visits", ["report", "visits"]),
            ("report-file", ["report", "visits", "--output", "v.xlsx"]),
            ("audit", ["audit", "a.karvan"]), ("diff", ["diff", "--at", "2000-01-01T00:00Z"]),
            ("doctor", ["doctor"]), ("person-alike", ["person", "alike"]),
        ] {
            let file = "\(checks.count).json"
            try Data(try forum.must("L1", arguments + ["--json"]).utf8).write(to: forum.path(file))
            checks.append("\(file):records/\(name)")
        }
        let checked = try Programs.run(
            "/usr/bin/python3",
            [Programs.checkout.appending(path: "Protocol/cli/check.py").path] + checks,
            in: forum.directory)
        #expect(checked.status == 0, "\(checked.output)\(checked.errors)")
        #expect(checked.output.hasSuffix("\(checks.count) objects, 0 problems\n"))
    }

    @Test func `text from records can't break out of the object`() throws {
        let forum = try Forum(prepared: ["L1"])
        let odd = "\"}\n\\ \u{1}\u{2028}\t日本 🎪"
        try forum.must("L1", "set", "person", "AZ-014", "role=\(odd)")
        let rows = try forum.json("L1", "sql", "SELECT role FROM person WHERE badge = 'AZ-014'")
        #expect((rows["rows"] as? [[String: String]])?.first?["role"] == odd)
        let name = try Programs.run(
            "karvan", ["--json", "attend", "P07", "\"}\n"], in: forum.directory,
            environment: ["KARVAN_REPLICA": "L1.sqlite"])
        #expect(name.status == 65 && name.json["exit"] as? Int == 65)
    }
}
