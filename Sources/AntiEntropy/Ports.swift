public import SyncProtocol

/// What a replica brings to one exchange.
public struct Outgoing: Sendable {
    public var cursor: Cursor?
    /// Heads that the replica holds and the feed up to the cursor doesn't.
    public var ahead: [RunStub]
    /// At most one batch, in causal order.
    public var runs: [SealedRun]
    /// Changesets of those runs.
    public var changesetCount: UInt64
    /// Changesets that wait for a later exchange.
    public var remainingCount: UInt64
    public var schemaVersion: UInt64

    public init(
        cursor: Cursor?, ahead: [RunStub], runs: [SealedRun], changesetCount: UInt64,
        remainingCount: UInt64, schemaVersion: UInt64
    ) {
        self.cursor = cursor
        self.ahead = ahead
        self.runs = runs
        self.changesetCount = changesetCount
        self.remainingCount = remainingCount
        self.schemaVersion = schemaVersion
    }
}

/// What became of a reply in the replica.
public struct Applied: Hashable, Sendable {
    /// Changesets that are now part of the state and weren't before.
    public var changesetCount: UInt64
    /// Runs that were kept aside because they can't be applied.
    public var quarantinedCount: UInt64
    /// The feed named a run that the replica doesn't hold after all: it has to ask again, in full.
    public var lacksBodies: Bool
    /// Something can be sent now that could not before.
    public var hasMoreToSend: Bool
    /// A run came damaged; everything else was taken in, and the next session asks for it again.
    public var damage: Refusal?

    public init(
        changesetCount: UInt64, quarantinedCount: UInt64, lacksBodies: Bool,
        hasMoreToSend: Bool = false, damage: Refusal? = nil
    ) {
        self.changesetCount = changesetCount
        self.quarantinedCount = quarantinedCount
        self.lacksBodies = lacksBodies
        self.hasMoreToSend = hasMoreToSend
        self.damage = damage
    }
}

/// Thrown by ``ReplicaPort/apply(_:scope:from:)`` to end the session there, because somebody asked
/// for it: what was taken in until then is kept, and the next session goes on behind it.
public struct SyncStopped: Error, Hashable, Sendable {
    /// What the reply had changed by then.
    public var applied: Applied

    public init(applied: Applied) {
        self.applied = applied
    }
}

/// The replica's side of a session. Every call is durable when it returns.
public protocol ReplicaPort: AnyObject {
    /// The scopes that it takes part in, that of the whole forum first.
    func scopes() throws -> [String]

    /// Seals what is not sealed, and gathers the next batch of a scope.
    ///
    /// - Parameters:
    ///   - asksForBodies: leave ``Outgoing/ahead`` empty, so that all bodies come.
    ///   - room: the most that the batch's runs take, in bytes; a whole batch's room holds any one run.
    func prepare(scope: String, asksForBodies: Bool, room: Int) throws -> Outgoing

    /// Notes which scopes the hub lets be read, before anything of the answer is taken in.
    ///
    /// - Returns: whether that is believed; where not, a further answer has to say it again.
    func note(scopes: [String]) throws -> Bool

    /// Takes in a reply: its entries, then its cursor, then what the hub now holds.
    ///
    /// - Throws: ``SyncStopped`` to end the session; `Refusal` for a reply that can't be taken in,
    ///   which ends it as well.
    func apply(_ reply: ExchangeReply, scope: String, from cursor: Cursor?) throws -> Applied

    /// Forgets the cursors and what the hub was known to hold: it is not the hub it was, of this scope and of all
    /// others.
    func forgetHub(scope: String) throws
}

/// The hub's side of a session: one request, one answer.
public protocol HubPort: AnyObject {
    /// Blocks until the answer is there, or a limit is reached.
    func exchange(_ request: SyncRequest) throws(TransportFailure) -> SyncReply
}

/// The side of a laptop that serves others: one meeting, one bundle.
public protocol PeerPort: AnyObject {
    /// Blocks until the bundle is there, or a limit is reached.
    func meet(_ meeting: Meeting) throws(TransportFailure) -> [UInt8]
}

/// Why no answer came that could be used. Nothing was lost by any of these.
public enum TransportFailure: Error, Hashable, Sendable {
    /// No connection: no network, no such name, nobody listening.
    case unreachable(String)
    /// A limit ran out while connecting, sending or waiting.
    case timedOut(String)
    /// Something answered that is no Karvan hub: a captive portal, a proxy, another server.
    case notOurHub(String)
    /// Something answered with another key than the pinned one, or a certificate not trusted.
    case wrongKey(String)
    /// The hub answered, and said no.
    case refused(Refusal)
    case cancelled
}
