import SyncProtocol

/// What hubs say of their TLS keys. A pin is one byte over and over.
enum PinVectors {
    static func all() throws -> [Vector] { try read() + refused() + adopted() }

    private static func pin(_ byte: UInt8, count: Int = 32) -> [UInt8] {
        Array(repeating: byte, count: count)
    }

    private static func stated(_ pins: UInt8..., at time: Int64 = 1_764_000_000_000) -> [UInt8] {
        guard let pins = PinSet(pins: pins.map { pin($0) }, statedMilliseconds: time) else {
            preconditionFailure("one to four pins are pins")
        }
        return pins.encode()
    }

    /// As it would be written, whatever it is.
    private static func item(
        count: Int = 3, format: UInt64 = 1, _ pins: [[UInt8]],
        _ last: (inout CBOREncoder) -> Void = { $0.integer(1_764_000_000_000) }
    ) -> [UInt8] {
        var encoder = CBOREncoder()
        encoder.array(count)
        encoder.unsigned(format)
        encoder.array(pins.count)
        for pin in pins { encoder.blob(pin) }
        last(&encoder)
        return encoder.bytes
    }

    private static func read(_ name: String, _ bytes: [UInt8]) throws -> Vector {
        try Vector("pins: \(name)", given: ["bytes": .hex(bytes)], when: "pins", by: .certificates)
    }

    private static func read() throws -> [Vector] {
        let cases: [(String, [UInt8])] = [
            ("the one in use", stated(1)), ("and the next", stated(1, 2)),
            ("four", stated(4, 3, 2, 1)), ("one twice", stated(1, 1)),
            ("stated before 1970", stated(1, at: -1)),
            ("stated at the least time", stated(1, at: .min)),
            ("stated at the greatest", stated(1, at: .max)),
            ("four items", item(count: 4, [pin(1)]) + [0x00]),
            ("six items", item(count: 6, [pin(1), pin(2)]) + [0xf6, 0x81, 0xa0, 0x61, 0x78]),
        ]
        return try cases.map { try read($0, $1) }
    }

    private static func refused() throws -> [Vector] {
        let good = stated(1, 2)
        let cases: [(String, [UInt8])] = [
            ("nothing", []), ("cut short", Array(good.dropLast())),
            ("with a byte behind", good + [0]),
            ("none", item([])), ("five", item((1...5).map { pin($0) })),
            ("a pin of 31 bytes", item([pin(1, count: 31)])),
            ("a pin of 33 bytes", item([pin(1, count: 33)])),
            ("of format 0", item(format: 0, [pin(1)])),
            ("of format 2", item(format: 2, [pin(1)])),
            ("of format 2, and nothing else that is known", [0x83, 0x02, 0xf6, 0xf6]),
            ("two items", item(count: 2, [pin(1)])),
            ("four items, of which three come", item(count: 4, [pin(1)])),
            ("a fourth item that is a tag", item(count: 4, [pin(1)]) + [0xc0, 0x00]),
            ("a fourth item without a pin", item(count: 4, []) + [0x00]),
            ("a text as the time", item([pin(1)]) { $0.text("") }),
            ("a number as a pin", [0x83, 0x01, 0x81, 0x01, 0x00]),
            ("a number as the pins", [0x83, 0x01, 0x01, 0x00]), ("a map", [0xa0]),
            ("a time that is not the shortest", item([pin(1)]) { $0.raw([0x18, 0x01]) }),
            ("257 bytes", good + pin(0, count: 257 - good.count)),
            ("256 bytes", good + pin(0, count: 256 - good.count)),
        ]
        return try cases.map { try read($0, $1) }
    }

    private static func adopted() throws -> [Vector] {
        let cases: [(String, [UInt8], Int64, [[UInt8]])] = [
            ("nothing was said", [1], 1_000, []),
            ("a later word", [1], 1_000, [stated(2, 3, at: 1_001)]),
            ("an earlier word that names none of them", [3], 1_000, [stated(1, 2, at: 999)]),
            ("a word of that very time", [3], 1_000, [stated(1, 2, at: 1_000)]),
            ("an earlier word that names the one in use", [3], 1_000, [stated(3, 4, at: 999)]),
            ("an earlier word that names it as the next", [3], 1_000, [stated(2, 3, at: 1)]),
            (
                "the latest of several", [1], 0,
                [stated(5, at: 7), stated(2, at: 9), stated(6, at: 8)]
            ),
            (
                "the latest doesn't count, and another one would", [1], 1_000,
                [stated(1, 2, at: 5), stated(8, 9, at: 6)]
            ),
            ("two of one time", [1], 0, [stated(3, at: 5), stated(2, at: 5)]),
            ("two of one time, of several pins", [1], 0, [stated(2, 9, at: 5), stated(7, at: 5)]),
            (
                "beside what can't be read", [1], 0,
                [[0xff], stated(2, at: 5), stated(3, at: 6) + [0]]
            ),
            ("only what can't be read", [1], 0, [[0xff], []]),
            (
                "of one time, one with a further item", [1], 0,
                [stated(3, at: 5), item(count: 4, [pin(2)]) { $0.integer(5) } + [0x00]]
            ),
            ("of several trusted", [1, 2], 1_000, [stated(2, 3, at: 5)]),
            ("the same again", [1, 2], 1_000, [stated(1, 2, at: 1_000)]),
            ("times before 1970", [1], -9, [stated(2, at: -8)]),
            ("the greatest times", [1], .max, [stated(2, at: .max)]),
        ]
        return try cases.map { name, trusted, since, said in
            try Vector(
                "adopt: \(name)",
                given: [
                    "trusted": .array(trusted.map { .hex(pin($0)) }), "since": .number(since),
                    "said": .array(said.map { .bytes($0) }),
                ], when: "adopt", by: .certificates)
        }
    }
}
