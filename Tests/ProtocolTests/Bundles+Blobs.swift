import Causality
import SyncProtocol

/// What bundles have of blobs: each rule of 13-blobs §5 once.
extension BundleVectors {
    static let pieces = [
        BlobPart(name: photo, size: 5, offset: 0, bytes: [1, 2, 3]),
        BlobPart(name: photo, size: 5, offset: 3, bytes: [4, 5]),
        BlobPart(
            name: BlobName(scope: "forum", digest: Digest([UInt8](repeating: 2, count: 32))!),
            size: 33_554_433, offset: 33_554_432, bytes: [6]),
    ]

    private static let photo = BlobName(
        scope: "delegation/KZ", digest: Digest([UInt8](repeating: 1, count: 32))!)

    static let holdings = [
        BlobHoldings(
            scope: "delegation/KZ",
            blobs: [
                BlobHoldings.Blob(digest: photo.digest, size: 5),
                BlobHoldings.Blob(digest: photo.digest, size: .max),
            ]),
        BlobHoldings(scope: "", blobs: [BlobHoldings.Blob(digest: photo.digest, size: 0)]),
    ]

    private static let plainHead = array(items(of: head()))

    /// A bundle with an empty list and what goes behind it.
    private static func file(behind frames: [Frame]) -> [UInt8] {
        let list = sealed(Self.list().encode(), 0, below: plainHead)
        return file([Frame(kind: 1, payload: plainHead), list] + frames)
    }

    private static func piece(_ plain: [UInt8], _ index: UInt64 = 0) -> Frame {
        sealed(plain, index, kind: .piece, below: plainHead)
    }

    private static func held(_ plain: [UInt8], _ index: UInt64 = 0) -> Frame {
        sealed(plain, index, kind: .holdings, below: plainHead)
    }

    private static func pieceItems(
        _ scope: String = "forum", size: UInt64 = 5, offset: UInt64 = 0,
        _ bytes: [UInt8] = [1, 2, 3]
    ) -> [[UInt8]] {
        [
            MessageVectors.text(scope), MessageVectors.blob(MessageVectors.hash),
            MessageVectors.unsigned(size), MessageVectors.unsigned(offset),
            MessageVectors.blob(bytes),
        ]
    }

    private static func heldItems(
        _ scope: String = "forum", _ blobs: [[UInt8]] = [blobItem()]
    ) -> [[UInt8]] {
        [MessageVectors.text(scope), array(blobs)]
    }

    private static func blobItem(further: [[UInt8]] = []) -> [UInt8] {
        array([MessageVectors.blob(MessageVectors.hash), MessageVectors.unsigned(5)] + further)
    }

    private static let more: [[UInt8]] = [[0xf6], [0x81, 0x01]]

    static func blobs() throws -> [Vector] {
        let all =
            pieces.enumerated().map { piece($1.encode(), UInt64($0)) }
            + holdings.enumerated().map { held($1.encode(), UInt64($0)) }
        return [
            try read("pieces of blobs, and holdings", file(behind: all)),
            try read(
                "holdings between pieces",
                file(behind: [
                    piece(pieces[0].encode()), held(holdings[0].encode()),
                    piece(pieces[1].encode(), 1),
                ])),
            try read(
                "a piece before the list",
                file([
                    Frame(kind: 1, payload: plainHead), piece(pieces[0].encode()),
                    sealed(Self.list().encode(), 0, below: plainHead),
                ])),
            try read(
                "further items beside a piece and holdings",
                file(behind: [
                    piece(array(pieceItems() + more)),
                    held(array(heldItems("forum", [blobItem(further: more)]) + more)),
                ])),
            try read(
                "a piece of the greatest length",
                file(behind: [
                    piece(
                        array(
                            pieceItems(
                                size: .max, offset: .max - 262_144,
                                [UInt8](repeating: 7, count: 262_144))))
                ])),
        ]
    }

    static func refusedBlobs() throws -> [Vector] {
        func vector(
            _ name: String, _ frames: [Frame], _ reason: String
        ) throws -> Vector {
            let vector = try read(name, file(behind: frames))
            guard vector.expect["reject"] == .string(reason) else {
                throw VectorError("\(name): \(vector.expect.document), not \(reason)")
            }
            return vector
        }
        let plain = pieces[0].encode()
        let long = String(repeating: "k", count: 65)
        return [
            try vector(
                "a piece sealed as contents",
                [Frame(kind: 16, payload: sealed(plain, 1, below: plainHead).payload)], "sealed"),
            try vector(
                "a piece sealed as holdings", [Frame(kind: 16, payload: held(plain).payload)],
                "sealed"),
            try vector("a piece that is counted with contents", [piece(plain, 1)], "sealed"),
            try vector("a piece of no bytes", [Frame(kind: 16, payload: [])], "sealed"),
            try vector(
                "the second piece as the first", [piece(plain), piece(plain)], "sealed"),
            try vector("a piece of four items", [piece(array(pieceItems().dropLast()))], "invalid"),
            try vector(
                "a piece without bytes", [piece(array(pieceItems("forum", [])))], "outOfRange"),
            try vector(
                "a piece behind its blob", [piece(array(pieceItems(size: 5, offset: 3)))],
                "outOfRange"),
            try vector(
                "a piece that is too long",
                [
                    piece(
                        array(
                            pieceItems(size: .max, [UInt8](repeating: 7, count: 262_145))))
                ], "tooLong"),
            try vector("a piece of a long scope", [piece(array(pieceItems(long)))], "tooLong"),
            try vector("a byte behind a piece", [piece(plain + [0])], "trailing"),
            try vector("a piece that is cut", [piece(plain.dropLast())], "truncated"),
            try vector("no holdings", [held(array(heldItems("forum", [])))], "invalid"),
            try vector("holdings of one item", [held(array([heldItems()[0]]))], "invalid"),
            try vector(
                "a holding of one item",
                [
                    held(
                        array(
                            heldItems("forum", [array([MessageVectors.blob(MessageVectors.hash)])]))
                    )
                ],
                "invalid"),
            try vector(
                "a holding with a short digest",
                [held(array(heldItems("forum", [array([MessageVectors.blob([1]), [0x05]])])))],
                "invalid"),
            try vector("a byte behind holdings", [held(holdings[0].encode() + [0])], "trailing"),
            try vector(
                "holdings sealed as a piece",
                [Frame(kind: 17, payload: piece(holdings[0].encode()).payload)], "sealed"),
        ]
    }
}
