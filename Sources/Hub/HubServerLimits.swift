/// How long and how much the hub's HTTP side bears from a client. The limits of the messages
/// themselves are in `Limits` of SyncProtocol.
package struct HubServerLimits: Sendable {
    /// A connection without a request under way: until the first bytes of a whole request head,
    /// the TLS handshake included, and between requests.
    package var idleMilliseconds: Int64 = 60_000
    /// From a request's head to the end of its body. The largest message needs 6 kB/s.
    package var requestMilliseconds: Int64 = 300_000
    /// From the head of an answer until the client's system took the end of it.
    package var responseMilliseconds: Int64 = 300_000
    /// After an answer that came before the body's end: so that the client still reads it.
    package var lingerMilliseconds: Int64 = 5_000
    /// What requests under way get when the hub stops.
    package var stopMilliseconds: Int64 = 5_000
    /// The client's part in closing a TLS connection.
    package var closeMilliseconds: Int64 = 1_000
    /// Connections at once; more wait in the system's backlog. Below a quarter of Debian's 1,024
    /// file descriptors, and 450 MB should each bring the largest message.
    package var connections = 256
    /// All fields of a request head together, in bytes.
    package var headBytes = 16 << 10
    /// What a client is told to wait after RETRY.
    package var retryAfterSeconds = 5

    package init() {}
}
