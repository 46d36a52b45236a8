package import Causality
internal import FieldRecords
internal import Merge
internal import RecordSchema
package import ReplicaStore
package import SyncProtocol

/// A device as the hub's operator sees it.
package struct EnrolledDevice: Hashable, Sendable {
    package var device: String
    package var name: String
    package var role: String
    package var scopes: [String]
    /// All times in milliseconds since 1970; `nil` for never.
    package var enrolledMilliseconds: Int64
    package var lastSeenMilliseconds: Int64?
    /// Since when it is no longer welcome.
    package var revokedMilliseconds: Int64?
    /// Changesets that the device said it had still to send.
    package var pendingCount: Int64
    /// The device's clock minus the hub's, in milliseconds.
    package var clockOffsetMilliseconds: Int64
}

/// The hub's data: a replica that serves, and beside it who may come in.
///
/// It belongs to one thread at a time. Another process may have the same file open, as
/// `karvan-hub token create` does while the hub serves.
package final class HubStore {
    package let replica: Replica
    let path: String
    /// The TLS keys that it serves with and will; `nil` where it doesn't serve. See ``HubStore/serve(with:)``.
    var servedPins: [[UInt8]]?
    var now: Int64 { replica.environment.wallMilliseconds() }

    private static let tables = """
        CREATE TABLE IF NOT EXISTS sy_hub_token(
            hash BLOB PRIMARY KEY, scopes TEXT NOT NULL, role TEXT NOT NULL,
            created INTEGER NOT NULL, expires INTEGER NOT NULL, used INTEGER, device BLOB
        ) STRICT, WITHOUT ROWID;
        CREATE TABLE IF NOT EXISTS sy_hub_device(
            device BLOB PRIMARY KEY, key BLOB NOT NULL UNIQUE, name TEXT NOT NULL,
            role TEXT NOT NULL, scopes TEXT NOT NULL, enrolled INTEGER NOT NULL, seen INTEGER,
            pending INTEGER NOT NULL, skew INTEGER NOT NULL
        ) STRICT, WITHOUT ROWID;
        """

    /// A token is good for a day at most.
    package static let tokenLimitMilliseconds: Int64 = 24 * 3_600_000

    /// Opens a hub's store, or makes it at the first start.
    package init(path: String, environment: Environment) throws {
        self.path = path
        do {
            replica = try Replica.open(at: path, schema: Forum.schema, environment: environment)
        } catch .missing {
            replica = try Replica.create(
                at: path, name: "hub", schema: Forum.schema, environment: environment,
                keepsFeed: true)
        }
        guard replica.servesFeed else {
            throw StoreError.invalid(
                "\(path) is a laptop's replica, not a hub's store. Name another file with --store")
        }
        try replica.transaction { try replica.connection.execute(Self.tables) }
        try voidTokensIfRestored()
        try certifyIfNew()
        try finishTakingBack()
    }

    package func close() { replica.close() }

    /// The hub as a device: Ed25519, 32 bytes.
    package var publicKey: [UInt8] { replica.publicKey }

    // MARK: Tokens

    /// Makes a token that lets one device in. Only its hash is kept.
    ///
    /// - Parameters:
    ///   - scopes: what it lets be read beside the base scope; none for all.
    ///   - lifetimeMilliseconds: at most ``tokenLimitMilliseconds``.
    ///   - pin: of the hub's TLS key.
    package func createToken(
        scopes: [String], role: String, lifetimeMilliseconds: Int64, pin: [UInt8]
    ) throws -> EnrolmentToken {
        try Self.checkRole(role)
        let scopes = try Self.granted(scopes)
        guard (1...Self.tokenLimitMilliseconds).contains(lifetimeMilliseconds) else {
            throw StoreError.invalid("a token is good for at most 24 hours")
        }
        let root = try membership().anchor.root
        let created = now
        let token = EnrolmentToken(
            secret: replica.environment.randomBytes(32), pin: pin, root: root,
            expiryMilliseconds: created + lifetimeMilliseconds)
        try replica.transaction {
            try replica.connection.run(
                "INSERT INTO sy_hub_token VALUES(?, ?, ?, ?, ?, NULL, NULL)",
                .blob(token.secretHash.bytes), .text(scopes.scopesText), .text(role),
                .integer(created), .integer(token.expiryMilliseconds))
        }
        return token
    }

    /// What a token for these scopes lets be read: the base scope always is.
    ///
    /// - Parameter scopes: none for all.
    private static func granted(_ scopes: [String]) throws -> [String] {
        let named = scopes.isEmpty ? [Grant.anyScope] : scopes
        var granted = [Forum.scope]
        for scope in named where !granted.contains(scope) {
            if scope == allScopes {
                granted.append(Grant.anyScope)
                continue
            }
            let code = scope.split(separator: "/", omittingEmptySubsequences: false).last
            guard
                scope == Grant.anyScope
                    || code.flatMap({ Code(String($0)) }).map({ Forum.scope(of: $0) }) == scope
            else {
                throw StoreError.invalid(
                    "there is no scope \(scope); scopes are \(Forum.scope), which everybody reads, "
                        + "delegation/CODE, and \(allScopes)")
            }
            granted.append(scope)
        }
        guard granted.count <= Limits.grants else {
            throw StoreError.invalid(
                "a laptop is let read at most \(Limits.grants) scopes by name; give --scope \(allScopes)"
            )
        }
        return granted
    }

    /// What an operator calls every scope, those of later delegations among them.
    package static let allScopes = "all"

    // MARK: Enrolment

    /// Lets a device in: the token is used up and the device's record written in one transaction.
    ///
    /// A device that asks again with the token that it used gets the same answer: the first one
    /// may have been lost on the way.
    package func enrol(_ request: EnrolmentRequest) throws -> EnrolmentReply {
        guard request.isSignedByItsKey else {
            throw Refusal(.poison, "the request isn't signed by the key that it brings")
        }
        let device = DeviceID(publicKey: request.publicKey)
        if let cut = try revocation(of: device) {
            let time = Instant(milliseconds: cut.decidedMilliseconds).inWholeSeconds
            throw Refusal(
                .revoked,
                "the hub's operator revoked this laptop at \(time). Start a new replica on it with "
                    + "`karvan init --replica FILE`, and enrol that")
        }
        // Read after what another process may have written is known here.
        guard let hub = try membership().hub else {
            throw StoreError.invalid("\(path) has lost the hub's certificate")
        }
        let certificate = try replica.write(seals: true) { transaction in
            let (grant, isUsed) = try useToken(Digest(.token, request.secret), for: device)
            // The first answer may have been lost; what has changed since then stays as it is.
            if isUsed, let newest = try newestCertificate(of: device) { return newest }
            try replica.connection.run(
                """
                INSERT INTO sy_hub_device VALUES(?, ?, ?, ?, ?, ?, NULL, 0, 0)
                ON CONFLICT(device) DO UPDATE
                SET name = excluded.name, role = excluded.role, scopes = excluded.scopes
                """, .blob(device.bytes), .blob(request.publicKey), .text(request.name),
                .text(grant.role), .text(grant.scopes), .integer(now))
            return try issue(
                to: Holder(
                    publicKey: request.publicKey, encryptionKey: request.encryptionKey,
                    name: request.name, role: grant.role,
                    scopes: Array(scopesText: grant.scopes)), in: transaction)
        }.result
        return EnrolmentReply(hub: hub, device: certificate, hubMilliseconds: now)
    }

    /// - Returns: what it gives, and whether this device has used it before.
    private func useToken(
        _ hash: Digest, for device: DeviceID
    ) throws -> (grant: (scopes: String, role: String), isUsed: Bool) {
        let found = try replica.connection.rows(
            "SELECT scopes, role, expires, device FROM sy_hub_token WHERE hash = ?",
            .blob(hash.bytes))
        guard let row = found.first, case .text(let scopes) = row[0],
            case .text(let role) = row[1], case .integer(let expires) = row[2]
        else {
            throw Refusal(.revoked, "the hub doesn't know this token; ask its operator for one")
        }
        if row[3] == .blob(device.bytes) { return ((scopes, role), true) }
        guard row[3] == .null else {
            throw Refusal(
                .revoked, "this token was used already; ask the hub's operator for another")
        }
        guard now < expires else {
            throw Refusal(.revoked, "this token has expired; ask the hub's operator for another")
        }
        try replica.connection.run(
            "UPDATE sy_hub_token SET used = ?, device = ? WHERE hash = ?", .integer(now),
            .blob(device.bytes), .blob(hash.bytes))
        return ((scopes, role), false)
    }

    /// Changes what a laptop may read and write from now on. What it wrote before goes on counting, and what
    /// it has recorded where it may read no more it still hands over.
    ///
    /// - Parameters:
    ///   - scopes: as in ``createToken(scopes:role:lifetimeMilliseconds:pin:)``; `nil` for those it has.
    ///   - role: `nil` for the one it has.
    /// - Returns: how it stands then.
    package func grant(
        _ device: EnrolledDevice, scopes: [String]?, role: String?
    ) throws -> EnrolledDevice {
        if let role { try Self.checkRole(role) }
        let granted = try scopes.map(Self.granted) ?? device.scopes
        let id = try id(of: device)
        guard try revocation(of: id) == nil else {
            throw StoreError.invalid("\(device.name) is revoked: nothing lets it in again")
        }
        try replica.transaction {
            try replica.connection.run(
                "UPDATE sy_hub_device SET role = ?, scopes = ? WHERE device = ?",
                .text(role ?? device.role), .text(granted.scopesText), .blob(id.bytes))
        }
        try renewIfDue(id)
        return try devices().first { $0.device == device.device } ?? device
    }

    private static func checkRole(_ role: String) throws {
        guard Forum.role(named: role) != nil else {
            let roles = Forum.roles.map(\.name).joined(separator: ", ")
            throw StoreError.invalid("there is no role \(role); roles are \(roles)")
        }
    }

    /// The scopes of the device that holds `publicKey`; `nil` for a stranger.
    func scopes(ofKey publicKey: [UInt8]) throws -> [String]? {
        guard
            case .text(let scopes)? = try replica.connection.value(
                "SELECT scopes FROM sy_hub_device WHERE key = ?", .blob(publicKey))
        else { return nil }
        return Array(scopesText: scopes)
    }

    /// All devices, by name.
    package func devices() throws -> [EnrolledDevice] {
        try replica.connection.rows(
            """
            SELECT device, name, role, scopes, enrolled, seen, pending, skew FROM sy_hub_device
            ORDER BY name, device
            """
        ).compactMap { row throws(StoreError) in
            guard case .blob(let device) = row[0], let id = DeviceID(device),
                case .text(let name) = row[1],
                case .text(let role) = row[2], case .text(let scopes) = row[3],
                case .integer(let enrolled) = row[4], case .integer(let pending) = row[6],
                case .integer(let skew) = row[7]
            else { return nil }
            var seen: Int64?
            if case .integer(let time) = row[5] { seen = time }
            return EnrolledDevice(
                device: device.hexadecimal, name: name, role: role,
                scopes: Array(scopesText: scopes),
                enrolledMilliseconds: enrolled, lastSeenMilliseconds: seen,
                revokedMilliseconds: try revocation(of: id)?.decidedMilliseconds,
                pendingCount: pending, clockOffsetMilliseconds: skew)
        }
    }

    /// What people call them.
    package func namesOfDevices() throws(StoreError) -> [DeviceID: String] {
        var names: [DeviceID: String] = [:]
        for row in try replica.connection.rows("SELECT device, name FROM sy_hub_device") {
            guard case .blob(let bytes) = row[0], let device = DeviceID(bytes),
                case .text(let name) = row[1]
            else { continue }
            names[device] = name
        }
        return names
    }

    // MARK: Exchange

    /// Takes in what a device brings, durably, and answers with what it doesn't have.
    ///
    /// - Parameter publicKey: of the device that signed the request.
    package func exchange(_ request: SyncRequest, from publicKey: [UInt8]) throws -> SyncReply {
        for part in request.parts { try takeBack(part) }
        guard let granted = try scopes(ofKey: publicKey) else {
            throw Refusal(
                .revoked, "this device isn't enrolled here; enrol it with a token of this hub")
        }
        let device = DeviceID(publicKey: publicKey)
        if let cut = try revocation(of: device) {
            return try handOver(request, from: publicKey, cut)
        }
        // As long as a laptop holds more of the hub's own stream, the hub gives no number of it.
        if !request.parts.contains(where: isBehind) {
            try renewIfDue(device)
            try statePinsIfDue()
        }
        try replica.seal()
        var room = Limits.batchBytes
        var parts: [SyncReply.Part] = []
        for part in request.parts {
            parts.append(try answer(part, of: granted, from: publicKey, &room))
        }
        try note(request, from: publicKey)
        return SyncReply(
            parts: parts, scopes: try readableScopes(of: granted), hubMilliseconds: now)
    }

    /// - Parameter room: of the reply, in bytes; 0 once a scope has more to give than fits: those behind it
    ///   come later.
    private func answer(
        _ part: ExchangeRequest, of granted: [String], from publicKey: [UInt8], _ room: inout Int
    ) throws -> SyncReply.Part {
        guard part.scope == Forum.scope || Forum.schema.mark(ofScope: part.scope) != nil else {
            return .refused(Refusal(.scope, "this forum has no scope \(part.scope)"))
        }
        let isReadable = granted.contains(part.scope) || granted.contains(Grant.anyScope)
        let strays = try part.runs.filter { try replica.scope(of: $0) ?? part.scope != part.scope }
        let runs = part.runs.filter { !strays.contains($0) }
        // Who may read a scope no more still hands over what was recorded while it could.
        guard isReadable || !runs.isEmpty else {
            return .refused(
                Refusal(.scope, "this laptop is not let read \(part.scope); ask for a token for it")
            )
        }
        var (heads, rejections) = try take(runs, from: publicKey, feeds: isReadable)
        // Where others stand is none of its business then.
        if !isReadable {
            for index in rejections.indices where rejections[index].refusal.code == .gap {
                rejections[index].refusal = Refusal(.gap, "the hub lacks what it builds on")
            }
        }
        let stray = strays.map {
            Rejection($0, Refusal(.scope, "it doesn't lie in \(part.scope)"))
        }
        var reply = ExchangeReply(
            heads: heads, rejections: rejections + stray, entries: [],
            cursor: try part.cursor
                ?? .start(epoch: replica.feedEnd().epoch, scope: part.scope),
            // Who was not told no by what it brought asks once more, and is.
            hasMore: isReadable || rejections.isEmpty, hubMilliseconds: now)
        guard isReadable else { return .answered(reply) }
        guard room > 0 else { return runs.isEmpty ? .postponed : .answered(reply) }
        let feed = try replica.feedEntries(
            of: part.scope, after: part.cursor, ahead: part.ahead, room: room)
        if feed.entries.isEmpty, feed.hasMore, runs.isEmpty, strays.isEmpty { return .postponed }
        (reply.entries, reply.cursor, reply.hasMore) = (feed.entries, feed.cursor, feed.hasMore)
        let size = feed.entries.reduce(0) { $0 + ($1.run?.storedBytes ?? Replica.stubBytes) }
        room = feed.hasMore ? 0 : room - min(room, size)
        return .answered(reply)
    }

    /// The scopes that may be read by who has these grants, the base scope first, and whether those to come may
    /// be read too.
    func readableScopes(of granted: [String]) throws -> [String] {
        let named = granted.filter { $0 != Grant.anyScope && $0 != Forum.scope }
        let all = granted.contains(Grant.anyScope) ? try replica.feedScopes() : []
        let others = Set(named + all).subtracting([Forum.scope])
        let any = granted.contains(Grant.anyScope) ? [Grant.anyScope] : []
        return [Forum.scope] + others.sorted() + any
    }

    /// - Parameter feeds: whether the sender gets what the hub holds beyond that.
    /// - Returns: what is held of each stream now, or kept aside: of what the sender doesn't get nothing is
    ///   said. And what was not taken, as far as its sender has to know: of others' changes that are
    ///   kept aside it reads in the feed.
    func take(
        _ runs: [SealedRun], from publicKey: [UInt8], feeds: Bool = true
    ) throws -> (heads: [RunStub], rejections: [Rejection]) {
        var rejections: [Rejection] = []
        var welcome: [SealedRun] = []
        // Where there are certificates, these decide.
        let asksCertificates = try replica.membership() != nil
        for run in runs {
            if !asksCertificates, let origin = run.header.origin,
                try scopes(ofKey: origin.publicKey) == nil,
                origin.publicKey != publicKey
            {
                rejections.append(
                    Rejection(run, Refusal(.revoked, "its device isn't enrolled here")))
            } else {
                welcome.append(run)
            }
        }
        try nameEnded(welcome)
        var held: [StreamID: [RunStub]] = [:]
        func hold(_ run: SealedRun) {
            // Of what goes on from it, the last.
            held[run.header.stream, default: []].removeAll { $0.hash == run.header.previous }
            held[run.header.stream, default: []].append(RunStub(run))
        }
        let sender = DeviceID(publicKey: publicKey)
        let results = try replica.ingest(welcome)
        try finishTakingBack()
        for (run, result) in zip(welcome, results) {
            switch result {
            case .applied, .duplicate: if !feeds { hold(run) }
            case .refused(let refusal):
                // That there is no room for what a lost laptop left concerns nobody else.
                if refusal.code != .tooLarge || replica.device(of: run.header.stream) == sender
                    || run.header.origin?.device == sender
                {
                    rejections.append(Rejection(run, refusal))
                }
            case .setAside(let refusal):
                hold(run)
                if try replica.knownOrigin(of: run.header.stream)?.device == sender {
                    rejections.append(Rejection(run, refusal))
                }
            }
        }
        var streams = runs.map(\.header.stream)
        if feeds {
            // Of other scopes nothing is said.
            let scope = runs.compactMap { try? replica.scope(of: $0) }.first
            streams += lacking(welcome, results).filter { stream in
                scope == nil || replica.scope(of: stream) ?? scope == scope
            }
        }
        var heads: [RunStub] = []
        var seen: Set<StreamID> = []
        for stream in streams where seen.insert(stream).inserted {
            if let stubs = held[stream] {
                heads += stubs
            } else if feeds || isGap(in: stream, welcome, results),
                try feeds || replica.knownOrigin(of: stream).map({ $0.device == sender }) ?? true
            {
                // Whoever hands over may think wrongly that his stream is here.
                heads += replica.sealedHeads(of: stream)
            }
        }
        return (heads, rejections)
    }

    /// Whether a run of a stream was not taken because one before it is missing.
    private func isGap(
        in stream: StreamID, _ runs: [SealedRun], _ results: [IngestResult]
    ) -> Bool {
        zip(runs, results).contains { run, result in
            guard case .refused(let refusal) = result else { return false }
            return run.header.stream == stream && refusal.code == .gap
        }
    }

    /// The streams of which runs depend on more than the hub holds. Their sender may think that it does:
    /// because a hub that went back in time held it before, or because the stream ends there.
    private func lacking(_ runs: [SealedRun], _ results: [IngestResult]) -> [StreamID] {
        var streams: Set<StreamID> = []
        for case (let run, .refused(let refusal)) in zip(runs, results) where refusal.code == .gap {
            for dependency in run.header.dependencies
            where replica.sealedHeads(of: dependency.stream).allSatisfy({
                $0.lastSeq < dependency.seq
            }) {
                streams.insert(dependency.stream)
            }
        }
        return Array(streams.sorted().prefix(Limits.runDependencies))
    }

    /// For the operator: when the device was here, and what it said of itself.
    func note(_ request: SyncRequest, from publicKey: [UInt8]) throws {
        try replica.transaction(isDurable: false) {
            try replica.connection.run(
                "UPDATE sy_hub_device SET seen = ?, pending = ?, skew = ? WHERE key = ?",
                .integer(now), .integer(Int64(clamping: request.pendingCount)),
                .integer(request.wallMilliseconds.subtractingReportingOverflow(now).partialValue),
                .blob(publicKey))
        }
    }
}

extension Rejection {
    fileprivate init(_ run: SealedRun, _ refusal: Refusal) {
        self.init(stream: run.header.stream, lastSeq: run.header.lastSeq, refusal: refusal)
    }
}

extension [String] {
    /// Scopes as the hub's tables and the records of devices have them: separated by single spaces.
    init(scopesText text: String) { self = text.split(separator: " ").map(String.init) }

    var scopesText: String { joined(separator: " ") }
}
