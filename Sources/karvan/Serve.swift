internal import ArgumentParser
internal import CurlTransport
internal import Dispatch
internal import Foundation
internal import Hub
internal import Logging
internal import ProgramOutput
internal import ReplicaStore
internal import ReplicaSync
internal import ServiceDiscovery
internal import Synchronization
internal import SyncProtocol

/// Lets laptops nearby sync with this one.
struct Serve: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Let laptops nearby sync with this one, where no hub can be reached.",
        discussion: """
            Example: karvan serve

            Both need the same network: a router without internet, or one laptop's own hotspot. There, on the other \
            laptop:

              karvan sync --nearby

            or, in a network that doesn't let laptops find each other, `karvan sync --peer ADDRESS`. \
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
    @Flag(
        inversion: .prefixedNo,
        help:
            "Let laptops in the network find this one by its name (mDNS), or by its address alone.")
    var announce = true
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
        let advertisement = try PeerExchange(replica).advertisement()
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
        let announcement = Mutex<ServiceAnnouncement?>(nil)
        let announce = announce
        let server = HubServer(
            routes: service.routes, certificate: certificate, host: host, port: port,
            limits: limits, logger: logger
        ) { port in
            let addresses = ServedAddress.all(host).map { "\($0):\(port)" }
            let announced = Self.announce(name, advertisement, host, port, announce)
            announcement.withLock { $0 = announced.announcement }
            try? common.print(
                Self.start(name, addresses, announced),
                .object([
                    ("name", .string(name)),
                    ("addresses", .array(addresses.map(JSONValue.string))),
                    ("announced", .bool(announced.announcement != nil)),
                ]))
        }
        defer { announcement.withLock { $0?.end() } }
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

    // MARK: Being found

    /// What came of it, and why where nothing did.
    private struct Announced {
        var announcement: ServiceAnnouncement?
        var problem: DiscoveryFailure?
    }

    private static func announce(
        _ name: String, _ advertisement: PeerAdvertisement, _ host: String, _ port: Int,
        _ isAsked: Bool
    ) -> Announced {
        guard isAsked, let port = UInt16(exactly: port), let reach = ServedAddress.reach(host)
        else {
            return Announced()
        }
        do throws(DiscoveryFailure) {
            return Announced(
                announcement: try ServiceAnnouncement(
                    type: PeerAdvertisement.serviceType, name: name, port: port,
                    text: advertisement.text, reach: reach))
        } catch {
            return Announced(problem: error)
        }
    }

    // MARK: Words

    private static func start(
        _ name: String, _ addresses: [String], _ announced: Announced
    ) -> String {
        guard !addresses.isEmpty else {
            return "\(name) serves, but this laptop is in no network: join one, and start again."
        }
        var ways = addresses.map { "karvan sync --peer \($0)" }
        if let announcement = announced.announcement {
            let once = announcement.waitsForDaemon ? "   once avahi-daemon runs here" : ""
            ways.insert("karvan sync --nearby\(once)", at: 0)
        }
        let note =
            announced.problem.map { "\nThey can't find it without an address: \($0)." } ?? ""
        return "\(name) serves laptops nearby, until Ctrl-C. On each of them:\n      "
            + ways.joined(separator: "\n  or  ") + note
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
}
