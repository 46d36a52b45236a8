public import AntiEntropy
internal import RecordSchema
public import ReplicaStore
public import SyncProtocol

/// A replica as its side of a sync session: what an application hands to a `SyncDriver`.
public final class ReplicaSide: ReplicaPort {
    private let replica: Replica
    private let goesOn: (Applied) -> Bool

    /// - Parameter goesOn: asked after each transaction that takes something in, with what the reply
    ///   has changed so far; `false` ends the session there.
    public init(_ replica: Replica, goesOn: @escaping (Applied) -> Bool = { _ in true }) {
        self.replica = replica
        self.goesOn = goesOn
    }

    public func scopes() throws -> [String] { try replica.syncedScopes() }

    public func note(scopes: [String]) throws -> Bool { try replica.note(readableScopes: scopes) }

    public func prepare(scope: String, asksForBodies: Bool, room: Int) throws -> Outgoing {
        let batch = try replica.outgoingBatch(of: scope, asksForBodies: asksForBodies, room: room)
        return Outgoing(
            cursor: batch.cursor, ahead: batch.ahead, runs: batch.runs,
            changesetCount: batch.changesetCount, remainingCount: batch.remainingCount,
            schemaVersion: replica.schema.version)
    }

    /// - Throws: ``SyncStopped`` when the session is to end.
    public func apply(
        _ reply: ExchangeReply, scope: String, from cursor: Cursor?
    ) throws -> Applied {
        var soFar = Applied(changesetCount: 0, quarantinedCount: 0, lacksBodies: false)
        let applied = try replica.apply(reply, in: scope, from: cursor) { progress in
            soFar.changesetCount += progress.changesetCount
            soFar.quarantinedCount += UInt64(progress.refusedCount)
            guard goesOn(soFar) else { throw SyncStopped(applied: soFar) }
        }
        return Applied(
            changesetCount: applied.changesetCount, quarantinedCount: applied.quarantinedCount,
            lacksBodies: applied.lacksBodies, hasMoreToSend: applied.hasMoreToSend,
            damage: applied.damage)
    }

    public func forgetHub(scope: String) throws { try replica.forgetHub() }
}
