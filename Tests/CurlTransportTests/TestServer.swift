import AntiEntropy
import Causality
import CurlTransport
import Foundation
import SyncProtocol

/// A real server on loopback, in a process and a directory of its own; it ends with the object.
final class TestServer {
    enum Speech: String {
        case tls, tls12, plain, mute, hangup
    }

    /// A request as it came in.
    struct Request {
        var line: String
        /// By name in lower case.
        var headers: [String: String]
        var body: [UInt8]
    }

    let directory: URL
    let pin: [UInt8]
    private let port: String
    private let process: Process

    init(_ certificate: Certificate = .expiredForOtherName, speaking speech: Speech = .tls) throws {
        bypassProxies
        directory = FileManager.default.temporaryDirectory
            .appending(path: "karvan-curl-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
        try certificate.make(in: directory)
        pin = try Certificate.pin(in: directory)
        for (name, bytes) in [
            ("server.py", Array(serverScript.utf8)), ("reply", Example.reply.encode()),
            ("enrolled", Example.enrolled.encode()), ("refusal", Example.refusal.encode()),
        ] {
            try Data(bytes).write(to: directory.appending(path: name))
        }
        process = try startProcess(
            "python3", ["server.py", directory.path, speech.rawValue], in: directory)
        let portFile = directory.appending(path: "port")
        try wait(upToSeconds: 20, for: "the server's start") {
            FileManager.default.fileExists(atPath: portFile.path)
        }
        port = try String(contentsOf: portFile, encoding: .utf8)
    }

    deinit {
        kill(process.processIdentifier, SIGKILL)
        try? FileManager.default.removeItem(at: directory)
    }

    func url(_ mode: String = "reply") -> String { "https://127.0.0.1:\(port)/\(mode)" }

    var authority: [UInt8] {
        get throws { Array(try Data(contentsOf: directory.appending(path: "authority.pem"))) }
    }

    /// The requests so far, in order.
    func requests() throws -> [Request] {
        var requests: [Request] = []
        while let head = try? String(
            contentsOf: directory.appending(path: "\(requests.count + 1).head"), encoding: .utf8)
        {
            let body = try Data(
                contentsOf: directory.appending(path: "\(requests.count + 1).body"))
            let lines = head.split(separator: "\n")
            let fields = lines.dropFirst().map { $0.split(separator: ": ", maxSplits: 1) }
            let headers = fields.map { ($0[0].lowercased(), String($0.count > 1 ? $0[1] : "")) }
            requests.append(
                Request(
                    line: String(lines[0]), headers: Dictionary(uniqueKeysWithValues: headers),
                    body: Array(body)))
        }
        return requests
    }

    /// A hub that behaves as `mode` says.
    func hub(
        _ mode: String = "reply", trust: HubTrust? = nil,
        limits: TransportLimits = TransportLimits(), cancellation: Cancellation = Cancellation()
    ) throws -> CurlHub {
        try CurlHub(
            url: url(mode), identity: Example.key, hubPublicKey: Example.hubKey.publicKey,
            trust: trust ?? .pinned(sha256: [pin]), limits: limits, cancellation: cancellation)
    }
}

/// The proxies of whoever runs the tests don't lead to this machine's loopback.
private let bypassProxies: Void = {
    for name in ["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"]
    where ProcessInfo.processInfo.environment[name] != nil {
        unsetenv(name)
    }
}()

enum Example {
    static let key = DeviceKey()
    static let hubKey = DeviceKey()
    static let cursor = Cursor.start(epoch: Identifier(high: 1, low: 2), scope: "north")

    static let request = request(aheadCount: 1)
    static let reply = SyncReply(
        parts: [
            .answered(
                ExchangeReply(
                    heads: [stub(7)], rejections: [], entries: [.stub(stub(8))],
                    cursor: cursor.advanced(by: stub(8)), hasMore: true,
                    hubMilliseconds: 1_700_000_000_000))
        ], scopes: ["north"], hubMilliseconds: 1_700_000_000_000)
    static let refusal = Refusal(.revoked, "This laptop was reported stolen.")
    static let enrolment = EnrolmentRequest(
        secret: Array(repeating: 5, count: 32), name: "Laptop 3", key: key)
    static let enrolled = EnrolmentReply(
        hub: certificate(.hub, of: hubKey, by: DeviceKey()),
        device: certificate(.device, of: key, by: hubKey), hubMilliseconds: 1_700_000_000_000)

    private static func certificate(
        _ kind: SyncProtocol.Certificate.Kind, of holder: DeviceKey, by issuer: DeviceKey
    ) -> SyncProtocol.Certificate {
        SyncProtocol.Certificate(
            signing: SyncProtocol.Certificate.Statement(
                kind: kind, publicKey: holder.publicKey, encryptionKey: holder.encryptionPublicKey,
                name: "Laptop 3", issuer: issuer.publicKey, issuedMilliseconds: 0,
                expiryMilliseconds: 1_700_000_000_000,
                grants: [Grant(scope: "north", role: "recorder", tables: [7])]), key: issuer)
    }

    /// A request of some 60 bytes for each of `aheadCount`.
    static func request(aheadCount: Int) -> SyncRequest {
        SyncRequest(
            parts: [
                ExchangeRequest(
                    scope: "north", cursor: cursor,
                    ahead: (0..<aheadCount).map { stub(UInt64($0)) }, runs: [])
            ], pendingCount: 0, wallMilliseconds: 1_700_000_000_000, schemaVersion: 1)
    }

    private static func stub(_ seq: UInt64) -> RunStub {
        RunStub(
            stream: StreamID(device: key.device, scope: "north", incarnation: 0), lastSeq: seq,
            hash: Digest(sha256: [1, 2, 3]))
    }
}

/// What kind of failure it is, without its sentence.
enum Kind: Equatable {
    case unreachable, timedOut, notOurHub, wrongKey, refused, cancelled
}

extension TransportFailure {
    var kind: Kind {
        switch self {
        case .unreachable: .unreachable
        case .timedOut: .timedOut
        case .notOurHub: .notOurHub
        case .wrongKey: .wrongKey
        case .refused: .refused
        case .cancelled: .cancelled
        }
    }

    var sentence: String {
        switch self {
        case .unreachable(let text), .timedOut(let text), .notOurHub(let text),
            .wrongKey(let text):
            text
        case .refused(let refusal): refusal.explanation
        case .cancelled: ""
        }
    }
}

/// Runs `body` beside a server that lives as long as it does.
func withServer(
    _ certificate: Certificate = .expiredForOtherName, speaking speech: TestServer.Speech = .tls,
    _ body: (TestServer) throws -> Void
) throws {
    let server = try TestServer(certificate, speaking: speech)
    try withExtendedLifetime(server) { try body(server) }
}

/// How an exchange failed, and how long it took.
struct Failure {
    var kind: Kind
    var sentence: String
    var duration: Duration

    init(of hub: CurlHub, _ request: SyncRequest = Example.request) throws {
        let start = ContinuousClock.now
        do throws(TransportFailure) {
            _ = try hub.exchange(request)
        } catch {
            kind = error.kind
            sentence = error.sentence
            duration = ContinuousClock.now - start
            return
        }
        throw Unready(what: "the exchange did not fail")
    }
}
