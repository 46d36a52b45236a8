public import AntiEntropy
internal import Bundles
internal import Causality
public import ReplicaStore
public import SyncProtocol

/// Two replicas of one forum meet where no hub is: each gives the other what it lacks and may read, as a bundle.
///
/// Whoever comes knows the other's address and nothing more; both show their certificates.
public struct PeerExchange {
    private let replica: Replica

    public init(_ replica: Replica) { self.replica = replica }

    // MARK: Who

    /// What this replica says of itself to whoever asks.
    ///
    /// - Parameter pin: of the TLS key that it serves with.
    /// - Throws: ``ReplicaStore/StoreError`` invalid for one that is not enrolled.
    public func statement(pin: [UInt8]) throws(StoreError) -> PeerStatement {
        let (root, hub, own) = try identity()
        return PeerStatement(
            root: root, hub: hub, device: own, pin: pin, key: try replica.key())
    }

    /// What it lets the local network know while it serves.
    ///
    /// - Throws: ``ReplicaStore/StoreError`` invalid for one that is not enrolled.
    public func advertisement() throws(StoreError) -> PeerAdvertisement {
        let (root, _, own) = try identity()
        return PeerAdvertisement(root: root, device: own.statement.device)
    }

    /// - Throws: ``ReplicaStore/StoreError`` invalid for a replica that is not enrolled.
    public func checkIsMember() throws(StoreError) { _ = try identity() }

    private func identity() throws(StoreError) -> (DeviceID, hub: Certificate, own: Certificate) {
        guard let root = try replica.membership()?.anchor.root,
            let (hub, own) = try replica.ownCertificates()
        else {
            throw .invalid(
                "this replica belongs to no forum yet: nobody can be sure who it is. Enrol it first: "
                    + "`karvan enrol URL TOKEN`")
        }
        return (root, hub, own)
    }

    /// Whom certificates show, and whether anything may be given to him.
    ///
    /// - Throws: `Refusal`, in words for him; ``ReplicaStore/StoreError``.
    private func guest(
        root: DeviceID, by certificate: Certificate, of hub: Certificate
    ) throws -> BundleRecipient {
        guard root == (try identity().0) else {
            throw Refusal(.revoked, "this laptop belongs to another forum")
        }
        let found: BundleRecipient
        do {
            found = try replica.bundleRecipient(by: certificate, of: hub)
        } catch StoreError.invalid(let reason) {
            throw Refusal(.revoked, reason)
        }
        guard found.revokedMilliseconds == nil else {
            throw Refusal(.revoked, "\(found.name) was revoked: nothing is given to it any more")
        }
        guard found.expiryMilliseconds > replica.environment.wallMilliseconds() else {
            throw Refusal(
                .revoked,
                "the certificate of \(found.name) has expired, by the clock of the other laptop. "
                    + "A sync with the hub renews it; check both clocks")
        }
        return found
    }

    // MARK: Serving

    /// What somebody has shown who came.
    public struct Guest: Sendable {
        var root: DeviceID
        var hub: Certificate
        var device: Certificate
    }

    /// What became of one meeting.
    public struct Met: Sendable {
        public var peer: BundleRecipient
        /// For what it asks after this.
        public var guest: Guest
        /// Changesets in the bundle for it.
        public var givenCount: UInt64
        /// What became of those that it brought.
        public var taken: BundleExchange.Tally
    }

    /// Answers a meeting with a bundle.
    ///
    /// - Parameter signature: as it came.
    /// - Throws: `Refusal`, `CBORError`; ``ReplicaStore/StoreError``.
    public func answer(
        _ body: [UInt8], signature: RequestSignature?
    ) throws -> (bundle: [UInt8], met: Met) {
        let sender = try sender(signature, of: body, at: Meeting.path)
        let meeting = try Meeting(decoding: body)
        var peer = try guest(root: meeting.root, by: meeting.device, of: meeting.hub)
        guard peer.publicKey == sender else {
            throw Refusal(.revoked, "the request is signed by another device than it names")
        }
        var taken = BundleExchange.Tally()
        if let bundle = meeting.bundle {
            taken = try take(bundle, by: peer).tally
            // It may have brought the word that it was revoked.
            peer = try guest(root: meeting.root, by: meeting.device, of: meeting.hub)
        }
        // What it has brought now counts as held by it.
        let written = try BundleExchange(replica).bytes(
            for: peer, .lacking(meeting.list.scopes.flatMap(\.heads)),
            limitBytes: UInt64(Limits.messageBytes - Self.spareBytes))
        return (
            written.bytes,
            Met(
                peer: peer,
                guest: Guest(root: meeting.root, hub: meeting.hub, device: meeting.device),
                givenCount: written.changesetCount, taken: taken)
        )
    }

    /// - Returns: the key of the device that signed a request.
    private func sender(
        _ signature: RequestSignature?, of body: [UInt8], at path: String
    ) throws -> [UInt8] {
        guard let signature, signature.isValid(hub: replica.publicKey, path: path, body: body)
        else { throw Refusal(.revoked, "the request isn't signed for this laptop") }
        return signature.publicKey
    }

    /// What became of a request about blobs.
    public struct BlobsMet: Sendable {
        public var peer: BundleRecipient
        public var request: BlobRequest
        public var reply: BlobReply
    }

    /// Answers who has met this replica before about blobs: what the hub answers, of what is named here.
    ///
    /// - Parameters:
    ///   - signature: as it came.
    ///   - guests: who has met it since it began to serve, by public key.
    /// - Throws: `Refusal`, `CBORError`; ``ReplicaStore/StoreError``.
    public func answerBlobs(
        _ body: [UInt8], signature: RequestSignature?, guests: [[UInt8]: Guest]
    ) throws -> BlobsMet {
        let sender = try sender(signature, of: body, at: BlobRequest.path)
        let request = try BlobRequest(decoding: body)
        guard let known = guests[sender] else {
            throw Refusal(.revoked, "this laptop hasn't met the one that asks: it comes once more")
        }
        let peer = try guest(root: known.root, by: known.device, of: known.hub)
        let reply = try BlobAnswers(
            replica, for: peer.device, mayRead: peer.mayRead,
            isWanted: { name in
                try peer.mayRead(name.scope) && !replica.namedBlobs(among: [name]).isEmpty
            }
        ).reply(to: request)
        return BlobsMet(peer: peer, request: request, reply: reply)
    }

    /// For the last frame's end and the foot.
    private static let spareBytes = 64 << 10

    // MARK: Calling

    /// What a visit came to.
    public struct Visit: Sendable {
        public var peer: BundleRecipient
        public var givenCount: UInt64 = 0
        public var taken = BundleExchange.Tally()
        /// Changesets that it was offered and doesn't hold all the same: so many at least.
        public var untakenCount: UInt64 = 0
        /// It had more to give, and gave nothing new.
        public var isCutShort = false
        public var roundTrips = 0
    }

    /// Holds what somebody says of himself against what is known here.
    ///
    /// - Throws: `Refusal`.
    @discardableResult
    public func check(_ statement: PeerStatement) throws -> BundleRecipient {
        guard let anchor = try replica.membership()?.anchor else {
            _ = try identity()
            preconditionFailure("who has no forum has no certificates")
        }
        do throws(CertificateError) {
            try statement.check(by: anchor)
        } catch .otherRoot {
            throw Refusal(.revoked, "what answers there belongs to another forum")
        } catch {
            throw Refusal(.revoked, "what answers there is not who it says: \(error.explanation)")
        }
        guard statement.device.statement.publicKey != replica.publicKey else {
            throw Refusal(.revoked, "this laptop itself answers there")
        }
        return try guest(root: statement.root, by: statement.device, of: statement.hub)
    }

    /// Meets another until neither has anything that the other lacks.
    ///
    /// - Parameters:
    ///   - statement: who it is.
    ///   - goesOn: asked before each round.
    ///   - observe: told after each.
    /// - Throws: ``AntiEntropy/TransportFailure``; what was taken until then stays.
    public func visit(
        _ statement: PeerStatement, over port: any PeerPort, goesOn: () -> Bool = { true },
        observe: (Visit) -> Void = { _ in }
    ) throws -> Visit {
        let (root, hub, own) = try identity()
        var visit = Visit(peer: try check(statement))
        var list = try replica.bundleList(for: visit.peer)
        var offered: BundleExchange.Made?
        // What was passed over, by the other and here, is not given again in this visit.
        var (passedIn, passedOut): (Set<RunStub>, Set<RunStub>) = ([], [])
        var seenHeads: Set<Set<RunStub>> = []
        while true {
            guard goesOn() else { throw TransportFailure.cancelled }
            list.scopes[0].heads += passedIn
            let meeting = Meeting(
                root: root, hub: hub, device: own, list: list, bundle: offered?.bytes)
            let answer = try take(port.meet(meeting), by: visit.peer)
            visit.roundTrips += 1
            visit.taken.add(answer.tally)
            // It may have brought the word that it was revoked.
            visit.peer = try check(statement)
            let heads = answer.list.scopes.flatMap(\.heads)
            let hasMoved = seenHeads.insert(Set(heads)).inserted
            var hasPassed = false
            if answer.tally.newCount == 0, !answer.summary.isLast {
                let before = passedIn.count
                passedIn.formUnion(answer.tally.lasts.values.joined())
                hasPassed = passedIn.count > before
            }
            if let offered, !hasMoved, !offered.isWhole {
                let before = passedOut.count
                passedOut.formUnion(offered.lasts.values.joined())
                hasPassed = hasPassed || passedOut.count > before
            }
            list = try replica.bundleList(for: visit.peer)
            let limit =
                Limits.messageBytes - 2 * list.encode().count - 64 * passedIn.count
                - Self.spareBytes
            let next = try BundleExchange(replica).bytes(
                for: visit.peer, .lacking(heads + passedOut),
                limitBytes: UInt64(max(limit, 1 << 20)))
            if let offered, hasMoved {
                let left = offered.isWhole ? next.changesetCount : 0
                visit.givenCount += offered.changesetCount - min(left, offered.changesetCount)
            }
            observe(visit)
            let isDone = next.changesetCount == 0 && answer.summary.isLast
            // What it doesn't take this time, it won't take the next.
            guard !isDone, hasMoved || hasPassed || answer.tally.newCount > 0 else {
                visit.untakenCount =
                    passedOut.isEmpty
                    ? next.changesetCount
                    : try BundleExchange(replica).bytes(
                        for: visit.peer, .lacking(heads), limitBytes: 1 << 20
                    ).changesetCount
                visit.isCutShort = !answer.summary.isLast
                return visit
            }
            // Nothing to give: the next round only asks.
            offered = next.changesetCount > 0 ? next : nil
        }
    }

    // MARK: Taking in

    /// - Throws: `Refusal` for what can't be taken in.
    private func take(
        _ bundle: [UInt8], by peer: BundleRecipient
    ) throws -> BundleExchange.Taken {
        do {
            return try BundleExchange(replica)
                .read(BundleInput(bytes: bundle, name: peer.name), by: peer.publicKey)
        } catch BundleFileError.bundle(_, let error) {
            throw Refusal(.poison, "the bundle can't be taken in: \(error.explanation)")
        }
    }
}

extension BundleExchange.Tally {
    /// Of several bundles, one after another: what waited may have come.
    mutating func add(_ other: Self) {
        newCount += other.newCount
        knownCount += other.knownCount
        runCount += other.runCount
        knownRunCount += other.knownRunCount
        confirmedCount += other.confirmedCount
        waiting = other.waiting
        // These come again in each bundle.
        asideCount = max(asideCount, other.asideCount)
        refused += other.refused.filter { !refused.contains($0) }
    }
}
