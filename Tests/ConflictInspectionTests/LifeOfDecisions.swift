import ConflictInspection
import FieldRecords
import Merge
import RecordSchema
import Recording
import ReplicaStore
import SyncProtocol
import Testing

/// Decisions on values and on records: made, made twice, differing, taken back, made again.
@Suite struct LifeOfDecisions {
    /// Two arrivals too far apart for one column, or two sessions that differ.
    enum Kind: CaseIterable {
        case value, rule
    }

    static let cases = Kind.allCases.flatMap { kind in Field.orders.map { (kind, $0) } }

    private func clash(_ kind: Kind, _ order: [Int]) throws -> Field {
        let field = try Field()
        switch kind {
        case .value:
            try field.set(0, Forum.person, "AZ-001", "role=speaker")
            try field.set(1, Forum.person, "AZ-001", "role=guest")
        case .rule:
            for (laptop, session, count) in [(0, "a", Int64(41)), (1, "b", 43)] {
                _ = try field.records(laptop).tally(
                    "P07", zone: "zone C", session: session, by: count, author: "")
            }
        }
        try field.meet(order)
        return field
    }

    private func shown(_ field: Field, _ kind: Kind) throws -> String {
        switch kind {
        case .value:
            let rows = try field.laptops[0].query("SELECT role FROM person WHERE badge = 'AZ-001'")
            guard case .text(let role)? = rows.first?[0] else { return "" }
            return role
        case .rule: return try field.records(0).tallyTotals(item: "P07").last?.text ?? ""
        }
    }

    private func expected(_ kind: Kind, _ label: String) -> String {
        switch (kind, label) {
        case (.value, "A"): "speaker"
        case (.value, _): "guest"
        case (.rule, "A"): "41"
        case (.rule, _): "43"
        }
    }

    @Test(arguments: cases)
    func `two equal decisions settle, and both must be taken back`(
        _ kind: Kind, _ order: [Int]
    ) throws {
        let field = try clash(kind, order)
        for laptop in order[0...1] { try field.resolve(laptop, .take("A")) }
        try field.meet(order)
        #expect(try field.isSettled(0))
        #expect(try shown(field, kind) == expected(kind, "A"))
        let log = try field.conflicts(0).log()
        #expect(log.count == 2 && log.allSatisfy(\.isLive))
        try field.undo(order[2], log[0])
        try field.meet(order)
        #expect(try field.isSettled(0))
        try field.undo(order[0], log[1])
        try field.meet(order)
        #expect(try field.only(0).candidates.count == 2)
    }

    @Test(arguments: cases)
    func `two different decisions are one open conflict, settled in one step`(
        _ kind: Kind, _ order: [Int]
    ) throws {
        let field = try clash(kind, order)
        try field.resolve(order[0], .take("A"))
        try field.resolve(order[1], .take("B"))
        try field.meet(order)
        let conflict = try field.only(0)
        let decisions = conflict.candidates.filter(\.isResolution)
        #expect(decisions.count == 2 && Set(decisions.map(\.label)) == ["A", "B"])
        #expect(conflict.explanation.hasPrefix("2 people settled it differently"))
        // The label names what is shown now: values are lettered by their authors' times.
        let label = try #require(
            decisions.first { $0.text.hasPrefix(expected(kind, "B")) }?.label)
        try field.resolve(order[2], .take(label))
        try field.meet(order)
        #expect(try field.isSettled(1))
        #expect(try shown(field, kind) == expected(kind, "B"))
        // It replaced both: without it nobody has decided anything.
        try field.undo(order[0], try field.lastDecision(order[0]))
        try field.meet(order)
        #expect(try field.only(1).candidates.allSatisfy { !$0.isResolution })
    }

    @Test(arguments: cases)
    func `undone, undone again, and once more`(_ kind: Kind, _ order: [Int]) throws {
        let field = try clash(kind, order)
        let before = try field.only(0).id
        try field.resolve(order[0], .take("A"))
        try field.meet(order)
        for round in 0..<4 {
            try field.undo(order[round % 3], try field.lastDecision(order[round % 3]))
            try field.meet(order)
            let isOpen = round.isMultiple(of: 2)
            #expect(try field.isSettled(0) != isOpen, "round \(round)")
            if isOpen { #expect(try field.only(1).id == before) }
        }
        #expect(try shown(field, kind) == expected(kind, "A"))
        // Only the last one stands.
        let log = try field.conflicts(0).log()
        #expect(log.map(\.isLive) == [false, false, false, false, true])
    }

    @Test(arguments: cases)
    func `a late sibling opens what was settled`(_ kind: Kind, _ order: [Int]) throws {
        let field = try Field()
        try record(field, kind, 0, "speaker", "a", 41)
        try record(field, kind, 1, "guest", "b", 43)
        try field.carry(from: 1, to: 0)
        try field.resolve(0, .take("A"))
        try record(field, kind, 2, "organiser", "c", 5)
        try field.meet(order)
        let conflict = try field.only(0)
        #expect(conflict.conflictClass == .decision)
        try field.resolve(order[0], .take("A"))
        try field.meet(order)
        #expect(try field.isSettled(1))
    }

    private func record(
        _ field: Field, _ kind: Kind, _ laptop: Int, _ role: String, _ session: String,
        _ count: Int64
    ) throws {
        switch kind {
        case .value: try field.set(laptop, Forum.person, "AZ-001", "role=\(role)")
        case .rule:
            _ = try field.records(laptop).tally(
                "P07", zone: "zone C", session: session, by: count, author: "")
        }
    }

    @Test(arguments: Field.orders)
    func `an edit of a settled cell stands, while someone else takes the decision back`(
        _ order: [Int]
    ) throws {
        let field = try clash(.value, order)
        try field.resolve(0, .take("A"))
        try field.meet(order)
        try field.set(1, Forum.person, "AZ-001", "role=organiser")
        try field.undo(2, try field.lastDecision(2))
        try field.meet(order)
        #expect(try shown(field, .value) == "organiser")
        #expect(try field.isSettled(0))
    }

    @Test(arguments: Kind.allCases)
    func `what is decided or undone too late writes nothing`(_ kind: Kind) throws {
        let field = try clash(kind, [0, 1, 2])
        let conflict = try field.only(2)
        try field.resolve(0, .take("A"))
        try field.undo(0, try field.lastDecision(0))
        let undone = try #require(try field.conflicts(0).log().first)
        try field.resolve(0, .take("B"))
        try field.carry(from: 0, to: 2)
        let before = (try field.laptops[2].stateHash(), try field.laptops[2].counts().changesets)
        #expect(throws: ConflictError.self) {
            try field.conflicts(2).resolve(
                conflict.id.description, .take("A"), reason: "late", author: "")
        }
        for entry in try field.conflicts(2).log() where !entry.isLive {
            #expect(throws: ConflictError.self) { try field.undo(2, entry) }
        }
        #expect(!undone.isLive)
        #expect(try field.laptops[2].stateHash() == before.0)
        #expect(try field.laptops[2].counts().changesets == before.1)
    }

    @Test(arguments: cases)
    func `what was put off is back when its values change, and when that is undone`(
        _ kind: Kind, _ order: [Int]
    ) throws {
        let field = try clash(kind, order)
        _ = try field.conflicts(order[0]).postpone(
            try field.only(order[0]).shortID, untilMilliseconds: nil, reason: "later",
            author: "Aysel")
        try field.meet(order)
        #expect(try field.only(1).deferral?.who == "Aysel")
        // It still needs someone.
        let counts = try field.conflicts(1).counts()
        #expect(counts.toDecide == 1 && counts.deferred == 1 && counts.toNote == 0)
        try field.undo(order[1], try field.lastDecision(order[1]))
        try field.meet(order)
        #expect(try field.only(2).deferral == nil)
        _ = try field.conflicts(order[2]).postpone(
            try field.only(order[2]).shortID, untilMilliseconds: nil, reason: "", author: "Aysel")
        try field.meet(order)
        #expect(try field.only(0).deferral != nil)
        try record(field, kind, order[0], "organiser", "c", 5)
        try field.meet(order)
        #expect(try field.conflicts(1).open().allSatisfy { $0.deferral == nil })
    }
}
