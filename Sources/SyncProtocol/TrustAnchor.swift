public import Causality

/// Why a certificate is worth nothing.
public enum CertificateError: Error, Hashable, Sendable {
    /// Its issuer has not signed it.
    case signature
    /// The root of another forum stands behind it, or none.
    case otherRoot
    /// Its issuer is no hub, as far as is known.
    case unknownHub
    /// It is about another key.
    case otherHolder
    /// It is of another kind than what it is shown for.
    case kind

    /// For people.
    public var explanation: String {
        switch self {
        case .signature: "the certificate isn't signed by the one that it names"
        case .otherRoot: "the certificate is of another forum"
        case .unknownHub: "the certificate is by somebody who is no hub of this forum"
        case .otherHolder: "the certificate is about another device"
        case .kind: "a hub's certificate stands for a device's, or a device's for a hub's"
        }
    }
}

/// The root of a forum, whose key is known by its hash: what tells a true certificate from others.
///
/// Whether a certificate still counts, and for what, is not asked here: its grants, its expiry and
/// cuts say that.
public struct TrustAnchor: Hashable, Sendable {
    /// SHA-256 of the root's public key.
    public let root: DeviceID

    public init(root: DeviceID) { self.root = root }

    /// Holds a hub's certificate against the root.
    public func check(hub certificate: Certificate) throws(CertificateError) {
        guard certificate.statement.kind == .hub else { throw .kind }
        guard DeviceID(publicKey: certificate.statement.issuer) == root else { throw .otherRoot }
        guard certificate.isSignedByItsIssuer else { throw .signature }
    }

    /// Holds a device's certificate against its hub's, and that against the root.
    ///
    /// - Parameter hub: a certificate of the issuer.
    public func check(
        device certificate: Certificate, of device: DeviceID, by hub: Certificate
    ) throws(CertificateError) {
        try check(hub: hub)
        let statement = certificate.statement
        guard statement.kind == .device else { throw .kind }
        guard statement.device == device else { throw .otherHolder }
        guard statement.issuer == hub.statement.publicKey else { throw .unknownHub }
        guard certificate.isSignedByItsIssuer else { throw .signature }
    }
}
