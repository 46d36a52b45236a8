import Causality
import SyncProtocol

extension Kind {
    static let messages = Kind(
        name: "messages", answer: { try MessageKind.answer($0, $1) },
        vectors: { try MessageVectors.vectors() })
}

/// Messages between a device and a hub, as bytes and as what they say.
enum MessageKind {
    static func answer(_ given: JSON, _ when: JSON) throws -> JSON {
        let kind = try when.string()
        switch kind {
        case "request":
            return try read(given, kind, SyncRequest.init(decoding:)) {
                (.request($0), $0.encode())
            }
        case "reply":
            return try read(given, kind, SyncReply.init(decoding:)) { (.reply($0), $0.encode()) }
        case "refusal":
            return try read(given, kind, Refusal.init(decoding:)) { (.refusal($0), $0.encode()) }
        case "enrolment":
            return try read(given, kind, EnrolmentRequest.init(decoding:)) {
                (.enrolment($0), $0.encode())
            }
        case "enrolled":
            return try read(given, kind, EnrolmentReply.init(decoding:)) {
                (.enrolled($0), $0.encode())
            }
        default: throw VectorError("messages: an unknown kind \(when.document)")
        }
    }

    private static func read<Message>(
        _ given: JSON, _ name: String, _ decode: ([UInt8]) throws(CBORError) -> Message,
        _ write: (Message) -> (JSON, [UInt8])
    ) throws -> JSON {
        let bytes = try given.member("bytes").bytes()
        let message: Message
        do throws(CBORError) {
            message = try decode(bytes)
        } catch {
            return ItemKind.reject(error)
        }
        let (json, written) = write(message)
        return .members([name: json, "same": .bool(written == bytes)])
    }
}

/// Forms of this kind.
extension JSON {
    static func stub(_ stub: RunStub) -> JSON {
        [
            "stream": .stream(stub.stream), "last": .number(stub.lastSeq), "run": .hash(stub.hash),
        ]
    }

    func stub() throws -> RunStub {
        RunStub(
            stream: try member("stream").stream(), lastSeq: try number("last"),
            hash: try member("run").hash())
    }

    static func cursor(_ cursor: Cursor) -> JSON {
        [
            "epoch": .hex(cursor.epoch.bytes), "offset": .number(cursor.offset),
            "chain": .hash(cursor.chain),
        ]
    }

    func cursor() throws -> Cursor {
        Cursor(
            epoch: try member("epoch").identifier(), offset: try number("offset"),
            chain: try member("chain").hash())
    }

    static func run(_ run: SealedRun) -> JSON {
        [
            "header": .bytes(run.headerBytes), "seal": .bytes(run.seal), "body": .bytes(run.body),
        ]
    }

    static func request(_ request: SyncRequest) -> JSON {
        [
            "pending": .number(request.pendingCount), "wall": .number(request.wallMilliseconds),
            "schemaVersion": .number(request.schemaVersion),
            "parts": .array(
                request.parts.map { part in
                    [
                        "scope": .text(part.scope), "cursor": part.cursor.map(cursor) ?? .null,
                        "ahead": .array(part.ahead.map(stub)), "runs": .array(part.runs.map(run)),
                    ]
                }),
        ]
    }

    static func reply(_ reply: SyncReply) -> JSON {
        [
            "wall": .number(reply.hubMilliseconds),
            "scopes": .array(reply.scopes.map { .text($0) }),
            "parts": .array(reply.parts.map(part)),
        ]
    }

    private static func part(_ part: SyncReply.Part) -> JSON {
        switch part {
        case .postponed: .null
        case .refused(let refusal): ["refused": .refusal(refusal)]
        case .answered(let reply):
            [
                "heads": .array(reply.heads.map(stub)),
                "rejections": .array(
                    reply.rejections.map {
                        ["run": .stub($0.run), "refusal": .refusal($0.refusal)]
                    }), "entries": .array(reply.entries.map(entry)),
                "cursor": .cursor(reply.cursor), "more": .bool(reply.hasMore),
            ]
        }
    }

    private static func entry(_ entry: FeedEntry) -> JSON {
        switch entry {
        case .whole(let run): ["whole": .run(run)]
        case .stub(let stub): ["name": .stub(stub)]
        case .cut(let stub): ["cut": .stub(stub)]
        case .later(let stub): ["later": .stub(stub)]
        }
    }

    static func refusal(_ refusal: Refusal) -> JSON {
        ["code": .string(refusal.code.name), "explanation": .text(refusal.explanation)]
    }

    static func enrolment(_ request: EnrolmentRequest) -> JSON {
        [
            "secret": .hex(request.secret), "publicKey": .hex(request.publicKey),
            "encryptionKey": .hex(request.encryptionKey), "name": .text(request.name),
            "signature": .hex(request.signature), "signed": .bool(request.isSignedByItsKey),
        ]
    }

    static func enrolled(_ reply: EnrolmentReply) -> JSON {
        [
            "hub": .bytes(reply.hub.encode()), "device": .bytes(reply.device.encode()),
            "wall": .number(reply.hubMilliseconds),
        ]
    }
}
