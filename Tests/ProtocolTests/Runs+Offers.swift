import Causality
import Merge
import SyncProtocol

/// Runs that a replica is offered.
extension RunVectors {
    private static let now: UInt64 = 1_764_000_000_000

    /// - Parameter answer: the code of the refusal, or the result where it is none.
    static func offer(
        _ name: String, _ parts: RunParts, to held: [RunDraft], _ answer: String
    ) throws -> Vector {
        let vector = try Vector(
            "offered: \(name)",
            given: ["namespace": "forum", "held": .array(held.map(\.parts.json))],
            when: ["offer": parts.json], by: .runs)
        let found = vector.expect["code"] ?? vector.expect["result"]
        guard found == .string(answer) else {
            throw VectorError("\(name): \(answer) expected, found \(vector.expect.document)")
        }
        return vector
    }

    static func offer(
        _ name: String, _ draft: RunDraft, to held: [RunDraft] = [], _ answer: String = "applied"
    ) throws -> Vector {
        try offer(name, draft.parts, to: held, answer)
    }

    static func packed(_ frame: [UInt8], size: Int) -> RunDraft {
        RunDraft(1, body: frame).changed {
            $0.encoding = 1
            $0.size = UInt64(size)
        }
    }

    private static let long = BodyDraft().changeset(now, rows: 1).row(items: 2).code(1, 0)
        .text(String(repeating: "z", count: 60_000)).bytes

    /// A run of one sealed value, with the checks of so many keys.
    private static func sealed(checks count: Int) -> RunDraft {
        let value = Value.sealed(SealedValue(about: nil, box: BodyVectors.box))
        let body = BodyDraft().changeset(now, rows: 1).row(items: 2).code(1, 0).value(value).bytes
        return withChecks(RunDraft(1, body: body), count)
    }

    static func withChecks(_ draft: RunDraft, _ count: Int) -> RunDraft {
        guard count > 0 else { return draft }
        var encoder = CBOREncoder()
        encoder.blob([UInt8](repeating: 0x5a, count: 16 * count))
        return draft.changed { $0.extra = [(12, encoder.bytes)] }
    }

    private static func wrongChecks() throws -> [Vector] {
        [
            try offer("a sealed value without a check", sealed(checks: 0), "POISON"),
            try offer("a check too many", sealed(checks: 2), "POISON"),
            try offer("a check of nothing that is sealed", withChecks(first, 1), "POISON"),
        ]
    }

    static func offers() throws -> [Vector] {
        let three = RunDraft(
            3, count: 3,
            body: note("a") + note("b", at: 1, over: [2])
                + BodyDraft().changeset(1, rows: 1).newRow(items: 2).put.bytes)
        let fresh = RunDraft(
            after: first, body: BodyDraft().changeset(now + 1, rows: 1).newRow(items: 2).put.bytes)
        return [
            try offer("the first run", first), try offer("the second", second, to: [first]),
            try offer("another device's first", other, to: [first, second]),
            try offer("a run whose dep is held", joined, to: [first, other]),
            try offer(
                "a run whose dep has gone on since", joined,
                to: [first, other, RunDraft(after: other, body: note("y", at: now + 6))]),
            try offer("three changesets", three),
            try offer("new rows are named after the run before", fresh, to: [first]),
            try offer("a raw frame", packed(Frame.raw(first.body), size: first.body.count)),
            try offer(
                "a frame that repeats",
                packed(
                    Frame.repeating(Array(long.prefix(60)), 0x7a, long.count - 60), size: long.count
                )),
            try offer("a stored run", RunDraft(1, body: long)),
            try offer("sealed values whose key doesn't come", sealed(checks: 1)),
            try offer(
                "a header with unknown keys",
                first.changed { $0.extra = [(13, [0xf6]), (127, [0x01])] }),
            try offer(
                "the next incarnation beside the first",
                RunDraft(1, incarnation: 1, body: note("c")), to: [first]),
            try offer(
                "a time before that of the run before",
                RunDraft(after: first, body: note("early", at: 5, over: [2])), to: [first]),
            try offer(
                "a dep that nothing names", second.changed { $0.dependencies = [other.dependency] },
                to: [first, other]),
            try offer("the same run again", first, to: [first], "duplicate"),
            try offer("an older run again", first, to: [first, second], "duplicate"),
            try offer(
                "the same header with another signature and body",
                RunParts(
                    header: first.header, signature: [UInt8](repeating: 0, count: 64), body: [1]),
                to: [first], "duplicate"),
        ]
    }

    /// Runs by columns, of which the second refers to the first.
    static func offersOfColumns() throws -> [Vector] {
        let parts = try ColumnVectors.seal([
            (BodyDraft().changeset(now, rows: 1).row(items: 2).code(1, 0).text("first"), 1),
            (
                BodyDraft().changeset(now + 1, rows: 1).row(items: 3).code(1, 1).text("first")
                    .numbers(2), 1
            ),
        ])
        let first = RunDraft(1, body: parts[0].body).changed { $0.encoding = 2 }
        let second = RunDraft(after: first, body: parts[1].body).changed { $0.encoding = 2 }
        let rows = RunDraft(1, body: note("a"))
        return [
            try offer("a run by columns", first),
            try offer("a run that refers to the one before", second, to: [first]),
            try offer(
                "a run by columns as one by rows", first.changed { $0.encoding = 0 }, "POISON"),
            try offer(
                "a run by rows as one by columns", rows.changed { $0.encoding = 2 }, "POISON"),
            try offer(
                "a run that refers to one by rows",
                RunDraft(after: rows, body: parts[1].body).changed { $0.encoding = 2 }, to: [rows],
                "POISON"),
            try offer(
                "a run by columns in a frame",
                first.changed {
                    $0.body = Frame.raw($0.body)
                    $0.encoding = 3
                }),
            try offer(
                "a run by columns of fewer changesets than its header says",
                first.changed { $0.count = 2 }, "POISON"),
        ]
    }

    static func refusedOffers() throws -> [Vector] {
        try outOfPlace() + poisoned() + badBodies() + oversized() + ahead() + frames() + forks()
            + wrongChecks()
    }

    private static func outOfPlace() throws -> [Vector] {
        [
            try offer("the second without the first", second, "GAP"),
            try offer(
                "the third without the second",
                RunDraft(after: second, body: note("c", at: now + 2)), to: [first], "GAP"),
            try offer("a dep on a stream that is not held", joined, to: [first], "GAP"),
            try offer(
                "a dep beyond what is held",
                joined.changed { $0.dependencies[0].seq = 2 }, to: [first, other], "GAP"),
            try offer(
                "a run behind another first run, which is not held",
                RunDraft(after: RunDraft(1, body: note("other")), body: note("b", at: now + 1)),
                to: [first], "GAP"),
            try offer(
                "a dep on another history, which is not held",
                joined.changed { $0.dependencies[0].run = Digest(sha256: []) },
                to: [first, other], "GAP"),
            try offer(
                "a dep within a run",
                joined.changed {
                    $0.dependencies = [RunDraft(2, count: 2, body: []).dependency]
                    $0.dependencies[0].seq = 1
                },
                to: [first, RunDraft(2, count: 2, body: note("x") + note("y", at: 1))], "GAP"),
            try offer(
                "a scope that is not replicated",
                RunDraft(1, scope: "delegation/KZ", body: note("a")), "SCOPE"),
        ]
    }

    private static func poisoned() throws -> [Vector] {
        let parts = first.parts
        func signed(_ signature: [UInt8]) -> RunParts {
            RunParts(header: parts.header, signature: signature, body: parts.body)
        }
        var flipped = parts.signature
        flipped[63] ^= 1
        var body = parts.body
        body[body.count - 1] ^= 1
        let plain = first.key.sign(Digest(sha256: first.header))
        let feed = first.key.sign(Digest(.feed, first.header))
        return [
            try offer("a flipped bit of the signature", signed(flipped), to: [], "POISON"),
            try offer(
                "a signature of 63 bytes", signed(Array(parts.signature.dropLast())), to: [],
                "POISON"),
            try offer("a signature of 65 bytes", signed(parts.signature + [0]), to: [], "POISON"),
            try offer(
                "another device's signature", signed(other.key.sign(first.hash)), to: [], "POISON"),
            try offer(
                "a signature of another run", signed(other.parts.signature), to: [], "POISON"),
            try offer("a signature without the domain", signed(plain), to: [], "POISON"),
            try offer("a signature of another domain", signed(feed), to: [], "POISON"),
            try offer(
                "a second run signed by another device", second.changed { $0.key = other.key },
                to: [first], "POISON"),
            try offer(
                "a flipped bit of the body",
                RunParts(header: parts.header, signature: parts.signature, body: body), to: [],
                "POISON"),
            try offer(
                "a body of another run",
                RunParts(header: parts.header, signature: parts.signature, body: other.body),
                to: [], "POISON"),
            try offer(
                "a header that is cut",
                RunParts(header: [0xa1, 0x18], signature: parts.signature, body: parts.body),
                to: [], "unreadable"),
            try offer(
                "a header of format 0", first.changed { $0.format = 0 }, "unreadable"),
        ]
    }

    private static func badBodies() throws -> [Vector] {
        let size = first.body.count
        return [
            try offer("a size that is too small", first.changed { $0.size -= 1 }, "POISON"),
            try offer("a size that is too large", first.changed { $0.size += 1 }, "POISON"),
            try offer("a body that is no frame", packed(first.body, size: size), "POISON"),
            try offer(
                "a frame that does not state its size",
                packed(Frame.withoutSize(first.body), size: size), "POISON"),
            try offer(
                "a frame that states another size",
                packed(Frame.raw(first.body, stated: size + 1), size: size), "POISON"),
            try offer(
                "a frame that states too much, as the header",
                packed(Frame.raw(first.body, stated: size + 1), size: size + 1), "POISON"),
            try offer(
                "a frame that states too little",
                packed(Frame.raw(first.body, stated: size - 1), size: size - 1), "POISON"),
            try offer(
                "a frame that is cut", packed(Array(Frame.raw(first.body).dropLast()), size: size),
                "POISON"),
            try offer(
                "fewer changesets than the header says", first.changed { $0.count = 2 }, "POISON"),
            try offer(
                "more changesets than the header says",
                RunDraft(1, body: note("a") + note("b", at: 1)), "POISON"),
            try offer("an empty body", RunDraft(1, body: []), "POISON"),
            try offer("a body that can't be read", RunDraft(1, body: [0x82, 0x02]), "POISON"),
            try offer("a body with a tag", RunDraft(1, body: [0x82, 0x02, 0xc0, 0xf6]), "POISON"),
            try offer(
                "a good changeset, then a bad one",
                RunDraft(1, count: 2, body: note("a") + [0x81, 0x02]), "POISON"),
            try offer(
                "a dot of a stream that no dep names", joined.changed { $0.dependencies = [] },
                to: [first, other], "POISON"),
            try offer(
                "a dot beyond its dep",
                joined.changed {
                    $0.body = note("both", at: now + 9, over: [1, 2]);
                    $0.size = UInt64($0.body.count)
                },
                to: [first, other], "POISON"),
            try offer(
                "a cover beyond its dep",
                joined.changed {
                    $0.body =
                        BodyDraft().changeset(now + 9, rows: 1).row(items: 4).code(1, 2).null
                        .array(0).numbers(1, 2).bytes
                    $0.size = UInt64($0.body.count)
                }, to: [first, other], "POISON"),
            try offer(
                "a delete's cover beyond its dep",
                joined.changed {
                    $0.body =
                        BodyDraft().changeset(now + 9, rows: 1).row(items: 3).code(0, 4)
                        .array(0).array(1).numbers(1, 2, 1).bytes
                    $0.size = UInt64($0.body.count)
                }, to: [first, other], "POISON"),
        ]
    }

    private static func oversized() throws -> [Vector] {
        let zeros = [UInt8](repeating: 0, count: 524_289)
        let bomb = Frame.repeating(note("a"), 0xf6, (4 << 20) + 1 - note("a").count)
        return [
            try offer("a body of 524289 bytes", RunDraft(1, body: zeros), "POISON"),
            try offer(
                "a frame that expands to 4194305 bytes", packed(bomb, size: 4 << 20), "POISON"),
            try offer(
                "a header of 196608 bytes",
                first.changed { $0.extra = [(13, padding(first, to: 196_608))] }),
            try offer(
                "a header of 196609 bytes",
                first.changed { $0.extra = [(13, padding(first, to: 196_609))] }, "unreadable"),
        ]
    }
}
