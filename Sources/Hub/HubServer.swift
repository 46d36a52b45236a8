internal import Hummingbird
internal import HummingbirdCore
internal import HummingbirdTLS
package import Logging
internal import NIOCore
internal import NIOSSL
internal import ServiceLifecycle
internal import Synchronization
internal import UnixSignals

/// Why the hub doesn't serve.
package enum HubServerError: Error, Hashable, Sendable, CustomStringConvertible {
    /// Nothing was served yet: the port is taken or not allowed, or the host isn't this machine.
    case cannotListen(host: String, port: Int, reason: String)

    package var description: String {
        switch self {
        case .cannotListen(let host, let port, let reason):
            """
            cannot listen on \(host):\(port): \(reason). Stop the program that has the port, or \
            give another host or port.
            """
        }
    }
}

/// The hub's HTTP side: HTTP/1.1 with keep-alive over TLS 1.3.
package final class HubServer: Sendable {
    private enum State {
        case new
        case running(ServiceGroup)
        case stopped
    }

    private let routes: [HubServerRoute]
    private let certificate: HubCertificate
    private let host: String
    private let port: Int
    private let limits: HubServerLimits
    private let logger: Logger
    private let onReady: @Sendable (Int) -> Void
    private let state = Mutex(State.new)
    private let isReady = Atomic(false)

    /// - Parameters:
    ///   - host: the name or address to listen on: `0.0.0.0` and `::` mean all of them.
    ///   - port: 0 lets the system choose one.
    ///   - onReady: told the port once connections are taken.
    package init(
        routes: [HubServerRoute], certificate: HubCertificate, host: String, port: Int,
        limits: HubServerLimits = HubServerLimits(), logger: Logger,
        onReady: @escaping @Sendable (Int) -> Void
    ) {
        self.routes = routes
        self.certificate = certificate
        self.host = host
        self.port = port
        self.limits = limits
        self.logger = logger
        self.onReady = onReady
    }

    /// Serves what a hub answers.
    package convenience init(
        handler: any HubHandler, certificate: HubCertificate, host: String, port: Int,
        limits: HubServerLimits = HubServerLimits(), logger: Logger,
        onReady: @escaping @Sendable (Int) -> Void
    ) {
        self.init(
            routes: handler.routes, certificate: certificate, host: host, port: port,
            limits: limits, logger: logger, onReady: onReady)
    }

    /// Serves until SIGTERM, SIGINT, ``stop()`` or the task's cancellation, then takes no more
    /// connections, finishes the requests under way and returns. Call it once.
    ///
    /// Connections get ``HubServerLimits/stopMilliseconds``. A call of the handler that lasts
    /// longer sees its task cancelled, and is waited for: the store may be closed afterwards.
    ///
    /// - Throws: ``HubServerError``; whatever else ended the server.
    package func run() async throws {
        let group = try makeGroup()
        let mayRun = state.withLock { state in
            guard case .new = state else { return false }
            state = .running(group)
            return true
        }
        guard mayRun else { return }
        defer { state.withLock { $0 = .stopped } }
        do {
            try await group.run()
        } catch is CancellationError {
            logger.warning("stop-cut-short")
        } catch let error where !isReady.load(ordering: .acquiring) {
            throw HubServerError.cannotListen(host: host, port: port, reason: "\(error)")
        }
        logger.info("stopped")
    }

    /// Begins a graceful stop, as SIGTERM does; ``run()`` returns when it is done.
    package func stop() async {
        let group: ServiceGroup? = state.withLock { state in
            guard case .running(let group) = state else {
                state = .stopped
                return nil
            }
            return group
        }
        await group?.triggerGracefulShutdown()
    }

    private func makeGroup() throws -> ServiceGroup {
        var quiet = logger
        quiet.logLevel = max(logger.logLevel, .warning)
        let application = Application(
            responder: HubServerResponder(routes: routes, limits: limits, logger: logger),
            server: try .tls(.http1(configuration: channelConfiguration), tlsConfiguration: tls),
            configuration: ApplicationConfiguration(
                address: .hostname(host, port: port),
                availableConnectionsDelegate: MaximumAvailableConnections(
                    limits.connections, logger: quiet)),
            onServerRunning: { [self] in ready($0.localAddress?.port ?? port) },
            logger: quiet)
        var configuration = ServiceGroupConfiguration(
            services: [application], gracefulShutdownSignals: [.sigterm, .sigint], logger: quiet)
        configuration.maximumGracefulShutdownDuration = .milliseconds(
            limits.stopMilliseconds + limits.closeMilliseconds)
        return ServiceGroup(configuration: configuration)
    }

    private func ready(_ port: Int) {
        isReady.store(true, ordering: .releasing)
        logger.info("listening", metadata: ["host": "\(host)", "port": "\(port)"])
        onReady(port)
    }

    private var channelConfiguration: HTTP1Channel.Configuration {
        let (limits, logger) = (limits, logger)
        var configuration = HTTP1Channel.Configuration(
            additionalChannelHandlers: [HubServerDeadlines(limits: limits, logger: logger)],
            idleTimeout: .milliseconds(limits.idleMilliseconds))
        configuration.httpDecoder.maxHeaderFieldSize = limits.headBytes
        configuration.httpDecoder.maxHeaderListSize = limits.headBytes
        configuration.httpDecoder.maxHeaderFieldCount = 100
        return configuration
    }

    private var tls: TLSConfiguration {
        var tls = certificate.tls
        tls.minimumTLSVersion = .tlsv13
        tls.applicationProtocols = ["http/1.1"]
        tls.shutdownTimeout = .milliseconds(limits.closeMilliseconds)
        return tls
    }
}
