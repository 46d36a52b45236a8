import Causality
import Merge
import SyncProtocol

/// Row 1 is a person's, and row 2 another's, in table 2; row 3 is of an observation, in table 7.
extension PersonalKind {
    private static let (aigul, bela) = (Fixed.row, Fixed.otherRow)
    private static let observation = RowID(Identifier(high: 0x019a_b3c0_d400_0000, low: 3))

    private static func key(_ number: UInt8) -> PersonalKey {
        guard let key = PersonalKey([UInt8](repeating: number, count: PersonalKey.byteCount)) else {
            preconditionFailure("key 0 is none")
        }
        return key
    }

    static func vectors() throws -> [Vector] {
        try seals() + unseals() + checks() + opens() + partly() + erased()
    }

    // MARK: One value

    private static func cell(
        _ key: PersonalKey, _ table: UInt32 = 2, _ row: RowID = aigul, _ column: UInt32 = 3,
        and further: KeyValuePairs<String, JSON?>
    ) -> JSON {
        .members(
            [
                "key": .hex(key.bytes), "table": .number(table), "row": .row(row),
                "column": .number(column),
            ], and: .members(further))
    }

    private static func seals() throws -> [Vector] {
        func seal(
            _ name: String, _ value: Value, with key: PersonalKey = key(1), table: UInt32 = 2,
            row: RowID = aigul, column: UInt32 = 3
        ) throws -> Vector {
            try Vector(
                "seal: \(name)",
                given: cell(key, table, row, column, and: ["value": .value(value)]), when: "seal",
                by: .personal)
        }
        let text = Value.text("Aigul")
        return [
            try seal("a text", text), try seal("by another key", text, with: key(2)),
            try seal("in another table", text, table: 3),
            try seal("in another row", text, row: bela),
            try seal("in another column", text, column: 2),
            try seal("in the greatest table and column", text, table: .max, column: .max),
            try seal("in table 24, column 256", text, table: 24, column: 256),
            try seal("an empty text", .text("")), try seal("an integer", .integer(-1)),
            try seal("a real", .real(1.5)), try seal("a blob", .blob([0, 255])),
            try seal("a composite", .composite([.real(40.4), .null, .text("\u{e9}")])),
            try seal("15 bytes", .text(String(repeating: "x", count: 14))),
            try seal("16 bytes", .text(String(repeating: "x", count: 15))),
            try seal("17 bytes", .text(String(repeating: "x", count: 16))),
            try seal("a text of 63 bytes", .text(String(repeating: "x", count: 61))),
            try seal("a text of 64 bytes", .text(String(repeating: "x", count: 62))),
            try seal("a text of 65 bytes", .text(String(repeating: "x", count: 63))),
            try seal("a text of 200 bytes", .text(String(repeating: "x", count: 200))),
            try seal("a blob of 65536", .blob([UInt8](repeating: 0x5a, count: 65_536))),
            try seal("a text of 65536", .text(String(repeating: "x", count: 65_536))),
        ]
    }

    private static func unseals() throws -> [Vector] {
        func unseal(
            _ name: String, _ box: [UInt8], _ value: Value?, with key: PersonalKey = key(1),
            table: UInt32 = 2, row: RowID = aigul, column: UInt32 = 3
        ) throws -> Vector {
            try Vector(
                "unseal: \(name)",
                given: cell(key, table, row, column, and: ["box": .bytes(box)]), when: "unseal",
                expect: value.map { ["value": .value($0)] } ?? ["sealed": true], by: .personal)
        }
        let text = Value.text("Aigul")
        let box = key(1).seal(text, table: 2, row: aigul, column: 3)
        func changed(_ index: Int) -> [UInt8] {
            var changed = box
            changed[index] ^= 1
            return changed
        }
        func holding(_ value: Value) -> [UInt8] {
            key(1).seal(value, table: 2, row: aigul, column: 3)
        }
        let sealed = Value.sealed(SealedValue(about: nil, box: box))
        /// What no writer seals: made by another program.
        let strange = [
            (
                "a number that is not the shortest",
                "aac6de2b340cd0fa41f5051d7ba0a5fc458e"
            ),
            (
                "two values",
                "b3c58c629741de8689e6fd14e8c097199cf5"
            ),
            (
                "a map",
                "1278b126977bf8c3b33d8c6e01dc7a7621"
            ),
            (
                "a reference by natural key",
                "30c65ab12f5d1c24dd30e4577a250187136f92"
            ),
            (
                "a value and a byte that is not zero",
                "d786318b996ce06f3b272fd316dc1a546f63907daf8f64"
            ),
            (
                "a value, zeros and a byte that is not zero",
                "d786318b996ce17b6ed1720fcc855b156a09deca4b612a9daa9e2d6528bf"
                    + "7cc9"
            ),
            (
                "zeros in front of a value",
                "b2c758ecec00e17b6ed1174ea5e22e7857f645c5422827d64aaf2dbcd376"
                    + "7f86"
            ),
            (
                "a value that is cut off",
                "d786318b99dd9bac34e9488f8058d82d3cb7abe1dd"
            ),
            (
                "a number that is not the shortest, and zeros",
                "aac658ecec00e17b6ed1720fcc855b14592398523cac6bd46b7f1bbc331e"
                    + "d588"
            ),
            (
                "a map and zeros",
                "12c758ecec00e17b6ed1720fcc855b147bbbb113bd7e684654753e1a2cc1"
                    + "e634"
            ),
            (
                "what says that it is erased, and no zeros",
                "33c2d443e28626fbdf37f06b58f83bb1a18d"
            ),
        ]
        /// What other writers may seal: zeros behind the value, as many as they like.
        let padded: [(String, String, Value)] = [
            (
                "a text without zeros",
                "d786318b996c8395e6e604eeedc56daa52294fba5179",
                text
            ),
            (
                "a text and one zero",
                "d786318b996ce1a737ba51f89352bc1b36429cf8d77644",
                text
            ),
            (
                "a text and 32 zeros",
                "d786318b996ce17b6ed1720fcc855b1467db70d92aba9eeb83b8369c9f17"
                    + "3a4b173b486fdec69bbde943c092cbc8ad5fbbd9b6af3c9a",
                text
            ),
            (
                "a text and 65 zeros",
                "d786318b996ce17b6ed1720fcc855b1467db70d92aba9eeb83b8369c9f17"
                    + "3a4b173b486fdec61dc462cc74907f78b90bdc45c7694cb0ddba3697fd7d"
                    + "9e4fefbae20c35614d389e6244d0eebab74033518c3f71945605d7",
                text
            ),
            (
                "a zero",
                "b2889bebd3b763ab00b77c1a1c5ac407b4",
                .integer(0)
            ),
            (
                "zeros alone",
                "b2c758ecec00e17b6ed1720fcc855b148ba57650f9e94f93cd65ea34aa0a"
                    + "78c7",
                .integer(0)
            ),
            (
                "an empty text without zeros",
                "d257cadfac90df0c109c79d687a66cbe37",
                .text("")
            ),
        ]
        return [
            try unseal("a text", box, text), try unseal("a null", holding(.null), .null),
            try unseal("by another key", box, nil, with: key(2)),
            try unseal("in another table", box, nil, table: 3),
            try unseal("in another row", box, nil, row: bela),
            try unseal("in another column", box, nil, column: 2),
            try unseal("another ciphertext", changed(0), nil),
            try unseal("another tag", changed(box.count - 1), nil),
            try unseal("a byte less", Array(box.dropLast()), nil),
            try unseal("a byte more", box + [0], nil),
            try unseal("what is sealed again", holding(sealed), nil),
            try unseal("what says that it is erased", holding(.erased), nil),
        ]
            + (try strange.map { name, box in
                try unseal(name, [UInt8](hexadecimal: box) ?? [], nil)
            })
            + (try padded.map { name, box, value in
                try unseal(name, [UInt8](hexadecimal: box) ?? [], value)
            })
    }

    private static func checks() throws -> [Vector] {
        try [1, 255].map { number in
            try Vector(
                "check: key \(number)", given: ["key": .hex(key(number).bytes)], when: "check",
                by: .personal)
        }
    }

    // MARK: Bodies

    /// A value of table 2 or 7, in its row.
    private struct Cell {
        var table: UInt32 = 2
        var row = PersonalKind.aigul
        var column: UInt32 = 3
        var subject: RowID?

        func sealed(_ value: Value, _ key: PersonalKey) -> Value {
            .sealed(
                SealedValue(
                    about: subject, box: key.seal(value, table: table, row: row, column: column)))
        }
    }

    private static let (native, latin) = (Cell(column: 2), Cell())
    private static let otherLatin = Cell(row: bela)
    private static let reason = Cell(table: 7, row: observation, column: 7, subject: aigul)

    /// Row items, each a put of one value.
    private static func changeset(_ values: (Cell, Value)...) -> BodyDraft {
        puts(values, in: BodyDraft().changeset(BodyVectors.now, rows: values.count))
    }

    private static func puts(_ values: [(Cell, Value)], in draft: BodyDraft) -> BodyDraft {
        values.reduce(draft) { draft, entry in
            let (cell, value) = entry
            return draft.row(UInt64(cell.table), cell.row, items: 2)
                .code(UInt64(cell.column), 0).value(value)
        }
    }

    /// - Parameters:
    ///   - keys: by number, 0 for none; bytes where they are something else.
    ///   - kept: the numbers of those that may be kept, by hand.
    ///   - sealed: how many values stay sealed, by hand.
    private static func open(
        _ name: String, _ draft: BodyDraft, keys: [UInt8], bytes: [UInt8]? = nil,
        erased: [RowID] = [], kept: [UInt8]? = nil, sealed: Int = 0
    ) throws -> Vector {
        let given: JSON = [
            "stream": .stream(Fixed.stream(1)), "firstSeq": 9,
            "previousRun": .hash(Digest(sha256: [])),
            "streams": [], "namespace": "forum", "body": .bytes(draft.bytes),
            "keys": .bytes(bytes ?? beside(keys)), "erased": .array(erased.map(JSON.row)),
        ]
        let vector = try Vector("open: \(name)", given: given, when: "open", by: .personal)
        guard try vector.expect.member("keys").bytes() == beside(kept ?? keys),
            vector.expect["sealed"] == .number(sealed)
        else { throw VectorError("\(name): found \(vector.expect.document)") }
        return vector
    }

    /// Keys as they lie beside a run, by their numbers.
    private static func beside(_ numbers: [UInt8]) -> [UInt8] {
        numbers.flatMap { [UInt8](repeating: $0, count: PersonalKey.byteCount) }
    }

    private static let name = Value.text("Aigul")
    private static let one = changeset((latin, latin.sealed(name, key(1))))
    /// Three keys: of the one, of the other, and of the one in the next changeset.
    private static let three = puts(
        [(native, native.sealed(.text("\u{410}\u{439}"), key(3)))],
        in: changeset(
            (latin, latin.sealed(name, key(1))),
            (otherLatin, otherLatin.sealed(.text("Bela"), key(2))),
            (reason, reason.sealed(.text("ill"), key(1)))
        ).changeset(1, rows: 1))

    private static func opens() throws -> [Vector] {
        let named = Cell(subject: aigul)
        let resolution = BodyVectors.head.row(2, aigul, items: 4).code(3, 2)
            .value(latin.sealed(name, key(1))).numbers(2).numbers(4)
        let over = BodyVectors.head.row(2, aigul, items: 3).code(3, 1)
            .value(latin.sealed(.composite([.integer(1), .text("x")]), key(1))).numbers(2, 4)
        let twice = BodyVectors.head.row(2, aigul, items: 4)
            .code(3, 0).value(latin.sealed(name, key(1)))
            .code(2, 0).value(native.sealed(name, key(1)))
        let new = BodyDraft().changeset(BodyVectors.now, rows: 1).newRow(2, items: 2)
        return [
            try open("nothing that is sealed", changeset((latin, name)), keys: []),
            try open(
                "keys that belong to nothing", changeset((latin, name)), keys: [1], kept: []),
            try open("a value about its own row", one, keys: [1]),
            try open(
                "its own row by name and without",
                changeset(
                    (latin, latin.sealed(name, key(1))), (native, native.sealed(name, key(1))),
                    (reason, reason.sealed(name, key(1)))), keys: [1]),
            try open(
                "its own row by name", changeset((latin, named.sealed(name, key(1)))), keys: [1]),
            try open("two values of one row", twice, keys: [1]),
            try open("several people, and the next changeset", three, keys: [1, 2, 3]),
            try open(
                "the other one first",
                changeset(
                    (otherLatin, otherLatin.sealed(name, key(2))),
                    (reason, reason.sealed(name, key(1))), (latin, latin.sealed(name, key(1)))),
                keys: [2, 1]),
            try open(
                "one key for several",
                changeset(
                    (latin, latin.sealed(name, key(1))),
                    (otherLatin, otherLatin.sealed(name, key(1)))),
                keys: [1, 1]),
            try open(
                "plain values beside",
                changeset(
                    (native, name), (latin, latin.sealed(.integer(5), key(1))), (otherLatin, .null)),
                keys: [1]),
            try open("a resolution", resolution, keys: [1]),
            try open("a composite over others", over, keys: [1]),
            try open(
                "values of all kinds",
                changeset(
                    (latin, latin.sealed(.null, key(1))),
                    (native, native.sealed(.real(-0.0), key(1))),
                    (reason, reason.sealed(.blob([7]), key(1)))), keys: [1]),
            // Sealed for another row than the one that the changeset makes.
            try open(
                "a new row", new.code(3, 0).value(latin.sealed(name, key(1))), keys: [1], kept: [0],
                sealed: 1),
        ]
    }

    private static func partly() throws -> [Vector] {
        [
            try open("no keys", three, keys: [], kept: [0, 0, 0], sealed: 4),
            try open("keys that are all missing", three, keys: [0, 0, 0], sealed: 4),
            try open("a key too few", three, keys: [1, 2], kept: [0, 0, 0], sealed: 4),
            try open("a key too many", three, keys: [1, 2, 3, 4], kept: [0, 0, 0], sealed: 4),
            try open(
                "a byte too few", three, keys: [], bytes: beside([1, 2, 3]).dropLast(),
                kept: [0, 0, 0], sealed: 4),
            try open("the first is missing", three, keys: [0, 2, 3], sealed: 2),
            try open("the last is missing", three, keys: [1, 2, 0], sealed: 1),
            try open("a wrong key", three, keys: [1, 9, 3], kept: [1, 0, 3], sealed: 1),
            try open(
                "keys that changed places", three, keys: [2, 1, 3], kept: [0, 0, 3], sealed: 3),
            try open(
                "a box of another cell", changeset((native, latin.sealed(name, key(1)))), keys: [1],
                kept: [0], sealed: 1),
            try open(
                "a key to one of two",
                changeset(
                    (latin, latin.sealed(name, key(1))), (reason, reason.sealed(name, key(2)))),
                keys: [1], sealed: 1),
            try open(
                "a key to none of two",
                changeset(
                    (latin, latin.sealed(name, key(1))), (reason, reason.sealed(name, key(1)))),
                keys: [2], kept: [0], sealed: 2),
        ]
    }

    private static func erased() throws -> [Vector] {
        [
            try open("erased: the one", three, keys: [1, 2, 3], erased: [aigul], kept: [0, 2, 0]),
            try open(
                "erased: the other", three, keys: [1, 2, 3], erased: [bela], kept: [1, 0, 3]),
            try open(
                "erased: both", three, keys: [1, 2, 3], erased: [bela, aigul], kept: [0, 0, 0]),
            try open("erased: somebody else", three, keys: [1, 2, 3], erased: [observation]),
            try open("erased: the keys are gone", three, keys: [0, 2, 0], erased: [aigul]),
            try open(
                "erased: no keys at all", three, keys: [], erased: [aigul], kept: [0, 0, 0],
                sealed: 1),
            try open(
                "erased: plain values stay",
                changeset((latin, name), (native, native.sealed(name, key(1)))),
                keys: [1], erased: [aigul], kept: [0]),
            try open(
                "erased: a resolution",
                BodyVectors.head.row(2, aigul, items: 4).code(3, 2)
                    .value(latin.sealed(name, key(1))).numbers(2).numbers(4),
                keys: [1], erased: [aigul], kept: [0]),
        ]
    }
}
