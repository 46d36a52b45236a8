internal import Crypto

/// How the frames of a bundle lie in its file.
package enum BundleFrame {
    package static let magic: [UInt8] = [0x8b, 0x4b, 0x56, 0x4e, 0x0d, 0x0a, 0x1a, 0x0a]
    /// Kind, length and check.
    package static let headBytes = 9

    package enum Kind: UInt8 {
        case head = 1
        case contents = 2
        case foot = 3
        /// Bytes of a blob.
        case piece = 16
        /// Blobs that a hub has.
        case holdings = 17

        static let critical: UInt8 = 128
    }

    /// Of an archive: no kind that a reader of bundles knows.
    static let statement: UInt8 = 32

    static func limit(of kind: UInt8) -> Int {
        switch Kind(rawValue: kind) {
        case .head: Limits.bundleHeadBytes
        case .foot: Limits.bundleFootBytes
        case .contents, .piece, .holdings, nil: Limits.messageBytes
        }
    }

    static func bytes(_ kind: Kind, _ payload: [UInt8]) -> [UInt8] {
        bytes(kind.rawValue, payload)
    }

    static func bytes(_ kind: UInt8, _ payload: [UInt8]) -> [UInt8] {
        precondition(payload.count <= limit(of: kind), "a frame over its limit")
        let start = start(kind, payload.count)
        let check = check(start, payload)
        return start + withUnsafeBytes(of: check.bigEndian) { Array($0) } + payload
    }

    static func check(_ start: some Collection<UInt8>, _ payload: [UInt8]) -> UInt32 {
        var sum = CRC32C()
        sum.add(start)
        sum.add(payload)
        return sum.value
    }

    private static func start(_ kind: UInt8, _ count: Int) -> [UInt8] {
        [kind] + withUnsafeBytes(of: UInt32(count).bigEndian) { Array($0) }
    }
}

/// Makes the bytes of one bundle, frame by frame.
package struct BundleWriter {
    private let key: DeviceKey
    private let contentKey: ContentKey
    private let headDigest: Digest
    private var hash = SHA256()
    private var counts: [BundleFrame.Kind: UInt64] = [:]

    /// How many frames with contents were made.
    package var contentsCount: UInt64 { counts[.contents] ?? 0 }

    /// - Parameters:
    ///   - head: its sender is `key`, and `contentKey` is sealed in it.
    ///   - first: takes the first bytes.
    package init(
        head: BundleHead, key: DeviceKey, contentKey: ContentKey, first: ([UInt8]) throws -> Void
    ) rethrows {
        precondition(head.sender == key.publicKey, "another key signs than the one it names")
        let payload = head.encode()
        (self.key, self.contentKey) = (key, contentKey)
        headDigest = Digest(sha256: payload)
        let bytes = BundleFrame.magic + BundleFrame.bytes(.head, payload)
        hash.update(data: bytes)
        try first(bytes)
    }

    /// The bytes of the next frame. The first is the list.
    package mutating func frame(_ list: BundleList) -> [UInt8] {
        precondition(contentsCount == 0, "the list comes first")
        return frame(plain: list.encode())
    }

    package mutating func frame(_ runs: BundledRuns) -> [UInt8] {
        precondition(contentsCount > 0, "the list comes first")
        return frame(plain: runs.encode())
    }

    package mutating func frame(_ piece: BlobPart) -> [UInt8] {
        frame(plain: piece.encode(), kind: .piece)
    }

    package mutating func frame(_ holdings: BlobHoldings) -> [UInt8] {
        frame(plain: holdings.encode(), kind: .holdings)
    }

    /// What stands behind the head of an archive. Readers of bundles pass over it.
    package mutating func frame(_ statement: ArchiveStatement) -> [UInt8] {
        precondition(contentsCount == 0, "the statement comes first")
        let bytes = BundleFrame.bytes(BundleFrame.statement, statement.encode())
        hash.update(data: bytes)
        return bytes
    }

    /// Whatever lies in it.
    package mutating func frame(
        plain: [UInt8], kind: BundleFrame.Kind = .contents
    ) -> [UInt8] {
        let index = counts[kind] ?? 0
        let bytes = BundleFrame.bytes(
            kind, contentKey.seal(plain, kind: kind, index: index, head: headDigest))
        counts[kind] = index + 1
        hash.update(data: bytes)
        return bytes
    }

    /// The last bytes.
    package func foot(isLast: Bool) -> [UInt8] {
        let foot = BundleFoot(hash: Digest(Array(hash.finalize()))!, isLast: isLast, key: key)
        return BundleFrame.bytes(.foot, foot.encode())
    }

    /// How many bytes a frame with runs takes at most, and the foot behind it.
    package static func size(of runs: [SealedRun]) -> Int {
        runs.reduce(0) { $0 + $1.storedBytes + 32 } + 256 + BundleFrame.headBytes
            + ContentKey.tagBytes + footBytes
    }

    /// How many bytes the frame takes at most that has so many of a blob, and the foot behind it.
    package static func size(ofPiece count: Int) -> UInt64 { size(ofPlain: count + 256) }

    /// How many bytes a frame with holdings takes at most, and the foot behind it.
    package static func size(of holdings: BlobHoldings) -> UInt64 {
        size(ofPlain: holdings.blobs.count * 44 + 128)
    }

    private static func size(ofPlain count: Int) -> UInt64 {
        UInt64(count + BundleFrame.headBytes + ContentKey.tagBytes + footBytes)
    }

    private static let footBytes = BundleFrame.headBytes + 2 + 32 + 1 + 1 + 66
}

/// Reads one bundle from its beginning to its end, frame by frame: at most one lies in memory.
package struct BundleReader {
    package enum Frame {
        /// Sealed; see ``openList(_:by:)`` and ``openRuns(_:by:)``.
        case contents([UInt8])
        /// Sealed; see ``openPiece(_:by:)``.
        case piece([UInt8])
        /// Sealed; see ``openHoldings(_:by:)``.
        case holdings([UInt8])
        /// The end: all before it is as its sender signed it.
        case end(BundleFoot)
    }

    /// Where the next frame begins, in bytes.
    package private(set) var offset: UInt64 = 0
    package let head: BundleHead
    private let headDigest: Digest
    private let read: (Int) throws -> [UInt8]
    private var hash = SHA256()
    private var counts: [BundleFrame.Kind: UInt64] = [:]
    private var hasEnded = false

    /// Reads up to the head.
    ///
    /// - Parameter read: the next so many bytes of the file; fewer only at its end.
    /// - Throws: ``BundleError``, and what `read` throws.
    package init(reading read: @escaping (Int) throws -> [UInt8]) throws {
        self.read = read
        let magic = try read(BundleFrame.magic.count)
        guard magic == BundleFrame.magic else { throw BundleError(.notABundle, at: 0) }
        hash.update(data: magic)
        offset = UInt64(magic.count)
        let start = offset
        let (kind, bytes, payload) = try Self.frame(read, at: start)
        guard kind == BundleFrame.Kind.head.rawValue else {
            throw BundleError(kind < BundleFrame.Kind.critical ? .order : .later, at: start)
        }
        hash.update(data: bytes)
        hash.update(data: payload)
        offset += UInt64(bytes.count + payload.count)
        headDigest = Digest(sha256: payload)
        head = try Self.decode(at: start) { () throws(CBORError) in
            try BundleHead(decoding: payload)
        }
    }

    private static func decode<Result>(
        at offset: UInt64, _ body: () throws(CBORError) -> Result
    ) throws(BundleError) -> Result {
        do throws(CBORError) {
            return try body()
        } catch {
            throw BundleError(
                error.reason == .later ? .later : .unreadable(error.reason), at: offset)
        }
    }

    private static func frame(
        _ read: (Int) throws -> [UInt8], at offset: UInt64
    ) throws -> (kind: UInt8, start: [UInt8], payload: [UInt8]) {
        let start = try read(BundleFrame.headBytes)
        guard start.count == BundleFrame.headBytes else { throw BundleError(.short, at: offset) }
        let count = start[1..<5].reduce(0) { $0 << 8 | Int($1) }
        guard count <= BundleFrame.limit(of: start[0]) else {
            throw BundleError(.tooLong, at: offset)
        }
        let payload = try read(count)
        guard payload.count == count else { throw BundleError(.short, at: offset) }
        let check = start[5...].reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
        guard check == BundleFrame.check(start[..<5], payload) else {
            throw BundleError(.damaged, at: offset)
        }
        return (start[0], start, payload)
    }

    /// The next frame that this build knows. Not to be called behind the end.
    package mutating func next() throws -> Frame {
        precondition(!hasEnded, "nothing lies behind the end")
        while true {
            let start = offset
            let (kind, bytes, payload) = try Self.frame(read, at: start)
            offset += UInt64(bytes.count + payload.count)
            switch BundleFrame.Kind(rawValue: kind) {
            case .head: throw BundleError(.order, at: start)
            case .foot: return .end(try end(payload, at: start))
            case let known?:
                hash.update(data: bytes)
                hash.update(data: payload)
                counts[known, default: 0] += 1
                return switch known {
                case .piece: .piece(payload)
                case .holdings: .holdings(payload)
                default: .contents(payload)
                }
            case nil:
                guard (4..<BundleFrame.Kind.critical).contains(kind) else {
                    throw BundleError(kind == 0 ? .order : .later, at: start)
                }
                hash.update(data: bytes)
                hash.update(data: payload)
            }
        }
    }

    private mutating func end(_ payload: [UInt8], at start: UInt64) throws -> BundleFoot {
        guard contentsCount > 0 else { throw BundleError(.order, at: start) }
        let foot = try Self.decode(at: start) { () throws(CBORError) in
            try BundleFoot(decoding: payload)
        }
        guard foot.hash.bytes == Array(hash.finalize()) else {
            throw BundleError(.hash, at: start)
        }
        guard try read(1).isEmpty else { throw BundleError(.trailing, at: offset) }
        guard foot.isSigned(by: head.sender) else { throw BundleError(.signature, at: start) }
        hasEnded = true
        return foot
    }

    /// What lies in the frame that came last, if that is the first with contents.
    package func openList(_ payload: [UInt8], by key: ContentKey) throws(BundleError) -> BundleList
    {
        try open(payload, .contents, by: key) { plain throws(CBORError) in
            try BundleList(decoding: plain)
        }
    }

    /// What lies in the frame that came last, if that is a further one with contents.
    package func openRuns(_ payload: [UInt8], by key: ContentKey) throws(BundleError) -> BundledRuns
    {
        try open(payload, .contents, by: key) { plain throws(CBORError) in
            try BundledRuns(decoding: plain)
        }
    }

    /// What lies in the frame that came last, if that is a piece.
    package func openPiece(_ payload: [UInt8], by key: ContentKey) throws(BundleError) -> BlobPart {
        try open(payload, .piece, by: key) { plain throws(CBORError) in
            try BlobPart(decoding: plain)
        }
    }

    /// What lies in the frame that came last, if that has holdings.
    package func openHoldings(
        _ payload: [UInt8], by key: ContentKey
    ) throws(BundleError) -> BlobHoldings {
        try open(payload, .holdings, by: key) { plain throws(CBORError) in
            try BlobHoldings(decoding: plain)
        }
    }

    /// How many frames with contents were read.
    package var contentsCount: UInt64 { counts[.contents] ?? 0 }

    private func open<Result>(
        _ payload: [UInt8], _ kind: BundleFrame.Kind, by key: ContentKey,
        _ decode: ([UInt8]) throws(CBORError) -> Result
    ) throws(BundleError) -> Result {
        let start = offset - UInt64(payload.count + BundleFrame.headBytes)
        let index = (counts[kind] ?? 0) - 1
        guard let plain = key.open(payload, kind: kind, index: index, head: headDigest) else {
            throw BundleError(.sealed, at: start)
        }
        return try Self.decode(at: start) { () throws(CBORError) in try decode(plain) }
    }
}
