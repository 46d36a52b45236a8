public import Causality

/// The tables whose rows a device may write. Where certificates lie, only hubs write: whoever took away
/// another's would take away its word.
public enum Permission: Hashable, Sendable {
    case hub
    case everything
    case tables(Set<UInt32>)

    /// - Parameter certificates: the number of the table where they lie; `nil` where nobody has any.
    public func allows(_ table: UInt32, certificates: UInt32?) -> Bool {
        switch self {
        case .hub: true
        case .everything: table != certificates
        case .tables(let tables): table != certificates && tables.contains(table)
        }
    }
}

extension TrustAnchor {
    /// What a device may write in a scope: by all of its true certificates together, whatever their
    /// expiry.
    ///
    /// What nothing allows is denied. Certificates only ever allow more: those that came earlier go
    /// on allowing what they did, so that every replica judges a run alike. What ends a device's
    /// right to write is a cut of its stream.
    ///
    /// - Parameter certificates: those that are held of a device, whether true or not.
    /// - Returns: `nil` for a stranger: a device without a true certificate.
    public func permission<Failure: Error>(
        of device: DeviceID, in scope: String,
        certificates: (DeviceID) throws(Failure) -> [Certificate]
    ) throws(Failure) -> Permission? {
        let held = try certificates(device)
        if held.contains(where: { $0.statement.device == device && isTrue(hub: $0) }) {
            return .hub
        }
        var (isKnown, isUnbound) = (false, false)
        var tables: Set<UInt32> = []
        for certificate in held {
            let statement = certificate.statement
            let hubs = try certificates(DeviceID(publicKey: statement.issuer))
            guard hubs.contains(where: { isTrue(certificate, of: device, by: $0) }) else {
                continue
            }
            isKnown = true
            for grant in statement.grants(in: scope) {
                isUnbound = isUnbound || grant.tables == nil
                tables.formUnion(grant.tables ?? [])
            }
        }
        guard isKnown else { return nil }
        return isUnbound ? .everything : .tables(tables)
    }

    private func isTrue(hub certificate: Certificate) -> Bool {
        (try? check(hub: certificate)) != nil
    }

    private func isTrue(
        _ certificate: Certificate, of device: DeviceID, by hub: Certificate
    ) -> Bool {
        (try? check(device: certificate, of: device, by: hub)) != nil
    }
}
