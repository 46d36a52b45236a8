public import Causality

/// What a certificate lets a device do in one scope.
public struct Grant: Hashable, Sendable {
    /// Stands for every scope that no other grant of the certificate names.
    public static let anyScope = "*"

    /// As people read scopes.
    public static func forPeople(_ scopes: [String]) -> String {
        scopes.map { $0 == anyScope ? "all" : $0 }.joined(separator: ", ")
    }

    public var scope: String
    /// What people call it. It decides nothing: ``tables`` does.
    public var role: String
    /// The numbers of the tables whose rows the device may write, ascending; `nil` for all.
    ///
    /// They stand here, and not in a schema, so that builds with different schemas judge alike.
    public var tables: [UInt32]?
    /// Milliseconds since 1970; from then on no session is let in on this grant. `nil` for never.
    public var expiryMilliseconds: Int64?

    public init(
        scope: String, role: String, tables: [UInt32]?, expiryMilliseconds: Int64? = nil
    ) {
        (self.scope, self.role) = (scope, role)
        self.tables = tables.map { Array(Set($0)).sorted() }
        self.expiryMilliseconds = expiryMilliseconds
    }
}

/// Who holds a key, and what the holder may do, by the word of another key: the root's for a hub,
/// the hub's for a device.
///
/// What was signed is stored and forwarded as it is, never encoded again.
public struct Certificate: Hashable, Sendable {
    public enum Kind: UInt64, Sendable {
        case hub = 1
        case device = 2
    }

    /// What it says.
    public struct Statement: Hashable, Sendable {
        public var kind: Kind
        /// The holder's signing key: Ed25519, 32 bytes.
        public var publicKey: [UInt8]
        /// The holder's key for what is sealed to it: X25519, 32 bytes.
        public var encryptionKey: [UInt8]
        /// What people call the holder.
        public var name: String
        /// The signer's key: Ed25519, 32 bytes.
        public var issuer: [UInt8]
        /// All times in milliseconds since 1970.
        public var issuedMilliseconds: Int64
        public var expiryMilliseconds: Int64
        /// A hub's has none.
        public var grants: [Grant]

        /// What it lets its holder do in a scope: by the grants that name it, else by those for all others.
        public func grants(in scope: String) -> [Grant] {
            let named = grants.filter { $0.scope.utf8.elementsEqual(scope.utf8) }
            return named.isEmpty ? grants.filter { $0.scope == Grant.anyScope } : named
        }

        public init(
            kind: Kind, publicKey: [UInt8], encryptionKey: [UInt8], name: String, issuer: [UInt8],
            issuedMilliseconds: Int64, expiryMilliseconds: Int64, grants: [Grant]
        ) {
            (self.kind, self.publicKey, self.encryptionKey) = (kind, publicKey, encryptionKey)
            (self.name, self.issuer, self.grants) = (name, issuer, grants)
            self.issuedMilliseconds = issuedMilliseconds
            self.expiryMilliseconds = expiryMilliseconds
        }

        public var device: DeviceID { DeviceID(publicKey: publicKey) }
    }

    public let statement: Statement
    /// The statement's bytes, as they were signed.
    public let bytes: [UInt8]
    public let signature: [UInt8]

    /// Signs a statement. Its issuer is `key`.
    public init(signing statement: Statement, key: DeviceKey) {
        precondition(statement.issuer == key.publicKey, "another key signs than the one it names")
        self.statement = statement
        bytes = statement.encode()
        signature = key.sign(Self.digest(bytes))
    }

    private static func digest(_ bytes: [UInt8]) -> Digest { Digest(.certificate, bytes) }

    /// Whether the issuer that it names has signed it.
    public var isSignedByItsIssuer: Bool {
        DeviceKey.verify(signature, of: Self.digest(bytes), by: statement.issuer)
    }

    /// Statement and signature, for a cell or a message: at most ``Limits/certificateBytes``.
    public func encode() -> [UInt8] {
        var encoder = CBOREncoder()
        encoder.certificate(self)
        return encoder.bytes
    }

    /// Reads one; the signature is not looked at.
    public init(decoding bytes: [UInt8]) throws(CBORError) {
        guard bytes.count <= Limits.certificateBytes else { throw CBORError(.tooLong, at: 0) }
        var decoder = CBORDecoder(bytes)
        self = try decoder.certificate()
        try decoder.finish()
    }

    fileprivate init(bytes: [UInt8], signature: [UInt8]) throws(CBORError) {
        statement = try Statement(decoding: bytes)
        (self.bytes, self.signature) = (bytes, signature)
    }
}

extension Certificate.Statement {
    private enum Key: UInt64 {
        case format, kind, publicKey, encryptionKey, name, issuer, issued, expiry, grants
    }

    func encode() -> [UInt8] {
        var encoder = CBOREncoder()
        func key(_ key: Key) { encoder.unsigned(key.rawValue) }
        encoder.map(9)
        key(.format)
        encoder.unsigned(Limits.format)
        key(.kind)
        encoder.unsigned(kind.rawValue)
        key(.publicKey)
        encoder.blob(publicKey)
        key(.encryptionKey)
        encoder.blob(encryptionKey)
        key(.name)
        encoder.text(name)
        key(.issuer)
        encoder.blob(issuer)
        key(.issued)
        encoder.integer(issuedMilliseconds)
        key(.expiry)
        encoder.integer(expiryMilliseconds)
        key(.grants)
        encoder.array(grants.count)
        for grant in grants {
            encoder.array(4)
            encoder.text(grant.scope)
            encoder.text(grant.role)
            if let tables = grant.tables {
                encoder.array(tables.count)
                for table in tables { encoder.unsigned(UInt64(table)) }
            } else {
                encoder.null()
            }
            if let expiry = grant.expiryMilliseconds {
                encoder.integer(expiry)
            } else {
                encoder.null()
            }
        }
        return encoder.bytes
    }

    /// Keys that nobody knows are passed over, up to ``Limits/criticalKey``: they are part of what was signed.
    init(decoding bytes: [UInt8]) throws(CBORError) {
        var decoder = CBORDecoder(bytes)
        var (kind, name): (Certificate.Kind?, String?)
        var keys: [Key: [UInt8]] = [:]
        var times: [Key: Int64] = [:]
        var (hasFormat, grants): (Bool, [Grant]?) = (false, nil)
        try decoder.map { (number, decoder) throws(CBORError) in
            guard let key = Key(rawValue: number) else {
                guard number < Limits.criticalKey else { throw decoder.error(.later) }
                return try decoder.skip()
            }
            switch key {
            case .format:
                hasFormat = true
                try decoder.format()
            case .kind:
                kind = Certificate.Kind(rawValue: try decoder.unsigned())
                guard kind != nil else { throw decoder.error(.outOfRange) }
            case .publicKey, .encryptionKey, .issuer: keys[key] = try decoder.blob(count: 32)
            case .name: name = try decoder.text(limit: Limits.nameBytes)
            case .issued, .expiry: times[key] = try decoder.integer()
            case .grants: grants = try decoder.grants()
            }
        }
        try decoder.finish()
        guard hasFormat, let kind, let name, let grants, let publicKey = keys[.publicKey],
            let encryptionKey = keys[.encryptionKey], let issuer = keys[.issuer],
            let issued = times[.issued], let expiry = times[.expiry]
        else { throw CBORError(.missingKey, at: 0) }
        self.init(
            kind: kind, publicKey: publicKey, encryptionKey: encryptionKey, name: name,
            issuer: issuer, issuedMilliseconds: issued, expiryMilliseconds: expiry, grants: grants)
    }
}

extension CBOREncoder {
    mutating func certificate(_ certificate: Certificate) {
        array(2)
        blob(certificate.bytes)
        blob(certificate.signature)
    }
}

extension CBORDecoder {
    mutating func certificate() throws(CBORError) -> Certificate {
        try array(count: 2)
        return try Certificate(
            bytes: try blob(limit: Limits.certificateBytes), signature: try blob(count: 64))
    }

    fileprivate mutating func grants() throws(CBORError) -> [Grant] {
        var grants: [Grant] = []
        for _ in 0..<(try array(limit: Limits.grants)) {
            try array(count: 4)
            grants.append(
                Grant(
                    scope: try text(limit: Limits.scopeBytes),
                    role: try text(limit: Limits.nameBytes),
                    tables: try nullIfNext() ? nil : try tables(),
                    expiryMilliseconds: try nullIfNext() ? nil : try integer()))
        }
        return grants
    }

    private mutating func tables() throws(CBORError) -> [UInt32] {
        var tables: [UInt32] = []
        for _ in 0..<(try array(limit: Limits.grantTables)) {
            let table = try unsigned32()
            if let last = tables.last, table <= last { throw error(.keyOrder) }
            tables.append(table)
        }
        return tables
    }
}
