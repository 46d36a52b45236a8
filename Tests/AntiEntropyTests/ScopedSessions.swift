import AntiEntropy
import Causality
import SyncProtocol
import Testing

/// Sessions over several scopes, step by step.
@Suite struct ScopedSessions {
    private static let key = DeviceKey()
    private static let names = ["forum", "delegation/KZ", "delegation/UZ"]

    private static func run(in scope: String) -> SealedRun {
        let origin = StreamOrigin(publicKey: key.publicKey, scope: scope, incarnation: 0)
        return SealedRun(
            sealing: [], stream: origin.stream, firstSeq: 1, count: 2, previous: nil,
            dependencies: [], schemaVersion: 1, origin: origin, key: key)
    }

    /// A replica and a hub of which the test says how they answer.
    private final class Stage: ReplicaPort, HubPort {
        var own = ["forum"]
        /// What waits in each scope; gone once it was brought and answered.
        var waiting: [String: [SealedRun]] = [:]
        var readable = ["forum"]
        /// By scope and round, what is said in place of an empty answer.
        var special: [String: [Int: SyncReply.Part]] = [:]
        /// The replies whose list the replica doesn't believe.
        var doubted: Set<Int> = []
        private(set) var rounds: [[String]] = []
        private(set) var brought: [[String]] = []
        private(set) var applied: [String] = []
        private(set) var noted: [[String]] = []
        private(set) var rooms: [Int] = []

        func scopes() throws -> [String] { own }

        func prepare(scope: String, asksForBodies: Bool, room: Int) throws -> Outgoing {
            rooms.append(room)
            let all = waiting[scope] ?? []
            // One that is as large as a whole batch, to this test.
            let runs = room == Limits.batchBytes ? Array(all.prefix(1)) : []
            let count = runs.reduce(0) { $0 + UInt64($1.header.count) }
            let total = all.reduce(0) { $0 + UInt64($1.header.count) }
            return Outgoing(
                cursor: nil, ahead: [], runs: runs, changesetCount: count,
                remainingCount: total - count, schemaVersion: 3)
        }

        func note(scopes: [String]) throws -> Bool {
            noted.append(scopes)
            return !doubted.contains(noted.count)
        }

        func apply(
            _ reply: ExchangeReply, scope: String, from cursor: Cursor?
        ) throws -> Applied {
            applied.append(scope)
            return Applied(changesetCount: 1, quarantinedCount: 0, lacksBodies: false)
        }

        func forgetHub(scope: String) throws {}

        func exchange(_ request: SyncRequest) throws(TransportFailure) -> SyncReply {
            rounds.append(request.parts.map(\.scope))
            brought.append(request.parts.filter { !$0.runs.isEmpty }.map(\.scope))
            let parts = request.parts.map { part -> SyncReply.Part in
                if let said = special[part.scope]?[rounds.count] { return said }
                waiting[part.scope] = Array((waiting[part.scope] ?? []).dropFirst(part.runs.count))
                return .answered(
                    ExchangeReply(
                        heads: part.runs.map { RunStub($0) }, rejections: [], entries: [],
                        cursor: .start(epoch: Identifier(high: 0, low: 1), scope: part.scope),
                        hasMore: false, hubMilliseconds: 7))
            }
            return SyncReply(parts: parts, scopes: readable, hubMilliseconds: 7)
        }

        func play() throws -> (outcome: SyncSession.Outcome, progress: SyncSession.Progress) {
            try SyncDriver(replica: self, hub: self, wallMilliseconds: { 0 }).run()
        }
    }

    private let stage = Stage()

    @Test func `all scopes go in one request, and what comes is taken in its order`() throws {
        (stage.own, stage.readable) = (Self.names, Self.names)
        let (outcome, progress) = try stage.play()
        #expect(outcome == .completed)
        #expect(progress.roundTrips == 1 && progress.receivedChangesets == 3)
        #expect(stage.rounds == [Self.names] && stage.applied == Self.names)
        #expect(stage.noted == [Self.names])
    }

    @Test func `a scope that may be read now is asked for in the same session`() throws {
        stage.readable = ["forum", "delegation/KZ", Grant.anyScope]
        #expect(try stage.play().outcome == .completed)
        #expect(stage.rounds == [["forum"], ["delegation/KZ"]])
    }

    @Test func `a list that is doubted is asked for once more, in the same session`() throws {
        (stage.own, stage.readable) = (Self.names, ["forum"])
        stage.doubted = [1]
        let (outcome, progress) = try stage.play()
        #expect(outcome == .completed)
        #expect(stage.rounds == [Self.names, ["forum"]])
        #expect(progress.roundTrips == 2 && progress.receivedChangesets == 4)
    }

    @Test func `a hub whose list changes with each reply doesn't keep the session`() throws {
        stage.doubted = Set(1...50)
        #expect(try stage.play().outcome == .completed)
        #expect(stage.rounds == [["forum"], ["forum"]])
    }

    @Test func `what was rejected before the list was asked for again is told once`() throws {
        let run = Self.run(in: "forum")
        let rejection = Rejection(RunStub(run), Refusal(.poison, "not yours"))
        let answer = SyncReply.Part.answered(
            ExchangeReply(
                heads: [], rejections: [rejection], entries: [],
                cursor: .start(epoch: Identifier(high: 0, low: 1), scope: "forum"),
                hasMore: false, hubMilliseconds: 7))
        for rounds in [[1: answer, 2: answer], [1: answer]] {
            let stage = Stage()
            (stage.doubted, stage.special["forum"]) = ([1], rounds)
            stage.waiting["forum"] = [run]
            #expect(try stage.play().outcome == .rejected([rejection]))
            #expect(stage.rounds.count == 2)
        }
    }

    @Test func `a session that failed doesn't ask for a list`() throws {
        stage.doubted = [1]
        stage.special["forum"] = [1: .refused(Refusal(.revoked, "lost"))]
        #expect(try stage.play().outcome == .failed(.refused(Refusal(.revoked, "lost"))))
        #expect(stage.rounds.count == 1)
    }

    @Test func `a scope that is put off is asked for again, and the others are not`() throws {
        (stage.own, stage.readable) = (Self.names, Self.names)
        stage.special["delegation/UZ"] = [1: .postponed, 2: .postponed]
        #expect(try stage.play().outcome == .completed)
        #expect(stage.rounds == [Self.names, ["delegation/UZ"], ["delegation/UZ"]])
        #expect(stage.applied == Self.names)
    }

    @Test func `a hub that puts everything off is given up`() throws {
        stage.special["forum"] = Dictionary(
            uniqueKeysWithValues: (1...50).map { ($0, SyncReply.Part.postponed) })
        #expect(try stage.play().outcome == .stalled("the hub puts everything off"))
        #expect(stage.rounds.count == 3)
    }

    @Test func `what has no room goes in a later request, and nothing waits in the end`() throws {
        (stage.own, stage.readable) = (Self.names, Self.names)
        for name in Self.names { stage.waiting[name] = [Self.run(in: name)] }
        let (outcome, progress) = try stage.play()
        #expect(outcome == .completed)
        #expect(stage.brought == Self.names.map { [$0] })
        #expect(progress.sentChangesets == 6 && progress.remainingChangesets == 0)
        #expect(stage.rooms.first == Limits.batchBytes && stage.rooms[1] < Limits.batchBytes)
    }

    @Test func `what had no room is handed over before a scope counts as one that is gone`() throws
    {
        (stage.own, stage.readable) = (["forum", "delegation/KZ"], ["forum"])
        for name in stage.own { stage.waiting[name] = [Self.run(in: name)] }
        let gone = SyncReply.Part.refused(Refusal(.scope, "not to be read"))
        // Without runs the hub says no; the third request brings none any more.
        stage.special["delegation/KZ"] = [1: gone, 3: gone]
        #expect(try stage.play().outcome == .completed)
        #expect(stage.brought == [["forum"], ["delegation/KZ"]])
        #expect(stage.waiting["delegation/KZ"] == [])
    }

    @Test func `a part that is refused otherwise ends the session when the others are done`()
        throws
    {
        (stage.own, stage.readable) = (Self.names, Self.names)
        let refusal = Refusal(.revoked, "lost")
        stage.special["forum"] = [1: .refused(refusal)]
        stage.waiting["delegation/UZ"] = [Self.run(in: "delegation/UZ")]
        #expect(try stage.play().outcome == .failed(.refused(refusal)))
        #expect(stage.waiting["delegation/UZ"] == [], "what it brought was taken")
    }

    @Test func `an answer with another number of parts is no answer`() throws {
        final class Odd: HubPort {
            func exchange(_ request: SyncRequest) throws(TransportFailure) -> SyncReply {
                SyncReply(parts: [], scopes: ["forum"], hubMilliseconds: 0)
            }
        }
        let driver = SyncDriver(replica: stage, hub: Odd(), wallMilliseconds: { 0 })
        #expect(try driver.run().outcome == .failed(.notOurHub("the answer has 0 parts")))
        #expect(stage.noted.isEmpty)
    }
}
