import AntiEntropy
import CurlTransport
import SyncProtocol
import Testing

@Suite struct `Which hub is trusted` {
    private let otherPin = Digest(sha256: [1]).bytes

    @Test func `the pinned key counts, and neither date nor name nor authority`() throws {
        try withServer(.expiredForOtherName) { server in
            let hub = try server.hub(trust: .pinned(sha256: [server.pin]))
            #expect(try hub.exchange(Example.request) == Example.reply)
        }
    }

    @Test func `the next key is as good as the current one`() throws {
        try withServer { server in
            let hub = try server.hub(trust: .pinned(sha256: [otherPin, server.pin]))
            #expect(try hub.exchange(Example.request) == Example.reply)
        }
    }

    @Test(arguments: [Certificate.expiredForOtherName, .fromAuthority])
    func `another key than the pinned is refused before anything is sent`(
        certificate: Certificate
    ) throws {
        try withServer(certificate) { server in
            let hub = try server.hub(trust: .pinned(sha256: [otherPin]))
            for _ in 1...2 {
                #expect(try Failure(of: hub).kind == .wrongKey)
            }
            #expect(try server.requests().isEmpty)
            #expect(hub.statistics.sentBytes == 0)
        }
    }

    @Test func `the token of an enrolment never reaches another key`() throws {
        try withServer { server in
            let enrolment = try CurlEnrolment(
                url: server.url(), trust: .pinned(sha256: [otherPin]))
            #expect(throws: TransportFailure.self) { try enrolment.enrol(Example.enrolment) }
            #expect(try server.requests().isEmpty)
        }
    }

    @Test func `an authority vouches for its own`() throws {
        try withServer(.fromAuthority) { server in
            let hub = try server.hub(trust: .authority(pem: server.authority))
            #expect(try hub.exchange(Example.request) == Example.reply)
        }
    }

    @Test func `another authority doesn't`() throws {
        try withServer(.fromAuthority) { server in
            let authority = try server.authority
            try Certificate.makeAuthority(in: server.directory)
            let other = try server.authority
            #expect(other != authority)
            #expect(try Failure(of: server.hub(trust: .authority(pem: other))).kind == .wrongKey)
        }
    }

    @Test(arguments: [Certificate.fromAuthorityExpired, .fromAuthorityForOtherName])
    func `without a pin dates and names count`(certificate: Certificate) throws {
        try withServer(certificate) { server in
            let failure = try Failure(of: server.hub(trust: .authority(pem: server.authority)))
            #expect(failure.kind == .wrongKey)
            #expect(try server.requests().isEmpty)
        }
    }

    @Test func `the system's authorities don't vouch for a private one`() throws {
        try withServer(.fromAuthority) { server in
            let failure = try Failure(of: server.hub(trust: .system))
            #expect(failure.kind == .wrongKey)
        }
    }

    @Test func `an authority that can't be read is told`() throws {
        try withServer(.fromAuthority) { server in
            let failure = try Failure(of: server.hub(trust: .authority(pem: Array("?".utf8))))
            #expect(failure.kind == .wrongKey)
            #expect(failure.sentence.contains("can't be read"))
        }
    }

    @Test(arguments: [TestServer.Speech.tls12, .plain])
    func `a server without TLS 1.3 is no hub`(speech: TestServer.Speech) throws {
        try withServer(speaking: speech) { server in
            let failure = try Failure(of: server.hub())
            #expect(failure.kind == .notOurHub)
            #expect(try server.requests().isEmpty)
        }
    }
}
