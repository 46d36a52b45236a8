import Foundation
import Testing

/// Two doors add one person in two spellings, and the list has a third.
@Suite struct StoriesOfPeople {
    @Test(arguments: Stories.orders)
    func `walk-in twins are suggested once and merged by a person only, in every order of syncing`(
        _ order: [String]
    ) throws {
        let forum = try Forum(prepared: Stories.laptops)
        let first = try add("Gulshan Mammadova", on: "L1", in: forum)
        let second = try add("Gülşən Məmmədova", on: "L2", in: forum)
        try forum.must("L1", "attend", "P07", first, "--at", "09:02")
        try forum.must("L2", "attend", "P07", second, "--at", "09:05")
        try forum.connect("L1", "L2", "L3")
        try forum.syncAll(order + order)
        try expectApart(in: forum)
        let findings = try forum.findingsAlike(on: order)
        try #require(findings.map(\.text) == ["walk-in twins, class 1: 3 people"])
        #expect(
            findings[0].records == [
                "Gulshan Mammadova (no badge)", "Gülşən Məmmədova (no badge)",
                "Гюльшан Мамедова (KZ-017)",
            ])
        try forum.expectOpen(0, on: order)
        try forum.settle(findings[0], by: order[0], taking: "merge into Гюльшан", "she said so")
        try forum.syncAll([order[0]] + order)
        for laptop in order {
            #expect(try forum.findings(laptop).isEmpty, "\(laptop)")
            #expect(
                try forum.attendance(of: "P07", on: laptop) == [
                    "KZ-017 in 2025-11-25T09:02:00+04:00 2 class 0"
                ], "\(laptop)")
            #expect(try facts(of: "P07", on: laptop, in: forum) == ["520 expected, 1 in"])
        }
        // Two laptops take back one merge each, apart.
        try forum.must("L1", "person", "unmerge", first)
        try forum.must("L2", "person", "unmerge", second)
        try forum.syncAll(order + order)
        try expectApart(in: forum)
    }

    @Test(arguments: Stories.orders)
    func `two opposite merges make one person, in every order of syncing`(
        _ order: [String]
    ) throws {
        let forum = try Forum(prepared: Stories.laptops)
        try forum.connect("L1", "L2", "L3")
        let first = try add("Gulshan Mammadova", on: "L1", in: forum)
        let second = try add("Gülşən Məmmədova", on: "L2", in: forum)
        try forum.must("L1", "attend", "P07", first, "--at", "09:02")
        try forum.must("L2", "attend", "P07", second, "--at", "09:05")
        try forum.syncAll(["L1", "L2", "L1"])
        try forum.must("L1", "person", "merge", first, second)
        try forum.must("L2", "person", "merge", second, first)
        try forum.syncAll(order + order)
        let lines = try forum.attendance(of: "P07", on: order[0])
        #expect(
            lines.count == 1 && lines[0].hasSuffix("in 2025-11-25T09:02:00+04:00 2 class 0"),
            "\(lines)")
        for laptop in order {
            #expect(try forum.attendance(of: "P07", on: laptop) == lines, "\(laptop)")
            #expect(try facts(of: "P07", on: laptop, in: forum) == ["521 expected, 1 in"])
        }
        try forum.must(order[1], "person", "unmerge", first)
        try forum.syncAll([order[1]] + order)
        try expectApart(in: forum)
    }

    private func add(_ name: String, on laptop: String, in forum: Forum) throws -> String {
        let facts = try forum.json(laptop, "person", "add", "--native", name, "--delegation", "AZ")
        let person = try #require(facts["person"] as? [String: Any])
        return try #require(person["name"] as? String)
    }

    private func facts(
        of item: String, on laptop: String, in forum: Forum
    ) throws -> [String] {
        try forum.rows(
            laptop,
            """
            SELECT s.expected || ' expected, ' || s."in" || ' in' AS facts
            FROM attendance_summary s JOIN item i ON i.id = s.item WHERE i.code = '\(item)'
            """)
    }

    /// Three people, of whom two attend.
    private func expectApart(in forum: Forum) throws {
        for laptop in Stories.laptops {
            let lines = try forum.attendance(of: "P07", on: laptop)
            #expect(lines.count == 2, "\(laptop): \(lines)")
            for time in ["09:02", "09:05"] {
                #expect(
                    lines.contains { $0.hasSuffix("in 2025-11-25T\(time):00+04:00 1 class 0") },
                    "\(laptop): \(lines)")
            }
            #expect(
                try facts(of: "P07", on: laptop, in: forum) == ["522 expected, 2 in"], "\(laptop)")
        }
    }
}
