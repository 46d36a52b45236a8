import AntiEntropy
import Causality
import SyncProtocol
import Testing

/// A session that somebody ends while a reply is taken in.
@Suite struct StoppedSessions {
    private final class StoppingReplica: ReplicaPort {
        let reason: any Error

        init(_ reason: any Error) { self.reason = reason }

        func scopes() throws -> [String] { ["forum"] }

        func note(scopes: [String]) throws -> Bool { true }

        func prepare(scope: String, asksForBodies: Bool, room: Int) throws -> Outgoing {
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

        func exchange(_ request: SyncRequest) throws(TransportFailure) -> SyncReply {
            requestCount += 1
            let epoch = Identifier(high: 0, low: 1)
            let parts = request.parts.map { part in
                SyncReply.Part.answered(
                    ExchangeReply(
                        heads: [], rejections: [], entries: [],
                        cursor: .start(epoch: epoch, scope: part.scope), hasMore: true,
                        hubMilliseconds: 0))
            }
            return SyncReply(parts: parts, scopes: ["forum"], hubMilliseconds: 0)
        }
    }

    @Test func `the session counts what was taken in, and asks for nothing more`() throws {
        let hub = Hub()
        let stop = SyncStopped(
            applied: Applied(changesetCount: 5, quarantinedCount: 2, lacksBodies: false))
        let driver = SyncDriver(replica: StoppingReplica(stop), hub: hub, wallMilliseconds: { 0 })
        let (outcome, progress) = try driver.run()
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
        let (outcome, progress) = try driver.run()
        #expect(outcome == .failed(.refused(refusal)))
        #expect(progress.roundTrips == 1)
        #expect(progress.remainingChangesets == 7)
        #expect(hub.requestCount == 1)
    }

    private func reply(head: UInt64) -> SyncReply {
        let stream = StreamID(Identifier(high: 0, low: 9))
        let reply = ExchangeReply(
            heads: [RunStub(stream: stream, lastSeq: head, hash: Digest(sha256: []))],
            rejections: [], entries: [],
            cursor: .start(epoch: Identifier(high: 0, low: 1), scope: "forum"), hasMore: true,
            hubMilliseconds: 0)
        return SyncReply(parts: [.answered(reply)], scopes: ["forum"], hubMilliseconds: 0)
    }

    @Test func `a damaged answer ends a session when what waits is sent`() throws {
        let damage = Refusal(.poison, "changes 3 to 3 came damaged")
        var session = SyncSession(scopes: ["forum"])
        var action = session.handle(.started)
        // Three batches wait; the hub stops taking them after the second.
        var exchanges: UInt64 = 0
        while case .prepare = action {
            exchanges += 1
            let outgoing = Outgoing(
                cursor: nil, ahead: [], runs: [], changesetCount: 1,
                remainingCount: 10, schemaVersion: 1)
            _ = session.handle(.prepared(outgoing, wallMilliseconds: 0))
            _ = session.handle(.replied(reply(head: min(exchanges, 2)), wallMilliseconds: 0))
            _ = session.handle(.noted(isBelieved: true))
            action = session.handle(
                .applied(
                    Applied(
                        changesetCount: 1, quarantinedCount: 0, lacksBodies: false,
                        damage: exchanges == 1 ? damage : nil)))
            #expect(exchanges < 10)
        }
        guard case .finish(let outcome) = action else {
            Issue.record("\(action)")
            return
        }
        #expect(outcome == .failed(.refused(damage)))
        #expect(exchanges == 3)
        #expect(session.progress.receivedChangesets == 3)
    }
}
