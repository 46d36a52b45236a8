import Causality
import SyncProtocol

/// Keys: 1 is the root's, 2 the hub's, 3 a device's; 4 to 6 are another forum's.
extension CertificateKind {
    private static let (root, hub, laptop) = (Fixed.key(1), Fixed.key(2), Fixed.key(3))
    private static let (otherRoot, otherHub, other) = (Fixed.key(4), Fixed.key(5), Fixed.key(6))

    private static func make(
        _ kind: Certificate.Kind, of holder: DeviceKey, by issuer: DeviceKey,
        _ grants: [Grant] = [],
        name: String = "Laptop 3"
    ) -> Certificate {
        Certificate(
            signing: Certificate.Statement(
                kind: kind, publicKey: holder.publicKey, encryptionKey: holder.encryptionPublicKey,
                name: name, issuer: issuer.publicKey, issuedMilliseconds: 1_764_000_000_000,
                expiryMilliseconds: 1_766_592_000_000, grants: grants), key: issuer)
    }

    private static let recorder = Grant(scope: "forum", role: "recorder", tables: [2, 7, 300])
    private static let coordinator = Grant(scope: "forum", role: "coordinator", tables: nil)
    private static var ofHub: Certificate { make(.hub, of: hub, by: root, name: "hub") }
    private static var ofLaptop: Certificate { make(.device, of: laptop, by: hub, [recorder]) }

    static func vectors() throws -> [Vector] {
        try signed() + read() + hubs() + devices() + permissions() + messages() + PinVectors.all()
    }

    private static func vector(_ kind: JSON, _ name: String, _ given: JSON) throws -> Vector {
        try Vector(name, given: given, when: kind, by: .certificates)
    }

    private static func signed() throws -> [Vector] {
        let cases: [(String, DeviceKey, Certificate)] = [
            ("a hub's", root, ofHub), ("a device's", hub, ofLaptop),
            ("a device's without grants", hub, make(.device, of: laptop, by: hub)),
            (
                "grants with and without an expiry, of all tables and of none", hub,
                make(
                    .device, of: laptop, by: hub,
                    [
                        coordinator, Grant(scope: "", role: "", tables: []),
                        Grant(
                            scope: "delegation/KZ", role: "lead", tables: [.max],
                            expiryMilliseconds: -1),
                    ], name: "\u{259}")
            ),
        ]
        return try cases.map { name, key, certificate in
            try vector(
                "sign", "sign: \(name)",
                ["seed": .hex(key.seed), "statement": .statement(certificate.statement)])
        }
    }

    private static func read() throws -> [Vector] {
        let good = ofLaptop.encode()
        let statement = ofLaptop.bytes
        /// A certificate around other bytes of a statement, signed as they are.
        func around(_ bytes: [UInt8]) -> [UInt8] {
            var encoder = CBOREncoder()
            encoder.array(2)
            encoder.blob(bytes)
            encoder.blob(ofLaptop.signature)
            return encoder.bytes
        }
        func without(_ place: Range<Int>, count: UInt8) -> [UInt8] {
            var bytes = statement
            bytes.removeSubrange(place)
            bytes[0] = 0xa0 | count
            return around(bytes)
        }
        func changed(_ place: Int, _ byte: UInt8) -> [UInt8] {
            var bytes = statement
            bytes[place] = byte
            return around(bytes)
        }
        func without(signature count: Int) -> [UInt8] {
            var encoder = CBOREncoder()
            encoder.array(2)
            encoder.blob(statement)
            encoder.blob(ofLaptop.signature.dropLast(count))
            return encoder.bytes
        }
        // a9, 00 01, 01 02, 02 58 20 …, and the grants at the end.
        let grant = statement.count - 23
        var both = statement
        (both[2], both[4]) = (2, 3)
        let twice = around(both)
        let tables = statement.count - 7
        let cases: [(String, [UInt8])] = [
            ("a device's", good), ("a hub's", ofHub.encode()),
            ("a bit of the signature is another", good.dropLast() + [good[good.count - 1] ^ 1]),
            ("nothing", []), ("a byte less", Array(good.dropLast())), ("a byte more", good + [0]),
            ("a byte more in the statement", around(statement + [0])),
            ("no statement", around([])), ("format 0", changed(2, 0)), ("format 2", changed(2, 2)),
            ("format 2, and kind 3", twice),
            ("no format", without(1..<3, count: 8)), ("no kind", without(3..<5, count: 8)),
            ("kind 0", changed(4, 0)), ("kind 3", changed(4, 3)),
            ("a kind that is true", changed(4, 0xf5)),
            ("keys that don't ascend", changed(3, 0)),
            ("tables that don't ascend", changed(tables + 2, 2)),
            (
                "a key that nobody knows",
                around([0xaa] + statement.dropFirst() + [0x18, 0x63, 0x61, 0x78])
            ),
            (
                "key 127", around([0xaa] + statement.dropFirst() + [0x18, 0x7f, 0x61, 0x78])
            ),
            ("key 128", around([0xaa] + statement.dropFirst() + [0x18, 0x80, 0x00])),
            ("key 200", around([0xaa] + statement.dropFirst() + [0x18, 0xc8, 0xf6])),
            ("key 200, without a value", around([0xaa] + statement.dropFirst() + [0x18, 0xc8])),
            (
                "a key that nobody knows, without a value",
                around([0xaa] + statement.dropFirst() + [9])
            ),
            ("longer than any", [UInt8](repeating: 0x82, count: 16_385)),
            ("an array of one", [0x81] + good[1...]),
            ("an array of three", [0x83] + good[1...] + [0]),
            ("a signature of 63 bytes", without(signature: 1)),
            ("a key of 31 bytes", changed(7, 31)), ("a grant of three", changed(grant, 0x83)),
            ("a grant of five", changed(grant, 0x85)), ("no grants", changed(grant - 1, 0xf6)),
            ("a text that is no text", changed(grant + 1, 0x45)),
            ("nothing for an expiry", changed(grant - 11, 0xf6)),
        ]
        return try cases.map { name, bytes in
            try vector("certificate", "read: \(name)", ["bytes": .bytes(bytes)])
        }
    }

    private static func hubs() throws -> [Vector] {
        let signature = make(.hub, of: hub, by: root).signature
        let cases: [(String, DeviceKey, Certificate)] = [
            ("by the root", root, ofHub), ("by another forum's root", otherRoot, ofHub),
            ("by itself", root, make(.hub, of: hub, by: hub)),
            ("a device's", root, make(.device, of: hub, by: root)),
            ("a device's, by another root", root, make(.device, of: hub, by: otherRoot)),
            ("with the signature of another name", root, ofHub.with(signature: signature)),
        ]
        return try cases.map { name, root, certificate in
            try vector(
                "hub", "a hub: \(name)",
                ["root": .hex(root.device.bytes), "certificate": .bytes(certificate.encode())])
        }
    }

    private static func devices() throws -> [Vector] {
        let otherHubs = make(.hub, of: otherHub, by: otherRoot)
        let self_ = make(.hub, of: laptop, by: laptop)
        let cases: [(String, Certificate, Certificate)] = [
            ("by the hub", ofLaptop, ofHub),
            ("of another device", make(.device, of: other, by: hub, [recorder]), ofHub),
            ("by another hub", make(.device, of: laptop, by: otherHub), ofHub),
            ("by another forum's hub", make(.device, of: laptop, by: otherHub), otherHubs),
            ("by itself as a hub", make(.device, of: laptop, by: laptop), self_),
            (
                "by a device", make(.device, of: laptop, by: other),
                make(.device, of: other, by: hub)
            ),
            ("by the root", make(.device, of: laptop, by: root), ofHub),
            ("a hub's", ofHub, ofHub),
            (
                "with the signature of another's", ofLaptop.with(signature: ofHub.signature),
                ofHub
            ),
        ]
        return try cases.map { name, certificate, hub in
            try vector(
                "device", "a device: \(name)",
                [
                    "root": .hex(root.device.bytes), "device": .hex(laptop.device.bytes),
                    "hub": .bytes(hub.encode()), "certificate": .bytes(certificate.encode()),
                ])
        }
    }

    private static func permissions() throws -> [Vector] {
        let elsewhere = Grant(scope: "delegation/KZ", role: "lead", tables: nil)
        let expired = Certificate(
            signing: {
                var statement = ofLaptop.statement
                (statement.issuedMilliseconds, statement.expiryMilliseconds) = (0, 1)
                return statement
            }(), key: hub)
        let forged = make(.device, of: laptop, by: laptop, [coordinator])
        let cases: [(String, [Certificate])] = [
            ("no certificate", []), ("a recorder's", [ofLaptop]),
            ("a coordinator's", [make(.device, of: laptop, by: hub, [coordinator])]),
            ("one that has expired", [expired]),
            ("none for the scope", [make(.device, of: laptop, by: hub, [elsewhere])]),
            (
                "two together",
                [
                    ofLaptop,
                    make(
                        .device, of: laptop, by: hub,
                        [Grant(scope: "forum", role: "x", tables: [5, 12])]),
                ]
            ),
            ("a forged one", [forged]), ("a forged one beside a true one", [forged, ofLaptop]),
            ("another device's", [make(.device, of: other, by: hub, [coordinator])]),
            ("a hub's", [make(.hub, of: laptop, by: root)]),
            ("a hub's behind a device's", [ofLaptop, make(.hub, of: laptop, by: root)]),
            ("a hub's about another", [ofHub]),
            (
                "two grants of one scope",
                [
                    make(
                        .device, of: laptop, by: hub,
                        [recorder, elsewhere, Grant(scope: "forum", role: "x", tables: [1])])
                ]
            ),
            (
                "a grant that has expired",
                [
                    make(
                        .device, of: laptop, by: hub,
                        [
                            Grant(
                                scope: "forum", role: "x", tables: [1], expiryMilliseconds: -1)
                        ])
                ]
            ),
            (
                "a grant of no table",
                [
                    make(
                        .device, of: laptop, by: hub,
                        [Grant(scope: "forum", role: "viewer", tables: [])])
                ]
            ),
        ]
        let any = Grant(scope: Grant.anyScope, role: "lead", tables: nil)
        let few = Grant(scope: Grant.anyScope, role: "x", tables: [2, 300])
        let anyScope: [(String, [Certificate])] = [
            ("one for any scope", [make(.device, of: laptop, by: hub, [any])]),
            (
                "one for any scope beside one that names it",
                [make(.device, of: laptop, by: hub, [any, recorder])]
            ),
            (
                "one for any scope in another certificate",
                [ofLaptop, make(.device, of: laptop, by: hub, [few])]
            ),
            ("two for any scope", [make(.device, of: laptop, by: hub, [few, elsewhere, few])]),
        ]
        // What can't be read lets nobody in, and does no harm beside what can.
        let later = [needing(later: 2), [0x82, 0x40]]
        return try
            ((cases + anyScope).map { ($0.0, $0.1.map { $0.encode() }) } + [
                ("one that needs a later build", [needing(later: 2)]),
                ("a recorder's beside some that can't be read", later + [ofLaptop.encode()]),
            ]).map { name, certificates in
                func held(_ device: DeviceKey, _ certificates: [[UInt8]]) -> JSON {
                    [
                        "device": .hex(device.device.bytes),
                        "certificates": .array(certificates.map { .bytes($0) }),
                    ]
                }
                return try vector(
                    "may", "may: \(name)",
                    [
                        "root": .hex(root.device.bytes),
                        "held": [held(hub, [ofHub.encode()]), held(laptop, certificates)],
                        "device": .hex(laptop.device.bytes), "scope": "forum",
                        "certificatesTable": 12, "tables": [1, 2, 5, 7, 12, 300, 4_294_967_295],
                    ])
            }
    }

    /// A device's certificate with a critical key that this build doesn't know, signed as it is.
    private static func needing(later value: UInt8) -> [UInt8] {
        let statement = [0xaa] + ofLaptop.bytes.dropFirst() + [0x18, 0xc8, value]
        var encoder = CBOREncoder()
        encoder.array(2)
        encoder.blob(statement)
        encoder.blob(hub.sign(Digest(.certificate, statement)))
        return encoder.bytes
    }

    private static func messages() throws -> [Vector] {
        let token = EnrolmentToken(
            secret: Array(0..<32), pin: Array(32..<64), root: root.device,
            expiryMilliseconds: 1_764_003_600_000
        ).text
        let texts = [
            ("whole", token), ("without its last letter", String(token.dropLast())),
            ("with a letter more", token + "A"), ("with padding", token + "="),
            ("of another prefix", "karvan1" + token.dropFirst(7)), ("nothing", ""),
            ("with a blank", String(token.dropLast()) + " "),
            ("with bits that carry no byte", String(token.dropLast()) + "_"),
        ]
        return try texts.map { name, text in
            try vector("token", "a token: \(name)", ["text": .string(text)])
        } + [
            vector(
                "enrolment", "an enrolment",
                [
                    "seed": .hex(laptop.seed), "secret": .hex(Array(0..<32)),
                    "name": .text("Laptop 3 \u{259}"),
                ]),
            vector(
                "request", "a request",
                [
                    "seed": .hex(laptop.seed), "hub": .hex(hub.publicKey), "path": "/v1/exchange",
                    "body": .bytes([1, 2, 3]),
                ]),
        ]
    }
}

extension Certificate {
    /// The same statement under another signature.
    fileprivate func with(signature: [UInt8]) -> Certificate {
        var encoder = CBOREncoder()
        encoder.array(2)
        encoder.blob(bytes)
        encoder.blob(signature)
        guard let certificate = try? Certificate(decoding: encoder.bytes) else {
            preconditionFailure("a certificate is made of a statement and a signature")
        }
        return certificate
    }
}
