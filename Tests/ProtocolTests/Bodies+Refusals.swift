import Causality
import Merge
import SyncProtocol

/// Bodies that break one rule each.
extension BodyVectors {
    static var head: BodyDraft { BodyDraft().changeset(now, rows: 1) }
    static func ops(_ items: Int) -> BodyDraft { head.row(items: items) }

    static func refused() throws -> [Vector] {
        try wrongHeads() + wrongMetas() + wrongRows() + wrongOps() + wrongValues() + wrongDots()
            + wrongSizes() + wrongInTwoWays() + wrongKinds() + wrongSealed()
    }

    static func refusal(
        _ name: String, _ reason: String, firstSeq: UInt64 = 1, streams: [StreamID] = others,
        _ draft: BodyDraft
    ) throws -> Vector {
        try vector("refused: \(name)", firstSeq: firstSeq, streams: streams, draft, reason)
    }

    private static func wrongHeads() throws -> [Vector] {
        let draft = BodyDraft()
        return [
            try refusal("a map for a changeset", "unexpectedType", draft.map(0)),
            try refusal("an array of nothing", "invalid", draft.array(0)),
            try refusal("a time and no meta", "invalid", draft.array(1).number(2)),
            try refusal("a counter and no meta", "invalid", draft.array(2).number(3).number(1)),
            try refusal("a time of 0", "invalid", draft.array(2).number(0).null),
            try refusal("a counter of 0", "outOfRange", draft.array(3).number(3).number(0).null),
            try refusal(
                "a counter of 65536", "outOfRange", draft.array(3).number(3).number(65_536).null),
            try refusal("2^48 milliseconds", "outOfRange", draft.array(2).number(1 << 49).null),
            try refusal(
                "2^63 - 1 milliseconds", "outOfRange", draft.array(2).number(.max - 1).null),
            try refusal(
                "a time that is the one before", "invalid",
                draft.changeset(now, rows: 0).changeset(0, rows: 0)),
            try refusal(
                "a time before the one before", "invalid",
                draft.changeset(now, counter: 5, rows: 0).changeset(0, counter: 4, rows: 0)),
            try refusal(
                "times that rise beyond 48 bits", "outOfRange",
                draft.changeset(1 << 48 - 1, rows: 0).changeset(1, rows: 0)),
            try refusal("a negative time", "unexpectedType", draft.array(2).integer(-2).null),
            try refusal(
                "a body that ends in a changeset", "truncated", draft.array(3).number(2).null),
            try refusal(
                "an array of indefinite length", "indefinite",
                draft.adding { $0.raw([0x9f, 0x02, 0xf6, 0xff]) }),
            try refusal(
                "bytes that are no changeset behind one", "unexpectedType",
                draft.changeset(now, rows: 0).null),
        ]
    }

    private static func wrongMetas() throws -> [Vector] {
        let draft = BodyDraft().array(2).number(now << 1)
        return [
            try refusal("a meta that is an array", "unexpectedType", draft.array(0)),
            try refusal(
                "an author that is a blob", "unexpectedType", draft.map(1).number(0).blob([1])),
            try refusal(
                "an author of 201 bytes", "tooLong",
                draft.map(1).number(0).text(String(repeating: "x", count: 201))),
            try refusal(
                "a source of 201 bytes", "tooLong",
                draft.map(1).number(3).text(String(repeating: "x", count: 201))),
            try refusal(
                "an author that is not UTF-8", "invalidUTF8",
                draft.map(1).number(0).adding { $0.raw([0x61, 0xff]) }),
            try refusal(
                "a claimed time over 63 bits", "outOfRange", draft.map(1).number(1).number(1 << 63)),
            try refusal(
                "a short action id", "invalid",
                draft.map(1).number(2).blob(Array(repeating: 1, count: 15))),
            try refusal(
                "a long action id", "tooLong",
                draft.map(1).number(2).blob(Array(repeating: 1, count: 17))),
            try refusal(
                "keys of meta that descend", "keyOrder",
                draft.map(2).number(1).number(1).number(0).text("a")),
            try refusal(
                "a key of meta that comes twice", "keyOrder",
                draft.map(2).number(1).number(1).number(1).number(1)),
            try refusal("an unknown key of meta", "unknownKey", draft.map(1).number(4).null),
            try refusal(
                "an unknown key of meta behind an author", "unknownKey",
                draft.map(2).number(0).text("a").number(1 << 40).adding { $0.bool(true) }),
            try refusal(
                "an unknown key of meta, and a tag under it", "unknownKey",
                draft.map(1).number(9).adding { $0.raw([0xc0, 0x00]) }),
            try refusal(
                "an unknown key of meta, and nothing behind it", "unknownKey",
                draft.map(1).number(4)),
        ]
    }

    private static func wrongRows() throws -> [Vector] {
        [
            try refusal("a row without ops", "invalid", head.array(2).number(1).null),
            try refusal("a row that is a number", "unexpectedType", head.number(1)),
            try refusal("a table of 2^32", "outOfRange", head.row(1 << 32, items: 2).put),
            try refusal("a table that is null", "unexpectedType", head.array(4).null.null.put),
            try refusal("a row of no number", "outOfRange", head.array(4).number(1).number(0).put),
            try refusal(
                "a row named by a text", "unexpectedType", head.array(4).number(1).text("a").put),
            try refusal(
                "a row named by a negative", "unexpectedType",
                head.array(4).number(1).integer(-1).put),
            try refusal(
                "a row named by false", "unexpectedType",
                head.array(4).number(1).adding { $0.bool(false) }.put),
            try refusal("a short id", "invalid", head.array(4).number(1).blob([1, 2, 3]).put),
            try refusal(
                "a long id", "tooLong",
                head.array(4).number(1).blob(Array(repeating: 1, count: 17)).put),
            try refusal(
                "a composite in a key", "unexpectedType",
                head.array(4).number(1).array(1).array(1).number(0).put),
            try refusal(
                "a new row by number in the next changeset", "outOfRange",
                BodyDraft().changeset(now, rows: 1).newRow(items: 2).put.changeset(1, rows: 1)
                    .array(4).number(1).number(0).put),
        ]
    }

    private static func wrongOps() throws -> [Vector] {
        [
            try refusal("shape 8", "invalid", ops(2).code(1, 8).null),
            try refusal("shape 15", "invalid", ops(2).code(1, 15).null),
            try refusal("a put without a value", "invalid", ops(1).code(1, 0)),
            try refusal("a put over others without dots", "invalid", ops(2).code(1, 1).null),
            try refusal("a resolution without covers", "invalid", ops(3).code(1, 2).null.array(0)),
            try refusal("a delete without covers", "invalid", ops(2).code(0, 4).array(0)),
            try refusal("a column of 2^32", "invalid", ops(2).code(1 << 32, 0).null),
            try refusal("a code that is negative", "unexpectedType", ops(2).integer(-17).null),
            try refusal("a put of the row itself", "invalid", ops(2).code(0, 0).null),
            try refusal(
                "a put of the row itself over others", "invalid", ops(3).code(0, 1).null.array(0)),
            try refusal(
                "a resolution of the row itself", "invalid",
                ops(4).code(0, 2).null.array(0).array(0)),
            try refusal("a delete of a column", "invalid", ops(3).code(1, 4).array(0).array(0)),
            try refusal("two puts of a column", "invalid", ops(4).put.put),
            try refusal("a put and an undo of a column", "invalid", ops(4).put.code(1, 3).array(0)),
            try refusal(
                "an element twice", "invalid", ops(4).code(4, 5).text("t").code(4, 5).text("t")),
            try refusal(
                "an element goes and comes", "invalid",
                ops(5).code(4, 7).text("t").array(0).code(4, 5).text("t")),
            try refusal(
                "a cell twice among many", "invalid",
                (0..<20).reduce(ops(42)) { $0.code(UInt64($1) + 1, 0).null }.code(7, 0).null),
            try refusal(
                "a cell twice, in two row items of one row", "invalid",
                BodyDraft().changeset(now, rows: 2).row(items: 2).put
                    .array(4).number(1).number(0).put),
            try refusal(
                "an element twice, in two row items of one row", "invalid",
                BodyDraft().changeset(now, rows: 3).row(items: 2).code(4, 5).text("t")
                    .array(4).number(1).number(0).code(4, 5).text("u")
                    .array(4).number(1).number(0).code(4, 5).text("t")),
            try refusal(
                "a delete and a restore, in two row items of one row", "invalid",
                BodyDraft().changeset(now, rows: 2).row(items: 3).code(0, 4).array(0).array(0)
                    .array(4).number(1).number(0).code(0, 3).array(0)),
            try refusal(
                "a delete and a restore", "invalid",
                ops(5).code(0, 4).array(0).array(0).code(0, 3).array(0)),
        ]
    }

    private static func wrongValues() throws -> [Vector] {
        let put = ops(2).code(5, 0)
        return [
            try refusal("a value that is true", "unexpectedType", put.adding { $0.bool(true) }),
            try refusal("a value that is a map", "unexpectedType", put.map(0)),
            try refusal("an integer over 63 bits", "outOfRange", put.number(1 << 63)),
            try refusal("a value that is an array of nothing", "invalid", put.array(0)),
            try refusal("a value of an unknown form", "invalid", put.array(2).number(6).number(1)),
            try refusal(
                "a form that is a text", "unexpectedType", put.array(2).text("a").number(1)),
            try refusal(
                "a composite in a composite", "unexpectedType",
                put.array(2).number(0).array(1).number(0)),
            try refusal("a reference without a table", "invalid", put.array(1).number(1)),
            try refusal(
                "a reference to a table of 2^32", "outOfRange",
                put.array(3).number(1).number(1 << 32).null),
            try refusal(
                "a reference by a composite", "unexpectedType",
                put.array(3).number(1).number(2).array(1).number(0)),
            try refusal("a reference to no number", "outOfRange", put.array(2).number(2).number(1)),
            try refusal(
                "a reference to a text", "unexpectedType", put.array(2).number(2).text("a")),
            try refusal(
                "a reference of three items", "invalid", put.array(3).number(2).number(0).number(0)),
            try refusal("a reference by a short id", "invalid", put.array(2).number(2).blob([1])),
            try refusal(
                "a time of three items", "invalid", put.array(3).number(3).number(0).number(0)),
            try refusal(
                "a time beyond 63 bits", "outOfRange", put.array(2).number(3).integer(.max)),
            try refusal("a time by a text", "unexpectedType", put.array(2).number(3).text("a")),
            try refusal(
                "an element that is a reference", "invalid",
                ops(2).code(4, 5).array(2).number(2).number(0)),
            try refusal(
                "an element that is a time", "invalid",
                ops(2).code(4, 5).array(2).number(3).number(0)),
            try refusal(
                "an element that is true", "unexpectedType",
                ops(2).code(4, 5).adding { $0.bool(true) }),
        ]
    }

    private static func wrongDots() throws -> [Vector] {
        let put = ops(3).code(5, 1).null
        let delete = ops(3).code(0, 4).array(0)
        return [
            try refusal("dots that are null", "unexpectedType", put.null),
            try refusal("a dot of itself", "outOfRange", firstSeq: 9, put.numbers(0)),
            try refusal("a dot before the first", "outOfRange", firstSeq: 9, put.numbers(18)),
            try refusal("a dot of its own in the first changeset", "outOfRange", put.numbers(2)),
            try refusal("a dot of no stream", "outOfRange", put.numbers(5, 1)),
            try refusal("half a dot", "outOfRange", put.numbers(1)),
            try refusal(
                "a dot of its own stream by number", "invalid", firstSeq: 9,
                streams: [Fixed.stream(2), Fixed.stream(1)], put.numbers(3, 1)),
            try refusal(
                "a later dot of its own stream by number", "invalid", firstSeq: 9,
                streams: [Fixed.stream(1)], put.numbers(1, 10)),
            try refusal(
                "a cover of its own stream by number", "invalid", firstSeq: 9,
                streams: [Fixed.stream(1)],
                ops(4).code(1, 2).null.array(0).numbers(1, 9)),
            try refusal(
                "a delete's cover of its own stream by number", "invalid", firstSeq: 9,
                streams: [Fixed.stream(1)], delete.array(1).numbers(1, 9, 1)),
            try refusal("seq 0 of another stream", "outOfRange", put.numbers(1, 0)),
            try refusal("seq 2^63 of another stream", "outOfRange", put.numbers(1, 1 << 63)),
            try refusal("a dot that is a text", "unexpectedType", put.array(1).text("a")),
            try refusal("a group of nothing", "invalid", delete.array(1).array(0)),
            try refusal("a group of half a dot", "outOfRange", delete.array(1).array(1).number(1)),
            try refusal("a group that is a number", "unexpectedType", delete.array(1).number(1)),
            try refusal(
                "a place of three items", "invalid", firstSeq: 9,
                delete.array(1).array(2).number(2).array(3).number(4).null.null),
            try refusal(
                "a place of one item", "invalid", firstSeq: 9,
                delete.array(1).array(2).number(2).array(1).number(4)),
            try refusal(
                "a place of 2^32", "outOfRange", firstSeq: 9,
                delete.array(1).array(2).number(2).number(1 << 32)),
            try refusal(
                "a place that is a text", "unexpectedType", firstSeq: 9,
                delete.array(1).array(2).number(2).text("a")),
        ]
    }

    private static func wrongSizes() throws -> [Vector] {
        let put = ops(2).code(5, 0)
        let large = [UInt8](repeating: 0x5a, count: 65_537)
        return [
            try refusal("a blob of 65537", "tooLong", put.blob(large)),
            try refusal(
                "a text of 65537", "tooLong", put.text(String(decoding: large, as: UTF8.self))),
            try refusal(
                "a blob of 65537 in a composite", "tooLong", put.array(2).number(0).blob(large)),
            try refusal(
                "a blob of 65537 in a key", "tooLong",
                head.array(4).number(1).array(1).blob(large).put),
            try refusal("an element of 65537", "tooLong", ops(2).code(4, 5).blob(large)),
            try refusal("a changeset of 262145 bytes", "tooLong", sized(262_145)),
            try refusal("8193 items of dots", "tooLong", firstSeq: 9, dotted(8_193)),
            try refusal("4097 places", "tooLong", firstSeq: 9, covering(4_097)),
        ]
    }
}
