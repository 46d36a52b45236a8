public import AntiEntropy
public import SyncProtocol

/// A hub over HTTPS. Its calls block the thread, and come from one thread at a time; the connection
/// is kept from one to the next.
public final class CurlHub: HubPort, BlobHubPort {
    private let channel: Channel
    private let identity: DeviceKey
    private let hubPublicKey: [UInt8]
    /// What the last answer said of when to come back, in seconds: the hub's, or that of what stood in its place.
    public private(set) var retryAfterSeconds: Int?

    /// Nothing is sent yet.
    ///
    /// - Parameters:
    ///   - url: see ``HubURL``.
    ///   - identity: signs each request.
    ///   - hubPublicKey: the hub as a device, 32 bytes; a request signed for it is worth nothing
    ///     elsewhere.
    public init(
        url: String, identity: DeviceKey, hubPublicKey: [UInt8], trust: HubTrust,
        limits: TransportLimits = TransportLimits(), cancellation: Cancellation = Cancellation()
    ) throws(HubURLProblem) {
        channel = Channel(
            url: try HubURL.normalise(url), trust: trust, limits: limits,
            cancellation: cancellation)
        self.identity = identity
        self.hubPublicKey = hubPublicKey
    }

    /// Of all requests so far, whatever became of them.
    public var statistics: TransportStatistics { channel.statistics }

    public func exchange(_ request: SyncRequest) throws(TransportFailure) -> SyncReply {
        let answer = try post(request.encode(), to: RequestSignature.exchangePath)
        return try answer.reply(from: channel.url) { bytes throws(CBORError) in
            try SyncReply(decoding: bytes)
        }
    }

    /// Asks where the hub's feeds end, and gets the answer once that is elsewhere, or the patience is over: the
    /// limit for silence has to be longer.
    ///
    /// - Returns: `nil` from a hub that doesn't know how to wait.
    public func wait(_ request: WaitRequest) throws(TransportFailure) -> WaitReply? {
        let answer = try post(request.encode(), to: WaitRequest.path)
        if answer.status == 404 { return nil }
        return try answer.reply(from: channel.url) { bytes throws(CBORError) in
            try WaitReply(decoding: bytes)
        }
    }

    public func blobs(_ request: BlobRequest) throws(TransportFailure) -> BlobReply? {
        try post(request.encode(), to: BlobRequest.path).blobReply(from: channel.url)
    }

    /// Signed for this hub and this path.
    private func post(_ body: [UInt8], to path: String) throws(TransportFailure) -> Answer {
        let signature = RequestSignature(hub: hubPublicKey, path: path, body: body, key: identity)
        retryAfterSeconds = nil
        let answer = try channel.post(body, to: path, signature: signature)
        retryAfterSeconds = answer.retryAfterSeconds
        return answer
    }
}

/// The first meeting with a hub, whose key as a device isn't known yet.
public final class CurlEnrolment {
    private let channel: Channel

    /// - Parameter trust: the pin that came with the token; the request carries its secret.
    public init(
        url: String, trust: HubTrust, limits: TransportLimits = TransportLimits(),
        cancellation: Cancellation = Cancellation()
    ) throws(HubURLProblem) {
        channel = Channel(
            url: try HubURL.normalise(url), trust: trust, limits: limits,
            cancellation: cancellation)
    }

    /// Of all requests so far, whatever became of them.
    public var statistics: TransportStatistics { channel.statistics }

    /// Blocks until the answer is there, or a limit is reached.
    public func enrol(_ request: EnrolmentRequest) throws(TransportFailure) -> EnrolmentReply {
        let answer = try channel.post(request.encode(), to: RequestSignature.enrolmentPath)
        return try answer.reply(from: channel.url) { bytes throws(CBORError) in
            try EnrolmentReply(decoding: bytes)
        }
    }
}
