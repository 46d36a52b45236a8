internal import HTTPTypes
internal import Logging
internal import NIOCore
internal import NIOHTTPTypes

/// Ends a connection whose client sends its request, or takes its answer, too slowly.
///
/// Hummingbird's idle timeout starts anew with each byte of a body and rests while an answer is
/// written, so a client that trickles would hold its connection for ever. These deadlines count
/// from a request's and an answer's first byte and don't move. One instance per connection.
final class HubServerDeadlines: ChannelDuplexHandler, RemovableChannelHandler {
    typealias InboundIn = HTTPRequestPart
    typealias InboundOut = HTTPRequestPart
    typealias OutboundIn = HTTPResponsePart
    typealias OutboundOut = HTTPResponsePart

    private let limits: HubServerLimits
    private let logger: Logger
    private var requests = 0
    private var responses = 0
    private var reading: Scheduled<Void>?
    private var writing: Scheduled<Void>?
    private var stopping: Scheduled<Void>?

    init(limits: HubServerLimits, logger: Logger) {
        self.limits = limits
        self.logger = logger
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head:
            requests += 1
            arm(\.reading, limits.requestMilliseconds, "request-too-slow", context)
        case .body:
            break
        case .end:
            disarm(\.reading)
        }
        context.fireChannelRead(data)
    }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        switch unwrapOutboundIn(data) {
        case .head(let head) where head.status.kind != .informational:
            arm(\.writing, limits.responseMilliseconds, "response-too-slow", context)
            context.write(data, promise: promise)
        case .end:
            let taken = promise ?? context.eventLoop.makePromise(of: Void.self)
            taken.futureResult.assumeIsolated().whenComplete { _ in self.responseTaken(context) }
            context.write(data, promise: taken)
        case .head, .body:
            context.write(data, promise: promise)
        }
    }

    private func responseTaken(_ context: ChannelHandlerContext) {
        responses += 1
        disarm(\.writing)
        if responses == requests && reading != nil {
            arm(\.reading, limits.lingerMilliseconds, "request-refused-early", context)
        }
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if event is ChannelShouldQuiesceEvent {
            arm(\.stopping, limits.stopMilliseconds, "hub-stops", context)
        }
        context.fireUserInboundEventTriggered(event)
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        disarm(\.reading)
        disarm(\.writing)
        disarm(\.stopping)
    }

    private typealias Timer = ReferenceWritableKeyPath<HubServerDeadlines, Scheduled<Void>?>

    private func arm(
        _ timer: Timer, _ milliseconds: Int64, _ reason: String, _ context: ChannelHandlerContext
    ) {
        disarm(timer)
        self[keyPath: timer] = context.eventLoop.assumeIsolated().scheduleTask(
            in: .milliseconds(milliseconds)
        ) {
            self.logger.info("connection-ended", metadata: ["reason": "\(reason)"])
            context.close(promise: nil)
        }
    }

    private func disarm(_ timer: Timer) {
        self[keyPath: timer]?.cancel()
        self[keyPath: timer] = nil
    }
}
