internal import Causality

/// What a laptop has of one scope, and what it brings of it: a part of one request.
public struct ExchangeRequest: Hashable, Sendable {
    public var scope: String
    /// Where the laptop stands in the hub's feed; `nil` at the first meeting.
    public var cursor: Cursor?
    /// The heads that the laptop holds ahead of the cursor: their runs come by name only.
    public var ahead: [RunStub]
    public var runs: [SealedRun]

    public init(scope: String, cursor: Cursor?, ahead: [RunStub], runs: [SealedRun]) {
        self.scope = scope
        self.cursor = cursor
        self.ahead = ahead
        self.runs = runs
    }
}

/// One request of a sync session: all scopes at once, that of the whole forum first, so that what the
/// others rest on is there before them.
public struct SyncRequest: Hashable, Sendable {
    /// At most ``Limits/scopes``.
    public var parts: [ExchangeRequest]
    /// Changesets that this request does not bring yet: for the operator's page.
    public var pendingCount: UInt64
    /// The laptop's wall clock, milliseconds since 1970.
    public var wallMilliseconds: Int64
    public var schemaVersion: UInt64

    public init(
        parts: [ExchangeRequest], pendingCount: UInt64, wallMilliseconds: Int64,
        schemaVersion: UInt64
    ) {
        self.parts = parts
        self.pendingCount = pendingCount
        self.wallMilliseconds = wallMilliseconds
        self.schemaVersion = schemaVersion
    }

    public func encode() -> [UInt8] {
        let size = parts.flatMap(\.runs).reduce(0) { $0 + $1.storedBytes + 16 }
        var encoder = CBOREncoder(reserving: 512 + size)
        encoder.array(5)
        encoder.unsigned(Limits.format)
        encoder.unsigned(pendingCount)
        encoder.integer(wallMilliseconds)
        encoder.unsigned(schemaVersion)
        encoder.array(parts.count)
        var epoch: Identifier?
        for part in parts {
            encoder.array(4)
            encoder.text(part.scope)
            if let cursor = part.cursor {
                encoder.cursor(cursor, after: &epoch)
            } else {
                encoder.null()
            }
            encoder.array(part.ahead.count)
            for stub in part.ahead { encoder.stub(stub) }
            encoder.array(part.runs.count)
            for run in part.runs { encoder.run(run) }
        }
        return encoder.bytes
    }

    public init(decoding bytes: [UInt8]) throws(CBORError) {
        var decoder = CBORDecoder(bytes)
        let further = try decoder.array(atLeast: 5)
        try decoder.format()
        pendingCount = try decoder.unsigned()
        wallMilliseconds = try decoder.integer()
        schemaVersion = try decoder.unsigned()
        parts = []
        var epoch: Identifier?
        for _ in 0..<(try decoder.array(limit: Limits.scopes)) {
            let further = try decoder.array(atLeast: 4)
            let scope = try decoder.text(limit: Limits.scopeBytes)
            let cursor =
                try decoder.nullIfNext() ? nil : try decoder.cursor(after: &epoch)
            var part = ExchangeRequest(scope: scope, cursor: cursor, ahead: [], runs: [])
            for _ in 0..<(try decoder.array()) { part.ahead.append(try decoder.stub()) }
            for _ in 0..<(try decoder.array()) { part.runs.append(try decoder.run()) }
            try decoder.skip(further)
            guard !parts.contains(where: { $0.scope.utf8.elementsEqual(scope.utf8) }) else {
                throw decoder.error(.invalid)
            }
            parts.append(part)
        }
        try decoder.skip(further)
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
    /// A run that is given in a way that only later builds can read. Nobody writes it.
    case later(RunStub)

    public var stub: RunStub {
        switch self {
        case .whole(let run): RunStub(run)
        case .stub(let stub), .cut(let stub), .later(let stub): stub
        }
    }

    /// The run, where it came whole.
    public var run: SealedRun? {
        guard case .whole(let run) = self else { return nil }
        return run
    }
}

/// A run that the hub did not take. Where a head names it, or one of the request that follows on it, the hub
/// keeps it aside.
public struct Rejection: Hashable, Sendable {
    public var run: RunStub
    public var refusal: Refusal

    public init(_ run: RunStub, _ refusal: Refusal) {
        self.run = run
        self.refusal = refusal
    }
}

/// The answer for one scope: what was taken, and what is new.
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

    fileprivate func encode(into encoder: inout CBOREncoder, after epoch: inout Identifier?) {
        encoder.array(5)
        encoder.array(heads.count)
        for head in heads { encoder.stub(head) }
        encoder.array(rejections.count)
        for rejection in rejections {
            encoder.array(2)
            encoder.stub(rejection.run)
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
            case .later(let stub):
                encoder.unsigned(3)
                encoder.stub(stub)
            }
        }
        encoder.cursor(cursor, after: &epoch)
        encoder.bool(hasMore)
    }

    fileprivate init(
        from decoder: inout CBORDecoder, after epoch: inout Identifier?, hubMilliseconds: Int64
    ) throws(CBORError) {
        heads = []
        for _ in 0..<(try decoder.array()) { heads.append(try decoder.head()) }
        rejections = []
        for _ in 0..<(try decoder.array()) {
            let further = try decoder.array(atLeast: 2)
            rejections.append(Rejection(try decoder.stub(), try decoder.refusal()))
            try decoder.skip(further)
        }
        entries = []
        for _ in 0..<(try decoder.array()) {
            let further = try decoder.array(atLeast: 2)
            switch try decoder.unsigned() {
            case 0: entries.append(.whole(try decoder.run()))
            case 1: entries.append(.stub(try decoder.stub()))
            case 2: entries.append(.cut(try decoder.stub()))
            default: entries.append(.later(try decoder.stub()))
            }
            try decoder.skip(further)
        }
        cursor = try decoder.cursor(after: &epoch)
        hasMore = try decoder.bool()
        self.hubMilliseconds = hubMilliseconds
    }
}

/// The answer to all parts of a request.
public struct SyncReply: Hashable, Sendable {
    /// What became of one part of the request.
    public enum Part: Hashable, Sendable {
        case answered(ExchangeReply)
        /// A scope before it has more to give: what the others rest on comes first.
        case postponed
        /// This part alone.
        case refused(Refusal)
    }

    /// In the order of the request.
    public var parts: [Part]
    /// All scopes that the device may read now, the base scope first; ``Grant/anyScope`` last, where it may read
    /// those to come as well.
    public var scopes: [String]
    /// The hub's wall clock, milliseconds since 1970.
    public var hubMilliseconds: Int64

    public init(parts: [Part], scopes: [String], hubMilliseconds: Int64) {
        self.parts = parts
        self.scopes = scopes
        self.hubMilliseconds = hubMilliseconds
    }

    public func encode() -> [UInt8] {
        var encoder = CBOREncoder(reserving: 1 << 12)
        encoder.array(4)
        encoder.unsigned(Limits.format)
        encoder.integer(hubMilliseconds)
        encoder.array(scopes.count)
        for scope in scopes { encoder.text(scope) }
        encoder.array(parts.count)
        var epoch: Identifier?
        for part in parts {
            switch part {
            case .answered(let reply): reply.encode(into: &encoder, after: &epoch)
            case .postponed: encoder.null()
            case .refused(let refusal):
                encoder.array(1)
                encoder.refusal(refusal)
            }
        }
        return encoder.bytes
    }

    public init(decoding bytes: [UInt8]) throws(CBORError) {
        var decoder = CBORDecoder(bytes)
        let further = try decoder.array(atLeast: 4)
        try decoder.format()
        hubMilliseconds = try decoder.integer()
        scopes = []
        for _ in 0..<(try decoder.array(limit: Limits.scopes)) {
            scopes.append(try decoder.text(limit: Limits.scopeBytes))
        }
        parts = []
        var epoch: Identifier?
        for _ in 0..<(try decoder.array(limit: Limits.scopes)) {
            if try decoder.nullIfNext() {
                parts.append(.postponed)
                continue
            }
            let count = try decoder.array()
            switch count {
            case 1: parts.append(.refused(try decoder.refusal()))
            case 5...:
                let reply = try ExchangeReply(
                    from: &decoder, after: &epoch, hubMilliseconds: hubMilliseconds)
                try decoder.skip(count - 5)
                parts.append(.answered(reply))
            default: throw decoder.error(.invalid)
            }
        }
        try decoder.skip(further)
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
    public static let contentType = "application/vnd.karvan.1+cbor"
    /// The path of an exchange.
    public static let exchangePath = "/v1/exchange"
    /// The path of an enrolment.
    public static let enrolmentPath = "/v1/enrol"

    private static func digest(hub: [UInt8], path: String, body: [UInt8]) -> Digest {
        Digest(.request, hub, Array(path.utf8), Digest(sha256: body).bytes)
    }

    /// - Parameter hub: the public key of the hub as a device.
    public init(hub: [UInt8], path: String, body: [UInt8], key: DeviceKey) {
        publicKey = key.publicKey
        signature = key.sign(Self.digest(hub: hub, path: path, body: body))
    }

    public var headerValue: String { (publicKey + signature).hexadecimal }

    /// `nil` for a text that is not 96 bytes in lower-case hexadecimal.
    public init?(headerValue: String) {
        guard let bytes = Hexadecimal.bytes(of: headerValue), bytes.count == 96,
            bytes.hexadecimal.utf8.elementsEqual(headerValue.utf8)
        else { return nil }
        publicKey = Array(bytes[..<32])
        signature = Array(bytes[32...])
    }

    public func isValid(hub: [UInt8], path: String, body: [UInt8]) -> Bool {
        DeviceKey.verify(
            signature, of: Self.digest(hub: hub, path: path, body: body), by: publicKey)
    }
}
