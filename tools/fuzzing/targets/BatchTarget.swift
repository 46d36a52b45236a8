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
        let request = try? SyncRequest(decoding: bytes)
        let reply = try? SyncReply(decoding: bytes)
        let refusal = try? Refusal(decoding: bytes)
        let kinds = [request != nil, reply != nil, refusal != nil].filter(\.self).count
        try hold(kinds <= 1, "a message is of two kinds")
        // What was passed over is not written again; all else is.
        if let request {
            let again = request.encode()
            try hold((try? SyncRequest(decoding: again)) == request, "a request changes")
            try hold(again.count <= bytes.count, "a request grows")
        }
        if let reply {
            let again = reply.encode()
            try hold((try? SyncReply(decoding: again)) == reply, "a reply changes")
            try hold(again.count <= bytes.count, "a reply grows")
        }
        if let refusal {
            try hold((try? Refusal(decoding: refusal.encode())) == refusal, "a refusal changes")
        }
        return kinds > 0
    }
}
