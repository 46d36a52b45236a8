import Causality
import SyncProtocol
import Testing

/// A bundle as bytes: what is read is what was written, and everything else is refused.
@Suite struct BundleBytes {
    private static let (sender, friend, stranger) = (DeviceKey(), DeviceKey(), DeviceKey())
    private static let root = DeviceKey().device
    private static let list = BundleList(
        schemaVersion: 3, epoch: Identifier(high: 1, low: 2),
        scopes: [BundleList.Scope(scope: "forum", heads: [RunStub(run(1))])])

    private static let blob = BlobName(scope: "forum", digest: Digest(sha256: [1, 2, 3, 4, 5]))
    private static let pieces = [
        BlobPart(name: blob, size: 5, offset: 0, bytes: [1, 2, 3]),
        BlobPart(name: blob, size: 5, offset: 3, bytes: [4, 5]),
    ]
    private static let holdings = BlobHoldings(
        scope: "forum", blobs: [BlobHoldings.Blob(digest: blob.digest, size: 5)])

    private static func run(_ body: UInt8) -> SealedRun {
        let origin = StreamOrigin(publicKey: sender.publicKey, scope: "forum", incarnation: 0)
        return SealedRun(
            sealing: [body, body], stream: origin.stream, firstSeq: 1, count: 1, previous: nil,
            dependencies: [], schemaVersion: 1, origin: origin, key: sender)
    }

    private static func head(
        by key: DeviceKey = sender, for recipients: [DeviceKey] = [friend, sender],
        _ contentKey: ContentKey
    ) -> BundleHead {
        var head = BundleHead(
            sender: key.publicKey, root: root, madeMilliseconds: -5,
            series: Identifier(high: 7, low: 9), part: 2)
        head.seal(
            contentKey,
            for: Dictionary(
                uniqueKeysWithValues: recipients.map { ($0.device, $0.encryptionPublicKey) }))
        return head
    }

    private static func bundle(isLast: Bool = true) -> [UInt8] {
        let contentKey = ContentKey()
        var bytes: [UInt8] = []
        var writer = BundleWriter(head: head(contentKey), key: sender, contentKey: contentKey) {
            bytes = $0
        }
        bytes += writer.frame(list)
        bytes += writer.frame(BundledRuns(scope: "forum", runs: [run(1), run(2)]))
        bytes += writer.frame(BundledRuns(scope: "delegation/KZ", runs: [run(3)]))
        for piece in pieces { bytes += writer.frame(piece) }
        bytes += writer.frame(holdings)
        return bytes + writer.foot(isLast: isLast)
    }

    private struct Contents: Hashable {
        var head: BundleHead
        var list: BundleList?
        var runs: [BundledRuns] = []
        var isLast = false
        var pieces: [BlobPart] = []
        var holdings: [BlobHoldings] = []
    }

    private static func read(_ bytes: [UInt8], by key: DeviceKey = friend) throws -> Contents {
        var rest = bytes[...]
        var reader = try BundleReader { count in
            defer { rest = rest.dropFirst(count) }
            return Array(rest.prefix(count))
        }
        let contentKey = try reader.head.contentKey(by: key)
        var contents = Contents(head: reader.head)
        while true {
            switch try reader.next() {
            case .contents(let payload):
                if contents.list == nil {
                    contents.list = try reader.openList(payload, by: contentKey)
                } else {
                    contents.runs.append(try reader.openRuns(payload, by: contentKey))
                }
            case .piece(let payload):
                contents.pieces.append(try reader.openPiece(payload, by: contentKey))
            case .holdings(let payload):
                contents.holdings.append(try reader.openHoldings(payload, by: contentKey))
            case .end(let foot):
                contents.isLast = foot.isLast
                return contents
            }
        }
    }

    private static func reason(_ bytes: [UInt8], by key: DeviceKey = friend) -> BundleError.Reason?
    {
        do {
            _ = try read(bytes, by: key)
            return nil
        } catch let error as BundleError {
            return error.reason
        } catch {
            Issue.record("\(error)")
            return nil
        }
    }

    @Test(arguments: [true, false])
    func `what is read is what was written, by each for whom it is`(isLast: Bool) throws {
        let bytes = Self.bundle(isLast: isLast)
        for key in [Self.friend, Self.sender] {
            let contents = try Self.read(bytes, by: key)
            #expect(contents.list == Self.list)
            #expect(contents.runs.map(\.scope) == ["forum", "delegation/KZ"])
            #expect(contents.runs[0].runs == [Self.run(1), Self.run(2)])
            #expect(contents.pieces == Self.pieces && contents.holdings == [Self.holdings])
            #expect(contents.isLast == isLast && contents.head.part == 2)
            #expect(contents.head.madeMilliseconds == -5)
        }
        #expect(Self.reason(bytes, by: Self.stranger) == .otherRecipient)
    }

    @Test func `a bundle that ends too early is refused at every length`() {
        let bytes = Self.bundle()
        for count in 0..<bytes.count {
            let reason = Self.reason(Array(bytes.prefix(count)))
            #expect(reason == (count < 8 ? .notABundle : .short), "\(count) bytes")
        }
    }

    @Test func `a bundle of which a byte was changed is refused`() {
        let bytes = Self.bundle()
        for index in bytes.indices {
            for bit in [0, 7] {
                var changed = bytes
                changed[index] ^= 1 << UInt8(bit)
                let reason = Self.reason(changed)
                #expect(reason != nil, "byte \(index)")
                guard index >= 8 else { continue }
                #expect([.damaged, .tooLong, .short].contains(reason), "byte \(index): \(reason!)")
            }
        }
    }

    /// Whoever makes the checks fit too meets the hash, the signature and the tags.
    @Test func `a byte that was changed with its check is refused`() {
        let bytes = Self.bundle()
        var start = 8
        var reasons: Set<BundleError.Reason> = []
        while start < bytes.count {
            let count = bytes[start + 1..<start + 5].reduce(0) { $0 << 8 | Int($1) }
            let payload = start + 9..<start + 9 + count
            for index in payload {
                var changed = bytes
                changed[index] ^= 1
                let check = Self.check(Array(changed[start..<start + 5] + changed[payload]))
                for (place, byte) in zip(start + 5..<start + 9, check) { changed[place] = byte }
                let reason = Self.reason(changed)
                #expect(reason != nil && reason != .damaged, "byte \(index)")
                if let reason { reasons.insert(reason) }
            }
            start = payload.upperBound
        }
        #expect(reasons.isSuperset(of: [.sealed, .key, .otherRecipient, .hash, .signature]))
    }

    /// By the definition, bit by bit.
    private static func check(_ bytes: [UInt8]) -> [UInt8] {
        var sum = UInt32.max
        for byte in bytes {
            sum ^= UInt32(byte)
            for _ in 0..<8 { sum = sum & 1 == 0 ? sum >> 1 : (sum >> 1) ^ 0x82f6_3b78 }
        }
        return withUnsafeBytes(of: (~sum).bigEndian) { Array($0) }
    }

    @Test func `the check is that of the standard`() {
        // RFC 3720 §B.4: 32 bytes of zeros, of ones, ascending.
        #expect(Self.check(Array(repeating: 0, count: 32)) == [0x8a, 0x91, 0x36, 0xaa])
        #expect(Self.check(Array(repeating: 0xff, count: 32)) == [0x62, 0xa8, 0xab, 0x43])
        #expect(Self.check(Array(0..<32)) == [0x46, 0xdd, 0x79, 0x4e])
    }

    @Test func `what stands behind the end is refused`() {
        #expect(Self.reason(Self.bundle() + [0]) == .trailing)
        #expect(Self.reason(Self.bundle() + Self.bundle()) == .trailing)
    }

    /// A courier who can't open it puts his own name on it.
    @Test func `nobody else can pass it off as his own`() throws {
        let bytes = Self.bundle()
        let frames = Self.frames(bytes)
        let head = try Self.read(bytes).head
        #expect(Self.reason(Self.signed(frames, by: Self.sender)) == nil)
        #expect(Self.reason(Self.signed(frames, by: Self.stranger)) == .signature)
        var stolen = frames
        stolen[0].payload = Self.payload(of: head, by: Self.stranger)
        #expect(Self.reason(Self.signed(stolen, by: Self.stranger)) == .key)
    }

    @Test func `frames stand where they may`() throws {
        let frames = Self.frames(Self.bundle())
        let (head, list, runs) = (frames[0], frames[1], frames[2])
        func reason(_ frames: [Frame]) -> BundleError.Reason? {
            Self.reason(Self.signed(frames, by: Self.sender))
        }
        #expect(reason([head]) == .order)
        #expect(reason([list, runs]) == .order)
        #expect(reason([head, head, list]) == .order)
        #expect(reason([head, list]) == nil)
        #expect(reason([head, runs, list]) == .sealed)
        // What later builds may add, and what they may not leave to this one.
        let later = Frame(kind: 4, payload: [1, 2, 3])
        #expect(reason([head, later, list, later, runs]) == nil)
        #expect(reason([head, list, Frame(kind: 128, payload: [])]) == .later)
        #expect(reason([head, list, Frame(kind: 0, payload: [])]) == .order)
    }

    @Test func `a length over its limit is not read`() {
        let bytes = Self.bundle()
        var asked: [Int] = []
        for (kind, limit) in [(UInt8(1), 64 << 10), (2, 4 << 20), (3, 4 << 10), (9, 4 << 20)] {
            let length = withUnsafeBytes(of: UInt32(limit + 1).bigEndian) { Array($0) }
            var rest = (Array(bytes.prefix(8)) + [kind] + length + [0, 0, 0, 0])[...]
            do {
                _ = try BundleReader { count in
                    asked.append(count)
                    defer { rest = rest.dropFirst(count) }
                    return Array(rest.prefix(count))
                }
                Issue.record("kind \(kind) was taken")
            } catch {
                #expect((error as? BundleError)?.reason == .tooLong)
            }
        }
        #expect(asked.allSatisfy { $0 <= 9 })
    }

    // MARK: Frames

    private struct Frame {
        var kind: UInt8
        var payload: [UInt8]
    }

    /// All but the foot.
    private static func frames(_ bytes: [UInt8]) -> [Frame] {
        var frames: [Frame] = []
        var start = 8
        while start < bytes.count {
            let count = bytes[start + 1..<start + 5].reduce(0) { $0 << 8 | Int($1) }
            let payload = start + 9..<start + 9 + count
            frames.append(Frame(kind: bytes[start], payload: Array(bytes[payload])))
            start = payload.upperBound
        }
        return frames.dropLast()
    }

    private static func bytes(_ frame: Frame) -> [UInt8] {
        let count = UInt32(frame.payload.count)
        let start = [frame.kind] + withUnsafeBytes(of: count.bigEndian) { Array($0) }
        return start + check(start + frame.payload) + frame.payload
    }

    private static func signed(_ frames: [Frame], by key: DeviceKey) -> [UInt8] {
        let bytes = [0x8b, 0x4b, 0x56, 0x4e, 0x0d, 0x0a, 0x1a, 0x0a] + frames.flatMap(Self.bytes)
        let hash = Digest(sha256: bytes)
        var foot = CBOREncoder()
        foot.array(3)
        foot.blob(hash.bytes)
        foot.bool(true)
        foot.blob(key.sign(Digest(.bundle, hash.bytes, [1])))
        return bytes + Self.bytes(Frame(kind: 3, payload: foot.bytes))
    }

    private static func payload(of head: BundleHead, by key: DeviceKey) -> [UInt8] {
        var encoder = CBOREncoder()
        encoder.array(7)
        encoder.unsigned(1)
        encoder.blob(key.publicKey)
        encoder.blob(head.root.bytes)
        encoder.integer(head.madeMilliseconds)
        encoder.blob(head.series.bytes)
        encoder.unsigned(head.part)
        encoder.array(head.recipients.count)
        for recipient in head.recipients {
            encoder.array(3)
            encoder.blob(recipient.device.bytes)
            encoder.blob(recipient.encapsulatedKey)
            encoder.blob(recipient.box)
        }
        return encoder.bytes
    }
}
