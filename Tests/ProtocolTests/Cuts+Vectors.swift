import SyncProtocol

/// Keys: 3 is the device's whose streams are ended, 4 another's.
extension CutKind {
    private static let (laptop, other) = (Fixed.key(3), Fixed.key(4))
    private static let greatest = UInt64(Int64.max)

    /// An end in the run whose hash is one byte over and over.
    private static func end(_ lastSeq: UInt64, in run: UInt8 = 0x11) -> StreamEnd {
        let hash = Digest([UInt8](repeating: run, count: 32))
        guard let end = StreamEnd(lastSeq: lastSeq, run: hash) else {
            preconditionFailure("nothing ends in a run at seq 0")
        }
        return end
    }

    private static func stream(
        _ end: StreamEnd, scope: String = "forum", incarnation: UInt64 = 0
    ) -> Cut.Stream {
        Cut.Stream(scope: scope, incarnation: incarnation, end: end)
    }

    private static func make(
        _ streams: [Cut.Stream] = [], because reason: Cut.Reason = .revoked,
        of key: DeviceKey = laptop, isWhole: Bool = false, decided: Int64 = 1_764_000_000_000,
        note: String = ""
    ) -> Cut {
        Cut(
            reason, of: key.publicKey, at: streams, isWhole: isWhole, decidedMilliseconds: decided,
            note: note)
    }

    static func vectors() throws -> [Vector] {
        try written() + good() + refused() + ended()
    }

    // MARK: Cuts that are read

    private static let whole = make(isWhole: true, note: "Lost on the way home")
    private static let fork = make([stream(end(7))], because: .fork, note: "Copied")
    private static let poison = make([stream(.beforeFirst)], because: .poison)
    private static let several = make(
        [
            stream(end(7)), stream(end(300, in: 0xff), incarnation: 5),
            stream(.beforeFirst, scope: ""), stream(end(1), scope: "delegation/KZ \u{259}"),
        ], isWhole: true, note: "\u{259}")
    private static let numbers = make(
        [stream(end(greatest), incarnation: greatest)], decided: .max)

    private static func written() throws -> [Vector] {
        let cases: [(String, Cut)] = [
            ("a revoked device, whole", whole), ("a fork", fork),
            ("a stream that is poisoned from its first run on", poison),
            ("several streams", several), ("the greatest numbers", numbers),
        ]
        return try cases.map { name, cut in
            try Vector(
                "encode: \(name)", given: ["cut": .cut(cut)], when: "encode", by: .cuts)
        }
    }

    private static func read(_ name: String, _ bytes: JSON, _ expect: JSON) throws -> Vector {
        try Vector(
            "read: \(name)", given: ["bytes": bytes], when: "cut", expect: expect, by: .cuts)
    }

    private static func good() throws -> [Vector] {
        let cases: [(String, Cut)] = [
            ("a revoked device, whole", whole), ("a fork", fork),
            ("a stream that is poisoned from its first run on", poison),
            ("several streams", several), ("the greatest numbers", numbers),
            ("a stream twice", make([stream(end(9)), stream(end(4))])), ("nothing ends", make()),
            ("the least decided", make(decided: .min)),
            ("a reason that nobody knows", make(because: Cut.Reason(rawValue: 4), isWhole: true)),
            ("the greatest reason", make(because: Cut.Reason(rawValue: .max))),
            ("a note of 200 bytes", make(note: String(repeating: "n", count: 200))),
            (
                "a scope of 64 bytes",
                make([stream(end(7), scope: String(repeating: "s", count: 64))])
            ),
        ]
        let most = try most()
        let further = try further()
        return try cases.map { name, cut in
            try read(name, .bytes(cut.encode()), ["cut": .cut(cut)])
        } + [most] + further
    }

    /// What later builds may say in further items, a reader passes over.
    private static func further() throws -> [Vector] {
        let cut = make(
            [stream(end(7))], isWhole: true, decided: 1_764_000_000_000, note: "lost")
        let strange = [[0x00], [0xa1, 0x18, 0xff, 0x82, 0xf5, 0x61, 0x78], [0xf6]] as [[UInt8]]
        let deep = [UInt8](repeating: 0x81, count: 7) + [0x00]
        return try [
            ("8 items", array(items + [[0]])), ("10 items", array(items + strange)),
            ("an eighth item of eight levels", array(items + [deep])),
        ].map { name, bytes in try read(name, .bytes(bytes), ["cut": .cut(cut)]) }
    }

    /// As many streams as a cut names, each the same, told by their number.
    private static func most() throws -> Vector {
        let one = array([
            item { $0.text("") }, item { $0.unsigned(0) }, item { $0.unsigned(0) },
            item { $0.null() },
        ])
        let back = item { encoder in
            encoder.bool(true)
            encoder.integer(0)
            encoder.text("")
        }
        let streams = [Cut.Stream](repeating: stream(.beforeFirst, scope: ""), count: 450)
        return try read(
            "450 streams", [.hex(announcing(450)), [.hex(one), 450], .hex(back)],
            ["cut": .cut(make(streams, isWhole: true, decided: 0))])
    }

    // MARK: Cuts that are refused

    /// The items of a cut, and those of a stream in it, in their order.
    private enum Item: Int { case format, reason, publicKey, streams, whole, decided, note }
    private enum Part: Int { case scope, incarnation, last, run }

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

    private static let parts = [
        item { $0.text("forum") }, item { $0.unsigned(0) }, item { $0.unsigned(7) },
        item { $0.blob([UInt8](repeating: 0x11, count: 32)) },
    ]
    private static let items = [
        item { $0.unsigned(1) }, item { $0.unsigned(1) }, item { $0.blob(laptop.publicKey) },
        array([array(parts)]), item { $0.bool(true) }, item { $0.integer(1_764_000_000_000) },
        item { $0.text("lost") },
    ]

    /// A cut's bytes in front of so many streams.
    private static func announcing(_ count: Int) -> [UInt8] {
        item { encoder in
            encoder.array(items.count)
            for item in items[..<Item.streams.rawValue] { encoder.raw(item) }
            encoder.array(count)
        }
    }

    /// A good cut, but for one item.
    private static func with(_ item: Item, _ bytes: [UInt8]) -> [UInt8] {
        var items = Self.items
        items[item.rawValue] = bytes
        return array(items)
    }

    /// A good cut, but for one item of its stream.
    private static func stream(with part: Part, _ bytes: [UInt8]) -> [UInt8] {
        var parts = Self.parts
        parts[part.rawValue] = bytes
        return with(.streams, array([array(parts)]))
    }

    private static func refused() throws -> [Vector] {
        let cases = wrongItems() + wrongStreams() + wrongForms()
        return try cases.map { name, bytes, reason in
            try read(name, .bytes(bytes), ["reject": .string(reason)])
        }
    }

    private static func wrongItems() -> [(String, [UInt8], String)] {
        let key = laptop.publicKey
        let long = String(repeating: "n", count: 201)
        return [
            ("format 0", with(.format, item { $0.unsigned(0) }), "invalid"),
            ("format 2", with(.format, item { $0.unsigned(2) }), "later"),
            ("reason 0", with(.reason, item { $0.unsigned(0) }), "outOfRange"),
            (
                "a public key of 31 bytes", with(.publicKey, item { $0.blob(key.dropLast()) }),
                "invalid"
            ),
            ("a public key of 33 bytes", with(.publicKey, item { $0.blob(key + [0]) }), "tooLong"),
            ("no list of streams", with(.streams, item { $0.null() }), "unexpectedType"),
            ("whole, by a number", with(.whole, item { $0.unsigned(1) }), "unexpectedType"),
            ("whole, by undefined", with(.whole, [0xf7]), "unexpectedType"),
            ("decided at 2^63", with(.decided, item { $0.unsigned(1 << 63) }), "outOfRange"),
            ("a note of 201 bytes", with(.note, item { $0.text(long) }), "tooLong"),
            ("a note that isn't UTF-8", with(.note, [0x61, 0xff]), "invalidUTF8"),
        ]
    }

    private static func wrongStreams() -> [(String, [UInt8], String)] {
        let hash = [UInt8](repeating: 0x11, count: 32)
        let long = String(repeating: "s", count: 65)
        let few = array([array(Array(parts.dropLast()))])
        let many = array([array(parts + [[0]])])
        return [
            ("a scope of 65 bytes", stream(with: .scope, item { $0.text(long) }), "tooLong"),
            (
                "incarnation 2^63", stream(with: .incarnation, item { $0.unsigned(1 << 63) }),
                "outOfRange"
            ),
            (
                "a last seq of 2^63", stream(with: .last, item { $0.unsigned(1 << 63) }),
                "outOfRange"
            ),
            ("a hash beside seq 0", stream(with: .last, item { $0.unsigned(0) }), "invalid"),
            ("no hash beside seq 7", stream(with: .run, item { $0.null() }), "invalid"),
            (
                "a hash of 31 bytes", stream(with: .run, item { $0.blob(hash.dropLast()) }),
                "invalid"
            ),
            ("a hash of 33 bytes", stream(with: .run, item { $0.blob(hash + [0]) }), "tooLong"),
            ("a stream of 3 items", with(.streams, few), "invalid"),
            ("a stream of 5 items", with(.streams, many), "invalid"),
            ("451 streams, of which none comes", announcing(451), "tooLong"),
            ("450 streams, of which none comes", announcing(450), "truncated"),
        ]
    }

    /// What is wrong of the whole, and which of two wrongs is told.
    private static func wrongForms() -> [(String, [UInt8], String)] {
        let good = array(items)
        var twice = items
        twice[Item.format.rawValue] = item { $0.unsigned(0) }
        twice[Item.reason.rawValue] = item { $0.unsigned(0) }
        return [
            ("nothing", [], "truncated"), ("a map", [0xa0], "unexpectedType"),
            ("6 items", array(Array(items.dropLast())), "invalid"),
            ("an eighth item that is a tag", array(items + [[0xc0, 0x00]]), "unsupported"),
            (
                "an eighth item that doesn't come", Array(array(items + [[0]]).dropLast()),
                "truncated"
            ),
            (
                "an eighth item of nine levels",
                array(items + [[UInt8](repeating: 0x81, count: 8) + [0x00]]), "tooDeep"
            ),
            ("an eighth item, and a byte more", array(items + [[0]]) + [0], "trailing"),
            ("format 2, and nothing else that is known", [0x82, 0x02, 0xf6], "invalid"),
            (
                "format 2, and other items behind it",
                array([item { $0.unsigned(2) }] + [[UInt8]](repeating: [0xf6], count: 6)), "later"
            ),
            ("a byte less", Array(good.dropLast()), "truncated"),
            ("a byte more", good + [0], "trailing"),
            ("a format that is longer than needed", with(.format, [0x18, 0]), "notShortest"),
            ("format 0 and reason 0", array(twice), "invalid"),
            ("65537 bytes", [UInt8](repeating: 0, count: 65_537), "tooLong"),
        ]
    }

    // MARK: Ends

    private static func origin(
        of key: DeviceKey = laptop, scope: String = "forum", incarnation: UInt64 = 0
    ) -> StreamOrigin {
        StreamOrigin(publicKey: key.publicKey, scope: scope, incarnation: incarnation)
    }

    private static func ends(
        _ name: String, _ cuts: [Cut], _ streams: [(StreamOrigin, StreamEnd?)]
    ) throws -> Vector {
        try Vector(
            "ends: \(name)",
            given: [
                "cuts": .array(cuts.map(JSON.cut)),
                "streams": .array(streams.map { .origin($0.0) }),
            ], when: "end",
            expect: ["ends": .array(streams.map { $0.1.map(JSON.end) ?? .null })], by: .cuts)
    }

    /// The end that a stream has; `nil` for one that goes on.
    private static func at(
        _ end: StreamEnd?, _ stream: StreamOrigin = origin()
    ) -> (StreamOrigin, StreamEnd?) {
        (stream, end)
    }

    private static func ended() throws -> [Vector] {
        let unnamed = [origin(incarnation: 5), origin(scope: "delegation/KZ"), origin(scope: "")]
        let others = origin(of: other)
        let hashes: [UInt8] = [0x80, 0x7f, 0xff]
        let named = make([stream(end(9))])
        return try [
            ends("no cut", [], [at(nil)]),
            ends(
                "another spelling of the scope", [make([stream(end(9), scope: "\u{e9}")])],
                [at(nil, origin(scope: "e\u{301}"))]),
            ends(
                "the lowest seq, whatever its hash",
                [
                    named, make([stream(end(4, in: 0xff))]),
                    make([stream(end(12, in: 0))], because: .fork),
                ], [at(end(4, in: 0xff))]),
            ends(
                "the lowest hash at one seq", hashes.map { make([stream(end(9, in: $0))]) },
                [at(end(9, in: 0x7f))]),
            ends(
                "the greatest of a stream that one cut names several times",
                [make([stream(end(9)), stream(end(4)), stream(end(12))])], [at(end(12))]),
            ends(
                "before the first changeset, beside a later one",
                [named, make([stream(.beforeFirst)])], [at(.beforeFirst)]),
            ends(
                "streams that no cut names", [named],
                unnamed.map { at(nil, $0) } + [at(end(9))]),
            ends(
                "streams that a whole cut doesn't name", [make([stream(end(9))], isWhole: true)],
                unnamed.map { at(.beforeFirst, $0) } + [at(end(9)), at(nil, others)]),
            ends(
                "a whole cut beside one that names the stream", [named, whole],
                [at(.beforeFirst)]),
            ends(
                "a reason that nobody knows",
                [named, make([stream(end(4))], because: Cut.Reason(rawValue: 77))],
                [at(end(4))]),
            ends(
                "another device's cut", [make([stream(end(9))], of: other)],
                [at(nil), at(end(9), others)]),
            ends(
                "another device's whole cut", [make(of: other, isWhole: true)],
                [at(nil), at(.beforeFirst, others)]),
        ]
    }
}
