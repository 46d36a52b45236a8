package import Causality
internal import Merge
internal import RecordSchema
public import SyncProtocol

/// How a replica belongs to a forum: what its enrolment gave it.
public struct Membership: Hashable, Sendable {
    public var anchor: TrustAnchor
    /// The hub's certificate, by the root.
    public var hub: Certificate?
    /// This device's, by the hub; the hub itself has none.
    public var own: Certificate?

    /// Holds what an enrolment gave against the root.
    ///
    /// - Parameter device: the public key of who was enrolled.
    /// - Throws: when the certificates are not what they are shown for.
    public init(
        anchor: TrustAnchor, hub: Certificate, own: Certificate, device: [UInt8]
    ) throws(CertificateError) {
        try anchor.check(device: own, of: DeviceID(publicKey: device), by: hub)
        self.init(anchor: anchor, hub: hub, own: own)
    }

    /// Takes certificates as they are.
    package init(anchor: TrustAnchor, hub: Certificate?, own: Certificate?) {
        (self.anchor, self.hub, self.own) = (anchor, hub, own)
    }
}

/// Whose changes a replica takes, and what it writes itself.
///
/// A replica that knows no root takes everything: one that is not enrolled, and those of an
/// application that lets nobody else in.
struct Trust {
    let membership: Membership?
    /// What was found of devices. Nothing is kept of those that have no certificate.
    var permissions: [ScopedDevice: Permission] = [:]
    /// The replica's own, by scope.
    var own: [String: Permission] = [:]
    /// What was read of cuts.
    var cuts: [DeviceID: [Cut]] = [:]
    /// What revoked devices have brought since; `nil` before that was added up.
    var aside: [DeviceID: Aside]?

    struct ScopedDevice: Hashable {
        var device: DeviceID
        var scope: String
    }

    struct Aside {
        var bytes = 0
        var runCount = 0
    }
}

extension Replica {
    /// How this replica belongs to a forum; `nil` for one that is not enrolled.
    public func membership() throws(StoreError) -> Membership? {
        if let trust { return trust.membership }
        let membership = try readMembership()
        trust = Trust(membership: membership)
        return membership
    }

    /// Whether nobody has ever written to it.
    package func isBlank() throws(StoreError) -> Bool {
        try read { () throws(StoreError) in
            lanes.allSatisfy { $0.record.head == 0 } && rows.streams.records.count == 1
        }
    }

    /// What can't be read of certificates may still come as records, and by another enrolment.
    private func readMembership() throws(StoreError) -> Membership? {
        guard case .blob(let root)? = try connection.meta(MetaKey.root), let root = DeviceID(root)
        else { return nil }
        func certificate(_ key: String) throws(StoreError) -> Certificate? {
            guard case .blob(let bytes)? = try connection.meta(key) else { return nil }
            return try? Certificate(decoding: bytes)
        }
        return Membership(
            anchor: TrustAnchor(root: root), hub: try certificate(MetaKey.hubCertificate),
            own: try certificate(MetaKey.certificate))
    }

    /// Keeps what an enrolment gave. Inside of a transaction.
    package func setMembership(_ membership: Membership) throws(StoreError) {
        try connection.setMeta(MetaKey.root, .blob(membership.anchor.root.bytes))
        for (key, certificate) in [
            (MetaKey.hubCertificate, membership.hub), (MetaKey.certificate, membership.own),
        ] {
            try connection.setMeta(key, certificate.map { .blob($0.encode()) } ?? .null)
        }
        trust = Trust(membership: membership)
    }

    /// The certificates that the forum holds of a device, whether true or not.
    package func certificates(of device: DeviceID) throws(StoreError) -> [Certificate] {
        guard let place = schema.trust else { return [] }
        return try trusted(of: device, in: place.certificates).compactMap {
            try? Certificate(decoding: $0)
        }
    }

    /// Whether a certificate lies in the forum's records, where only hubs write.
    public func holds(_ certificate: Certificate) throws(StoreError) -> Bool {
        try certificates(of: certificate.statement.device).contains(certificate)
    }

    /// All certificates that the forum holds, in the order of their bytes, whether true or not.
    package func allCertificates() throws(StoreError) -> [Certificate] {
        guard let place = schema.trust else { return [] }
        return try trustedElements(in: place.certificates).compactMap {
            try? Certificate(decoding: $0)
        }
    }

    /// What lies in a column of all devices' rows.
    func trustedElements(in column: UInt32) throws(StoreError) -> [[UInt8]] {
        guard let place = schema.trust else { return [] }
        let rows = try connection.rows(
            """
            SELECT DISTINCT elem FROM sy_live WHERE open IN (0, 1) AND tbl = ? AND col = ?
            ORDER BY elem
            """, .integer(Int64(place.table)), .integer(Int64(column)))
        return rows.compactMap { row in
            guard case .blob(let element) = row[0],
                case .blob(let bytes)? = try? Value(canonicalBytes: element)
            else { return nil }
            return bytes
        }
    }

    /// What lies of a device in a column of its row.
    func trusted(of device: DeviceID, in column: UInt32) throws(StoreError) -> [[UInt8]] {
        guard let place = schema.trust, let table = schema.table(id: place.table) else { return [] }
        let row = schema.rowID(in: table, key: [.text(device.description)])
        var state = RowState()
        // Elements of sets lie beside the table: what another program did to the row is not asked.
        try rows.loadExtras(table.id, row, into: &state)
        return AddWinsSet.elements(of: state, column: column).compactMap { element in
            guard case .blob(let bytes)? = try? Value(canonicalBytes: element) else { return nil }
            return bytes
        }
    }

    /// What a device may write in a scope; `nil` for one that is a stranger.
    ///
    /// - Parameter table: what is asked for: where something that was found earlier allows it, nothing
    ///   is read.
    func permission(
        of publicKey: [UInt8], in scope: String, for table: UInt32?
    ) throws(StoreError) -> Permission? {
        guard let membership = try membership() else { return .hub }
        let device = DeviceID(publicKey: publicKey)
        let scoped = Trust.ScopedDevice(device: device, scope: scope)
        if let known = trust?.permissions[scoped], table.map({ isAllowed($0, known) }) ?? true {
            return known
        }
        let found = try membership.anchor.permission(of: device, in: scope) {
            device throws(StoreError) in
            // What an enrolment gave need not have come as a record yet.
            try certificates(of: device)
                + [membership.hub, membership.own].compactMap { $0 }
                .filter { $0.statement.device == device }
        }
        trust?.permissions[scoped] = found
        if device == own.device { trust?.own[scope] = found }
        return found
    }

    private func isAllowed(_ table: UInt32, _ permission: Permission?) -> Bool {
        permission?.allows(table, certificates: schema.trust?.table) ?? false
    }

    /// Holds what a run does against its device's certificates.
    ///
    /// - Returns: why it is not taken; `nil` when it is.
    func denial(
        of changes: RunChanges, by publicKey: [UInt8], in scope: String
    ) throws(StoreError) -> Refusal? {
        guard try membership() != nil else { return nil }
        let short = DeviceID(publicKey: publicKey).short
        guard var permission = try permission(of: publicKey, in: scope, for: nil) else {
            // A hub has given all certificates that there are; a laptop may not have them yet.
            guard keepsFeed else {
                return Refusal(.gap, "the certificate of its device \(short) is not here yet")
            }
            return Refusal(
                .revoked,
                "its device \(short) has no certificate of this forum; enrol it with a token")
        }
        var last: UInt32?
        for change in changes.changes where change.table != last {
            last = change.table
            if isAllowed(change.table, permission) { continue }
            permission =
                try self.permission(of: publicKey, in: scope, for: change.table) ?? permission
            guard isAllowed(change.table, permission) else {
                return Refusal(
                    .scope,
                    "its device \(short) may not change \(rows.name(of: change.table))"
                        + (scope == Self.scope ? "" : " of \(scope)")
                        + "; enrol it with a token for another role")
            }
        }
        // A run without rows writes to the log all the same.
        guard permission != .tables([]) else {
            return Refusal(.scope, "its device \(short) is not let write anything in \(scope)")
        }
        return nil
    }

    /// Whether this device may change rows of a table in a scope.
    func mayWrite(_ table: UInt32, in scope: String) throws(StoreError) -> Bool {
        if let trust, trust.membership == nil || isAllowed(table, trust.own[scope]) { return true }
        return isAllowed(table, try permission(of: own.publicKey, in: scope, for: table))
    }

    /// Refuses a write that the hub would refuse, before it is made.
    func checkMayWrite(_ table: UInt32, in scope: String) throws(StoreError) {
        guard try !mayWrite(table, in: scope) else { return }
        let place = scope == Self.scope ? "" : " of \(scope)"
        throw .denied(
            "this laptop is not let change \(rows.name(of: table))\(place): it is enrolled as "
                + "\(try roleForPeople()). Ask the hub's operator for a token of another role, and run "
                + "`karvan enrol` with it")
    }

    private func roleForPeople() throws(StoreError) -> String {
        let roles = try membership()?.own?.statement.grants.map(\.role) ?? []
        return roles.isEmpty ? "a stranger" : Set(roles).sorted().joined(separator: ", ")
    }
}
