internal import Synchronization

/// Stops a request from another thread. It stays cancelled: one is made for each session.
public final class Cancellation: Sendable {
    private let flag = Atomic(false)

    public init() {}

    /// Makes the request that runs, and those that follow, end as `TransportFailure.cancelled`.
    /// A request notices within about a tenth of a second.
    public func cancel() {
        flag.store(true, ordering: .relaxed)
    }

    public var isCancelled: Bool { flag.load(ordering: .relaxed) }
}
