import CurlTransport
import SyncProtocol
import Testing

@Suite struct `Answers of whatever is at the address` {
    @Test func `a hub's reply is decoded`() throws {
        let server = try TestServer()
        #expect(try server.hub().exchange(Example.request) == Example.reply)
    }

    @Test func `a request says who sends it, to whom, and nothing that delays it`() throws {
        let server = try TestServer()
        let long = Example.request(aheadCount: 30_000)
        _ = try server.hub().exchange(long)
        let request = try #require(try server.requests().first)
        #expect(request.line == "POST /reply/v0/exchange HTTP/1.1")
        #expect(request.body == long.encode())
        #expect(request.headers["content-type"] == RequestSignature.contentType)
        #expect(request.headers["accept"] == RequestSignature.contentType)
        #expect(request.headers["user-agent"] == "karvan/0.1")
        #expect(request.headers["expect"] == nil)
        let header = try #require(request.headers["karvan-signature"])
        let signature = try #require(RequestSignature(headerValue: header))
        #expect(signature.publicKey == Example.key.publicKey)
        #expect(
            signature.isValid(
                hub: Example.hubKey.publicKey, path: "/v0/exchange", body: request.body))
    }

    @Test func `an enrolment is asked for and granted without a signature header`() throws {
        let server = try TestServer()
        let enrolment = try CurlEnrolment(
            url: server.url(), trust: .pinned(sha256: [server.pin]))
        #expect(try enrolment.enrol(Example.enrolment) == Example.enrolled)
        let request = try #require(try server.requests().first)
        #expect(request.line == "POST /reply/v0/enrol HTTP/1.1")
        #expect(try EnrolmentRequest(decoding: request.body) == Example.enrolment)
        #expect(request.headers["karvan-signature"] == nil)
    }

    @Test func `a refusal comes with the hub's own words`() throws {
        let hub = try TestServer().hubThatStays("refuse")
        #expect(throws: TransportFailure.refused(Example.refusal)) {
            try hub.hub.exchange(Example.request)
        }
    }
}
