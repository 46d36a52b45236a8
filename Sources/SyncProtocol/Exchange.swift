public import Causality

/// One request of a sync session: what the laptop has, and what it brings.
public struct ExchangeRequest: Hashable, Sendable {
    public var scope: String
    /// Where the laptop stands in the hub's feed; `nil` at the first meeting.
    public var cursor: Cursor?
    /// The heads that the laptop holds ahead of the cursor: their runs come by name only.
    public var ahead: [RunStub]
    public var runs: [SealedRun]
    /// Changesets that this request does not bring yet: for the operator's page.
    public var pendingCount: UInt64
    /// The laptop's wall clock, milliseconds since 1970.
    public var wallMilliseconds: Int64
    public var schemaVersion: UInt64

    public init(
        scope: String, cursor: Cursor?, ahead: [RunStub], runs: [SealedRun], pendingCount: UInt64,
        wallMilliseconds: Int64, schemaVersion: UInt64
    ) {
        self.scope = scope
        self.cursor = cursor
        self.ahead = ahead
        self.runs = runs
        self.pendingCount = pendingCount
        self.wallMilliseconds = wallMilliseconds
        self.schemaVersion = schemaVersion
    }

    public func encode() -> [UInt8] {
        var encoder = CBOREncoder(reserving: 512 + runs.reduce(0) { $0 + $1.storedBytes + 16 })
        encoder.array(8)
        encoder.unsigned(Limits.format)
        encoder.text(scope)
        if let cursor { encoder.cursor(cursor) } else { encoder.null() }
        encoder.array(ahead.count)
        for stub in ahead { encoder.stub(stub) }
        encoder.array(runs.count)
        for run in runs { encoder.run(run) }
        encoder.unsigned(pendingCount)
        encoder.integer(wallMilliseconds)
        encoder.unsigned(schemaVersion)
        return encoder.bytes
    }

    public init(decoding bytes: [UInt8]) throws(CBORError) {
        var decoder = CBORDecoder(bytes)
        try decoder.array(count: 8)
        guard try decoder.unsigned() == Limits.format else { throw decoder.error(.invalid) }
        scope = try decoder.text(limit: Limits.scopeBytes)
        cursor = try decoder.nullIfNext() ? nil : try decoder.cursor()
        ahead = []
        for _ in 0..<(try decoder.array()) { ahead.append(try decoder.stub()) }
        runs = []
        for _ in 0..<(try decoder.array()) { runs.append(try decoder.run()) }
        pendingCount = try decoder.unsigned()
        wallMilliseconds = try decoder.integer()
        schemaVersion = try decoder.unsigned()
        try decoder.finish()
    }
}

/// An entry of the feed as it is sent.
public enum FeedEntry: Hashable, Sendable {
    case whole(SealedRun)
    /// A run that the laptop said it holds.
    case stub(RunStub)
    /// A run behind the end of its stream: it doesn't count anywhere, and isn't given.
    case cut(RunStub)

    public var stub: RunStub {
        switch self {
        case .whole(let run): RunStub(run)
        case .stub(let stub), .cut(let stub): stub
        }
    }

    /// The run, where it came whole.
    public var run: SealedRun? {
        guard case .whole(let run) = self else { return nil }
        return run
    }
}

/// A run that the hub did not take. Where the head of its stream is no lower, the hub keeps it aside.
public struct Rejection: Hashable, Sendable {
    public var stream: StreamID
    public var lastSeq: UInt64
    public var refusal: Refusal

    public init(stream: StreamID, lastSeq: UInt64, refusal: Refusal) {
        self.stream = stream
        self.lastSeq = lastSeq
        self.refusal = refusal
    }
}

/// The answer: what was taken, and what is new.
public struct ExchangeReply: Hashable, Sendable {
    /// The heads of the streams that the request brought runs of, and of those on which a run that was
    /// rejected (GAP) depends further than they are held: what the hub now holds, if anything; see
    /// ``RunStub/init(noneOf:)``.
    public var heads: [RunStub]
    public var rejections: [Rejection]
    /// From the request's cursor on, without holes.
    public var entries: [FeedEntry]
    /// Behind the last entry.
    public var cursor: Cursor
    /// More entries follow behind the cursor.
    public var hasMore: Bool
    /// The hub's wall clock, milliseconds since 1970.
    public var hubMilliseconds: Int64

    public init(
        heads: [RunStub], rejections: [Rejection], entries: [FeedEntry], cursor: Cursor,
        hasMore: Bool, hubMilliseconds: Int64
    ) {
        self.heads = heads
        self.rejections = rejections
        self.entries = entries
        self.cursor = cursor
        self.hasMore = hasMore
        self.hubMilliseconds = hubMilliseconds
    }

    public func encode() -> [UInt8] {
        var encoder = CBOREncoder(reserving: 1 << 12)
        encoder.array(7)
        encoder.unsigned(Limits.format)
        encoder.array(heads.count)
        for head in heads { encoder.stub(head) }
        encoder.array(rejections.count)
        for rejection in rejections {
            encoder.array(3)
            encoder.blob(rejection.stream.identifier.bytes)
            encoder.unsigned(rejection.lastSeq)
            encoder.refusal(rejection.refusal)
        }
        encoder.array(entries.count)
        for entry in entries {
            encoder.array(2)
            switch entry {
            case .whole(let run):
                encoder.unsigned(0)
                encoder.run(run)
            case .stub(let stub):
                encoder.unsigned(1)
                encoder.stub(stub)
            case .cut(let stub):
                encoder.unsigned(2)
                encoder.stub(stub)
            }
        }
        encoder.cursor(cursor)
        encoder.bool(hasMore)
        encoder.integer(hubMilliseconds)
        return encoder.bytes
    }

    public init(decoding bytes: [UInt8]) throws(CBORError) {
        var decoder = CBORDecoder(bytes)
        try decoder.array(count: 7)
        guard try decoder.unsigned() == Limits.format else { throw decoder.error(.invalid) }
        heads = []
        for _ in 0..<(try decoder.array()) { heads.append(try decoder.head()) }
        rejections = []
        for _ in 0..<(try decoder.array()) {
            try decoder.array(count: 3)
            rejections.append(
                Rejection(
                    stream: try decoder.stream(),
                    lastSeq: try decoder.unsigned(in: 1...UInt64(Int64.max)),
                    refusal: try decoder.refusal()))
        }
        entries = []
        for _ in 0..<(try decoder.array()) {
            try decoder.array(count: 2)
            switch try decoder.unsigned() {
            case 0: entries.append(.whole(try decoder.run()))
            case 1: entries.append(.stub(try decoder.stub()))
            case 2: entries.append(.cut(try decoder.stub()))
            default: throw decoder.error(.outOfRange)
            }
        }
        cursor = try decoder.cursor()
        hasMore = try decoder.bool()
        hubMilliseconds = try decoder.integer()
        try decoder.finish()
    }
}

/// Who sends a request: a signature of the device over the hub, the path and the body. A request
/// that was signed for one hub is worth nothing at another.
public struct RequestSignature: Hashable, Sendable {
    public var publicKey: [UInt8]
    public var signature: [UInt8]

    /// The header that carries it: both as one lower-case hexadecimal text.
    public static let headerName = "Karvan-Signature"
    /// The content type of every message.
    public static let contentType = "application/vnd.karvan.0+cbor"
    /// The path of an exchange.
    public static let exchangePath = "/v0/exchange"
    /// The path of an enrolment.
    public static let enrolmentPath = "/v0/enrol"

    private static func digest(hub: [UInt8], path: String, body: [UInt8]) -> Digest {
        Digest(.request, hub, Array(path.utf8), Digest(sha256: body).bytes)
    }

    /// - Parameter hub: the public key of the hub as a device.
    public init(hub: [UInt8], path: String, body: [UInt8], key: DeviceKey) {
        publicKey = key.publicKey
        signature = key.sign(Self.digest(hub: hub, path: path, body: body))
    }

    public var headerValue: String { (publicKey + signature).hexadecimal }

    /// `nil` for a text that is not 96 bytes in hexadecimal.
    public init?(headerValue: String) {
        guard let bytes = Hexadecimal.bytes(of: headerValue), bytes.count == 96 else { return nil }
        publicKey = Array(bytes[..<32])
        signature = Array(bytes[32...])
    }

    public func isValid(hub: [UInt8], path: String, body: [UInt8]) -> Bool {
        DeviceKey.verify(
            signature, of: Self.digest(hub: hub, path: path, body: body), by: publicKey)
    }
}
