import Causality
import SyncProtocol

/// What a device and a hub say to each other of blobs.
struct BlobTarget: FuzzTarget {
    let inputLimit = 4_096
    let allocationLimit = 8

    var seeds: [(name: String, bytes: [UInt8])] {
        let name = BlobName(scope: "delegation/KZ", digest: Digest(sha256: [1, 2, 3]))
        let part = BlobPart(name: name, size: 3, offset: 1, bytes: [2, 3])
        let whole = BlobReply.Holding(held: 3, size: 3, bytes: [1, 2, 3])
        let refusal = Refusal(.scope, "no record names it")
        return [
            (
                "request",
                BlobRequest(
                    asks: [BlobRequest.Ask(name), BlobRequest.Ask(name, from: 1)], part: part
                ).encode()
            ),
            ("reply", BlobReply(holdings: [whole, nil], taken: .held(whole)).encode()),
            ("refusal", BlobReply(holdings: [], taken: .refused(refusal)).encode()),
        ]
    }

    func offer(_ bytes: [UInt8]) throws(Violation) -> Bool {
        let request = try? BlobRequest(decoding: bytes)
        let reply = try? BlobReply(decoding: bytes)
        // What was passed over is not written again; all else is.
        if let request {
            let written = request.encode()
            try hold((try? BlobRequest(decoding: written)) == request, "a request changes")
            try hold(written.count <= bytes.count, "a request grows")
            if let part = request.part {
                try hold(
                    !part.bytes.isEmpty && part.offset + UInt64(part.bytes.count) <= part.size,
                    "a part lies outside of its blob")
            }
        }
        if let reply {
            let written = reply.encode()
            try hold((try? BlobReply(decoding: written)) == reply, "a reply changes")
            try hold(written.count <= bytes.count, "a reply grows")
        }
        return request != nil || reply != nil
    }
}
