import Foundation
import Hub
import SyncProtocol
import Testing

/// What holds back a stop here would do so for 50 seconds or longer if it were let: the bounds lie
/// far from both, because a busy machine is slow.
@Suite("Stopping the hub", .timeLimit(.minutes(2)))
struct StopTests {
    @Test func `A stop takes no new connection and finishes the request under way`() async throws {
        let (entered, released) = (Signal(), Signal())
        let handler = StubHandler { body, _ in
            entered.raise()
            await released.wait()
            return .message(body)
        }
        try await withServer(handler) { served in
            try served.folder.write("body", [1, 2, 3])
            async let answer = served.post(RequestSignature.exchangePath, file: "body")
            await entered.wait()
            await served.server.stop()
            try await expectRefusal(served)
            released.raise()
            let (status, _, body) = try await answer
            #expect(status == 200)
            #expect(body == [1, 2, 3])
        }
    }

    /// Waits up to 5 seconds for the port to close.
    private func expectRefusal(_ served: Served) async throws {
        for _ in 0..<50 {
            let probe = try await served.folder.bash("exec 3<>/dev/tcp/127.0.0.1/\(served.port)")
            if probe.status != 0 { return }
            try await Task.sleep(for: .milliseconds(100))
        }
        Issue.record("the port is still open")
    }

    @Test func `A connection without a request doesn't hold back a stop`() async throws {
        var limits = HubServerLimits()
        limits.idleMilliseconds = 60_000
        limits.stopMilliseconds = 60_000
        try await withServer(limits: limits) { served in
            async let client = served.folder.bash(
                """
                mkfifo never; exec 4<>never
                printf 'GET /v1/health HTTP/1.1\\r\\nHost: a\\r\\n\\r\\n' >&4
                timeout -s KILL 50 openssl s_client -quiet -connect 127.0.0.1:\(served.port) <&4
                """)
            while !served.lines.all.contains(where: { $0.contains("path=/v1/health") }) {
                try await Task.sleep(for: .milliseconds(20))
            }
            let start = ContinuousClock.now
            await served.server.stop()
            _ = try await client
            #expect(ContinuousClock.now - start < .seconds(30))
        }
    }

    @Test func `A request that never ends holds back a stop only for so long`() async throws {
        var limits = HubServerLimits()
        limits.stopMilliseconds = 500
        let start = ContinuousClock.now
        try await withServer(limits: limits) { served in
            async let client = served.folder.bash(
                """
                mkfifo never; exec 4<>never
                printf 'GET /v1/health HTTP/1.1\\r\\nHost: a\\r\\n\\r\\n' >&4
                printf 'POST /v1/exchange HTTP/1.1\\r\\nHost: a\\r\\nContent-Length: 999\\r\\n' >&4
                printf 'Content-Type: \(Served.contentType)\\r\\n\\r\\n' >&4
                timeout -s KILL 50 openssl s_client -quiet -connect 127.0.0.1:\(served.port) <&4
                """)
            while !served.lines.all.contains(where: { $0.contains("path=/v1/health") }) {
                try await Task.sleep(for: .milliseconds(20))
            }
            await served.server.stop()
            _ = try await client
        }
        #expect(ContinuousClock.now - start < .seconds(30))
    }

    @Test func `A handler that waits for news is cancelled when the stop takes too long`()
        async throws
    {
        var limits = HubServerLimits()
        limits.stopMilliseconds = 300
        let entered = Signal()
        let handler = StubHandler { body, _ in
            entered.raise()
            try? await Task.sleep(for: .seconds(60))
            return .message(body)
        }
        let start = ContinuousClock.now
        try await withServer(handler, limits: limits) { served in
            try served.folder.write("body", [1])
            async let answer = served.post(RequestSignature.exchangePath, file: "body")
            await entered.wait()
            await served.server.stop()
            let status = try? await answer.status
            #expect(status == nil)
        }
        #expect(ContinuousClock.now - start < .seconds(30))
    }

    @Test func `SIGTERM stops the server, and the program goes on`() async {
        await #expect(processExitsWith: .success) { try await serveUntil(SIGTERM) }
    }

    @Test func `SIGINT stops the server, and the program goes on`() async {
        await #expect(processExitsWith: .success) { try await serveUntil(SIGINT) }
    }

    @Test func `A server that was stopped before it ran doesn't serve`() async throws {
        let folder = try Folder()
        let server = HubServer(
            handler: StubHandler(),
            certificate: try HubCertificate.loadOrMake(
                besideStore: folder.file("hub"), names: [], wallMilliseconds: wall),
            host: "127.0.0.1", port: 0, logger: Lines().logger(),
            onReady: { _ in Issue.record("it serves") })
        await server.stop()
        try await server.run()
    }
}

/// Serves, and sends this process a signal as soon as it does.
private func serveUntil(_ signal: Int32) async throws {
    let folder = try Folder()
    let server = HubServer(
        handler: StubHandler(),
        certificate: try HubCertificate.loadOrMake(
            besideStore: folder.file("hub"), names: [], wallMilliseconds: wall),
        host: "127.0.0.1", port: 0, logger: Lines().logger(),
        onReady: { _ in kill(getpid(), signal) })
    try await server.run()
}
