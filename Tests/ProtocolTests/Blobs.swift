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
            "part": request.part.map(JSON.part) ?? .null,
        ]
    }

    static func part(_ part: BlobPart) -> JSON {
        [
            "scope": .text(part.name.scope), "digest": .hex(part.name.digest.bytes),
            "size": .number(part.size), "offset": .number(part.offset),
            "bytes": .bytes(part.bytes),
        ]
    }

    func blobPart() throws -> BlobPart {
        let digest = try member("digest").hash()
        return BlobPart(
            name: BlobName(scope: try member("scope").text(), digest: digest),
            size: try number("size"), offset: try number("offset"),
            bytes: try member("bytes").bytes())
    }

    static func holdings(_ holdings: BlobHoldings) -> JSON {
        [
            "scope": .text(holdings.scope),
            "blobs": .array(
                holdings.blobs.map {
                    ["digest": .hex($0.digest.bytes), "size": .number($0.size)]
                }),
        ]
    }

    func blobHoldings() throws -> BlobHoldings {
        BlobHoldings(
            scope: try member("scope").text(),
            blobs: try member("blobs").items().map {
                BlobHoldings.Blob(
                    digest: try $0.member("digest").hash(), size: try $0.number("size"))
            })
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
