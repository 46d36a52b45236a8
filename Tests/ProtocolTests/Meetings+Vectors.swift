import Causality
import SyncProtocol

/// Keys: 1 is the root's, 2 the hub's, 3 a device's, 4 another one's, 5 another root's.
enum MeetingVectors {
    typealias Bytes = MessageVectors

    static func vectors() throws -> [Vector] {
        try waits() + ends() + news() + statements() + meetings() + advertisements()
    }

    private static func vector(
        _ kind: String, _ name: String, _ bytes: [UInt8], more: KeyValuePairs<String, JSON> = [:],
        reject reason: String? = nil
    ) throws -> Vector {
        let given = JSON.object(
            [JSON.Member("bytes", .bytes(bytes))] + more.map { JSON.Member($0.key, $0.value) })
        guard let reason else {
            let vector = try Vector(
                "\(kind): \(name)", given: given, when: .string(kind), by: .meetings)
            guard vector.expect["reject"] == nil else {
                throw VectorError("\(kind), \(name): refused with \(vector.expect.document)")
            }
            return vector
        }
        return try Vector(
            "\(kind): \(name)", given: given, when: .string(kind),
            expect: ["reject": .string(reason)], by: .meetings)
    }

    // MARK: Waiting

    private static func place(_ scope: String = "forum", _ cursor: [UInt8] = Bytes.null) -> [UInt8]
    {
        Bytes.array(Bytes.text(scope), cursor)
    }

    private static func wait(
        format: UInt64 = 1, patience: [UInt8] = Bytes.unsigned(25_000),
        _ places: [[UInt8]] = [place()],
        further: [[UInt8]] = []
    ) -> [UInt8] {
        Bytes.array([Bytes.unsigned(format), patience, Bytes.array(places)] + further)
    }

    private static func waits() throws -> [Vector] {
        let (epoch, other) = (Bytes.epoch, Bytes.otherEpoch)
        let good: [(String, [UInt8])] = [
            ("before the start of one feed", wait()), ("nowhere", wait([])),
            (
                "in two feeds of one epoch",
                wait([
                    place("forum", Bytes.cursor(epoch)),
                    place("delegation/KZ", Bytes.cursor(nil, 0)),
                ])
            ),
            (
                "of two epochs, and one before its start",
                wait([
                    place("forum", Bytes.cursor(epoch)), place("a"),
                    place("b", Bytes.cursor(other, 1 << 62 - 1)),
                ])
            ),
            ("with the greatest patience", wait(patience: Bytes.unsigned(.max))),
            ("with further items", wait(further: Bytes.strange)),
        ]
        let wrong: [(String, [UInt8], String)] = [
            ("format 0", wait(format: 0), "invalid"), ("format 2", wait(format: 2), "later"),
            ("two items", [0x82] + wait()[1..<5], "invalid"),
            ("a byte behind", wait() + [0], "trailing"),
            ("cut short", Array(wait().dropLast()), "truncated"),
            ("a scope twice", wait([place(), place()]), "invalid"),
            ("a scope of 65 bytes", wait([place(String(repeating: "s", count: 65))]), "tooLong"),
            ("257 places", wait((0...256).map { place("\($0)") }), "tooLong"),
            ("null in the first cursor", wait([place("forum", Bytes.cursor(nil))]), "invalid"),
            (
                "an epoch again",
                wait([place("a", Bytes.cursor(epoch)), place("b", Bytes.cursor(epoch))]),
                "invalid"
            ),
            (
                "an offset over the greatest", wait([place("forum", Bytes.cursor(epoch, 1 << 62))]),
                "outOfRange"
            ),
            (
                "a place of three items",
                wait([Bytes.array(Bytes.text("a"), Bytes.null, Bytes.null)]), "invalid"
            ),
            (
                "a patience below zero", wait(patience: Bytes.item { $0.integer(-1) }),
                "unexpectedType"
            ),
            ("a further item that is too deep", wait(further: [Bytes.deep]), "tooDeep"),
        ]
        return try good.map { try vector("wait", $0, $1) }
            + wrong.map { try vector("wait", $0, $1, reject: $2) }
    }

    private static func end(
        format: UInt64 = 1, wall: Int64 = 1_764_000_000_000, scopes: [String] = ["forum"],
        _ cursors: [[UInt8]] = [Bytes.cursor(Bytes.epoch)], further: [[UInt8]] = []
    ) -> [UInt8] {
        Bytes.array(
            [
                Bytes.unsigned(format), Bytes.item { $0.integer(wall) },
                Bytes.array(scopes.map(Bytes.text)), Bytes.array(cursors),
            ] + further)
    }

    private static func ends() throws -> [Vector] {
        let epoch = Bytes.epoch
        let good: [(String, [UInt8])] = [
            ("of one feed", end()), ("of none", end(scopes: [], [])),
            (
                "of three, of which one may not be read",
                end(
                    wall: .min, scopes: ["forum", "delegation/KZ", "*"],
                    [Bytes.cursor(epoch), Bytes.null, Bytes.cursor(nil, 0)])
            ), ("with further items", end(further: Bytes.strange)),
        ]
        let wrong: [(String, [UInt8], String)] = [
            ("format 0", end(format: 0), "invalid"), ("format 2", end(format: 2), "later"),
            ("three items", [0x83] + end()[1...], "invalid"),
            ("257 cursors", end([[UInt8]](repeating: Bytes.null, count: 257)), "tooLong"),
            ("257 scopes", end(scopes: [String](repeating: "a", count: 257)), "tooLong"),
            ("null in the first cursor", end([Bytes.null, Bytes.cursor(nil)]), "invalid"),
        ]
        return try good.map { try vector("ends", $0, $1) }
            + wrong.map { try vector("ends", $0, $1, reject: $2) }
    }

    private static func news() throws -> [Vector] {
        let (here, there) = (Bytes.cursor(Bytes.epoch, 3), Bytes.cursor(Bytes.epoch, 4))
        let elsewhere = Bytes.cursor(Bytes.otherEpoch, 3)
        let twisted = Bytes.cursor(Bytes.epoch, 3, chain: Bytes.hash.map { ~$0 })
        let start = Bytes.cursor(Bytes.epoch, 0)
        let cases: [(String, [UInt8], [UInt8])] = [
            ("the same place", wait([place("forum", here)]), end([here])),
            ("further on", wait([place("forum", here)]), end([there])),
            ("a feed that is shorter", wait([place("forum", there)]), end([here])),
            ("another epoch", wait([place("forum", here)]), end([elsewhere])),
            ("another chain", wait([place("forum", here)]), end([twisted])),
            ("an empty feed", wait(), end([start])),
            ("a feed that has begun", wait(), end([here])),
            (
                "a scope that may not be read",
                wait([place("forum", here), place("a", elsewhere)]),
                end([here, Bytes.null])
            ),
            (
                "a scope at no place", wait([place("forum", here)]),
                end(scopes: ["forum", "a"], [here])
            ),
            (
                "all that will come", wait([place("forum", here)]),
                end(scopes: ["forum", "*"], [here])
            ),
            ("nowhere, and nothing", wait([]), end(scopes: [], [])),
        ]
        return try cases.map { name, wait, ends in
            try Vector(
                "news: \(name)", given: ["wait": .bytes(wait), "ends": .bytes(ends)], when: "news",
                by: .meetings)
        }
    }

    // MARK: Meeting

    private static func certificate(
        _ kind: Certificate.Kind, of holder: UInt8, by issuer: UInt8
    ) -> [UInt8] {
        let (holder, issuer) = (Fixed.key(holder), Fixed.key(issuer))
        return Certificate(
            signing: Certificate.Statement(
                kind: kind, publicKey: holder.publicKey, encryptionKey: holder.encryptionPublicKey,
                name: "x", issuer: issuer.publicKey, issuedMilliseconds: 1_764_000_000_000,
                expiryMilliseconds: 1_766_592_000_000, grants: []), key: issuer
        ).encode()
    }

    private static let hub = certificate(.hub, of: 2, by: 1)
    private static let device = certificate(.device, of: 3, by: 2)
    private static let root = Fixed.key(1).device.bytes
    private static let pin = [UInt8](repeating: 0x21, count: 32)

    private static func signature(
        _ key: UInt8 = 3, root: [UInt8] = root, pin: [UInt8] = pin
    ) -> [UInt8] {
        Fixed.key(key).sign(Digest(.peer, root, pin))
    }

    private static func statement(
        format: UInt64 = 1, root: [UInt8] = root, hub: [UInt8] = hub, device: [UInt8] = device,
        pin: [UInt8] = pin, signature: [UInt8] = signature(), further: [[UInt8]] = []
    ) -> [UInt8] {
        Bytes.array(
            [
                Bytes.unsigned(format), Bytes.blob(root), hub, device, Bytes.blob(pin),
                Bytes.blob(signature),
            ] + further)
    }

    private static func statements() throws -> [Vector] {
        let otherRoot = Fixed.key(5).device.bytes
        let anchor: KeyValuePairs<String, JSON> = ["root": .hex(root)]
        let good: [(String, [UInt8])] = [
            ("of a device", statement()), ("with further items", statement(further: Bytes.strange)),
            ("by another device's key", statement(signature: signature(4))),
            ("for another pin", statement(signature: signature(pin: Bytes.hash))),
            ("for another root", statement(signature: signature(root: otherRoot))),
            (
                "of another forum",
                statement(
                    root: otherRoot, hub: certificate(.hub, of: 2, by: 5),
                    signature: signature(root: otherRoot))
            ),
            ("with another forum's hub", statement(hub: certificate(.hub, of: 2, by: 5))),
            ("with another hub's device", statement(device: certificate(.device, of: 3, by: 4))),
            ("by a hub in a device's place", statement(device: hub, signature: signature(2))),
            ("with a device in a hub's place", statement(hub: device)),
        ]
        let wrong: [(String, [UInt8], String)] = [
            ("format 0", statement(format: 0), "invalid"),
            ("format 2", statement(format: 2), "later"),
            ("five items", [0x85] + statement()[1...].dropLast(66), "invalid"),
            ("a root of 31 bytes", statement(root: root.dropLast()), "invalid"),
            ("a pin of 33 bytes", statement(pin: pin + [0]), "tooLong"),
            ("a signature of 63 bytes", statement(signature: signature().dropLast()), "invalid"),
            ("a byte behind", statement() + [0], "trailing"),
            ("no certificate", statement(device: Bytes.null), "unexpectedType"),
        ]
        return try good.map { try vector("statement", $0, $1, more: anchor) }
            + wrong.map { try vector("statement", $0, $1, more: anchor, reject: $2) }
    }

    private static func meeting(
        format: UInt64 = 1, root: [UInt8] = root, list: [UInt8] = list(),
        bundle: [UInt8] = Bytes.null,
        further: [[UInt8]] = []
    ) -> [UInt8] {
        Bytes.array(
            [Bytes.unsigned(format), Bytes.blob(root), hub, device, Bytes.blob(list), bundle]
                + further)
    }

    private static func list(_ scopes: [[UInt8]] = []) -> [UInt8] {
        Bytes.array([Bytes.unsigned(6), Bytes.null, Bytes.array(scopes)])
    }

    private static func meetings() throws -> [Vector] {
        let scope = Bytes.array(Bytes.text("forum"), Bytes.array([Bytes.stub()]))
        let good: [(String, [UInt8])] = [
            ("who holds nothing", meeting()),
            (
                "with heads, and a bundle",
                meeting(list: list([scope]), bundle: Bytes.blob([1, 2, 3]))
            ),
            ("with an empty bundle", meeting(bundle: Bytes.blob([]))),
            ("with further items", meeting(further: Bytes.strange)),
            (
                "with an epoch",
                meeting(
                    list: Bytes.array(
                        [Bytes.unsigned(6), Bytes.blob(Bytes.epoch), Bytes.array([[UInt8]]())]))
            ),
            (
                "with a list that has further items",
                meeting(
                    list: Bytes.array(
                        [Bytes.unsigned(6), Bytes.null, Bytes.array([[UInt8]]())] + Bytes.strange))
            ),
        ]
        let wrong: [(String, [UInt8], String)] = [
            ("format 0", meeting(format: 0), "invalid"), ("format 2", meeting(format: 2), "later"),
            ("a scope twice", meeting(list: list([scope, scope])), "invalid"),
            ("a list with a byte behind", meeting(list: list() + [0]), "trailing"),
            ("an empty list", meeting(list: []), "truncated"),
            (
                "a wrong list, and a wrong bundle behind", meeting(list: [], bundle: [0xff]),
                "truncated"
            ),
            ("a text as the bundle", meeting(bundle: Bytes.text("")), "unexpectedType"),
            ("five items", [0x85] + meeting()[1...].dropLast(), "invalid"),
        ]
        return try good.map { try vector("meeting", $0, $1) }
            + wrong.map { try vector("meeting", $0, $1, reject: $2) }
    }

    // MARK: Being found

    private static func advertisements() throws -> [Vector] {
        let (forum, device) = (Fixed.key(1).device, Fixed.key(3).device)
        let (one, two) = (String("\(forum)".prefix(16)), String("\(device)".prefix(16)))
        let good = ["txtvers=1", "forum=\(one)", "device=\(two)"]
        let cases: [(String, [String], Bool)] = [
            ("as it is written", good, true),
            ("in another order", good.reversed(), true),
            ("keys in capitals", ["TXTVERS=1", "Forum=\(one)", "dEVICE=\(two)"], true),
            ("other keys among them", ["a=b"] + good + ["forums=1", "c="], true),
            ("strings without '=' or without a key", ["", "forum", "=", "=1"] + good, true),
            (
                "a key twice, the first counts", good + ["forum=0000000000000000", "txtvers=2"],
                true
            ),
            ("a key twice, the first is of no form", ["forum=x"] + good, false),
            ("another txtvers", ["txtvers=2"] + good.dropFirst(), false),
            ("txtvers with a zero before it", ["txtvers=01"] + good.dropFirst(), false),
            ("no txtvers", Array(good.dropFirst()), false),
            ("no forum", [good[0], good[2]], false),
            ("no device", [good[0], good[1]], false),
            ("a forum without a value", [good[0], "forum", good[2]], false),
            ("capital digits", [good[0], "forum=0A00000000000000", good[2]], false),
            ("15 digits", [good[0], "forum=000000000000000", good[2]], false),
            ("17 digits", [good[0], good[1], "device=00000000000000000"], false),
            ("a space before the digits", [good[0], "forum= 000000000000000", good[2]], false),
            ("a letter that is no digit", [good[0], good[1], "device=g000000000000000"], false),
            ("a '=' in the value", [good[0], good[1], "device==000000000000000"], false),
            ("nothing", [], false),
        ]
        let written = try Vector(
            "advertise: what a device says of itself",
            given: ["root": .hex(forum.bytes), "device": .hex(device.bytes)], when: "advertise",
            by: .meetings)
        return [written]
            + (try cases.map { name, text, isOne in
                let vector = try Vector(
                    "advertisement: \(name)", given: ["text": .array(text.map(JSON.string))],
                    when: "advertisement", by: .meetings)
                guard (vector.expect["forum"] != .null) == isOne else {
                    throw VectorError("advertisement, \(name): \(vector.expect.document)")
                }
                return vector
            })
    }
}
