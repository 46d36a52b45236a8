import Causality
import SyncProtocol

extension Kind {
    static let blobs = Kind(
        name: "blobs", answer: { try BlobKind.answer($0, $1) },
        vectors: { try BlobVectors.vectors() })
}

/// What a device and a hub say to each other of blobs.
enum BlobKind {
    static func answer(_ given: JSON, _ when: JSON) throws -> JSON {
        let bytes = try given.member("bytes").bytes()
        do throws(CBORError) {
            switch try? when.string() {
            case "blob request":
                let request = try BlobRequest(decoding: bytes)
                return [
                    "blob request": .request(request), "same": .bool(request.encode() == bytes),
                ]
            case "blob reply":
                let reply = try BlobReply(decoding: bytes)
                return ["blob reply": .reply(reply), "same": .bool(reply.encode() == bytes)]
            default: break
            }
        } catch {
            return ItemKind.reject(error)
        }
        throw VectorError("blobs: an unknown kind \(when.document)")
    }
}

/// Forms of this kind.
extension JSON {
    fileprivate static func request(_ request: BlobRequest) -> JSON {
        [
            "asks": .array(
                request.asks.map {
                    [
                        "scope": .text($0.name.scope), "digest": .hex($0.name.digest.bytes),
                        "from": $0.offset.map(JSON.number) ?? .null,
                    ]
                }),
            "part": request.part.map {
                [
                    "scope": .text($0.name.scope), "digest": .hex($0.name.digest.bytes),
                    "size": .number($0.size), "offset": .number($0.offset),
                    "bytes": .bytes($0.bytes),
                ]
            } ?? .null,
        ]
    }

    fileprivate static func reply(_ reply: BlobReply) -> JSON {
        let taken: JSON =
            switch reply.taken {
            case nil: .null
            case .held(let holding): .holding(holding)
            case .refused(let refusal): .refusal(refusal)
            }
        return [
            "holdings": .array(reply.holdings.map { $0.map(JSON.holding) ?? .null }),
            "taken": taken,
        ]
    }

    private static func holding(_ holding: BlobReply.Holding) -> JSON {
        [
            "held": .number(holding.held), "size": .number(holding.size),
            "bytes": .bytes(holding.bytes),
        ]
    }
}
