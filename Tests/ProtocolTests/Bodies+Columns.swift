import Causality
import Merge
import SyncProtocol

/// Bodies by columns: what a writer makes of changesets, alone and after other runs.
enum ColumnVectors {
    private static let now = BodyVectors.now
    private static let key = Fixed.key(1)
    private static let origin = StreamOrigin(
        publicKey: key.publicKey, scope: "forum", incarnation: 0)

    /// One of the bodies of a stream.
    struct Part {
        var firstSeq: UInt64
        var previous: Digest?
        var body: [UInt8]

        var json: JSON {
            [
                "firstSeq": .number(firstSeq), "previousRun": previous.map(JSON.hash) ?? .null,
                "body": .bytes(body),
            ]
        }
    }

    static func vector(
        _ name: String, _ part: Part, after earlier: [Part] = [], _ reason: String? = nil
    ) throws -> Vector {
        let given: JSON = [
            "stream": .stream(origin.stream), "firstSeq": .number(part.firstSeq),
            "previousRun": part.previous.map(JSON.hash) ?? .null,
            "streams": .array(BodyVectors.others.map(JSON.stream)), "namespace": "forum",
            "earlier": .array(earlier.map(\.json)), "body": .bytes(part.body),
        ]
        let vector = try Vector(
            "columns: \(name)", given: given, when: "columns",
            expect: reason.map { ["reject": .string($0)] }, by: .bodies)
        guard reason != nil || vector.expect["reject"] == nil else {
            throw VectorError("\(name): refused with \(vector.expect.document)")
        }
        return vector
    }

    /// The bodies by columns of consecutive runs, each after those before it.
    static func seal(_ drafts: [(draft: BodyDraft, count: Int)]) throws -> [Part] {
        var (parts, vocabularies): ([Part], [RunVocabulary]) = ([], [])
        var dictionary = SealingDictionary()
        var (firstSeq, previous): (UInt64, Digest?) = (1, nil)
        for (draft, count) in drafts {
            let run = SealedRun(
                sealing: draft.bytes, stream: origin.stream, firstSeq: firstSeq, count: count,
                previous: previous,
                dependencies: BodyVectors.others.map {
                    Dependency(stream: $0, seq: 300, run: Digest(sha256: []))
                }, schemaVersion: 1, origin: origin, key: key,
                namespace: Array("forum".utf8), dictionary: &dictionary,
                earlier: { [vocabularies] seq in
                    vocabularies.first { $0.firstSeq <= seq && seq <= $0.lastSeq }
                })
            guard run.header.encoding.rawValue >= 2 else {
                throw VectorError("a body was not laid out by columns")
            }
            parts.append(
                Part(firstSeq: firstSeq, previous: previous, body: try run.expandedBody()))
            vocabularies.append(try run.vocabulary(namespace: Array("forum".utf8)))
            firstSeq += UInt64(count)
            previous = run.hash
        }
        return parts
    }

    static func accepted() throws -> [Vector] {
        try single() + many() + chained() + [sealedValues()]
    }

    private static func one(
        _ name: String, count: Int = 1, _ draft: BodyDraft
    ) throws -> Vector {
        try vector(name, try seal([(draft, count)])[0])
    }

    private static func single() throws -> [Vector] {
        let head = BodyVectors.head
        return try values() + operations() + [
            try one("a changeset without rows", BodyDraft().changeset(now, rows: 0)),
            try one(
                "times and counters", count: 4,
                BodyDraft().changeset(now, counter: 9, rows: 0).changeset(0, counter: 10, rows: 0)
                    .changeset(1, rows: 0).changeset(70_000, counter: 65_535, rows: 0)),
            try one(
                "all of meta", count: 3,
                BodyDraft().array(2).number(now << 1).map(4).number(0).text("Aigul").number(1)
                    .integer(-5).number(2).blob(Array(repeating: 9, count: 16)).number(3)
                    .text("list").array(2).number(2).map(2).number(1).integer(.max).number(2)
                    .blob(Array(repeating: 9, count: 16)).changeset(1, rows: 0)),
            try one("a new row", head.newRow(items: 2).put),
            try one(
                "new rows count across tables",
                BodyDraft().changeset(now, rows: 3).newRow(1, items: 2).put
                    .newRow(2, items: 2).put.newRow(1, items: 2).put),
            try one("a natural key", head.array(4).number(2).array(1).text("AZ-014").put),
            try one(
                "a key in another table is an id",
                BodyDraft().changeset(now, rows: 2).array(4).number(2).array(1).text("AZ-014").put
                    .array(4).number(3).number(0).put),
            try one(
                "a row that comes again", count: 2,
                BodyDraft().changeset(now, rows: 2).row(items: 2).put
                    .row(1, Fixed.otherRow, items: 2).put
                    .changeset(1, rows: 2).array(5).number(1).number(1).code(1, 1).number(2)
                    .numbers(2).array(5).number(1).number(0).code(1, 1).number(3).numbers(2)),
            try one(
                "references",
                BodyDraft().changeset(now, rows: 2)
                    .row(1, items: 4).code(1, 0).array(3).number(1).number(2).text("AZ-014")
                    .code(2, 0).array(2).number(2).blob(Fixed.otherRow.identifier.bytes)
                    .row(1, Fixed.otherRow, items: 4).code(1, 0).array(2).number(2).number(1)
                    .code(2, 0).array(2).number(2).number(2)),
        ]
    }

    private static func values() throws -> [Vector] {
        let kinds: [Value] = [
            .null, .integer(-7), .real(0.5), .text("\u{e9}"), .blob([1]),
            .composite([.real(40.4), .null]), .text(""), .integer(-7), .text("\u{e9}"),
        ]
        return [
            try one(
                "values of all kinds in one column",
                kinds.reduce(BodyDraft().changeset(now, rows: kinds.count)) { draft, value in
                    draft.newRow(items: 2).code(1, 0).value(value)
                }),
            try one(
                "integers, times and what rises",
                (0..<9 as Range<Int64>).reduce(BodyDraft().changeset(now, rows: 9)) {
                    $0.newRow(items: 6)
                        .code(1, 0).integer($1.isMultiple(of: 2) ? .max : .min)
                        .code(2, 0).array(2).number(3).integer(-$1 * 100)
                        .code(3, 0).integer(1 << 40 + $1)
                }),
            try one(
                "integers and times in one column",
                BodyDraft().changeset(now, rows: 2).newRow(items: 2).code(1, 0).integer(5)
                    .newRow(items: 2).code(1, 0).array(2).number(3).integer(-5)),
        ]
    }

    private static func operations() throws -> [Vector] {
        let put = BodyDraft().changeset(now, rows: 1).row(items: 4).put.code(2, 0).text("a")
        let again = { (draft: BodyDraft, items: Int) in
            draft.array(2 + items).number(1).number(0)
        }
        let undo = again(put.changeset(1, rows: 2), 2).code(2, 3).numbers(2)
        let delete = again(undo, 3).code(0, 4).array(0).array(2).numbers(2, 1)
            .array(3).number(1).number(9).array(2).number(3).text("a")
        let set = BodyDraft().changeset(now, rows: 1).row(items: 4).code(3, 5).text("a")
            .code(3, 5).text("b")
        return [
            try one(
                "an undo, a delete and a restore", count: 3,
                again(delete.changeset(1, rows: 1), 2).code(0, 3).numbers(2)),
            try one(
                "a resolution of others",
                BodyVectors.head.row(items: 4).code(5, 2).text("a").numbers(1, 4)
                    .numbers(1, 2, 3, 7)),
            try one(
                "a set", count: 2,
                again(set.changeset(1, rows: 1), 6).code(3, 6).text("a").numbers(2)
                    .code(3, 7).text("b").numbers(2, 1, 7)),
        ]
    }

    /// So many rows that numbers lie by bytes, and values that hardly come again get none.
    private static func many() throws -> [Vector] {
        let rows = 300
        let draft = (0..<rows).reduce(BodyDraft().changeset(now, rows: rows)) { draft, row in
            let id = RowID(
                Identifier(high: UInt64(row) &* 0x9e37_79b9_7f4a_7c15, low: UInt64(row)))
            return draft.row(1, id, items: 8)
                .code(1, 0).text(["in", "out", "absent"][row * row % 3])
                .code(2, 0).text("note \(row)")
                .code(3, 0).blob((0..<16).map { UInt8(truncatingIfNeeded: row * ($0 + 1)) })
                .code(4, 0).array(2).number(3).integer(Int64(row * row) - 40_000)
        }
        return [try one("many rows", draft)]
    }

    private static func chained() throws -> [Vector] {
        let previous: Digest? = nil
        let made = NewRowIDs(
            dot: Dot(origin.stream, 1), time: HybridTime(rawValue: now << 16),
            previousRun: previous)
        let first = BodyDraft().changeset(now, rows: 4)
            .newRow(items: 2).code(1, 0).text("in").newRow(items: 2).code(1, 0).text("out")
            .row(items: 2).code(1, 0).text("in")
            .array(4).number(2).array(1).text("AZ-014").code(1, 0)
            .blob(Fixed.otherRow.identifier.bytes)
        func change(_ draft: BodyDraft, _ id: RowID, _ distance: UInt64) -> BodyDraft {
            draft.row(1, id, items: 3).code(1, 1).text("out").numbers(2 * distance)
        }
        let second = change(
            change(
                change(BodyDraft().changeset(now + 5, rows: 4), made[0], 1), made[1], 1),
            Fixed.row, 1
        ).array(5).number(2).array(1).text("AZ-014").code(1, 1)
            .blob(Fixed.otherRow.identifier.bytes).numbers(2)
        let third = change(
            change(BodyDraft().changeset(now + 9, rows: 3), Fixed.row, 1), made[1], 2
        ).newRow(items: 2).code(1, 0).text("in")
        let parts = try seal([(first, 1), (second, 1), (third, 1)])
        return [
            try vector("a run that refers to the one before", parts[1], after: [parts[0]]),
            try vector("a run that refers to two", parts[2], after: Array(parts[..<2])),
            try vector("a run without the one that it refers to", parts[1], "invalid"),
            try vector(
                "a run with another one than it refers to", parts[2], after: [parts[1]], "invalid"),
        ]
    }
}
