import ConflictInspection
import FieldRecords
import Merge
import RecordSchema
import Recording
import ReplicaStore
import Testing

/// Someone was excused, or missed by a roll call, and someone else scanned them.
@Suite struct RulesOfAttendance {
    private func clash(_ kind: ObservationKind, _ order: [Int]) throws -> Field {
        let field = try Field()
        try field.attend(0, "TR-031", kind, reason: kind == .excused ? "hospital" : nil)
        try field.attend(1, "TR-031", .in)
        try field.meet(order)
        return field
    }

    private func state(_ field: Field, _ laptop: Int = 0) throws -> String {
        let rows = try field.laptops[laptop].query("SELECT state FROM attendance")
        guard case .text(let state)? = rows.first?[0] else { return "" }
        return state
    }

    @Test(arguments: Field.orders)
    func `excused and scanned is shown present until someone decides`(_ order: [Int]) throws {
        let field = try clash(.excused, order)
        for laptop in 0...2 {
            let conflict = try field.only(laptop)
            #expect(conflict.subjectText == "attendance P07/TR-031 excused vs present")
            #expect(conflict.conflictClass == .decision && conflict.shown == "present")
            #expect(conflict.candidates.map(\.isShown) == [true, false])
            #expect(conflict.candidates[1].text.hasPrefix("excused: hospital"))
            #expect(conflict.choices.map(\.name) == ["present", "excused"])
        }
        #expect(try state(field) == "in")
    }

    @Test(arguments: Field.orders)
    func `a roll call that missed someone is worth a notice`(_ order: [Int]) throws {
        let field = try clash(.absent, order)
        let conflict = try field.only(order[0])
        #expect(conflict.subjectText == "attendance P07/TR-031 roll call vs scan")
        #expect(conflict.conflictClass == .notice && conflict.shown == "present")
        // Nobody has to say why.
        try field.resolve(order[0], .take("present"), reason: "")
        try field.meet(order)
        #expect(try field.isSettled(1))
    }

    /// Two laptops know of the clash; the third has seen nothing, and scans, or excuses, as well.
    private func decided(_ choice: String, beside kind: ObservationKind) throws -> Field {
        let field = try Field()
        try field.attend(0, "TR-031", .excused, reason: "hospital")
        try field.attend(1, "TR-031", .in)
        try field.carry(from: 1, to: 0)
        try field.resolve(0, .take(choice))
        try field.attend(2, "TR-031", kind)
        return field
    }

    @Test(arguments: Field.orders)
    func `a further scan opens nothing again where someone decided for present, an excuse does`(
        _ order: [Int]
    ) throws {
        let scanned = try decided("present", beside: .in)
        try scanned.meet(order)
        #expect(try scanned.isSettled(0))
        let excused = try decided("present", beside: .excused)
        try excused.meet(order)
        #expect(try excused.only(0).candidates.count == 3)
    }

    @Test(arguments: Field.orders)
    func `a scan that nobody had seen opens a decision for excused again`(_ order: [Int]) throws {
        let field = try decided("excused", beside: .in)
        #expect(try state(field) == "excused")
        try field.meet(order)
        let conflict = try field.only(0)
        #expect(conflict.candidates.contains { $0.isResolution && $0.text == "excused" })
        #expect(conflict.explanation.hasPrefix("Someone has settled it"))
        try field.resolve(order[2], .take("excused"))
        try field.meet(order)
        #expect(try field.isSettled(1))
        #expect(try state(field) == "excused")
    }

    @Test(arguments: Field.orders)
    func `a decision for excused that is undone gives the scan back`(_ order: [Int]) throws {
        let field = try clash(.excused, order)
        try field.resolve(order[0], .take("excused"))
        try field.meet(order)
        let undoing = try field.undo(order[1], try field.lastDecision(order[1]))
        #expect(undoing.reversed == ["attendance P07/TR-031"])
        try field.meet(order)
        #expect(try state(field) == "in")
        #expect(try field.only(2).conflictClass == .decision)
        try field.undo(order[2], try field.lastDecision(order[2]))
        try field.meet(order)
        #expect(try state(field) == "excused")
        #expect(try field.isSettled(0))
    }

    @Test(arguments: Field.orders)
    func `present and excused decided apart are one conflict, which either settles`(
        _ order: [Int]
    ) throws {
        for choice in ["present", "excused"] {
            let field = try clash(.excused, order)
            try field.resolve(order[0], .take("present"))
            try field.resolve(order[1], .take("excused"))
            try field.meet(order)
            let conflict = try field.only(2)
            #expect(conflict.subjectText == "attendance P07/TR-031 excused vs present")
            let decisions = conflict.candidates.filter(\.isResolution)
            #expect(Set(decisions.map(\.text)) == ["present", "excused"])
            #expect(Set(decisions.map(\.label)) == ["A", "B"])
            try field.resolve(order[2], .take(choice))
            try field.meet(order)
            #expect(try field.isSettled(0))
            #expect(try state(field) == (choice == "present" ? "in" : "excused"))
        }
    }
}
