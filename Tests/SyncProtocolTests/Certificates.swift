import Causality
import SyncProtocol
import Testing

/// What a root says of a hub, and a hub of devices.
@Suite struct Certificates {
    private let forum = SampleForum()
    private let key = DeviceKey()

    private func check(
        _ certificate: Certificate, by hub: Certificate? = nil, anchor: TrustAnchor? = nil
    ) throws(CertificateError) {
        try (anchor ?? forum.anchor).check(
            device: certificate, of: key.device, by: hub ?? forum.hub)
    }

    @Test func `a certificate reads as it is written, and holds`() throws {
        let certificate = forum.certificate(of: key)
        let read = try Certificate(decoding: certificate.encode())
        #expect(read == certificate)
        #expect(read.encode() == certificate.encode())
        #expect(read.statement.grants[0].tables == [2, 7, 300])
        #expect(read.statement.encryptionKey.count == 32)
        try check(read)
        try forum.anchor.check(hub: Certificate(decoding: forum.hub.encode()))
    }

    @Test func `people are told why a certificate is none, each reason in its own words`() {
        let reasons: [CertificateError] = [
            .signature, .otherRoot, .unknownHub, .otherHolder, .kind,
        ]
        #expect(Set(reasons.map(\.explanation)).count == reasons.count)
        #expect(CertificateError.otherRoot.explanation.contains("another forum"))
    }

    @Test func `a certificate with any bit changed is none, or is not signed`() {
        for certificate in [forum.certificate(of: key), forum.hub] {
            let bytes = certificate.encode()
            var (unreadable, unsigned) = (0, 0)
            for place in bytes.indices {
                for bit in 0..<8 {
                    var changed = bytes
                    changed[place] ^= 1 << UInt8(bit)
                    do {
                        let read = try Certificate(decoding: changed)
                        #expect(!read.isSignedByItsIssuer, "bit \(bit) of byte \(place)")
                        unsigned += 1
                    } catch {
                        unreadable += 1
                    }
                }
            }
            #expect(unreadable > 100 && unsigned > 1_000, "\(unreadable), \(unsigned)")
        }
    }

    @Test func `what another root, hub or holder stands behind is worth nothing`() {
        let other = SampleForum()
        let certificate = forum.certificate(of: key)
        #expect(throws: CertificateError.otherRoot) {
            try check(certificate, anchor: other.anchor)
        }
        #expect(throws: CertificateError.otherRoot) {
            try check(other.certificate(of: key), by: other.hub)
        }
        #expect(throws: CertificateError.unknownHub) { try check(other.certificate(of: key)) }
        #expect(throws: CertificateError.otherHolder) {
            try check(forum.certificate(of: DeviceKey()))
        }
        // A device that makes itself a hub, and a hub that makes another one.
        let device = DeviceKey()
        let own = SampleForum.certificate(.hub, of: device, by: device, [])
        #expect(throws: CertificateError.otherRoot) { try forum.anchor.check(hub: own) }
        let second = SampleForum.certificate(.hub, of: device, by: forum.hubKey, [])
        #expect(throws: CertificateError.otherRoot) { try forum.anchor.check(hub: second) }
        let third = SampleForum.certificate(.device, of: key, by: device, SampleForum.grants)
        #expect(throws: CertificateError.kind) {
            try check(third, by: forum.certificate(of: device))
        }
        #expect(throws: CertificateError.kind) { try check(forum.hub) }
        // The root itself lets no devices in.
        let direct = SampleForum.certificate(.device, of: key, by: forum.root, SampleForum.grants)
        #expect(throws: CertificateError.unknownHub) { try check(direct) }
    }

    @Test func `a statement under another's signature is not signed`() throws {
        let (one, other) = (forum.certificate(of: key), forum.certificate(of: DeviceKey()))
        var bytes = one.encode()
        bytes.replaceSubrange(bytes.count - 64..<bytes.count, with: other.signature)
        let mixed = try Certificate(decoding: bytes)
        #expect(throws: CertificateError.signature) { try check(mixed) }
    }

    @Test func `a certificate says each thing once, in its place`() throws {
        let bytes = forum.certificate(of: key).encode()
        for cut in bytes.indices {
            #expect(throws: CBORError.self) { try Certificate(decoding: Array(bytes[..<cut])) }
        }
        #expect(throws: CBORError.self) { try Certificate(decoding: bytes + [0]) }
        #expect(throws: CBORError.self) {
            try Certificate(decoding: [UInt8](repeating: 0x82, count: 16 << 10 + 1))
        }
    }

    @Test func `the key for what is sealed is the device's own, and no signing key`() {
        let again = DeviceKey(seed: key.seed)
        #expect(again?.encryptionPublicKey == key.encryptionPublicKey)
        #expect(key.encryptionPublicKey != key.publicKey)
        #expect(DeviceKey().encryptionPublicKey != key.encryptionPublicKey)
    }
}
