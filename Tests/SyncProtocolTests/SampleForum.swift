import Causality
import SyncProtocol

/// A root, its hub, and what the hub signs.
struct SampleForum {
    let root = DeviceKey()
    let hubKey = DeviceKey()
    let hub: Certificate

    var anchor: TrustAnchor { TrustAnchor(root: root.device) }

    init() {
        hub = Self.certificate(.hub, of: hubKey, by: root, [])
    }

    func certificate(of key: DeviceKey) -> Certificate {
        Self.certificate(.device, of: key, by: hubKey, Self.grants)
    }

    static let grants = [
        Grant(scope: "forum", role: "recorder", tables: [300, 7, 2, 7]),
        Grant(scope: "delegation/KZ", role: "lead", tables: nil, expiryMilliseconds: -1),
        Grant(scope: "", role: "", tables: []),
    ]

    static func certificate(
        _ kind: Certificate.Kind, of holder: DeviceKey, by issuer: DeviceKey, _ grants: [Grant]
    ) -> Certificate {
        Certificate(
            signing: Certificate.Statement(
                kind: kind, publicKey: holder.publicKey, encryptionKey: holder.encryptionPublicKey,
                name: "Laptop 3 «qapı B»", issuer: issuer.publicKey,
                issuedMilliseconds: 1_700_000_000_000, expiryMilliseconds: .max, grants: grants),
            key: issuer)
    }
}
