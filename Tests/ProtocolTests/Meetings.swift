import Causality
import SyncProtocol

extension Kind {
    static let meetings = Kind(
        name: "meetings", answer: { try MeetingKind.answer($0, $1) },
        vectors: { try MeetingVectors.vectors() })
}

/// What devices say that wait for news, or meet each other.
enum MeetingKind {
    static func answer(_ given: JSON, _ when: JSON) throws -> JSON {
        let kind = try when.string()
        switch kind {
        case "wait":
            return try read(given, kind, WaitRequest.init(decoding:)) { (.wait($0), $0.encode()) }
        case "ends":
            return try read(given, kind, WaitReply.init(decoding:)) { (.ends($0), $0.encode()) }
        case "news":
            let request = try WaitRequest(decoding: given.member("wait").bytes())
            let reply = try WaitReply(decoding: given.member("ends").bytes())
            return ["news": .bool(reply.isNews(at: request.places))]
        case "statement":
            let anchor = TrustAnchor(root: DeviceID(try given.member("root").hash().bytes)!)
            return try read(given, kind, PeerStatement.init(decoding:)) {
                (.statement($0, by: anchor), $0.encode())
            }
        case "meeting":
            return try read(given, kind, Meeting.init(decoding:)) { (.meeting($0), $0.encode()) }
        case "advertise":
            let advertisement = PeerAdvertisement(
                root: DeviceID(try given.member("root").hash().bytes)!,
                device: DeviceID(try given.member("device").hash().bytes)!)
            return ["text": .array(advertisement.text.map(JSON.string))]
        case "advertisement":
            let read = PeerAdvertisement(
                text: try given.items("text").map { try $0.string() })
            return [
                "forum": read.map { .string($0.forum) } ?? .null,
                "device": read.map { .string($0.device) } ?? .null,
            ]
        default: throw VectorError("meetings: an unknown kind \(when.document)")
        }
    }

    private static func read<Message>(
        _ given: JSON, _ name: String, _ decode: ([UInt8]) throws(CBORError) -> Message,
        _ write: (Message) -> (JSON, [UInt8])
    ) throws -> JSON {
        let bytes = try given.member("bytes").bytes()
        do throws(CBORError) {
            let (json, written) = write(try decode(bytes))
            return .members([name: json, "same": .bool(written == bytes)])
        } catch {
            return ItemKind.reject(error)
        }
    }
}

/// Forms of this kind.
extension JSON {
    fileprivate static func wait(_ wait: WaitRequest) -> JSON {
        [
            "patience": .number(wait.patienceMilliseconds),
            "places": .array(
                wait.places.map {
                    ["scope": .text($0.scope), "cursor": $0.cursor.map(JSON.cursor) ?? .null]
                }),
        ]
    }

    fileprivate static func ends(_ ends: WaitReply) -> JSON {
        [
            "wall": .number(ends.hubMilliseconds), "scopes": .array(ends.scopes.map(JSON.text)),
            "cursors": .array(ends.ends.map { $0.map(JSON.cursor) ?? .null }),
        ]
    }

    fileprivate static func statement(_ statement: PeerStatement, by anchor: TrustAnchor) -> JSON {
        [
            "root": .hex(statement.root.bytes), "hub": .bytes(statement.hub.encode()),
            "device": .bytes(statement.device.encode()), "pin": .hex(statement.pin),
            "signature": .hex(statement.signature),
            "true": .bool((try? statement.check(by: anchor)) != nil),
        ]
    }

    fileprivate static func meeting(_ meeting: Meeting) -> JSON {
        [
            "root": .hex(meeting.root.bytes), "hub": .bytes(meeting.hub.encode()),
            "device": .bytes(meeting.device.encode()), "list": .list(meeting.list),
            "bundle": meeting.bundle.map(JSON.bytes) ?? .null,
        ]
    }
}
