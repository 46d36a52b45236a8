import AntiEntropy
import Causality
import SyncProtocol

/// A replica and a hub that answer as they are told, and note what they were asked.
final class Script: ReplicaPort, HubPort {
    typealias Answer = Result<ExchangeReply, TransportFailure>

    /// One for each exchange; the last one again and again.
    var answers: [Answer] = []
    /// What becomes of the replies, one for each; the last one again and again.
    var applications: [Result<Applied, any Error>] = [.success(Script.nothing)]
    var outgoing = Outgoing(
        cursor: Script.cursor, ahead: [], runs: [], changesetCount: 0, remainingCount: 0,
        schemaVersion: 7)
    private(set) var asked: [Bool] = []
    private(set) var requests: [SyncRequest] = []
    /// The scopes that the hub lets be read.
    var readable = ["forum"]
    private(set) var noted: [[String]] = []
    private(set) var forgotten = 0
    private var applied = 0

    static let cursor = Cursor.start(epoch: Identifier(high: 1, low: 2), scope: "forum")
    static let nothing = Applied(changesetCount: 0, quarantinedCount: 0, lacksBodies: false)
    static let key = DeviceKey()
    static let origin = StreamOrigin(publicKey: key.publicKey, scope: "forum", incarnation: 0)

    static func reply(
        _ number: UInt64? = nil, rejections: [Rejection] = [], hasMore: Bool = false
    ) -> ExchangeReply {
        let stub = number.map {
            RunStub(stream: origin.stream, lastSeq: $0, hash: Digest(sha256: [UInt8($0)]))
        }
        return ExchangeReply(
            heads: [], rejections: rejections, entries: stub.map { [.stub($0)] } ?? [],
            cursor: stub.map { cursor.advanced(by: $0) } ?? cursor, hasMore: hasMore,
            hubMilliseconds: 1_700_000_000_500)
    }

    static func rejection(_ code: Refusal.Code, of run: SealedRun) -> Rejection {
        Rejection(RunStub(run), Refusal(code, "as the script says"))
    }

    /// A run of `count` changesets that nobody reads.
    static func run(from firstSeq: UInt64, count: Int) -> SealedRun {
        SealedRun(
            sealing: [], stream: origin.stream, firstSeq: firstSeq, count: count, previous: nil,
            dependencies: [], schemaVersion: 1, origin: origin, key: key)
    }

    func play(
        observe: (SyncSession.Progress) -> Void = { _ in }
    ) throws -> (outcome: SyncSession.Outcome, progress: SyncSession.Progress) {
        try SyncDriver(replica: self, hub: self, wallMilliseconds: { 1_700_000_000_000 })
            .run(observe: observe)
    }

    func scopes() throws -> [String] { ["forum"] }

    func note(scopes: [String]) throws -> Bool {
        noted.append(scopes)
        return true
    }

    func prepare(scope: String, asksForBodies: Bool, room: Int) throws -> Outgoing {
        asked.append(asksForBodies)
        return outgoing
    }

    func apply(
        _ reply: ExchangeReply, scope: String, from cursor: Cursor?
    ) throws -> Applied {
        defer { applied += 1 }
        return try applications[min(applied, applications.count - 1)].get()
    }

    func forgetHub(scope: String) throws { forgotten += 1 }

    func exchange(_ request: SyncRequest) throws(TransportFailure) -> SyncReply {
        requests.append(request)
        let reply = try answers[min(requests.count, answers.count) - 1].get()
        return SyncReply(
            parts: request.parts.map { _ in .answered(reply) }, scopes: readable,
            hubMilliseconds: reply.hubMilliseconds)
    }
}
