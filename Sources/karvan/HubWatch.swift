internal import CurlTransport
internal import Foundation
internal import Synchronization
internal import SyncProtocol

/// Waits beside everything else for the hub to have something new, on a connection of its own.
final class HubWatch: Sendable {
    private struct State {
        /// Where this laptop stands; `nil` while a session is under way, whose end nobody need be told.
        var places: [WaitRequest.Place]?
        var isNews = false
        /// The hub answers, and doesn't have to be asked from time to time.
        var isLive = false
        var isEnded = false
        var restsUntil = ContinuousClock.now

        /// Where to wait now.
        var next: [WaitRequest.Place]? {
            isNews || ContinuousClock.now < restsUntil ? nil : places
        }
    }

    private let state = Mutex(State())

    var isLive: Bool { state.withLock { $0.isLive } }

    /// - Parameters:
    ///   - connect: makes the connection; each time again after a failure.
    ///   - patienceMilliseconds: how long the hub may hold back an answer.
    ///   - pauseSeconds: after a failure, and after what was no news.
    init(
        patienceMilliseconds: UInt64, pauseSeconds: Double,
        connect: @escaping @Sendable () throws -> CurlHub
    ) {
        Thread.detachNewThread { [self] in
            var hub: CurlHub?
            while !isEnded {
                guard let places = state.withLock({ $0.next }) else {
                    Thread.sleep(forTimeInterval: 0.1)
                    continue
                }
                let start = ContinuousClock.now
                do {
                    if hub == nil { hub = try connect() }
                    // The first one asks whether the hub can wait at all.
                    let wasLive = isLive
                    let request = WaitRequest(
                        patienceMilliseconds: wasLive ? patienceMilliseconds : 0, places: places)
                    let reply = try hub?.wait(request)
                    let isOfNow = note(reply, to: request)
                    let wasHeldBack = ContinuousClock.now - start > .seconds(1)
                    if reply != nil, !wasLive || !isOfNow || isNews || wasHeldBack { continue }
                } catch {
                    hub = nil
                    state.withLock { $0.isLive = false }
                }
                pause(pauseSeconds)
            }
        }
    }

    private var isEnded: Bool { state.withLock { $0.isEnded } }
    /// Whether a session would bring something.
    var isNews: Bool { state.withLock { $0.isNews } }

    /// - Returns: `false` for an answer to what was asked before this laptop moved on: it says nothing.
    private func note(_ reply: WaitReply?, to request: WaitRequest) -> Bool {
        state.withLock { state in
            state.isLive = reply != nil
            guard state.places == request.places else { return false }
            state.isNews = reply?.isNews(at: request.places) ?? false
            return true
        }
    }

    private func pause(_ seconds: Double) {
        let end = ContinuousClock.now + .seconds(seconds)
        while !isEnded, ContinuousClock.now < end { Thread.sleep(forTimeInterval: 0.05) }
    }

    /// A session begins: what it moves is no news.
    func suspend() { state.withLock { ($0.places, $0.isNews) = (nil, false) } }

    /// A session has ended, and this laptop stands here now.
    ///
    /// - Parameter seconds: until then nothing is waited for.
    func resume(at places: [WaitRequest.Place], after seconds: Double) {
        state.withLock {
            ($0.places, $0.isNews) = (places, false)
            $0.restsUntil = ContinuousClock.now + .seconds(seconds)
        }
    }

    func end() { state.withLock { $0.isEnded = true } }
}
