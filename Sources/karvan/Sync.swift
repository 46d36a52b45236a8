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
            Examples: karvan sync --watch
                      karvan sync --nearby
                      karvan sync --hub https://new.example.org:8443

            Ends with 0 when both sides hold the same. When no hub answers it ends with 69 and says how many \
            changes wait: they are safe in the replica. A long sync says how far it is. \
            Ctrl-C ends it with 130, between two transactions: what was sent and received is kept.

            Photos go after everything else, a piece at a time: what a bad line breaks off goes on there the next \
            time. Those that others took are fetched with --photos all.

            Where no hub can be reached, a laptop nearby that runs `karvan serve` can be: --peer gives the address \
            that stands on its screen, and --nearby finds all that serve in the same network. Each gives the other \
            what it lacks, with the photos of this laptop that the hub hasn't got yet; --photos all brings those of \
            the other here, too.

            A hub that has another address than before is named once, with --hub.
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
    @Flag(help: "Sync with all laptops nearby that run `karvan serve`, instead of with the hub.")
    var nearby = false

    func validate() throws {
        guard (1...3_600).contains(every), (1...3_600).contains(timeout) else {
            throw ValidationError("--every and --timeout take 1 to 3600 seconds.")
        }
        guard limit.map({ (4...1_000_000).contains($0) }) ?? true else {
            throw ValidationError("--limit takes 4 to 1000000 kB a second.")
        }
        guard peer == nil && !nearby || !watch && hub == nil else {
            throw ValidationError("--peer and --nearby go without --watch and --hub.")
        }
        guard peer == nil || !nearby else {
            throw ValidationError("--nearby finds the addresses itself: leave out --peer.")
        }
    }

    func run() throws {
        StopSignal.install()
        let replica = try common.open(watch ? "sync --watch" : "sync")
        defer { replica.close() }
        if let peer { return try visit(peer, replica) }
        if nearby { return try visitAll(replica) }
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
        try syncUntilStopped(replica)
    }

    /// With the keys that the hub has named last.
    func link(of replica: Replica) throws -> HubLink {
        guard let link = try replica.updatedHubLink() else {
            throw CommandFailure(
                .configuration,
                "this replica knows no hub. Join one with `karvan enrol URL TOKEN`")
        }
        return link
    }

    func connect(_ link: HubLink, _ replica: Replica) throws -> CurlHub {
        try connection(to: link, replica, limits)()
    }

    /// What makes a connection, here or on another thread.
    func connection(
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

    func session(_ replica: Replica, _ hub: CurlHub) throws -> SyncReport {
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
    func movePhotos(
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

    var limits: TransportLimits {
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
