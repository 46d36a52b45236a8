internal import AntiEntropy
internal import ArgumentParser
internal import CurlTransport
internal import FieldRecords
internal import Foundation
internal import ProgramOutput
internal import ReplicaStore
internal import ReplicaSync
internal import SyncProtocol

/// Brings hub and laptop together.
struct Sync: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "sync",
        abstract: "Send what was recorded here and fetch what others recorded.",
        discussion: """
            Ends with 0 when both sides hold the same. When no hub answers it ends with 69 and says how many \
            changes wait: they are safe in the replica. A long sync says how far it is. \
            Ctrl-C ends it with 130, between two transactions: what was sent and received is kept.

            Photos go after everything else, a piece at a time: what a bad line breaks off goes on there the next \
            time. Those that others took are fetched with --photos all.

            Where no hub can be reached, a laptop nearby that runs `karvan serve` can be: --peer gives the address \
            that stands on its screen. Each gives the other what it lacks, with the photos of this laptop that the \
            hub hasn't got yet; --photos all brings those of the other here, too.

            A hub that has another address than before: karvan sync --hub https://new.example.org:8443
            """)

    @OptionGroup var common: CommonOptions
    @Flag(
        help:
            "Go on syncing until stopped: at once after a change here or on the hub, else every few seconds."
    )
    var watch = false
    @Option(
        help: "With --watch: seconds between two looks at a hub that doesn't say when it has news.")
    var every = 5
    @Option(help: "Give up after this many seconds without an answer.")
    var timeout = 20
    @Option(help: "The most that goes each way, in kB a second: for a line that others use too.")
    var limit: Int?
    @Option(
        help:
            "Which photos go: own (those that this laptop has and the hub lacks), all (and those of others come here), none."
    )
    var photos = PhotoExtent.own
    @Option(help: "The hub's new address: it is kept once a sync there has succeeded.")
    var hub: String?
    @Option(help: "Sync with a laptop nearby instead: the address that its `karvan serve` shows.")
    var peer: String?

    func validate() throws {
        guard (1...3_600).contains(every), (1...3_600).contains(timeout) else {
            throw ValidationError("--every and --timeout take 1 to 3600 seconds.")
        }
        guard limit.map({ (4...1_000_000).contains($0) }) ?? true else {
            throw ValidationError("--limit takes 4 to 1000000 kB a second.")
        }
        guard peer == nil || !watch && hub == nil else {
            throw ValidationError("--peer goes without --watch and --hub.")
        }
    }

    func run() throws {
        StopSignal.install()
        let replica = try common.open(watch ? "sync --watch" : "sync")
        defer { replica.close() }
        if let peer { return try visit(peer, replica) }
        guard watch else {
            let hub = try connect(try link(of: replica), replica)
            var report: SyncReport
            do {
                report = try session(replica, hub)
            } catch let failure as CommandFailure where failure.status == .refused {
                // What is kept aside of a laptop that was revoked may be admitted, and photos with it.
                _ = try? movePhotos(replica, hub, isRevoked: true) { !StopSignal.isStopped }
                throw failure
            }
            report.photos = try movePhotos(replica, hub) { !StopSignal.isStopped }
            report.dropped = try replica.dropUnreadableScopes()
            if let failure = report.photos?.failure { throw failure }
            if let failure = report.photos?.interruption { throw failure }
            return try common.print(report.text, report.json(statistics: hub.statistics))
        }
        try watch(replica)
    }

    /// With the keys that the hub has named last.
    private func link(of replica: Replica) throws -> HubLink {
        guard let link = try replica.updatedHubLink() else {
            throw CommandFailure(
                .configuration,
                "this replica knows no hub. Join one with `karvan enrol URL TOKEN`")
        }
        return link
    }

    private func connect(_ link: HubLink, _ replica: Replica) throws -> CurlHub {
        try connection(to: link, replica, limits)()
    }

    /// What makes a connection, here or on another thread.
    private func connection(
        to link: HubLink, _ replica: Replica, _ limits: TransportLimits
    ) throws -> @Sendable () throws -> CurlHub {
        let url = try hub.map(HubURL.normalise) ?? link.url
        let trust: HubTrust =
            if let authority = link.authority {
                .authority(pem: authority)
            } else if let known = link.pins {
                .pinned(sha256: known.pins)
            } else {
                .system
            }
        let (identity, publicKey) = (try replica.key(), link.publicKey)
        return {
            try CurlHub(
                url: url, identity: identity, hubPublicKey: publicKey, trust: trust,
                limits: limits, cancellation: StopSignal.cancellation)
        }
    }

    private func session(_ replica: Replica, _ hub: CurlHub) throws -> SyncReport {
        let line = SyncProgressLine(replica.environment, isQuiet: common.json || watch)
        let side = ReplicaSide(replica) { applied in
            line.received(applied)
            return !StopSignal.isStopped
        }
        let driver = SyncDriver(
            replica: side, hub: hub, wallMilliseconds: replica.environment.wallMilliseconds)
        let (outcome, progress) = try driver.run { line.answered($0) }
        line.end()
        if outcome == .completed { try keepAddress(replica) }
        // Whoever is to be forgotten is, whatever else came of this; a reader may be in the way.
        _ = try? replica.emptyFreePages()
        let report = SyncReport(
            outcome: outcome, progress: progress, pending: try replica.pending().count)
        switch report.standing {
        case .unknown: break
        case .welcome: try replica.noteHubRefusal(nil)
        case .revoked(let explanation): try replica.noteHubRefusal(explanation)
        }
        if let failure = report.failure { throw failure }
        return report
    }

    /// Sends photos, and fetches those of others where that is asked for; records come first.
    ///
    /// - Parameter goesOn: asked before each piece.
    /// - Returns: `nil` where none are to go.
    private func movePhotos(
        _ replica: Replica, _ hub: CurlHub, isRevoked: Bool = false, goesOn: @escaping () -> Bool
    ) throws -> PhotoReport? {
        guard photos != .none else { return nil }
        let line = SyncProgressLine(replica.environment, isQuiet: common.json || watch)
        let driver = BlobDriver(
            port: ReplicaBlobs(replica), hub: hub, goesOn: goesOn, observe: line.moved)
        let (outcome, progress) = try driver.run(
            isRevoked ? .bring : photos == .all ? .sendAndFetch : .send)
        line.end()
        return PhotoReport(outcome: outcome, progress: progress)
    }

    // MARK: A laptop nearby

    private func visit(_ address: String, _ replica: Replica) throws {
        let exchange = PeerExchange(replica)
        try exchange.checkIsMember()
        let peer = try CurlPeer(
            url: Self.peerURL(address), identity: try replica.key(), limits: limits,
            cancellation: StopSignal.cancellation
        ) { try exchange.check($0) }
        // Whoever is to be forgotten is, whatever else came of this.
        defer { _ = try? replica.emptyFreePages() }
        let visit = try exchange.visit(peer.statement, over: peer) { !StopSignal.isStopped }
        let moved = try movePhotos(replica, with: visit.peer, over: peer)
        let report = PeerReport(
            visit: visit, photos: moved, pending: try replica.pending().count,
            unsentPhotoCount: try replica.blobStanding().unsent.count)
        if let failure = report.failure { throw failure }
        try common.print(report.text, report.json(peer.statistics))
    }

    /// Gives a laptop nearby photos, and fetches its own where that is asked for.
    ///
    /// - Returns: `nil` where none are to go.
    private func movePhotos(
        _ replica: Replica, with peer: BundleRecipient, over port: CurlPeer
    ) throws -> PeerPhotos? {
        guard photos != .none else { return nil }
        let line = SyncProgressLine(replica.environment, isQuiet: common.json)
        let driver = BlobDriver(
            port: PeerBlobs(replica, with: peer, offering: photos.bundled), hub: port,
            hubName: peer.name, goesOn: { !StopSignal.isStopped }, observe: line.moved)
        let (outcome, progress) = try driver.run(photos == .all ? .sendAndFetch : .send)
        line.end()
        return PeerPhotos(outcome: outcome, progress: progress, peer: peer.name)
    }

    /// What people type, with what goes without saying.
    private static func peerURL(_ address: String) -> String {
        let scheme = "https://"
        guard address.hasPrefix(scheme) || !address.contains("://") else { return address }
        let rest = address.hasPrefix(scheme) ? address.dropFirst(scheme.count) : address[...]
        let host = rest.prefix { $0 != "/" }
        let end = host.lastIndex(of: "]") ?? host.startIndex
        let port = host[end...].contains(":") ? "" : ":\(CurlPeer.port)"
        return scheme + host + port + rest.dropFirst(host.count)
    }

    private var limits: TransportLimits {
        var limits = TransportLimits(
            connectMilliseconds: min(timeout, 10) * 1_000, silenceMilliseconds: timeout * 1_000)
        if let limit {
            limits.bytesPerSecond = limit * 1_000
            // The longest message, twice.
            limits.totalMilliseconds = max(
                limits.totalMilliseconds, Limits.messageBytes / limit * 2)
        }
        return limits
    }

    // MARK: Another address

    /// The hub that this laptop knows has answered there.
    private func keepAddress(_ replica: Replica) throws {
        guard let url = try hub.map(HubURL.normalise), var link = try replica.hubLink(),
            link.url != url
        else { return }
        link.url = url
        try replica.setHubLink(link)
        StandardError.print("karvan: the hub's address is \(url) from now on")
    }

    // MARK: Watching

    private func watch(_ replica: Replica) throws {
        var seen = try replica.foreignVersion()
        var failures = 0
        var known = try link(of: replica)
        var hub = try connect(known, replica)
        var news = try waiting(for: known, replica)
        defer { news.end() }
        while !StopSignal.isStopped {
            do {
                // The hub may have named other keys, or another address; the connection is kept otherwise.
                let link = try link(of: replica)
                if link != known {
                    (known, hub) = (link, try connect(link, replica))
                    news.end()
                    news = try waiting(for: link, replica)
                }
                let hadNews = news.isNews
                let before = try places(of: replica)
                news.suspend()
                var report = try session(replica, hub)
                let now = try places(of: replica)
                // News that moves nothing comes again at once: a scope that this build doesn't know.
                news.resume(at: now, after: hadNews && now == before ? Double(every) : 0)
                report.photos = try movePhotos(replica, hub) { [seen] in
                    !StopSignal.isStopped && !news.isNews
                        && (try? replica.foreignVersion()) == seen
                }
                report.dropped = try replica.dropUnreadableScopes()
                if report.isWorthALine {
                    // It goes on syncing all the same.
                    try? common.print(report.text, report.json(statistics: nil))
                }
                if let failure = report.photos?.failure { throw failure }
                failures = 0
            } catch let error {
                // Without a hub, or with a stranger in its place as in a hotel's network, the watch
                // goes on; anything else ends it.
                guard let failure = CommandFailure(describing: error),
                    [.unreachable, .held, .protocolError, .stopped].contains(failure.status)
                else { throw error }
                failures += 1
                StandardError.print("karvan: \(failure.message).")
            }
            var pause = failures > 0 ? pause(after: failures) : nil
            // Who says when to come back is busy: a change here doesn't make it less so.
            let isTold = hub.retryAfterSeconds != nil && failures > 0
            if isTold, let seconds = hub.retryAfterSeconds {
                pause = max(pause ?? 0, min(Double(seconds), Self.longestPause))
            }
            if try !wait(replica, &seen, news, pause, isPatient: isTold) {
                // What lay between is gone with the network of then.
                hub = try connect(known, replica)
                news.end()
                news = try waiting(for: known, replica)
            }
        }
    }

    /// How long the hub may hold back an answer: shorter than what sits between may let a connection idle, and
    /// soon enough to notice that it is gone.
    private static let patienceMilliseconds = 25_000

    private func waiting(for link: HubLink, _ replica: Replica) throws -> HubWatch {
        let limits = TransportLimits(
            connectMilliseconds: limits.connectMilliseconds,
            silenceMilliseconds: Self.patienceMilliseconds + limits.silenceMilliseconds)
        return HubWatch(
            patienceMilliseconds: UInt64(Self.patienceMilliseconds),
            pauseSeconds: Double(min(every, 5)),
            connect: try connection(to: link, replica, limits))
    }

    private func places(of replica: Replica) throws -> [WaitRequest.Place] {
        try replica.syncedScopes().map {
            WaitRequest.Place(scope: $0, cursor: try replica.cursor(in: $0))
        }
    }

    /// A hub that says when there is news is asked all the same, so that the last success is not long ago.
    private static let calmSeconds = 60

    /// However long a server says that it will be busy, in seconds.
    private static let longestPause: Double = 3_600

    /// Twice as long after each failure, up to a minute, and never quite as long as others': a hub that comes back
    /// isn't asked by all at once.
    private func pause(after failures: Int) -> Double {
        let longest = max(every, Self.calmSeconds)
        let seconds = min(every << min(failures - 1, 6), longest)
        return Double(seconds) * Double.random(in: 0.75...1.25)
    }

    /// Until another process has written here, the hub has something new, or the time is up.
    ///
    /// - Parameters:
    ///   - pause: after a failure, in seconds.
    ///   - isPatient: whether it waits for the end of that, whatever is new.
    /// - Returns: `false` when this laptop has slept meanwhile.
    private func wait(
        _ replica: Replica, _ seen: inout Int64, _ news: HubWatch, _ pause: Double?,
        isPatient: Bool
    ) throws -> Bool {
        let start = replica.environment.monotonicMilliseconds()
        while !StopSignal.isStopped, isPatient || !news.isNews {
            let calm = Double(news.isLive ? max(every, Self.calmSeconds) : every)
            let seconds = pause ?? calm
            let now = replica.environment.monotonicMilliseconds()
            guard now < start + Int64(seconds * 1_000) else { break }
            let version = try replica.foreignVersion()
            defer { seen = version }
            if version != seen, !isPatient { break }
            let before = Self.bootMilliseconds
            usleep(100_000)
            guard Self.bootMilliseconds - before < 5_000 else { return false }
        }
        return true
    }

    /// Goes on while the machine sleeps.
    private static var bootMilliseconds: Int64 {
        var time = timespec()
        clock_gettime(CLOCK_BOOTTIME, &time)
        return Int64(time.tv_sec) * 1_000 + Int64(time.tv_nsec) / 1_000_000
    }
}

/// Which photos a sync moves.
enum PhotoExtent: String, ExpressibleByArgument, CaseIterable {
    case own
    case all
    case none

    /// Of a bundle.
    var bundled: BundledBlobs {
        switch self {
        case .own: .unsent
        case .all: .all
        case .none: .none
        }
    }
}

/// SIGINT and SIGTERM end a sync, an import and whatever waits for the network, within a moment.
enum StopSignal {
    static let cancellation = Cancellation()

    static var isStopped: Bool { cancellation.isCancelled }

    static func install() {
        // Made before a handler can run: a handler may do no more than set a flag.
        _ = cancellation
        for number in [SIGINT, SIGTERM] {
            signal(number) { number in
                // Whoever can't wait for the end of a transaction asks again: it is taken back then.
                if StopSignal.isStopped {
                    signal(number, SIG_DFL)
                    raise(number)
                }
                StopSignal.cancellation.cancel()
            }
        }
    }
}
