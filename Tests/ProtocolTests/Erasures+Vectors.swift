import Causality
import SyncProtocol

/// Key 5 is the hub's.
extension ErasureKind {
    private static let hub = Fixed.key(5)
    private static let now: Int64 = 1_764_000_000_000

    private static func make(
        _ people: [RowID] = [Fixed.row], decided: Int64 = now, author: String = "Leyla",
        note: String = "asked for it"
    ) -> Erasure {
        Erasure(of: people, decidedMilliseconds: decided, author: author, note: note, key: hub)
    }

    static func vectors() throws -> [Vector] { try written() + good() + refused() }

    private static let cases: [(String, Erasure)] = [
        ("one person", make()),
        ("two rows of one person", make([Fixed.otherRow, Fixed.row], author: "", note: "")),
        ("nobody", make([])), ("a row twice", make([Fixed.row, Fixed.row])),
        ("words beyond ASCII", make(author: "G\u{fc}l\u{15f}\u{259}n", note: "e\u{301}\0")),
        ("the least decided", make(decided: .min)), ("the greatest decided", make(decided: .max)),
        (
            "words of 200 bytes",
            make(
                author: String(repeating: "a", count: 200), note: String(repeating: "n", count: 200)
            )
        ),
        (
            "256 rows",
            make((0..<256).map { RowID(Identifier(high: 0x019a_b3c0_d400_0000, low: $0)) })
        ),
    ]

    private static func written() throws -> [Vector] {
        try cases.map { name, erasure in
            try Vector(
                "sign: \(name)",
                given: [
                    "seed": .hex([UInt8](repeating: 5, count: 32)), "erasure": .erasure(erasure),
                ], when: "sign", by: .erasures)
        }
    }

    // MARK: Erasures that are read

    private static func read(_ name: String, _ bytes: [UInt8], _ expect: JSON) throws -> Vector {
        try Vector(
            "read: \(name)", given: ["bytes": .bytes(bytes)], when: "erasure", expect: expect,
            by: .erasures)
    }

    private static func good() throws -> [Vector] {
        func answer(_ erasure: Erasure, isSigned: Bool) -> JSON {
            [
                "erasure": .erasure(erasure), "id": .hash(erasure.id), "signed": .bool(isSigned),
            ]
        }
        var forged = make().encode()
        forged[forged.count - 1] ^= 1
        // The words of the one under the other's signature.
        let moved = make(note: "asked for iT").encode().dropLast(64) + make().encode().suffix(64)
        return try cases.map { name, erasure in
            try read(name, erasure.encode(), answer(erasure, isSigned: true))
        } + [
            try read("another signature", forged, answer(make(), isSigned: false)),
            try read(
                "another note than was signed", Array(moved),
                answer(make(note: "asked for iT"), isSigned: false)),
        ] + further()
    }

    /// What later builds may say in further items, a reader passes over; they are hashed and signed.
    private static func further() throws -> [Vector] {
        let statement = array(items + [[0x81, 0xf6], item { $0.text("more") }])
        let id = Digest(.erasure, statement)
        func signed(_ key: DeviceKey, of digest: Digest) -> [UInt8] {
            array([statement, item { $0.blob(key.sign(digest)) }])
        }
        func answer(_ isSigned: Bool) -> JSON {
            ["erasure": .erasure(make()), "id": .hash(id), "signed": .bool(isSigned)]
        }
        return [
            try read("a statement of 8 items", signed(hub, of: id), answer(true)),
            try read(
                "a statement of 8 items, signed without the last two", signed(hub, of: make().id),
                answer(false)),
        ]
    }

    // MARK: Erasures that are refused

    private enum Item: Int { case format, people, decided, author, note, hub }

    private static func item(_ write: (inout CBOREncoder) -> Void) -> [UInt8] {
        var encoder = CBOREncoder()
        write(&encoder)
        return encoder.bytes
    }

    private static func array(_ items: [[UInt8]]) -> [UInt8] {
        item { encoder in
            encoder.array(items.count)
            for item in items { encoder.raw(item) }
        }
    }

    private static let row = Fixed.row.identifier.bytes
    private static let items = [
        item { $0.unsigned(1) }, array([item { $0.blob(row) }]), item { $0.integer(now) },
        item { $0.text("Leyla") }, item { $0.text("asked for it") },
        item { $0.blob(hub.publicKey) },
    ]
    private static let signature = item { $0.blob([UInt8](repeating: 9, count: 64)) }

    /// A good erasure, but for one item and the signature.
    private static func with(_ item: Item, _ bytes: [UInt8]) -> [UInt8] {
        var items = Self.items
        items[item.rawValue] = bytes
        return array([array(items), signature])
    }

    private static func people(_ bytes: [UInt8]) -> [UInt8] {
        with(.people, array([item { $0.blob(bytes) }]))
    }

    private static func refused() throws -> [Vector] {
        try (wrongItems() + wrongForms()).map { name, bytes, reason in
            try read(name, bytes, ["reject": .string(reason)])
        }
    }

    private static func wrongItems() -> [(String, [UInt8], String)] {
        let key = hub.publicKey
        let long = String(repeating: "n", count: 201)
        let statement = array(items)
        let signed = { (count: Int) in
            array([statement, item { $0.blob([UInt8](repeating: 9, count: count)) }])
        }
        return [
            ("format 0", with(.format, item { $0.unsigned(0) }), "invalid"),
            ("format 2", with(.format, item { $0.unsigned(2) }), "later"),
            ("no format", array([array(Array(items.dropFirst())), signature]), "invalid"),
            ("a row of 15 bytes", people(row.dropLast()), "invalid"),
            ("a row of 17 bytes", people(row + [0]), "tooLong"),
            ("a row that is null", with(.people, array([[0xf6]])), "unexpectedType"),
            ("no list of rows", with(.people, item { $0.null() }), "unexpectedType"),
            ("decided at 2^63", with(.decided, item { $0.unsigned(1 << 63) }), "outOfRange"),
            ("decided at a real", with(.decided, item { $0.real(1) }), "unexpectedType"),
            ("an author of 201 bytes", with(.author, item { $0.text(long) }), "tooLong"),
            ("a note of 201 bytes", with(.note, item { $0.text(long) }), "tooLong"),
            ("a note that isn't UTF-8", with(.note, [0x61, 0xff]), "invalidUTF8"),
            ("no note", with(.note, item { $0.null() }), "unexpectedType"),
            ("a hub's key of 31 bytes", with(.hub, item { $0.blob(key.dropLast()) }), "invalid"),
            ("a hub's key of 33 bytes", with(.hub, item { $0.blob(key + [0]) }), "tooLong"),
            ("a signature of 63 bytes", signed(63), "invalid"),
            ("a signature of 65 bytes", signed(65), "tooLong"),
            ("a signature that is null", array([statement, [0xf6]]), "unexpectedType"),
        ]
    }

    /// What is wrong of the whole, and which of two wrongs is told.
    private static func wrongForms() -> [(String, [UInt8], String)] {
        let good = array([array(items), signature])
        let front = item { encoder in
            encoder.array(2)
            encoder.array(6)
            encoder.unsigned(1)
        }
        return [
            ("nothing", [], "truncated"), ("a map", [0xa0], "unexpectedType"),
            ("a statement alone", array([array(items)]), "invalid"),
            ("three items", array([array(items), signature, [0]]), "invalid"),
            (
                "a statement of 5 items", array([array(Array(items.dropLast())), signature]),
                "invalid"
            ),
            (
                "a statement with a seventh item that is a tag",
                array([array(items + [[0xc0, 0x00]]), signature]), "unsupported"
            ),
            ("a statement that is a byte string", array([signature, signature]), "unexpectedType"),
            ("257 rows, of which none comes", front + item { $0.array(257) } + [0, 0], "tooLong"),
            (
                "256 rows, of which none comes", front + item { $0.array(256) } + [0, 0],
                "truncated"
            ),
            ("a byte less", Array(good.dropLast()), "truncated"),
            ("a byte more", good + [0], "trailing"),
            ("8192 bytes that are no array", [UInt8](repeating: 0, count: 8_192), "unexpectedType"),
            ("8193 bytes", [UInt8](repeating: 0, count: 8_193), "tooLong"),
        ]
    }
}
