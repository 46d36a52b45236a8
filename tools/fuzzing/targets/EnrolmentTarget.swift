import SyncProtocol

/// What lets a laptop in, and out again: both messages, certificates, cuts, the token as text, and the
/// header that signs a request.
struct EnrolmentTarget: FuzzTarget {
    let inputLimit = 1_024
    let allocationLimit = 4

    var seeds: [(name: String, bytes: [UInt8])] {
        let secret = (0..<32).map { UInt8($0) }
        let key = FixedStream.key
        // Of lengths that leave 0, 2 and 4 bits of the last character unused.
        let tokens = [FixedStream.milliseconds, 500, 5].map {
            EnrolmentToken(
                secret: secret, pin: key.publicKey, root: key.device, expiryMilliseconds: $0
            ).text
        }
        let (hub, device) = (certificate(.hub, of: key, []), certificate(.device, of: key, grants))
        let reply = EnrolmentReply(
            hub: hub, device: device, hubMilliseconds: FixedStream.milliseconds)
        let signature = RequestSignature(
            hub: key.publicKey, path: RequestSignature.exchangePath, body: [], key: key)
        return [
            ("request", EnrolmentRequest(secret: secret, name: "Laptop 3", key: key).encode()),
            ("reply", reply.encode()), ("signature", Array(signature.headerValue.utf8)),
            ("certificate", device.encode()), ("cut", cut.encode()),
        ] + tokens.enumerated().map { ("token-\($0)", Array($1.utf8)) }
    }

    private var cut: Cut {
        let end = StreamEnd(lastSeq: 9, run: Digest(sha256: [9])) ?? .beforeFirst
        return Cut(
            .revoked, of: FixedStream.key.publicKey,
            at: [
                Cut.Stream(scope: "forum", incarnation: 0, end: end),
                Cut.Stream(scope: "delegation/AZ", incarnation: 7, end: .beforeFirst),
            ], isWhole: true, decidedMilliseconds: FixedStream.milliseconds, note: "lost")
    }

    private var grants: [Grant] {
        [
            Grant(scope: "forum", role: "recorder", tables: [2, 7, 300]),
            Grant(
                scope: "delegation/AZ", role: "lead", tables: nil,
                expiryMilliseconds: FixedStream.milliseconds),
        ]
    }

    private func certificate(
        _ kind: Certificate.Kind, of key: DeviceKey, _ grants: [Grant]
    ) -> Certificate {
        Certificate(
            signing: Certificate.Statement(
                kind: kind, publicKey: key.publicKey, encryptionKey: key.encryptionPublicKey,
                name: "Laptop 3", issuer: key.publicKey,
                issuedMilliseconds: FixedStream.milliseconds,
                expiryMilliseconds: FixedStream.milliseconds + 1, grants: grants), key: key)
    }

    func offer(_ bytes: [UInt8]) throws(Violation) -> Bool {
        let text = String(decoding: bytes, as: UTF8.self)
        let request = try? EnrolmentRequest(decoding: bytes)
        let written: [[UInt8]?] = [
            request?.encode(), (try? EnrolmentReply(decoding: bytes))?.encode(),
            (try? Certificate(decoding: bytes))?.encode(), (try? Cut(decoding: bytes))?.encode(),
            EnrolmentToken(text: text).map { Array($0.text.utf8) },
        ]
        let taken = written.compactMap { $0 }
        try hold(taken.count <= 1, "a message is of two kinds")
        try hold(
            taken.allSatisfy { $0 == bytes }, "a message is written otherwise than it was read")
        if let signature = RequestSignature(headerValue: text) {
            let small = bytes.map { (0x41...0x46).contains($0) ? $0 | 0x20 : $0 }
            try hold(
                Array(signature.headerValue.utf8) == small, "a signature is read as another one")
            return true
        }
        return !taken.isEmpty
    }
}
