import Foundation
import Testing

/// Doors add up; two who count one zone don't.
@Suite struct StoriesOfTallies {
    @Test(arguments: Stories.orders)
    func `doors add up and sessions of one zone never do, in every order of syncing`(
        _ order: [String]
    ) throws {
        let forum = try Forum(prepared: Stories.laptops)
        for (laptop, item, zone, amounts) in [
            ("L1", "P07", "A", ["+40", "+5", "-3"]), ("L2", "P07", "B", ["+37"]),
            ("L1", "P08", "C", ["+41"]), ("L3", "P08", "C", ["+43"]),
        ] {
            for amount in amounts { try forum.must(laptop, "tally", item, zone, amount) }
        }
        // One session that two laptops keep is one count.
        for (laptop, amount) in [("L2", "+20"), ("L3", "+22")] {
            try forum.must(laptop, "tally", "P09", "D", amount, "--session", "morning")
        }
        try forum.connect("L1", "L2", "L3")
        try forum.syncAll(order + order)
        try expectTotals("41–43", isUnresolved: true, in: forum)
        let findings = try forum.findingsAlike(on: order)
        try #require(findings.map(\.text) == ["two sessions in one zone, class 2: 41–43"])
        #expect(findings[0].records == ["41 (L1)", "43 (L3)"])
        try forum.expectOpen(20, on: order)
        try forum.settle(findings[0], by: order[2], taking: "43,", "L3 stood at the only door")
        // One more head, counted by someone who has not seen the decision.
        let other = try #require(["L1", "L3"].first { $0 != order[2] })
        try forum.must(other, "tally", "P08", "C", "+1")
        try forum.syncAll([order[2]] + order + order)
        try forum.expectOpen(0, on: order)
        for laptop in order { #expect(try forum.findings(laptop).isEmpty, "\(laptop)") }
        try expectTotals(other == "L3" ? "44" : "43", isUnresolved: false, in: forum)
        // One more session is another question.
        try forum.must("L2", "tally", "P08", "C", "+45")
        try forum.syncAll(["L2"] + order)
        try forum.expectOpen(20, on: order)
        #expect(try forum.findingsAlike(on: order).map(\.text).first?.contains("45") == true)
    }

    private func expectTotals(_ zoneC: String, isUnresolved: Bool, in forum: Forum) throws {
        for laptop in Stories.laptops {
            let totals = try #require(
                try forum.json(laptop, "list", "tally")["totals"] as? [[String: Any]])
            let lines = totals.map { total in
                [total["item"], total["zone"], total["counted"]].compactMap { $0 as? String }
                    .joined(separator: " ")
                    + (total["unresolved"] as? Bool == true ? " unresolved" : "")
            }
            let mark = isUnresolved ? " unresolved" : ""
            // Items stand in the order of their ids.
            #expect(
                lines.sorted() == [
                    "P07 79", "P07 A 42", "P07 B 37", "P08 \(zoneC)\(mark)",
                    "P08 C \(zoneC)\(mark)", "P09 42", "P09 D 42",
                ], "\(laptop)")
            let text = try forum.must(laptop, "list", "tally")
            // Above them stand the sessions, whose ids may hold any digits.
            let sums = text.components(separatedBy: "\n\n").last ?? text
            #expect(sums.contains("in all") && !sums.contains("84"), "\(text)")
        }
    }
}
