import Causality
import Merge
import RecordSchema
import SyncProtocol

/// What decisions on clashes of records are kept under, whatever the rule.
extension JSON {
    fileprivate func rule() throws -> ConflictRule {
        ConflictRule(try number("rule"), "", select: "", find: { _ in [] })
    }

    fileprivate func finding() throws -> Finding {
        Finding(
            Table(1, "record", []), Fixed.row, facts: try items("facts").map { try $0.value() },
            shownFacts: try (self["shownFacts"]?.items() ?? []).map { try $0.value() },
            isStanding: true, .decision, explanation: "", shown: "", evidence: [],
            choices: try (self["choices"]?.items() ?? []).map { choice in
                Finding.Choice(
                    try choice.member("name").string(), "", effect: "",
                    edits: try choice.items("edits").map { try $0.edit() })
            })
    }

    /// By the values that are hashed of it.
    private func edit() throws -> Finding.Edit {
        let parts = try items().map { try $0.value() }
        guard parts.count >= 2, case .integer(let kind) = parts[0],
            case .integer(let table) = parts[1]
        else { throw VectorError("\(document) is no edit") }
        let of = Table(UInt32(table), "record", [])
        if kind == 1 { return .insert(of, Array(parts[2...]), besides: Fixed.row) }
        guard parts.count >= 3, case .blob(let bytes) = parts[2], let id = Identifier(bytes) else {
            throw VectorError("\(document) names no row")
        }
        switch kind {
        case 0:
            guard parts.count == 5, case .integer(let column) = parts[3] else {
                throw VectorError("\(document) names no column")
            }
            return .set(of, RowID(id), Column(UInt32(column), "column", .text), parts[4])
        case 2: return .delete(of, RowID(id))
        case 3: return .restore(of, RowID(id))
        default: throw VectorError("\(document) is no edit")
        }
    }
}

extension IdentityKind {
    static func facts(_ given: JSON) throws -> JSON {
        ["facts": .hash(try given.rule().key(of: try given.finding()))]
    }

    static func ruleConflict(_ given: JSON) throws -> JSON {
        let decisions = try given.member("decisions").dots()
        return [
            "conflict": .hash(try given.rule().id(of: try given.finding(), decisions: decisions))
        ]
    }
}

enum RuleVectors {
    static func vectors() throws -> [Vector] { try facts() + conflicts() }

    private static let row = Value.blob(Fixed.row.identifier.bytes)
    private static let other = Value.blob(Fixed.otherRow.identifier.bytes)
    private static let held = [row, .text("cancelled"), .text("held")]

    private static func facts() throws -> [Vector] {
        let cases: [(String, UInt32, [Value])] = [
            ("a cancelled record that was held", 1, held), ("two excuses", 2, [row, other]),
            ("the same by another rule", 3, [row, other]),
            ("their order means something", 2, [other, row]), ("no facts", 1, []),
            ("a list", 6, [row, .text("participants v3 \u{259}")]),
            (
                "two sessions in one zone", 4,
                [row, .text("hall"), .text("0a1b2c3d"), .text("ff00ff00")]
            ), ("walk-in twins", 5, [row, other]),
            ("a rule of two bytes", 24, [.null]), ("the greatest rule", .max, [.real(-0.0)]),
        ]
        return try cases.map { name, rule, facts in
            try Vector(
                "facts: \(name)",
                given: ["rule": .number(rule), "facts": .array(facts.map(JSON.value))],
                when: "facts", by: .ids)
        }
    }

    private static func conflicts() throws -> [Vector] {
        let (a, b) = (Dot(Fixed.stream(1), 7), Dot(Fixed.stream(2), 300))
        let set: JSON = [0, 6, .value(row), 9, "planned"]
        let insert: JSON = [1, 7, .value(row), .null, "void"]
        let delete: JSON = [2, 7, .value(other)]
        let restore: JSON = [3, 2, .value(other)]
        func choice(_ name: String, _ edits: JSON...) -> JSON {
            ["name": .string(name), "edits": .array(edits)]
        }
        let cases: [(String, [Value], [JSON], [Dot])] = [
            ("nobody has decided", [], [choice("reinstate", set), choice("held")], []),
            ("without choices", [], [], []),
            ("someone has decided", [], [choice("reinstate", set), choice("held")], [a]),
            ("two have decided", [], [choice("reinstate", set), choice("held")], [b, a]),
            ("a choice would do nothing more", [], [choice("reinstate"), choice("held")], []),
            ("the choices in another order", [], [choice("held"), choice("reinstate", set)], []),
            (
                "edits of all sorts", [],
                [choice("a", set, insert, delete, restore), choice("b", restore)], []
            ),
            (
                "more is shown", [.integer(24), .text("h1")],
                [choice("reinstate", set), choice("held")], []
            ),
        ]
        return try cases.map { name, shown, choices, decisions in
            try Vector(
                "a rule conflict: \(name)",
                given: [
                    "rule": 1, "facts": .array(held.map(JSON.value)),
                    "shownFacts": .array(shown.map(JSON.value)), "choices": .array(choices),
                    "decisions": .array(decisions.map(JSON.dot)),
                ], when: "ruleConflict", by: .ids)
        }
    }
}
