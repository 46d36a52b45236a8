import Causality
import Merge
import SyncProtocol

/// After RFC 8949 appendix A and §4.2.1, as far as the format has the types. All answers by hand.
enum ItemVectors {
    private static func item(_ name: String, _ bytes: String, _ item: JSON) throws -> Vector {
        try Vector(
            name, given: ["bytes": .string(bytes)], when: "item", expect: ["item": item],
            by: .cbor)
    }

    static func accepted() throws -> [Vector] {
        try integers() + reals() + others()
    }

    private static func integers() throws -> [Vector] {
        let cases: [(JSON, String)] = [
            (0, "00"), (1, "01"), (10, "0a"), (23, "17"), (24, "1818"), (25, "1819"),
            (100, "1864"), (255, "18ff"), (256, "190100"), (1_000, "1903e8"),
            (65_535, "19ffff"), (65_536, "1a00010000"), (1_000_000, "1a000f4240"),
            (4_294_967_295, "1affffffff"), (4_294_967_296, "1b0000000100000000"),
            (1_000_000_000_000, "1b000000e8d4a51000"),
            (9_007_199_254_740_991, "1b001fffffffffffff"),
            (["int": "9007199254740992"], "1b0020000000000000"),
            (["int": "9223372036854775807"], "1b7fffffffffffffff"),
            (["int": "9223372036854775808"], "1b8000000000000000"),
            (["int": "18446744073709551615"], "1bffffffffffffffff"),
            (-1, "20"), (-10, "29"), (-24, "37"), (-25, "3818"), (-100, "3863"),
            (-256, "38ff"), (-257, "390100"), (-1_000, "3903e7"),
            (["int": "-9223372036854775808"], "3b7fffffffffffffff"),
            (["int": "-9223372036854775809"], "3b8000000000000000"),
            (["int": "-18446744073709551616"], "3bffffffffffffffff"),
        ]
        return try cases.map { try item("the integer \($1)", $1, $0) }
    }

    private static func reals() throws -> [Vector] {
        let cases: [(String, String, String)] = [
            ("0.0", "0000000000000000", "f90000"), ("minus zero", "8000000000000000", "f98000"),
            ("1.0", "3ff0000000000000", "f93c00"), ("1.5", "3ff8000000000000", "f93e00"),
            ("1.1", "3ff199999999999a", "fb3ff199999999999a"),
            ("-4.0", "c010000000000000", "f9c400"),
            ("-4.1", "c010666666666666", "fbc010666666666666"),
            ("65504.0, the greatest half", "40effc0000000000", "f97bff"),
            ("65505.0, a single", "40effc2000000000", "fa477fe100"),
            ("65536.0, a single", "40f0000000000000", "fa47800000"),
            ("100000.0", "40f86a0000000000", "fa47c35000"),
            ("2^-24, the least half", "3e70000000000000", "f90001"),
            ("2^-25, a single", "3e60000000000000", "fa33000000"),
            ("1.5 * 2^-23, a subnormal half", "3e88000000000000", "f90003"),
            ("1.5 * 2^-24, a single", "3e78000000000000", "fa33c00000"),
            ("2^-14, the least normal half", "3f10000000000000", "f90400"),
            ("the greatest subnormal half", "3f0ff80000000000", "f903ff"),
            ("2^-149, the least single", "36a0000000000000", "fa00000001"),
            ("2^-150, a double", "3690000000000000", "fb3690000000000000"),
            ("1.5 * 2^-149, a double", "36a8000000000000", "fb36a8000000000000"),
            ("the greatest subnormal single", "380fffffc0000000", "fa007fffff"),
            ("2^-126, the least normal single", "3810000000000000", "fa00800000"),
            ("the greatest single", "47efffffe0000000", "fa7f7fffff"),
            ("2^128, a double", "47f0000000000000", "fb47f0000000000000"),
            ("1.0e+300", "7e37e43c8800759c", "fb7e37e43c8800759c"),
            ("the least double", "0000000000000001", "fb0000000000000001"),
            ("the least normal double", "0010000000000000", "fb0010000000000000"),
            ("the greatest double", "7fefffffffffffff", "fb7fefffffffffffff"),
            ("infinity", "7ff0000000000000", "f97c00"),
            ("minus infinity", "fff0000000000000", "f9fc00"),
            ("a quiet NaN", "7ff8000000000000", "f97e00"),
            ("a NaN with a sign", "fff8000000000000", "f9fe00"),
            ("a signalling NaN of a half", "7ff4000000000000", "f97d00"),
            ("a NaN with the least payload of a half", "7ff0040000000000", "f97c01"),
            ("a NaN with the greatest payload of a half", "7ffffc0000000000", "f97fff"),
            ("a NaN one bit below a half's payload", "7ff0020000000000", "fa7f801000"),
            ("a NaN with the least payload of a single", "7ff0000020000000", "fa7f800001"),
            ("a NaN one bit below a single's payload", "7ff0000010000000", "fb7ff0000010000000"),
            ("a NaN with the least payload", "7ff0000000000001", "fb7ff0000000000001"),
            ("a NaN of all ones", "ffffffffffffffff", "fbffffffffffffffff"),
        ]
        return try cases.map { name, bits, bytes in
            try item("the real \(name)", bytes, ["real": .string(bits)])
        }
    }

    private static func others() throws -> [Vector] {
        [
            try item("false", "f4", false), try item("true", "f5", true),
            try item("null", "f6", nil), try item("an empty text", "60", ""),
            try item("a text", "6449455446", "IETF"),
            try item("a text of quotes", "62225c", "\"\\"),
            try item("a text of two bytes", "62c3bc", ["text": "c3bc"]),
            try item("a text beyond the first plane", "64f0908591", ["text": "f0908591"]),
            try item("the last character", "64f48fbfbf", ["text": "f48fbfbf"]),
            try item("a text with a NUL", "6100", ["text": "00"]),
            try item("a decomposed text stays", "6365cc81", ["text": "65cc81"]),
            try item("an empty byte string", "40", ["blob": ""]),
            try item("a byte string", "4401020304", ["blob": "01020304"]),
            try item(
                "a byte string of 24", "5818" + String(repeating: "7a", count: 24),
                ["blob": .string(String(repeating: "7a", count: 24))]),
            try item("an empty array", "80", []), try item("an array", "83010203", [1, 2, 3]),
            try item(
                "arrays in arrays", "8301820203820405", [1, [2, 3], [4, 5]]),
            try item("an empty map", "a0", ["map": []]),
            try item("a map", "a201020304", ["map": [[1, 2], [3, 4]]]),
            try item(
                "keys ascend as numbers", "a3000017f61818f5",
                ["map": [[0, 0], [23, nil], [24, true]]]),
            try item(
                "the greatest key", "a11bfffffffffffffffff6",
                ["map": [[["int": "18446744073709551615"], nil]]]),
            try item("eight levels", "8181818181818100", try JSON(document: "[[[[[[[0]]]]]]]")),
            try item(
                "eight levels, the last empty", "8181818181818180",
                try JSON(document: "[[[[[[[[]]]]]]]]")),
            try item(
                "eight levels of maps and arrays", "a10081a10081a10081a100f6",
                try JSON(
                    document:
                        #"{"map":[[0,[{"map":[[0,[{"map":[[0,[{"map":[[0,null]]}]]]}]]]}]]]}"#)),
        ]
    }

    private static func refusal(
        _ name: String, _ bytes: String, _ reason: String, when: JSON = "item"
    ) throws -> Vector {
        try Vector(
            name, given: ["bytes": .string(bytes)], when: when,
            expect: ["reject": .string(reason)], by: .cbor)
    }

    static func refused() throws -> [Vector] {
        try long() + kinds() + ends() + texts() + nesting()
    }

    private static func long() throws -> [Vector] {
        let heads = [
            "1800", "1817", "190000", "1900ff", "1a00000000", "1a0000ffff",
            "1b0000000000000000", "1b00000000ffffffff", "3800", "3817", "3900ff",
            "3a0000ffff", "3b00000000ffffffff", "5800", "590001ff", "780161", "79000161",
            "980100", "b8010000", "a11800f6",
        ]
        let reals = [
            ("0.0 as a single", "fa00000000"), ("1.0 as a single", "fa3f800000"),
            ("1.0 as a double", "fb3ff0000000000000"), ("0.0 as a double", "fb0000000000000000"),
            ("minus zero as a double", "fb8000000000000000"),
            ("infinity as a single", "fa7f800000"),
            ("infinity as a double", "fb7ff0000000000000"),
            ("a quiet NaN as a double", "fb7ff8000000000000"),
            ("a quiet NaN as a single", "fa7fc00000"),
            ("the greatest single as a double", "fb47efffffe0000000"),
            ("the least half as a single", "fa33800000"),
            ("the least half as a double", "fb3e70000000000000"),
            ("the least single as a double", "fb36a0000000000000"),
            ("a NaN of a half's payload as a double", "fb7ff0040000000000"),
            ("a NaN of a single's payload as a double", "fb7ff0000020000000"),
        ]
        return try heads.map {
            try refusal("a head that is too long: \($0)", $0, "notShortest")
        } + reals.map { try refusal("a real that is too wide: \($0)", $1, "notShortest") }
    }

    private static func kinds() throws -> [Vector] {
        let indefinite = [
            ("a byte string", "5f42010243030405ff"), ("a text", "7f657374726561646d696e67ff"),
            ("an array", "9f0102ff"), ("a map", "bf0102ff"), ("an empty array", "9fff"),
            ("an integer", "1f"), ("a negative", "3f"), ("an array in an array", "819f00ff"),
        ]
        let unsupported = [
            ("a tag", "c000"),
            ("the tag of a date", "c074323031332d30332d32315432303a30343a30305a"),
            ("the tag of a big number", "c249010000000000000000"),
            ("a tag in two bytes", "d82000"), ("undefined", "f7"), ("simple value 0", "e0"),
            ("simple value 16", "f0"), ("simple value 19", "f3"), ("simple value 24", "f818"),
            ("simple value 255", "f8ff"), ("false in two bytes", "f814"),
            ("a break alone", "ff"), ("a reserved head of major type 7", "fc"),
            ("a reserved head of an integer", "1c"), ("a reserved head of a negative", "3d"),
            ("a reserved head of a byte string", "5e"), ("a reserved head of a text", "7c"),
            ("a reserved head of an array", "9d"), ("a reserved head of a map", "be"),
            ("a tag in an array", "81c000"), ("undefined in a map", "a100f7"),
        ]
        return try indefinite.map {
            try refusal("no length is told: \($0)", $1, "indefinite")
        } + unsupported.map { try refusal("a kind that isn't used: \($0)", $1, "unsupported") }
    }

    private static func ends() throws -> [Vector] {
        let truncated = [
            ("nothing at all", ""), ("an integer of one byte", "18"),
            ("an integer of two bytes", "1903"), ("an integer of four bytes", "1a000f42"),
            ("an integer of eight bytes", "1b000000e8d4a510"), ("a half", "f93c"),
            ("a single", "fa47c350"), ("a double", "fb3ff19999999999"),
            ("a byte string", "44010203"), ("a text", "6449455a"), ("a text without any", "61"),
            ("a byte string of 2^32 - 1", "5affffffff00"), ("an array", "830102"),
            ("an array of 2^64 - 1", "9bffffffffffffffff00"),
            ("a byte string of 2^64 - 1", "5bffffffffffffffff00"),
            ("a text of 2^64 - 1", "7bffffffffffffffff00"), ("an array without any", "81"),
            ("a map", "a2010203"), ("a map without a value", "a101"),
            ("a map of 2^64 - 1", "bbffffffffffffffff0000"), ("a map without any", "a1"),
        ]
        let trailing = [
            ("a second item", "0000"), ("a byte after an array", "8000"),
            ("a break after an item", "00ff"),
        ]
        return try truncated.map { try refusal("ends too soon: \($0)", $1, "truncated") }
            + trailing.map { try refusal("something follows: \($0)", $1, "trailing") }
    }

    private static func texts() throws -> [Vector] {
        let cases = [
            ("a byte of 0xff", "61ff"), ("a wrong second byte", "62c328"),
            ("a cut sequence", "62e282"), ("a cut sequence at the end", "61c3"),
            ("an overlong slash", "62c0af"), ("an overlong NUL", "62c080"),
            ("an overlong sequence of three", "63e08080"), ("a high surrogate", "63eda080"),
            ("a low surrogate", "63edbfbf"), ("a pair of surrogates", "66eda080edb080"),
            ("over U+10FFFF", "64f4908080"), ("a sequence of five", "65f888808080"),
            ("a lone second byte", "6180"), ("in an array", "8161ff"), ("in a map", "a10061ff"),
        ]
        return try cases.map { try refusal("not UTF-8: \($0)", $1, "invalidUTF8") }
    }

    private static func nesting() throws -> [Vector] {
        [
            try refusal("nine levels", "818181818181818100", "tooDeep"),
            try refusal("nine levels, the last empty", "818181818181818180", "tooDeep"),
            try refusal(
                "nine levels of maps", String(repeating: "a100", count: 8) + "00", "tooDeep"),
            // The ninth level is refused before a byte of it is looked for.
            try refusal(
                "nine levels of maps, the last cut off", String(repeating: "a100", count: 8),
                "tooDeep"),
            try refusal("nine levels, the last a tag", "8181818181818181c0", "tooDeep"),
            try refusal(
                "a thousand levels", String(repeating: "81", count: 1_000) + "00", "tooDeep"),
            try refusal("a key comes twice", "a201020102", "keyOrder"),
            try refusal("keys descend", "a203040102", "keyOrder"),
            try refusal("a key of fewer bytes after one of more", "a21818000000", "keyOrder"),
            try refusal("keys descend in a map in an array", "81a203040102", "keyOrder"),
            try refusal("a key is a text", "a16161f6", "unexpectedType"),
            try refusal("a key is negative", "a120f6", "unexpectedType"),
            try refusal("a key is null", "a1f6f6", "unexpectedType"),
        ]
    }

    static func values() throws -> [Vector] {
        func value(_ name: String, _ bytes: JSON, _ value: JSON) throws -> Vector {
            try Vector(
                "a value: \(name)", given: ["bytes": bytes], when: "value",
                expect: ["value": value], by: .cbor)
        }
        let largest = [UInt8](repeating: 0x61, count: 65_536)
        let accepted = [
            try value("null", "f6", nil), try value("an integer", "01", 1),
            try value("the greatest integer", "1b7fffffffffffffff", ["int": "9223372036854775807"]),
            try value("the least integer", "3b7fffffffffffffff", ["int": "-9223372036854775808"]),
            try value("a real", "f93c00", ["real": "3ff0000000000000"]),
            try value("a half that is not whole", "f93e00", ["real": "3ff8000000000000"]),
            try value("a text", "6161", "a"), try value("a blob", "4101", ["blob": "01"]),
            try value(
                "a composite", "8400f93c00f6f93e00",
                ["composite": [["real": "3ff0000000000000"], nil, ["real": "3ff8000000000000"]]]),
            try value("a composite without parts", "8100", ["composite": []]),
            try value(
                "a sealed value", "820451000102030405060708090a0b0c0d0e0f10",
                ["sealed": ["000102030405060708090a0b0c0d0e0f10"]]),
            try value(
                "a sealed value about another row",
                ["830451", "000102030405060708090a0b0c0d0e0f10", "50", ["22", 16]],
                [
                    "sealed": [
                        "000102030405060708090a0b0c0d0e0f10",
                        .string(String(repeating: "22", count: 16)),
                    ]
                ]),
            try value("an erased value", "8105", ["erased": true]),
            try value(
                "a blob of 65536", ["5a00010000", ["61", 65_536]], ["blob": [["61", 65_536]]]),
            try value(
                "a text of 65536", ["7a00010000", ["61", 65_536]], ["text": [["61", 65_536]]]),
        ]
        let refused: [(String, String, String)] = [
            ("an integer over 2^63 - 1", "1b8000000000000000", "outOfRange"),
            ("an integer under -2^63", "3b8000000000000000", "outOfRange"),
            ("true", "f5", "unexpectedType"), ("a map", "a0", "unexpectedType"),
            ("an array of none", "80", "invalid"), ("an array from 1", "820100", "invalid"),
            ("an array from a text", "8261610a", "unexpectedType"),
            ("a composite in a composite", "82008100", "unexpectedType"),
            ("true in a composite", "8200f5", "unexpectedType"), ("undefined", "f7", "unsupported"),
            ("a second value", "0101", "trailing"),
            ("a composite that ends early", "830001", "truncated"),
            ("a tag", "c000", "unsupported"), ("simple value 16", "f0", "unsupported"),
            ("a break", "ff", "unsupported"), ("a tag in a composite", "8200c000", "unsupported"),
            ("a tag where 0 belongs", "82c000", "unexpectedType"),
            ("an array from 6", "8106", "invalid"),
            ("a sealed value without a box", "8104", "invalid"),
            (
                "a sealed value of four items", "840451000102030405060708090a0b0c0d0e0f1050",
                "invalid"
            ),
            ("a box of a tag alone", "820450000102030405060708090a0b0c0d0e0f", "invalid"),
            ("a box that is a text", "82046161", "unexpectedType"),
            ("a short subject", "830451000102030405060708090a0b0c0d0e0f104100", "invalid"),
            (
                "a long subject",
                "830451000102030405060708090a0b0c0d0e0f1051000102030405060708090a0b0c0d0e0f10",
                "tooLong"
            ),
            ("a box of 65633", "82045a00010061", "tooLong"),
            ("an erased value of two items", "820500", "invalid"),
            (
                "a sealed value in a composite", "8200820451000102030405060708090a0b0c0d0e0f10",
                "unexpectedType"
            ),
        ]
        var vectors = accepted
        for (name, bytes, reason) in refused {
            vectors.append(
                try refusal("no value: \(name)", bytes, reason, when: "value"))
        }
        for (name, head) in [("blob", "5a00010001"), ("text", "7a00010001")] {
            vectors.append(
                try Vector(
                    "no value: a \(name) of 65537",
                    given: ["bytes": [.string(head), ["61", 65_537]]], when: "value",
                    expect: ["reject": "tooLong"], by: .cbor))
        }
        for (name, value, bytes) in encoded(largest) {
            vectors.append(
                try Vector(
                    "encodes: \(name)", given: ["value": .value(value)], when: "encode",
                    expect: ["bytes": bytes], by: .cbor))
        }
        return vectors
    }

    private static func encoded(_ largest: [UInt8]) -> [(String, Value, JSON)] {
        [
            ("an integer of one byte", .integer(24), "1818"), ("minus one", .integer(-1), "20"),
            ("the least integer", .integer(.min), "3b7fffffffffffffff"),
            (
                "a sealed value", .sealed(SealedValue(about: Fixed.row, box: BodyVectors.box)),
                .hex([0x83, 0x04, 0x51] + BodyVectors.box + [0x50] + Fixed.row.identifier.bytes)
            ),
            ("an erased value", .erased, "8105"),
            ("a half", .real(1.5), "f93e00"), ("a single", .real(100_000), "fa47c35000"),
            ("a double", .real(1.1), "fb3ff199999999999a"), ("minus zero", .real(-0.0), "f98000"),
            (
                "a NaN that needs 64 bits", .real(Double(bitPattern: 0x7ff0_0000_0000_0001)),
                "fb7ff0000000000001"
            ),
            (
                "a signalling NaN that fits a single",
                .real(Double(bitPattern: 0x7ff0_0000_2000_0000)), "fa7f800001"
            ),
            ("a lone mark of direction", .text("\u{200f}"), "63e2808f"),
            ("a composite of nulls", .composite([.null, .null]), "8300f6f6"),
            ("a counter's entry", .composite([.integer(42), .integer(0)]), "8300182a00"),
            (
                "the largest text", .text(String(decoding: largest, as: UTF8.self)),
                ["7a00010000", ["61", 65_536]]
            ),
        ]
    }
}
