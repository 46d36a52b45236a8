internal import Causality
internal import SyncProtocol

/// One scope's part of a session, as a state machine: event in, action out.
struct ScopeSession: Sendable {
    enum Action: Sendable {
        case prepare(asksForBodies: Bool)
        case exchange(ExchangeRequest)
        case apply(ExchangeReply, from: Cursor?)
        case forgetHub
        case finish(SyncSession.Outcome)
    }

    enum Event: Sendable {
        case started
        /// - Parameter isCramped: other scopes have taken the room of this request.
        case prepared(Outgoing, isCramped: Bool)
        case replied(ExchangeReply)
        /// The hub has more to give of the scope before.
        case postponed
        /// There is no reply, or one that the replica can't take in.
        case failed(TransportFailure)
        case applied(Applied)
        /// A part of the reply was applied, and somebody wants to end.
        case stopped(Applied)
        case forgotHub
    }

    private enum State {
        case idle, preparing, applying, forgetting, finished
        case exchanging(Outgoing, isCramped: Bool)
    }

    /// Exchanges in a row that may change nothing on either side.
    static let idleLimit = 3
    /// How often one session starts over because the hub is not the hub it was.
    static let restartLimit = 2

    let scope: String
    private(set) var progress = SyncSession.Progress()
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
    /// Replies in a row that only named what was asked for whole.
    private var namings = 0
    private var lastHeads: [RunStub] = []

    /// - Parameter progress: of the session that this one goes on from.
    init(scope: String, progress: SyncSession.Progress = SyncSession.Progress()) {
        self.scope = scope
        self.progress = progress
    }

    /// Takes an event and says what comes next. An event that doesn't fit is a bug of the driver.
    mutating func handle(_ event: Event) -> Action {
        switch (state, event) {
        case (.idle, .started), (.forgetting, .forgotHub):
            return prepare()
        case (.preparing, .prepared(let outgoing, let isCramped)):
            return exchange(outgoing, isCramped)
        case (.exchanging(let outgoing, let isCramped), .replied(let reply)):
            return take(reply, for: outgoing, isCramped && outgoing.runs.isEmpty)
        case (.exchanging, .postponed):
            return prepare()
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

    private mutating func exchange(_ outgoing: Outgoing, _ isCramped: Bool) -> Action {
        state = .exchanging(outgoing, isCramped: isCramped)
        progress.remainingChangesets = outgoing.remainingCount + outgoing.changesetCount
        return .exchange(
            ExchangeRequest(
                scope: scope, cursor: outgoing.cursor, ahead: outgoing.ahead, runs: outgoing.runs))
    }

    /// - Parameter isHeldBack: what there was to bring had no room.
    private mutating func take(
        _ reply: ExchangeReply, for outgoing: Outgoing, _ isHeldBack: Bool
    ) -> Action {
        let (kept, rest) = Self.divide(reply, outgoing)
        setAside += kept
        rejections = rest
        let rejected = Set(reply.rejections.map(\.run))
        let refused = outgoing.runs.filter { rejected.contains(RunStub($0)) }
        // A run that comes along unasked is not counted as sent.
        let refusedCount = min(
            refused.reduce(0) { $0 + UInt64($1.header.count) }, outgoing.changesetCount)
        progress.sentChangesets += outgoing.changesetCount - refusedCount
        progress.remainingChangesets = outgoing.remainingCount + refusedCount
        let hasTaken = reply.heads != lastHeads
        let isIdle = reply.entries.isEmpty && !hasTaken
        lastHeads = reply.heads
        isSending = hasTaken && outgoing.remainingCount > 0 && rejections.isEmpty
        if !isIdle { idleExchanges = 0 } else if !isHeldBack { idleExchanges += 1 }
        // A gap is closed by sending from where the hub stands; its heads say where that is.
        isRecovering = reply.rejections.contains { $0.refusal.code == .gap }
        // What depends on changes that the hub lacks can't be sent, until somebody has brought those.
        let isBlocked = outgoing.runs.isEmpty && reply.entries.isEmpty && !isHeldBack
        wantsMore = reply.hasMore || isRecovering || outgoing.remainingCount > 0 && !isBlocked
        state = .applying
        return .apply(reply, from: outgoing.cursor)
    }

    /// Divides what the hub did not take in what it keeps aside all the same, and the rest: of what it
    /// keeps, the head is a run that was sent, that one or one behind it on its branch.
    private static func divide(
        _ reply: ExchangeReply, _ outgoing: Outgoing
    ) -> (kept: [Rejection], rest: [Rejection]) {
        let sent = Dictionary(outgoing.runs.map { ($0.hash, $0.header.previous) }) { first, _ in
            first
        }
        var held: Set<Digest> = []
        for head in reply.heads {
            var hash = head.hash
            while let previous = sent[hash], held.insert(hash).inserted {
                guard let previous else { break }
                hash = previous
            }
        }
        return (
            reply.rejections.filter { held.contains($0.run.hash) },
            reply.rejections.filter { !held.contains($0.run.hash) }
        )
    }

    private mutating func count(_ applied: Applied) {
        progress.receivedChangesets += applied.changesetCount
        progress.quarantinedRuns += applied.quarantinedCount
    }

    private mutating func settle(_ applied: Applied) -> Action {
        count(applied)
        namings = applied.lacksBodies && asksForBodies ? namings + 1 : 0
        asksForBodies = applied.lacksBodies
        guard namings < Self.idleLimit else {
            return finish(.stalled("the hub names what it was asked to give"))
        }
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

    private mutating func finish(_ outcome: SyncSession.Outcome) -> Action {
        state = .finished
        return .finish(outcome)
    }
}
