public import AntiEntropy
public import SyncProtocol

/// A laptop that serves others, over HTTP.
public final class CurlPeer: PeerPort, BlobHubPort {
    /// Where a laptop serves when nothing else was said.
    public static let port = 8_642

    /// Who serves there, as it has proven.
    public let statement: PeerStatement
    private let first: Channel
    private let channel: Channel
    private let identity: DeviceKey

    /// Asks who serves at an address. The question goes to anybody and tells nothing; the answer proves nothing yet.
    ///
    /// - Parameter limits: the answer is short, so all of it has to be there after one silence.
    /// - Throws: ``TransportFailure``; ``HubURLProblem``.
    public static func statement(
        at url: String, limits: TransportLimits = TransportLimits(),
        cancellation: Cancellation = Cancellation()
    ) throws -> PeerStatement {
        try statement(over: asking(at: try HubURL.normalise(url), limits, cancellation))
    }

    private static func asking(
        at url: String, _ limits: TransportLimits, _ cancellation: Cancellation
    ) -> Channel {
        var limits = limits
        limits.totalMilliseconds = min(
            limits.totalMilliseconds, limits.connectMilliseconds + limits.silenceMilliseconds)
        return Channel(url: url, trust: .nobodys, limits: limits, cancellation: cancellation)
    }

    private static func statement(
        over channel: Channel
    ) throws(TransportFailure) -> PeerStatement {
        let answer = try channel.get(PeerStatement.path)
        return try answer.reply(from: channel.url) { bytes throws(CBORError) in
            try PeerStatement(decoding: bytes)
        }
    }

    /// Asks who serves at an address, and goes on with it alone.
    ///
    /// The first question goes to anybody and tells nothing. What is answered names the TLS key, and is signed by a
    /// device with a certificate of this forum: whoever stands between can pass it on, but not answer with
    /// that key afterwards.
    ///
    /// - Parameters:
    ///   - url: normalised already or not.
    ///   - identity: of this device.
    ///   - isWelcome: holds the answer against what is known here; nothing more is said when it throws.
    /// - Throws: ``TransportFailure``; ``HubURLProblem``; what `isWelcome` throws.
    public init(
        url: String, identity: DeviceKey, limits: TransportLimits = TransportLimits(),
        cancellation: Cancellation = Cancellation(),
        isWelcome: (PeerStatement) throws -> Void
    ) throws {
        let url = try HubURL.normalise(url)
        first = Self.asking(at: url, limits, cancellation)
        statement = try Self.statement(over: first)
        try isWelcome(statement)
        channel = Channel(
            url: url, trust: .pinned(sha256: [statement.pin]), limits: limits,
            cancellation: cancellation)
        self.identity = identity
    }

    /// Of all requests so far, whatever became of them.
    public var statistics: TransportStatistics {
        let (one, two) = (first.statistics, channel.statistics)
        return TransportStatistics(
            requestCount: one.requestCount + two.requestCount,
            connectionCount: one.connectionCount + two.connectionCount,
            sentBytes: one.sentBytes + two.sentBytes,
            receivedBytes: one.receivedBytes + two.receivedBytes)
    }

    public func meet(_ meeting: Meeting) throws(TransportFailure) -> [UInt8] {
        let answer = try post(meeting.encode(), to: Meeting.path)
        return try answer.reply(from: channel.url) { bytes throws(CBORError) in bytes }
    }

    /// - Returns: `nil` from a laptop that gives no blobs.
    public func blobs(_ request: BlobRequest) throws(TransportFailure) -> BlobReply? {
        try post(request.encode(), to: BlobRequest.path).blobReply(from: channel.url)
    }

    /// Signed for this laptop and this path.
    private func post(_ body: [UInt8], to path: String) throws(TransportFailure) -> Answer {
        let signature = RequestSignature(
            hub: statement.device.statement.publicKey, path: path, body: body, key: identity)
        return try channel.post(body, to: path, signature: signature)
    }
}
