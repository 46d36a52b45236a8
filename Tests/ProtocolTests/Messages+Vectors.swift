import Causality
import SyncProtocol

/// Keys: 1 is the root's, 2 the hub's, 3 a device's.
enum MessageVectors {
    static func vectors() throws -> [Vector] {
        try requests() + wrongRequests() + cursors() + runs() + replies() + wrongReplies()
            + refusals() + enrolments()
    }

    // MARK: Bytes by hand

    static func item(_ write: (inout CBOREncoder) -> Void) -> [UInt8] {
        var encoder = CBOREncoder()
        write(&encoder)
        return encoder.bytes
    }

    static func array(_ items: [UInt8]...) -> [UInt8] { array(items) }

    static func array(_ items: [[UInt8]]) -> [UInt8] {
        item { encoder in
            encoder.array(items.count)
            for item in items { encoder.raw(item) }
        }
    }

    static func unsigned(_ number: UInt64) -> [UInt8] { item { $0.unsigned(number) } }
    static func blob(_ bytes: [UInt8]) -> [UInt8] { item { $0.blob(bytes) } }
    static func text(_ text: String) -> [UInt8] { item { $0.text(text) } }
    static let null: [UInt8] = [0xf6]
    /// Items of kinds that no message has in their place.
    static let strange: [[UInt8]] = [[0x00], [0xa1, 0x18, 0xff, 0x82, 0xf5, 0x61, 0x78], null]
    static let deep = [UInt8](repeating: 0x81, count: 8) + [0x00]

    static let epoch = [UInt8](repeating: 0x0e, count: 16)
    static let otherEpoch = [UInt8](repeating: 0x0f, count: 16)
    static let hash = [UInt8](repeating: 0x11, count: 32)
    static let stream = Fixed.stream(1).identifier.bytes

    static func stub(
        _ lastSeq: UInt64 = 7, stream: [UInt8] = stream, run: [UInt8] = hash
    ) -> [UInt8] {
        array(blob(stream), unsigned(lastSeq), blob(run))
    }

    static func cursor(_ epoch: [UInt8]?, _ offset: UInt64 = 3, chain: [UInt8] = hash) -> [UInt8] {
        array(epoch.map(blob) ?? null, unsigned(offset), blob(chain))
    }

    /// A run as a message has it.
    static func run(_ draft: RunDraft, keys: [UInt8] = []) -> [UInt8] {
        array(
            blob(draft.changed { $0.omitted.insert(5) }.shortHeader),
            blob(draft.parts.signature + keys), blob(draft.body))
    }

    static func read(_ kind: String, _ name: String, _ bytes: [UInt8]) throws -> Vector {
        let vector = try Vector(
            "\(kind): \(name)", given: ["bytes": .bytes(bytes)], when: .string(kind), by: .messages)
        guard vector.expect["reject"] == nil else {
            throw VectorError("\(kind), \(name): refused with \(vector.expect.document)")
        }
        return vector
    }

    static func refused(
        _ kind: String, _ name: String, _ bytes: [UInt8], _ reason: String
    ) throws -> Vector {
        try Vector(
            "\(kind): \(name)", given: ["bytes": .bytes(bytes)], when: .string(kind),
            expect: ["reject": .string(reason)], by: .messages)
    }

    // MARK: Requests

    static func part(
        _ scope: String = "forum", cursor: [UInt8] = null, ahead: [[UInt8]] = [],
        runs: [[UInt8]] = [], further: [[UInt8]] = []
    ) -> [UInt8] {
        array([text(scope), cursor, array(ahead), array(runs)] + further)
    }

    static func request(
        format: UInt64 = 1, pending: [UInt8] = unsigned(2),
        wall: [UInt8] = item { $0.integer(1_764_000_000_000) }, version: [UInt8] = unsigned(4),
        _ parts: [[UInt8]] = [part()], further: [[UInt8]] = []
    ) -> [UInt8] {
        array([unsigned(format), pending, wall, version, array(parts)] + further)
    }

    private static func requests() throws -> [Vector] {
        let (first, second) = (RunVectors.first, RunVectors.second)
        let key = [UInt8](repeating: 7, count: 32)
        let cases: [(String, [UInt8])] = [
            ("of one part", request()), ("of no part", request([])),
            (
                "of two scopes",
                request([
                    part(cursor: cursor(epoch), ahead: [stub(), stub(1, stream: epoch)]),
                    part("delegation/KZ \u{259}", cursor: cursor(nil, 0)), part("delegation/BY"),
                ])
            ),
            (
                "the greatest numbers",
                request(
                    pending: unsigned(.max), wall: item { $0.integer(.max) },
                    version: unsigned(.max),
                    [
                        part(
                            cursor: cursor(epoch, 1 << 62 - 1),
                            ahead: [stub(1 << 63 - 1)])
                    ])
            ), ("a wall before 1970", request(wall: item { $0.integer(.min) })),
            ("a scope without a name", request([part("")])),
            (
                "a scope of 64 bytes",
                request([part(String(repeating: "s", count: 64))])
            ),
            (
                "two spellings of a scope",
                request([part("\u{e9}"), part("e\u{301}")])
            ), ("256 parts", request((0..<256).map { part(String($0)) })),
            ("two runs", request([part(runs: [run(first), run(second)])])),
            (
                "a run with a key",
                request([part(runs: [run(RunVectors.withChecks(first, 1), keys: key)])])
            ),
            (
                "a run with keys that its header knows nothing of",
                request([part(runs: [run(first, keys: key + key)])])
            ), ("a run of no body", request([part(runs: [run(RunDraft(1, body: []))])])),
            (
                "a run of a later format",
                request([part(runs: [run(first.changed { $0.format = 2 })])])
            ),
            (
                "a run of a later format that has nothing behind key 5",
                request([
                    part(runs: [
                        run(
                            first.changed {
                                $0.format = 2
                                $0.omitted = [6, 7, 8, 9, 10, 11]
                            })
                    ])
                ])
            ), ("further items", request(further: strange)),
            (
                "further items of a part",
                request([part(further: strange), part("x", further: [null])])
            ),
            (
                "further items of eight levels",
                request(further: [Array(deep.dropFirst())])
            ),
        ]
        return try cases.map { try read("request", $0, $1) }
    }

    private static func wrongRequests() throws -> [Vector] {
        let good = request()
        let long = String(repeating: "s", count: 65)
        func announced(_ count: Int) -> [UInt8] {
            [0x85, 0x01, 0x00, 0x00, 0x00] + item { $0.array(count) }
        }
        let cases: [(String, [UInt8], String)] = [
            ("nothing", [], "truncated"), ("a map", [0xa0], "unexpectedType"),
            ("format 0", request(format: 0), "invalid"),
            ("format 2", request(format: 2), "later"),
            (
                "format 2, and other items behind it",
                array([unsigned(2)] + [[UInt8]](repeating: null, count: 5)), "later"
            ), ("format 2, and fewer items", array(unsigned(2), null), "invalid"),
            (
                "four items", array(unsigned(1), unsigned(0), unsigned(0), unsigned(0)), "invalid"
            ), ("a byte less", Array(good.dropLast()), "truncated"),
            ("a byte more", good + [0], "trailing"),
            ("a further item that is a tag", request(further: [[0xc0, 0x00]]), "unsupported"),
            ("a further item of nine levels", request(further: [deep]), "tooDeep"),
            ("a further item that doesn't come", [0x86] + good.dropFirst(), "truncated"),
            ("pending that is negative", request(pending: [0x20]), "unexpectedType"),
            ("a wall of 2^63", request(wall: unsigned(1 << 63)), "outOfRange"),
            ("a wall that is null", request(wall: null), "unexpectedType"),
            ("a schema version that is null", request(version: null), "unexpectedType"),
            (
                "parts that are null", array(unsigned(1), [0], [0], [0], null), "unexpectedType"
            ), ("257 parts, of which none comes", announced(257), "tooLong"),
            ("256 parts, of which none comes", announced(256), "truncated"),
            ("a scope of 65 bytes", request([part(long)]), "tooLong"),
            (
                "a scope that isn't UTF-8",
                request([array([0x61, 0xff], null, array(), array())]), "invalidUTF8"
            ), ("a scope twice", request([part("x"), part(), part("x")]), "invalid"),
            (
                "a scope twice, and then a part that is none",
                request([part(), part(), null]), "invalid"
            ),
            (
                "a scope twice, the second ahead of seq 0",
                request([part(), part(ahead: [stub(0)])]), "outOfRange"
            ),
            (
                "a part of three items", request([array(text("forum"), null, array())]), "invalid"
            ),
            (
                "a further item of a part that is a tag",
                request([part(further: [[0xc0, 0x00]])]), "unsupported"
            ), ("a part that is null", request([null]), "unexpectedType"),
            ("ahead of seq 0", request([part(ahead: [stub(0)])]), "outOfRange"),
            (
                "ahead of seq 0 and no run",
                request([part(ahead: [stub(0, run: [UInt8](repeating: 0, count: 32))])]),
                "outOfRange"
            ), ("ahead of seq 2^63", request([part(ahead: [stub(1 << 63)])]), "outOfRange"),
            (
                "a stub of four items",
                request([part(ahead: [array(blob(stream), unsigned(1), blob(hash), null)])]),
                "invalid"
            ),
            (
                "a stub with a stream of 15 bytes",
                request([part(ahead: [stub(stream: Array(stream.dropLast()))])]), "invalid"
            ),
            (
                "a stub with a hash of 33 bytes",
                request([part(ahead: [stub(run: hash + [0])])]), "tooLong"
            ),
        ]
        return try cases.map { try refused("request", $0, $1, $2) }
    }

    private static func cursors() throws -> [Vector] {
        let wrong: [(String, [[UInt8]], String)] = [
            ("the first without its epoch", [cursor(nil)], "invalid"),
            ("an epoch that is that of the one before", [cursor(epoch), cursor(epoch)], "invalid"),
            (
                "another epoch, and then the first one's by null and by bytes",
                [cursor(epoch), cursor(otherEpoch), cursor(nil), cursor(otherEpoch)], "invalid"
            ), ("an epoch of 15 bytes", [cursor(Array(epoch.dropLast()))], "invalid"),
            ("an epoch of 17 bytes", [cursor(epoch + [0])], "tooLong"),
            (
                "an epoch that is a number",
                [array(unsigned(1), unsigned(1), blob(hash))], "unexpectedType"
            ), ("an offset of 2^62", [cursor(epoch, 1 << 62)], "outOfRange"),
            ("a chain of 31 bytes", [cursor(epoch, chain: Array(hash.dropLast()))], "invalid"),
            (
                "four items",
                [array(blob(epoch), unsigned(1), blob(hash), null)], "invalid"
            ), ("two items", [array(blob(epoch), unsigned(1))], "invalid"),
            ("a boolean", [[0xf4]], "unexpectedType"),
            ("undefined", [[0xf7]], "unsupported"),
        ]
        let several = [cursor(epoch), null, cursor(nil, 9), cursor(otherEpoch), cursor(epoch)]
        return try [
            read(
                "request", "cursors of several epochs",
                request(several.enumerated().map { part(String($0), cursor: $1) }))
        ]
            + wrong.map { name, cursors, reason in
                try refused(
                    "request", "a cursor: \(name)",
                    request(cursors.enumerated().map { part(String($0), cursor: $1) }), reason)
            }
    }

    // MARK: Runs in them

    private static func runs() throws -> [Vector] {
        let first = RunVectors.first
        let short = first.changed { $0.omitted.insert(5) }.shortHeader
        let signature = first.parts.signature
        func of(_ header: [UInt8], _ seal: [UInt8], _ body: [UInt8]) -> [UInt8] {
            array(blob(header), blob(seal), blob(body))
        }
        func bytes(_ count: Int) -> [UInt8] {
            item { $0.blob([UInt8](repeating: 0, count: count)) }
        }
        let large = first.changed { draft in
            draft.extra = [(13, RunVectors.padding(first, to: 196_609))]
        }
        let cases: [(String, [UInt8], String)] = [
            ("two items", array(blob(short), blob(signature)), "invalid"),
            (
                "four items", array(blob(short), blob(signature), blob(first.body), null),
                "invalid"
            ),
            ("a header with its body's hash", of(first.header, signature, first.body), "invalid"),
            (
                "a header of format 0",
                of(
                    first.changed { ($0.format, $0.omitted) = (0, [5]) }.shortHeader, signature,
                    first.body), "invalid"
            ),
            (
                "a header without deps",
                of(first.changed { $0.omitted = [5, 6] }.shortHeader, signature, first.body),
                "missingKey"
            ),
            (
                "a header that is cut", of(Array(short.dropLast()), signature, first.body),
                "truncated"
            ),
            ("a header with a byte more", of(short + [0], signature, first.body), "trailing"),
            ("a header of nothing", of([], signature, first.body), "truncated"),
            ("a header of 196609 bytes", [0x83] + bytes(196_609), "tooLong"),
            (
                "a header of 196609 bytes with its body's hash", run(large), "tooLong"
            ),
            ("a seal of 63 bytes", of(short, Array(signature.dropLast()), first.body), "invalid"),
            ("a seal of 65 bytes", of(short, signature + [0], first.body), "invalid"),
            ("a seal of 95 bytes", array(blob(short), bytes(95), null), "invalid"),
            ("a seal of 63 bytes, and no body", array(blob(short), bytes(63), null), "invalid"),
            (
                "a seal of 1048641 bytes", [0x83] + blob(short) + bytes(1_048_641), "tooLong"
            ),
            (
                "a body of 524289 bytes", [0x83] + blob(short) + blob(signature) + bytes(524_289),
                "tooLong"
            ), ("a body that is null", array(blob(short), blob(signature), null), "unexpectedType"),
        ]
        let keys = [UInt8](repeating: 7, count: 1_048_576)
        return try cases.map { name, bytes, reason in
            try refused("request", "a run: \(name)", request([part(runs: [bytes])]), reason)
        } + [
            read(
                "request", "a run: a seal of 1048640 bytes",
                request([part(runs: [run(first, keys: keys)])]))
        ]
    }
}

extension RunDraft {
    /// The header as it goes on the way: its map counts the entry of key 5, which isn't there.
    var shortHeader: [UInt8] {
        var header = self.header
        precondition(omitted.contains(5) && header[0] >> 5 == 5 && header[0] & 31 < 23)
        header[0] += 1
        return header
    }
}
