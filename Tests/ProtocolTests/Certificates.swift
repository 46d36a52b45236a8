import Causality
import SyncProtocol

extension Kind {
    static let certificates = Kind(
        name: "certificates", answer: { try CertificateKind.answer($0, $1) },
        vectors: { try CertificateKind.vectors() })
}

enum CertificateKind {
    static func answer(_ given: JSON, _ when: JSON) throws -> JSON {
        switch try when.string() {
        case "certificate": try read(given)
        case "sign": try sign(given)
        case "hub": try hub(given)
        case "device": try device(given)
        case "may": try may(given)
        case "pins": try pins(given)
        case "adopt": try adopt(given)
        case "token": try token(given)
        case "enrolment": try enrolment(given)
        case "request": try request(given)
        default: throw VectorError("certificates: an unknown kind \(when.document)")
        }
    }

    private static func read(_ given: JSON) throws -> JSON {
        do throws(CBORError) {
            let certificate: Certificate = try Certificate(decoding: try bytes(given))
            return [
                "statement": .statement(certificate.statement),
                "signed": .bool(certificate.isSignedByItsIssuer),
            ]
        } catch {
            return ItemKind.reject(error)
        }
    }

    private static func bytes(_ given: JSON) throws(CBORError) -> [UInt8] {
        guard let bytes = try? given.member("bytes").bytes() else {
            throw CBORError(.invalid, at: 0)
        }
        return bytes
    }

    private static func sign(_ given: JSON) throws -> JSON {
        guard let key = DeviceKey(seed: try given.member("seed").hex()) else {
            throw VectorError("no seed")
        }
        let statement = try given.member("statement").statement()
        guard statement.issuer == key.publicKey else { throw VectorError("another issuer") }
        return ["bytes": .hex(Certificate(signing: statement, key: key).encode())]
    }

    private static func hub(_ given: JSON) throws -> JSON {
        let anchor = TrustAnchor(root: try given.member("root").device())
        let certificate = try given.member("certificate").certificate()
        return judgement { () throws(CertificateError) in try anchor.check(hub: certificate) }
    }

    private static func device(_ given: JSON) throws -> JSON {
        let anchor = TrustAnchor(root: try given.member("root").device())
        let (hub, device) = (
            try given.member("hub").certificate(), try given.member("device").device()
        )
        let certificate = try given.member("certificate").certificate()
        return judgement { () throws(CertificateError) in
            try anchor.check(device: certificate, of: device, by: hub)
        }
    }

    private static func judgement(_ check: () throws(CertificateError) -> Void) -> JSON {
        do throws(CertificateError) {
            try check()
            return ["true": true]
        } catch {
            return ["true": false, "because": .string("\(error)")]
        }
    }

    private static func may(_ given: JSON) throws -> JSON {
        let anchor = TrustAnchor(root: try given.member("root").device())
        var held: [DeviceID: [Certificate]] = [:]
        for entry in try given.items("held") {
            // What can't be read means nothing.
            held[try entry.member("device").device()] = try entry.items("certificates")
                .map { try $0.bytes() }.compactMap { try? Certificate(decoding: $0) }
        }
        let permission = anchor.permission(
            of: try given.member("device").device(), in: try given.member("scope").text()
        ) { held[$0] ?? [] }
        guard let permission else { return ["stranger": true] }
        let place: UInt32 = try given.number("certificatesTable")
        let tables: [UInt32] = try given.items("tables").map { try $0.number() }
        return [
            "may": .array(
                tables.map { .bool(permission.allows($0, certificates: place)) })
        ]
    }

    private static func pins(_ given: JSON) throws -> JSON {
        let bytes = try given.member("bytes").bytes()
        let stated: PinSet
        do throws(CBORError) {
            stated = try PinSet(decoding: bytes)
        } catch {
            return ItemKind.reject(error)
        }
        // Further items are not written again.
        guard bytes[0] != 0x83 || stated.encode() == bytes else {
            throw VectorError("pins are written otherwise than they were read")
        }
        return [
            "pins": .array(stated.pins.map(JSON.hex)),
            "stated": .number(stated.statedMilliseconds),
        ]
    }

    private static func adopt(_ given: JSON) throws -> JSON {
        let known = TrustedPins(
            pins: try given.items("trusted").map { try $0.hex() },
            sinceMilliseconds: try given.number("since"))
        let said = try given.items("said").compactMap { try? PinSet(decoding: try $0.bytes()) }
        let adopted = known.adopting(said)
        return [
            "trusted": .array(adopted.pins.map(JSON.hex)),
            "since": .number(adopted.sinceMilliseconds),
        ]
    }

    private static func token(_ given: JSON) throws -> JSON {
        guard let token = EnrolmentToken(text: try given.string("text")) else {
            return ["reject": true]
        }
        return [
            "secret": .hex(token.secret), "pin": .hex(token.pin), "root": .hex(token.root.bytes),
            "expiry": .number(token.expiryMilliseconds), "kept": .hash(token.secretHash),
        ]
    }

    private static func enrolment(_ given: JSON) throws -> JSON {
        guard let key = DeviceKey(seed: try given.member("seed").hex()) else {
            throw VectorError("no seed")
        }
        let request = EnrolmentRequest(
            secret: try given.member("secret").hex(), name: try given.member("name").text(),
            key: key)
        return ["bytes": .hex(request.encode())]
    }

    private static func request(_ given: JSON) throws -> JSON {
        guard let key = DeviceKey(seed: try given.member("seed").hex()) else {
            throw VectorError("no seed")
        }
        let signature = RequestSignature(
            hub: try given.member("hub").hex(), path: try given.string("path"),
            body: try given.member("body").bytes(), key: key)
        return ["header": .string(signature.headerValue)]
    }
}

/// Forms of this kind.
extension JSON {
    func device() throws -> DeviceID {
        guard let device = DeviceID(try hex()) else { throw VectorError("no device id") }
        return device
    }

    func certificate() throws -> Certificate { try Certificate(decoding: try bytes()) }

    static func statement(_ statement: Certificate.Statement) -> JSON {
        [
            "kind": .number(statement.kind.rawValue), "publicKey": .hex(statement.publicKey),
            "encryptionKey": .hex(statement.encryptionKey), "name": .text(statement.name),
            "issuer": .hex(statement.issuer), "issued": .number(statement.issuedMilliseconds),
            "expiry": .number(statement.expiryMilliseconds),
            "grants": .array(statement.grants.map(grant)),
        ]
    }

    private static func grant(_ grant: Grant) -> JSON {
        [
            "scope": .text(grant.scope), "role": .text(grant.role),
            "tables": grant.tables.map { .array($0.map(JSON.number)) } ?? .null,
            "expiry": grant.expiryMilliseconds.map(JSON.number) ?? .null,
        ]
    }

    func statement() throws -> Certificate.Statement {
        guard let kind = Certificate.Kind(rawValue: try number("kind")) else {
            throw VectorError("no kind")
        }
        return Certificate.Statement(
            kind: kind, publicKey: try member("publicKey").hex(),
            encryptionKey: try member("encryptionKey").hex(), name: try member("name").text(),
            issuer: try member("issuer").hex(), issuedMilliseconds: try number("issued"),
            expiryMilliseconds: try number("expiry"),
            grants: try items("grants").map { grant in
                Grant(
                    scope: try grant.member("scope").text(), role: try grant.member("role").text(),
                    tables: try grant.optional("tables") { list in
                        try list.items().map { try $0.number() }
                    }, expiryMilliseconds: try grant.optional("expiry") { try $0.number() })
            })
    }
}
