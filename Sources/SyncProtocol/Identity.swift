public import Causality
public import Merge
internal import Crypto
internal import Foundation

extension DeviceID {
    /// The device that holds `publicKey` (Ed25519, 32 bytes).
    public init(publicKey: [UInt8]) {
        self = DeviceID(Digest(sha256: publicKey).bytes)!
    }
}

extension StreamID {
    /// The stream of `device` in `scope`, for one life of its file.
    ///
    /// - Parameter incarnation: 0 for a new replica; a file that was copied or restored takes a random one.
    public init(device: DeviceID, scope: String, incarnation: UInt64) {
        var encoder = CBOREncoder()
        encoder.unsigned(incarnation)
        let digest = Digest(.stream, device.bytes, Array(scope.utf8), encoder.bytes)
        self.init(Identifier(digest.bytes.prefix(16))!)
    }

    /// The branch of `stream` that begins with a run.
    public init(branchOf stream: StreamID, from run: Digest) {
        let digest = Digest(.branch, stream.identifier.bytes, run.bytes)
        self.init(Identifier(digest.bytes.prefix(16))!)
    }
}

extension RowID {
    /// The row that `key` names in `table`: the same on every laptop that makes it.
    ///
    /// - Parameters:
    ///   - namespace: what keeps two forums apart.
    ///   - key: the values of the natural key, normalised, in the order of its declaration.
    public init(namespace: [UInt8], table: UInt32, key: [Value]) {
        var encoder = CBOREncoder()
        encoder.unsigned(UInt64(table))
        encoder.array(key.count)
        for value in key { encoder.value(value) }
        let digest = Digest(.keyedRow, namespace, encoder.bytes)
        self.init(Identifier(digest.bytes.prefix(16))!)
    }
}

/// The ids of the rows that one changeset creates: 48 bits of its time in milliseconds, 64 bits of
/// a hash over (stream, seq, previous run), 16 bits that count. In a scope with a mark, the hash has 32
/// bits, and the mark stands at the end. They never travel.
public struct NewRowIDs: Sendable {
    /// The most rows that one changeset creates.
    public static let limit = 1 << 16

    private let base: Identifier
    private let shift: UInt64

    public init(dot: Dot, time: HybridTime, previousRun: Digest?, mark: ScopeMark? = nil) {
        var encoder = CBOREncoder()
        encoder.unsigned(dot.seq)
        let digest = Digest(
            .newRows, dot.stream.identifier.bytes, encoder.bytes, previousRun?.bytes ?? [])
        let hash = digest.bytes.prefix(8).reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
        let high = UInt64(time.milliseconds) << 16 | hash >> 48
        if let mark {
            base = Identifier(high: high, low: (hash >> 32) << 48 | UInt64(mark.value))
            shift = 32
        } else {
            base = Identifier(high: high, low: hash << 16)
            shift = 0
        }
    }

    /// - Parameter index: in 0 ..< ``limit``.
    public subscript(index: Int) -> RowID {
        RowID(Identifier(high: base.high, low: base.low | UInt64(index) << shift))
    }
}

/// A device's signing key. Ed25519 (RFC 8032) by swift-crypto.
public struct DeviceKey: Sendable {
    private let key: Curve25519.Signing.PrivateKey

    /// A new key from the system's random numbers.
    public init() {
        key = Curve25519.Signing.PrivateKey()
    }

    /// Takes the 32 bytes of a private key; `nil` when they aren't one.
    public init?(seed: [UInt8]) {
        guard let key = try? Curve25519.Signing.PrivateKey(rawRepresentation: seed) else {
            return nil
        }
        self.key = key
    }

    /// The 32 bytes that must be kept secret.
    public var seed: [UInt8] { Array(key.rawRepresentation) }
    /// 32 bytes.
    public var publicKey: [UInt8] { Array(key.publicKey.rawRepresentation) }
    public var device: DeviceID { DeviceID(publicKey: publicKey) }

    /// The device's key for what is sealed to it, X25519 (RFC 7748), 32 bytes. Its private key is a hash
    /// of the seed, so that one secret is to be kept.
    public var encryptionPublicKey: [UInt8] {
        Array(decryptionKey.publicKey.rawRepresentation)
    }

    var decryptionKey: Curve25519.KeyAgreement.PrivateKey {
        let secret = Digest(.encryptionKey, seed)
        guard
            let key = try? Curve25519.KeyAgreement.PrivateKey(rawRepresentation: secret.bytes)
        else { preconditionFailure("X25519 refused 32 bytes") }
        return key
    }

    /// 64 bytes over `digest`, whose domain says what for.
    public func sign(_ digest: Digest) -> [UInt8] {
        guard let signature = try? key.signature(for: digest.bytes) else {
            preconditionFailure("Ed25519 refused to sign 32 bytes")
        }
        return Array(signature)
    }

    /// Whether the holder of `publicKey` signed `digest`.
    public static func verify(
        _ signature: [UInt8], of digest: Digest, by publicKey: [UInt8]
    ) -> Bool {
        guard let key = try? Curve25519.Signing.PublicKey(rawRepresentation: publicKey) else {
            return false
        }
        return key.isValidSignature(signature, for: digest.bytes)
    }
}
