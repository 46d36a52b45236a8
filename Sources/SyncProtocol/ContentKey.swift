internal import Crypto
internal import Foundation

/// What the contents of one bundle are encrypted with: random, and used for no other.
public struct ContentKey: Sendable {
    static let boxBytes = 48
    static let tagBytes = 16
    /// RFC 9180: DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, ChaCha20Poly1305.
    private static let suite = HPKE.Ciphersuite.Curve25519_SHA256_ChachaPoly

    private let key: SymmetricKey

    /// A new one from the system's random numbers.
    public init() { key = SymmetricKey(size: .bits256) }

    /// - Parameter bytes: 32.
    package init(bytes: [UInt8]) {
        precondition(bytes.count == 32, "a content key has 32 bytes")
        key = SymmetricKey(data: bytes)
    }

    package var bytes: [UInt8] { key.withUnsafeBytes { Array($0) } }

    /// - Returns: `nil` where the key is none that anything can be sealed to.
    func sealed(to publicKey: [UInt8], info: [UInt8]) -> (enc: [UInt8], box: [UInt8])? {
        guard
            let recipient = Self.usable(publicKey),
            var sender = try? HPKE.Sender(
                recipientKey: recipient, ciphersuite: Self.suite, info: Data(info)),
            let box = try? sender.seal(key.withUnsafeBytes { Data($0) })
        else { return nil }
        return (Array(sender.encapsulatedKey), Array(box))
    }

    /// Whether something that is sealed to a key is closed to others: RFC 9180 §7.1.4. With a few keys X25519 gives
    /// zeros, whatever the other one is.
    package static func isUsable(_ publicKey: [UInt8]) -> Bool { usable(publicKey) != nil }

    private static func usable(_ publicKey: [UInt8]) -> Curve25519.KeyAgreement.PublicKey? {
        guard
            let key = try? Curve25519.KeyAgreement.PublicKey(rawRepresentation: publicKey),
            let secret = try? Curve25519.KeyAgreement.PrivateKey()
                .sharedSecretFromKeyAgreement(with: key)
        else { return nil }
        return secret.withUnsafeBytes { $0.allSatisfy { $0 == 0 } } ? nil : key
    }

    /// - Returns: `nil` where the box is not for this device, or is for another bundle.
    init?(opening box: [UInt8], enc: [UInt8], by device: DeviceKey, info: [UInt8]) {
        guard
            var recipient = try? HPKE.Recipient(
                privateKey: device.decryptionKey, ciphersuite: Self.suite, info: Data(info),
                encapsulatedKey: Data(enc)),
            let bytes = try? recipient.open(Data(box)), bytes.count == 32
        else { return nil }
        key = SymmetricKey(data: bytes)
    }

    /// - Parameters:
    ///   - kind: of the frame.
    ///   - index: of the frame among those of its kind, from 0: both are the nonce.
    ///   - head: SHA-256 of the bundle's head.
    package func seal(
        _ plain: [UInt8], kind: BundleFrame.Kind = .contents, index: UInt64, head: Digest
    ) -> [UInt8] {
        do {
            let box = try ChaChaPoly.seal(
                plain, using: key, nonce: Self.nonce(kind, index), authenticating: head.bytes)
            return Array(box.ciphertext) + Array(box.tag)
        } catch {
            preconditionFailure("sealing a frame threw \(error)")
        }
    }

    func open(
        _ sealed: [UInt8], kind: BundleFrame.Kind, index: UInt64, head: Digest
    ) -> [UInt8]? {
        guard sealed.count >= Self.tagBytes, let nonce = try? Self.nonce(kind, index),
            let box = try? ChaChaPoly.SealedBox(
                nonce: nonce, ciphertext: sealed.dropLast(Self.tagBytes),
                tag: sealed.suffix(Self.tagBytes)),
            let plain = try? ChaChaPoly.open(box, using: key, authenticating: head.bytes)
        else { return nil }
        return Array(plain)
    }

    private static func nonce(
        _ kind: BundleFrame.Kind, _ index: UInt64
    ) throws -> ChaChaPoly.Nonce {
        let first = kind == .contents ? 0 : kind.rawValue
        return try ChaChaPoly.Nonce(
            data: [first, 0, 0, 0] + withUnsafeBytes(of: index.bigEndian) { Array($0) })
    }
}
