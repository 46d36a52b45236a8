import SyncProtocol

/// Messages by hand: each rule of 13-blobs §2 once.
enum BlobVectors {
    typealias Bytes = MessageVectors

    static func vectors() throws -> [Vector] { try requests() + replies() }

    private static func vector(
        _ kind: String, _ name: String, _ bytes: [UInt8], reject reason: String? = nil
    ) throws -> Vector {
        let given: JSON = ["bytes": .bytes(bytes)]
        guard let reason else {
            let vector = try Vector(
                "\(kind): \(name)", given: given, when: .string(kind), by: .blobs)
            guard vector.expect["reject"] == nil else {
                throw VectorError("\(kind), \(name): refused with \(vector.expect.document)")
            }
            return vector
        }
        return try Vector(
            "\(kind): \(name)", given: given, when: .string(kind),
            expect: ["reject": .string(reason)], by: .blobs)
    }

    // MARK: Requests

    private static func ask(
        _ scope: String = "forum", digest: [UInt8] = Bytes.hash, from: [UInt8] = Bytes.null,
        further: [[UInt8]] = []
    ) -> [UInt8] {
        Bytes.array([Bytes.text(scope), Bytes.blob(digest), from] + further)
    }

    private static func part(
        _ scope: String = "delegation/KZ", size: UInt64 = 5, offset: UInt64 = 0,
        _ bytes: [UInt8] = [1, 2, 3, 4, 5], further: [[UInt8]] = []
    ) -> [UInt8] {
        Bytes.array(
            [
                Bytes.text(scope), Bytes.blob(Bytes.hash), Bytes.unsigned(size),
                Bytes.unsigned(offset), Bytes.blob(bytes),
            ] + further)
    }

    private static func request(
        format: UInt64 = 1, _ asks: [[UInt8]] = [], _ part: [UInt8] = Bytes.null,
        further: [[UInt8]] = []
    ) -> [UInt8] {
        Bytes.array([Bytes.unsigned(format), Bytes.array(asks), part] + further)
    }

    private static func requests() throws -> [Vector] {
        let whole = [UInt8](repeating: 7, count: 262_144)
        let good: [(String, [UInt8])] = [
            ("of nothing", request()), ("how much is held", request([ask()])),
            (
                "bytes from their start, and behind any",
                request([
                    ask(from: Bytes.unsigned(0)), ask("a", from: Bytes.unsigned(.max)),
                ])
            ), ("the same twice", request([ask(), ask()])),
            ("a blob of one part", request([], part())),
            (
                "the last byte of the largest",
                request([], part(size: 33_554_432, offset: 33_554_431, [9]))
            ),
            ("a size that no blob has", request([], part(size: .max, offset: 0, [1]))),
            ("the greatest part", request([], part(size: 262_144, whole))),
            ("an ask and a part", request([ask(from: Bytes.unsigned(262_144))], part())),
            ("256 asks", request((0..<256).map { ask("\($0)") })),
            (
                "with further items, of each array",
                request(
                    [ask(further: Bytes.strange)], part(further: Bytes.strange), further: [[0x00]])
            ),
        ]
        let wrong: [(String, [UInt8], String)] = [
            ("format 0", request(format: 0), "invalid"), ("format 2", request(format: 2), "later"),
            ("two items", Bytes.array(Bytes.unsigned(1), Bytes.array([])), "invalid"),
            ("a byte behind", request() + [0], "trailing"),
            ("cut short", Array(request([], part()).dropLast()), "truncated"),
            ("257 asks", request((0...256).map { ask("\($0)") }), "tooLong"),
            ("a scope of 65 bytes", request([ask(String(repeating: "s", count: 65))]), "tooLong"),
            (
                "a digest of 31 bytes", request([ask(digest: Array(Bytes.hash.dropLast()))]),
                "invalid"
            ),
            (
                "an ask of two items",
                request([Bytes.array(Bytes.text("forum"), Bytes.blob(Bytes.hash))]), "invalid"
            ),
            (
                "from before the start", request([ask(from: Bytes.item { $0.integer(-1) })]),
                "unexpectedType"
            ),
            ("from as a text", request([ask(from: Bytes.text("0"))]), "unexpectedType"),
            (
                "a part of four items",
                request(
                    [],
                    Bytes.array(
                        Bytes.text("forum"), Bytes.blob(Bytes.hash), Bytes.unsigned(1),
                        Bytes.unsigned(0))),
                "invalid"
            ),
            ("a part of no bytes", request([], part("forum", [])), "outOfRange"),
            ("a part that ends behind the blob", request([], part(size: 4)), "outOfRange"),
            ("a part that begins behind it", request([], part(size: 4, offset: 5)), "outOfRange"),
            ("an offset that wraps around", request([], part(size: 4, offset: .max)), "outOfRange"),
            ("a part that is too long", request([], part(size: 262_145, whole + [7])), "tooLong"),
            ("a further item that is too deep", request(further: [Bytes.deep]), "tooDeep"),
        ]
        return try good.map { try vector("blob request", $0, $1) }
            + wrong.map { try vector("blob request", $0, $1, reject: $2) }
    }

    // MARK: Replies

    private static func holding(
        _ held: UInt64 = 5, _ size: UInt64 = 5, _ bytes: [UInt8] = [], further: [[UInt8]] = []
    ) -> [UInt8] {
        Bytes.array(
            [Bytes.unsigned(held), Bytes.unsigned(size), Bytes.blob(bytes)] + further)
    }

    private static func reply(
        format: UInt64 = 1, _ holdings: [[UInt8]] = [], _ taken: [UInt8] = Bytes.null,
        further: [[UInt8]] = []
    ) -> [UInt8] {
        Bytes.array([Bytes.unsigned(format), Bytes.array(holdings), taken] + further)
    }

    private static func replies() throws -> [Vector] {
        let whole = [UInt8](repeating: 7, count: 262_144)
        let refusal = Bytes.array(Bytes.unsigned(7), Bytes.text("not here"))
        let good: [(String, [UInt8])] = [
            ("to nothing", reply()), ("nothing is held", reply([Bytes.null, Bytes.null])),
            (
                "whole with bytes, whole without, first bytes, none",
                reply([
                    holding(5, 5, [4, 5]), holding(), holding(2, 5), holding(0, .max), Bytes.null,
                ])
            ), ("the greatest part", reply([holding(262_144, 262_144, whole)])),
            ("a part that was taken", reply([], holding(2, 5))),
            ("a part that was refused", reply([holding()], Bytes.array(refusal))),
            (
                "refused in a way of later builds",
                reply([], Bytes.array(Bytes.array(Bytes.unsigned(99), Bytes.text(""))))
            ),
            (
                "with further items, of each array",
                reply(
                    [holding(further: Bytes.strange)], holding(further: Bytes.strange),
                    further: [[0x00]])
            ),
        ]
        let wrong: [(String, [UInt8], String)] = [
            ("format 0", reply(format: 0), "invalid"), ("format 2", reply(format: 2), "later"),
            ("two items", Bytes.array(Bytes.unsigned(1), Bytes.array([])), "invalid"),
            ("257 holdings", reply([[UInt8]](repeating: Bytes.null, count: 257)), "tooLong"),
            ("more held than there is", reply([holding(6, 5)]), "outOfRange"),
            (
                "a holding of two items",
                reply([Bytes.array(Bytes.unsigned(1), Bytes.unsigned(1))]), "invalid"
            ),
            ("a holding of one item", reply([Bytes.array(Bytes.unsigned(1))]), "invalid"),
            (
                "more held than there is, and too many bytes",
                reply([holding(262_146, 262_145, whole + [7])]), "outOfRange"
            ),
            ("more taken than there is", reply([], holding(6, 5)), "outOfRange"),
            ("bytes that are too long", reply([holding(262_145, 262_145, whole + [7])]), "tooLong"),
            ("taken of no items", reply([], Bytes.array([])), "invalid"),
            (
                "taken of two", reply([], Bytes.array(Bytes.unsigned(1), Bytes.unsigned(1))),
                "invalid"
            ),
            (
                "taken of one that is no refusal", reply([], Bytes.array(Bytes.unsigned(1))),
                "unexpectedType"
            ),
            ("a byte behind", reply() + [0], "trailing"),
        ]
        return try good.map { try vector("blob reply", $0, $1) }
            + wrong.map { try vector("blob reply", $0, $1, reject: $2) }
    }
}
