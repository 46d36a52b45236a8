import Causality
import ConflictInspection
import Merge
import RecordSchema
import ReplicaStore
import SyncProtocol

extension Kind {
    static let ids = Kind(
        name: "ids", answer: { try IdentityKind.answer($0, $1) },
        vectors: { try IdentityKind.vectors() })
}

/// Keys and names that stay the same for good.
enum Fixed {
    /// Private keys: nobody else's, and worth nothing.
    static func key(_ number: UInt8) -> DeviceKey {
        guard let key = DeviceKey(seed: Array(repeating: number, count: 32)) else {
            preconditionFailure("every 32 bytes are an Ed25519 key")
        }
        return key
    }

    static func stream(_ number: UInt64) -> StreamID {
        StreamID(Identifier(high: 0, low: number))
    }

    static let row = RowID(Identifier(high: 0x019a_b3c0_d400_0000, low: 0x0000_0000_0000_0001))
    static let otherRow = RowID(
        Identifier(high: 0x019a_b3c0_d400_0000, low: 0x0000_0000_0000_0002))
}

enum IdentityKind {
    static func answer(_ given: JSON, _ when: JSON) throws -> JSON {
        switch try when.string() {
        case "digest": try digest(given)
        case "device":
            ["device": .hex(DeviceID(publicKey: try given.member("publicKey").hex()).bytes)]
        case "stream": try stream(given)
        case "keyedRow":
            [
                "row": .row(
                    RowID(
                        namespace: Array(try given.member("namespace").text().utf8),
                        table: try given.number("table"),
                        key: try given.items("key").map { try $0.value() }))
            ]
        case "newRow":
            [
                "row": .row(
                    NewRowIDs(
                        dot: try given.member("dot").dot(), time: try given.member("time").time(),
                        previousRun: try given.optional("previousRun") { try $0.hash() },
                        mark: try given.optional("mark") { try mark($0) }
                    )[try given.number("index")])
            ]
        case "conflict": try conflict(given)
        case "facts": try facts(given)
        case "ruleConflict": try ruleConflict(given)
        default: throw VectorError("ids: an unknown kind \(when.document)")
        }
    }

    private static func digest(_ given: JSON) throws -> JSON {
        let parts = try given.items("parts").map { try $0.bytes() }
        guard let domain = Domain(rawValue: try given.string("domain")) else {
            throw VectorError("an unknown domain")
        }
        let digest: Digest
        switch parts.count {
        case 0: digest = Digest(domain)
        case 1: digest = Digest(domain, parts[0])
        case 2: digest = Digest(domain, parts[0], parts[1])
        default: throw VectorError("too many parts")
        }
        return ["hash": .hash(digest)]
    }

    private static func stream(_ given: JSON) throws -> JSON {
        guard let device = DeviceID(try given.member("device").hex()) else {
            throw VectorError("no device id")
        }
        let stream = StreamID(
            device: device, scope: try given.member("scope").text(),
            incarnation: try given.number("incarnation"))
        return ["stream": .stream(stream)]
    }

    private static func conflict(_ given: JSON) throws -> JSON {
        let place = OpenConflict(
            table: try given.number("table"), row: try given.member("row").row(),
            column: try given.number("column"))
        return ["conflict": .hash(Conflicts.id(place, try given.member("dots").dots()))]
    }

    static func vectors() throws -> [Vector] {
        try digests() + devices() + streams() + keyedRows() + newRows() + conflicts()
            + RuleVectors.vectors()
    }

    private static func vector(_ kind: JSON, _ name: String, _ given: JSON) throws -> Vector {
        try Vector(name, given: given, when: kind, by: .ids)
    }

    private static func digests() throws -> [Vector] {
        let cases: [(String, Domain, [[UInt8]])] = [
            ("a hash of no parts", .run, []),
            ("a hash of one empty part is another", .run, [[]]),
            ("the domain is hashed", .feed, [[]]),
            ("a hash of one part", .run, [[0x61, 0x62]]),
            ("a hash of the same bytes in two parts is another", .run, [[0x61], [0x62]]),
            ("an empty part is hashed", .run, [[0x61, 0x62], []]),
            ("a long part", .conflict, [[UInt8](repeating: 0x5a, count: 300)]),
            (
                "a decision", .decision,
                [
                    BodyDraft().array(5).blob(Fixed.stream(1).identifier.bytes).number(24)
                        .number(13).blob(Fixed.row.identifier.bytes).number(3).bytes
                ]
            ),
        ]
        return try cases.map { name, domain, parts in
            try vector(
                "digest", name,
                [
                    "domain": .string(domain.rawValue), "parts": .array(parts.map(JSON.bytes)),
                ])
        }
    }

    private static func devices() throws -> [Vector] {
        try [1, 2, 255].map { number in
            try vector(
                "device", "the device of the key \(number)",
                ["publicKey": .hex(Fixed.key(number).publicKey)])
        }
    }

    private static func streams() throws -> [Vector] {
        let cases: [(String, UInt8, String, UInt64)] = [
            ("the first stream of a device", 1, "forum", 0),
            ("the next incarnation", 1, "forum", 1),
            ("an incarnation of two bytes", 1, "forum", 24),
            ("the greatest incarnation", 1, "forum", .max),
            ("another device", 2, "forum", 0), ("another scope", 1, "delegation/KZ", 0),
            ("a scope without a name", 1, "", 0),
            ("a scope beyond ASCII", 1, "\u{259}", 0),
        ]
        return try cases.map { name, key, scope, incarnation in
            try vector(
                "stream", name,
                [
                    "device": .hex(Fixed.key(key).device.bytes), "scope": .text(scope),
                    "incarnation": .number(incarnation),
                ])
        }
    }

    private static func keyedRows() throws -> [Vector] {
        let cases: [(String, String, UInt32, [Value])] = [
            ("a row by one text", "forum", 2, [.text("AZ-014")]),
            ("another table", "forum", 3, [.text("AZ-014")]),
            ("another namespace", "sample", 2, [.text("AZ-014")]),
            ("a key of two", "forum", 6, [.text("V12"), .text("KZ")]),
            ("the same letters divided otherwise", "forum", 6, [.text("V1"), .text("2KZ")]),
            ("a key of no values", "forum", 2, []),
            ("a key with nothing in it", "forum", 2, [.null]),
            ("an integer is not its text", "forum", 2, [.integer(14)]),
            ("a reference in a key", "forum", 7, [.blob(Fixed.row.identifier.bytes), .text("C")]),
            ("a composed letter", "forum", 2, [.text("\u{e9}")]),
            ("the same letter decomposed is another row", "forum", 2, [.text("e\u{301}")]),
            ("minus zero", "forum", 2, [.real(-0.0)]),
            ("zero", "forum", 2, [.real(0)]),
            ("a table of two bytes", "forum", 300, [.text("a")]),
            ("a namespace beyond ASCII", "\u{259}", 2, [.text("a")]),
            (
                "a ruling", "forum", 13,
                [.text("cancelled vs held"), .blob([UInt8](repeating: 0x5a, count: 32))]
            ),
            ("a deferral", "forum", 15, [.blob([UInt8](repeating: 0x5a, count: 32))]),
        ]
        return try cases.map { name, namespace, table, key in
            try vector(
                "keyedRow", "a keyed row: \(name)",
                [
                    "namespace": .text(namespace), "table": .number(table),
                    "key": .array(key.map(JSON.value)),
                ])
        }
    }

    /// Four bytes in hexadecimal.
    private static func mark(_ text: JSON) throws -> ScopeMark {
        guard let bytes = Hexadecimal.bytes(of: try text.text()), bytes.count == 4 else {
            throw VectorError("ids: a mark has four bytes")
        }
        return ScopeMark(bytes.reduce(0) { $0 << 8 | UInt32($1) })
    }

    private static func newRows() throws -> [Vector] {
        try unmarkedRows()
            + [("the first row", 0), ("the last row", 65_535)].map { name, index in
                try vector(
                    "newRow", "a new row of a scope with a mark: \(name)",
                    [
                        "dot": .dot(Dot(Fixed.stream(1), 1)), "time": "1764000000000.0",
                        "previousRun": .null, "index": .number(index), "mark": .text("a1b2c3d4"),
                    ])
            }
    }

    private static func unmarkedRows() throws -> [Vector] {
        let hash = Digest(sha256: [1])
        let cases: [(String, Dot, JSON, Digest?, Int)] = [
            (
                "the first row of the first changeset", Dot(Fixed.stream(1), 1), "1764000000000.0",
                nil, 0
            ),
            (
                "the second row differs in its last bytes", Dot(Fixed.stream(1), 1),
                "1764000000000.0", nil, 1
            ),
            ("the last row", Dot(Fixed.stream(1), 1), "1764000000000.0", nil, 65_535),
            (
                "the counter of the time is not in it", Dot(Fixed.stream(1), 1), "1764000000000.9",
                nil, 0
            ),
            ("the millisecond is", Dot(Fixed.stream(1), 1), "1764000000001.0", nil, 0),
            ("the seq is", Dot(Fixed.stream(1), 24), "1764000000000.0", nil, 0),
            ("the stream is", Dot(Fixed.stream(2), 1), "1764000000000.0", nil, 0),
            ("the previous run is", Dot(Fixed.stream(1), 1), "1764000000000.0", hash, 0),
            ("the last millisecond", Dot(Fixed.stream(1), 1), "281474976710655.65535", nil, 0),
        ]
        return try cases.map { name, dot, time, previous, index in
            try vector(
                "newRow", "a new row: \(name)",
                [
                    "dot": .dot(dot), "time": time,
                    "previousRun": previous.map(JSON.hash) ?? .null, "index": .number(index),
                    "mark": .null,
                ])
        }
    }

    private static func conflicts() throws -> [Vector] {
        let (a, b) = (Dot(Fixed.stream(1), 7), Dot(Fixed.stream(2), 3))
        let cases: [(String, UInt32, RowID, UInt32, [Dot])] = [
            ("two candidates", 6, Fixed.row, 4, [a, b]),
            ("the order of the dots means nothing", 6, Fixed.row, 4, [b, a]),
            ("another column of the same changesets", 6, Fixed.row, 5, [a, b]),
            ("another row", 6, Fixed.otherRow, 4, [a, b]),
            ("another table", 7, Fixed.row, 4, [a, b]),
            ("a third candidate", 6, Fixed.row, 4, [a, b, Dot(Fixed.stream(3), 300)]),
            (
                "seqs are numbers: 9 before 10", 6, Fixed.row, 4,
                [Dot(Fixed.stream(1), 10), Dot(Fixed.stream(1), 9)]
            ),
            ("the life of a row", 6, Fixed.row, 0, [a, b]),
            (
                "a changeset that wrote two uncovered cells stands twice", 6, Fixed.row, 0,
                [a, b, b]
            ),
        ]
        return try cases.map { name, table, row, column, dots in
            try vector(
                "conflict", "a conflict: \(name)",
                [
                    "table": .number(table), "row": .row(row), "column": .number(column),
                    "dots": .array(dots.map(JSON.dot)),
                ])
        }
    }
}
