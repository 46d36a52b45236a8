public import SyncProtocol

/// One sync of all scopes that a replica takes part in, as a state machine: event in, action out. It does
/// no I/O and keeps no data; what it decides is what to ask next, and when to stop.
///
/// All scopes go in one request. That of the whole forum is first in it, and what the hub gives of it is
/// taken in first: what the others rest on is there before them.
public struct SyncSession: Sendable {
    /// What the driver has to do next.
    public enum Action: Sendable {
        /// - Parameter room: the bytes of runs that it may bring; with nothing else in the request, one
        ///   run more.
        case prepare(scope: String, asksForBodies: Bool, room: Int)
        case exchange(SyncRequest)
        /// Note which scopes the hub lets be read.
        case note(scopes: [String])
        case apply(ExchangeReply, scope: String, from: Cursor?)
        case forgetHub(scope: String)
        case finish(Outcome)
    }

    /// What came of it.
    public enum Event: Sendable {
        case started
        case prepared(Outgoing, wallMilliseconds: Int64)
        case replied(SyncReply, wallMilliseconds: Int64)
        /// There is no reply, or one that the replica can't take in.
        case failed(TransportFailure)
        /// - Parameter isBelieved: else a further reply has to say the same.
        case noted(isBelieved: Bool)
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

        /// Whether there was nothing left to ask.
        fileprivate var isOver: Bool {
            switch self {
            case .completed, .rejected: true
            case .failed, .stalled: false
            }
        }
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

        mutating func add(_ other: Progress) {
            restarts += other.restarts
            sentChangesets += other.sentChangesets
            receivedChangesets += other.receivedChangesets
            quarantinedRuns += other.quarantinedRuns
            remainingChangesets += other.remainingChangesets
        }
    }

    private enum State {
        case idle
        /// The scopes that are still to be prepared, the next one last.
        case preparing(rest: [Int])
        case exchanging
        case noting(SyncReply)
        /// What is still to be taken of the reply, the next one last.
        case applying(Int, rest: [(Int, SyncReply.Part)])
        case finished
    }

    private var scopes: [ScopeSession]
    private var outcomes: [Int: Outcome] = [:]
    /// The last reply let fewer scopes be read than those before it, and no further one has said so.
    private var isListDoubted = false
    private var hasAskedAgain = false
    /// What was rejected before it was asked again.
    private var rejections: [Rejection] = []
    private var state = State.idle
    /// Those that go on, with what they ask for.
    private var waiting: [Int: Bool] = [:]
    /// What the next request brings.
    private var request = SyncRequest(
        parts: [], pendingCount: 0, wallMilliseconds: 0, schemaVersion: 0)
    private var asked: [Int] = []
    /// Those that had something to bring, and no room for it.
    private var heldBack: Set<Int> = []
    /// Requests in a row to which nothing was answered.
    private var postponements = 0
    private var room = 0
    private var roundTrips = 0
    private var clockOffsetMilliseconds: Int64?

    /// - Parameter scopes: that of the whole forum first.
    public init(scopes: [String]) {
        self.scopes = scopes.map { ScopeSession(scope: $0) }
    }

    public var progress: Progress {
        var sum = Progress()
        for scope in scopes { sum.add(scope.progress) }
        (sum.roundTrips, sum.clockOffsetMilliseconds) = (roundTrips, clockOffsetMilliseconds)
        return sum
    }

    /// Takes an event and says what comes next. An event that doesn't fit is a bug of the driver.
    public mutating func handle(_ event: Event) -> Action {
        switch (state, event) {
        case (.idle, .started):
            for index in scopes.indices { start(index) }
            return next()
        case (.preparing(let rest), .prepared(let outgoing, let now)):
            return add(outgoing, now, rest)
        case (.exchanging, .replied(let reply, let now)):
            return take(reply, now)
        case (.exchanging, .failed(let failure)):
            return fail(failure)
        case (.noting(let reply), .noted(let isBelieved)):
            isListDoubted = !isBelieved
            return divide(reply)
        case (.applying(let index, let rest), .applied(let applied)):
            return follow(scopes[index].handle(.applied(applied)), index, rest)
        case (.applying(let index, let rest), .forgotHub):
            return follow(scopes[index].handle(.forgotHub), index, rest)
        case (.applying(let index, let rest), .failed(let failure)):
            return follow(scopes[index].handle(.failed(failure)), index, rest)
        case (.applying(let index, _), .stopped(let applied)):
            _ = scopes[index].handle(.stopped(applied))
            state = .finished
            return .finish(.failed(.cancelled))
        default:
            preconditionFailure("the session can't take \(event) now")
        }
    }

    private mutating func start(_ index: Int) {
        if case .prepare(let asksForBodies) = scopes[index].handle(.started) {
            waiting[index] = asksForBodies
        }
    }

    /// The next request, or the end.
    private mutating func next() -> Action {
        if waiting.isEmpty, isListDoubted { askAgain() }
        guard !waiting.isEmpty else { return finish() }
        request.parts = []
        request.pendingCount = 0
        asked = []
        heldBack = []
        room = Limits.batchBytes
        return prepare(waiting.keys.sorted(by: >))
    }

    /// Asks for the scope of the whole forum once more, for the list that comes with it. A session that
    /// failed leaves that to the next.
    private mutating func askAgain() {
        guard !hasAskedAgain, let outcome = outcomes[0] else { return }
        guard outcomes.values.allSatisfy(\.isOver) else { return }
        hasAskedAgain = true
        if case .rejected(let some) = outcome { rejections = some }
        scopes[0] = ScopeSession(scope: scopes[0].scope, progress: scopes[0].progress)
        start(0)
    }

    private mutating func prepare(_ rest: [Int]) -> Action {
        guard let index = rest.last else {
            state = .exchanging
            waiting = [:]
            return .exchange(request)
        }
        state = .preparing(rest: rest)
        return .prepare(
            scope: scopes[index].scope, asksForBodies: waiting[index] ?? false, room: room)
    }

    private mutating func add(_ outgoing: Outgoing, _ now: Int64, _ rest: [Int]) -> Action {
        var rest = rest
        let index = rest.removeLast()
        guard
            case .exchange(let part) = scopes[index].handle(
                .prepared(outgoing, isCramped: room < Limits.batchBytes))
        else {
            preconditionFailure("what is prepared is exchanged")
        }
        request.parts.append(part)
        request.pendingCount += outgoing.remainingCount
        request.wallMilliseconds = now
        request.schemaVersion = outgoing.schemaVersion
        asked.append(index)
        if room < Limits.batchBytes, outgoing.runs.isEmpty, outgoing.remainingCount > 0 {
            heldBack.insert(index)
        }
        room -= min(room, outgoing.runs.reduce(0) { $0 + $1.storedBytes })
        return prepare(rest)
    }

    private mutating func take(_ reply: SyncReply, _ now: Int64) -> Action {
        guard reply.parts.count == asked.count else {
            return fail(.notOurHub("the answer has \(reply.parts.count) parts"))
        }
        roundTrips += 1
        let sentAt = request.wallMilliseconds
        clockOffsetMilliseconds = reply.hubMilliseconds - (sentAt + (now - sentAt) / 2)
        let isPostponed = reply.parts.allSatisfy { $0 == .postponed }
        postponements = isPostponed ? postponements + 1 : 0
        guard postponements < ScopeSession.idleLimit else {
            state = .finished
            return .finish(.stalled("the hub puts everything off"))
        }
        state = .noting(reply)
        return .note(scopes: reply.scopes)
    }

    private mutating func divide(_ reply: SyncReply) -> Action {
        // Scopes that are new to this laptop are asked for next.
        for scope in reply.scopes
        where scope != Grant.anyScope
            && !scopes.contains(where: { $0.scope.utf8.elementsEqual(scope.utf8) })
        {
            scopes.append(ScopeSession(scope: scope))
            start(scopes.count - 1)
        }
        return apply(Array(zip(asked, reply.parts).reversed()))
    }

    private mutating func apply(_ rest: [(Int, SyncReply.Part)]) -> Action {
        var rest = rest
        guard let (index, part) = rest.popLast() else { return next() }
        let event: ScopeSession.Event =
            switch part {
            case .answered(let reply): .replied(reply)
            case .postponed: .postponed
            case .refused(let refusal): .failed(.refused(refusal))
            }
        // What was recorded in a scope that may be read no more has been handed over, or had no room.
        if case .refused(let refusal) = part, refusal.code == .scope, index > 0 {
            if heldBack.contains(index) {
                return follow(scopes[index].handle(.postponed), index, rest)
            }
            _ = scopes[index].handle(event)
            outcomes[index] = .completed
            return apply(rest)
        }
        return follow(scopes[index].handle(event), index, rest)
    }

    private mutating func follow(
        _ action: ScopeSession.Action, _ index: Int, _ rest: [(Int, SyncReply.Part)]
    ) -> Action {
        state = .applying(index, rest: rest)
        switch action {
        case .prepare(let asksForBodies): waiting[index] = asksForBodies
        case .apply(let reply, let cursor):
            return .apply(reply, scope: scopes[index].scope, from: cursor)
        case .forgetHub: return .forgetHub(scope: scopes[index].scope)
        case .finish(let outcome): outcomes[index] = outcome
        case .exchange: preconditionFailure("an exchange is prepared before")
        }
        return apply(rest)
    }

    private mutating func fail(_ failure: TransportFailure) -> Action {
        // A hub that is not the hub it was says so of all scopes.
        if case .refused(let refusal) = failure,
            refusal.code == .epoch || refusal.code == .rewound
        {
            return apply(asked.reversed().map { ($0, .refused(refusal)) })
        }
        state = .finished
        return .finish(.failed(failure))
    }

    private mutating func finish() -> Action {
        state = .finished
        var stall: Outcome?
        for index in scopes.indices {
            switch outcomes[index] {
            case .failed(let failure)?: return .finish(.failed(failure))
            case .rejected(let some)?:
                rejections += some.filter { one in !rejections.contains { $0.run == one.run } }
            case .stalled(let reason)?: stall = .stalled(reason)
            case .completed?, nil: break
            }
        }
        return .finish(stall ?? (rejections.isEmpty ? .completed : .rejected(rejections)))
    }
}
