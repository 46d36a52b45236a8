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

    /// Runs one session to its end, over all scopes that the replica takes part in.
    ///
    /// - Parameter observe: called after each answer that was applied.
    /// - Throws: what the replica throws; a failure of the network is an outcome.
    public func run(
        observe: (SyncSession.Progress) -> Void = { _ in }
    ) throws -> (outcome: SyncSession.Outcome, progress: SyncSession.Progress) {
        var session = SyncSession(scopes: try replica.scopes())
        var event = SyncSession.Event.started
        while true {
            switch session.handle(event) {
            case .prepare(let scope, let asksForBodies, let room):
                let outgoing = try replica.prepare(
                    scope: scope, asksForBodies: asksForBodies, room: room)
                event = .prepared(outgoing, wallMilliseconds: wallMilliseconds())
            case .exchange(let request):
                event = answer(to: request)
            case .note(let scopes):
                event = .noted(isBelieved: try replica.note(scopes: scopes))
            case .apply(let reply, let scope, let cursor):
                do {
                    event = .applied(try replica.apply(reply, scope: scope, from: cursor))
                } catch let stop as SyncStopped {
                    event = .stopped(stop.applied)
                } catch let refusal as Refusal {
                    event = .failed(.refused(refusal))
                }
                observe(session.progress)
            case .forgetHub(let scope):
                try replica.forgetHub(scope: scope)
                event = .forgotHub
            case .finish(let outcome):
                return (outcome, session.progress)
            }
        }
    }

    private func answer(to request: SyncRequest) -> SyncSession.Event {
        do throws(TransportFailure) {
            let reply = try hub.exchange(request)
            return .replied(reply, wallMilliseconds: wallMilliseconds())
        } catch {
            return .failed(error)
        }
    }
}
