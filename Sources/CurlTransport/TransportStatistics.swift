/// What went over the wire, for tests and the bench. TLS and TCP add to the bytes.
public struct TransportStatistics: Hashable, Sendable {
    public var requestCount = 0
    /// New connections; fewer than requests when connections are kept.
    public var connectionCount = 0
    /// HTTP headers and bodies.
    public var sentBytes = 0
    /// HTTP headers and bodies.
    public var receivedBytes = 0
}
