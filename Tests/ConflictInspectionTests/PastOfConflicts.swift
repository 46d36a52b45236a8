import ConflictInspection
import FieldRecords
import Merge
import Recording
import ReplicaStore
import Testing

/// How the values of a conflict came about, and why they are one.
@Suite struct PastOfConflicts {
    private func role(_ field: Field, _ laptop: Int, _ role: String) throws {
        try field.set(laptop, Forum.person, "AZ-001", "role=\(role)")
    }

    private func past(_ field: Field, _ laptop: Int) throws -> ConflictPast {
        try #require(try field.conflicts(laptop).past(of: field.only(laptop)))
    }

    @Test func `what all had been shown is the base, and what is older is left out`() throws {
        let field = try Field()
        try role(field, 0, "oldest")
        try role(field, 0, "older")
        try role(field, 0, "base")
        try field.meet([0, 1, 2])
        try role(field, 1, "first")
        try role(field, 1, "second")
        try role(field, 2, "other")
        try field.meet([0, 1, 2])
        let past = try past(field, 0)
        #expect(past.steps.compactMap(\.text) == ["base", "first", "second", "other"])
        #expect(past.hasEarlier && past.base.compactMap(\.text) == ["base"])
        #expect(past.steps.map(\.label) == [nil, nil, "A", "B"])
        #expect(past.steps.map(\.parents) == [[], [0], [1], [0]])
        #expect(past.steps.map(\.isShown) == [false, false, false, true])
        #expect(past.steps.map { $0.receivedMilliseconds == nil } == [true, false, false, false])
        #expect(past.steps.allSatisfy { $0.claimSkewMilliseconds == nil && !$0.isDecision })
        // The same, told by another laptop, but for what was recorded where.
        let other = try self.past(field, 2)
        #expect(other.steps.map(\.provenance.dot) == past.steps.map(\.provenance.dot))
        #expect(other.steps.map { $0.receivedMilliseconds == nil } == [false, false, false, true])
    }

    @Test func `a long way between is cut, and nothing stands apart that doesn't`() throws {
        let field = try Field()
        try role(field, 0, "base")
        try field.meet([0, 1, 2])
        for number in 1...40 { try role(field, 0, "role \(number)") }
        try role(field, 1, "other")
        try field.meet([0, 1, 2])
        let past = try past(field, 2)
        #expect(past.base.compactMap(\.text) == ["base"] && !past.isBaseUnknown)
        #expect(past.omittedCount == 15 && past.steps.count == 1 + 24 + 2)
        #expect(past.steps.filter(\.parents.isEmpty).map(\.text) == ["base"])
        #expect(past.steps.compactMap(\.text).contains("role 40"))
    }

    @Test func `nothing that all had been shown is no base`() throws {
        let field = try Field()
        try role(field, 0, "one")
        try role(field, 1, "two")
        try field.meet([0, 1, 2])
        let past = try past(field, 2)
        #expect(past.base.isEmpty && !past.hasEarlier)
        #expect(past.steps.map(\.parents) == [[], []])
    }

    @Test func `a decision came of what it settles, and who had not seen it stands beside`() throws
    {
        let field = try Field()
        try role(field, 0, "one")
        try role(field, 1, "two")
        try field.meet([0, 1, 2])
        try field.resolve(0, .take("B"))
        try role(field, 2, "three")
        try field.meet([2, 0, 1])
        let past = try past(field, 1)
        #expect(past.steps.compactMap(\.text) == ["one", "two", "two", "three"])
        #expect(past.steps.map(\.isDecision) == [false, false, true, false])
        // Who decided had been shown both values, and who edited the one that the record showed.
        #expect(past.steps.map(\.isBase) == [false, true, false, false])
        #expect(past.steps.map(\.parents) == [[], [], [0, 1], [1]])
    }

    @Test func `records that clash, and a deleted one, have no such past`() throws {
        let field = try Field()
        try field.attend(0, "AZ-001", .excused, reason: "ill")
        try field.attend(1, "AZ-001", .in)
        try field.meet([0, 1, 2])
        let clash = try field.only(2)
        #expect(try field.conflicts(2).past(of: clash) == nil)
        let told = clash.fullExplanation
        #expect(told.why == [clash.explanation] && told.rule[0].contains("excused vs present"))
        let other = try Field()
        try role(other, 0, "one")
        _ = try other.records(2).delete(Forum.person, "AZ-001", author: "person 2")
        try other.carry(from: 0, to: 2)
        let life = try other.only(2)
        #expect(try other.conflicts(2).past(of: life) == nil)
        #expect(life.fullExplanation.rule[0].hasPrefix("A delete hides"))
        #expect(life.fullExplanation.why.count == 3)
    }

    @Test func `an explanation says what each had been shown, and what counts`() throws {
        let field = try Field()
        for (laptop, minute) in [(0, Int64(0)), (1, 4)] {
            try field.visit(laptop) { $0.arrivedMilliseconds = 1_764_000_000_000 + minute * 60_000 }
        }
        try field.meet([0, 1, 2])
        let conflict = try field.only(2)
        let told = conflict.fullExplanation
        #expect(told.why.count == 3 && told.why[1].hasSuffix("had been shown nothing here."))
        #expect(told.rule.contains { $0.contains("up to 10 min apart count as one") })
        #expect(told.rule.last?.hasPrefix("Class 1") == true)
        #expect(told.shown[0].hasSuffix("the earliest."))
    }
}
