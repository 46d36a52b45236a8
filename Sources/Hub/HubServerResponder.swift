internal import Causality
internal import HTTPTypes
internal import Hummingbird
internal import Logging
internal import NIOCore
internal import SyncProtocol

/// From an HTTP request to the handler, and back; one log line for each.
struct HubServerResponder: HTTPResponder {
    typealias Context = BasicRequestContext

    let routes: [HubServerRoute]
    let limits: HubServerLimits
    let logger: Logger

    func respond(to request: Request, context: Context) async throws -> Response {
        let start = ContinuousClock.now
        var received = 0
        let reply: HubServerReply
        do {
            reply = try await self.reply(to: request, received: &received)
        } catch {
            log(request, aborted: error, received: received, since: start)
            throw error
        }
        log(request, reply, received: received, since: start)
        let response = reply.response(limits)
        // A body behind it would be read as the next answer.
        return request.method == .head ? response.createHeadResponse() : response
    }

    private func reply(
        to request: Request, received: inout Int
    ) async throws -> HubServerReply {
        switch (request.uri.path, request.method) {
        case ("/v1/health", .get), ("/v1/health", .head):
            return .text(.ok, "status ok\nformat \(Limits.format)\n")
        case ("/v1/health", _):
            return .notAllowed("GET, HEAD")
        case (let path, let method):
            if let route = routes.first(where: { $0.path == path }) {
                return try await answer(request, method, at: route, received: &received)
            }
            guard Self.isOfOtherFormat(path) else {
                return .text(.notFound, "Nothing here. This is Karvan.\n")
            }
            return .refusal(
                Refusal(.upgrade, "format \(Limits.format) is spoken here: update what runs here"))
        }
    }

    private func answer(
        _ request: Request, _ method: HTTPRequest.Method, at route: HubServerRoute,
        received: inout Int
    ) async throws -> HubServerReply {
        let signature = request.headers[.karvanSignature]
        switch (route.method, method) {
        case (.get, .get):
            return .answer(await route.answer([], signature))
        case (.post, .post):
            return try await message(of: request, received: &received) { body in
                await route.answer(body, signature)
            }
        case (.get, _): return .notAllowed("GET")
        case (.post, _): return .notAllowed("POST")
        }
    }

    /// Whether a path begins with `/vN/`.
    private static func isOfOtherFormat(_ path: String) -> Bool {
        guard path.hasPrefix("/v"), let end = path.dropFirst().firstIndex(of: "/") else {
            return false
        }
        let digits = path[path.index(path.startIndex, offsetBy: 2)..<end]
        return !digits.isEmpty && digits.allSatisfy { ("0"..."9").contains($0) }
            && digits != "\(Limits.format)"
    }

    private func message(
        of request: Request, received: inout Int, answer: ([UInt8]) async -> HubAnswer
    ) async throws -> HubServerReply {
        guard request.carriesMessage else {
            return .text(
                .unsupportedMediaType, "Expected Content-Type: \(RequestSignature.contentType)\n")
        }
        if let length = request.headers[.contentLength].flatMap(Int.init),
            length > Limits.messageBytes
        {
            return .tooLarge
        }
        var body: [UInt8] = []
        for try await part in request.body {
            received += part.readableBytes
            guard received <= Limits.messageBytes else { return .tooLarge }
            body.append(contentsOf: part.readableBytesView)
        }
        return .answer(await answer(body))
    }

    private func log(
        _ request: Request, _ reply: HubServerReply, received: Int,
        since start: ContinuousClock.Instant
    ) {
        var metadata = facts(request, received: received, since: start)
        metadata["status"] = "\(reply.status.code)"
        metadata["out"] = "\(reply.body.count)"
        if let refusal = reply.refusal { metadata["refusal"] = "\(refusal.code.name)" }
        logger.info("request", metadata: metadata)
    }

    private func log(
        _ request: Request, aborted error: any Error, received: Int,
        since start: ContinuousClock.Instant
    ) {
        var metadata = facts(request, received: received, since: start)
        metadata["reason"] = "\(error)"
        logger.info("request-aborted", metadata: metadata)
    }

    /// Without the address, the query and the headers: they name people or hold secrets.
    private func facts(
        _ request: Request, received: Int, since start: ContinuousClock.Instant
    ) -> Logger.Metadata {
        var facts: Logger.Metadata = [
            "method": "\(request.method.rawValue.prefix(16))",
            "path": "\(request.uri.path.prefix(100))",
            "in": "\(received)",
            "milliseconds":
                "\(((ContinuousClock.now - start) / .microseconds(100)).rounded() / 10)",
        ]
        if let device = request.claimedDevice { facts["device"] = "\(device)" }
        return facts
    }
}

extension HTTPField.Name {
    static let karvanSignature = HTTPField.Name(RequestSignature.headerName)!
}

extension Request {
    /// Parameters behind the type say nothing that matters here.
    fileprivate var carriesMessage: Bool {
        let type = headers[.contentType]?.split(separator: ";").first?.trimmingSpaces
        return type?.lowercased() == RequestSignature.contentType
    }

    /// The first digits of the device's id. Only a claim: nothing is checked before the handler.
    fileprivate var claimedDevice: String? {
        headers[.karvanSignature].flatMap(RequestSignature.init(headerValue:)).map {
            DeviceID(publicKey: $0.publicKey).short
        }
    }
}

extension Substring {
    fileprivate var trimmingSpaces: Substring {
        var rest = drop { $0 == " " || $0 == "\t" }
        while rest.last == " " || rest.last == "\t" { rest.removeLast() }
        return rest
    }
}
