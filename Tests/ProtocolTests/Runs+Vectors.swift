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
                first.changed { $0.extra = [(12, [0xf6]), (99, [0x81, 0xf5])] }.header),
            try header("1024 changesets", first.changed { $0.count = 1_024 }.header),
            try header("4194304 bytes", first.changed { $0.size = 4 << 20 }.header),
            try header("zstd", first.changed { $0.encoding = 1 }.header),
            try header(
                "the greatest first seq", second.changed { $0.firstSeq = 1 << 63 - 2 }.header),
            try header(
                "many deps",
                joined.changed {
                    $0.dependencies = (1...9).map {
                        Dependency(
                            stream: Fixed.stream($0), seq: $0 * 100, run: Digest(sha256: []))
                    }
                }.header),
        ] + wrongHeaders()
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
            ("format 1", first.changed { $0.format = 1 }, "invalid"),
            ("first seq 0", second.changed { $0.firstSeq = 0 }, "outOfRange"),
            ("first seq 2^63 - 1", second.changed { $0.firstSeq = 1 << 63 - 1 }, "outOfRange"),
            ("no changesets", first.changed { $0.count = 0 }, "outOfRange"),
            ("1025 changesets", first.changed { $0.count = 1_025 }, "outOfRange"),
            ("4194305 bytes", first.changed { $0.size = 4 << 20 + 1 }, "outOfRange"),
            ("encoding 2", first.changed { $0.encoding = 2 }, "outOfRange"),
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
            ("a key twice", first.changed { $0.extra = [(11, [0x00])] }, "keyOrder"),
            (
                "keys that descend", first.changed { $0.extra = [(13, [0x00]), (12, [0x00])] },
                "keyOrder"
            ),
            (
                "a tag under an unknown key", first.changed { $0.extra = [(12, [0xc0, 0x00])] },
                "unsupported"
            ),
            (
                "a long number under an unknown key",
                first.changed { $0.extra = [(12, [0x18, 0x00])] }, "notShortest"
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
