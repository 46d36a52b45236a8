internal import SyncProtocol

/// Carries out what a session decides. The calls of both ports block.
public struct SyncDriver {
    private let replica: any ReplicaPort
    private let hub: any HubPort
    private let wallMilliseconds: () -> Int64

    /// - Parameter wallMilliseconds: the wall clock, milliseconds since 1970.
    public init(
        replica: any ReplicaPort, hub: any HubPort, wallMilliseconds: @escaping () -> Int64
    ) {
        self.replica = replica
        self.hub = hub
        self.wallMilliseconds = wallMilliseconds
    }

    /// Runs one session to its end.
    ///
    /// - Parameter observe: called after each answer that was applied.
    /// - Throws: what the replica throws; a failure of the network is an outcome.
    public func run(
        scope: String, observe: (SyncSession.Progress) -> Void = { _ in }
    ) throws -> (outcome: SyncSession.Outcome, progress: SyncSession.Progress) {
        var session = SyncSession(scope: scope)
        var event = SyncSession.Event.started
        while true {
            switch session.handle(event) {
            case .prepare(let asksForBodies):
                let outgoing = try replica.prepare(scope: scope, asksForBodies: asksForBodies)
                event = .prepared(outgoing, wallMilliseconds: wallMilliseconds())
            case .exchange(let request):
                event = answer(to: request)
            case .apply(let reply, let cursor):
                do {
                    event = .applied(try replica.apply(reply, scope: scope, from: cursor))
                } catch let stop as SyncStopped {
                    event = .stopped(stop.applied)
                } catch let refusal as Refusal {
                    event = .failed(.refused(refusal))
                }
                observe(session.progress)
            case .forgetHub:
                try replica.forgetHub(scope: scope)
                event = .forgotHub
            case .finish(let outcome):
                return (outcome, session.progress)
            }
        }
    }

    private func answer(to request: ExchangeRequest) -> SyncSession.Event {
        do throws(TransportFailure) {
            let reply = try hub.exchange(request)
            return .replied(reply, wallMilliseconds: wallMilliseconds())
        } catch {
            return .failed(error)
        }
    }
}
