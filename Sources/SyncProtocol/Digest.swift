internal import Crypto
internal import Causality
internal import Foundation

/// A SHA-256 hash, 32 bytes.
public struct Digest: Hashable, Sendable, CustomStringConvertible {
    public let bytes: [UInt8]

    /// Takes 32 bytes; `nil` for any other count.
    public init?(_ bytes: [UInt8]) {
        guard bytes.count == 32 else { return nil }
        self.bytes = bytes
    }

    /// Hashes `parts` so that neither another domain nor another division gives the same hash:
    /// the domain's name, a zero byte, then each part behind its length (8 bytes, big-endian).
    public init(_ domain: Domain, _ parts: [UInt8]...) {
        var input: [UInt8] = []
        input.reserveCapacity(parts.reduce(64) { $0 + 8 + $1.count })
        input += domain.rawValue.utf8
        input.append(0)
        for part in parts {
            withUnsafeBytes(of: UInt64(part.count).bigEndian) { input += $0 }
            input += part
        }
        // One call for all: most hashes are of few bytes, and each call costs more than they do.
        bytes = Array(SHA256.hash(data: input))
    }

    /// The plain SHA-256 of `bytes`.
    public init(sha256 bytes: [UInt8]) {
        self.bytes = Array(SHA256.hash(data: bytes))
    }

    public var description: String { bytes.hexadecimal }
}

/// What a hash or a signature is for. One made for one purpose never serves another.
public enum Domain: String, Sendable {
    case stream = "karvan/1/stream"
    case branch = "karvan/1/branch"
    case newRows = "karvan/1/new-rows"
    case keyedRow = "karvan/1/keyed-row"
    case run = "karvan/1/run"
    case feed = "karvan/1/feed"
    case request = "karvan/1/request"
    case enrolment = "karvan/1/enrolment"
    case token = "karvan/1/token"
    case certificate = "karvan/1/certificate"
    case encryptionKey = "karvan/1/encryption-key"
    case conflict = "karvan/1/conflict"
    case clash = "karvan/1/clash"
    case ruleConflict = "karvan/1/rule-conflict"
    case decision = "karvan/1/decision"
    case state = "karvan/1/state"
    case personal = "karvan/1/personal"
    case erasure = "karvan/1/erasure"
    case bundle = "karvan/1/bundle"
    case bundleKey = "karvan/1/bundle-key"
    case peer = "karvan/1/peer"
}

extension Collection<UInt8> {
    /// Two lower-case digits for each byte.
    public var hexadecimal: String { Hexadecimal.text(of: self) }
}

extension Array<UInt8> {
    /// The bytes of an even number of hexadecimal digits; `nil` for anything else.
    public init?(hexadecimal text: some StringProtocol) {
        guard let bytes = Hexadecimal.bytes(of: text) else { return nil }
        self = bytes
    }
}

/// A hash over bytes that come in pieces: the domain's name, a zero byte, then all pieces.
public struct DigestStream {
    private var hash = SHA256()

    public init(_ domain: Domain) {
        hash.update(data: Array(domain.rawValue.utf8) + [0])
    }

    /// Gives the plain SHA-256 of all pieces.
    public init() {}

    public mutating func update(_ bytes: [UInt8]) { hash.update(data: bytes) }

    public var digest: Digest { Digest(Array(hash.finalize()))! }
}
