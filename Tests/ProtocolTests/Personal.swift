import Causality
import Merge
import SyncProtocol

extension Kind {
    static let personal = Kind(
        name: "personal", answer: { try PersonalKind.answer($0, $1) },
        vectors: { try PersonalKind.vectors() })
}

enum PersonalKind {
    static func answer(_ given: JSON, _ when: JSON) throws -> JSON {
        switch try when.string() {
        case "open": try open(given)
        case "seal":
            try sealed(given)
        case "unseal": try unsealed(given)
        case "check": ["check": .hex(try given.member("key").personalKey().check)]
        default: throw VectorError("personal: an unknown kind \(when.document)")
        }
    }

    private static func open(_ given: JSON) throws -> JSON {
        var reader = BodyReader(
            body: try given.member("body").bytes(), stream: try given.member("stream").stream(),
            firstSeq: try given.number("firstSeq"),
            previousRun: try given.optional("previousRun") { try $0.hash() },
            streams: try given.items("streams").map { try $0.stream() },
            namespace: Array(try given.member("namespace").text().utf8))
        let erased = Set(try given.items("erased").map { try $0.row() })
        var changes: RunChanges
        do throws(CBORError) {
            changes = try reader.nextChanges()
        } catch {
            throw VectorError("the body can't be read: \(error)")
        }
        let subjects = changes.keySubjects
        let (keys, count) = changes.open(
            try given.member("keys").bytes(), isErased: erased.contains)
        return [
            "subjects": .array(subjects.map(JSON.row)),
            "changesets": .array(changes.changesets.map(JSON.changeset)), "keys": .bytes(keys),
            "sealed": .number(count),
        ]
    }

    private static func sealed(_ given: JSON) throws -> JSON {
        let box = try given.member("key").personalKey().seal(
            try given.member("value").value(), table: try given.number("table"),
            row: try given.member("row").row(), column: try given.number("column"))
        return ["box": .bytes(box)]
    }

    private static func unsealed(_ given: JSON) throws -> JSON {
        let value = try given.member("key").personalKey().open(
            try given.member("box").bytes(), table: try given.number("table"),
            row: try given.member("row").row(), column: try given.number("column"))
        return value.map { ["value": .value($0)] } ?? ["sealed": true]
    }
}

extension JSON {
    fileprivate func personalKey() throws -> PersonalKey {
        guard let key = PersonalKey(try hex()) else { throw VectorError("\(document) is no key") }
        return key
    }
}
