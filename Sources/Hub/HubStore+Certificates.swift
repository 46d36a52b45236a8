package import Causality
internal import FieldRecords
internal import Merge
internal import RecordSchema
internal import ReplicaStore
package import SyncProtocol

/// Who is let into the forum: a root, made with the store, speaks for the hub, and the hub for
/// devices. Certificates are records of the hub's own stream, so that every laptop has them.
extension HubStore {
    /// A device's certificate is good for so long; it is renewed by itself when a third of that is
    /// over, and whenever the device comes back.
    static let certificateMilliseconds: Int64 = 30 * 24 * 3_600_000
    private static let renewalMilliseconds = certificateMilliseconds / 3 * 2
    /// The hub's own lasts longer than any forum.
    private static let hubCertificateMilliseconds: Int64 = 20 * 365 * 24 * 3_600_000

    /// Whom a certificate is about.
    struct Holder {
        var publicKey: [UInt8]
        var encryptionKey: [UInt8]
        var name: String
        var role: String
        var scopes: [String]
    }

    /// How this hub belongs to its forum.
    ///
    /// - Throws: for a store that was made before there were certificates.
    func membership() throws(StoreError) -> Membership {
        guard let membership = try replica.membership() else {
            throw .invalid(
                "\(path) was made by a Karvan that had no certificates: it serves the laptops that it "
                    + "knows, and lets in no others. Name a new store with --store for a new forum")
        }
        return membership
    }

    /// Makes the root and the hub's certificate, in a store that nobody has used yet, or that has lost
    /// what it knew of a root whose key is still here.
    func certifyIfNew() throws {
        let file = KeyFile.root(store: path)
        guard try replica.membership()?.hub == nil, try file.exists || replica.isBlank() else {
            return
        }
        if !file.exists { try makeRoot(file) }
        try certify(by: try file.load())
    }

    private func makeRoot(_ file: KeyFile) throws {
        guard let key = DeviceKey(seed: replica.environment.randomBytes(32)) else {
            throw StoreError.invalid("a key is made of 32 random bytes")
        }
        try file.create(key)
    }

    /// Makes a new root for a forum whose root key is lost, or in wrong hands. This hub goes on under the
    /// key that laptops know, so what it says of devices stays true; each laptop gets to know the new
    /// root by a token that is made after this.
    ///
    /// - Returns: where the new root's key lies.
    /// - Throws: ``StoreError/invalid(_:)`` when the old key is here.
    package func replaceRoot() throws -> String {
        let membership = try membership()
        let file = KeyFile.root(store: path)
        // One that is nobody's root was made by a replacement that did not come to its end, or that a
        // backup doesn't know of.
        if !file.exists { try makeRoot(file) }
        let root = try file.load()
        guard root.device != membership.anchor.root else {
            throw StoreError.invalid(
                "\(file.path) holds the forum's root key: it isn't lost. If somebody else has it too, move "
                    + "that file away first")
        }
        try certify(by: root)
        return file.path
    }

    /// Tokens that name another root are void then.
    private func certify(by root: DeviceKey) throws {
        let key = try replica.key()
        let certificate = Certificate(
            signing: Certificate.Statement(
                kind: .hub, publicKey: key.publicKey, encryptionKey: key.encryptionPublicKey,
                name: try replica.name, issuer: root.publicKey, issuedMilliseconds: now,
                expiryMilliseconds: now + Self.hubCertificateMilliseconds, grants: []), key: root)
        try replica.write(seals: true) { transaction in
            try replica.setMembership(
                Membership(anchor: TrustAnchor(root: root.device), hub: certificate, own: nil))
            try record(certificate, role: "hub", scopes: [Forum.scope], in: transaction)
            try replica.connection.run("DELETE FROM sy_hub_token WHERE device IS NULL")
        }
    }

    /// Signs a certificate and records it.
    func issue(to holder: Holder, in transaction: WriteTransaction) throws -> Certificate {
        let key = try replica.key()
        // What a device was given last is known by its time, under a clock that stands still as well.
        let before = try issued(to: DeviceID(publicKey: holder.publicKey))
            .map(\.statement.issuedMilliseconds)
        let now = max(now, (before.max() ?? .min).addingReportingOverflow(1).partialValue)
        let certificate = Certificate(
            signing: Certificate.Statement(
                kind: .device, publicKey: holder.publicKey, encryptionKey: holder.encryptionKey,
                name: holder.name, issuer: key.publicKey, issuedMilliseconds: now,
                expiryMilliseconds: now + Self.certificateMilliseconds,
                grants: Self.grants(of: holder)), key: key)
        try record(certificate, role: holder.role, scopes: holder.scopes, in: transaction)
        return certificate
    }

    /// What nobody has declared allows nothing.
    private static func grants(of holder: Holder) -> [Grant] {
        guard let role = Forum.role(named: holder.role) else { return [] }
        return holder.scopes.map { scope in
            Grant(
                scope: scope, role: role.name,
                tables: scope == Forum.scope ? role.tables : role.dividedTables)
        }
    }

    /// An earlier certificate that says the same goes: renewals must not pile up. One that says
    /// something else stays, for what was written under it is judged by it.
    private func record(
        _ certificate: Certificate, role: String, scopes: [String],
        in transaction: WriteTransaction
    ) throws {
        let statement = certificate.statement
        let device = statement.device
        // One that was given within the same millisecond is the same.
        let outdated = try replica.certificates(of: device).filter {
            $0 != certificate && $0.statement.kind == statement.kind
                && $0.statement.issuer == statement.issuer
                && $0.statement.grants == statement.grants
        }
        let table = Forum.device
        let (row, _) = try transaction.upsert(
            table, key: [.text(device.description)],
            [
                (table.declared("name"), .text(statement.name)),
                (table.declared("role"), .text(role)),
                (table.declared("scopes"), .text(scopes.scopesText)),
            ])
        let column = table.declared("certificates")
        try transaction.add(table, row, column, [.blob(certificate.encode())])
        try transaction.remove(table, row, column, outdated.map { .blob($0.encode()) })
    }

    /// Gives a device that is here a new certificate when its own has got old, or says something else
    /// than its role does now.
    func renewIfDue(_ device: DeviceID) throws {
        guard try replica.membership() != nil else { return }
        let issued = try issued(to: device)
        guard let newest = Self.newest(of: issued), let holder = try holder(device, newest)
        else { return }
        // A clock that was ahead may have dated what the device was let do before.
        let grants = Self.grants(of: holder)
        let current = issued.filter { $0.statement.grants == grants }
        let isDue = current.allSatisfy {
            $0.statement.expiryMilliseconds - now < Self.renewalMilliseconds
        }
        // The last word is what the operator said last.
        guard isDue || newest.statement.grants != grants else { return }
        try replica.write(seals: true) { transaction in _ = try issue(to: holder, in: transaction) }
    }

    /// What this hub has given to a device, and that is not outdated.
    private func issued(to device: DeviceID) throws(StoreError) -> [Certificate] {
        try replica.certificates(of: device).filter {
            $0.statement.issuer == replica.publicKey && $0.statement.device == device
        }
    }

    func newestCertificate(of device: DeviceID) throws(StoreError) -> Certificate? {
        Self.newest(of: try issued(to: device))
    }

    private static func newest(of certificates: [Certificate]) -> Certificate? {
        certificates.max { $0.statement.issuedMilliseconds < $1.statement.issuedMilliseconds }
    }

    private func holder(_ device: DeviceID, _ newest: Certificate) throws -> Holder? {
        let found = try replica.connection.rows(
            "SELECT name, role, scopes FROM sy_hub_device WHERE device = ?", .blob(device.bytes))
        guard let row = found.first, case .text(let name) = row[0], case .text(let role) = row[1],
            case .text(let scopes) = row[2]
        else { return nil }
        return Holder(
            publicKey: newest.statement.publicKey, encryptionKey: newest.statement.encryptionKey,
            name: name, role: role, scopes: Array(scopesText: scopes))
    }
}

extension HubStore {
    /// The certificates that it has given to a device, and that are not outdated.
    package func certificates(of device: DeviceID) throws -> [Certificate] {
        try replica.certificates(of: device)
    }
}
