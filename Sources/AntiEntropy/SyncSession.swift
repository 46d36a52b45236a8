public import SyncProtocol

/// One sync of one scope, as a state machine: event in, action out. It does no I/O and keeps no
/// data; what it decides is what to ask next, and when to stop.
public struct SyncSession: Sendable {
    /// What the driver has to do next.
    public enum Action: Sendable {
        case prepare(asksForBodies: Bool)
        case exchange(ExchangeRequest)
        case apply(ExchangeReply, from: Cursor?)
        case forgetHub
        case finish(Outcome)
    }

    /// What came of it.
    public enum Event: Sendable {
        case started
        case prepared(Outgoing, wallMilliseconds: Int64)
        case replied(ExchangeReply, wallMilliseconds: Int64)
        /// There is no reply, or one that the replica can't take in.
        case failed(TransportFailure)
        case applied(Applied)
        /// A part of the reply was applied, and somebody wants to end.
        case stopped(Applied)
        case forgotHub
    }

    /// How a session ended.
    public enum Outcome: Hashable, Sendable {
        /// Both sides hold the same, but for what was recorded meanwhile, and for what depends on changes
        /// that the hub lacks and this replica can't bring: ``Progress/remainingChangesets``.
        case completed
        case failed(TransportFailure)
        /// The hub did not take these runs, and asking again won't help.
        case rejected([Rejection])
        /// The hub's answers lead nowhere.
        case stalled(String)
    }

    /// Figures of the session so far.
    public struct Progress: Hashable, Sendable {
        public var roundTrips = 0
        /// How often it started over, because the hub's feed is not the one that was read before.
        public var restarts = 0
        public var sentChangesets: UInt64 = 0
        public var receivedChangesets: UInt64 = 0
        public var quarantinedRuns: UInt64 = 0
        /// Changesets that the last exchange left unsent.
        public var remainingChangesets: UInt64 = 0
        /// The hub's clock minus this one's, in milliseconds; `nil` before the first answer.
        public var clockOffsetMilliseconds: Int64?
    }

    private enum State {
        case idle, preparing, applying, forgetting, finished
        case exchanging(Outgoing, sentAt: Int64)
    }

    /// Exchanges in a row that may change nothing on either side.
    static let idleLimit = 3
    /// How often one session starts over because the hub is not the hub it was.
    static let restartLimit = 2

    public let scope: String
    public private(set) var progress = Progress()
    private var state = State.idle
    private var asksForBodies = false
    private var wantsMore = false
    private var isRecovering = false
    /// The hub takes what it gets, and there is more.
    private var isSending = false
    private var rejections: [Rejection] = []
    /// What the hub keeps, and doesn't count.
    private var setAside: [Rejection] = []
    private var damage: Refusal?
    private var idleExchanges = 0
    private var lastHeads: [RunStub] = []

    public init(scope: String) {
        self.scope = scope
    }

    /// Takes an event and says what comes next. An event that doesn't fit is a bug of the driver.
    public mutating func handle(_ event: Event) -> Action {
        switch (state, event) {
        case (.idle, .started), (.forgetting, .forgotHub):
            return prepare()
        case (.preparing, .prepared(let outgoing, let now)):
            return exchange(outgoing, now)
        case (.exchanging(let outgoing, let sentAt), .replied(let reply, let now)):
            return take(reply, for: outgoing, sentAt: sentAt, now)
        case (.exchanging, .failed(let failure)):
            return recover(from: failure)
        case (.applying, .applied(let applied)):
            return settle(applied)
        case (.applying, .stopped(let applied)):
            count(applied)
            return finish(.failed(.cancelled))
        case (.applying, .failed(let failure)):
            return finish(.failed(failure))
        default:
            preconditionFailure("the session can't take \(event) now")
        }
    }

    private mutating func prepare() -> Action {
        state = .preparing
        return .prepare(asksForBodies: asksForBodies)
    }

    private mutating func exchange(_ outgoing: Outgoing, _ now: Int64) -> Action {
        state = .exchanging(outgoing, sentAt: now)
        progress.remainingChangesets = outgoing.remainingCount + outgoing.changesetCount
        return .exchange(
            ExchangeRequest(
                scope: scope, cursor: outgoing.cursor, ahead: outgoing.ahead, runs: outgoing.runs,
                pendingCount: outgoing.remainingCount, wallMilliseconds: now,
                schemaVersion: outgoing.schemaVersion))
    }

    private mutating func take(
        _ reply: ExchangeReply, for outgoing: Outgoing, sentAt: Int64, _ now: Int64
    ) -> Action {
        progress.roundTrips += 1
        progress.clockOffsetMilliseconds = reply.hubMilliseconds - (sentAt + (now - sentAt) / 2)
        let (kept, rest) = Self.divide(reply, outgoing)
        setAside += kept
        rejections = rest
        let refused = outgoing.runs.filter { run in
            reply.rejections.contains {
                $0.stream == run.header.stream && $0.lastSeq == run.header.lastSeq
            }
        }
        // A run of a stream that nobody knows is not counted as sent.
        let refusedCount = min(
            refused.reduce(0) { $0 + UInt64($1.header.count) }, outgoing.changesetCount)
        progress.sentChangesets += outgoing.changesetCount - refusedCount
        progress.remainingChangesets = outgoing.remainingCount + refusedCount
        let hasTaken = reply.heads != lastHeads
        let isIdle = reply.entries.isEmpty && !hasTaken
        lastHeads = reply.heads
        isSending = hasTaken && outgoing.remainingCount > 0 && rejections.isEmpty
        idleExchanges = isIdle ? idleExchanges + 1 : 0
        // A gap is closed by sending from where the hub stands; its heads say where that is.
        isRecovering = reply.rejections.contains { $0.refusal.code == .gap }
        // What depends on changes that the hub lacks can't be sent, until somebody has brought those.
        let isBlocked = outgoing.runs.isEmpty && reply.entries.isEmpty
        wantsMore = reply.hasMore || isRecovering || outgoing.remainingCount > 0 && !isBlocked
        state = .applying
        return .apply(reply, from: outgoing.cursor)
    }

    /// Divides what the hub did not take in what it keeps aside all the same, and the rest: of what it
    /// keeps, the head is a run that was sent.
    private static func divide(
        _ reply: ExchangeReply, _ outgoing: Outgoing
    ) -> (kept: [Rejection], rest: [Rejection]) {
        let sent = Set(outgoing.runs.map { RunStub($0) })
        let heads = reply.heads.filter(sent.contains)
        var (kept, rest): ([Rejection], [Rejection]) = ([], [])
        for rejection in reply.rejections {
            let isKept = heads.contains {
                $0.stream == rejection.stream && $0.lastSeq >= rejection.lastSeq
            }
            if isKept { kept.append(rejection) } else { rest.append(rejection) }
        }
        return (kept, rest)
    }

    private mutating func count(_ applied: Applied) {
        progress.receivedChangesets += applied.changesetCount
        progress.quarantinedRuns += applied.quarantinedCount
    }

    private mutating func settle(_ applied: Applied) -> Action {
        count(applied)
        asksForBodies = applied.lacksBodies
        damage = damage ?? applied.damage
        if let damage {
            // To ask again at once would mostly bring the same; what is to be sent still goes.
            return isSending ? prepare() : finish(.failed(.refused(damage)))
        }
        let refused = setAside + rejections
        if wantsMore || applied.lacksBodies || applied.hasMoreToSend {
            guard idleExchanges < Self.idleLimit else {
                return finish(
                    refused.isEmpty
                        ? .stalled("the hub's answers bring nothing new") : .rejected(refused))
            }
            let isHopeless = !rejections.isEmpty && !isRecovering
            if !isHopeless { return prepare() }
        }
        return finish(refused.isEmpty ? .completed : .rejected(refused))
    }

    private mutating func recover(from failure: TransportFailure) -> Action {
        guard case .refused(let refusal) = failure,
            refusal.code == .epoch || refusal.code == .rewound
        else { return finish(.failed(failure)) }
        progress.restarts += 1
        guard progress.restarts <= Self.restartLimit else { return finish(.failed(failure)) }
        state = .forgetting
        return .forgetHub
    }

    private mutating func finish(_ outcome: Outcome) -> Action {
        state = .finished
        return .finish(outcome)
    }
}
