package import SyncProtocol

/// What the hub does with a request, apart from HTTP.
///
/// Calls come concurrently and on the cooperative pool: an implementation moves blocking work to
/// an executor of its own. It decides itself how long a call lasts, for a stop waits for its
/// return: a call that waits for news ends when its task is cancelled.
package protocol HubHandler: Sendable {
    /// - Parameter body: an `EnrolmentRequest`, not checked yet; at most `Limits.messageBytes`.
    func enrol(_ body: [UInt8]) async -> HubAnswer

    /// - Parameters:
    ///   - body: a `SyncRequest`, not checked yet; at most `Limits.messageBytes`.
    ///   - signature: the header ``RequestSignature/headerName`` as it came, not checked yet.
    func exchange(_ body: [UInt8], signature: String?) async -> HubAnswer
}

/// The answer to a request, apart from HTTP.
package enum HubAnswer: Sendable {
    /// An encoded reply.
    case message([UInt8])
    case refusal(Refusal)
}
