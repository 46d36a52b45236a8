import CurlTransport
import SyncProtocol
import Testing

@Suite struct `Addresses of hubs` {
    @Test(arguments: [
        ("https://hub.example.org", "https://hub.example.org"),
        ("https://hub.example.org/", "https://hub.example.org"),
        ("HTTPS://Hub.Example.ORG:443///", "https://hub.example.org"),
        ("https://hub.example.org:8443", "https://hub.example.org:8443"),
        ("https://hub.example.org/Forum/North/", "https://hub.example.org/Forum/North"),
        ("https://127.0.0.1:8443/a", "https://127.0.0.1:8443/a"),
        ("https://[::1]:8443/", "https://[::1]:8443"),
        ("https://hüb.example", "https://hüb.example"),
    ])
    func `are brought into one form`(text: String, normal: String) throws {
        #expect(try HubURL.normalise(text) == normal)
        #expect(try HubURL.normalise(normal) == normal)
    }

    @Test(arguments: [
        "http://hub.example.org", "ftp://hub.example.org", "file:///etc/passwd", "hub.example.org",
        "hub.example.org:8443", "",
    ])
    func `are secure`(text: String) {
        #expect(throws: HubURLProblem.notHTTPS(text)) { try HubURL.normalise(text) }
    }

    @Test(arguments: ["https://", "https:///path", "https://:8443"])
    func `name a host`(text: String) {
        #expect(throws: HubURLProblem.noHost(text)) { try HubURL.normalise(text) }
    }

    @Test(arguments: [
        "https://me@hub.example.org", "https://me:word@hub.example.org",
        "https://hub.example.org/?a=b", "https://hub.example.org?", "https://hub.example.org/#a",
        "https://hub.example.org#",
    ])
    func `hold nothing else`(text: String) {
        #expect(throws: HubURLProblem.surplus(text)) { try HubURL.normalise(text) }
    }

    @Test(arguments: [
        "https://hub.example.org:99999", "https://hub example.org",
        "https://hub.example.org/\r\nA: b",
        "https://[::1", "https://hub.example.org\u{0}.evil.example",
    ])
    func `are well formed`(text: String) {
        #expect(throws: HubURLProblem.self) { try HubURL.normalise(text) }
    }

    @Test func `that are wrong make no hub`() {
        #expect(throws: HubURLProblem.notHTTPS("http://hub.example.org")) {
            try CurlHub(
                url: "http://hub.example.org", identity: Example.key,
                hubPublicKey: Example.hubKey.publicKey, trust: .system)
        }
    }
}
