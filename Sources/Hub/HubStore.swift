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
        // A build that knew nothing of blobs may have erased somebody. What can't be read keeps nobody from serving.
        try? replica.removeForgottenBlobs()
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
        guard ContentKey.isUsable(request.encryptionKey) else {
            throw Refusal(.poison, "what is sealed to its X25519 key is open to everybody")
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

    /// The scopes of the device that signed a request, be it revoked.
    ///
    /// - Throws: `Refusal` for a stranger.
    func granted(to publicKey: [UInt8]) throws -> [String] {
        guard let granted = try scopes(ofKey: publicKey) else {
            throw Refusal(
                .revoked, "this device isn't enrolled here; enrol it with a token of this hub")
        }
        return granted
    }

    func mayRead(_ scope: String, _ granted: [String]) -> Bool {
        scope == Forum.scope || granted.contains(scope) || granted.contains(Grant.anyScope)
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
}

extension [String] {
    /// Scopes as the hub's tables and the records of devices have them: separated by single spaces.
    init(scopesText text: String) { self = text.split(separator: " ").map(String.init) }

    var scopesText: String { joined(separator: " ") }
}
