import Foundation
import Testing

/// A roll call, or an excuse, against a scan.
@Suite struct StoriesOfRollCalls {
    static let choices = ["present", "excused", "present", "excused", "present", "excused"]

    @Test(arguments: zip(Stories.orders, choices))
    func `who was scanned is present, whatever a roll call says, in every order of syncing`(
        _ order: [String], _ choice: String
    ) throws {
        let forum = try Forum(prepared: Stories.laptops + ["hq"])
        try forum.must(
            "L1", "attend", "P07", "TR-031", "TR-032", "--absent", "--roll-call", "--at", "10:00")
        try forum.must("L1", "attend", "P07", "TR-033", "--excused", "hospital", "--at", "10:00")
        try forum.must("L2", "attend", "P07", "TR-031", "--at", "09:58")
        try forum.must("L2", "attend", "P07", "TR-033", "--at", "09:58")
        try forum.connect("L1", "L2", "L3", "hq")
        try forum.syncAll(order + order)
        let first = "2025-11-25T09:58:00+04:00"
        for laptop in order {
            #expect(
                try forum.attendance(of: "P07", on: laptop) == [
                    "TR-031 in \(first) 2 class 1", "TR-032 absent 1 class 0",
                    "TR-033 in \(first) 2 class 2",
                ], "\(laptop)")
        }
        let findings = try forum.findingsAlike(on: order)
        try #require(
            findings.map(\.text) == [
                "excused vs present, class 2: present", "roll call vs scan, class 1: present",
            ])
        #expect(
            findings[0].records == [
                "excused: hospital 2025-11-25T10:00:00+04:00, badge", "in \(first), badge",
            ])
        try forum.expectOpen(20, on: order)
        try forum.settle(findings[0], by: order[1], taking: choice, "the hospital called")
        try forum.syncAll([order[1]] + order)
        try forum.expectOpen(0, on: order)
        let state = choice == "present" ? "in \(first) 2 class" : "excused 2 class"
        for laptop in order {
            let lines = try forum.attendance(of: "P07", on: laptop)
            #expect(lines.count == 3 && lines[2].hasPrefix("TR-033 \(state) "), "\(lines)")
            #expect(
                try forum.findings(laptop).map(\.text) == ["roll call vs scan, class 1: present"])
        }
        guard choice == "present" else { return }
        try scanAgain(after: findings[0], order, in: forum)
    }

    /// By someone who had seen the decision, and by someone who had seen nothing at all.
    private func scanAgain(
        after finding: ListedFinding, _ order: [String], in forum: Forum
    ) throws {
        try forum.must(order[2], "attend", "P07", "TR-033", "--at", "10:30")
        try forum.must("hq", "attend", "P07", "TR-033", "--at", "10:40")
        let laptops = order + ["hq"]
        try forum.syncAll(["hq"] + laptops + order)
        try forum.expectOpen(0, on: laptops)
        for laptop in laptops {
            #expect(
                try forum.findings(laptop).map(\.text) == ["roll call vs scan, class 1: present"],
                "\(laptop)")
            let late = try forum.karvan(
                laptop, "conflicts", "resolve", finding.id, "--take", "A", "--reason", "again")
            #expect(late.status == 21 && late.output.isEmpty, "\(laptop): \(late)")
        }
    }
}
