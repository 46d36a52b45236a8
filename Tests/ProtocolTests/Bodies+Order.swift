import Causality
import Merge
import SyncProtocol

/// Bodies that break two rules: the one that is looked at first gives the reason.
extension BodyVectors {
    static func wrongInTwoWays() throws -> [Vector] {
        try twoFaultsOfHeads() + twoFaultsOfOps() + twoFaultsOfDots()
    }

    private static func twoFaultsOfHeads() throws -> [Vector] {
        let draft = BodyDraft()
        return [
            try refusal("an array of nothing before a null", "invalid", draft.array(0).null),
            try refusal(
                "a counter that the array has no place for", "invalid",
                draft.array(1).number(3).number(0)),
            try refusal(
                "a counter of 0, and no meta", "outOfRange", draft.array(2).number(3).number(0)),
            try refusal(
                "2^48 milliseconds, and no meta", "outOfRange", draft.array(1).number(1 << 49)),
            try refusal(
                "a time of 0, and a meta that is a text", "invalid",
                draft.array(2).number(0).text("a")),
            try refusal(
                "a changeset of 262145 bytes with a cell twice", "invalid",
                sized(262_145, lastColumn: 3)),
            try refusal(
                "a row with an id that is short, and cut off", "truncated",
                head.array(4).number(1).adding { $0.raw([0x4f, 0, 0]) }),
        ]
    }

    private static func twoFaultsOfOps() throws -> [Vector] {
        let yes = { (draft: BodyDraft) in draft.adding { $0.bool(true) } }
        return [
            try refusal("a put of the row itself, of true", "invalid", yes(ops(2).code(0, 0))),
            try refusal(
                "a delete of a column, over true", "invalid", yes(ops(3).code(1, 4)).array(0)),
            try refusal("a column of 2^32, of true", "invalid", yes(ops(2).code(1 << 32, 0))),
            // Cells are compared at the end of their row item, and of the changeset.
            try refusal(
                "a cell twice, the second true", "unexpectedType", yes(ops(4).put.code(1, 0))),
            try refusal(
                "a cell twice, then true", "unexpectedType",
                yes(ops(6).put.put.code(2, 0))),
            try refusal(
                "a cell twice in a row item, before a row that is a number", "invalid",
                BodyDraft().changeset(now, rows: 2).row(items: 4).put.put.number(1)),
            try refusal(
                "a cell twice in two row items, before a row that is a number", "unexpectedType",
                BodyDraft().changeset(now, rows: 3).row(items: 2).put
                    .array(4).number(1).number(0).put.number(1)),
        ]
    }

    private static func twoFaultsOfDots() throws -> [Vector] {
        let delete = ops(3).code(0, 4).array(0)
        func group(_ places: Int) -> BodyDraft {
            (0..<places).reduce(delete.array(2).array(1 + places).number(2)) { draft, _ in
                draft.number(1)
            }
        }
        return [
            try refusal(
                "8193 items of dots that are not there", "tooLong", firstSeq: 9,
                ops(3).code(5, 1).null.array(8_193)),
            try refusal(
                "4097 places that are null", "tooLong", firstSeq: 9,
                (0..<4_097).reduce(delete.array(1).array(4_098).number(2)) { draft, _ in
                    draft.null
                }),
            try refusal(
                "4097 places in two groups, the last null", "tooLong", firstSeq: 9,
                group(4_096).array(2).number(2).null),
            try refusal(
                "a dot of its own stream by number, of seq 0", "invalid", firstSeq: 9,
                streams: [Fixed.stream(1)], ops(3).code(5, 1).null.numbers(1, 0)),
        ]
    }

    /// Tags and simple values are `unsupported` where more than one kind may stand, else
    /// `unexpectedType`.
    static func wrongKinds() throws -> [Vector] {
        let draft = BodyDraft()
        let meta = draft.array(2).number(now << 1)
        let name = head.array(4).number(1)
        let value = ops(2).code(5, 0)
        let delete = ops(3).code(0, 4).array(0).array(1).array(2).number(2)
        let many: [(String, BodyDraft)] = [
            ("meta", meta), ("a row's name", name), ("a value", value),
            ("a part", value.array(2).number(0)), ("a key", name.array(1)),
            ("an element", ops(2).code(4, 5)), ("a reference", value.array(2).number(2)),
            ("a place", delete),
        ]
        let one: [(String, BodyDraft)] = [
            ("a changeset", draft), ("a time", draft.array(2)),
            ("a counter", draft.array(3).number(3)), ("a key of meta", meta.map(1)),
            ("an author", meta.map(1).number(0)), ("a claimed time", meta.map(1).number(1)),
            ("an action id", meta.map(1).number(2)), ("a row", head),
            ("a table", head.array(4)), ("a code", ops(2)), ("a form", value.array(2)),
            ("a distance", value.array(2).number(3)), ("dots", ops(2).code(1, 3)),
            ("a dot", ops(2).code(1, 3).array(1)), ("a place's column", delete.array(2)),
        ]
        let items: [(String, [UInt8])] = [("a tag", [0xc0]), ("undefined", [0xf7])]
        func refusals(_ places: [(String, BodyDraft)], _ reason: String) throws -> [Vector] {
            try places.flatMap { place, draft in
                try items.map { item, bytes in
                    // What follows is enough for any count.
                    try refusal(
                        "\(item) for \(place)", reason, firstSeq: 9,
                        draft.adding { $0.raw(bytes + [0, 0, 0, 0, 0]) })
                }
            }
        }
        return try refusals(many, "unsupported") + refusals(one, "unexpectedType") + [
            try refusal("a meta that is false", "unexpectedType", meta.adding { $0.bool(false) }),
            try refusal(
                "a row named by a real", "unexpectedType", name.value(.real(1)).put),
            try refusal("a reference by null", "unexpectedType", value.array(2).number(2).null),
            try refusal("a place that is null", "unexpectedType", firstSeq: 9, delete.null),
        ]
    }
}
