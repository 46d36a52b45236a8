import Causality
import Foundation
import Merge
import RecordSchema
import ReplicaStore
import SyncProtocol

extension Kind {
    static let runs = Kind(
        name: "runs", answer: { try RunKind.answer($0, $1) },
        vectors: {
            try RunVectors.seals() + RunVectors.headers() + RunVectors.offers()
                + RunVectors.refusedOffers() + RunVectors.offersOfColumns()
                + RunVectors.laterHeaders() + RunVectors.laterOffers() + RunVectors.counters()
                + SignatureVectors.vectors()
        })
}

/// Three byte strings that are, or aren't, a run.
struct RunParts {
    var header: [UInt8]
    var signature: [UInt8]
    var body: [UInt8]

    init(header: [UInt8], signature: [UInt8], body: [UInt8]) {
        self.header = header
        self.signature = signature
        self.body = body
    }

    init(_ json: JSON) throws {
        header = try json.member("header").bytes()
        signature = try json.member("signature").bytes()
        body = try json.member("body").bytes()
    }

    var json: JSON {
        ["header": .bytes(header), "signature": .bytes(signature), "body": .bytes(body)]
    }

    func run() throws(CBORError) -> SealedRun {
        try SealedRun(headerBytes: header, signature: signature, body: body)
    }

    var hash: Digest { Digest(.run, header) }
}

private enum RunKind {
    static func answer(_ given: JSON, _ when: JSON) throws -> JSON {
        switch when {
        case "seal": return try seal(given)
        case "header": return try header(given)
        case "verify":
            let isValid = DeviceKey.verify(
                try given.member("signature").hex(), of: try given.member("message").hash(),
                by: try given.member("publicKey").hex())
            return ["valid": .bool(isValid)]
        default:
            let offer = try RunParts(try when.member("offer"))
            let namespace = try given.member("namespace").text()
            let held = try given.items("held").map { try RunParts($0).run() }
            return try Receiver(namespace: namespace, held: held).offer(offer)
        }
    }

    private static func seal(_ given: JSON) throws -> JSON {
        let fields = try given.member("header")
        guard let key = DeviceKey(seed: try given.member("seed").hex()) else {
            throw VectorError("no key")
        }
        let origin = try fields.optional("origin") { try $0.origin() }
        let body = try given.member("body").bytes()
        guard let encoding = BodyEncoding(rawValue: try fields.number("encoding")),
            Digest(sha256: body) == (try fields.member("bodyHash").hash())
        else { throw VectorError("no such body") }
        let header = RunHeader(
            stream: try fields.member("stream").stream(),
            firstSeq: try fields.number("firstSeq"), count: try fields.number("count"),
            previous: try fields.optional("previous") { try $0.hash() },
            bodyHash: try fields.member("bodyHash").hash(),
            dependencies: try fields.items("deps").map { dep in
                Dependency(
                    stream: try dep.member("stream").stream(), seq: try dep.number("seq"),
                    run: try dep.member("run").hash())
            },
            schemaVersion: try fields.number("schemaVersion"), encoding: encoding,
            expandedBytes: try fields.number("size"), origin: origin,
            keyChecks: try fields.optional("keyChecks") { try $0.hex() } ?? [])
        let run = SealedRun(signing: header, body: body, key: key)
        guard self.fields(run.header) == fields else {
            throw VectorError("the sealed header says \(self.fields(run.header).document)")
        }
        return [
            "header": .bytes(run.headerBytes), "hash": .hash(run.hash),
            "signature": .hex(run.signature),
        ]
    }

    private static func header(_ given: JSON) throws -> JSON {
        let bytes = try given.member("header").bytes()
        do throws(CBORError) {
            let run = try SealedRun(headerBytes: bytes, signature: [], body: [])
            guard !run.header.needsLaterBuild else {
                return ["later": fieldsForGood(run.header), "hash": .hash(run.hash)]
            }
            return ["fields": fields(run.header), "hash": .hash(run.hash)]
        } catch {
            return ItemKind.reject(error)
        }
    }

    /// What means the same in all formats.
    private static func fieldsForGood(_ header: RunHeader) -> JSON {
        [
            "stream": .stream(header.stream), "firstSeq": .number(header.firstSeq),
            "count": .number(header.count),
            "previous": header.previous.map(JSON.hash) ?? .null,
            "bodyHash": .hash(header.bodyHash),
        ]
    }

    static func fields(_ header: RunHeader) -> JSON {
        .members([
            "stream": .stream(header.stream), "firstSeq": .number(header.firstSeq),
            "count": .number(header.count),
            "previous": header.previous.map(JSON.hash) ?? .null,
            "bodyHash": .hash(header.bodyHash),
            "deps": .array(
                header.dependencies.map { dep in
                    [
                        "stream": .stream(dep.stream), "seq": .number(dep.seq),
                        "run": .hash(dep.run),
                    ]
                }),
            "schemaVersion": .number(header.schemaVersion),
            "encoding": .number(header.encoding.rawValue),
            "size": .number(header.expandedBytes),
            "origin": header.origin.map(JSON.origin) ?? .null,
            "keyChecks": header.keyChecks.isEmpty ? nil : .hex(header.keyChecks),
        ])
    }
}

/// A replica of a schema without tables, which keeps whatever it gets.
final class Receiver {
    private let directory: URL
    let replica: Replica

    init(namespace: String, held: [SealedRun]) throws {
        directory = FileManager.default.temporaryDirectory
            .appending(path: "karvan-vectors-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
        var environment = Environment.system(command: "vectors")
        environment.wallMilliseconds = { 1_764_000_000_000 }
        replica = try Replica.create(
            at: directory.appending(path: "replica.sqlite").path, name: "vectors",
            schema: Schema(name: namespace, version: 1, tables: []), environment: environment)
        for result in try replica.ingest(held) {
            guard case .applied = result else {
                throw VectorError("a run that is held was not taken: \(result)")
            }
        }
    }

    deinit { try? FileManager.default.removeItem(at: directory) }

    func offer(_ parts: RunParts) throws -> JSON {
        let run: SealedRun
        do throws(CBORError) {
            run = try parts.run()
        } catch {
            return .members(
                [
                    "result": "unreadable", "reason": .string(error.reasonName),
                    "stateHash": .hash(try replica.stateHash()),
                ])
        }
        let result = try replica.ingest([run])[0]
        let hash = JSON.hash(try replica.stateHash())
        switch result {
        case .applied:
            let changesets = try replica.changesets(of: RunStub(run)) ?? []
            return [
                "result": "applied", "changesets": .array(changesets.map(JSON.changeset)),
                "stateHash": hash,
            ]
        case .duplicate: return ["result": "duplicate", "stateHash": hash]
        case .refused(let refusal), .setAside(let refusal):
            return [
                "result": "refused", "code": .string(refusal.code.name), "stateHash": hash,
            ]
        }
    }
}
