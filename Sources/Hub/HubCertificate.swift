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
            \(path) is missing, and laptops trust no other key but the next one. Restore it from the \
            backup. If it is lost, delete \(certificate) too, and give the next key, \
            \(path.replacing(".tls-key.pem", with: ".tls-next-key.pem")), its name: laptops that have \
            synced know that. The others have to enrol again.
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
    /// The same of the key that the hub will serve with next; `nil` where none is kept.
    package let nextPin: [UInt8]?
    /// The names and addresses in the certificate, and when it ends, in milliseconds since 1970.
    package let names: [String]
    package let expiryMilliseconds: Int64
    let tls: TLSConfiguration

    /// All keys that laptops are to know, the one in use first.
    package var pins: [[UInt8]] { [pin] + (nextPin.map { [$0] } ?? []) }

    /// Where the hub keeps the key that it made: beside the store, so that one backup has both.
    package static func keyPath(besideStore store: String) -> String { store + ".tls-key.pem" }
    /// Where the hub keeps the key that it will serve with next, so that laptops can know it before.
    package static func nextKeyPath(besideStore store: String) -> String {
        store + ".tls-next-key.pem"
    }
    /// Where the hub keeps the certificate that it made.
    package static func certificatePath(besideStore store: String) -> String {
        store + ".tls-cert.pem"
    }

    /// Loads the hub's own key and certificate; at the first start makes them.
    ///
    /// A key without a certificate, as a crash or a deleted certificate leaves it, gets a new
    /// certificate: the pin stays. Where there is no next key, one is made.
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
            try makeKey(keyPath)
        }
        let nextPath = nextKeyPath(besideStore: store)
        if !PrivateFile.exists(nextPath) { try makeKey(nextPath) }
        try PrivateFile.check(keyPath, forbidden: 0o077)
        func makeCertificate() throws(HubCertificateError) {
            let key = try readKey(keyPath)
            let pem = try selfSigned(key, names, from: wallMilliseconds, path: certificatePath)
            try PrivateFile.create(certificatePath, pem, mode: 0o644)
        }
        if !hasCertificate { try makeCertificate() }
        try PrivateFile.check(nextPath, forbidden: 0o077)
        do {
            return try load(
                certificatePath: certificatePath, keyPath: keyPath, nextKeyPath: nextPath)
        } catch .mismatch {
            // It was made while the key changed. What counts is the key.
            try PrivateFile.remove(certificatePath)
            try makeCertificate()
            return try load(
                certificatePath: certificatePath, keyPath: keyPath, nextKeyPath: nextPath)
        }
    }

    /// Makes a key that nobody keeps: for a laptop that serves others for a while, and signs which key it serves
    /// with.
    package static func passing(
        names: [String], wallMilliseconds: Int64
    ) throws(HubCertificateError) -> HubCertificate {
        let key = X509.Certificate.PrivateKey(P256.Signing.PrivateKey())
        let pem = try selfSigned(key, names, from: wallMilliseconds, path: "the certificate")
        do {
            let tls = TLSConfiguration.makeServerConfiguration(
                certificateChain: [
                    .certificate(try NIOSSLCertificate(bytes: Array(pem.utf8), format: .pem))
                ],
                privateKey: .privateKey(
                    try NIOSSLPrivateKey(
                        bytes: Array(try key.serializeAsPEM().pemString.utf8), format: .pem)))
            return HubCertificate(
                pin: pin(of: key.publicKey), nextPin: nil, names: names,
                expiryMilliseconds: wallMilliseconds + Int64(validDays * daySeconds) * 1_000,
                tls: tls)
        } catch {
            preconditionFailure("a certificate that was just made can't be read: \(error)")
        }
    }

    private static func makeKey(_ path: String) throws(HubCertificateError) {
        let pem = P256.Signing.PrivateKey().pemRepresentation + "\n"
        try PrivateFile.create(path, pem, mode: 0o600)
    }

    /// Puts the next key in the place of the hub's own, with a new certificate, and makes another next
    /// one. Laptops that know the next key go on without noticing. The hub serves with it when it is
    /// started again.
    ///
    /// Ended at any moment, it leaves a key that laptops know, and the next start does the rest.
    ///
    /// - Parameters:
    ///   - names: as in ``loadOrMake(besideStore:names:wallMilliseconds:)``; empty for those of the
    ///     certificate before.
    package static func renew(
        besideStore store: String, names: [String], wallMilliseconds: Int64
    ) throws(HubCertificateError) -> HubCertificate {
        // Before anything is changed.
        _ = try alternativeNames(names)
        let before = try loadOrMake(
            besideStore: store, names: names, wallMilliseconds: wallMilliseconds)
        // A certificate is of one key: without it, a new one is made for whichever key is there.
        try PrivateFile.remove(certificatePath(besideStore: store))
        try PrivateFile.replace(
            keyPath(besideStore: store), by: nextKeyPath(besideStore: store))
        return try loadOrMake(
            besideStore: store, names: names.isEmpty ? before.names : names,
            wallMilliseconds: wallMilliseconds)
    }

    /// Loads the operator's own pair.
    ///
    /// Laptops pin the public key: a renewal must keep it (certbot's `--reuse-key`), or take the next
    /// one.
    ///
    /// - Parameters:
    ///   - certificatePath: PEM, the hub's own certificate first, then those between it and a root.
    ///   - keyPath: PEM without a passphrase; not readable by everybody.
    ///   - nextKeyPath: the key that the next certificate will have, likewise.
    package static func load(
        certificatePath: String, keyPath: String, nextKeyPath: String? = nil
    ) throws(HubCertificateError) -> HubCertificate {
        try PrivateFile.check(keyPath, forbidden: 0o007)
        let text = try PrivateFile.read(certificatePath)
        let key = try readKey(keyPath)
        var nextPin: [UInt8]?
        if let nextKeyPath {
            try PrivateFile.check(nextKeyPath, forbidden: 0o007)
            nextPin = pin(of: try readKey(nextKeyPath).publicKey)
        }
        let (leaf, tls): (X509.Certificate, TLSConfiguration)
        do {
            let chain = try PEMDocument.parseMultiple(pemString: text)
                .filter { $0.discriminator == X509.Certificate.defaultPEMDiscriminator }
            guard let first = chain.first else {
                throw HubCertificateError.malformedCertificate(
                    path: certificatePath, reason: "there is none in it")
            }
            leaf = try X509.Certificate(pemDocument: first)
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
        guard key.publicKey == leaf.publicKey else {
            throw .mismatch(certificate: certificatePath, key: keyPath)
        }
        return HubCertificate(
            pin: pin(of: leaf.publicKey), nextPin: nextPin, names: names(of: leaf),
            expiryMilliseconds: Int64(leaf.notValidAfter.timeIntervalSince1970) * 1_000, tls: tls)
    }

    /// What cannot be read of them is left out.
    private static func names(of certificate: X509.Certificate) -> [String] {
        guard let names = try? certificate.extensions.subjectAlternativeNames else { return [] }
        return names.compactMap { name in
            switch name {
            case .dnsName(let name): name
            case .ipAddress(let address): text(ofAddress: Array(address.bytes))
            default: nil
            }
        }
    }

    private static func text(ofAddress bytes: [UInt8]) -> String? {
        var text = [CChar](repeating: 0, count: Int(INET6_ADDRSTRLEN))
        let family = bytes.count == 4 ? AF_INET : AF_INET6
        guard bytes.count == 4 || bytes.count == 16,
            inet_ntop(family, bytes, &text, socklen_t(text.count)) != nil
        else { return nil }
        return String(decoding: text.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
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
