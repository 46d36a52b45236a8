internal import HTTPTypes
internal import Hummingbird
internal import NIOCore
internal import SyncProtocol

/// What is sent back, before it is a Hummingbird response.
struct HubServerReply {
    var status: HTTPResponse.Status
    var contentType = RequestSignature.contentType
    var body: [UInt8]
    var refusal: Refusal?
    var allow: String?

    static func answer(_ answer: HubAnswer) -> Self {
        switch answer {
        case .message(let body): Self(status: .ok, body: body)
        case .refusal(let refusal): .refusal(refusal)
        }
    }

    static func refusal(_ refusal: Refusal) -> Self {
        Self(status: refusal.code.status, body: refusal.encode(), refusal: refusal)
    }

    static let tooLarge = refusal(
        Refusal(.tooLarge, "A message is at most \(Limits.messageBytes) bytes: send fewer runs."))

    static func text(_ status: HTTPResponse.Status, _ text: String) -> Self {
        Self(status: status, contentType: "text/plain; charset=utf-8", body: Array(text.utf8))
    }

    static func notAllowed(_ methods: String) -> Self {
        var reply = text(.methodNotAllowed, "Use \(methods).\n")
        reply.allow = methods
        return reply
    }

    func response(_ limits: HubServerLimits) -> Response {
        var headers: HTTPFields = [.contentType: contentType, .cacheControl: "no-store"]
        if let allow { headers[.allow] = allow }
        if refusal?.code == .retry { headers[.retryAfter] = String(limits.retryAfterSeconds) }
        return Response(
            status: status, headers: headers,
            body: ResponseBody(byteBuffer: ByteBuffer(bytes: body)))
    }
}

extension Refusal.Code {
    /// For proxies, monitors and people; a replica reads the code in the body.
    var status: HTTPResponse.Status {
        switch self {
        case .retry: .serviceUnavailable
        case .gap, .fork, .rewound, .epoch: .conflict
        case .revoked, .scope: .forbidden
        case .upgrade: .upgradeRequired
        case .poison: .badRequest
        case .tooLarge: .contentTooLarge
        }
    }
}
