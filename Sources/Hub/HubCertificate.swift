internal import Crypto
internal import FoundationEssentials
internal import Glibc
internal import HummingbirdTLS
internal import NIOSSL
internal import SwiftASN1
internal import SyncProtocol
internal import X509

/// Why the hub has no TLS key to serve with: which file, and what to do about it.
package enum HubCertificateError: Error, Hashable, Sendable, CustomStringConvertible {
    case unreadable(path: String, reason: String)
    case unwritable(path: String, reason: String)
    /// Others than the owner can get at the private key.
    case exposedKey(path: String, mode: UInt16)
    case malformedCertificate(path: String, reason: String)
    case malformedKey(path: String, reason: String)
    /// The key isn't the certificate's.
    case mismatch(certificate: String, key: String)
    /// The certificate is there without its key.
    case missingKey(path: String, certificate: String)
    /// Neither a DNS name in ASCII nor an IP address.
    case invalidName(String)

    package var description: String {
        switch self {
        case .unreadable(let path, let reason):
            "cannot read \(path): \(reason). Give the hub's user access to it."
        case .unwritable(let path, let reason):
            "cannot write \(path): \(reason). Give the hub's user access to its folder."
        case .exposedKey(let path, let mode):
            """
            \(path) has mode \(String(mode, radix: 8)): others can read this private key. Run \
            "chmod 600" on it; replace the key if somebody may have.
            """
        case .malformedCertificate(let path, let reason):
            "\(path) holds no certificate chain in PEM, the hub's own first: \(reason)."
        case .malformedKey(let path, let reason):
            """
            \(path) holds no private key in PEM without a passphrase (P-256, P-384, P-521, RSA \
            or Ed25519): \(reason). Restore it from the backup.
            """
        case .mismatch(let certificate, let key):
            "the key in \(key) isn't that of \(certificate). Give the two that belong together."
        case .missingKey(let path, let certificate):
            """
            \(path) is missing, and laptops trust no other key. Restore it from the backup. If \
            it is lost, delete \(certificate) too: the hub makes a new key, and every laptop \
            has to enrol again.
            """
        case .invalidName(let name):
            "\"\(name)\" is neither a DNS name nor an IP address; write other scripts in Punycode."
        }
    }
}

/// The hub's TLS key and certificate.
package struct HubCertificate: Sendable {
    /// SHA-256 of the leaf's public key (its SubjectPublicKeyInfo in DER), 32 bytes: what tokens
    /// carry, and what libcurl compares.
    package let pin: [UInt8]
    let tls: TLSConfiguration

    /// Where the hub keeps the key that it made: beside the store, so that one backup has both.
    package static func keyPath(besideStore store: String) -> String { store + ".tls-key.pem" }
    /// Where the hub keeps the certificate that it made.
    package static func certificatePath(besideStore store: String) -> String {
        store + ".tls-cert.pem"
    }

    /// Loads the hub's own key and certificate; at the first start makes them.
    ///
    /// A key without a certificate, as a crash or a deleted certificate leaves it, gets a new
    /// certificate: the pin stays.
    ///
    /// - Parameters:
    ///   - store: the path of the hub's store.
    ///   - names: DNS names and IP addresses that laptops reach the hub by; `localhost` and the
    ///     loopback addresses are added. They count only when a certificate is made.
    ///   - wallMilliseconds: milliseconds since 1970; the certificate is valid from a day before,
    ///     for ten years.
    package static func loadOrMake(
        besideStore store: String, names: [String], wallMilliseconds: Int64
    ) throws(HubCertificateError) -> HubCertificate {
        let keyPath = keyPath(besideStore: store)
        let certificatePath = certificatePath(besideStore: store)
        let hasCertificate = PrivateFile.exists(certificatePath)
        if !PrivateFile.exists(keyPath) {
            guard !hasCertificate else {
                throw .missingKey(path: keyPath, certificate: certificatePath)
            }
            let pem = P256.Signing.PrivateKey().pemRepresentation + "\n"
            try PrivateFile.create(keyPath, pem, mode: 0o600)
        }
        try PrivateFile.check(keyPath, forbidden: 0o077)
        if !hasCertificate {
            let key = try readKey(keyPath)
            let pem = try selfSigned(key, names, from: wallMilliseconds, path: certificatePath)
            try PrivateFile.create(certificatePath, pem, mode: 0o644)
        }
        return try load(certificatePath: certificatePath, keyPath: keyPath)
    }

    /// Loads the operator's own pair.
    ///
    /// Laptops pin the public key: a renewal must keep it (certbot's `--reuse-key`).
    ///
    /// - Parameters:
    ///   - certificatePath: PEM, the hub's own certificate first, then those between it and a root.
    ///   - keyPath: PEM without a passphrase; not readable by everybody.
    package static func load(
        certificatePath: String, keyPath: String
    ) throws(HubCertificateError) -> HubCertificate {
        try PrivateFile.check(keyPath, forbidden: 0o007)
        let text = try PrivateFile.read(certificatePath)
        let key = try readKey(keyPath)
        let (publicKey, tls): (X509.Certificate.PublicKey, TLSConfiguration)
        do {
            let chain = try PEMDocument.parseMultiple(pemString: text)
                .filter { $0.discriminator == X509.Certificate.defaultPEMDiscriminator }
            guard let first = chain.first else {
                throw HubCertificateError.malformedCertificate(
                    path: certificatePath, reason: "there is none in it")
            }
            publicKey = try X509.Certificate(pemDocument: first).publicKey
            tls = .makeServerConfiguration(
                certificateChain: try chain.map {
                    .certificate(try NIOSSLCertificate(bytes: $0.derBytes, format: .der))
                },
                privateKey: .privateKey(
                    try NIOSSLPrivateKey(
                        bytes: Array(try key.serializeAsPEM().pemString.utf8), format: .pem)))
        } catch let error as HubCertificateError {
            throw error
        } catch {
            throw .malformedCertificate(path: certificatePath, reason: "\(error)")
        }
        guard key.publicKey == publicKey else {
            throw .mismatch(certificate: certificatePath, key: keyPath)
        }
        return HubCertificate(pin: pin(of: publicKey), tls: tls)
    }

    private static func pin(of key: X509.Certificate.PublicKey) -> [UInt8] {
        var serializer = DER.Serializer()
        do {
            try key.serialize(into: &serializer)
        } catch {
            preconditionFailure("a public key that was parsed can't be serialized: \(error)")
        }
        return Digest(sha256: serializer.serializedBytes).bytes
    }

    private static func readKey(
        _ path: String
    ) throws(HubCertificateError) -> X509.Certificate.PrivateKey {
        let text = try PrivateFile.read(path)
        do {
            return try X509.Certificate.PrivateKey(pemEncoded: text)
        } catch {
            throw .malformedKey(path: path, reason: "\(error)")
        }
    }
}

extension HubCertificate {
    private static let daySeconds: Double = 86_400
    private static let validDays: Double = 3_652
    /// X.520's upper bound of a common name.
    private static let commonNameLength = 64

    /// A certificate that no authority vouches for: what counts is the pin.
    ///
    /// - Returns: PEM.
    private static func selfSigned(
        _ key: X509.Certificate.PrivateKey, _ names: [String], from wallMilliseconds: Int64,
        path: String
    ) throws(HubCertificateError) -> String {
        let alternatives = try alternativeNames(names)
        let start = Date(timeIntervalSince1970: Double(wallMilliseconds / 1_000) - daySeconds)
        let common = names.first { $0.utf8.count <= commonNameLength } ?? "localhost"
        do {
            let name = try DistinguishedName { CommonName(common) }
            let certificate = try X509.Certificate(
                version: .v3, serialNumber: X509.Certificate.SerialNumber(),
                publicKey: key.publicKey,
                notValidBefore: start,
                notValidAfter: start.addingTimeInterval(validDays * daySeconds),
                issuer: name, subject: name,
                extensions: try X509.Certificate.Extensions {
                    Critical(BasicConstraints.notCertificateAuthority)
                    Critical(KeyUsage(digitalSignature: true))
                    try ExtendedKeyUsage([.serverAuth])
                    SubjectAlternativeNames(alternatives)
                },
                issuerPrivateKey: key)
            return try certificate.serializeAsPEM().pemString + "\n"
        } catch {
            throw .unwritable(path: path, reason: "\(error)")
        }
    }

    /// `names` and those of this machine itself, each once.
    private static func alternativeNames(
        _ names: [String]
    ) throws(HubCertificateError) -> [GeneralName] {
        var all: [GeneralName] = []
        for name in names + ["localhost", "127.0.0.1", "::1"] {
            let general = try generalName(name)
            if !all.contains(general) { all.append(general) }
        }
        return all
    }

    private static func generalName(_ name: String) throws(HubCertificateError) -> GeneralName {
        for (family, count) in [(AF_INET, 4), (AF_INET6, 16)] {
            var bytes = [UInt8](repeating: 0, count: count)
            if inet_pton(family, name, &bytes) == 1 {
                return .ipAddress(ASN1OctetString(contentBytes: bytes[...]))
            }
        }
        let isDNS = name.utf8.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."),
                UInt8(ascii: "_"):
                true
            default: false
            }
        }
        guard isDNS, (1...253).contains(name.utf8.count) else { throw .invalidName(name) }
        return .dnsName(name)
    }
}
