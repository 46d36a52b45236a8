public import Causality

/// What a hub's operator hands to a new laptop: once, and for a short time.
///
/// As text it is `karvan1-` and base64url without padding.
public struct EnrolmentToken: Hashable, Sendable {
    /// What the hub knows the token by, 32 bytes; the hub keeps only its hash.
    public var secret: [UInt8]
    /// SHA-256 of the hub's TLS public key (its SubjectPublicKeyInfo in DER), 32 bytes.
    public var pin: [UInt8]
    /// The forum's root, by its key's hash.
    public var root: DeviceID
    /// Milliseconds since 1970.
    public var expiryMilliseconds: Int64

    public init(secret: [UInt8], pin: [UInt8], root: DeviceID, expiryMilliseconds: Int64) {
        (self.secret, self.pin, self.root) = (secret, pin, root)
        self.expiryMilliseconds = expiryMilliseconds
    }

    /// What the hub stores and looks for.
    public var secretHash: Digest { Digest(.token, secret) }

    static let prefix = "karvan1-"

    public var text: String {
        var encoder = CBOREncoder()
        encoder.array(4)
        encoder.blob(secret)
        encoder.blob(pin)
        encoder.blob(root.bytes)
        encoder.integer(expiryMilliseconds)
        return Self.prefix + Base64URL.encode(encoder.bytes)
    }

    /// `nil` for a text that is not a token, or not a whole one.
    public init?(text: String) {
        guard text.hasPrefix(Self.prefix),
            let bytes = Base64URL.decode(String(text.dropFirst(Self.prefix.count)))
        else { return nil }
        var decoder = CBORDecoder(bytes)
        do throws(CBORError) {
            try decoder.array(count: 4)
            secret = try decoder.blob(count: 32)
            pin = try decoder.blob(count: 32)
            root = DeviceID(try decoder.blob(count: 32))!
            expiryMilliseconds = try decoder.integer()
            try decoder.finish()
        } catch {
            return nil
        }
    }
}

/// Base64 with the URL alphabet and without padding (RFC 4648 §5).
enum Base64URL {
    private static let alphabet = Array(
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".utf8)

    static func encode(_ bytes: [UInt8]) -> String {
        var text: [UInt8] = []
        for start in stride(from: 0, to: bytes.count, by: 3) {
            let group = bytes[start..<min(start + 3, bytes.count)]
            let word =
                group.reduce(UInt32(0)) { $0 << 8 | UInt32($1) } << (8 * UInt32(3 - group.count))
            for index in 0...group.count {
                text.append(alphabet[Int(word >> (18 - 6 * UInt32(index)) & 63)])
            }
        }
        return String(decoding: text, as: UTF8.self)
    }

    static func decode(_ text: String) -> [UInt8]? {
        var (word, bits): (UInt32, UInt32) = (0, 0)
        var bytes: [UInt8] = []
        for character in text.utf8 {
            guard let value = alphabet.firstIndex(of: character) else { return nil }
            word = word << 6 | UInt32(value)
            bits += 6
            if bits >= 8 {
                bits -= 8
                bytes.append(UInt8(truncatingIfNeeded: word >> bits))
            }
        }
        return bits < 6 && word & ((1 << bits) - 1) == 0 ? bytes : nil
    }
}

/// A laptop asks to be let in.
public struct EnrolmentRequest: Hashable, Sendable {
    /// The token's secret, 32 bytes.
    public var secret: [UInt8]
    /// Ed25519, 32 bytes.
    public var publicKey: [UInt8]
    /// X25519, 32 bytes.
    public var encryptionKey: [UInt8]
    /// What people call the laptop.
    public var name: String
    /// Shows that the sender holds the private key: over all of the above.
    public var signature: [UInt8]

    public init(secret: [UInt8], name: String, key: DeviceKey) {
        (self.secret, self.name) = (secret, name)
        (publicKey, encryptionKey) = (key.publicKey, key.encryptionPublicKey)
        signature = key.sign(Self.digest(secret, publicKey, encryptionKey, name))
    }

    private static func digest(
        _ secret: [UInt8], _ key: [UInt8], _ encryptionKey: [UInt8], _ name: String
    ) -> Digest {
        Digest(.enrolment, secret, key, encryptionKey, Array(name.utf8))
    }

    public var isSignedByItsKey: Bool {
        DeviceKey.verify(
            signature, of: Self.digest(secret, publicKey, encryptionKey, name), by: publicKey)
    }

    public func encode() -> [UInt8] {
        var encoder = CBOREncoder()
        encoder.array(6)
        encoder.unsigned(Limits.format)
        encoder.blob(secret)
        encoder.blob(publicKey)
        encoder.blob(encryptionKey)
        encoder.text(name)
        encoder.blob(signature)
        return encoder.bytes
    }

    public init(decoding bytes: [UInt8]) throws(CBORError) {
        var decoder = CBORDecoder(bytes)
        let further = try decoder.array(atLeast: 6)
        try decoder.format()
        secret = try decoder.blob(count: 32)
        publicKey = try decoder.blob(count: 32)
        encryptionKey = try decoder.blob(count: 32)
        name = try decoder.text(limit: Limits.nameBytes)
        signature = try decoder.blob(count: 64)
        try decoder.skip(further)
        try decoder.finish()
    }
}

/// The hub lets a laptop in: what the laptop joins the forum with.
public struct EnrolmentReply: Hashable, Sendable {
    /// The hub's, by the root whose hash the token names.
    public var hub: Certificate
    /// The laptop's, by the hub.
    public var device: Certificate
    public var hubMilliseconds: Int64

    public init(hub: Certificate, device: Certificate, hubMilliseconds: Int64) {
        (self.hub, self.device) = (hub, device)
        self.hubMilliseconds = hubMilliseconds
    }

    public func encode() -> [UInt8] {
        var encoder = CBOREncoder()
        encoder.array(4)
        encoder.unsigned(Limits.format)
        encoder.certificate(hub)
        encoder.certificate(device)
        encoder.integer(hubMilliseconds)
        return encoder.bytes
    }

    public init(decoding bytes: [UInt8]) throws(CBORError) {
        var decoder = CBORDecoder(bytes)
        let further = try decoder.array(atLeast: 4)
        try decoder.format()
        hub = try decoder.certificate()
        device = try decoder.certificate()
        hubMilliseconds = try decoder.integer()
        try decoder.skip(further)
        try decoder.finish()
    }
}
