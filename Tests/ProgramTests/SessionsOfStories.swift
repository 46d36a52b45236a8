import Foundation
import Testing

/// What a person types and reads in each of the ten stories, kept whole in `Tests/Sessions`: list, show, resolve, list, as text
/// and as JSON.
///
/// KARVAN_WRITE_SESSIONS=1 writes the files anew; then read them.
@Suite struct SessionsOfStories {
    private static let folder = Programs.checkout.appending(path: "Tests/Sessions")

    /// The commands of a story as they were typed, and what came.
    private final class Session {
        let forum: Forum
        private(set) var text: String
        private(set) var json: String
        /// Files with objects, each with the schema that it is to be held against.
        private(set) var objects: [String] = []

        init(_ title: String, _ forum: Forum) {
            self.forum = forum
            (text, json) = ("\(title)\n", "\(title)\n")
        }

        private func run(_ laptop: String, _ arguments: [String]) throws -> Finished {
            try Programs.run(
                "karvan", arguments, in: forum.directory,
                environment: ["KARVAN_REPLICA": "\(laptop).sqlite", "KARVAN_AS": "Aysel"])
        }

        private static func typed(_ laptop: String, _ arguments: [String]) -> String {
            let words = arguments.map { word in
                word.contains { " ;()".contains($0) } ? "\"\(word)\"" : word
            }
            return "\n\(laptop)$ karvan \(words.joined(separator: " "))\n"
        }

        /// A command that is shown as text, and one that only reads also as JSON.
        func show(_ laptop: String, _ arguments: String..., schema: String? = nil) throws {
            let finished = try run(laptop, arguments)
            text += Self.typed(laptop, arguments) + finished.output + finished.errors
            if finished.status != 0 { text += "[ends with \(finished.status)]\n" }
            guard let schema else { return }
            let object = try run(laptop, arguments + ["--json"])
            json += Self.typed(laptop, arguments + ["--json"]) + object.output + object.errors
            let name = "object-\(objects.count).json"
            try Data(object.output.utf8).write(to: forum.path(name))
            objects.append("\(name):conflicts/\(schema)")
        }

        /// The whole way of one conflict: look, settle it with a dry run first, look again.
        func settle(_ laptop: String, _ about: String, taking choice: String, _ reason: String)
            throws
        {
            try show(laptop, "conflicts", "list", schema: "list")
            let listed = try #require(
                try forum.json(laptop, "conflicts", "list")["conflicts"] as? [[String: Any]])
            let found = listed.first { object in
                [object["table"], object["name"], object["column"] ?? object["rule"]]
                    .compactMap { $0 as? String }.joined(separator: " ").contains(about)
            }
            let id = String(
                try #require(found?["id"] as? String, "\(about) in \(listed)").prefix(8))
            try show(laptop, "conflicts", "show", id, schema: "show")
            try show(laptop, "conflicts", "explain", id, schema: "explain")
            let take = ["conflicts", "resolve", id, "--take", choice, "--reason", reason]
            let would = try run(laptop, take + ["--dry-run"])
            text += Self.typed(laptop, take + ["--dry-run"]) + would.output + would.errors
            let object = try run(laptop, take + ["--json"])
            json += Self.typed(laptop, take + ["--json"]) + object.output + object.errors
            let name = "object-\(objects.count).json"
            try Data(object.output.utf8).write(to: forum.path(name))
            objects.append("\(name):conflicts/resolve")
            // It is done by now: whoever is behind is told.
            let late = try run(laptop, take)
            text += Self.typed(laptop, take) + late.output + late.errors
            if late.status != 0 { text += "[ends with \(late.status)]\n" }
            try show(laptop, "conflicts", "list", "--open", schema: "list")
            try show(laptop, "conflicts", "log", schema: "log")
        }
    }

    /// What differs from run to run, by a word of the same kind.
    private func masked(_ text: String) -> String {
        let patterns = [
            (#"(?!2025-11-2[456]T)\d{4}-\d\d-\d\dT[\d:.]+\+\d\d:\d\d"#, "TIME"),
            (#"kv1\.[A-Za-z0-9_-]+"#, "VECTOR"), (#"\b[0-9a-f]{64}\b"#, "DIGEST"),
            (#"\b[0-9a-f]{32}:\d+"#, "DOT"),
            (#"\b[0-9a-f]{32}\b"#, "ROW"),
            (#"\b[0-9a-f]{8}\b"#, "ID"), (#"\b[0-9a-f]{12}\b"#, "ID"),
            (#"(127\.0\.0\.1):\d+"#, "$1:PORT"), (#"(\S) {2,}"#, "$1  "),
        ]
        return patterns.reduce(text) { text, pattern in
            text.replacingOccurrences(
                of: pattern.0, with: pattern.1, options: .regularExpression)
        }
    }

    private func hold(_ session: Session, _ number: Int) throws {
        let name = number < 10 ? "0\(number)" : "\(number)"
        for (ending, text) in [("txt", session.text), ("json.txt", session.json)] {
            let file = Self.folder.appending(path: "story-\(name).\(ending)")
            let found = masked(text)
            if ProcessInfo.processInfo.environment["KARVAN_WRITE_SESSIONS"] != nil {
                try Data(found.utf8).write(to: file)
            }
            let kept = (try? String(contentsOf: file, encoding: .utf8)) ?? ""
            #expect(found == kept, "\(file.lastPathComponent)")
        }
        guard !session.objects.isEmpty else { return }
        let checked = try Programs.run(
            "/usr/bin/python3",
            [Programs.checkout.appending(path: "Protocol/cli/check.py").path] + session.objects,
            in: session.forum.directory)
        #expect(checked.status == 0, "\(checked.output)\(checked.errors)")
    }

    private func forum(_ laptops: [String] = ["L1", "L2"]) throws -> Forum {
        let forum = try Forum(prepared: laptops)
        try forum.startHub()
        for laptop in laptops {
            try forum.sqlite3(
                laptop, "UPDATE sy_meta SET value = '\(forum.url)' WHERE key = 'hub_url'")
        }
        return forum
    }

    private func sync(_ forum: Forum, _ laptops: String...) throws {
        for laptop in laptops { try forum.must(laptop, "sync") }
    }

    @Test func `1: two doors`() throws {
        let forum = try forum()
        try forum.must("L1", "attend", "P07", "AZ-014", "--at", "09:02", "--as", "Leyla")
        try forum.must("L2", "attend", "P07", "AZ-014", "--at", "09:05", "--as", "Murad")
        try sync(forum, "L1", "L2", "L1")
        let session = Session("1. Two doors: one person scanned at both.", forum)
        try session.show("L1", "conflicts", "list", "--open", schema: "list")
        try session.show("L1", "list", "attendance", "--item", "P07")
        try hold(session, 1)
    }

    @Test func `2: roll call against a scan`() throws {
        let forum = try forum()
        try forum.must(
            "L1", "attend", "P07", "TR-031", "--absent", "--roll-call", "--at", "10:00", "--as",
            "Leyla")
        try forum.must("L2", "attend", "P07", "TR-031", "--at", "09:58", "--as", "Murad")
        try forum.must(
            "L1", "attend", "P07", "HU-009", "--excused", "hospital", "--at", "10:00", "--as",
            "Leyla")
        try forum.must("L2", "attend", "P07", "HU-009", "--at", "09:59", "--as", "Murad")
        try sync(forum, "L1", "L2", "L1")
        let session = Session(
            "2. Roll call against a scan, and an excuse against another one.", forum)
        try session.settle("L1", "HU-009", taking: "present", "Murad saw him")
        try session.show("L1", "list", "attendance", "--item", "P07")
        try hold(session, 2)
    }

    @Test func `3: undo against a scan`() throws {
        let forum = try forum()
        try forum.must("L1", "attend", "P07", "HU-009", "--at", "09:01", "--as", "Leyla")
        try forum.must("L1", "attend", "P07", "HU-009", "--undo", "--as", "Leyla")
        try forum.must("L2", "attend", "P07", "HU-009", "--at", "09:04", "--as", "Murad")
        try sync(forum, "L1", "L2", "L1")
        let session = Session("3. A scan that was undone against a real one.", forum)
        try session.show("L1", "conflicts", "list", "--open", schema: "list")
        try session.show("L1", "list", "attendance", "--item", "P07")
        try hold(session, 3)
    }

    @Test func `4: cancelled but held`() throws {
        let forum = try forum(["hq", "L3"])
        try forum.must("hq", "--as", "Nigar", "visit", "V12", "KZ", "--status", "cancelled")
        try forum.must(
            "L3", "--as", "Murad", "visit", "V12", "KZ", "--arrived", "11:20", "--headcount", "14")
        try sync(forum, "hq", "L3", "hq")
        let session = Session("4. A visit that the office cancelled and the field held.", forum)
        try session.settle("hq", "V12/KZ", taking: "held", "the bus was there already")
        try session.show("hq", "report", "visits", "--by", "visit")
        try hold(session, 4)
    }

    @Test func `5: a wrong clock`() throws {
        let forum = try forum(["hq", "L2"])
        try forum.must(
            "L2", clock: "+3h",
            ["--as", "Murad", "set", "item", "V09", "planned_start=2025-11-26T15:00+04:00"])
        try forum.must("L2", clock: "+3h", ["sync"])
        try sync(forum, "hq")
        try forum.must(
            "hq", "--as", "Nigar", "set", "item", "V09", "planned_start=2025-11-26T15:30+04:00")
        try sync(forum, "hq", "L2")
        let session = Session(
            "5. A clock that is three hours fast: who saw a value replaces it.", forum)
        try session.show("L2", "conflicts", "list", "--open", schema: "list")
        try session.show("hq", "history", "item", "V09", "--column", "planned_start")
        try hold(session, 5)
    }

    @Test func `6: two arrivals`() throws {
        let forum = try forum()
        try forum.must("L1", "visit", "V12", "KZ", "--arrived", "10:10", "--as", "Leyla")
        try forum.must("L2", "visit", "V12", "KZ", "--arrived", "10:25", "--as", "Murad")
        try forum.must("L1", "visit", "V10", "KZ", "--arrived", "10:10", "--as", "Leyla")
        try forum.must("L2", "visit", "V10", "KZ", "--arrived", "10:15", "--as", "Murad")
        try sync(forum, "L1", "L2", "L1")
        let session = Session("6. Two arrivals of one bus, and two within the tolerance.", forum)
        try session.show("L1", "report", "visits", "--by", "visit")
        try session.settle("L1", "V12/KZ", taking: "B", "the bus log says 10:25")
        try hold(session, 6)
    }

    @Test func `7: tallies`() throws {
        let forum = try forum()
        try forum.must("L1", "tally", "P07", "A", "+42")
        try forum.must("L2", "tally", "P07", "B", "+37")
        // Sessions of laptops stand in the order of their devices, which are new each time.
        try forum.must("L1", "tally", "P08", "C", "+41", "--session", "north")
        try forum.must("L2", "tally", "P08", "C", "+43", "--session", "south")
        try sync(forum, "L1", "L2", "L1")
        let session = Session("7. Doors add up, and two who count one zone don't.", forum)
        try session.show("L1", "list", "tally")
        try session.settle("L1", "P08/C", taking: "B", "they stood at the only door")
        try session.show("L1", "list", "tally")
        try hold(session, 7)
    }

    @Test func `8: walk-in twins`() throws {
        let forum = try forum()
        try forum.must(
            "L1", "person", "add", "--native", "Gulshan Mammadova", "--delegation", "KZ", "--as",
            "Leyla")
        try forum.must(
            "L2", "person", "add", "--native", "Gülşən Məmmədova", "--delegation", "KZ", "--as",
            "Murad")
        try sync(forum, "L1", "L2", "L1")
        let session = Session("8. One person added twice, and the list has her too.", forum)
        try session.settle("L1", "KZ-017", taking: "A", "she said so")
        try hold(session, 8)
    }

    @Test func `9: a list again`() throws {
        let forum = try forum(["hq", "L1"])
        let v3 = try forum.list(
            "v3.csv", changing: ["TM-006": [.delegation: "UZ"]], lacking: ["TM-011"])
        try forum.must(
            "L1", "--as", "Leyla", "set", "person", "TM-006", "role=press", "delegation=KZ")
        try forum.must("hq", "--as", "Nigar", "import", "people", v3)
        try sync(forum, "hq", "L1", "hq")
        let session = Session("9. A new version of the list against what was edited.", forum)
        try session.settle("hq", "TM-006", taking: "A", "she travels with them")
        try hold(session, 9)
    }

    @Test func `10: a lost laptop`() throws {
        let forum = try forum(["hq", "L3"])
        try forum.must("L3", "--as", "Murad", "attend", "P07", "UZ-019", "--at", "09:10")
        try forum.must("L3", "--as", "Murad", "tally", "P07", "A", "+40")
        let revoked = try Programs.run(
            "karvan-hub",
            ["device", "revoke", "L3", "--reason", "lost on the bus", "--store", "hub.sqlite"],
            in: forum.directory)
        #expect(revoked.status == 0)
        let session = Session("10. A laptop that was lost comes back.", forum)
        try session.show("L3", "sync")
        try session.show("L3", "status", "--mine", "--last", "2")
        // One run for each scope.
        for number in ["1", "2"] {
            let admitted = try Programs.run(
                "karvan-hub", ["quarantine", "admit", number, "--store", "hub.sqlite"],
                in: forum.directory)
            #expect(admitted.status == 0, "\(admitted)")
        }
        try sync(forum, "hq")
        try session.show("hq", "conflicts", "list", "--open", schema: "list")
        try session.show("hq", "list", "attendance", "--item", "P07")
        try hold(session, 10)
    }
}
