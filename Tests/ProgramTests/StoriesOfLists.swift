import Foundation
import Testing

/// A new version of a list meets what was edited on a laptop.
@Suite struct StoriesOfLists {
    enum Edit: String, CaseIterable {
        /// The office has the edit when it imports.
        case synced
        case apart
    }

    @Test(arguments: ImportTests.orders, Edit.allCases)
    func `a list merges with edits, proposes and never deletes, in every order of syncing`(
        _ order: [String], _ edit: Edit
    ) throws {
        let forum = try Forum(prepared: ImportTests.laptops)
        let v3 = try forum.list(
            "v3.csv", changing: ["TM-006": [.delegation: "UZ"]], lacking: ["TM-011"])
        try forum.connect("hq", "L1", "L2")
        try forum.must("L1", "set", "person", "TM-006", "role=press", "delegation=KZ")
        if edit == .synced { try forum.syncAll(["L1", "hq"]) }
        try forum.imported("hq", v3)
        let once = try forum.verified("hq")
        try forum.imported("hq", v3)
        #expect(try forum.verified("hq") == once)
        let all = try forum.syncAll(order + order)
        for laptop in order {
            #expect(try forum.value(laptop, "TM-006", "role") == "press", "\(laptop)")
            #expect(
                try forum.columnConflicts(laptop).first
                    == "person TM-006 delegation: KZ, UZ, class 2", "\(laptop)")
            #expect(
                try forum.findings(laptop).map(\.text) == ["missing from list, class 1: kept"],
                "\(laptop)")
            #expect(
                try forum.proposals(laptop) == ["TM-011: missing from list, people list v3.csv"],
                "\(laptop)")
            #expect(try forum.value(laptop, "TM-011", "badge") == "TM-011", "\(laptop)")
            try forum.imported(laptop, v3)
            #expect(try forum.verified(laptop) == all, "\(laptop)")
        }
        try forum.expectOpen(20, on: order)
        try keep(by: order[1], order, in: forum)
    }

    /// Someone keeps the person: nobody is asked again, and the delegation is still to be decided.
    private func keep(by laptop: String, _ order: [String], in forum: Forum) throws {
        let finding = try #require(try forum.findings(laptop).first)
        try forum.settle(finding, by: laptop, taking: "keep", "she is here")
        try forum.syncAll([laptop] + order)
        for each in order {
            #expect(try forum.findings(each).isEmpty, "\(each)")
            #expect(try forum.value(each, "TM-011", "badge") == "TM-011", "\(each)")
        }
        try forum.expectOpen(20, on: order)
    }
}
