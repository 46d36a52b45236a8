import Foundation
import Testing

/// The tenth story whole: a laptop is lost, a person is erased meanwhile, and the laptop is found again.
@Suite struct StoriesOfErasure {
    private func hub(_ forum: Forum, _ arguments: String...) throws -> Finished {
        try Programs.run(
            "karvan-hub", arguments + ["--store", "hub.sqlite"], in: forum.directory)
    }

    private func run(_ forum: Forum, _ laptop: String, _ arguments: String...) throws -> Finished {
        try Programs.run(
            "karvan", arguments, in: forum.directory,
            environment: ["KARVAN_REPLICA": "\(laptop).sqlite"])
    }

    /// All files here, databases, logs and words of the hub, but those of some laptops.
    private func files(
        with texts: [String], in forum: Forum, besides laptops: [String] = []
    ) throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: forum.directory.path)
            .filter { name in !laptops.contains { name.hasPrefix("\($0).") } }
            .filter { name in
                let bytes = FileManager.default.contents(atPath: forum.path(name).path) ?? Data()
                return texts.contains { bytes.range(of: Data($0.utf8)) != nil }
            }
    }

    @Test func `a lost laptop comes back after a person on it was erased`() throws {
        let forum = try Forum()
        try forum.startHub()
        try forum.enrol("HQ", "L5", "L2")
        try forum.importSample(on: "HQ")
        for laptop in ["HQ", "L5", "L2"] { try forum.must(laptop, "sync") }
        let person = try forum.rows(
            "HQ",
            "SELECT name_native || '|' || name_latin FROM person WHERE badge = 'UZ-020'")
        let names = try #require(person.first).split(separator: "|").map(String.init)
        let canaries = names + ["Kanarya Qushova", "allergic to walnuts"]
        let others = try forum.rows(
            "HQ", "SELECT count(*) FROM person WHERE name_native IS NOT NULL")

        // 63 changes, of which three are about UZ-020.
        try forum.must("L5", "attend", "P07", "UZ-020")
        try forum.must("L5", "attend", "V01", "UZ-020", "--excused", "allergic to walnuts")
        try forum.must("L5", "set", "person", "UZ-020", "name_latin=Kanarya Qushova")
        for number in 1...60 { try forum.must("L5", "tally", "V01", "door \(number)", "+1") }
        #expect(try forum.must("L5", "status").contains("63 changes"))
        #expect(try hub(forum, "device", "revoke", "L5", "--reason", "lost").status == 0)

        // Day 4: somebody may not ask, and somebody may; nothing happens by itself.
        let dry = try forum.must("HQ", "erase", "UZ-020", "--dry-run")
        #expect(dry.contains("UZ-020") && dry.contains("would be erased"), "\(dry)")
        let wrong = try run(forum, "HQ", "erase", "UZ-999")
        #expect(wrong.status == 65 && wrong.errors.contains("UZ-999"), "\(wrong)")
        let asked = try forum.must(
            "HQ", "--as", "Leyla", "erase", "UZ-020", "--reason", "letter of 3 May")
        #expect(asked.contains("is asked for"), "\(asked)")
        #expect(try forum.must("HQ", "status").contains("to erase       UZ-020"))
        try forum.must("HQ", "sync")
        try forum.must("L2", "sync")
        let receipt = try forum.must("HQ", "erase", "UZ-020")
        for text in ["(erased)", "asked for by Leyla", "letter of 3 May", "receipt", "emptied"] {
            #expect(receipt.contains(text), "\(receipt)")
        }
        #expect(try forum.must("HQ", "show", "person", "UZ-020").contains("(erased)"))
        #expect(try files(with: canaries, in: forum, besides: ["L5"]) == [])

        // Day 6: it is found, and nothing applies by itself.
        #expect(try run(forum, "L5", "sync").status == 77)
        #expect(try files(with: canaries, in: forum, besides: ["L5"]) == [])
        let kept = try hub(forum, "quarantine", "list")
        #expect(kept.output.contains("L5"), "\(kept)")
        let words = try hub(forum, "quarantine", "show", "1")
        #expect(words.output.contains("(erased)"), "\(words)")
        #expect(!canaries.contains(where: words.output.contains), "\(words)")
        let admitted = try hub(forum, "quarantine", "admit", "--laptop", "L5")
        #expect(admitted.output.contains("63 changes of L5"), "\(admitted)")
        for laptop in ["HQ", "L2"] {
            try forum.must(laptop, "sync")
            // Of UZ-020 there are counts, and no name.
            #expect(
                try forum.rows(
                    laptop,
                    """
                    SELECT count(*) FROM observation o JOIN person p ON p.id = o.person
                    WHERE p.badge = 'UZ-020' AND p.name_native IS NULL AND o.reason IS NULL
                    """) == ["2"])
            #expect(try forum.must(laptop, "list", "tally").contains("door 60"))
            #expect(try forum.must(laptop, "verify").contains("is whole"))
            #expect(try forum.stateHash(laptop) == forum.stateHash("hub"))
            let left = try forum.rows(
                laptop, "SELECT count(*) FROM person WHERE name_native IS NOT NULL")
            #expect(
                left.first.flatMap { Int($0) } == others.first.flatMap { Int($0) }.map { $0 - 1 })
        }
        #expect(try files(with: canaries, in: forum, besides: ["L5"]) == [])

        // The list has them still, and brings nothing back.
        let again = try forum.must("HQ", "import", "people", Programs.sample("people.csv"))
        #expect(again.contains("Passed over because erased: 1 line"), "\(again)")
        let refused = try run(forum, "HQ", "set", "person", "UZ-020", "name_latin=Kanarya Qushova")
        #expect(refused.status == 65 && refused.errors.contains("erased"), "\(refused)")
        #expect(try files(with: canaries, in: forum, besides: ["L5"]) == [])
    }

    @Test func `a laptop is told what became of its own changes`() throws {
        let forum = try Forum()
        try forum.startHub()
        try forum.enrol("HQ", "L2")
        try forum.importSample(on: "HQ")
        for laptop in ["HQ", "L2"] { try forum.must(laptop, "sync") }
        #expect(try forum.must("L2", "status", "--mine").contains("nothing was recorded"))
        try forum.must("L2", "--as", "Murad", "set", "person", "UZ-020", "role=speaker")
        try forum.must("L2", "tally", "V01", "door A", "+3")
        let queued = try forum.must("L2", "status", "--mine")
        #expect(queued.contains("Murad  waits to be sent"), "\(queued)")
        #expect(queued.contains("person UZ-020  role set to speaker"), "\(queued)")
        for laptop in ["L2", "HQ"] { try forum.must(laptop, "sync") }
        let there = try forum.must("L2", "status", "--mine", "--last", "1")
        #expect(there.contains("the hub has it") && !there.contains("Murad"), "\(there)")
        try forum.must("HQ", "--as", "Leyla", "set", "person", "UZ-020", "role=guest")
        for laptop in ["HQ", "L2"] { try forum.must(laptop, "sync") }
        let replaced = try forum.must("L2", "status", "--mine")
        #expect(
            replaced.contains("role set to speaker: replaced by Leyla on HQ at"), "\(replaced)")
        #expect(try run(forum, "L2", "status", "--mine", "--last", "0").status == 64)
    }

    @Test func `backups of before are emptied once they are told`() throws {
        let forum = try Forum()
        try forum.startHub()
        try forum.enrol("HQ", "L2")
        try forum.importSample(on: "HQ")
        for laptop in ["HQ", "L2"] { try forum.must(laptop, "sync") }
        let names = try forum.rows("HQ", "SELECT name_native FROM person WHERE badge = 'UZ-020'")
        #expect(try hub(forum, "backup", "hub.backup").status == 0)
        try forum.must("HQ", "erase", "UZ-020")
        for laptop in ["HQ", "L2"] { try forum.must(laptop, "sync") }
        #expect(try files(with: names, in: forum) == ["hub.backup"])
        forum.stopHub()
        let restored = try hub(forum, "restore", "hub.backup", "--replace")
        #expect(restored.status == 0, "\(restored)")
        for name in try FileManager.default.contentsOfDirectory(atPath: forum.directory.path)
        where name.contains(".before") {
            try FileManager.default.removeItem(at: forum.path(name))
        }
        try forum.startHub()
        for laptop in ["L2", "HQ"] { try forum.must(laptop, "sync") }
        #expect(try files(with: names, in: forum) == ["hub.backup"])
        #expect(try forum.stateHash("HQ") == forum.stateHash("hub"))
    }
}
