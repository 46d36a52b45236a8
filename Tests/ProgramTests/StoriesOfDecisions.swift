import Foundation
import Testing

/// What happens to a decision when someone else's record arrives after it.
@Suite struct StoriesOfDecisions {
    enum Third: String, CaseIterable {
        case hadSeenBoth, hadSeenNothing
    }

    @Test(arguments: Third.allCases)
    func `a third value from someone who did not see the decision opens the conflict again`(
        _ third: Third
    ) throws {
        let forum = try Forum(prepared: ["L1", "L2", "L3"])
        try forum.connect("L1", "L2", "L3")
        try forum.must("L1", "visit", "V12", "KZ", "--arrived", "10:10")
        try forum.must("L2", "visit", "V12", "KZ", "--arrived", "10:25")
        for laptop in ["L1", "L2", "L1"] { try forum.must(laptop, "sync") }
        if third == .hadSeenBoth { try forum.must("L3", "sync") }
        let first = try #require(try forum.conflicts("L1").first)
        try forum.must(
            "L1", ["conflicts", "resolve", first.id, "--take", "A", "--reason", "the bus log"])
        try forum.must("L3", "visit", "V12", "KZ", "--arrived", "11:00")
        for laptop in ["L1", "L3", "L2", "L1"] { try forum.must(laptop, "sync") }
        let second = try expectReopened(first, in: forum)
        try forum.must(
            "L2", "conflicts", "resolve", second.id, "--value", "2025-11-26T10:12+04:00",
            "--reason",
            "the driver")
        for laptop in ["L2", "L3", "L1"] { try forum.must(laptop, "sync") }
        try expectSettled(in: forum)
    }

    private func expectReopened(_ first: ListedConflict, in forum: Forum) throws -> ListedConflict {
        let conflicts = try forum.conflicts("L1")
        let second = try #require(conflicts.first)
        #expect(conflicts.count == 1 && second.id != first.id && second.conflictClass == 2)
        #expect(
            [second.shown] + second.others == [
                "2025-11-26T11:00:00+04:00", "2025-11-26T10:10:00+04:00",
            ])
        for laptop in ["L1", "L2", "L3"] {
            #expect(try forum.conflicts(laptop) == [second], "\(laptop)")
            #expect(try forum.karvan(laptop, "conflicts", "list", "--open").status == 20)
            let text = try forum.must(laptop, "conflicts", "show", second.id)
            #expect(text.contains("10:10:00+04:00 (a decision)"), "\(text)")
            // What was shown when the decision was made is no longer what stands.
            let stale = try forum.karvan(
                laptop, "conflicts", "resolve", first.id, "--take", "A", "--reason", "again")
            #expect(stale.status == 21, "\(stale.errors)")
        }
        return second
    }

    private func expectSettled(in forum: Forum) throws {
        let hub = try forum.verified("hub")
        for laptop in ["L1", "L2", "L3"] {
            #expect(try forum.verified(laptop) == hub, "\(laptop)")
            #expect(try forum.conflicts(laptop).isEmpty, "\(laptop)")
            let log = try forum.json(laptop, "conflicts", "log")["decisions"] as? [[String: Any]]
            #expect(log?.compactMap { $0["reason"] as? String } == ["the bus log", "the driver"])
            #expect(log?.compactMap { $0["device"] as? String } == ["L1", "L2"])
            #expect(
                try forum.must(laptop, "show", "visit", "V12/KZ")
                    .contains("actual_arrival  2025-11-26T10:12:00+04:00"), "\(laptop)")
        }
    }
}
