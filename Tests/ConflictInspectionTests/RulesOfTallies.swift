import ConflictInspection
import FieldRecords
import Merge
import RecordSchema
import Recording
import ReplicaStore
import Testing

/// Zones add up; sessions of one zone don't.
@Suite struct RulesOfTallies {
    private func clash(_ order: [Int], _ first: Int64 = 41, _ second: Int64 = 43) throws -> Field {
        let field = try Field()
        try count(field, 0, "zone C", "left", first)
        try count(field, 1, "zone C", "right", second)
        try count(field, 2, "door A", nil, 42)
        try count(field, 0, "door B", nil, 37)
        try field.meet(order)
        return field
    }

    private func count(
        _ field: Field, _ laptop: Int, _ zone: String, _ session: String?, _ amount: Int64
    ) throws {
        _ = try field.records(laptop).tally(
            "P07", zone: zone, session: session, by: amount, author: "")
    }

    private func totals(_ field: Field, _ laptop: Int) throws -> [String] {
        try field.records(laptop).tallyTotals(item: "P07").map {
            "\($0.zone ?? "in all") \($0.text)"
        }
    }

    @Test(arguments: Field.orders)
    func `two sessions that differ are a range, and never a sum`(_ order: [Int]) throws {
        let field = try clash(order)
        for laptop in 0...2 {
            let conflict = try field.only(laptop)
            #expect(conflict.subjectText == "tally P07/zone C two sessions in one zone")
            #expect(conflict.conflictClass == .decision && conflict.shown == "41–43")
            #expect(
                try totals(field, laptop) == [
                    "door A 42", "door B 37", "zone C 41–43", "in all 120–122",
                ])
        }
    }

    @Test func `two sessions that agree count once`() throws {
        let field = try clash([0, 1, 2], 41, 41)
        #expect(try field.isSettled(0))
        #expect(
            try totals(field, 0) == ["door A 42", "door B 37", "zone C 41", "in all 120"])
    }

    @Test(arguments: Field.orders)
    func `a session that someone took goes on counting`(_ order: [Int]) throws {
        let field = try clash(order)
        try field.resolve(order[0], .take("session right"))
        try count(field, order[1], "zone C", "right", 1)
        try field.meet(order)
        #expect(try field.isSettled(0))
        #expect(try totals(field, 2)[2...] == ["zone C 44", "in all 123"])
        // A further session is another fact.
        try count(field, order[2], "zone C", "third", 5)
        try field.meet(order)
        #expect(try field.only(0).shown == "5–44")
        #expect(try totals(field, 2)[2...] == ["zone C 5–44", "in all 84–123"])
    }

    @Test(arguments: Field.orders)
    func `sessions that counted different people add up, until that is undone`(
        _ order: [Int]
    ) throws {
        let field = try clash(order)
        try field.resolve(order[0], .keepBoth)
        try field.meet(order)
        #expect(try totals(field, 1)[2...] == ["zone C 84", "in all 163"])
        try field.undo(order[1], try field.lastDecision(order[1]))
        try field.meet(order)
        #expect(try totals(field, 1)[2...] == ["zone C 41–43", "in all 120–122"])
    }

    @Test func `door A 42 and door B 37 make 79`() throws {
        let field = try Field()
        try count(field, 0, "door A", nil, 42)
        try count(field, 1, "door B", nil, 37)
        // Begun in the wrong zone, and taken back.
        try count(field, 2, "door A", nil, 1)
        try count(field, 2, "door A", nil, -1)
        try field.meet([0, 1, 2])
        #expect(try field.isSettled(1))
        #expect(try totals(field, 1) == ["door A 42", "door B 37", "in all 79"])
    }
}
