import Foundation
import Testing

/// A root key that nobody has any more.
@Suite(.timeLimit(.minutes(20))) struct StoriesOfLostRoots {
    private func hub(_ forum: Forum, _ arguments: String...) throws -> Finished {
        try Programs.run(
            "karvan-hub", arguments + ["--store", "hub.sqlite"], in: forum.directory)
    }

    @Test func `a forum goes on without its root, and gets a new one`() throws {
        let forum = try Forum()
        try forum.startHub()
        try forum.enrol("HQ", "L1", "L2")
        try forum.importSample(on: "HQ")
        for laptop in ["HQ", "L1"] { try forum.must(laptop, "sync") }
        let unused = try forum.token()

        let needless = try hub(forum, "root", "replace")
        #expect(needless.status == 65 && needless.errors.contains("it isn't lost"), "\(needless)")
        try FileManager.default.removeItem(at: forum.path("hub.sqlite.root"))
        try forum.must("L1", "visit", "V12", "KZ", "--arrived", "11:20")
        try forum.must("L1", "sync")

        // While it serves.
        let replaced = try hub(forum, "root", "replace")
        #expect(replaced.status == 0 && replaced.output.contains("hub.sqlite.root"), "\(replaced)")
        #expect(FileManager.default.fileExists(atPath: forum.path("hub.sqlite.root").path))
        try forum.must("L1", "visit", "V12", "KZ", "--outcome", "met the mayor")
        for laptop in ["L1", "HQ"] { try forum.must(laptop, "sync") }
        try forum.must("L3", "init", "--name", "L3")
        #expect(try forum.karvan("L3", "enrol", forum.url, unused).status == 77)

        // A new laptop knows the new root alone, and takes what all the others wrote.
        try forum.must("L3", "enrol", forum.url, try forum.token())
        try forum.must("L3", "sync")
        #expect(try forum.must("L3", "show", "visit", "V12/KZ").contains("met the mayor"))

        let token = try forum.token()
        let refused = try forum.karvan("L1", "enrol", forum.url, token)
        #expect(refused.status == 77 && refused.errors.contains("--new-root"), "\(refused)")
        try forum.must("L1", "enrol", forum.url, token, "--new-root")
        try forum.must("L1", "visit", "V12", "KZ", "--note", "by L1")
        for laptop in ["L1", "L3", "HQ"] { try forum.must(laptop, "sync") }
        // What the hub has not said in its own records yet, a token alone doesn't prove.
        let another = try forum.token()
        let early = try forum.karvan("L2", "enrol", forum.url, another, "--new-root")
        #expect(early.status == 77 && early.errors.contains("karvan sync"), "\(early)")
        try forum.must("L2", "sync")
        try forum.must("L2", "enrol", forum.url, another, "--new-root")
        for laptop in ["L2", "HQ", "L1", "L3"] { try forum.must(laptop, "sync") }
        let hashes = try ["L1", "L3", "HQ"].map { try forum.must($0, "verify", "--state-hash") }
        #expect(Set(hashes).count == 1)
        for laptop in ["L1", "L3", "HQ"] {
            #expect(try forum.must(laptop, "verify").contains("is whole"))
        }
    }

    @Test func `a hub of another forum gives nobody a new root`() throws {
        let (forum, other) = (try Forum(), try Forum())
        for each in [forum, other] { try each.startHub() }
        try forum.enrol("L1")
        let before = try forum.must("L1", "status")
        let refused = try forum.karvan("L1", "enrol", other.url, try other.token(), "--new-root")
        #expect(refused.status == 77 && refused.errors.contains("of another forum"), "\(refused)")
        #expect(try forum.must("L1", "status") == before)
        try forum.must("L1", "sync")
    }
}
