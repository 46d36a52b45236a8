import AntiEntropy
import CurlTransport
import SyncProtocol
import Testing

@Suite struct `What is at the address answers` {
    @Test func `a hub's reply is decoded`() throws {
        try withServer { server in
            let reply = try server.hub().exchange(Example.request)
            #expect(reply == Example.reply)
        }
    }

    @Test func `a request says who sends it and to whom, and carries nothing that delays it`()
        throws
    {
        try withServer { server in
            let long = Example.request(aheadCount: 25_000)
            _ = try server.hub().exchange(long)
            let request = try #require(try server.requests().first)
            #expect(request.line == "POST /reply/v1/exchange HTTP/1.1")
            #expect(request.body.count > 1 << 20 && request.body == long.encode())
            #expect(request.headers["content-type"] == RequestSignature.contentType)
            #expect(request.headers["accept"] == RequestSignature.contentType)
            #expect(request.headers["user-agent"] == "karvan/0.1")
            #expect(request.headers["expect"] == nil)
            let header = try #require(request.headers["karvan-signature"])
            let signature = try #require(RequestSignature(headerValue: header))
            #expect(signature.publicKey == Example.key.publicKey)
            #expect(
                signature.isValid(
                    hub: Example.hubKey.publicKey, path: "/v1/exchange", body: request.body))
        }
    }

    @Test func `an enrolment is granted, and was asked for without a signature header`() throws {
        try withServer { server in
            let enrolment = try CurlEnrolment(
                url: server.url(), trust: .pinned(sha256: [server.pin]))
            #expect(try enrolment.enrol(Example.enrolment) == Example.enrolled)
            let request = try #require(try server.requests().first)
            #expect(request.line == "POST /reply/v1/enrol HTTP/1.1")
            #expect(try EnrolmentRequest(decoding: request.body) == Example.enrolment)
            #expect(request.headers["karvan-signature"] == nil)
        }
    }

    @Test func `a refusal comes with the hub's own words`() throws {
        try withServer { server in
            let hub = try server.hub("refuse")
            #expect(throws: TransportFailure.refused(Example.refusal)) {
                try hub.exchange(Example.request)
            }
        }
    }

    @Test func `a busy server says when to come back`() throws {
        try withServer { server in
            let failure = try Failure(of: server.hub("busy"))
            #expect(failure.kind == .refused)
            #expect(failure.sentence.contains("HTTP 503") && failure.sentence.contains("7 s"))
        }
    }

    @Test func `a gateway whose hub is down is a hub out of reach`() throws {
        try withServer { server in
            let failure = try Failure(of: server.hub("gateway"))
            #expect(failure.kind == .unreachable)
            #expect(failure.sentence.contains("HTTP 502"))
        }
    }

    @Test(arguments: ["portal", "mistyped", "untyped", "garbled", "mumbling"])
    func `an answer that is no hub's is told apart`(mode: String) throws {
        try withServer { server in
            let failure = try Failure(of: server.hub(mode))
            #expect(failure.kind == .notOurHub)
            #expect(failure.sentence.contains(server.url(mode)))
        }
    }

    @Test func `the sentence about a captive portal says what it sent`() throws {
        try withServer { server in
            let failure = try Failure(of: server.hub("portal"))
            #expect(failure.sentence.contains("HTTP 200 with text/html"))
        }
    }

    @Test func `a redirect is not followed, even to a hub`() throws {
        try withServer { server in
            let failure = try Failure(of: server.hub("redirect"))
            #expect(failure.kind == .notOurHub)
            #expect(failure.sentence.contains("/reply/v1/exchange"))
            #expect(try server.requests().count == 1)
        }
    }

    @Test func `a stranger's text can't command the terminal`() throws {
        try withServer { server in
            let failure = try Failure(of: server.hub("far"))
            #expect(failure.kind == .notOurHub)
            #expect(failure.sentence.contains("http://portal.example/"))
            #expect(!failure.sentence.contains("\u{1B}"))
        }
    }

    @Test(arguments: ["endless", "announced"])
    func `an answer over the limit is given up`(mode: String) throws {
        try withServer { server in
            let hub = try server.hub(mode)
            let failure = try Failure(of: hub)
            #expect(failure.kind == .notOurHub)
            #expect(failure.sentence.contains("\(Limits.messageBytes >> 10) KiB"))
            #expect(hub.statistics.receivedBytes < 2 * Limits.messageBytes)
        }
    }
}
