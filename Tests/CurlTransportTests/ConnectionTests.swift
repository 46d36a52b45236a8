import AntiEntropy
import CurlTransport
import Foundation
import SyncProtocol
import Testing

@Suite struct `A connection comes, stays and goes` {
    private let short = TransportLimits(
        connectMilliseconds: 700, silenceMilliseconds: 700, totalMilliseconds: 30_000)

    @Test func `five exchanges share one connection`() throws {
        try withServer { server in
            let hub = try server.hub()
            for _ in 1...5 {
                #expect(try hub.exchange(Example.request) == Example.reply)
            }
            #expect(hub.statistics.requestCount == 5)
            #expect(hub.statistics.connectionCount == 1)
        }
    }

    @Test(arguments: [1, 100, 1_000, 25_000])
    func `sent and received bytes are counted once`(aheadCount: Int) throws {
        try withServer { server in
            let hub = try server.hub()
            let request = Example.request(aheadCount: aheadCount)
            _ = try hub.exchange(request)
            let headerBytes = hub.statistics.sentBytes - request.encode().count
            #expect((300..<700).contains(headerBytes))
            let replyHeaderBytes = hub.statistics.receivedBytes - Example.reply.encode().count
            #expect((100..<300).contains(replyHeaderBytes))
        }
    }

    @Test func `a refusal keeps the connection`() throws {
        try withServer { server in
            let hub = try server.hub("refuse")
            for _ in 1...2 { #expect(try Failure(of: hub).kind == .refused) }
            #expect(hub.statistics.connectionCount == 1)
        }
    }

    @Test func `a kept connection that the hub closed is opened again`() throws {
        try withServer { server in
            let hub = try server.hub("forgetful")
            for _ in 1...3 {
                #expect(try hub.exchange(Example.request) == Example.reply)
                Thread.sleep(forTimeInterval: 0.05)
            }
            #expect(hub.statistics.connectionCount == 3)
        }
    }

    @Test func `nobody listening is a hub out of reach`() throws {
        let url = try {
            let server = try TestServer()
            return withExtendedLifetime(server) { server.url() }
        }()
        let hub = try CurlHub(
            url: url, identity: Example.key, hubPublicKey: Example.hubKey.publicKey,
            trust: .system)
        #expect(try Failure(of: hub).kind == .unreachable)
    }

    @Test func `a name that nobody has is a hub out of reach`() throws {
        let hub = try CurlHub(
            url: "https://hub.invalid", identity: Example.key,
            hubPublicKey: Example.hubKey.publicKey, trust: .system)
        #expect(try Failure(of: hub).kind == .unreachable)
    }

    @Test(arguments: ["cut", "hangup"])
    func `an answer that breaks off is a hub out of reach`(mode: String) throws {
        try withServer { server in
            let request = Example.request(aheadCount: 25_000)
            let failure = try Failure(of: server.hub(mode), request)
            #expect(failure.kind == .unreachable)
        }
    }

    @Test func `a handshake that breaks off is a hub out of reach`() throws {
        try withServer(speaking: .hangup) { server in
            let failure = try Failure(of: server.hub())
            #expect(failure.kind == .unreachable)
        }
    }

    @Test func `a listener that never speaks runs into the limit for connecting`() throws {
        try withServer(speaking: .mute) { server in
            let failure = try Failure(of: server.hub(limits: short))
            #expect(failure.kind == .timedOut)
            #expect((.milliseconds(600) ... .seconds(20)).contains(failure.duration))
        }
    }

    @Test func `a hub that takes a request and never answers runs into the limit for silence`()
        throws
    {
        try withServer { server in
            let failure = try Failure(of: server.hub("silent", limits: short))
            #expect(failure.kind == .timedOut)
            #expect(failure.sentence.contains("0.7 s"))
            #expect((.milliseconds(600) ... .seconds(20)).contains(failure.duration))
        }
    }

    @Test func `a slow answer is waited for`() throws {
        try withServer { server in
            let reply = try server.hub("drip", limits: short).exchange(Example.request)
            #expect(reply == Example.reply)
        }
    }

    @Test func `a slow uplink is waited for`() throws {
        try withServer { server in
            let hub = try server.hub("slowly", limits: short)
            let request = Example.request(aheadCount: 25_000)
            #expect(try hub.exchange(request) == Example.reply)
        }
    }

    @Test func `the limit for the whole ends even an answer that comes in bits`() throws {
        try withServer { server in
            let limits = TransportLimits(totalMilliseconds: 700)
            let failure = try Failure(of: server.hub("drip", limits: limits))
            #expect(failure.kind == .timedOut)
            #expect((.milliseconds(600) ... .seconds(20)).contains(failure.duration))
        }
    }

    @Test func `a failed request doesn't spoil the next`() throws {
        try withServer { server in
            let hub = try server.hub("slowly", limits: short)
            #expect(try hub.exchange(Example.request) == Example.reply)
            #expect(try Failure(of: server.hub("cut")).kind == .unreachable)
            #expect(try hub.exchange(Example.request) == Example.reply)
        }
    }
}

@Suite struct `A session is cancelled` {
    @Test(arguments: [TestServer.Speech.tls, .mute])
    func `from another thread, long before its limits`(speech: TestServer.Speech) throws {
        try withServer(speaking: speech) { server in
            let cancellation = Cancellation()
            let hub = try server.hub("silent", cancellation: cancellation)
            Thread.detachNewThread {
                Thread.sleep(forTimeInterval: 0.5)
                cancellation.cancel()
            }
            let failure = try Failure(of: hub)
            #expect(failure.kind == .cancelled)
            #expect(failure.duration < .seconds(8))
        }
    }

    @Test func `before it begins, and for good`() throws {
        try withServer { server in
            let cancellation = Cancellation()
            let hub = try server.hub(cancellation: cancellation)
            _ = try hub.exchange(Example.request)
            cancellation.cancel()
            for _ in 1...2 { #expect(try Failure(of: hub).kind == .cancelled) }
            #expect(try server.requests().count == 1)
        }
    }
}
