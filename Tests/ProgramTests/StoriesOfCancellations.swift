import Foundation
import Testing

/// A visit is cancelled in the office and held in the field.
@Suite struct StoriesOfCancellations {
    static let laptops = ["hq", "L3", "L1"]
    static let orders = Stories.orders.map { $0.map { $0 == "L2" ? "hq" : $0 } }

    @Test(arguments: orders, ["reinstate", "held despite cancellation"])
    func `a cancelled visit that was held counts, and someone decides, in every order of syncing`(
        _ order: [String], _ choice: String
    ) throws {
        let forum = try Forum(prepared: Self.laptops)
        try forum.must("hq", "--as", "Aysel", "visit", "V12", "KZ", "--status", "cancelled")
        try forum.must(
            "L3", "--as", "Murad", "visit", "V12", "KZ", "--arrived", "11:20", "--headcount", "14")
        try forum.must("L1", "attend", "V12", "KZ-017", "--at", "11:25")
        try forum.connect("hq", "L1", "L3")
        try forum.syncAll(order + order)
        try expectKept("cancelled", in: forum)
        let findings = try forum.findingsAlike(on: order)
        try #require(findings.map(\.text) == ["cancelled vs held, class 2: held, though cancelled"])
        #expect(
            findings[0].records == [
                "arrival 2025-11-26T11:20:00+04:00", "attendance: 1 in", "headcount 14",
                "status cancelled",
            ])
        #expect(Set(findings[0].choices.values) == ["reinstate", "held despite cancellation"])
        try forum.expectOpen(20, on: order)
        try forum.settle(findings[0], by: order[0], taking: choice, "the driver told")
        // Someone corrects the time meanwhile, without having seen the decision.
        try forum.must("L3", "visit", "V12", "KZ", "--headcount", "14", "--note", "by bus 3")
        try forum.syncAll(order + order)
        try forum.expectOpen(0, on: order)
        try expectKept(choice == "reinstate" ? "planned" : "cancelled", in: forum)
        for laptop in order {
            #expect(try forum.findings(laptop).isEmpty, "\(laptop)")
            let log = try forum.json(laptop, "conflicts", "log")["decisions"] as? [[String: Any]]
            #expect(log?.compactMap { $0["reason"] as? String } == ["the driver told"])
            let late = try forum.karvan(
                laptop, "conflicts", "resolve", findings[0].id, "--take", "A", "--reason", "again")
            #expect(late.status == 21 && late.output.isEmpty, "\(laptop): \(late)")
        }
    }

    /// What was recorded of the visit, beside its status.
    private func expectKept(_ status: String, in forum: Forum) throws {
        for laptop in Self.laptops {
            let visit = try forum.shown(laptop, ["visit", "V12/KZ"])
            #expect(visit["status"] == status, "\(laptop)")
            #expect(visit["actual_arrival"] == "2025-11-26T11:20:00+04:00", "\(laptop)")
            #expect(visit["headcount"] == "14", "\(laptop)")
            #expect(
                try forum.attendance(of: "V12", on: laptop) == [
                    "KZ-017 in 2025-11-26T11:25:00+04:00 1 class 0"
                ], "\(laptop)")
        }
    }
}
