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

    /// Answers when there is something new, or the patience of who asks is over.
    ///
    /// - Parameters:
    ///   - body: a `WaitRequest`, not checked yet.
    ///   - signature: as in ``exchange(_:signature:)``.
    func wait(_ body: [UInt8], signature: String?) async -> HubAnswer

    /// - Parameters:
    ///   - body: a `BlobRequest`, not checked yet.
    ///   - signature: as in ``exchange(_:signature:)``.
    func blobs(_ body: [UInt8], signature: String?) async -> HubAnswer
}

/// A path that is served, and what answers there.
///
/// Calls come as ``HubHandler`` says.
package struct HubServerRoute: Sendable {
    package enum Method: Sendable {
        /// Without a body.
        case get
        /// With a message for a body.
        case post
    }

    package var method: Method
    package var path: String
    /// Takes the body, and the header `RequestSignature.headerName` as it came, not checked yet.
    package var answer: @Sendable ([UInt8], String?) async -> HubAnswer

    package init(
        _ method: Method, _ path: String,
        answer: @escaping @Sendable ([UInt8], String?) async -> HubAnswer
    ) {
        (self.method, self.path, self.answer) = (method, path, answer)
    }
}

extension HubHandler {
    /// Where a hub is talked to.
    package var routes: [HubServerRoute] {
        [
            HubServerRoute(.post, RequestSignature.enrolmentPath) { body, _ in
                await enrol(body)
            },
            HubServerRoute(.post, RequestSignature.exchangePath) { body, signature in
                await exchange(body, signature: signature)
            },
            HubServerRoute(.post, WaitRequest.path) { body, signature in
                await wait(body, signature: signature)
            },
            HubServerRoute(.post, BlobRequest.path) { body, signature in
                await blobs(body, signature: signature)
            },
        ]
    }
}

/// The answer to a request, apart from HTTP.
package enum HubAnswer: Sendable {
    /// An encoded reply.
    case message([UInt8])
    case refusal(Refusal)
}
