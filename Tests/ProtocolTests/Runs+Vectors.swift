import Causality
import Merge
import SyncProtocol

enum RunVectors {
    private static let now: UInt64 = 1_764_000_000_000

    /// A changeset that puts a text into a row.
    static func note(_ text: String, at millisecond: UInt64 = now, over: [UInt64] = []) -> [UInt8] {
        let draft = BodyDraft().changeset(millisecond, rows: 1)
        if over.isEmpty { return draft.row(items: 2).code(1, 0).text(text).bytes }
        let dots = over.reduce(draft.row(items: 3).code(1, 1).text(text).array(over.count)) {
            $0.number($1)
        }
        return dots.bytes
    }

    static let first = RunDraft(1, body: note("a"))
    static let second = RunDraft(after: first, body: note("b", at: now + 1, over: [2]))
    static let other = RunDraft(2, body: note("x", at: now + 5))
    /// Replaces both heads, and so depends on the other stream.
    static let joined = RunDraft(
        after: first, body: note("both", at: now + 9, over: [2, 1, 1])
    ).changed { $0.dependencies = [other.dependency] }

    static func seals() throws -> [Vector] {
        let long = BodyDraft().changeset(now, rows: 2).newRow(items: 2).put.row(items: 2).put.bytes
        let cases: [(String, RunDraft)] = [
            ("the first run of a stream", first), ("the second", second),
            ("another device", other), ("a run with a dep", joined),
            ("the checks of two keys", first.changed { $0.extra = [(12, checks(32))] }),
            ("another incarnation", RunDraft(1, incarnation: 24, body: long)),
            ("another scope", RunDraft(1, scope: "delegation/KZ", body: note("a"))),
            (
                "two changesets",
                RunDraft(
                    3, count: 2,
                    body: BodyDraft().changeset(now, rows: 0).changeset(1, counter: 9, rows: 0)
                        .bytes)
            ),
        ]
        return try cases.map { name, draft in
            let fields = try RunKindFields.of(draft)
            let seed = JSON.hex(draft.key.seed)
            return try Vector(
                "seals: \(name)",
                given: ["seed": seed, "header": fields, "body": .bytes(draft.body)], when: "seal",
                expect: [
                    "header": .bytes(draft.header), "hash": .hash(draft.hash),
                    "signature": .hex(draft.parts.signature),
                ], by: .runs)
        }
    }

    private static func header(
        _ name: String, _ bytes: [UInt8], _ reason: String? = nil
    ) throws -> Vector {
        let vector = try Vector(
            "a header: \(name)", given: ["header": .bytes(bytes)], when: "header",
            expect: reason.map { ["reject": .string($0)] }, by: .runs)
        guard reason != nil || vector.expect["reject"] == nil else {
            throw VectorError("\(name): refused with \(vector.expect.document)")
        }
        return vector
    }

    static func headers() throws -> [Vector] {
        try [
            try header("the first of a stream", first.header),
            try header("the second", second.header), try header("with a dep", joined.header),
            try header(
                "unknown keys are passed over",
                first.changed {
                    $0.extra = [(13, [0xf6]), (99, [0x81, 0xf5]), (127, [0x00])]
                }.header),
            try header(
                "the check of one key", first.changed { $0.extra = [(12, checks(16))] }.header),
            try header(
                "the checks of 4096 keys",
                second.changed { $0.extra = [(12, checks(65_536))] }.header),
            try header("1024 changesets", first.changed { $0.count = 1_024 }.header),
            try header("4194304 bytes", first.changed { $0.size = 4 << 20 }.header),
            try header(
                "196608 bytes",
                first.changed { $0.extra = [(13, padding(first, to: 196_608))] }.header),
            try header(
                "the greatest last seq",
                second.changed { ($0.firstSeq, $0.count) = (1 << 63 - 2, 2) }.header),
            try header(
                "a dep on the greatest seq",
                joined.changed { $0.dependencies[0].seq = 1 << 63 - 1 }.header),
            try header("zstd", first.changed { $0.encoding = 1 }.header),
            try header(
                "the greatest first seq", second.changed { $0.firstSeq = 1 << 63 - 2 }.header),
            try header("the greatest incarnation", firstRun(in: 1 << 63 - 1).header),
            try header(
                "many deps",
                joined.changed {
                    $0.dependencies = (1...9).map {
                        Dependency(
                            stream: Fixed.stream($0), seq: $0 * 100, run: Digest(sha256: []))
                    }
                }.header),
        ] + wrongHeaders() + wrongDependencies() + wrongInTwoWays()
    }

    /// So many bytes of checks, as an item.
    private static func checks(_ count: Int) -> [UInt8] {
        var encoder = CBOREncoder()
        encoder.blob([UInt8](repeating: 0x5a, count: count))
        return encoder.bytes
    }

    /// The first run of a stream of this incarnation, by the stream's name too.
    private static func firstRun(in incarnation: UInt64) -> RunDraft {
        RunDraft(1, incarnation: incarnation, body: note("a"))
    }

    /// An item that makes the header of `draft`, under key 13, so many bytes.
    static func padding(_ draft: RunDraft, to count: Int) -> [UInt8] {
        let rest = count - draft.header.count - 1
        var encoder = CBOREncoder()
        encoder.blob([UInt8](repeating: 0x5a, count: rest - 5))
        return encoder.bytes
    }

    private static func wrongDependencies() throws -> [Vector] {
        func deps(_ name: String, _ reason: String, _ deps: [Dependency]) throws -> Vector {
            try header(name, joined.changed { $0.dependencies = deps }.header, reason)
        }
        let dep = other.dependency
        func at(_ seq: UInt64) -> Dependency {
            Dependency(stream: dep.stream, seq: seq, run: dep.run)
        }
        return [
            try deps("a dep on its own stream", "invalid", [first.dependency]),
            try deps("a dep on its own stream behind another", "invalid", [dep, first.dependency]),
            try header(
                "a first run that depends on its own stream",
                first.changed { draft in
                    draft.dependencies = [
                        Dependency(stream: draft.stream, seq: 1, run: Digest(sha256: []))
                    ]
                }.header, "invalid"),
            try deps("a dep twice", "invalid", [dep, dep]),
            try header(
                "deps on two runs of one stream",
                joined.changed { $0.dependencies = [at(1), at(2)] }.header),
            try deps("a dep on seq 0", "outOfRange", [at(0)]),
            try deps("a dep on seq 2^63", "outOfRange", [at(1 << 63)]),
        ]
    }

    /// What is looked at first gives the reason.
    private static func wrongInTwoWays() throws -> [Vector] {
        let seqZero = second.changed { $0.firstSeq = 0 }
        let beyond = second.changed { ($0.firstSeq, $0.count) = (1 << 63 - 2, 3) }
        let large = first.changed { $0.extra = [(13, padding(first, to: 196_609))] }
        return [
            try header("format 0, and nothing else", [0xa1, 0x00, 0x00], "invalid"),
            try header(
                "format 0 and a byte too many", first.changed { $0.format = 0 }.header + [0],
                "invalid"),
            try header("first seq 0 and a byte too many", seqZero.header + [0], "outOfRange"),
            try header(
                "first seq 0 without deps", seqZero.changed { $0.omitted = [6] }.header,
                "outOfRange"),
            try header(
                "no deps and a byte too many",
                first.changed { $0.omitted = [6] }.header + [0], "trailing"),
            try header("a last seq of 2^63", beyond.header, "outOfRange"),
            try header(
                "a last seq of 2^63, without deps",
                beyond.changed { $0.omitted = [6] }.header, "outOfRange"),
            try header(
                "a last seq of 2^63, without a body hash",
                beyond.changed { $0.omitted = [5] }.header, "missingKey"),
            try header(
                "a last seq of 2^63, without a run before",
                beyond.changed { $0.previous = nil }.header, "outOfRange"),
            try header("196609 bytes", large.header, "tooLong"),
            try header(
                "196609 bytes of format 0", large.changed { $0.format = 0 }.header, "tooLong"),
            try header(
                "196609 bytes that are no map", [UInt8](repeating: 0xf6, count: 196_609),
                "tooLong"),
        ]
    }

    private static func wrongHeaders() throws -> [Vector] {
        let required: [UInt64] = [0, 1, 2, 3, 5, 6, 7, 8]
        let missing = try required.map { key in
            try header(
                "without key \(key)", first.changed { $0.omitted = [key] }.header, "missingKey")
        }
        let partly = try [9, 10, 11].map { key in
            try header(
                "a first without key \(key)", first.changed { $0.omitted = [key] }.header,
                "missingKey")
        }
        let cases: [(String, RunDraft, String)] = [
            ("format 0", first.changed { $0.format = 0 }, "invalid"),
            ("first seq 0", second.changed { $0.firstSeq = 0 }, "outOfRange"),
            ("first seq 2^63 - 1", second.changed { $0.firstSeq = 1 << 63 - 1 }, "outOfRange"),
            ("no changesets", first.changed { $0.count = 0 }, "outOfRange"),
            ("1025 changesets", first.changed { $0.count = 1_025 }, "outOfRange"),
            ("4194305 bytes", first.changed { $0.size = 4 << 20 + 1 }, "outOfRange"),
            (
                "encoding 0 with a further item", first.changed { $0.furtherItems = [[0x00]] },
                "invalid"
            ),
            (
                "encoding 3 with a further item",
                first.changed {
                    $0.encoding = 3
                    $0.furtherItems = [[0xf6]]
                }, "invalid"
            ),
            ("incarnation 2^63", firstRun(in: 1 << 63), "outOfRange"),
            (
                "a first with a previous run", first.changed { $0.previous = Digest(sha256: []) },
                "invalid"
            ),
            ("a second without", second.changed { $0.previous = nil }, "invalid"),
            ("a first without its origin", first.changed { $0.omitted = [9, 10, 11] }, "invalid"),
            (
                "a second with an origin",
                second.changed {
                    ($0.publicKey, $0.scope, $0.incarnation) = ($0.key.publicKey, "forum", 0)
                }, "invalid"
            ),
            ("another device's stream", first.changed { $0.stream = other.stream }, "invalid"),
            ("another device's key", first.changed { $0.publicKey = other.publicKey }, "invalid"),
            ("another scope", first.changed { $0.scope = "forums" }, "invalid"),
            ("another incarnation", first.changed { $0.incarnation = 1 }, "invalid"),
            ("a short key", first.changed { $0.publicKey?.removeLast() }, "invalid"),
            ("a long key", first.changed { $0.publicKey?.append(0) }, "tooLong"),
            ("a short body hash", first.changed { $0.bodyHash = [1, 2] }, "invalid"),
            (
                "a scope of 65 bytes",
                first.changed { $0.scope = String(repeating: "s", count: 65) }, "tooLong"
            ),
            ("no checks", first.changed { $0.extra = [(12, checks(0))] }, "invalid"),
            ("a check of 15 bytes", first.changed { $0.extra = [(12, checks(15))] }, "invalid"),
            ("a check of 4 bytes", first.changed { $0.extra = [(12, checks(4))] }, "invalid"),
            ("checks of 33 bytes", first.changed { $0.extra = [(12, checks(33))] }, "invalid"),
            ("checks that are null", first.changed { $0.extra = [(12, [0xf6])] }, "unexpectedType"),
            ("a key twice", first.changed { $0.extra = [(11, [0x00])] }, "keyOrder"),
            (
                "keys that descend", first.changed { $0.extra = [(14, [0x00]), (13, [0x00])] },
                "keyOrder"
            ),
            (
                "a tag under an unknown key", first.changed { $0.extra = [(13, [0xc0, 0x00])] },
                "unsupported"
            ),
            (
                "a long number under an unknown key",
                first.changed { $0.extra = [(13, [0x18, 0x00])] }, "notShortest"
            ),
        ]
        return try missing + partly + cases.map { try header($0, $1.header, $2) } + [
            try header("a byte too many", first.header + [0], "trailing"),
            try header("a byte too few", Array(first.header.dropLast()), "truncated"),
            try header("nothing", [], "truncated"),
            try header("an array", [0x80], "unexpectedType"),
        ]
    }
}

/// The fields of a draft, in their JSON form.
private enum RunKindFields {
    static func of(_ draft: RunDraft) throws -> JSON {
        let answer = try Kind.runs.answer(["header": .bytes(draft.header)], "header")
        return try answer.member("fields")
    }
}
