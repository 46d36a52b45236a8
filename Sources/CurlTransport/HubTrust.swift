internal import FoundationEssentials

/// How a hub shows that it is the one it claims to be.
public enum HubTrust: Hashable, Sendable {
    /// One of these keys, and nothing else: no date, no name and no authority is looked at, since
    /// a laptop's clock may be years off.
    ///
    /// - Parameter sha256: the SHA-256 of each key's SubjectPublicKeyInfo in DER, 32 bytes each:
    ///   the current one, and the next if it is known. At least one.
    case pinned(sha256: [[UInt8]])
    /// A certificate that the machine's own authorities vouch for, for the host's name, today.
    case system
    /// A certificate that this authority vouches for, and no other; its name and dates count.
    case authority(pem: [UInt8])

    /// Anybody: only to ask for what proves itself, and to tell nothing.
    case nobodys

    /// The pins as libcurl takes them.
    static func pinList(_ hashes: [[UInt8]]) -> String {
        // Without a pin nothing at all would be verified.
        precondition(
            !hashes.isEmpty && hashes.allSatisfy { $0.count == 32 },
            "pinned trust needs at least one SHA-256 of 32 bytes")
        return hashes.map { "sha256//" + Data($0).base64EncodedString() }.joined(separator: ";")
    }
}
