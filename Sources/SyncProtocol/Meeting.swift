public import Causality

/// What a device that serves others says of itself to whoever asks: who it is, and by which TLS key it is
/// known there. So that nobody has to compare fingerprints.
public struct PeerStatement: Hashable, Sendable {
    /// Where it is asked for.
    public static let path = "/v1/peer"

    public var root: DeviceID
    /// The certificate of the hub that let the device in, and the device's by that hub.
    public var hub: Certificate
    public var device: Certificate
    /// SHA-256 of the TLS key's SubjectPublicKeyInfo in DER, 32 bytes.
    public var pin: [UInt8]
    public var signature: [UInt8]

    /// - Parameter key: the device's.
    public init(
        root: DeviceID, hub: Certificate, device: Certificate, pin: [UInt8], key: DeviceKey
    ) {
        (self.root, self.hub, self.device, self.pin) = (root, hub, device, pin)
        signature = key.sign(Self.digest(root, pin))
    }

    private static func digest(_ root: DeviceID, _ pin: [UInt8]) -> Digest {
        Digest(.peer, root.bytes, pin)
    }

    /// Holds it against the root of a forum.
    ///
    /// - Throws: ``CertificateError``.
    public func check(by anchor: TrustAnchor) throws(CertificateError) {
        guard root == anchor.root else { throw .otherRoot }
        try anchor.check(device: device, of: device.statement.device, by: hub)
        guard
            DeviceKey.verify(
                signature, of: Self.digest(root, pin), by: device.statement.publicKey)
        else { throw .signature }
    }

    public func encode() -> [UInt8] {
        var encoder = CBOREncoder()
        encoder.array(6)
        encoder.unsigned(Limits.format)
        encoder.blob(root.bytes)
        encoder.certificate(hub)
        encoder.certificate(device)
        encoder.blob(pin)
        encoder.blob(signature)
        return encoder.bytes
    }

    public init(decoding bytes: [UInt8]) throws(CBORError) {
        var decoder = CBORDecoder(bytes)
        let further = try decoder.array(atLeast: 6)
        try decoder.format()
        root = DeviceID(try decoder.blob(count: 32))!
        hub = try decoder.certificate()
        device = try decoder.certificate()
        pin = try decoder.blob(count: 32)
        signature = try decoder.blob(count: 64)
        try decoder.skip(further)
        try decoder.finish()
    }
}

/// What a device brings to another that serves: who it is, what it holds, and what the other lacks. The answer
/// is a bundle.
public struct Meeting: Hashable, Sendable {
    /// Where it is brought.
    public static let path = "/v1/meet"

    public var root: DeviceID
    public var hub: Certificate
    /// Of who brings it, and has signed the request.
    public var device: Certificate
    /// What it holds of what the other may read.
    public var list: BundleList
    /// For the other; `nil` before anything is known to be lacking there.
    public var bundle: [UInt8]?

    public init(
        root: DeviceID, hub: Certificate, device: Certificate, list: BundleList, bundle: [UInt8]?
    ) {
        (self.root, self.hub, self.device) = (root, hub, device)
        (self.list, self.bundle) = (list, bundle)
    }

    public func encode() -> [UInt8] {
        let list = list.encode()
        var encoder = CBOREncoder(reserving: 1_024 + list.count + (bundle?.count ?? 0))
        encoder.array(6)
        encoder.unsigned(Limits.format)
        encoder.blob(root.bytes)
        encoder.certificate(hub)
        encoder.certificate(device)
        encoder.blob(list)
        if let bundle { encoder.blob(bundle) } else { encoder.null() }
        return encoder.bytes
    }

    public init(decoding bytes: [UInt8]) throws(CBORError) {
        guard bytes.count <= Limits.messageBytes else { throw CBORError(.tooLong, at: 0) }
        var decoder = CBORDecoder(bytes)
        let further = try decoder.array(atLeast: 6)
        try decoder.format()
        root = DeviceID(try decoder.blob(count: 32))!
        hub = try decoder.certificate()
        device = try decoder.certificate()
        list = try BundleList(decoding: try decoder.blob(limit: Limits.messageBytes))
        bundle = try decoder.nullIfNext() ? nil : try decoder.blob(limit: Limits.messageBytes)
        try decoder.skip(further)
        try decoder.finish()
    }
}
