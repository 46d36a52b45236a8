public import Causality
internal import Merge
internal import RecordSchema
public import SyncProtocol

/// Whom a bundle can be made for: who holds a true certificate in the records of a replica.
public struct BundleRecipient: Hashable, Sendable {
    public var publicKey: [UInt8]
    /// X25519, 32 bytes, by the certificate that was issued last.
    public var encryptionKey: [UInt8]
    /// What people call it.
    public var name: String
    public var isHub: Bool
    /// What it may read, ``SyncProtocol/Grant/anyScope`` for all.
    public var scopes: Set<String>
    /// Until when its certificate lets it into sessions, milliseconds since 1970.
    public var expiryMilliseconds: Int64
    /// When it was revoked, milliseconds since 1970.
    public var revokedMilliseconds: Int64?

    public var device: DeviceID { DeviceID(publicKey: publicKey) }

    package func mayRead(_ scope: String) -> Bool {
        isHub || scope == Replica.scope || scopes.contains(scope)
            || scopes.contains(Grant.anyScope)
    }
}

extension BundleRecipient {
    /// Whoever gets an archive: nobody who could be let in or revoked.
    package init(archive key: DeviceKey, scopes: Set<String>) {
        (publicKey, encryptionKey) = (key.publicKey, key.encryptionPublicKey)
        (name, isHub, self.scopes, expiryMilliseconds) = ("archive", false, scopes, .max)
    }
}

/// What goes into a bundle, beside what its recipient holds.
public enum BundleExtent: Hashable, Sendable {
    /// What the recipient isn't known to hold.
    case news
    case everything
    /// What lies behind these runs, whatever is known.
    case beyond([RunStub])
    /// What a device lacks that says just now which heads it holds. Of a stream that nobody is known to have
    /// forked, one beyond what is held here says that it has all of that.
    case lacking([RunStub])
}

/// What carries runs by hand: what goes into a file for others, and what comes of one of theirs.
extension Replica {
    // MARK: Whom

    /// All whom a bundle can be made for, by name; this device is not among them.
    public func bundleRecipients() throws(StoreError) -> [BundleRecipient] {
        try read { () throws(StoreError) in
            var found: [DeviceID: BundleRecipient] = [:]
            for certificate in try trueCertificates() {
                let recipient = try recipient(by: certificate)
                if recipient.device == own.device { continue }
                found[recipient.device] = recipient
            }
            return found.values.sorted {
                $0.name == $1.name ? $0.device < $1.device : $0.name < $1.name
            }
        }
    }

    /// Who stands before this device with certificates, which need not have come as records yet: one that was
    /// let in after its last sync.
    ///
    /// - Throws: ``StoreError`` invalid, for certificates that aren't true.
    public func bundleRecipient(
        by certificate: Certificate, of hub: Certificate
    ) throws(StoreError) -> BundleRecipient {
        guard let anchor = try membership()?.anchor else {
            throw .invalid("this replica belongs to no forum yet")
        }
        let device = certificate.statement.device
        do throws(CertificateError) {
            try anchor.check(device: certificate, of: device, by: hub)
        } catch {
            throw .invalid(error.explanation)
        }
        return try read { () throws(StoreError) in
            // One that was issued since says what counts.
            let known = try trueCertificates(of: device).last
            let issued = certificate.statement.issuedMilliseconds
            guard let known, known.statement.issuedMilliseconds > issued else {
                return try recipient(by: certificate)
            }
            return try recipient(by: known)
        }
    }

    private func recipient(
        by certificate: Certificate
    ) throws(StoreError) -> BundleRecipient {
        let statement = certificate.statement
        let now = environment.wallMilliseconds()
        let grants = statement.grants.filter { $0.expiryMilliseconds.map { $0 > now } ?? true }
        let revocations = try cuts(of: statement.device).filter {
            $0.reason == .revoked && $0.isWhole
        }
        return BundleRecipient(
            publicKey: statement.publicKey, encryptionKey: statement.encryptionKey,
            name: statement.name, isHub: statement.kind == .hub,
            scopes: Set(grants.map(\.scope)), expiryMilliseconds: statement.expiryMilliseconds,
            revokedMilliseconds: revocations.map(\.decidedMilliseconds).min())
    }

    /// What this device shows of itself: its certificate that was issued last, and that of the hub that issued it;
    /// `nil` for one that has none.
    public func ownCertificates() throws(StoreError) -> (hub: Certificate, own: Certificate)? {
        try read { () throws(StoreError) in
            guard let own = try trueCertificates(of: self.own.device).last,
                let hub = try trueCertificates(of: DeviceID(publicKey: own.statement.issuer)).last
            else { return nil }
            return (hub, own)
        }
    }

    /// Those that hold against the root, each device's in the order in which they were issued.
    private func trueCertificates() throws(StoreError) -> [Certificate] {
        guard let membership = try membership() else { return [] }
        let all = try allCertificates() + [membership.hub, membership.own].compactMap { $0 }
        let hubs = all.filter { (try? membership.anchor.check(hub: $0)) != nil }
        let devices = all.filter { certificate in
            hubs.contains {
                (try? membership.anchor.check(
                    device: certificate, of: certificate.statement.device, by: $0)) != nil
            }
        }
        return (hubs + devices).sorted {
            $0.statement.issuedMilliseconds < $1.statement.issuedMilliseconds
        }
    }

    /// Those of one device that hold against the root, in the order in which they were issued.
    private func trueCertificates(of device: DeviceID) throws(StoreError) -> [Certificate] {
        guard let membership = try membership() else { return [] }
        let given = [membership.hub, membership.own].compactMap { $0 }
        func held(_ device: DeviceID) throws(StoreError) -> [Certificate] {
            try certificates(of: device) + given.filter { $0.statement.device == device }
        }
        var found: [Certificate] = []
        for certificate in try held(device) {
            if (try? membership.anchor.check(hub: certificate)) != nil {
                found.append(certificate)
                continue
            }
            let hubs = try held(DeviceID(publicKey: certificate.statement.issuer))
            let isTrue = hubs.contains {
                (try? membership.anchor.check(device: certificate, of: device, by: $0)) != nil
            }
            if isTrue { found.append(certificate) }
        }
        return found.sorted { $0.statement.issuedMilliseconds < $1.statement.issuedMilliseconds }
    }

    /// Whether a bundle may be by the holder of a key.
    public func isMember(_ publicKey: [UInt8]) throws(StoreError) -> Bool {
        if publicKey == own.publicKey { return true }
        return try permission(of: publicKey, in: Self.scope, for: nil) != nil
    }

    // MARK: Out

    /// What this replica holds of what a recipient may read.
    ///
    /// - Parameter epoch: of a hub's feed.
    public func bundleList(
        for recipient: BundleRecipient, epoch: Identifier? = nil
    ) throws(StoreError) -> BundleList {
        try seal()
        try keepInstall()
        return try read { () throws(StoreError) in
            var scopes: [BundleList.Scope] = []
            // Who doesn't read of one gets it once more.
            var room = Self.listedHeads
            for scope in heldScopes(for: recipient) {
                let streams = rows.streams.sorted.filter { $0.scope == scope }
                let heads = streams.lazy.compactMap(\.tip).prefix(room)
                room -= heads.count
                scopes.append(BundleList.Scope(scope: scope, heads: Array(heads)))
            }
            return BundleList(schemaVersion: schema.version, epoch: epoch, scopes: scopes)
        }
    }

    /// Each takes 61 bytes at most, and a frame has room for ``Limits/messageBytes``.
    private static let listedHeads = 60_000

    /// The base scope first: the others rest on it.
    private func heldScopes(for recipient: BundleRecipient) -> [String] {
        let held = Set(rows.streams.records.values.map(\.scope)).filter(recipient.mayRead)
        return [Self.scope] + held.subtracting([Self.scope]).sorted().prefix(Limits.scopes - 1)
    }

    /// Hands over the runs that go into a bundle for a recipient, at most a batch at a time, each behind those
    /// that it depends on. Others may record meanwhile.
    ///
    /// - Returns: how many changesets these are.
    public func bundleRuns(
        for recipient: BundleRecipient, _ extent: BundleExtent,
        to body: (BundledRuns) throws -> Void
    ) throws -> UInt64 {
        var count: UInt64 = 0
        for scope in try read({ () throws(StoreError) in heldScopes(for: recipient) }) {
            var heads = try bundleHeads(of: recipient, extent)
            while true {
                let batch = try nextBatch(of: scope, beyond: heads)
                guard !batch.isEmpty else { break }
                let unnamed = try unnamedRuns(under: batch)
                if !unnamed.isEmpty { try body(BundledRuns(scope: scope, runs: unnamed)) }
                try body(BundledRuns(scope: scope, runs: batch))
                for run in batch {
                    count += UInt64(run.header.count)
                    guard let record = try holder(of: RunStub(run)) else { continue }
                    let last = run.header.lastSeq
                    heads[record.sid] = (max(heads[record.sid]?.has ?? 0, last), 0)
                }
            }
        }
        return count
    }

    private func bundleHeads(
        of recipient: BundleRecipient, _ extent: BundleExtent
    ) throws(StoreError) -> [Int64: (has: UInt64, fed: UInt64)] {
        switch extent {
        case .everything: return [:]
        case .news: return try peerHeads(of: recipient.publicKey)
        case .beyond(let stubs): return try heads(of: held(by: stubs))
        case .lacking(let stubs):
            return try heads(of: held(by: stubs + overtaken(by: stubs)))
        }
    }

    private func heads(of held: VersionVector) -> [Int64: (has: UInt64, fed: UInt64)] {
        var heads: [Int64: (has: UInt64, fed: UInt64)] = [:]
        for record in rows.streams.sorted where held[record.stream] > 0 {
            heads[record.sid] = (max(held[record.stream], record.base), 0)
        }
        return heads
    }

    /// The last that is held here of the streams of which others name more.
    private func overtaken(by stubs: [RunStub]) throws(StoreError) -> [RunStub] {
        let named = Dictionary(grouping: stubs, by: \.stream)
        var found: [RunStub] = []
        for stub in stubs {
            guard named[stub.stream]?.count == 1, let record = rows.streams[stub.stream],
                rows.streams.family(stub.stream).count == 1, record.end == nil,
                stub.lastSeq > record.sealed, try holder(of: stub) == nil, let tip = record.tip
            else { continue }
            found.append(tip)
        }
        return found
    }

    // MARK: In

    /// Takes runs of a bundle. What more runs or a later build may let in is kept aside until they come, as far as it
    /// may be read here, and there is room for it.
    ///
    /// - Returns: what became of each.
    public func take(_ bundled: BundledRuns) throws -> [IngestResult] {
        var kept: [IngestResult] = []
        _ = try ingest(
            bundled.runs, isDurable: false,
            also: { results in
                kept = try zip(bundled.runs, results).map { run, result in
                    guard case .refused(let refusal) = result, !keepsFeed else { return result }
                    return .refused(try keepWaiting(run, refusal, in: bundled.scope))
                }
            })
        return kept
    }

    /// What may wait in all for others, of all bundles: whoever is a member can make any number of runs that
    /// nothing will ever let in.
    private static let waitingBytes: Int64 = 16 << 20
    private static let waitingRuns: Int64 = 4_096

    /// Keeps a run aside that waits for others or for a later build.
    ///
    /// - Returns: why it isn't taken now.
    private func keepWaiting(
        _ run: SealedRun, _ refusal: Refusal, in scope: String
    ) throws(StoreError) -> Refusal {
        guard refusal.code == .gap || refusal.code == .upgrade else { return refusal }
        let origin = try origin(of: run)
        if let origin {
            // Whose it is is known, and it is not his.
            do throws(RunError) {
                try run.verify(publicKey: origin.publicKey)
            } catch {
                return Refusal(.poison, error.explanation)
            }
        }
        let scope = origin?.scope ?? scope
        let isOwn = origin?.device == own.device
        guard try mayRead(scope) || isOwn else {
            return Refusal(.scope, "this laptop is not let read \(scope)")
        }
        let sums = try connection.rows(
            """
            SELECT count(*), coalesce(sum(length(head) + length(sig) + length(body)), 0) FROM sy_quar
            WHERE last_seq > 0 AND (reason LIKE 'GAP%' OR reason LIKE 'UPGRADE%')
            """)
        if case .integer(let count)? = sums.first?[0], case .integer(let bytes)? = sums.first?[1],
            count >= Self.waitingRuns || bytes + Int64(run.storedBytes) > Self.waitingBytes
        {
            return Refusal(
                .tooLarge,
                "too much waits here already for changes that are missing; import them first")
        }
        try quarantine(run, refusal, in: scope)
        return refusal
    }

    /// Whether a run is part of the log.
    public func holds(_ stub: RunStub) throws(StoreError) -> Bool { try holder(of: stub) != nil }

    /// Ends taking in a bundle: what was kept aside for what has come now is taken, and what the sender holds is
    /// noted. All of the bundle is on the disk then.
    ///
    /// - Returns: how many changesets count now that were kept aside.
    @discardableResult
    public func finishBundle(_ list: BundleList, by sender: [UInt8]) throws -> UInt64 {
        var count: UInt64 = 0
        try transaction {
            try drain()
            if try hasHoles() {
                try mendIfNeeded()
            } else if try hasStranded() {
                count = try takeAllStranded().changesetCount
            }
            try note(list, by: sender)
        }
        try renewIfForked()
        return count
    }

    private func note(_ list: BundleList, by sender: [UInt8]) throws(StoreError) {
        if try sender == hubLink()?.publicKey {
            guard try countsAsHeld(list, by: sender) else { return }
        } else {
            try connection.run("DELETE FROM sy_peer_head WHERE peer = ?", .blob(sender))
        }
        for stub in list.scopes.flatMap(\.heads) {
            guard let record = try holder(of: stub) else { continue }
            try noteHead(stub.lastSeq, of: record, at: sender)
        }
    }

    /// Whether what a bundle says of its sender says what the hub of this replica holds.
    func countsAsHeld(_ list: BundleList, by sender: [UInt8]) throws(StoreError) -> Bool {
        // A hub that went back in time may have lost since what it says it has.
        guard try sender == hubLink()?.publicKey, let epoch = list.epoch else { return false }
        return try isKnown(epoch, list)
    }

    /// Whether a hub's feed has this epoch, as far as is known here: where a hub began anew, and has not said as what
    /// yet, nothing is believed.
    private func isKnown(_ epoch: Identifier, _ list: BundleList) throws(StoreError) -> Bool {
        if let known = try connection.meta(MetaKey.epoch) { return known == .blob(epoch.bytes) }
        for scope in list.scopes {
            guard try cursor(in: scope.scope).map({ $0.epoch == epoch }) ?? true else {
                return false
            }
        }
        return true
    }

    /// What lies before it on its branch, and below that, the sender has too.
    private func noteHead(
        _ seq: UInt64, of record: StreamRecord, at peer: [UInt8]
    ) throws(StoreError) {
        var held = VersionVector()
        rows.streams.add(record, upTo: seq, to: &held)
        for other in rows.streams.family(record.wire) where held[other.stream] > other.base {
            try connection.run(
                """
                INSERT INTO sy_peer_head(peer, sid, has, fed) VALUES(?, ?, ?, 0) ON CONFLICT DO UPDATE
                SET has = max(has, excluded.has)
                """, .blob(peer), .integer(other.sid),
                .integer(Int64(clamping: held[other.stream])))
        }
    }
}
