import Causality
import SyncProtocol

/// What devices say that wait for news, or meet each other.
struct MeetingTarget: FuzzTarget {
    let inputLimit = 4_096
    let allocationLimit = 8

    var seeds: [(name: String, bytes: [UInt8])] {
        let key = FixedStream.key
        let cursor = Cursor.start(epoch: Identifier(high: 1, low: 2), scope: "forum")
        let places = [
            WaitRequest.Place(scope: "forum", cursor: cursor),
            WaitRequest.Place(scope: "delegation/KZ", cursor: nil),
        ]
        let wait = WaitRequest(patienceMilliseconds: 25_000, places: places)
        let ends = WaitReply(
            hubMilliseconds: FixedStream.milliseconds, scopes: ["forum", Grant.anyScope],
            ends: [cursor, nil])
        let (hub, device) = (certificate(.hub, of: key), certificate(.device, of: key))
        let list = BundleList(
            schemaVersion: 6, epoch: nil,
            scopes: [BundleList.Scope(scope: "forum", heads: [])])
        return [
            ("wait", wait.encode()), ("ends", ends.encode()),
            (
                "statement",
                PeerStatement(
                    root: key.device, hub: hub, device: device, pin: key.publicKey, key: key
                ).encode()
            ),
            (
                "meeting",
                Meeting(root: key.device, hub: hub, device: device, list: list, bundle: [1, 2])
                    .encode()
            ),
        ]
    }

    private func certificate(_ kind: Certificate.Kind, of key: DeviceKey) -> Certificate {
        Certificate(
            signing: Certificate.Statement(
                kind: kind, publicKey: key.publicKey, encryptionKey: key.encryptionPublicKey,
                name: "Laptop 3", issuer: key.publicKey,
                issuedMilliseconds: FixedStream.milliseconds,
                expiryMilliseconds: FixedStream.milliseconds + 1, grants: []), key: key)
    }

    func offer(_ bytes: [UInt8]) throws(Violation) -> Bool {
        let wait = try? WaitRequest(decoding: bytes)
        let ends = try? WaitReply(decoding: bytes)
        let statement = try? PeerStatement(decoding: bytes)
        let meeting = try? Meeting(decoding: bytes)
        // What was passed over is not written again; all else is.
        if let wait {
            try hold((try? WaitRequest(decoding: wait.encode())) == wait, "a wait changes")
            try hold(wait.encode().count <= bytes.count, "a wait grows")
            let here = WaitReply(
                hubMilliseconds: 0, scopes: wait.places.map(\.scope),
                ends: wait.places.map(\.cursor))
            try hold(!here.isNews(at: wait.places), "where it stands is news")
        }
        if let ends {
            try hold((try? WaitReply(decoding: ends.encode())) == ends, "ends change")
            _ = ends.isNews(at: [WaitRequest.Place(scope: "forum", cursor: nil)])
        }
        if let statement {
            try hold(
                (try? PeerStatement(decoding: statement.encode())) == statement,
                "a statement changes")
            _ = try? statement.check(by: TrustAnchor(root: statement.root))
        }
        if let meeting {
            try hold((try? Meeting(decoding: meeting.encode())) == meeting, "a meeting changes")
        }
        return wait != nil || ends != nil || statement != nil || meeting != nil
    }
}
