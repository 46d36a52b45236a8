import Causality
import SyncProtocol

/// The bodies of HTTP: what a laptop asks, what the hub answers, and why it refuses.
struct BatchTarget: FuzzTarget {
    let inputLimit = 16_384
    let allocationLimit = 8

    var seeds: [(name: String, bytes: [UInt8])] {
        let run = FixedStream.seal(
            [FixedStream.sample(FixedStream.firstSeq)], dictionary: SealingDictionary(),
            earlier: FixedStream.earlier)
        let cursor = Cursor.start(epoch: Identifier(high: 1, low: 2), scope: "forum")
        let stub = RunStub(run)
        let request = SyncRequest(
            parts: [
                ExchangeRequest(scope: "forum", cursor: cursor, ahead: [stub], runs: [run, run]),
                ExchangeRequest(scope: "delegation/KZ", cursor: nil, ahead: [], runs: []),
            ], pendingCount: 7, wallMilliseconds: FixedStream.milliseconds, schemaVersion: 2)
        let reply = ExchangeReply(
            heads: [stub],
            rejections: [
                Rejection(stub, Refusal(.gap, "send 8 first"))
            ],
            entries: [.whole(run), .stub(stub)], cursor: cursor.advanced(by: stub), hasMore: true,
            hubMilliseconds: FixedStream.milliseconds)
        let answer = SyncReply(
            parts: [
                .answered(reply), .postponed, .refused(Refusal(.scope, "not for this laptop")),
            ], scopes: ["forum", "delegation/KZ"], hubMilliseconds: FixedStream.milliseconds)
        return [
            ("request", request.encode()), ("reply", answer.encode()),
            ("refusal", Refusal(.poison, "damaged").encode()),
        ]
    }

    func offer(_ bytes: [UInt8]) throws(Violation) -> Bool {
        let encoded: [[UInt8]?] = [
            (try? SyncRequest(decoding: bytes))?.encode(),
            (try? SyncReply(decoding: bytes))?.encode(),
            (try? Refusal(decoding: bytes))?.encode(),
        ]
        let taken = encoded.compactMap { $0 }
        try hold(taken.count <= 1, "a message is of two kinds")
        try hold(
            taken.allSatisfy { $0 == bytes }, "a message is written otherwise than it was read")
        return !taken.isEmpty
    }
}
