internal import ArgumentParser
internal import CurlTransport
internal import Dispatch
internal import Foundation
internal import Hub
internal import Logging
internal import ProgramOutput
internal import ReplicaStore
internal import Synchronization

/// Lets laptops nearby sync with this one.
struct Serve: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Let laptops nearby sync with this one, where no hub can be reached.",
        discussion: """
            Both need the same network: a router without internet, or one laptop's own hotspot. There, on the other \
            laptop:

              karvan sync --peer ADDRESS

            Each gives the other what it lacks and may read. Who may come is who has a certificate of this \
            forum; nobody has to compare fingerprints. Others in the network can see this laptop's name, its role \
            and its delegation, and nothing else. What travelled so counts as sent when the hub has it: \
            whichever laptop meets the hub first brings everybody's changes.

            Goes on until Ctrl-C. Recording here goes on meanwhile. Logs go to standard error with --log.
            """)

    @OptionGroup var common: CommonOptions
    @Option(
        help:
            "ADDRESS:PORT to listen on; 0.0.0.0 means all networks, port 0 lets the system choose.")
    var listen = "0.0.0.0:\(CurlPeer.port)"
    @Flag(help: "Log each request on standard error.")
    var log = false

    func run() throws {
        let (host, port) = try address()
        let replica = try common.open("serve")
        let environment = replica.environment
        let certificate = try HubCertificate.passing(
            names: [], wallMilliseconds: environment.wallMilliseconds())
        let logger = HubLog.logger(
            level: log ? .info : .error, wallMilliseconds: environment.wallMilliseconds)
        let name = try replica.name
        let common = common
        let service = try PeerService(
            replica: replica, pin: certificate.pin, logger: logger
        ) { meeting in
            // It serves all the same.
            try? common.print(Self.line(meeting), Self.json(meeting))
        }
        // Nobody is known before a whole message was read: strangers are not to fill this laptop's memory.
        var limits = HubServerLimits()
        limits.connections = 16
        limits.requestMilliseconds = 60_000
        let server = HubServer(
            routes: service.routes, certificate: certificate, host: host, port: port,
            limits: limits, logger: logger
        ) { port in
            let addresses = Self.addresses(host).map { "\($0):\(port)" }
            try? common.print(
                Self.start(name, addresses),
                .object([
                    ("name", .string(name)),
                    ("addresses", .array(addresses.map(JSONValue.string))),
                ]))
        }
        try Self.wait {
            do {
                try await server.run()
            } catch {
                await service.close()
                throw error
            }
            await service.close()
        }
    }

    private func address() throws -> (host: String, port: Int) {
        guard let address = ListenAddress(listen) else {
            throw CommandFailure(
                .badInput,
                "--listen takes ADDRESS:PORT, such as 0.0.0.0:\(CurlPeer.port), not '\(listen)'")
        }
        return (address.host, address.port)
    }

    /// Runs what is asynchronous to its end; this thread waits.
    private static func wait(_ body: @escaping @Sendable () async throws -> Void) throws {
        let ended = DispatchSemaphore(value: 0)
        let result = Mutex<Result<Void, any Error>?>(nil)
        Task {
            do {
                try await body()
                result.withLock { $0 = .success(()) }
            } catch {
                result.withLock { $0 = .failure(error) }
            }
            ended.signal()
        }
        ended.wait()
        try result.withLock { $0 }?.get()
    }

    // MARK: Words

    private static func start(_ name: String, _ addresses: [String]) -> String {
        guard let first = addresses.first else {
            return "\(name) serves, but this laptop is in no network: join one, and start again."
        }
        let others = addresses.dropFirst().map { "\n  or  karvan sync --peer \($0)" }.joined()
        return "\(name) serves laptops nearby, until Ctrl-C. On each of them:\n"
            + "      karvan sync --peer \(first)" + others
    }

    private static func line(_ meeting: PeerMeeting) -> String {
        meeting.takenBlobCount + meeting.givenBlobCount > 0
            ? "\(meeting.name): photos, \(meeting.takenBlobCount) received, \(meeting.givenBlobCount) given."
            : meeting.takenCount + meeting.givenCount == 0
                ? "\(meeting.name): nothing new either way."
                : "\(meeting.name): \(meeting.takenCount) received, \(meeting.givenCount) given."
    }

    private static func json(_ meeting: PeerMeeting) -> JSONValue {
        .object([
            ("peer", .string(meeting.name)),
            ("received", .integer(Int64(clamping: meeting.takenCount))),
            ("given", .integer(Int64(clamping: meeting.givenCount))),
            ("photos_received", .integer(Int64(meeting.takenBlobCount))),
            ("photos_given", .integer(Int64(meeting.givenBlobCount))),
        ])
    }

    /// Where others find this laptop.
    ///
    /// - Parameter host: what is listened on.
    private static func addresses(_ host: String) -> [String] {
        guard host == "0.0.0.0" || host == "::" else {
            return [host.contains(":") ? "[\(host)]" : host]
        }
        var first: UnsafeMutablePointer<ifaddrs>?
        guard getifaddrs(&first) == 0 else { return [] }
        defer { freeifaddrs(first) }
        var found: [String] = []
        var next = first
        while let interface = next?.pointee {
            next = interface.ifa_next
            let isUp = interface.ifa_flags & UInt32(IFF_UP) != 0
            let isLoopback = interface.ifa_flags & UInt32(IFF_LOOPBACK) != 0
            guard isUp, !isLoopback, let address = interface.ifa_addr,
                Int32(address.pointee.sa_family) == AF_INET
            else { continue }
            var text = [CChar](repeating: 0, count: Int(INET_ADDRSTRLEN))
            let isRead = address.withMemoryRebound(to: sockaddr_in.self, capacity: 1) {
                inet_ntop(AF_INET, &$0.pointee.sin_addr, &text, socklen_t(text.count)) != nil
            }
            let name = String(
                decoding: text.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
            if isRead, !found.contains(name) { found.append(name) }
        }
        return found
    }
}
