/// How long a request may take. The size of an answer is bounded by `Limits.messageBytes`.
public struct TransportLimits: Hashable, Sendable {
    /// Finding the host, connecting, and the TLS handshake.
    public var connectMilliseconds: Int
    /// No byte in either direction, once connected: also for a hub that takes a request and never
    /// answers.
    public var silenceMilliseconds: Int
    /// One request, from the first look-up to the last byte of the answer.
    public var totalMilliseconds: Int
    /// At most so many bytes a second, each way; `nil` for as many as there are.
    public var bytesPerSecond: Int?

    public init(
        connectMilliseconds: Int = 10_000, silenceMilliseconds: Int = 20_000,
        totalMilliseconds: Int = 300_000, bytesPerSecond: Int? = nil
    ) {
        self.connectMilliseconds = connectMilliseconds
        self.silenceMilliseconds = silenceMilliseconds
        self.totalMilliseconds = totalMilliseconds
        self.bytesPerSecond = bytesPerSecond
    }
}
