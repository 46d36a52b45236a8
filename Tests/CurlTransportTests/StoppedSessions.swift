import AntiEntropy
import Causality
import SyncProtocol
import Testing

/// A session that somebody ends while a reply is taken in.
@Suite struct StoppedSessions {
    private final class StoppingReplica: ReplicaPort {
        let reason: any Error

        init(_ reason: any Error) { self.reason = reason }

        func prepare(scope: String, asksForBodies: Bool) throws -> Outgoing {
            Outgoing(
                cursor: nil, ahead: [], runs: [], changesetCount: 0, remainingCount: 7,
                schemaVersion: 1)
        }

        func apply(
            _ reply: ExchangeReply, scope: String, from cursor: Cursor?
        ) throws -> Applied {
            throw reason
        }

        func forgetHub(scope: String) {}
    }

    private final class Hub: HubPort {
        var requestCount = 0

        func exchange(_ request: ExchangeRequest) throws(TransportFailure) -> ExchangeReply {
            requestCount += 1
            let epoch = Identifier(high: 0, low: 1)
            return ExchangeReply(
                heads: [], rejections: [], entries: [],
                cursor: .start(epoch: epoch, scope: request.scope), hasMore: true,
                hubMilliseconds: 0)
        }
    }

    @Test func `the session counts what was taken in, and asks for nothing more`() throws {
        let hub = Hub()
        let stop = SyncStopped(
            applied: Applied(changesetCount: 5, quarantinedCount: 2, lacksBodies: false))
        let driver = SyncDriver(replica: StoppingReplica(stop), hub: hub, wallMilliseconds: { 0 })
        let (outcome, progress) = try driver.run(scope: "forum")
        #expect(outcome == .failed(.cancelled))
        #expect(progress.receivedChangesets == 5)
        #expect(progress.quarantinedRuns == 2)
        #expect(progress.remainingChangesets == 7)
        #expect(hub.requestCount == 1)
    }

    @Test func `a reply that can't be taken in is an outcome, with what the session knows`() throws
    {
        let hub = Hub()
        let refusal = Refusal(.poison, "its entries don't lead to its cursor")
        let driver = SyncDriver(
            replica: StoppingReplica(refusal), hub: hub, wallMilliseconds: { 0 })
        let (outcome, progress) = try driver.run(scope: "forum")
        #expect(outcome == .failed(.refused(refusal)))
        #expect(progress.roundTrips == 1)
        #expect(progress.remainingChangesets == 7)
        #expect(hub.requestCount == 1)
    }
}
