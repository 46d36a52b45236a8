internal import Causality
internal import FieldRecords
internal import FoundationEssentials
internal import Glibc
internal import Merge
internal import RecordSchema
package import ReplicaStore
internal import SyncProtocol

/// Backups of a hub, and how a hub that went back in time gets back what it has lost: from the laptops,
/// which hold all that it had given to them, its own words included.
///
/// A store that was restored, or an older copy that lies in its place, goes on as a new incarnation, with a
/// new epoch of its feed: so every laptop reads the feed anew, and offers all that it holds.
extension HubStore {
    /// What a hub needs to be itself again, beside its store.
    private static func attached(besideStore path: String) -> [(name: String, path: String)] {
        [
            ("tls-key", HubCertificate.keyPath(besideStore: path)),
            ("tls-next-key", HubCertificate.nextKeyPath(besideStore: path)),
            ("tls-certificate", HubCertificate.certificatePath(besideStore: path)),
        ]
    }

    /// Writes a copy of the store to a new file, with the hub's keys and the certificate that was made
    /// beside it. Others may write meanwhile. The forum's root key is not in it.
    package func backUp(to file: String) throws -> Backup {
        var attachments: [String: [UInt8]] = [:]
        for (name, path) in Self.attached(besideStore: path) {
            guard let bytes = FileManager.default.contents(atPath: path) else { continue }
            attachments[name] = Array(bytes)
        }
        return try replica.backUp(to: file, attachments: attachments)
    }

    /// Puts a backup in a store's place, and the certificate that goes with it.
    ///
    /// - Parameter replaces: also when the store in its place holds changes that the backup lacks.
    /// - Throws: as ``Replica/restore(_:to:schema:environment:replaces:isDryRun:serves:)``.
    package static func restore(
        _ file: String, to path: String, environment: Environment, replaces: Bool = false,
        isDryRun: Bool = false
    ) throws -> Restoration {
        let result = try Replica.restore(
            file, to: path, schema: Forum.schema, environment: environment, replaces: replaces,
            isDryRun: isDryRun, serves: true)
        guard !isDryRun else { return result }
        for (name, path) in attached(besideStore: path) {
            guard let bytes = result.attachments[name] else { continue }
            try put(Data(bytes), at: path, isSecret: name != "tls-certificate")
        }
        return result
    }

    /// - Parameter isSecret: only its owner may read it.
    private static func put(_ content: Data, at path: String, isSecret: Bool) throws {
        let manager = FileManager.default
        if let present = manager.contents(atPath: path) {
            guard present != content else { return }
            try manager.moveItem(atPath: path, toPath: FileSwap.freeName(path + ".before"))
        }
        let text = String(decoding: content, as: UTF8.self)
        try PrivateFile.create(path, text, mode: isSecret ? 0o600 : 0o644)
    }

    // MARK: After that

    /// Tokens that were made before the store went back in time let nobody in: whoever had one may have
    /// used it since.
    func voidTokensIfRestored() throws {
        let epoch = Value.blob(try replica.feedEnd().epoch.bytes)
        let known = try replica.connection.meta("token_epoch")
        guard known != epoch else { return }
        try replica.transaction {
            if known != nil {
                try replica.connection.run("DELETE FROM sy_hub_token WHERE device IS NULL")
            }
            try replica.connection.setMeta("token_epoch", epoch)
        }
    }

    /// Takes the hub's own runs of a request before anything is written: a hub that went back in time
    /// without knowing would give numbers twice, and a device that it doesn't know may have been let in
    /// before that, and brings the word for it.
    ///
    /// - Throws: ``Refusal`` EPOCH for a device that has read more of the feed than there is: it offers
    ///   all that it holds then.
    func takeBack(_ request: ExchangeRequest) throws {
        if let cursor = request.cursor { try replica.check(cursor, of: request.scope) }
        try takeBack(ownRuns(in: request.runs))
    }

    /// As above, of what came by hand.
    func takeBack(ownRunsIn runs: [SealedRun]) throws { try takeBack(ownRuns(in: runs)) }

    private func takeBack(_ own: [SealedRun]) throws {
        if !own.isEmpty { _ = try replica.ingest(own) }
        try finishTakingBack()
    }

    /// Whether the sender holds more of a stream of this hub than the hub itself: the words come with
    /// further requests.
    func isBehind(_ request: ExchangeRequest) -> Bool {
        isBehind(request.ahead)
    }

    func isBehind(_ heads: [RunStub]) -> Bool {
        heads.contains { head in
            replica.device(of: head.stream) == replica.device
                && replica.sealedHeads(of: head.stream).allSatisfy { head.lastSeq > $0.lastSeq }
        }
    }

    private func ownRuns(in runs: [SealedRun]) -> [SealedRun] {
        var streams: Set<StreamID> = []
        return runs.filter { run in
            let stream = run.header.stream
            if run.header.origin?.device == replica.device { streams.insert(stream) }
            return streams.contains(stream) || replica.device(of: stream) == replica.device
        }
    }

    /// The hub's own runs, brought by others, may let in devices that its tables have lost. Runs of the
    /// stream that it writes to tell that it went back in time without knowing: it gives no number twice.
    func finishTakingBack() throws {
        guard try replica.hasTakenBack() else { return }
        try replica.renewIfTakenBack()
        try voidTokensIfRestored()
        try adoptDevices()
        // What it took meanwhile of a device that it had revoked before lies behind an end now, and others
        // may have built on it.
        try nameEnded(try replica.unnamedEnds())
        try replica.endTakingBack()
    }

    /// Makes the list of devices what the hub's own certificates say.
    private func adoptDevices() throws {
        var newest: [DeviceID: Certificate.Statement] = [:]
        for certificate in try replica.allCertificates() {
            let statement = certificate.statement
            guard statement.kind == .device, statement.issuer == replica.publicKey,
                certificate.isSignedByItsIssuer
            else { continue }
            let known = newest[statement.device]?.issuedMilliseconds
            if known.map({ $0 < statement.issuedMilliseconds }) ?? true {
                newest[statement.device] = statement
            }
        }
        try replica.transaction {
            for (device, statement) in newest.sorted(by: { $0.key < $1.key }) {
                let scopes = statement.grants.map(\.scope)
                try replica.connection.run(
                    """
                    INSERT INTO sy_hub_device VALUES(?, ?, ?, ?, ?, ?, NULL, 0, 0)
                    ON CONFLICT(device) DO UPDATE
                    SET name = excluded.name, role = excluded.role, scopes = excluded.scopes
                    """, .blob(device.bytes), .blob(statement.publicKey), .text(statement.name),
                    .text(statement.grants.first?.role ?? "none"), .text(scopes.scopesText),
                    .integer(statement.issuedMilliseconds))
            }
        }
    }
}
