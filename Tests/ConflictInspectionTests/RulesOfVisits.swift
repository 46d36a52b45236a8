import ConflictInspection
import FieldRecords
import Merge
import RecordSchema
import Recording
import ReplicaStore
import Testing

/// A visit was cancelled, and someone who had not seen that recorded that it was held.
@Suite struct RulesOfVisits {
    private func clash(_ order: [Int]) throws -> Field {
        let field = try Field()
        try field.visit(0) { $0.status = "planned" }
        try field.meet(order)
        try field.set(0, Forum.visit, "V12/KZ", "status=cancelled")
        try field.visit(1) {
            $0.arrivedMilliseconds = 1_764_144_000_000
            $0.headcount = 14
        }
        try field.meet(order)
        return field
    }

    @Test(arguments: Field.orders)
    func `cancelled and held is for a person to decide, and everything counts meanwhile`(
        _ order: [Int]
    ) throws {
        let field = try clash(order)
        for laptop in 0...2 {
            let conflict = try field.only(laptop)
            #expect(conflict.subjectText == "visit V12/KZ cancelled vs held")
            #expect(conflict.conflictClass == .decision)
            #expect(conflict.choices.map(\.name) == ["reinstate", "held"])
            #expect(
                conflict.candidates.map(\.text) == [
                    "status cancelled", "arrival 2025-11-26T12:00:00+04:00", "headcount 14",
                ])
            #expect(
                conflict.candidates.map { $0.provenance?.person } == [
                    "person 0", "person 1", "person 1",
                ])
        }
    }

    @Test(arguments: Field.orders)
    func `one more time of departure does not open again what someone decided`(
        _ order: [Int]
    ) throws {
        let field = try clash(order)
        try field.resolve(order[0], .take("held"))
        try field.visit(order[1]) { $0.departedMilliseconds = 1_764_150_000_000 }
        try field.meet(order)
        #expect(try field.isSettled(0))
        let status = try field.laptops[0].query("SELECT status FROM visit")
        #expect(status == [[.text("cancelled")]])
    }

    @Test(arguments: Field.orders)
    func `a reinstated visit that is cancelled again is open again`(_ order: [Int]) throws {
        let field = try clash(order)
        let settled = try field.resolve(order[0], .take("a"))
        #expect(settled.text == "reinstate" && settled.effect.contains("planned"))
        try field.meet(order)
        #expect(try field.isSettled(1))
        #expect(
            try field.laptops[2].query("SELECT status FROM visit") == [[.text("planned")]])
        try field.set(order[2], Forum.visit, "V12/KZ", "status=cancelled")
        try field.meet(order)
        let again = try field.only(1)
        #expect(again.explanation.hasPrefix("Someone has settled it"))
        #expect(again.candidates.contains { $0.isResolution && $0.text == "reinstate" })
    }

    @Test(arguments: Field.orders)
    func `an undone decision puts the status back, and undoing that decides again`(
        _ order: [Int]
    ) throws {
        let field = try clash(order)
        let before = try field.only(0).id
        try field.resolve(order[0], .take("reinstate"))
        try field.meet(order)
        let undoing = try field.undo(order[1], try field.lastDecision(order[1]))
        #expect(undoing.reversed == ["visit V12/KZ status"] && undoing.kept.isEmpty)
        #expect(undoing.reopened?.id == before)
        try field.meet(order)
        #expect(try field.only(2).id == before)
        try field.undo(order[2], try field.lastDecision(order[2]))
        try field.meet(order)
        #expect(try field.isSettled(0))
        #expect(
            try field.laptops[0].query("SELECT status FROM visit") == [[.text("planned")]])
    }

    @Test func `what someone has changed since stays when a decision is undone`() throws {
        let field = try clash([0, 1, 2])
        try field.resolve(0, .take("reinstate"))
        let decision = try field.lastDecision(0)
        try field.set(0, Forum.visit, "V12/KZ", "status=done")
        let undoing = try field.undo(0, decision)
        #expect(undoing.reversed.isEmpty && undoing.kept == ["visit V12/KZ status"])
        #expect(try field.laptops[0].query("SELECT status FROM visit") == [[.text("done")]])
        #expect(try field.isSettled(0))
    }

    @Test func `an item that was cancelled clashes with who was there`() throws {
        let field = try Field()
        try field.set(0, Forum.item, "P07", "status=cancelled")
        #expect(try field.isSettled(0))
        try field.attend(0, "AZ-001", .in)
        let conflict = try field.only(0)
        #expect(conflict.subjectText == "item P07 cancelled vs held")
        #expect(conflict.candidates.last?.text == "attendance: 1 in")
        _ = try field.records(0).undoAttendance("P07", "AZ-001", author: "")
        #expect(try field.isSettled(0))
    }
}
