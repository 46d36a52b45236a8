import Foundation
import Testing

/// A laptop's file as people copy it, through the built programs.
@Suite struct CopiedReplicas {
    /// As `cp` does, from whatever state the files are in.
    ///
    /// - Parameter isWholeDisk: nothing that lies beside is left out, or tells.
    private func copy(
        _ forum: Forum, _ name: String, to other: String, isWholeDisk: Bool = false
    ) throws {
        let suffixes = [".sqlite", ".sqlite-wal", ".sqlite.key"]
        for suffix in suffixes + (isWholeDisk ? [".sqlite.install"] : []) {
            let (from, to) = [name, other].map { forum.directory.appending(path: $0 + suffix).path }
                .pair
            try? FileManager.default.removeItem(atPath: to)
            if FileManager.default.fileExists(atPath: from) {
                try FileManager.default.copyItem(atPath: from, toPath: to)
            }
        }
    }

    @Test func `a copied file says so, keeps all, and sends what is its own`() throws {
        let forum = try Forum(prepared: ["L1"])
        try forum.connect("L1")
        try forum.must("L1", "attend", "P07", "AZ-014", "--as", "Leyla")
        try copy(forum, "L1", to: "L2")
        let first = try forum.karvan("L2", "attend", "P07", "AZ-015", "--as", "Murad")
        #expect(first.status == 0)
        #expect(first.errors.contains("This file is a copy"))
        let second = try forum.karvan("L2", "attend", "P07", "AZ-016", "--as", "Murad")
        #expect(second.errors.isEmpty)
        let status = try forum.must("L2", "status")
        #expect(status.contains("copied         1 change recorded before this file was copied"))
        // Each sends its own, and both end with all three.
        try forum.must("L2", "sync")
        try forum.must("L1", "sync")
        try forum.must("L2", "sync")
        #expect(try !forum.must("L2", "status").contains("copied "))
        let hash = try forum.must("L1", "verify", "--state-hash")
        #expect(try forum.must("L2", "verify", "--state-hash") == hash)
        #expect(try forum.stateHash("hub") + "\n" == hash)
        #expect(try forum.karvan("L2", "status", "--json").json["left"] as? Int == 0)
    }

    @Test func `of two laptops with one disk's copy all counts once, and each is told`() throws {
        let forum = try Forum(prepared: ["L1", "L3"])
        try forum.connect("L1", "L3")
        try forum.must("L1", "attend", "P07", "AZ-014", "--as", "Leyla")
        try copy(forum, "L1", to: "L2", isWholeDisk: true)
        for (laptop, badge) in [("L1", "AZ-015"), ("L2", "AZ-016")] {
            let done = try forum.karvan(laptop, "attend", "P07", badge, "--as", laptop)
            #expect(done.status == 0 && done.errors.isEmpty, "nothing tells yet")
        }
        let word = "Another laptop records with a copy of this one's disk"
        #expect(try !forum.karvan("L1", "sync").errors.contains(word))
        let second = try forum.karvan("L2", "sync")
        #expect(second.status == 0 && second.errors.contains(word))
        let first = try forum.karvan("L1", "sync")
        #expect(first.status == 0 && first.errors.contains(word))
        // From then on they are two.
        for (laptop, badge) in [("L1", "AZ-017"), ("L2", "AZ-018")] {
            let done = try forum.karvan(laptop, "attend", "P07", badge, "--as", laptop)
            #expect(done.status == 0 && done.errors.isEmpty)
        }
        for laptop in ["L1", "L2", "L3", "L1"] { try forum.must(laptop, "sync") }
        let hash = try forum.must("L1", "verify", "--state-hash")
        for laptop in ["L2", "L3"] {
            #expect(try forum.must(laptop, "verify", "--state-hash") == hash)
            let status = try forum.karvan(laptop, "status", "--json").json
            #expect(status["waiting"] as? Int == 0 && status["left"] as? Int == 0)
        }
        #expect(try forum.stateHash("hub") + "\n" == hash)
        let people = try forum.must(
            "L3", "sql", "SELECT count(*) FROM attendance")
        #expect(people.contains("5"))
        #expect(try forum.must("L3", "conflicts", "list").contains("AZ-0") == false)
    }

    @Test func `an older file that is put back says so, and gets back what the hub has`() throws {
        let forum = try Forum(prepared: ["L1"])
        try forum.connect("L1")
        try forum.must("L1", "attend", "P07", "AZ-014", "--as", "Leyla")
        try copy(forum, "L1", to: "kept")
        try forum.must("L1", "attend", "P07", "AZ-015", "--as", "Leyla")
        try forum.must("L1", "sync")
        let hash = try forum.must("L1", "verify", "--state-hash")
        try? FileManager.default.removeItem(at: forum.directory.appending(path: "L1.sqlite-shm"))
        try copy(forum, "kept", to: "L1")
        let finished = try forum.karvan("L1", "sync")
        #expect(finished.status == 0)
        #expect(finished.errors.contains("This file is older than the one that lay here before"))
        #expect(try forum.must("L1", "verify", "--state-hash") == hash)
        #expect(try !forum.must("L1", "status").contains("put back"))
    }
}

extension [String] {
    /// The first two.
    fileprivate var pair: (String, String) { (self[0], self[1]) }
}
