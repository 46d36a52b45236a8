import Foundation
import Hub
import Logging
import SyncProtocol
import Synchronization

/// A folder of its own for one test, gone with it.
final class Folder: Sendable {
    let path: String

    init() throws {
        let url = FileManager.default.temporaryDirectory
            .appending(path: "karvan-hub-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
        path = url.path(percentEncoded: false)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    func file(_ name: String) -> String { path + "/" + name }

    func mode(_ name: String) throws -> Int? {
        try FileManager.default.attributesOfItem(atPath: file(name))[.posixPermissions] as? Int
    }

    func write(_ name: String, _ bytes: [UInt8]) throws {
        try Data(bytes).write(to: URL(filePath: file(name)))
    }

    func read(_ name: String) throws -> [UInt8] {
        Array(try Data(contentsOf: URL(filePath: file(name))))
    }

    /// Runs `script` in bash, in this folder, for at most 60 seconds.
    ///
    /// Children inherit that Dispatch blocks SIGTERM where a server waits for it: only SIGKILL
    /// ends them for sure.
    ///
    /// - Returns: its exit status, and what it wrote to standard output and standard error.
    func bash(_ script: String) async throws -> (status: Int32, output: String) {
        let name = UUID().uuidString
        try write(name, [])
        let process = Process()
        process.executableURL = URL(filePath: "/usr/bin/timeout")
        process.arguments = ["-s", "KILL", "60", "bash", "-c", script]
        process.currentDirectoryURL = URL(filePath: path)
        let output = try FileHandle(forWritingTo: URL(filePath: file(name)))
        process.standardOutput = output
        process.standardError = output
        process.standardInput = FileHandle.nullDevice
        try await withCheckedThrowingContinuation { (done: CheckedContinuation<Void, any Error>) in
            process.terminationHandler = { _ in done.resume() }
            do { try process.run() } catch { done.resume(throwing: error) }
        }
        try output.close()
        return (process.terminationStatus, String(decoding: try read(name), as: UTF8.self))
    }
}

/// 2026-09-30 08:00:00.123 UTC.
let wall: Int64 = 1_790_755_200_123

/// Answers as it is told.
struct StubHandler: HubHandler {
    var answer: @Sendable ([UInt8], String?) async -> HubAnswer = { body, _ in .message(body) }

    func enrol(_ body: [UInt8]) async -> HubAnswer { .message(Array("enrolled".utf8) + body) }
    func exchange(_ body: [UInt8], signature: String?) async -> HubAnswer {
        await answer(body, signature)
    }
    func wait(_ body: [UInt8], signature: String?) async -> HubAnswer { .message(body) }
    func blobs(_ body: [UInt8], signature: String?) async -> HubAnswer { .message(body) }
}

/// The lines that were logged.
final class Lines: Sendable {
    private let lines = Mutex<[String]>([])

    var all: [String] { lines.withLock { $0 } }

    func logger(level: Logger.Level = .info) -> Logger {
        Logger(label: "test") { _ in
            HubLog(level: level, wallMilliseconds: { wall }) { bytes in
                self.lines.withLock { $0.append(String(decoding: bytes, as: UTF8.self)) }
            }
        }
    }
}

/// A hub that serves on loopback.
struct Served: Sendable {
    let folder: Folder
    let certificate: HubCertificate
    let server: HubServer
    let lines: Lines
    let port: Int

    static let contentType = RequestSignature.contentType

    /// Status, content type and body of what `curl` gets; it trusts the hub's certificate only.
    func curl(_ path: String, _ arguments: String = "") async throws -> (
        status: Int, type: String, body: [UInt8]
    ) {
        let name = UUID().uuidString
        let (status, output) = try await folder.bash(
            """
            curl -sS --max-time 20 --cacert hub.tls-cert.pem -o \(name) \
            -w '%{http_code} %{content_type}' \(arguments) https://localhost:\(port)\(path)
            """)
        guard status == 0 else { throw CommandFailure(status: status, output: output) }
        let words = output.split(separator: " ", maxSplits: 1)
        let body = (try? folder.read(name)) ?? []
        return (Int(words[0]) ?? 0, words.count > 1 ? String(words[1]) : "", body)
    }

    func post(_ path: String, file: String, _ arguments: String = "") async throws -> (
        status: Int, type: String, body: [UInt8]
    ) {
        try await curl(
            path,
            "-H 'Content-Type: \(Self.contentType)' -H 'Expect:' --data-binary @\(file) \(arguments)"
        )
    }
}

struct CommandFailure: Error {
    var status: Int32
    var output: String
}

/// Serves while `body` runs, then stops, and waits for the stop.
func withServer(
    _ handler: StubHandler = StubHandler(), limits: HubServerLimits = HubServerLimits(),
    _ body: @Sendable (Served) async throws -> Void
) async throws {
    let folder = try Folder()
    let certificate = try HubCertificate.loadOrMake(
        besideStore: folder.file("hub"), names: [], wallMilliseconds: wall)
    let lines = Lines()
    let (ports, port) = AsyncStream.makeStream(of: Int.self)
    let server = HubServer(
        handler: handler, certificate: certificate, host: "127.0.0.1", port: 0, limits: limits,
        logger: lines.logger(), onReady: { port.yield($0) })
    try await withThrowingTaskGroup { group in
        group.addTask {
            defer { port.finish() }
            try await server.run()
        }
        if let number = await ports.first(where: { _ in true }) {
            let served = Served(
                folder: folder, certificate: certificate, server: server, lines: lines,
                port: number)
            do {
                try await body(served)
            } catch {
                await server.stop()
                throw error
            }
        }
        await server.stop()
        try await group.waitForAll()
    }
}

/// Lets a test and a handler wait for each other.
struct Signal: Sendable {
    private let stream: AsyncStream<Void>
    private let continuation: AsyncStream<Void>.Continuation

    init() { (stream, continuation) = AsyncStream.makeStream() }

    func raise() { continuation.finish() }
    func wait() async { for await _ in stream {} }
}
