import Foundation
import Testing

/// Replicas that earlier versions made, kept for good: each opens, shows what it held, and goes on.
@Suite struct PriorSchemas {
    private static let prior = URL(filePath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        .appending(path: "Protocol/prior")

    @Test func `a replica of schema 1 opens, is whole, and counts from now on`() throws {
        let forum = try Forum()
        for (name, copy) in [("replica.db", "old.sqlite"), ("replica.db.key", "old.sqlite.key")] {
            try FileManager.default.copyItem(
                at: Self.prior.appending(path: "schema-1").appending(path: name),
                to: forum.directory.appending(path: copy))
        }
        #expect(
            try forum.stateHash("old")
                == "5390b9b16b09e43e3853230301095781b88b4a8720ff0944ec34a447b163072d")
        let conflicts = try forum.must("old", "conflicts", "list", "--class", "2")
        for text in [
            "visit V01/AZ actual_arrival  2025-11-24T10:10:00+04:00 by Leyla on L1 desk",
            "speaker by Leyla on HQ desk", "deleted by Leyla on HQ desk",
        ] {
            #expect(conflicts.contains(text))
        }
        #expect(try forum.must("old", "conflicts", "log").contains("asked the guide"))
        #expect(try forum.must("old", "show", "person", "AZ-003").contains("hu"))
        #expect(try forum.must("old", "tally", "V01", "door A", "+3").contains("now 3"))
        #expect(try forum.must("old", "verify").contains("is whole: 5 runs, 21 changes"))
    }
}
