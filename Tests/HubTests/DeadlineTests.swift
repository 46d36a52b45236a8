import Foundation
import Hub
import SyncProtocol
import Testing

/// Each of these clients would hold its connection for 40 seconds or longer if it were let: the bound
/// lies far from both, because a busy machine is slow.
@Suite("Slow and silent clients", .timeLimit(.minutes(2)))
struct DeadlineTests {
    /// Runs `script`, and fails unless the hub ended its connection within 25 seconds.
    private func expectEnd(
        _ served: Served, reason: String?, _ script: String,
        sourceLocation: SourceLocation = #_sourceLocation
    ) async throws {
        let start = ContinuousClock.now
        _ = try await served.folder.bash("mkfifo never; exec 4<>never; \(script)")
        #expect(ContinuousClock.now - start < .seconds(25), sourceLocation: sourceLocation)
        guard let reason else { return }
        let told = served.lines.all.contains { $0.hasSuffix("connection-ended reason=\(reason)\n") }
        #expect(told, "\(served.lines.all)", sourceLocation: sourceLocation)
    }

    @Test func `A client that never speaks TLS is dropped`() async throws {
        var limits = HubServerLimits()
        limits.idleMilliseconds = 300
        try await withServer(limits: limits) { served in
            try await expectEnd(
                served, reason: nil,
                "exec 3<>/dev/tcp/127.0.0.1/\(served.port); timeout -s KILL 50 cat <&3")
        }
    }

    @Test func `A client that sends no request, or half a head, is dropped`() async throws {
        var limits = HubServerLimits()
        limits.idleMilliseconds = 300
        try await withServer(limits: limits) { served in
            let client =
                "timeout -s KILL 50 openssl s_client -quiet -connect 127.0.0.1:\(served.port) <&4"
            try await expectEnd(served, reason: nil, client)
            try await expectEnd(
                served, reason: nil,
                "rm never; mkfifo never; exec 4<>never; printf 'GET / HT' >&4; \(client)")
        }
    }

    @Test func `A body that trickles is cut off`() async throws {
        var limits = HubServerLimits()
        limits.requestMilliseconds = 800
        try await withServer(limits: limits) { served in
            try await expectEnd(
                served, reason: "request-too-slow",
                """
                printf 'POST /v1/exchange HTTP/1.1\\r\\nHost: a\\r\\nContent-Length: 999\\r\\n' >&4
                printf 'Content-Type: \(Served.contentType)\\r\\n\\r\\n' >&4
                (for i in {1..200}; do printf x >&4; sleep 0.2; done) &
                trickle=$!
                timeout -s KILL 50 openssl s_client -quiet -connect 127.0.0.1:\(served.port) <&4
                kill -9 $trickle
                """)
            let aborted = served.lines.all.contains { $0.contains("event=request-aborted ") }
            #expect(aborted, "\(served.lines.all)")
        }
    }

    @Test func `A client that doesn't take its answer is cut off`() async throws {
        var limits = HubServerLimits()
        limits.responseMilliseconds = 500
        let large = [UInt8](repeating: 7, count: 64 << 20)
        try await withServer(StubHandler { _, _ in .message(large) }, limits: limits) { served in
            try served.folder.write("body", [1])
            try await expectEnd(
                served, reason: "response-too-slow",
                """
                curl -sS --limit-rate 1k --cacert hub.tls-cert.pem -o answer \
                -H 'Content-Type: \(Served.contentType)' --data-binary @body \
                https://localhost:\(served.port)/v1/exchange & sleep 4; kill -9 $!
                """)
        }
    }

    @Test func `A client that goes on after its refusal is cut off`() async throws {
        var limits = HubServerLimits()
        limits.lingerMilliseconds = 300
        try await withServer(limits: limits) { served in
            try await expectEnd(
                served, reason: "request-refused-early",
                """
                printf 'POST /v1/exchange HTTP/1.1\\r\\nHost: a\\r\\nContent-Length: 99999999\\r\\n' >&4
                printf 'Content-Type: \(Served.contentType)\\r\\n\\r\\n' >&4
                (for i in {1..200}; do printf x >&4; sleep 0.2; done) &
                trickle=$!
                timeout -s KILL 50 openssl s_client -quiet -connect 127.0.0.1:\(served.port) <&4
                kill -9 $trickle
                """)
        }
    }

    @Test func `A handler that thinks for longer than the deadlines is waited for`() async throws {
        var limits = HubServerLimits()
        limits.idleMilliseconds = 200
        limits.requestMilliseconds = 200
        limits.responseMilliseconds = 200
        let handler = StubHandler { body, _ in
            try? await Task.sleep(for: .milliseconds(900))
            return .message(body)
        }
        try await withServer(handler, limits: limits) { served in
            try served.folder.write("body", [1])
            let answer = try await served.post(RequestSignature.exchangePath, file: "body")
            #expect(answer.status == 200)
        }
    }

    @Test func `Connections over the limit wait, and then are served`() async throws {
        var limits = HubServerLimits()
        limits.connections = 2
        limits.idleMilliseconds = 500
        try await withServer(limits: limits) { served in
            let (status, output) = try await served.folder.bash(
                """
                exec 3<>/dev/tcp/127.0.0.1/\(served.port) 4<>/dev/tcp/127.0.0.1/\(served.port)
                curl -sS --max-time 20 --cacert hub.tls-cert.pem https://localhost:\(served.port)/v1/health
                """)
            #expect(status == 0)
            #expect(output == "status ok\nformat 1\n")
        }
    }
}
