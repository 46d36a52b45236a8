import Causality
import Merge
import SyncProtocol

enum BodyVectors {
    static let now: UInt64 = 1_764_000_000_000
    static let others: [StreamID] = [Fixed.stream(2), Fixed.stream(3)]

    static func vector(
        _ name: String, firstSeq: UInt64 = 1, previous: Digest? = nil,
        streams: [StreamID] = others, namespace: String = "forum", _ draft: BodyDraft,
        _ reason: String? = nil
    ) throws -> Vector {
        let given: JSON = [
            "stream": .stream(Fixed.stream(1)), "firstSeq": .number(firstSeq),
            "previousRun": previous.map(JSON.hash) ?? .null,
            "streams": .array(streams.map(JSON.stream)), "namespace": .text(namespace),
            "body": .bytes(draft.bytes),
        ]
        let vector = try Vector(
            name, given: given, when: "read",
            expect: reason.map { ["reject": .string($0)] }, by: .bodies)
        guard reason != nil || vector.expect["reject"] == nil else {
            throw VectorError("\(name): refused with \(vector.expect.document)")
        }
        return vector
    }

    static func accepted() throws -> [Vector] {
        try times() + metas() + names() + shapes() + values() + dots() + limits() + sealedValues()
    }

    private static func times() throws -> [Vector] {
        [
            try vector("no changeset at all", BodyDraft()),
            try vector("a changeset without rows", BodyDraft().changeset(now, rows: 0)),
            try vector("a time with a counter", BodyDraft().changeset(now, counter: 7, rows: 0)),
            try vector("the least time", BodyDraft().changeset(0, counter: 1, rows: 0)),
            try vector(
                "the greatest time",
                BodyDraft().changeset(1 << 48 - 1, counter: 65_535, rows: 0)),
            try vector(
                "times rise by milliseconds and by counters", firstSeq: 23,
                BodyDraft().changeset(now, counter: 9, rows: 0)
                    .changeset(0, counter: 10, rows: 0).changeset(1, rows: 0)
                    .changeset(0, counter: 65_535, rows: 0).changeset(1_000, rows: 0)),
        ]
    }

    private static func metas() throws -> [Vector] {
        let head = BodyDraft().array(2).number(now << 1)
        return [
            try vector("an author", head.map(1).number(0).text("Aigul")),
            try vector(
                "an author beyond ASCII", head.map(1).number(0).text("G\u{fc}l\u{15f}\u{259}n")),
            try vector("a claimed time", head.map(1).number(1).integer(1_763_999_000_000)),
            try vector("a claimed time before 1970", head.map(1).number(1).integer(-1)),
            try vector("the least claimed time", head.map(1).number(1).integer(.min)),
            try vector(
                "an action id", head.map(1).number(2).blob((0..<16).map { UInt8($0) })),
            try vector("a source", head.map(1).number(3).text("participants v3")),
            try vector(
                "all of meta",
                head.map(4).number(0).text("a").number(1).integer(5).number(2)
                    .blob(Array(repeating: 255, count: 16)).number(3).text("list")),
            try vector("a meta of nothing", head.map(0)),
            try vector("an author of no letters", head.map(1).number(0).text("")),
            try vector("a claimed time that says the same", head.map(1).number(1).number(now)),
            try vector(
                "an author of 200 bytes",
                head.map(1).number(0).text(String(repeating: "x", count: 200))),
        ]
    }

    private static func names() throws -> [Vector] {
        let key = { (draft: BodyDraft) in draft.array(1).text("AZ-014") }
        return [
            try vector("a new row", head.newRow(items: 2).put),
            try vector(
                "a new row after another run", firstSeq: 5, previous: Digest(sha256: [1]),
                head.newRow(items: 2).put),
            try vector(
                "new rows of one changeset count across tables",
                BodyDraft().changeset(now, rows: 3).newRow(1, items: 2).put
                    .newRow(2, items: 2).put.newRow(1, items: 2).put),
            try vector(
                "new rows of the next changeset count from 0",
                BodyDraft().changeset(now, rows: 1).newRow(items: 2).put
                    .changeset(1, rows: 1).newRow(items: 2).put),
            try vector("a whole id", head.row(items: 2).put),
            try vector("a natural key", key(head.array(4).number(2)).put),
            try vector(
                "a natural key in another namespace", namespace: "sample",
                key(head.array(4).number(2)).put),
            try vector(
                "a natural key of all kinds",
                head.array(4).number(2).array(5).null.integer(-1).value(.real(0.5)).text("\u{e9}")
                    .blob([1]).put),
            try vector("a natural key of no values", head.array(4).number(2).array(0).put),
            try vector(
                "rows by number, in the order in which they were entered",
                key(BodyDraft().changeset(now, rows: 2).row(items: 2).put.array(4).number(2)).put
                    .changeset(1, rows: 2).array(4).number(2).number(1).put
                    .array(4).number(1).number(0).put),
            try vector(
                "new rows are not entered",
                BodyDraft().changeset(now, rows: 3).newRow(items: 2).put.row(items: 2).put
                    .array(4).number(3).number(0).put),
            try vector(
                "a row that comes whole twice is entered twice",
                BodyDraft().changeset(now, rows: 4).row(items: 2).put
                    .row(2, items: 2).put.row(3, Fixed.otherRow, items: 2).put
                    .array(4).number(4).number(2).put),
            try vector(
                "references are entered, after the name of their row",
                BodyDraft().changeset(now, rows: 3)
                    .row(1, items: 4).code(1, 0).array(3).number(1).number(2).text("AZ-014")
                    .code(2, 0).array(2).number(2).blob(Fixed.otherRow.identifier.bytes)
                    .array(4).number(2).number(1).put
                    .array(4).number(3).number(2).code(1, 0).array(2).number(2).number(0)),
            try vector("table 0", head.row(0, items: 2).put),
            try vector("the greatest table", head.row(UInt64(UInt32.max), items: 2).put),
            try vector(
                "two row items of one row",
                BodyDraft().changeset(now, rows: 2).row(items: 2).put
                    .array(4).number(1).number(0).code(2, 0).null),
        ]
    }

    private static func shapes() throws -> [Vector] {
        let later = { (items: Int) in BodyDraft().changeset(now, rows: 1).row(items: items) }
        return [
            try vector("shape 0: a put", head.row(items: 2).code(5, 0).text("a")),
            try vector(
                "shape 1: a put over others", firstSeq: 9,
                later(3).code(5, 1).text("a").numbers(2, 1, 300)),
            try vector("shape 1 over nothing", head.row(items: 3).code(5, 1).null.array(0)),
            try vector(
                "shape 2: a resolution", firstSeq: 9,
                later(4).code(5, 2).text("a").numbers(4).numbers(2, 3, 7)),
            try vector(
                "shape 2 that replaces and covers nothing",
                later(4).code(5, 2).null.array(0).array(0)),
            try vector("shape 3: an undo", firstSeq: 9, later(2).code(5, 3).numbers(2)),
            try vector(
                "shape 3 of the life: a restore", firstSeq: 9, later(2).code(0, 3).numbers(2, 1, 1)),
            try vector(
                "shape 4: a delete", firstSeq: 9,
                later(3).code(0, 4).numbers(2).array(2)
                    .array(4).number(4).number(0).number(1).array(2).number(4).text("t")
                    .array(3).number(1).number(6).number(2)),
            try vector("shape 4 that covers nothing", later(3).code(0, 4).array(0).array(0)),
            try vector(
                "shape 4 with a group of no places", firstSeq: 9,
                later(3).code(0, 4).array(0).array(1).array(1).number(2)),
            try vector("shape 5: an element", later(2).code(4, 5).text("t")),
            try vector("shape 5 of a number", later(2).code(4, 5).integer(-1)),
            try vector(
                "shape 5 of a composite", later(2).code(4, 5).value(.composite([.integer(1)]))),
            try vector(
                "shape 6: an element over others", firstSeq: 9,
                later(3).code(4, 6).text("t").numbers(2)),
            try vector(
                "shape 7: an element goes", firstSeq: 9,
                later(3).code(4, 7).text("t").numbers(2, 3, 1)),
            try vector(
                "many ops of one row", firstSeq: 9,
                later(11).code(1, 0).null.code(2, 1).number(3).numbers(2).code(4, 5).text("a")
                    .code(4, 5).text("b").code(0, 3).numbers(4)),
            try vector(
                "the greatest column", later(2).code(UInt64(UInt32.max), 0).null),
            try vector("an element in column 0", later(2).code(0, 5).text("t")),
        ]
    }

    private static func values() throws -> [Vector] {
        let put = head.row(items: 2).code(5, 0)
        let time = { (distance: Int64) in put.array(2).number(3).integer(distance) }
        return [
            try vector("a null", put.null),
            try vector("a real", put.value(.real(1.5))),
            try vector(
                "a signalling NaN", put.value(.real(Double(bitPattern: 0x7ff4_0000_0000_0000)))),
            try vector("minus zero", put.value(.real(-0.0))),
            try vector("the greatest integer", put.integer(.max)),
            try vector("the least integer", put.integer(.min)),
            try vector("a text with a NUL", put.text("a\0b")),
            try vector("a decomposed text", put.text("e\u{301}")),
            try vector("a lone mark of direction", put.text("\u{202e}")),
            try vector("an emoji of several parts", put.text("\u{1f469}\u{200d}\u{1f680}")),
            try vector("a blob", put.blob([0, 255])),
            try vector("a composite", put.value(.composite([.real(40.4), .null, .integer(5)]))),
            try vector("a counter's entry", put.value(.composite([.integer(42), .integer(3)]))),
            try vector("a time of the changeset itself", time(0)),
            try vector("a time before the changeset", time(-60_000)),
            try vector("a time after it", time(60_000)),
            try vector("a value that is the greatest time", time(.max - Int64(now))),
            try vector("the least distance", time(.min)),
            try vector(
                "a reference by natural key", put.array(3).number(1).number(2).text("AZ-014")),
            try vector("a reference by a key of no values", put.array(2).number(1).number(2)),
            try vector(
                "a reference by id", put.array(2).number(2).blob(Fixed.otherRow.identifier.bytes)),
            try vector("a reference to its own row by number", put.array(2).number(2).number(0)),
            try vector(
                "a resolution shows a time", firstSeq: 9,
                head.row(items: 4).code(5, 2).array(2).number(3).integer(-1).array(0).numbers(2)),
        ]
    }

    private static func dots() throws -> [Vector] {
        let put = head.row(items: 3).code(5, 1).null
        return [
            try vector("the dot before", firstSeq: 2, put.numbers(2)),
            try vector("the first dot of the stream", firstSeq: 1_000, put.numbers(1_998)),
            try vector(
                "a dot of the changeset before, in the same run",
                BodyDraft().changeset(now, rows: 1).row(items: 2).put.changeset(1, rows: 1)
                    .array(5).number(1).number(0).code(1, 1).number(2).numbers(2)),
            try vector(
                "the greatest seq of another stream", put.numbers(1, UInt64(Int64.max))),
            try vector(
                "dots in any order, and twice", firstSeq: 9, put.numbers(3, 5, 4, 2, 1, 1, 2)),
        ]
    }

    private static func limits() throws -> [Vector] {
        let put = head.row(items: 2).code(5, 0)
        let blob = [UInt8](repeating: 0x5a, count: 65_536)
        return [
            try vector("a blob of 65536", put.blob(blob)),
            try vector(
                "a text of 65536", put.text(String(decoding: blob, as: UTF8.self))),
            try vector("a changeset of 262144 bytes", sized(262_144)),
            try vector("8192 items of dots", firstSeq: 9, dotted(8_192)),
            try vector("4096 places", firstSeq: 9, covering(4_096)),
            try vector(
                "5000 groups of no places", firstSeq: 9,
                (0..<5_000).reduce(head.row(items: 3).code(0, 4).array(0).array(5_000)) {
                    draft, _ in draft.numbers(2)
                }),
        ]
    }

    /// A changeset of exactly `count` bytes: four blobs in one row.
    static func sized(_ count: Int, lastColumn: UInt64 = 4) -> BodyDraft {
        let blob = [UInt8](repeating: 0x5a, count: 65_536)
        let draft = head.row(items: 8).code(1, 0).blob(blob).code(2, 0).blob(blob)
            .code(3, 0).blob(blob).code(lastColumn, 0)
        let rest = count - draft.bytes.count - 3
        return draft.blob([UInt8](repeating: 0x5a, count: rest))
    }

    static func dotted(_ count: Int) -> BodyDraft {
        (0..<count).reduce(head.row(items: 3).code(5, 1).null.array(count)) { draft, _ in
            draft.number(2)
        }
    }

    static func covering(_ count: Int) -> BodyDraft {
        let draft = head.row(items: 3).code(0, 4).array(0).array(1).array(1 + count).number(2)
        return (0..<count).reduce(draft) { draft, _ in draft.number(1) }
    }
}
