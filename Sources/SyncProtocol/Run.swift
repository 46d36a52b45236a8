public import Causality

/// A sealed head of another stream that an author held when it sealed a run.
public struct Dependency: Hashable, Sendable {
    public var stream: StreamID
    public var seq: UInt64
    public var run: Digest

    public init(stream: StreamID, seq: UInt64, run: Digest) {
        self.stream = stream
        self.seq = seq
        self.run = run
    }
}

/// Who a stream belongs to: in the header of its first run.
public struct StreamOrigin: Hashable, Sendable {
    /// Ed25519, 32 bytes.
    public var publicKey: [UInt8]
    public var scope: String
    public var incarnation: UInt64

    public init(publicKey: [UInt8], scope: String, incarnation: UInt64) {
        self.publicKey = publicKey
        self.scope = scope
        self.incarnation = incarnation
    }

    /// Scopes by their bytes: two spellings of one name are two scopes.
    public static func == (a: Self, b: Self) -> Bool {
        a.publicKey == b.publicKey && a.incarnation == b.incarnation
            && a.scope.utf8.elementsEqual(b.scope.utf8)
    }

    public func hash(into hasher: inout Hasher) {
        hasher.combine(publicKey)
        hasher.combine(incarnation)
    }

    public var device: DeviceID { DeviceID(publicKey: publicKey) }
    public var stream: StreamID {
        StreamID(device: device, scope: scope, incarnation: incarnation)
    }
}

/// What is signed of a run.
public struct RunHeader: Hashable, Sendable {
    public var stream: StreamID
    public var firstSeq: UInt64
    /// In 1 ... ``Limits/runChangesets``.
    public var count: Int
    /// The run before; `nil` for the first of a stream.
    public var previous: Digest?
    /// SHA-256 of the body as it is stored.
    public var bodyHash: Digest
    public var dependencies: [Dependency]
    public var schemaVersion: UInt64
    public var encoding: BodyEncoding
    /// The body's size when expanded, in bytes.
    public var expandedBytes: Int
    /// Present in the first run of a stream, and only there.
    public var origin: StreamOrigin?
    /// What tells damage of the run's keys, ``PersonalKey/checkBytes`` for each.
    public var keyChecks: [UInt8]
    /// It is of a later format, or has something that must be understood and isn't: of the rest only stream,
    /// numbers, the run before and the body's hash say anything here.
    public private(set) var needsLaterBuild = false

    public var lastSeq: UInt64 { firstSeq + UInt64(count) - 1 }

    package init(
        stream: StreamID, firstSeq: UInt64, count: Int, previous: Digest?, bodyHash: Digest,
        dependencies: [Dependency], schemaVersion: UInt64, encoding: BodyEncoding,
        expandedBytes: Int, origin: StreamOrigin?, keyChecks: [UInt8] = []
    ) {
        self.stream = stream
        self.firstSeq = firstSeq
        self.count = count
        self.previous = previous
        self.bodyHash = bodyHash
        self.dependencies = dependencies
        self.schemaVersion = schemaVersion
        self.encoding = encoding
        self.expandedBytes = expandedBytes
        self.origin = origin
        self.keyChecks = keyChecks
    }

    func encode() -> [UInt8] {
        var encoder = CBOREncoder(reserving: 256 + dependencies.count * 56)
        encoder.map(
            8 + (previous == nil ? 0 : 1) + (origin == nil ? 0 : 3) + (keyChecks.isEmpty ? 0 : 1))
        encoder.unsigned(0)
        encoder.unsigned(Limits.format)
        encoder.unsigned(1)
        encoder.blob(stream.identifier.bytes)
        encoder.unsigned(2)
        encoder.unsigned(firstSeq)
        encoder.unsigned(3)
        encoder.unsigned(UInt64(count))
        if let previous {
            encoder.unsigned(4)
            encoder.blob(previous.bytes)
        }
        encoder.unsigned(5)
        encoder.blob(bodyHash.bytes)
        encoder.unsigned(6)
        encoder.array(dependencies.count)
        for dependency in dependencies { encoder.dependency(dependency) }
        encoder.unsigned(7)
        encoder.unsigned(schemaVersion)
        encoder.unsigned(8)
        encoder.array(2)
        encoder.unsigned(encoding.rawValue)
        encoder.unsigned(UInt64(expandedBytes))
        if let origin {
            encoder.unsigned(9)
            encoder.blob(origin.publicKey)
            encoder.unsigned(10)
            encoder.text(origin.scope)
            encoder.unsigned(11)
            encoder.unsigned(origin.incarnation)
        }
        if !keyChecks.isEmpty {
            encoder.unsigned(12)
            encoder.blob(keyChecks)
        }
        return encoder.bytes
    }

}

extension RunHeader {
    // One case for each key of the map: long, and plain.
    init(decoding bytes: [UInt8]) throws(CBORError) {
        guard bytes.count <= Limits.headerBytes else { throw CBORError(.tooLong, at: 0) }
        var decoder = CBORDecoder(bytes)
        var stream: StreamID?
        var (format, first, count): (UInt64?, UInt64?, UInt64?) = (nil, nil, nil)
        var (previous, bodyHash): (Digest?, Digest?) = (nil, nil)
        var dependencies: [Dependency]?
        var schemaVersion: UInt64?
        var body: (encoding: BodyEncoding, size: UInt64)?
        var (publicKey, scope, incarnation): ([UInt8]?, String?, UInt64?) = (nil, nil, nil)
        var keyChecks: [UInt8] = []
        var needsLaterBuild = false
        try decoder.map { (key, decoder) throws(CBORError) in
            // These say the same in all formats: whoever can't read a run keeps it, and knows where it lies.
            if needsLaterBuild, !(1...5).contains(key) { return try decoder.skip() }
            switch key {
            case 0:
                let number = try decoder.unsigned()
                guard number >= Limits.format else { throw decoder.error(.invalid) }
                format = number
                needsLaterBuild = number > Limits.format
            case 1: stream = try decoder.stream()
            case 2: first = try decoder.unsigned(in: 1...UInt64(Int64.max) - 1)
            case 3: count = try decoder.unsigned(in: 1...UInt64(Limits.runChangesets))
            case 4: previous = try decoder.digest()
            case 5: bodyHash = try decoder.digest()
            case 6: dependencies = try decoder.dependencies()
            case 7: schemaVersion = try decoder.unsigned()
            case 8:
                let further = try decoder.array(atLeast: 2)
                guard let encoding = BodyEncoding(rawValue: try decoder.unsigned()) else {
                    needsLaterBuild = true
                    return try decoder.skip(further + 1)
                }
                guard further == 0 else { throw decoder.error(.invalid) }
                body = (encoding, try decoder.unsigned(in: 0...UInt64(Limits.runExpandedBytes)))
            case 9: publicKey = try decoder.blob(count: 32)
            case 10: scope = try decoder.text(limit: Limits.scopeBytes)
            case 11: incarnation = try decoder.unsigned(in: 0...Limits.incarnation)
            case 12:
                keyChecks = try decoder.blob(limit: Limits.headerBytes)
                guard !keyChecks.isEmpty, keyChecks.count.isMultiple(of: PersonalKey.checkBytes)
                else { throw decoder.error(.invalid) }
            default:
                needsLaterBuild = needsLaterBuild || key >= Limits.criticalKey
                try decoder.skip()
            }
        }
        try decoder.finish()
        guard format != nil, let stream, let first, let count, let bodyHash else {
            throw decoder.error(.missingKey)
        }
        guard first + count - 1 <= UInt64(Int64.max) else { throw decoder.error(.outOfRange) }
        guard !needsLaterBuild else {
            guard (first == 1) == (previous == nil) else { throw decoder.error(.invalid) }
            self.init(
                stream: stream, firstSeq: first, count: Int(count), previous: previous,
                bodyHash: bodyHash, dependencies: [], schemaVersion: 0, encoding: .plain,
                expandedBytes: 0, origin: nil)
            self.needsLaterBuild = true
            return
        }
        guard let dependencies, let schemaVersion, let body else {
            throw decoder.error(.missingKey)
        }
        var origin: StreamOrigin?
        if let publicKey, let scope, let incarnation {
            origin = StreamOrigin(publicKey: publicKey, scope: scope, incarnation: incarnation)
        } else {
            guard publicKey == nil, scope == nil, incarnation == nil else {
                throw decoder.error(.missingKey)
            }
        }
        let isFirst = first == 1
        // By a dep on its own stream, a dot could name what comes after it.
        guard isFirst == (previous == nil), isFirst == (origin != nil),
            origin == nil || origin?.stream == stream,
            !dependencies.contains(where: { $0.stream == stream }),
            // Several branches of one stream may be named.
            Set(dependencies).count == dependencies.count
        else { throw decoder.error(.invalid) }
        self.init(
            stream: stream, firstSeq: first, count: Int(count), previous: previous,
            bodyHash: bodyHash, dependencies: dependencies, schemaVersion: schemaVersion,
            encoding: body.encoding, expandedBytes: Int(body.size), origin: origin,
            keyChecks: keyChecks)
    }
}

/// A run as it is stored and forwarded: verbatim, never encoded again.
public struct SealedRun: Hashable, Sendable {
    public let header: RunHeader
    public let headerBytes: [UInt8]
    /// Ed25519, 64 bytes, over the header's hash.
    public let signature: [UInt8]
    /// As the header's encoding says.
    public let body: [UInt8]
    /// The keys to what the body says of people, one behind the other; see ``RunChanges/keySubjects``.
    /// They are no part of what is signed, and go where the body goes.
    public var keys: [UInt8]

    /// The run's name, and the link of its chain.
    public var hash: Digest { Digest(.run, headerBytes) }
    public var storedBytes: Int { headerBytes.count + seal.count + body.count }

    /// What stands beside header and body where a run is kept or sent: the signature, and the keys behind it.
    public var seal: [UInt8] { signature + keys }

    /// Takes a run from elsewhere: the header is read, nothing else is held to anything yet.
    public init(
        headerBytes: [UInt8], signature: [UInt8], body: [UInt8], keys: [UInt8] = []
    ) throws(CBORError) {
        header = try RunHeader(decoding: headerBytes)
        self.headerBytes = headerBytes
        (self.signature, self.body, self.keys) = (signature, body, keys)
    }

    /// As above, with the signature and the keys as one.
    public init(headerBytes: [UInt8], seal: [UInt8], body: [UInt8]) throws(CBORError) {
        try self.init(
            headerBytes: headerBytes, signature: Array(seal.prefix(Self.signatureBytes)),
            body: body, keys: Array(seal.dropFirst(Self.signatureBytes)))
    }

    /// Takes a run from a file, without those of its keys that a disk has damaged.
    public init(storedHeader: [UInt8], seal: [UInt8], body: [UInt8]) throws(CBORError) {
        try self.init(headerBytes: storedHeader, seal: seal, body: body)
        if !areKeysFitting { keys = fittingKeys }
    }

    /// Whether each of its keys is the one that its author made, or missing.
    public var areKeysFitting: Bool {
        let count = header.keyChecks.count / PersonalKey.checkBytes
        guard !keys.isEmpty, !header.needsLaterBuild else { return true }
        guard keys.count == count * PersonalKey.byteCount else { return false }
        return (0..<count).allSatisfy(isKeyFitting)
    }

    /// Whether any of its keys is missing, be it that they are gone for good.
    public var isMissingKeys: Bool {
        guard !header.keyChecks.isEmpty else { return false }
        return keys.isEmpty
            || stride(from: 0, to: keys.count, by: PersonalKey.byteCount).contains { start in
                keys[start...].prefix(PersonalKey.byteCount).allSatisfy { $0 == 0 }
            }
    }

    /// Takes keys from where more of them are known, as far as they are the ones that belong here.
    package mutating func fillKeys(from others: [UInt8]) {
        // Whose keys these are can't be told.
        guard !header.needsLaterBuild else {
            if keys.isEmpty { keys = others }
            return
        }
        let count = header.keyChecks.count / PersonalKey.checkBytes
        var filled: [UInt8] = []
        for index in 0..<count {
            let range = index * PersonalKey.byteCount..<(index + 1) * PersonalKey.byteCount
            if keys.count >= range.upperBound, let own = PersonalKey(keys[range]) {
                filled += own.bytes
            } else if others.count >= range.upperBound, let other = PersonalKey(others[range]),
                other.check
                    == Array(
                        header.keyChecks[
                            index * PersonalKey.checkBytes..<(index + 1) * PersonalKey.checkBytes])
            {
                filled += other.bytes
            } else {
                filled += PersonalKey.missing
            }
        }
        keys = filled
    }

    private func isKeyFitting(_ index: Int) -> Bool {
        let start = index * PersonalKey.byteCount
        guard let key = PersonalKey(keys[start..<start + PersonalKey.byteCount]) else {
            return true
        }
        let check = index * PersonalKey.checkBytes
        return key.check == Array(header.keyChecks[check..<check + PersonalKey.checkBytes])
    }

    /// The keys, each that doesn't fit replaced by none.
    private var fittingKeys: [UInt8] {
        let count = header.keyChecks.count / PersonalKey.checkBytes
        guard keys.count == count * PersonalKey.byteCount else {
            return [UInt8](repeating: 0, count: count * PersonalKey.byteCount)
        }
        return (0..<count).flatMap { index -> [UInt8] in
            let start = index * PersonalKey.byteCount
            return isKeyFitting(index)
                ? Array(keys[start..<start + PersonalKey.byteCount]) : PersonalKey.missing
        }
    }

    package static let signatureBytes = 64

    /// Runs by what is signed: one without some of its keys is the same one.
    public static func == (a: Self, b: Self) -> Bool {
        a.headerBytes == b.headerBytes && a.signature == b.signature && a.body == b.body
    }

    public func hash(into hasher: inout Hasher) { hasher.combine(signature) }

    /// Signs what is to be sealed.
    ///
    /// - Parameter body: as the header says.
    package init(signing header: RunHeader, body: [UInt8], keys: [UInt8] = [], key: DeviceKey) {
        self.header = header
        self.body = body
        self.keys = keys
        headerBytes = header.encode()
        signature = key.sign(Digest(.run, headerBytes))
    }
}
