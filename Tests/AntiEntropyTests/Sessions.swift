import AntiEntropy
import SyncProtocol
import Testing

@Suite struct Sessions {
    private let script = Script()

    @Test func `a session with nothing new ends after one exchange`() throws {
        script.answers = [.success(Script.reply())]
        let (outcome, progress) = try script.play()
        #expect(outcome == .completed)
        #expect(progress.roundTrips == 1)
        #expect(progress.clockOffsetMilliseconds == 500)
        #expect(script.requests.map(\.schemaVersion) == [7])
        #expect(script.asked == [false])
    }

    @Test func `as long as the hub has more, it is asked for more`() throws {
        script.answers = [
            .success(Script.reply(1, hasMore: true)), .success(Script.reply(2, hasMore: true)),
            .success(Script.reply(3)),
        ]
        script.applications = [
            .success(Applied(changesetCount: 4, quarantinedCount: 1, lacksBodies: false))
        ]
        var seen: [UInt64] = []
        let (outcome, progress) = try script.play { seen.append($0.receivedChangesets) }
        #expect(outcome == .completed)
        #expect(progress.receivedChangesets == 12)
        #expect(progress.quarantinedRuns == 3)
        #expect(progress.roundTrips == 3)
        // Told when a reply is taken in, before it is counted.
        #expect(seen == [0, 4, 8])
    }

    @Test func `bodies that are lacking are asked for in full`() throws {
        script.answers = [.success(Script.reply(1)), .success(Script.reply(2))]
        var lacking = Script.nothing
        lacking.lacksBodies = true
        script.applications = [.success(lacking), .success(Script.nothing)]
        #expect(try script.play().outcome == .completed)
        #expect(script.asked == [false, true])
    }

    @Test func `what can be sent only now is sent at once`() throws {
        script.answers = [.success(Script.reply(1)), .success(Script.reply(2))]
        var more = Script.nothing
        more.hasMoreToSend = true
        script.applications = [.success(more), .success(Script.nothing)]
        #expect(try script.play().outcome == .completed)
        #expect(script.requests.count == 2)
    }

    @Test func `answers that bring nothing new end a session`() throws {
        script.answers = [.success(Script.reply(hasMore: true))]
        let (outcome, progress) = try script.play()
        #expect(outcome == .stalled("the hub's answers bring nothing new"))
        #expect(progress.roundTrips == 3)
    }

    @Test func `a hub that names what it was asked to give doesn't hold a session for ever`() throws
    {
        var lacking = Script.nothing
        lacking.lacksBodies = true
        script.answers = [.success(Script.reply(1, hasMore: true))]
        script.applications = [.success(lacking)]
        let (outcome, progress) = try script.play()
        #expect(outcome == .stalled("the hub names what it was asked to give"))
        #expect(script.asked == [false, true, true, true])
        #expect(progress.roundTrips == 4)
    }

    @Test func `what the hub lacks the ground for is left to a later sync`() throws {
        script.outgoing.remainingCount = 5
        script.answers = [.success(Script.reply(1)), .success(Script.reply())]
        let (outcome, progress) = try script.play()
        #expect(outcome == .completed)
        #expect(script.requests.count == 2, "what came may have been the ground")
        #expect(progress.remainingChangesets == 5)
        #expect(progress.sentChangesets == 0)
    }

    @Test func `a run that the hub refuses ends a session, and is not counted as sent`() throws {
        let runs = [Script.run(from: 1, count: 3), Script.run(from: 4, count: 2)]
        script.outgoing.runs = runs
        script.outgoing.changesetCount = 5
        script.outgoing.remainingCount = 9
        let rejections = [Script.rejection(.poison, of: runs[1])]
        script.answers = [.success(Script.reply(1, rejections: rejections))]
        let (outcome, progress) = try script.play()
        #expect(outcome == .rejected(rejections))
        #expect(progress.sentChangesets == 3)
        #expect(progress.remainingChangesets == 11)
        #expect(progress.roundTrips == 1)
    }

    @Test func `a gap is closed by sending again, but not for ever`() throws {
        let run = Script.run(from: 4, count: 2)
        script.outgoing.runs = [run]
        script.outgoing.changesetCount = 2
        let rejections = [Script.rejection(.gap, of: run)]
        script.answers = [
            .success(Script.reply(rejections: rejections)), .success(Script.reply(1)),
        ]
        #expect(try script.play().outcome == .completed)
        #expect(script.requests.count == 2)

        let other = Script()
        other.outgoing = script.outgoing
        other.answers = [.success(Script.reply(rejections: rejections))]
        #expect(try other.play().outcome == .rejected(rejections))
        #expect(other.requests.count == 3)
    }

    @Test(arguments: [Refusal.Code.epoch, .rewound])
    func `a hub that is not the hub it was is forgotten, twice at most`(_ code: Refusal.Code) throws
    {
        let refusal = TransportFailure.refused(Refusal(code, "another hub"))
        script.answers = [.failure(refusal), .success(Script.reply())]
        #expect(try script.play().outcome == .completed)
        #expect(script.forgotten == 1)

        let other = Script()
        other.answers = [.failure(refusal)]
        #expect(try other.play().outcome == .failed(refusal))
        #expect(other.forgotten == 2)
        #expect(other.requests.count == 3)
    }

    @Test(arguments: [
        TransportFailure.unreachable("no network"), .timedOut("0.7 s"), .cancelled,
        .refused(Refusal(.revoked, "stolen")),
    ])
    func `any other failure ends a session, and forgets nothing`(_ failure: TransportFailure) throws
    {
        script.answers = [.failure(failure)]
        #expect(try script.play().outcome == .failed(failure))
        #expect(script.forgotten == 0)
        #expect(script.requests.count == 1)
    }

    @Test func `what the hub keeps aside doesn't hold back the rest, and is told at the end`()
        throws
    {
        let run = Script.run(from: 1, count: 3)
        let rejection = Script.rejection(.revoked, of: run)
        (script.outgoing.runs, script.outgoing.changesetCount) = ([run], 3)
        script.outgoing.remainingCount = 5
        var kept = Script.reply(rejections: [rejection])
        kept.heads = [RunStub(run)]
        script.answers = [.success(kept)]
        let (outcome, _) = try script.play()
        guard case .rejected(let told) = outcome else {
            Issue.record("\(outcome)")
            return
        }
        #expect(Set(told) == [rejection])
        #expect(script.requests.count > 1, "more is sent")

        let other = Script()
        other.outgoing = script.outgoing
        other.answers = [.success(Script.reply(rejections: [rejection]))]
        #expect(try other.play().outcome == .rejected([rejection]))
        #expect(other.requests.count == 1, "asking again won't help")
    }

    @Test func `a refused run that was not counted as sent takes nothing from the count`() throws {
        let run = Script.run(from: 1, count: 3)
        script.outgoing.runs = [run]
        script.answers = [
            .success(Script.reply(1, rejections: [Script.rejection(.tooLarge, of: run)]))
        ]
        #expect(try script.play().progress.sentChangesets == 0)
    }

    @Test func `a stop keeps what was taken in until then`() throws {
        script.answers = [.success(Script.reply(1, hasMore: true))]
        let part = Applied(changesetCount: 6, quarantinedCount: 0, lacksBodies: false)
        script.applications = [.failure(SyncStopped(applied: part))]
        let (outcome, progress) = try script.play()
        #expect(outcome == .failed(.cancelled))
        #expect(progress.receivedChangesets == 6)
        #expect(script.requests.count == 1)
    }

    @Test func `a reply that can't be taken in ends a session with the reason`() throws {
        script.answers = [.success(Script.reply(1))]
        let refusal = Refusal(.poison, "the feed's chain is broken")
        script.applications = [.failure(refusal)]
        #expect(try script.play().outcome == .failed(.refused(refusal)))
    }

    @Test func `an error of the replica's own comes out as it is`() throws {
        struct Broken: Error {}
        script.answers = [.success(Script.reply(1))]
        script.applications = [.failure(Broken())]
        #expect(throws: Broken.self) { try script.play() }
    }
}
