internal import AntiEntropy
internal import CurlTransport
internal import Foundation
internal import ProgramOutput
internal import ReplicaStore
internal import SyncProtocol

extension Sync {
    func syncUntilStopped(_ replica: Replica) throws {
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
