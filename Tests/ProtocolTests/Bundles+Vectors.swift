import Causality
import SyncProtocol

/// Keys: 1 is the sender's, 2 and 3 of those whom the bundle is for, 4 a stranger's, 9 the root's.
enum BundleVectors {
    private static let contentKey = ContentKey(bytes: [UInt8](repeating: 7, count: 32))
    private static let root = Fixed.key(9).device
    private static let series = Identifier(high: 0x0102_0304_0506_0708, low: 0x090a_0b0c_0d0e_0f10)
    private static let made: Int64 = 1_764_000_000_000

    /// Sealing draws a key at random: these were drawn once, for ``head(part:)`` with part 1, by device.
    private static let boxes: [(key: UInt8, enc: String, box: String)] = [
        (
            2, "8c0d1f4e7132bcf1ddd9b8c4ccbe784821a61ae0e875adf724e0b1f8a8aadf17",
            "e5b4ae9159b69d98c54717ac03956404083bdf34ff9ac434b11238f169559b6ceb5d22e77e97d58953c6a1c17c367ffa"
        ),
        (
            3, "cccc66814e6a7e2e815f1cbb0131f17bcca5b6baaeeb012089058b6c2fa0102f",
            "8a0e7c3cbc8a5b7c1e128ae9123f7b302602c6d22080c20603bf575370f983949e6d2eff16607395b576f84dd8e53c63"
        ),
    ]

    static func vectors() throws -> [Vector] {
        try opened() + written() + good() + blobs() + refusedFrames() + refusedHeads()
            + refusedContents() + refusedBlobs()
    }

    // MARK: By hand

    static func head(part: UInt64 = 1, by key: DeviceKey = Fixed.key(1)) -> BundleHead {
        var head = BundleHead(
            sender: key.publicKey, root: root, madeMilliseconds: made, series: series, part: part)
        head.recipients = boxes.map { number, enc, box in
            BundleHead.Recipient(
                device: Fixed.key(number).device, encapsulatedKey: [UInt8](hexadecimal: enc)!,
                box: [UInt8](hexadecimal: box)!)
        }.sorted { $0.device < $1.device }
        return head
    }

    private static func run(_ number: UInt8, scope: String = "forum") throws -> SealedRun {
        let draft = RunDraft(number, scope: scope, body: [0x80])
        return try SealedRun(
            storedHeader: draft.header, seal: draft.parts.signature, body: draft.body)
    }

    static func list(heads: [RunStub] = []) -> BundleList {
        BundleList(
            schemaVersion: 6, epoch: nil,
            scopes: [BundleList.Scope(scope: "forum", heads: heads)])
    }

    struct Frame {
        var kind: UInt8
        var payload: [UInt8]
    }

    private static func frame(_ frame: Frame) -> [UInt8] {
        let length = withUnsafeBytes(of: UInt32(frame.payload.count).bigEndian) { Array($0) }
        let start = [frame.kind] + length
        return start + check(start + frame.payload) + frame.payload
    }

    /// CRC-32C, bit by bit.
    private static func check(_ bytes: [UInt8]) -> [UInt8] {
        var sum = UInt32.max
        for byte in bytes {
            sum ^= UInt32(byte)
            for _ in 0..<8 { sum = sum & 1 == 0 ? sum >> 1 : (sum >> 1) ^ 0x82f6_3b78 }
        }
        return withUnsafeBytes(of: (~sum).bigEndian) { Array($0) }
    }

    private static let magic: [UInt8] = [0x8b, 0x4b, 0x56, 0x4e, 0x0d, 0x0a, 0x1a, 0x0a]

    static func item(_ write: (inout CBOREncoder) -> Void) -> [UInt8] {
        MessageVectors.item(write)
    }

    static func array(_ items: [[UInt8]]) -> [UInt8] { MessageVectors.array(items) }

    /// What the head says, item by item.
    static func items(of head: BundleHead) -> [[UInt8]] {
        [
            MessageVectors.unsigned(1), MessageVectors.blob(head.sender),
            MessageVectors.blob(head.root.bytes), item { $0.integer(head.madeMilliseconds) },
            MessageVectors.blob(head.series.bytes), MessageVectors.unsigned(head.part),
            array(
                head.recipients.map { recipient in
                    array([
                        MessageVectors.blob(recipient.device.bytes),
                        MessageVectors.blob(recipient.encapsulatedKey),
                        MessageVectors.blob(recipient.box),
                    ])
                }),
        ]
    }

    /// Contents as they lie below a head.
    static func sealed(
        _ plain: [UInt8], _ index: UInt64, kind: BundleFrame.Kind = .contents,
        below head: [UInt8]
    ) -> Frame {
        Frame(
            kind: kind.rawValue,
            payload: contentKey.seal(
                plain, kind: kind, index: index, head: Digest(sha256: head)))
    }

    private static func foot(
        behind bytes: [UInt8], isLast: Bool = true, by key: DeviceKey = Fixed.key(1),
        further: [[UInt8]] = []
    ) -> Frame {
        let hash = Digest(sha256: bytes)
        return Frame(
            kind: 3,
            payload: array(
                [
                    MessageVectors.blob(hash.bytes), item { $0.bool(isLast) },
                    MessageVectors.blob(key.sign(Digest(.bundle, hash.bytes, [isLast ? 1 : 0]))),
                ] + further))
    }

    static func file(
        head: [UInt8], _ plains: [[UInt8]], by key: DeviceKey = Fixed.key(1)
    ) -> [UInt8] {
        file(
            [Frame(kind: 1, payload: head)]
                + plains.enumerated().map { sealed($1, UInt64($0), below: head) }, by: key)
    }

    static func file(_ frames: [Frame], by key: DeviceKey = Fixed.key(1)) -> [UInt8] {
        let bytes = magic + frames.flatMap(frame)
        return bytes + frame(foot(behind: bytes, by: key))
    }

    private static func plain(_ runs: [SealedRun], in scope: String = "forum") -> [UInt8] {
        BundledRuns(scope: scope, runs: runs).encode()
    }

    private static func whole() throws -> [UInt8] {
        file(
            head: array(items(of: head())),
            [list(heads: [RunStub(try run(1))]).encode(), plain([try run(1), try run(2)])])
    }

    // MARK: Vectors

    static func read(
        _ name: String, _ bytes: [UInt8], by key: UInt8 = 2, root: DeviceID = root
    ) throws -> Vector {
        try Vector(
            "read: \(name)",
            given: [
                "bytes": .bytes(bytes), "seed": .hex([UInt8](repeating: key, count: 32)),
                "root": .hex(root.bytes),
            ], when: "read", by: .bundles)
    }

    private static func opened() throws -> [Vector] {
        func vector(
            _ name: String, by key: UInt8, _ number: UInt8, part: UInt64 = 1, sender: UInt8 = 1,
            damaged: Bool = false
        ) throws -> Vector {
            let found = boxes.first { $0.key == number }!
            var box = [UInt8](hexadecimal: found.box)!
            if damaged { box[47] ^= 1 }
            return try Vector(
                "box: \(name)",
                given: [
                    "seed": .hex([UInt8](repeating: key, count: 32)),
                    "sender": .hex(Fixed.key(sender).publicKey), "root": .hex(root.bytes),
                    "series": .hex(series.bytes), "part": .number(part), "enc": .string(found.enc),
                    "box": .hex(box),
                ], when: "box", by: .bundles)
        }
        return [
            try vector("of a recipient", by: 2, 2), try vector("of another", by: 3, 3),
            try vector("somebody else's", by: 3, 2),
            try vector("of another part", by: 2, 2, part: 2),
            try vector("under another sender", by: 2, 2, sender: 4),
            try vector("with a flipped bit", by: 2, 2, damaged: true),
        ]
    }

    private static func written() throws -> [Vector] {
        func vector(
            _ name: String, _ frames: [BundledRuns], _ pieces: [BlobPart] = [],
            _ holdings: [BlobHoldings] = [], isLast: Bool
        ) throws -> Vector {
            var given: JSON = [
                "seed": .hex([UInt8](repeating: 1, count: 32)),
                "contentKey": .hex(contentKey.bytes), "root": .hex(root.bytes),
                "made": .number(made), "series": .hex(series.bytes), "part": .number(1),
                "recipients": .array(
                    head().recipients.map {
                        [
                            "device": .hex($0.device.bytes), "enc": .hex($0.encapsulatedKey),
                            "box": .hex($0.box),
                        ]
                    }),
                "list": .list(list(heads: [RunStub(try run(1))])),
                "frames": .array(
                    frames.map {
                        [
                            "scope": .text($0.scope), "runs": .array($0.runs.map(JSON.run)),
                        ]
                    }), "last": .bool(isLast),
            ]
            if !pieces.isEmpty { given["pieces"] = .array(pieces.map(JSON.part)) }
            if !holdings.isEmpty { given["holdings"] = .array(holdings.map(JSON.holdings)) }
            return try Vector("write: \(name)", given: given, when: "write", by: .bundles)
        }
        return [
            try vector("without runs", [], isLast: true),
            try vector(
                "two frames, with more to come",
                [
                    BundledRuns(scope: "forum", runs: [try run(1), try run(2)]),
                    BundledRuns(
                        scope: "delegation/KZ", runs: [try run(1, scope: "delegation/KZ")]),
                ], isLast: false),
            try vector("pieces of a blob and holdings", [], pieces, holdings, isLast: true),
        ]
    }

    private static func good() throws -> [Vector] {
        let more: [[UInt8]] = [[0xf6], [0x81, 0x01]]
        let wide = array(items(of: head()) + more)
        var listItems = [MessageVectors.unsigned(6), [0xf6], array([])]
        let later = Frame(kind: 4, payload: [1, 2, 3])
        let plainHead = array(items(of: head()))
        let emptyList = array(listItems)
        listItems += more
        let runs = array([MessageVectors.text("forum"), array([try runItem(1)])] + more)
        var withFoot = magic
        withFoot += frame(Frame(kind: 1, payload: plainHead))
        withFoot += frame(sealed(emptyList, 0, below: plainHead))
        return [
            try read("a bundle", whole()), try read("by another recipient", whole(), by: 3),
            try read("further items in the head", file(head: wide, [emptyList])),
            try read("further items in the list", file(head: plainHead, [array(listItems)])),
            try read("further items beside runs", file(head: plainHead, [emptyList, runs])),
            try read("more to come", withFoot + frame(foot(behind: withFoot, isLast: false))),
            try read(
                "frames of later builds",
                file([
                    Frame(kind: 1, payload: plainHead), later,
                    sealed(emptyList, 0, below: plainHead), Frame(kind: 127, payload: []),
                ])),
        ]
    }

    /// A run as an item of a message.
    private static func runItem(_ number: UInt8) throws -> [UInt8] {
        // [scope, [run]] without what stands before the run.
        let bytes = plain([try run(number)])
        return Array(bytes.dropFirst(1 + 6 + 1))
    }

    private static func refusedFrames() throws -> [Vector] {
        let bytes = try whole()
        let headFrame = Frame(kind: 1, payload: array(items(of: head())))
        let list = sealed(Self.list().encode(), 0, below: headFrame.payload)
        var vectors = [
            try read("nothing", []), try read("the magic alone", magic),
            try read("another magic", [0x8a] + bytes.dropFirst()),
            try read("without its last byte", bytes.dropLast()),
            try read("a byte behind it", bytes + [0]),
            try read("no contents", file([headFrame])),
            try read("no head", file([list])), try read("two heads", file([headFrame, headFrame])),
            try read(
                "the list behind runs",
                file([
                    headFrame, sealed(plain([try run(1)]), 0, below: headFrame.payload), list,
                ])),
            try read(
                "contents in another order",
                file([headFrame, sealed(plain([try run(1)]), 1, below: headFrame.payload), list])),
            try read("kind 0", file([headFrame, list, Frame(kind: 0, payload: [])])),
            try read("kind 128", file([headFrame, list, Frame(kind: 128, payload: [])])),
            try read("kind 128 first", file([Frame(kind: 128, payload: []), headFrame, list])),
            try read("without a foot", magic + frame(headFrame) + frame(list)),
            try read("signed by another", file([headFrame, list], by: Fixed.key(4))),
            try read("of another forum", bytes, root: Fixed.key(8).device),
            try read("for others", bytes, by: 4),
        ]
        for (name, place) in [
            ("the head", 30), ("the contents", 400), ("the foot", bytes.count - 3),
        ] {
            var changed = bytes
            changed[place] ^= 1
            vectors.append(try read("a flipped bit in \(name)", changed))
        }
        for (name, kind, limit) in [
            ("head", UInt8(1), 65_536), ("contents", 2, 4_194_304), ("foot", 3, 4_096),
        ] {
            let start = kind == 1 ? magic : magic + frame(headFrame) + frame(list)
            let long = withUnsafeBytes(of: UInt32(limit + 1).bigEndian) { Array($0) }
            vectors.append(
                try read("a \(name) over its limit", start + [kind] + long + [0, 0, 0, 0]))
        }
        let other = magic + frame(headFrame)
        vectors.append(
            try read(
                "another hash", magic + frame(headFrame) + frame(list) + frame(foot(behind: other)))
        )
        let before: [UInt8] = magic + frame(headFrame) + frame(list)
        let four = frame(foot(behind: before, further: [[0xf6]]))
        vectors.append(try read("a foot of four items", before + four))
        var swapped = list
        swapped.payload[5] ^= 1
        vectors.append(try read("sealed otherwise", file([headFrame, swapped])))
        return vectors
    }

    private static func refusedHeads() throws -> [Vector] {
        let list = Self.list().encode()
        func head(_ index: Int, _ bytes: [UInt8]) -> [UInt8] {
            var items = items(of: Self.head())
            items[index] = bytes
            return array(items)
        }
        let recipients = Self.head().recipients
        func several(_ recipients: [BundleHead.Recipient]) -> [UInt8] {
            var head = Self.head()
            head.recipients = recipients
            return array(items(of: head))
        }
        let many = (0..<257).map { number in
            BundleHead.Recipient(
                device: DeviceID(
                    [UInt8(number >> 8), UInt8(number & 255)] + [UInt8](repeating: 0, count: 30))!,
                encapsulatedKey: recipients[0].encapsulatedKey, box: recipients[0].box)
        }
        var short = items(of: Self.head())
        short.removeLast()
        var moved = Self.head()
        moved.recipients = [recipients[0], recipients[1]].map { recipient in
            var recipient = recipient
            recipient.box = recipients[0].box
            return recipient
        }
        func bytes(_ count: Int) -> [UInt8] {
            MessageVectors.blob([UInt8](repeating: 1, count: count))
        }
        let behind: [UInt8] = array(items(of: Self.head())) + [0x00]
        let real: [UInt8] = item { $0.real(1) }
        let cases: KeyValuePairs<String, [UInt8]> = [
            "format 0": head(0, [0x00]), "format 2": head(0, [0x02]),
            "a sender of 31 bytes": head(1, bytes(31)), "a root that is null": head(2, [0xf6]),
            "made at a real": head(3, real), "a series of 17 bytes": head(4, bytes(17)),
            "part 0": head(5, [0x00]), "nobody": several([]),
            "recipients in another order": several(recipients.reversed()),
            "a recipient twice": several([recipients[0], recipients[0]]),
            "257 recipients": several(many), "six items": array(short),
            "a byte behind it": behind, "another's box": array(items(of: moved)),
        ]
        var vectors: [Vector] = []
        for (name, bytes) in cases {
            vectors.append(try read("head: \(name)", file(head: bytes, [list])))
        }
        let stolen = array(items(of: Self.head(by: Fixed.key(4))))
        vectors.append(
            try read("another sender's boxes", file(head: stolen, [list], by: Fixed.key(4))))
        return vectors
    }

    private static func refusedContents() throws -> [Vector] {
        let head = array(items(of: head()))
        let good = Self.list().encode()
        let forum: [UInt8] = MessageVectors.text("forum")
        let scope: [UInt8] = array([forum, array([])])
        let nothing = MessageVectors.stub(0, run: [UInt8](repeating: 0, count: 32))
        let short: [UInt8] = MessageVectors.blob([UInt8](repeating: 1, count: 15))
        func list(_ scopes: [[UInt8]]) -> [UInt8] { array([[0x06], [0xf6], array(scopes)]) }
        let many = (0..<257).map { array([MessageVectors.text("t/\($0)"), array([])]) }
        let lists: KeyValuePairs<String, [UInt8]> = [
            "no array": [0x00], "two items": array([[0x06], [0xf6]]),
            "an epoch of 15 bytes": array([[0x06], short, array([])]),
            "a scope twice": list([scope, scope]), "257 scopes": list(many),
            "a head of nothing": list([array([forum, array([nothing])])]),
            "a byte behind it": good + [0x00],
        ]
        let item = try runItem(1)
        let runs: KeyValuePairs<String, [UInt8]> = [
            "no runs": array([forum, array([])]),
            "no scope": array([[0xf6], array([item])]),
            "a run that is a name": array([forum, array([MessageVectors.stub()])]),
            "a byte behind it": plain([try run(1)]) + [0x00],
        ]
        var vectors: [Vector] = []
        for (name, bytes) in lists {
            vectors.append(try read("list: \(name)", file(head: head, [bytes])))
        }
        for (name, bytes) in runs {
            vectors.append(try read("runs: \(name)", file(head: head, [good, bytes])))
        }
        return vectors
    }
}
