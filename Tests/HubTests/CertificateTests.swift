import Foundation
import Hub
import SyncProtocol
import Testing

@Suite("The hub's certificate", .timeLimit(.minutes(1)))
struct CertificateTests {
    let folder: Folder

    init() throws { folder = try Folder() }

    private func make(names: [String] = []) throws -> HubCertificate {
        try HubCertificate.loadOrMake(
            besideStore: folder.file("hub"), names: names, wallMilliseconds: wall)
    }

    private func pin(of certificate: String) async throws -> String {
        try await folder.bash(
            """
            openssl x509 -in \(certificate) -pubkey -noout | openssl pkey -pubin -outform der |
            sha256sum | cut -d ' ' -f 1
            """
        ).output.trimmingCharacters(in: .whitespacesAndNewlines)
    }

    @Test func `The pin is the one that openssl computes`() async throws {
        let certificate = try make()
        #expect(certificate.pin.count == 32)
        #expect(try await pin(of: "hub.tls-cert.pem") == certificate.pin.hexadecimal)
    }

    @Test func `The key is its owner's alone, and a second start loads the same`() throws {
        let first = try make()
        let key = try folder.read("hub.tls-key.pem")
        #expect(try folder.mode("hub.tls-key.pem") == 0o600)
        #expect(try folder.mode("hub.tls-cert.pem") == 0o644)
        #expect(try make().pin == first.pin)
        #expect(try folder.read("hub.tls-key.pem") == key)
        let files = try FileManager.default.contentsOfDirectory(atPath: folder.path)
        #expect(files.sorted() == ["hub.tls-cert.pem", "hub.tls-key.pem", "hub.tls-next-key.pem"])
    }

    @Test func `The certificate names the hub and this machine and is valid for ten years`()
        async throws
    {
        _ = try make(names: ["hub.example.org", "192.0.2.7", "2001:db8::7", "localhost"])
        let text = try await folder.bash(
            "openssl x509 -in hub.tls-cert.pem -noout -subject -dates -ext subjectAltName"
        ).output
        #expect(text.contains("CN = hub.example.org"))
        #expect(text.contains("notBefore=Sep 29 08:00:00 2026 GMT"))
        #expect(text.contains("notAfter=Sep 28 08:00:00 2036 GMT"))
        #expect(
            text.contains(
                """
                DNS:hub.example.org, IP Address:192.0.2.7, IP Address:2001:DB8:0:0:0:0:0:7, \
                DNS:localhost, IP Address:127.0.0.1, IP Address:0:0:0:0:0:0:0:1
                """))
    }

    // MARK: The next key

    private func renew(names: [String] = []) throws -> HubCertificate {
        try HubCertificate.renew(
            besideStore: folder.file("hub"), names: names, wallMilliseconds: wall)
    }

    @Test func `There is a next key, its owner's alone, from the first start on`() throws {
        let first = try make()
        #expect(first.pins.count == 2 && Set(first.pins).count == 2)
        #expect(try folder.mode("hub.tls-next-key.pem") == 0o600)
        #expect(try make().pins == first.pins)
    }

    @Test func `Each renewal takes the next key, and makes another`() async throws {
        var known = try make(names: ["hub.example.org", "192.0.2.7", "2001:db8::7"])
        #expect(known.names.prefix(3) == ["hub.example.org", "192.0.2.7", "2001:db8::7"])
        var seen = Set(known.pins)
        for _ in 0..<3 {
            let renewed = try renew()
            #expect(renewed.pin == known.nextPin)
            #expect(seen.insert(try #require(renewed.nextPin)).inserted)
            // For the same host.
            #expect(renewed.names == known.names)
            #expect(try await pin(of: "hub.tls-cert.pem") == renewed.pin.hexadecimal)
            #expect(try make().pins == renewed.pins)
            known = renewed
        }
        #expect(try renew(names: ["new.example.org"]).names.first == "new.example.org")
        #expect(try folder.mode("hub.tls-key.pem") == 0o600)
    }

    @Test func `A name that is none changes no key`() throws {
        let before = try make()
        #expect(throws: HubCertificateError.invalidName("f\u{fc}ssen")) {
            try renew(names: ["f\u{fc}ssen"])
        }
        #expect(try make().pins == before.pins)
    }

    @Test func `A certificate of the key before is made anew`() throws {
        let before = try make(names: ["hub.example.org"])
        let certificate = try folder.read("hub.tls-cert.pem")
        let renewed = try renew()
        // Another command had made it in the moment of the change.
        try FileManager.default.removeItem(atPath: folder.file("hub.tls-cert.pem"))
        try folder.write("hub.tls-cert.pem", certificate)
        let found = try make()
        #expect(found.pins == renewed.pins && found.pin == before.nextPin)
    }

    /// What a renewal has done when it is ended, by what it does in turn.
    @Test(arguments: 0...2) func `A renewal that was ended leaves a key that laptops know`(
        _ step: Int
    ) throws {
        let before = try make()
        let manager = FileManager.default
        try manager.removeItem(atPath: folder.file("hub.tls-cert.pem"))
        if step > 0 {
            try manager.removeItem(atPath: folder.file("hub.tls-key.pem"))
            try manager.moveItem(
                atPath: folder.file("hub.tls-next-key.pem"),
                toPath: folder.file("hub.tls-key.pem"))
        }
        if step > 1 {
            // The new certificate and next key are drafts yet.
            try Data("-----BEGIN".utf8).write(
                to: URL(filePath: folder.file("hub.tls-next-key.pem.new")))
        }
        let after = try make()
        #expect(after.pin == (step == 0 ? before.pin : before.nextPin))
        #expect(before.pins.contains(after.pin) && after.nextPin != nil)
    }

    @Test func `A certificate that went missing is made anew for the same key`() throws {
        let first = try make()
        try FileManager.default.removeItem(atPath: folder.file("hub.tls-cert.pem"))
        #expect(try make().pin == first.pin)
    }

    @Test func `A key that went missing is not replaced`() throws {
        _ = try make()
        try FileManager.default.removeItem(atPath: folder.file("hub.tls-key.pem"))
        #expect(
            throws: HubCertificateError.missingKey(
                path: folder.file("hub.tls-key.pem"), certificate: folder.file("hub.tls-cert.pem"))
        ) { try make() }
    }

    @Test func `A key that others can read is refused`() throws {
        _ = try make()
        chmod(folder.file("hub.tls-key.pem"), 0o640)
        let error = #expect(throws: HubCertificateError.self) { try make() }
        #expect(error == .exposedKey(path: folder.file("hub.tls-key.pem"), mode: 0o640))
        #expect(error?.description.contains("mode 640") == true)
    }

    @Test func `Damaged files are refused by name`() throws {
        _ = try make()
        let certificate = try folder.read("hub.tls-cert.pem")
        try folder.write("hub.tls-cert.pem", Array(certificate.prefix(200)))
        let first = #expect(throws: HubCertificateError.self) { try make() }
        #expect(first?.description.contains("hub.tls-cert.pem holds no certificate") == true)
        try folder.write("hub.tls-key.pem", [])
        let second = #expect(throws: HubCertificateError.self) { try make() }
        #expect(second?.description.contains("hub.tls-key.pem holds no private key") == true)
    }

    @Test(arguments: ["bakı.az", "two words", "", String(repeating: "a", count: 254)])
    func `A name that no certificate can hold is refused`(name: String) {
        #expect(throws: HubCertificateError.invalidName(name)) { try make(names: [name]) }
    }

    @Test func `A folder that can't be written to is named`() {
        let error = #expect(throws: HubCertificateError.self) {
            try HubCertificate.loadOrMake(
                besideStore: folder.file("nowhere/hub"), names: [], wallMilliseconds: wall)
        }
        #expect(error?.description.contains("nowhere/hub.tls-key.pem") == true)
    }

    @Test(arguments: ["rsa:2048", "ec -pkeyopt ec_paramgen_curve:P-384", "ed25519"])
    func `An operator's own pair is loaded, chain and all`(key: String) async throws {
        let made = try await folder.bash(
            """
            openssl req -x509 -newkey \(key) -nodes -keyout own.key -out own.pem -days 9 \
            -subj /CN=hub.example.org && chmod 640 own.key && cat own.pem own.pem > chain.pem
            """)
        try #require(made.status == 0, "\(made.output)")
        let own = try HubCertificate.load(
            certificatePath: folder.file("chain.pem"), keyPath: folder.file("own.key"))
        #expect(try await pin(of: "own.pem") == own.pin.hexadecimal)
    }

    @Test func `A key of another certificate is refused`() async throws {
        _ = try make()
        let own = folder.file("own.key")
        _ = try await folder.bash("openssl ecparam -name prime256v1 -genkey -noout -out own.key")
        let certificate = folder.file("hub.tls-cert.pem")
        chmod(own, 0o600)
        #expect(throws: HubCertificateError.mismatch(certificate: certificate, key: own)) {
            try HubCertificate.load(certificatePath: certificate, keyPath: own)
        }
    }

    @Test func `A key with a passphrase is refused`() async throws {
        _ = try make()
        _ = try await folder.bash(
            "openssl genpkey -algorithm ed25519 -aes256 -pass pass:secret -out own.key")
        chmod(folder.file("own.key"), 0o600)
        let error = #expect(throws: HubCertificateError.self) {
            try HubCertificate.load(
                certificatePath: folder.file("hub.tls-cert.pem"), keyPath: folder.file("own.key"))
        }
        #expect(error?.description.contains("without a passphrase") == true)
    }
}
