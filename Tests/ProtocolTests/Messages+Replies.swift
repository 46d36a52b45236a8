import Causality
import SyncProtocol

/// Replies, and what a device is told when it is let in.
extension MessageVectors {
    static func refusal(
        _ code: UInt64 = 2, _ explanation: [UInt8] = text("runs are missing"),
        further: [[UInt8]] = []
    ) -> [UInt8] {
        array([unsigned(code), explanation] + further)
    }

    static func entry(_ kind: UInt64, _ item: [UInt8], further: [[UInt8]] = []) -> [UInt8] {
        array([unsigned(kind), item] + further)
    }

    static func rejection(
        _ run: [UInt8] = stub(), _ refusal: [UInt8] = refusal(), further: [[UInt8]] = []
    ) -> [UInt8] {
        array([run, refusal] + further)
    }

    static func answer(
        heads: [[UInt8]] = [], rejections: [[UInt8]] = [], entries: [[UInt8]] = [],
        cursor place: [UInt8] = cursor(epoch), more: [UInt8] = [0xf4], further: [[UInt8]] = []
    ) -> [UInt8] {
        array([array(heads), array(rejections), array(entries), place, more] + further)
    }

    static func reply(
        format: UInt64 = 1, wall: [UInt8] = item { $0.integer(1_764_000_000_000) },
        scopes: [[UInt8]] = [text("forum")], _ parts: [[UInt8]] = [answer()],
        further: [[UInt8]] = []
    ) -> [UInt8] {
        array([unsigned(format), wall, array(scopes), array(parts)] + further)
    }

    private static let none = stub(0, run: [UInt8](repeating: 0, count: 32))

    static func replies() throws -> [Vector] {
        let (first, second) = (RunVectors.first, RunVectors.second)
        let later = first.changed {
            $0.encoding = 4
            $0.furtherItems = [null]
        }
        let full = answer(
            heads: [stub(), none, stub(9, stream: epoch)],
            rejections: [rejection(), rejection(stub(8), refusal(9, text("")))],
            entries: [entry(0, run(first)), entry(1, stub(2)), entry(2, stub(3))], more: [0xf5])
        let cases: [(String, [UInt8])] = [
            ("of one part", reply()), ("of no part and no scope", reply(scopes: [], [])),
            ("a part with all that there may be", reply([full])),
            ("a part that is postponed", reply([null])),
            ("a part that is refused", reply([array(refusal(7))])),
            (
                "parts of all sorts",
                reply(
                    scopes: ["forum", "delegation/BY", "*"].map(text),
                    [answer(), null, array(refusal(8)), answer(cursor: cursor(nil)), null])
            ),
            (
                "cursors of several epochs",
                reply([
                    answer(cursor: cursor(epoch)), answer(cursor: cursor(nil)),
                    answer(cursor: cursor(otherEpoch)), answer(cursor: cursor(epoch)),
                ])
            ), ("a wall before 1970", reply(wall: item { $0.integer(.min) })),
            ("256 scopes", reply(scopes: (0..<256).map { text(String($0)) })),
            ("a scope of 64 bytes", reply(scopes: [text(String(repeating: "s", count: 64))])),
            ("a scope twice", reply(scopes: [text("x"), text("x")])),
            ("256 parts", reply([[UInt8]](repeating: null, count: 256))),
            (
                "a run twice",
                reply([answer(entries: [entry(0, run(second)), entry(0, run(second))])])
            ),
            ("a run of a later build", reply([answer(entries: [entry(0, run(later))])])),
            ("an entry of kind 3", reply([answer(entries: [entry(3, stub())])])),
            (
                "an entry of kind 3 with further items",
                reply([answer(entries: [entry(3, stub(), further: [[0x81, 0x00], null])])])
            ), ("an entry of the greatest kind", reply([answer(entries: [entry(.max, stub())])])),
            (
                "entries with further items",
                reply([
                    answer(entries: [
                        entry(0, run(first), further: [null]),
                        entry(1, stub(), further: strange),
                        entry(2, stub(), further: [[0x80]]),
                    ])
                ])
            ), ("further items", reply(further: strange)),
            (
                "further items of a part",
                reply([answer(further: strange), answer(cursor: cursor(nil), further: [null])])
            ),
            (
                "further items of a rejection",
                reply([answer(rejections: [rejection(further: strange)])])
            ),
            (
                "further items of refusals",
                reply([
                    array(refusal(further: strange)),
                    answer(rejections: [rejection(stub(), refusal(further: [null]))]),
                ])
            ),
            (
                "a code that nobody knows",
                reply([
                    array(refusal(11)),
                    answer(rejections: [rejection(stub(), refusal(.max))]),
                ])
            ),
        ]
        return try cases.map { try read("reply", $0, $1) }
    }

    static func wrongReplies() throws -> [Vector] {
        let part = [array(), array(), array(), cursor(epoch), [0xf4]] as [[UInt8]]
        func inPart(
            heads: [[UInt8]] = [], rejections: [[UInt8]] = [], entries: [[UInt8]] = [],
            cursor place: [UInt8] = cursor(epoch), more: [UInt8] = [0xf4]
        ) -> [UInt8] {
            reply([
                answer(
                    heads: heads, rejections: rejections, entries: entries, cursor: place,
                    more: more)
            ])
        }
        let head = [0x84, 0x01, 0x00] as [UInt8]
        let cases: [(String, [UInt8], String)] = [
            ("nothing", [], "truncated"), ("format 0", reply(format: 0), "invalid"),
            ("format 2", reply(format: 2), "later"),
            ("format 2, and other items behind it", array([2], null, null, null), "later"),
            ("three items", array([1], [0], array()), "invalid"),
            ("a byte less", Array(reply().dropLast()), "truncated"),
            ("a byte more", reply() + [0], "trailing"),
            ("a further item that is a tag", reply(further: [[0xc0, 0x00]]), "unsupported"),
            ("a wall of 2^63", reply(wall: unsigned(1 << 63)), "outOfRange"),
            ("257 scopes, of which none comes", head + item { $0.array(257) }, "tooLong"),
            (
                "a scope of 65 bytes", reply(scopes: [text(String(repeating: "s", count: 65))]),
                "tooLong"
            ), ("a scope that is null", reply(scopes: [null]), "unexpectedType"),
            (
                "257 parts, of which none comes", head + array() + item { $0.array(257) },
                "tooLong"
            ), ("a part that is a number", reply([[0x00]]), "unexpectedType"),
            ("a part that is undefined", reply([[0xf7]]), "unsupported"),
            ("a part of no items", reply([array()]), "invalid"),
            ("a part of two items", reply([array(refusal(), null)]), "invalid"),
            ("a part of three items", reply([array(Array(part[..<3]))]), "invalid"),
            ("a part of four items", reply([array(Array(part[..<4]))]), "invalid"),
            (
                "a part of six items, of which the last doesn't come",
                [0x84, 0x01, 0x00, 0x80, 0x81, 0x86] + part.joined(), "truncated"
            ),
            (
                "a further item of a part that is a tag",
                reply([answer(further: [[0xc0, 0x00]])]), "unsupported"
            ),
            ("a refused part of which the refusal is null", reply([array(null)]), "unexpectedType"),
            ("a head of seq 0 and another hash", inPart(heads: [stub(0)]), "outOfRange"),
            ("a head of seq 2^63", inPart(heads: [stub(1 << 63)]), "outOfRange"),
            (
                "a head of four items",
                inPart(heads: [array(blob(stream), [1], blob(hash), null)]), "invalid"
            ), ("a head that is null", inPart(heads: [null]), "unexpectedType"),
            (
                "a rejection of one item", inPart(rejections: [array(stub())]), "invalid"
            ), ("a rejection of seq 0", inPart(rejections: [rejection(none)]), "outOfRange"),
            (
                "a rejection by stream and seq",
                inPart(rejections: [array(blob(stream), [7], refusal())]), "unexpectedType"
            ),
            (
                "a rejection of a null", inPart(rejections: [rejection(stub(), null)]),
                "unexpectedType"
            ),
            (
                "a further item of a rejection that is a tag",
                inPart(rejections: [rejection(further: [[0xc0, 0x00]])]), "unsupported"
            ), ("an entry of one item", inPart(entries: [array([1])]), "invalid"),
            ("a name of a run of seq 0", inPart(entries: [entry(1, none)]), "outOfRange"),
            (
                "a cut that is a run", inPart(entries: [entry(2, run(RunVectors.first))]),
                "tooLong"
            ),
            ("a whole run that is a name", inPart(entries: [entry(0, stub())]), "unexpectedType"),
            ("an entry of kind 3 of seq 0", inPart(entries: [entry(3, none)]), "outOfRange"),
            ("an entry of kind 3 of a null", inPart(entries: [entry(3, null)]), "unexpectedType"),
            (
                "an entry of a negative kind", inPart(entries: [array([0x20], stub())]),
                "unexpectedType"
            ),
            (
                "a further item of an entry that is a tag",
                inPart(entries: [entry(3, stub(), further: [[0xc0, 0x00]])]), "unsupported"
            ), ("the first cursor without its epoch", inPart(cursor: cursor(nil)), "invalid"),
            (
                "the epoch of the part before",
                reply([answer(), null, answer()]), "invalid"
            ), ("a cursor that is null", inPart(cursor: null), "unexpectedType"),
            ("more that is null", inPart(more: null), "unexpectedType"),
            ("more that is undefined", inPart(more: [0xf7]), "unexpectedType"),
        ]
        return try cases.map { try refused("reply", $0, $1, $2) }
    }

    // MARK: Refusals of a whole request

    static func refusals() throws -> [Vector] {
        let codes = Refusal.Code.allCases.map { code in
            (code.name, refusal(code.rawValue, text("why")))
        }
        let good: [(String, [UInt8])] =
            codes + [
                ("without words", refusal(1, text(""))),
                ("words of 65536 bytes", refusal(1, text(String(repeating: "w", count: 65_536)))),
                ("code 0", refusal(0)), ("code 11", refusal(11)),
                ("the greatest code", refusal(.max)),
                ("further items", refusal(further: strange)),
            ]
        let wrong: [(String, [UInt8], String)] = [
            ("nothing", [], "truncated"), ("one item", array([1]), "invalid"),
            ("null", null, "unexpectedType"),
            ("a code that is negative", array([0x20], text("")), "unexpectedType"),
            ("words that are null", refusal(1, null), "unexpectedType"),
            ("words that aren't UTF-8", refusal(1, [0x61, 0xff]), "invalidUTF8"),
            (
                "words of 65537 bytes", refusal(1, text(String(repeating: "w", count: 65_537))),
                "tooLong"
            ), ("a further item that is a tag", refusal(further: [[0xc0, 0x00]]), "unsupported"),
            ("a byte more", refusal() + [0], "trailing"),
        ]
        return try good.map { try read("refusal", $0, $1) }
            + wrong.map { try refused("refusal", $0, $1, $2) }
    }

    // MARK: Enrolment

    private static let secret = [UInt8](0..<32)

    private static func enrolment(
        format: UInt64 = 1, secret: [UInt8] = secret, name: [UInt8] = text("Laptop 3"),
        signature: [UInt8]? = nil, further: [[UInt8]] = []
    ) -> [UInt8] {
        let (key, signed) = (
            Fixed.key(3),
            EnrolmentRequest(secret: Self.secret, name: "Laptop 3", key: Fixed.key(3)).signature
        )
        return array(
            [
                unsigned(format), blob(secret), blob(key.publicKey), blob(key.encryptionPublicKey),
                name, blob(signature ?? signed),
            ] + further)
    }

    private static func certificate(
        _ kind: Certificate.Kind, of holder: DeviceKey, by issuer: DeviceKey
    ) -> [UInt8] {
        Certificate(
            signing: Certificate.Statement(
                kind: kind, publicKey: holder.publicKey, encryptionKey: holder.encryptionPublicKey,
                name: "x", issuer: issuer.publicKey, issuedMilliseconds: 1_764_000_000_000,
                expiryMilliseconds: 1_766_592_000_000, grants: []), key: issuer
        ).encode()
    }

    private static func enrolled(
        format: UInt64 = 1, hub: [UInt8] = certificate(.hub, of: Fixed.key(2), by: Fixed.key(1)),
        wall: [UInt8] = item { $0.integer(1_764_000_000_000) }, further: [[UInt8]] = []
    ) -> [UInt8] {
        array(
            [
                unsigned(format), hub, certificate(.device, of: Fixed.key(3), by: Fixed.key(2)),
                wall,
            ] + further)
    }

    static func enrolments() throws -> [Vector] {
        let long = text(String(repeating: "n", count: 201))
        let good: [(String, [UInt8])] = [
            ("a device", enrolment()), ("another name than was signed", enrolment(name: text(""))),
            ("another secret than was signed", enrolment(secret: secret.reversed())),
            ("further items", enrolment(further: strange)),
        ]
        let wrong: [(String, [UInt8], String)] = [
            ("format 0", enrolment(format: 0), "invalid"),
            ("format 2", enrolment(format: 2), "later"),
            ("five items", [0x85] + enrolment()[1...].dropLast(66), "invalid"),
            ("a secret of 31 bytes", enrolment(secret: secret.dropLast()), "invalid"),
            ("a secret of 33 bytes", enrolment(secret: secret + [0]), "tooLong"),
            ("a name of 201 bytes", enrolment(name: long), "tooLong"),
            ("a signature of 63 bytes", enrolment(signature: [UInt8](0..<63)), "invalid"),
            ("a further item that is a tag", enrolment(further: [[0xc0, 0x00]]), "unsupported"),
            ("a byte more", enrolment() + [0], "trailing"),
        ]
        let inside = certificate(.hub, of: Fixed.key(2), by: Fixed.key(1))
        let wrongReplies: [(String, [UInt8], String)] = [
            ("format 0", enrolled(format: 0), "invalid"),
            ("format 2", enrolled(format: 2), "later"),
            ("three items", [0x83] + enrolled()[1...].dropLast(9), "invalid"),
            ("a certificate that is null", enrolled(hub: null), "unexpectedType"),
            (
                "a certificate that is a byte string", enrolled(hub: blob(inside)),
                "unexpectedType"
            ),
            (
                "a certificate of three items", enrolled(hub: [0x83] + inside[1...] + null),
                "invalid"
            ),
            ("a wall that is null", enrolled(wall: null), "unexpectedType"),
            ("a further item that is a tag", enrolled(further: [[0xc0, 0x00]]), "unsupported"),
            ("a byte more", enrolled() + [0], "trailing"),
        ]
        return try good.map { try read("enrolment", $0, $1) }
            + wrong.map { try refused("enrolment", $0, $1, $2) } + [
                read("enrolled", "a device", enrolled()),
                read("enrolled", "further items", enrolled(further: strange)),
                read("enrolled", "a wall before 1970", enrolled(wall: item { $0.integer(.min) })),
            ] + wrongReplies.map { try refused("enrolled", $0, $1, $2) }
    }
}
