import Causality
import ConflictInspection
import FieldRecords
import Merge
import RecordSchema
import Recording
import ReplicaStore
import Testing

/// Walk-ins who may be someone else, and people whom a list no longer has.
@Suite struct RulesOfPeople {
    private func add(
        _ field: Field, _ laptop: Int, _ name: String, badge: String? = nil
    ) throws -> RowID {
        try field.laptops[laptop].write { transaction in
            if let badge {
                return try transaction.upsert(
                    Forum.person, key: [.text(badge)],
                    [(Forum.person.column(named: "name_native")!, .text(name))]
                ).id
            }
            return try transaction.insert(
                into: Forum.person, [nil, .text(name), nil, nil, nil, nil, nil])
        }.result
    }

    private func three(_ order: [Int]) throws -> Field {
        let field = try Field()
        _ = try add(field, 2, "Гюльшан Мамедова", badge: "TM-004")
        _ = try add(field, 0, "Gulshan Mammadova")
        _ = try add(field, 1, "Gülşən Məmmədova")
        try field.meet(order)
        return field
    }

    private func canonicalCount(_ field: Field, _ laptop: Int = 0) throws -> Value {
        try field.laptops[laptop].query(
            "SELECT count(*) FROM person WHERE merged_into IS NULL AND name_native NOT LIKE 'Name%'"
        )[0][0]
    }

    @Test(arguments: Field.orders)
    func `three spellings of one name are one suggestion, and nobody is merged`(
        _ order: [Int]
    ) throws {
        let field = try three(order)
        for laptop in 0...2 {
            let conflict = try field.only(laptop)
            #expect(conflict.rule == "walk-in twins" && conflict.conflictClass == .notice)
            #expect(conflict.shown == "3 people" && conflict.candidates.count == 3)
            #expect(conflict.choices.first?.name == "merge into TM-004")
            #expect(conflict.choices.last?.name == "different")
            #expect(conflict.choices.count == 4)
        }
        #expect(try canonicalCount(field) == .integer(3))
    }

    @Test(arguments: Field.orders)
    func `merged twins are one person, and undoing that makes them three`(_ order: [Int]) throws {
        let field = try three(order)
        try field.resolve(order[0], .take("A"))
        try field.meet(order)
        #expect(try field.isSettled(1))
        #expect(try canonicalCount(field) == .integer(1))
        let undoing = try field.undo(order[1], try field.lastDecision(order[1]))
        #expect(undoing.reversed.count == 2)
        try field.meet(order)
        #expect(try canonicalCount(field) == .integer(3))
        #expect(try field.only(2).shown == "3 people")
    }

    @Test(arguments: Field.orders)
    func `different people stay so, until a further one of the name comes`(_ order: [Int]) throws {
        let field = try three(order)
        try field.resolve(order[0], .keepBoth)
        try field.meet(order)
        #expect(try field.isSettled(1))
        _ = try add(field, order[1], "Gulshan MAMMADOVA")
        try field.meet(order)
        #expect(try field.only(1).shown == "4 people")
    }

    @Test(arguments: Field.orders)
    func `merged here and told apart there is one conflict, which either settles`(
        _ order: [Int]
    ) throws {
        for (choice, count) in [("merge into TM-004", 1), ("different", 3)] {
            let field = try three(order)
            try field.resolve(order[0], .take("merge into TM-004"))
            try field.resolve(order[1], .take("different"))
            try field.meet(order)
            let conflict = try field.only(2)
            #expect(conflict.candidates.count(where: \.isResolution) == 2)
            try field.resolve(order[2], .take(choice))
            try field.meet(order)
            #expect(try field.isSettled(0))
            #expect(try canonicalCount(field) == .integer(Int64(count)))
        }
    }

    @Test func `two people of the list who share a name are no suggestion`() throws {
        let field = try Field()
        _ = try add(field, 0, "Ali Hasan", badge: "TM-004")
        _ = try add(field, 0, "Ali Hasan", badge: "TM-005")
        #expect(try field.isSettled(0))
    }

    private func propose(_ field: Field, _ laptop: Int, list: String) throws {
        try field.laptops[laptop].write { transaction in
            let person = try field.records(laptop).row(in: Forum.person, "AZ-002")
            try transaction.upsert(
                Forum.proposal,
                key: [
                    .integer(Int64(Forum.person.id)), .blob(person.identifier.bytes),
                    .text("missing from list"),
                ], [(Forum.proposal.column(named: "source")!, .text(list))])
        }
    }

    @Test(arguments: Field.orders)
    func `who is missing from a list is proposed, and kept until the next list`(
        _ order: [Int]
    ) throws {
        let field = try Field()
        try propose(field, 0, list: "list v3")
        try field.meet(order)
        let conflict = try field.only(order[1])
        #expect(conflict.subjectText == "person AZ-002 missing from list")
        #expect(conflict.conflictClass == .notice)
        try field.resolve(order[1], .take("keep"))
        try field.meet(order)
        #expect(try field.isSettled(0))
        try propose(field, 0, list: "list v4")
        try field.meet(order)
        try field.resolve(order[2], .take("delete"))
        try field.meet(order)
        #expect(try field.isSettled(0))
        #expect(throws: RecordError.self) { try field.records(0).row(in: Forum.person, "AZ-002") }
        try field.undo(order[0], try field.lastDecision(order[0]))
        try field.meet(order)
        #expect(try field.only(1).choices.map(\.name) == ["keep", "delete"])
    }
}
