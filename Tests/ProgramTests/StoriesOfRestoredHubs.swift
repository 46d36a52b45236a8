import Foundation
import Testing

/// The hub's machine dies, and its operator has a backup from the day before.
@Suite struct StoriesOfRestoredHubs {
    private func hub(_ forum: Forum, _ arguments: String...) throws -> Finished {
        try Programs.run(
            "karvan-hub", arguments + ["--store", "hub.sqlite"], in: forum.directory)
    }

    @Test(arguments: [true, false])
    func `laptops bring back what the backup lacks`(_ isNewMachine: Bool) throws {
        let forum = try Forum()
        try forum.startHub()
        try forum.enrol("HQ", "L1", "L5")
        try forum.importSample(on: "HQ")
        for laptop in ["HQ", "L1", "L5"] { try forum.must(laptop, "sync") }
        // While it serves.
        let saved = try hub(forum, "backup", "monday.karvan")
        #expect(saved.status == 0 && saved.output.contains("keep it safe"), "\(saved)")
        #expect(try hub(forum, "backup", "monday.karvan").status == 65)
        let unused = try forum.token()

        // The day that the backup lacks.
        try forum.enrol("L9")
        try forum.must("L9", "sync")
        for laptop in ["L1", "L5", "L9"] {
            try forum.must(laptop, "tally", "V01", "door \(laptop)", "+7")
            try forum.must(laptop, "sync")
        }
        try hub(forum, "device", "revoke", "L5", "--reason", "left in a taxi").mustEnd(with: 0)
        try forum.must("HQ", "sync")
        try forum.must("L9", "tally", "V01", "later", "+1")
        let before = try hub(forum, "device", "list", "--json").output
        #expect(before.contains("L9"))

        forum.stopHub()
        if isNewMachine {
            let manager = FileManager.default
            for name in try manager.contentsOfDirectory(atPath: forum.directory.path)
            where name.hasPrefix("hub.sqlite") {
                try manager.removeItem(at: forum.directory.appending(path: name))
            }
        } else {
            // It is asked first.
            let refused = try hub(forum, "restore", "monday.karvan")
            #expect(refused.status == 65 && refused.errors.contains("--replace"), "\(refused)")
        }
        let dry = try hub(forum, "restore", "monday.karvan", "--dry-run")
        #expect(dry.status == 0 && dry.output.contains("is whole"), "\(dry)")
        let restored = try hub(forum, "restore", "monday.karvan", "--replace")
        #expect(restored.status == 0, "\(restored)")
        #expect(restored.output.contains("is restored"), "\(restored)")
        #expect(restored.output.contains("What stood there is") != isNewMachine, "\(restored)")

        try forum.startHub()
        // The same certificate: nobody enrols again.
        #expect(try forum.must("HQ", "sync").contains("feed has begun anew"))
        let list = try hub(forum, "device", "list").output
        #expect(list.contains("L9"), "\(list)")
        let lost = try forum.karvan("L5", "sync")
        #expect(lost.status == 77 && lost.errors.contains("left in a taxi"), "\(lost)")
        for laptop in ["L9", "L1", "HQ"] { try forum.must(laptop, "sync") }
        for laptop in ["L9", "L1", "HQ"] {
            try forum.must(laptop, "sync")
            #expect(try forum.stateHash(laptop) == forum.stateHash("hub"))
            #expect(
                try forum.must(laptop, "status").contains("to send        nothing"), "\(laptop)")
            let tally = try forum.must(laptop, "list", "tally")
            for door in ["door L1", "door L5", "door L9", "later"] {
                #expect(tally.contains(door), "\(laptop) lacks \(door): \(tally)")
            }
        }
        let thief = try Programs.run(
            "karvan", ["enrol", forum.url, unused], in: forum.directory,
            environment: ["KARVAN_REPLICA": "thief.sqlite"])
        #expect(thief.status != 0, "\(thief)")
        try forum.must("thief", "init", "--name", "thief")
        let again = try forum.karvan("thief", "enrol", forum.url, unused)
        #expect(again.status == 77 && again.errors.contains("doesn't know this token"), "\(again)")
        try forum.enrol("new")
        try forum.must("new", "sync")
        #expect(try forum.stateHash("new") == forum.stateHash("hub"))
        #expect(try forum.must("hub", "verify").contains("is whole"))
    }

    @Test func `a backup is put in the place that it is of`() throws {
        let forum = try Forum()
        try forum.startHub()
        try forum.enrol("L1")
        try forum.must("L1", "backup", "laptop.karvan")
        try hub(forum, "backup", "hub.karvan").mustEnd(with: 0)
        let other = try forum.karvan("new", "restore", "hub.karvan")
        #expect(other.status == 65 && other.errors.contains("`karvan-hub restore`"), "\(other)")
        // A hub that serves is not replaced.
        let held = try hub(forum, "restore", "hub.karvan", "--replace")
        #expect(held.status == 75, "\(held)")
        #expect(held.errors.contains("in use by process"), "\(held)")
        forum.stopHub()
        let wrong = try hub(forum, "restore", "laptop.karvan", "--replace")
        #expect(wrong.status == 65 && wrong.errors.contains("`karvan restore`"), "\(wrong)")
    }
}

extension Finished {
    fileprivate func mustEnd(with status: Int32) throws {
        guard self.status == status else {
            throw ProgramError(description: "it ended with \(self.status): \(errors)")
        }
    }
}
