import Causality
import SyncProtocol

extension Kind {
    static let erasures = Kind(
        name: "erasures", answer: { try ErasureKind.answer($0, $1) },
        vectors: { try ErasureKind.vectors() })
}

enum ErasureKind {
    static func answer(_ given: JSON, _ when: JSON) throws -> JSON {
        switch try when.string() {
        case "erasure": try read(given)
        case "sign": try sign(given)
        default: throw VectorError("erasures: an unknown kind \(when.document)")
        }
    }

    private static func read(_ given: JSON) throws -> JSON {
        let bytes = try given.member("bytes").bytes()
        let erasure: Erasure
        do throws(CBORError) {
            erasure = try Erasure(decoding: bytes)
        } catch {
            return ItemKind.reject(error)
        }
        guard erasure.encode() == bytes else {
            throw VectorError("an erasure is written otherwise than it was read")
        }
        return [
            "erasure": .erasure(erasure), "id": .hash(erasure.id),
            "signed": .bool(erasure.isSigned),
        ]
    }

    private static func sign(_ given: JSON) throws -> JSON {
        guard let key = DeviceKey(seed: try given.member("seed").hex()) else {
            throw VectorError("no seed")
        }
        let stated = try given.member("erasure")
        let erasure = Erasure(
            of: try stated.items("people").map { try $0.row() },
            decidedMilliseconds: try stated.number("decided"),
            author: try stated.member("author").text(), note: try stated.member("note").text(),
            key: key)
        guard JSON.erasure(erasure) == stated else { throw VectorError("another hub") }
        return ["bytes": .bytes(erasure.encode()), "id": .hash(erasure.id)]
    }
}

extension JSON {
    static func erasure(_ erasure: Erasure) -> JSON {
        [
            "people": .array(erasure.subjects.map(JSON.row)),
            "decided": .number(erasure.decidedMilliseconds), "author": .text(erasure.author),
            "note": .text(erasure.note), "hub": .hex(erasure.hub),
        ]
    }
}
