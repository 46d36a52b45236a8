import Foundation
import Testing

/// Files of format 1, kept for good: a hub's store, laptops with what they had not sent, and backups. Whatever
/// build comes opens them, shows what they held, and goes on with all of them.
@Suite struct PriorFormats {
    private static let folder = Programs.checkout.appending(path: "Protocol/prior/format-1")
    /// No certificate in them has run out then, or will.
    private static let clock = "@2026-12-01 12:00:00"
    /// AZ leads a delegation; L2b is a copy of L2's disk; lost was revoked before it sent all.
    private static let laptops = ["HQ", "AZ", "L2", "L2b", "lost"]
    private static let queries = [
        "people": "SELECT count(*), count(name_native) FROM person",
        "observations": "SELECT count(*), count(reason), count(DISTINCT person) FROM observation",
        "notes": "SELECT group_concat(text, '|') FROM (SELECT text FROM note ORDER BY text)",
        "contacts": "SELECT count(phone), min(phone), max(phone) FROM contact",
        "heads": "SELECT zone, sum(count) FROM tally GROUP BY zone ORDER BY zone",
    ]

    /// What a store shows: its state hash, what `verify` counts, and some of its rows.
    private func shown(_ forum: Forum, _ store: String) throws -> [String: String] {
        var shown = ["state": try forum.stateHash(store)]
        let words = try run(forum, store, "verify").output
        shown["whole"] = words.split(separator: "\n").first.map(String.init)
        for (name, query) in Self.queries { shown[name] = try forum.sqlite3(store, query) }
        return shown
    }

    private func run(_ forum: Forum, _ laptop: String, _ arguments: String...) throws -> Finished {
        let command = Programs.withClock(Self.clock, [Programs.path("karvan")] + arguments)
        return try Programs.run(
            command[0], Array(command.dropFirst()), in: forum.directory,
            environment: ["KARVAN_REPLICA": "\(laptop).sqlite"])
    }

    @discardableResult
    private func must(_ forum: Forum, _ laptop: String, _ arguments: [String]) throws -> String {
        let command = Programs.withClock(Self.clock, [Programs.path("karvan")] + arguments)
        let finished = try Programs.run(
            command[0], Array(command.dropFirst()), in: forum.directory,
            environment: ["KARVAN_REPLICA": "\(laptop).sqlite"])
        guard finished.status == 0 else {
            throw ProgramError(description: "karvan \(arguments) on \(laptop): \(finished)")
        }
        return finished.output
    }

    private func hub(_ forum: Forum, _ arguments: String...) throws -> String {
        let finished = try Programs.run(
            "karvan-hub", arguments + ["--store", "hub.sqlite"], in: forum.directory)
        guard finished.status == 0 else { throw ProgramError(description: finished.errors) }
        return finished.output
    }

    private func unpack() throws -> (Forum, [String: [String: String]]) {
        let forum = try Forum()
        let archive = Self.folder.appending(path: "files.tar.gz").path
        let finished = try Programs.run("/usr/bin/tar", ["-xzf", archive], in: forum.directory)
        guard finished.status == 0 else { throw ProgramError(description: finished.errors) }
        let bytes = try Data(contentsOf: Self.folder.appending(path: "expected.json"))
        let expected = try JSONDecoder().decode([String: [String: String]].self, from: bytes)
        return (forum, expected)
    }

    @Test func `files of format 1 show what they held, and are whole`() throws {
        let (forum, expected) = try unpack()
        #expect(Set(expected.keys) == Set(Self.laptops + ["hub"]))
        for (store, known) in expected {
            let found = try shown(forum, store)
            // Columns that came since may show more; nothing shows less.
            for (name, text) in known { #expect(found[name] == text, "\(store): \(name)") }
        }
        let conflicts = try must(forum, "HQ", ["conflicts", "list"])
        for text in ["AZ-003", "speaker", "guest"] { #expect(conflicts.contains(text)) }
        #expect(try must(forum, "HQ", ["conflicts", "log"]).contains("asked the guide"))
        #expect(try must(forum, "HQ", ["show", "person", "UZ-020"]).contains("(erased)"))
        #expect(try hub(forum, "quarantine", "list").contains("lost"))
        let status = try must(forum, "HQ", ["status"])
        #expect(status.contains("2 changes"), "\(status)")
    }

    @Test func `all of them go on together`() throws {
        let (forum, _) = try unpack()
        try forum.startHub(clock: Self.clock)
        try must(forum, "HQ", ["attend", "P07", "AZ-005"])
        for laptop in ["HQ", "AZ", "L2", "L2b", "HQ", "AZ", "L2", "L2b"] {
            try must(forum, laptop, ["sync", "--hub", forum.url])
        }
        // What had waited arrives, and what the lost one brings is kept aside and can be admitted.
        let refused = try run(forum, "lost", "sync", "--hub", forum.url)
        #expect(refused.status == 77, "\(refused)")
        #expect(try hub(forum, "quarantine", "admit", "--laptop", "lost").contains("of lost"))
        for laptop in ["HQ", "L2", "L2b"] {
            try must(forum, laptop, ["sync"])
            #expect(try forum.stateHash(laptop) == forum.stateHash("hub"))
            #expect(try must(forum, laptop, ["verify"]).contains("is whole"))
            let rows = try forum.sqlite3(laptop, Self.queries["heads"] ?? "")
            for text in ["door A|8", "door B|5", "door C|7"] {
                #expect(rows.contains(text), "\(rows)")
            }
        }
        try must(forum, "AZ", ["sync"])
        #expect(try forum.sqlite3("AZ", "SELECT count(*) FROM contact") == "7\n")
        #expect(try must(forum, "AZ", ["verify"]).contains("is whole"))
        // A laptop's backup brings back a laptop.
        try must(forum, "old", ["restore", "HQ.karvan"])
        try must(forum, "old", ["sync", "--hub", forum.url])
        #expect(try forum.stateHash("old") == forum.stateHash("hub"))
        // And the hub's a hub, to which the others bring what it lacks.
        let hash = try forum.stateHash("hub")
        forum.stopHub(signal: SIGTERM)
        _ = try hub(forum, "restore", "hub.karvan", "--replace")
        try forum.startHub(clock: Self.clock)
        for laptop in ["HQ", "L2", "L2b", "AZ", "HQ"] { try must(forum, laptop, ["sync"]) }
        #expect(try forum.stateHash("hub") == hash)
        #expect(try forum.stateHash("HQ") == hash)
    }

    /// `KARVAN_WRITE_PRIOR=DIR` makes them anew: for a format that is to be kept, and never for one that is.
    @Test(.enabled(if: ProcessInfo.processInfo.environment["KARVAN_WRITE_PRIOR"] != nil))
    func `files for those who come later`() throws {
        let forum = try Forum()
        let target = URL(
            filePath: ProcessInfo.processInfo.environment["KARVAN_WRITE_PRIOR"] ?? "")
        try FileManager.default.createDirectory(at: target, withIntermediateDirectories: true)
        try forum.startHub()
        try forum.enrol("HQ", "L2", "lost")
        for kind in ["delegations", "sites", "programme"] {
            try forum.must("HQ", "import", kind, Programs.sample("\(kind).csv"))
        }
        // Few people: files that are kept for good are small.
        let people = try String(contentsOfFile: Programs.sample("people.csv"), encoding: .utf8)
            .split(separator: "\n", omittingEmptySubsequences: false)
        let some = people.enumerated().filter { place, line in
            place == 0
                || [1, 2, 3, 4, 5, 14, 20].contains {
                    line.contains("-\(String(format: "%03d", $0))")
                }
        }
        try Data((some.map { String($1) }.joined(separator: "\n") + "\n").utf8)
            .write(to: forum.directory.appending(path: "some.csv"))
        try forum.must("HQ", "import", "people", "some.csv")
        try forum.must("HQ", "sync")
        try forum.must("AZ", "init", "--name", "AZ")
        let token = try forum.token("--role", "lead", "--scope", "delegation/AZ")
        try forum.must("AZ", "enrol", forum.url, token)
        for laptop in ["AZ", "L2", "lost"] { try forum.must(laptop, "sync") }
        try record(forum)
        let names = try FileManager.default.contentsOfDirectory(atPath: forum.directory.path)
            .filter { name in
                name.contains("sqlite") && !["-shm", ".lock"].contains(where: name.hasSuffix)
                    || name.hasSuffix(".karvan")
            }
        let packed = try Programs.run(
            "/usr/bin/tar", ["-czf", target.appending(path: "files.tar.gz").path] + names.sorted(),
            in: forum.directory)
        guard packed.status == 0 else { throw ProgramError(description: packed.errors) }
        var expected: [String: [String: String]] = [:]
        for store in Self.laptops + ["hub"] { expected[store] = try shown(forum, store) }
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        try encoder.encode(expected).write(to: target.appending(path: "expected.json"))
    }

    /// Conflicts and decisions, scopes, a fork, an erasure, a lost laptop, backups, and what waits.
    private func record(_ forum: Forum) throws {
        try forum.must("HQ", "tally", "V01", "door A", "+5")
        try forum.must("L2", "tally", "V01", "door A", "+3")
        try forum.must("HQ", "--as", "Leyla", "set", "person", "AZ-003", "role=speaker")
        try forum.must("L2", "--as", "Murad", "set", "person", "AZ-003", "role=guest")
        try forum.must("HQ", "visit", "V01", "AZ", "--arrived", "10:10", "--as", "Leyla")
        try forum.must("L2", "visit", "V01", "AZ", "--arrived", "10:25", "--as", "Murad")
        try forum.must("L2", "attend", "V01", "UZ-020", "--excused", "allergic to walnuts")
        try forum.must("AZ", "--as", "Əli", "attend", "P07", "AZ-014")
        for laptop in ["HQ", "AZ", "L2", "HQ"] { try forum.must(laptop, "sync") }
        let conflicts = try forum.json("HQ", "conflicts", "list")
        let list = conflicts["conflicts"] as? [[String: Any]] ?? []
        let first = list.first { ($0["table"] as? String) == "visit" }
        try forum.must(
            "HQ", "conflicts", "resolve", first?["id"] as? String ?? "", "--take", "B", "--reason",
            "asked the guide", "--as", "Leyla")
        // L2's disk is copied while something waits on it, and both go on.
        try forum.must("L2", "tally", "V01", "door B", "+2")
        for suffix in ["", "-wal", ".key", ".install"] {
            try FileManager.default.copyItem(
                at: forum.directory.appending(path: "L2.sqlite\(suffix)"),
                to: forum.directory.appending(path: "L2b.sqlite\(suffix)"))
        }
        try forum.must("L2", "tally", "V01", "door B", "+1")
        try forum.must("L2b", "tally", "V01", "door B", "+2")
        for laptop in ["L2", "L2b", "L2", "HQ"] { try forum.must(laptop, "sync") }
        try forum.must("lost", "tally", "V01", "door C", "+4")
        try forum.must("lost", "sync")
        _ = try hub(forum, "device", "revoke", "lost", "--reason", "lost on the bus")
        try forum.must("lost", "tally", "V01", "door C", "+3")
        _ = try forum.karvan("lost", "sync")
        try forum.must("HQ", "backup", "HQ.karvan")
        _ = try hub(forum, "backup", "hub.karvan")
        try forum.must("HQ", "--as", "Leyla", "erase", "UZ-020", "--reason", "letter of 3 May")
        for laptop in ["HQ", "L2"] { try forum.must(laptop, "sync") }
        // What waits when they are put away.
        try forum.must("HQ", "attend", "P07", "AZ-004")
        try forum.must("HQ", "person", "add", "--native", "Gülşən", "--delegation", "AZ")
        try forum.must("L2", "visit", "V01", "AZ", "--departed", "12:00", "--note", "late")
        forum.stopHub(signal: SIGTERM)
    }
}
