/// What a record names beside the log: bytes, by their SHA-256, in one scope. Who may read the scope
/// may have them there; the same bytes in another scope are another blob.
public struct BlobName: Hashable, Sendable, Comparable {
    public var scope: String
    /// The SHA-256 of the bytes.
    public var digest: Digest

    public init(scope: String, digest: Digest) { (self.scope, self.digest) = (scope, digest) }

    public static func < (a: Self, b: Self) -> Bool {
        a.scope != b.scope
            ? a.scope < b.scope : a.digest.bytes.lexicographicallyPrecedes(b.digest.bytes)
    }
}

/// A range of a blob on its way to a hub: at most ``Limits/blobPartBytes``.
public struct BlobPart: Hashable, Sendable {
    public var name: BlobName
    /// Of the whole blob, in bytes.
    public var size: UInt64
    /// Where the range begins.
    public var offset: UInt64
    public var bytes: [UInt8]

    public init(name: BlobName, size: UInt64, offset: UInt64, bytes: [UInt8]) {
        (self.name, self.size, self.offset, self.bytes) = (name, size, offset, bytes)
    }

    /// As it lies in a bundle.
    package func encode() -> [UInt8] {
        var encoder = CBOREncoder(reserving: 256 + bytes.count)
        encoder.blobPart(self)
        return encoder.bytes
    }

    package init(decoding bytes: [UInt8]) throws(CBORError) {
        var decoder = CBORDecoder(bytes)
        self = try decoder.blobPart()
        try decoder.finish()
    }
}

/// Blobs of one scope that a hub holds whole, as it says in a bundle.
public struct BlobHoldings: Hashable, Sendable {
    public struct Blob: Hashable, Sendable {
        public var digest: Digest
        /// In bytes.
        public var size: UInt64

        public init(digest: Digest, size: UInt64) { (self.digest, self.size) = (digest, size) }
    }

    public var scope: String
    /// Not empty; as many as a frame has room for.
    public var blobs: [Blob]

    /// So many have room in one frame.
    public static let limit = 65_536

    public init(scope: String, blobs: [Blob]) { (self.scope, self.blobs) = (scope, blobs) }

    package func encode() -> [UInt8] {
        var encoder = CBOREncoder(reserving: 128 + blobs.count * 44)
        encoder.array(2)
        encoder.text(scope)
        encoder.array(blobs.count)
        for blob in blobs {
            encoder.array(2)
            encoder.blob(blob.digest.bytes)
            encoder.unsigned(blob.size)
        }
        return encoder.bytes
    }

    package init(decoding bytes: [UInt8]) throws(CBORError) {
        var decoder = CBORDecoder(bytes)
        let further = try decoder.array(atLeast: 2)
        scope = try decoder.text(limit: Limits.scopeBytes)
        blobs = []
        for _ in 0..<(try decoder.array()) {
            let further = try decoder.array(atLeast: 2)
            let digest = try decoder.digest()
            blobs.append(Blob(digest: digest, size: try decoder.unsigned()))
            try decoder.skip(further)
        }
        guard !blobs.isEmpty else { throw decoder.error(.invalid) }
        try decoder.skip(further)
        try decoder.finish()
    }
}

/// What a device brings of one blob, and asks of others.
public struct BlobRequest: Hashable, Sendable {
    /// Where it is brought.
    public static let path = "/v1/blobs"

    public struct Ask: Hashable, Sendable {
        public var name: BlobName
        /// From where its bytes are asked for; `nil` where only how much the hub holds is.
        public var offset: UInt64?

        public init(_ name: BlobName, from offset: UInt64? = nil) {
            (self.name, self.offset) = (name, offset)
        }
    }

    /// At most ``Limits/blobAsks``.
    public var asks: [Ask]
    public var part: BlobPart?

    public init(asks: [Ask] = [], part: BlobPart? = nil) {
        (self.asks, self.part) = (asks, part)
    }

    public func encode() -> [UInt8] {
        var encoder = CBOREncoder(
            reserving: 256 + asks.count * 112 + (part?.bytes.count ?? 0))
        encoder.array(3)
        encoder.unsigned(Limits.format)
        encoder.array(asks.count)
        for ask in asks {
            encoder.array(3)
            encoder.blobName(ask.name)
            if let offset = ask.offset { encoder.unsigned(offset) } else { encoder.null() }
        }
        if let part { encoder.blobPart(part) } else { encoder.null() }
        return encoder.bytes
    }

    public init(decoding bytes: [UInt8]) throws(CBORError) {
        var decoder = CBORDecoder(bytes)
        let further = try decoder.array(atLeast: 3)
        try decoder.format()
        asks = []
        for _ in 0..<(try decoder.array(limit: Limits.blobAsks)) {
            let further = try decoder.array(atLeast: 3)
            let name = try decoder.blobName()
            asks.append(Ask(name, from: try decoder.nullIfNext() ? nil : try decoder.unsigned()))
            try decoder.skip(further)
        }
        part = try decoder.nullIfNext() ? nil : try decoder.blobPart()
        try decoder.skip(further)
        try decoder.finish()
    }
}

/// What a hub holds of the blobs that were asked for, and what it took.
public struct BlobReply: Hashable, Sendable {
    /// How much the hub holds of a blob.
    public struct Holding: Hashable, Sendable {
        /// The bytes that it holds, from the first one on.
        public var held: UInt64
        /// Of the whole blob, as who brought it says.
        public var size: UInt64
        /// From the offset that was asked for on; only of a blob that the hub holds whole, and only as far as
        /// there was room.
        public var bytes: [UInt8]

        public init(held: UInt64, size: UInt64, bytes: [UInt8] = []) {
            (self.held, self.size, self.bytes) = (held, size, bytes)
        }

        public var isWhole: Bool { held == size }
    }

    public enum Taken: Hashable, Sendable {
        case held(Holding)
        case refused(Refusal)
    }

    /// One for each ask, in their order; `nil` where the hub holds nothing that the sender may have.
    public var holdings: [Holding?]
    /// What became of the part; `nil` for a request without one.
    public var taken: Taken?

    public init(holdings: [Holding?], taken: Taken?) {
        (self.holdings, self.taken) = (holdings, taken)
    }

    public func encode() -> [UInt8] {
        let size = holdings.reduce(256) { $0 + 24 + ($1?.bytes.count ?? 0) }
        var encoder = CBOREncoder(reserving: size)
        encoder.array(3)
        encoder.unsigned(Limits.format)
        encoder.array(holdings.count)
        for holding in holdings {
            if let holding { encoder.holding(holding) } else { encoder.null() }
        }
        switch taken {
        case nil: encoder.null()
        case .held(let holding): encoder.holding(holding)
        case .refused(let refusal):
            encoder.array(1)
            encoder.refusal(refusal)
        }
        return encoder.bytes
    }

    public init(decoding bytes: [UInt8]) throws(CBORError) {
        var decoder = CBORDecoder(bytes)
        let further = try decoder.array(atLeast: 3)
        try decoder.format()
        holdings = []
        for _ in 0..<(try decoder.array(limit: Limits.blobAsks)) {
            guard try !decoder.nullIfNext() else {
                holdings.append(nil)
                continue
            }
            holdings.append(try decoder.holding(count: try decoder.array()))
        }
        if try !decoder.nullIfNext() {
            let count = try decoder.array()
            taken =
                count == 1
                ? .refused(try decoder.refusal()) : .held(try decoder.holding(count: count))
        }
        try decoder.skip(further)
        try decoder.finish()
    }
}

extension CBOREncoder {
    fileprivate mutating func blobName(_ name: BlobName) {
        text(name.scope)
        blob(name.digest.bytes)
    }

    fileprivate mutating func blobPart(_ part: BlobPart) {
        array(5)
        blobName(part.name)
        unsigned(part.size)
        unsigned(part.offset)
        blob(part.bytes)
    }

    fileprivate mutating func holding(_ holding: BlobReply.Holding) {
        array(3)
        unsigned(holding.held)
        unsigned(holding.size)
        blob(holding.bytes)
    }
}

extension CBORDecoder {
    fileprivate mutating func blobName() throws(CBORError) -> BlobName {
        let scope = try text(limit: Limits.scopeBytes)
        return BlobName(scope: scope, digest: Digest(try blob(count: 32))!)
    }

    fileprivate mutating func blobPart() throws(CBORError) -> BlobPart {
        let further = try array(atLeast: 5)
        let name = try blobName()
        let size = try unsigned()
        let offset = try unsigned()
        let bytes = try blob(limit: Limits.blobPartBytes)
        // A range of none would be answered as nothing was: held as before.
        guard !bytes.isEmpty, offset <= size, UInt64(bytes.count) <= size - offset else {
            throw error(.outOfRange)
        }
        try skip(further)
        return BlobPart(name: name, size: size, offset: offset, bytes: bytes)
    }

    /// - Parameter count: of the array's items, which was read.
    fileprivate mutating func holding(count: Int) throws(CBORError) -> BlobReply.Holding {
        guard count >= 3 else { throw error(.invalid) }
        let held = try unsigned()
        let size = try unsigned()
        guard held <= size else { throw error(.outOfRange) }
        let bytes = try blob(limit: Limits.blobPartBytes)
        try skip(count - 3)
        return BlobReply.Holding(held: held, size: size, bytes: bytes)
    }
}
