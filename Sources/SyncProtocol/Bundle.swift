public import Causality

/// Why a bundle is not taken.
public struct BundleError: Error, Hashable, Sendable {
    public enum Reason: Hashable, Sendable {
        case notABundle, short, tooLong, damaged, order, later, hash, trailing, signature
        case otherRoot, otherRecipient, key, sealed, stranger
        /// Its file is no longer the one that was read whole.
        case changed
        case unreadable(CBORError.Reason)
    }

    public var reason: Reason
    /// Where in the file the frame begins that can't be read, in bytes.
    public var offset: UInt64

    public init(_ reason: Reason, at offset: UInt64) {
        (self.reason, self.offset) = (reason, offset)
    }

    /// For people: what is wrong, and what to do next.
    public var explanation: String {
        let again =
            "Nothing was taken in. Copy it again from where it came, or have another one made"
        return switch reason {
        case .notABundle: "it is not a Karvan bundle. Nothing was taken in"
        case .short: "it ends before its end, at byte \(offset): it was not copied whole. \(again)"
        case .damaged: "what lies at byte \(offset) is damaged. \(again)"
        case .hash: "it is not what its end says: something in it was changed. \(again)"
        case .trailing: "something lies behind its end, at byte \(offset). \(again)"
        case .tooLong, .order, .sealed, .unreadable:
            "what lies at byte \(offset) can't be read. \(again)"
        case .later:
            "it was made by a newer Karvan. Nothing was taken in. Update this program, then import it again"
        case .signature:
            "whoever it says has made it has not signed it. Nothing was taken in. Ask who gave it to you"
        case .otherRoot: "it is of another forum. Nothing was taken in"
        case .otherRecipient:
            "it is for others, and can't be opened here. Nothing was taken in. Bring it to one of them, or "
                + "have one made for this device"
        case .key:
            "it is for this device, and its box doesn't open: it was made for an earlier key, or changed. "
                + "Nothing was taken in. Have another one made"
        case .stranger:
            "whoever has made it is no device of this forum, as far as is known here. Nothing was taken in. "
                + "Sync with the hub first, or import a bundle of the hub"
        case .changed:
            "it could not be read to its end as it was before. What was taken in of it stays, and does no harm: "
                + "import it again"
        }
    }
}

/// What a bundle says before anything in it is opened.
public struct BundleHead: Hashable, Sendable {
    /// Who can open it, and the box with the content key.
    public struct Recipient: Hashable, Sendable {
        public var device: DeviceID
        /// HPKE's encapsulated key, 32 bytes.
        public var encapsulatedKey: [UInt8]
        /// The content key, sealed: 48 bytes.
        public var box: [UInt8]

        package init(device: DeviceID, encapsulatedKey: [UInt8], box: [UInt8]) {
            (self.device, self.encapsulatedKey, self.box) = (device, encapsulatedKey, box)
        }
    }

    /// Ed25519, 32 bytes.
    public var sender: [UInt8]
    public var root: DeviceID
    /// The sender's wall clock, milliseconds since 1970.
    public var madeMilliseconds: Int64
    /// What the parts of one series share.
    public var series: Identifier
    /// Its place in the series, from 1.
    public var part: UInt64
    /// In the order of their devices.
    public package(set) var recipients: [Recipient] = []

    public init(
        sender: [UInt8], root: DeviceID, madeMilliseconds: Int64, series: Identifier, part: UInt64
    ) {
        (self.sender, self.root, self.series, self.part) = (sender, root, series, part)
        self.madeMilliseconds = madeMilliseconds
    }

    /// Lets others open it.
    ///
    /// - Parameter devices: with the X25519 key of each, 32 bytes; at most ``Limits/bundleRecipients``.
    public mutating func seal(_ key: ContentKey, for devices: [DeviceID: [UInt8]]) {
        precondition(
            (1...Limits.bundleRecipients).contains(devices.count),
            "a bundle for nobody, or for too many")
        recipients = devices.sorted { $0.key < $1.key }.compactMap { device, publicKey in
            key.sealed(to: publicKey, info: info(for: device)).map {
                Recipient(device: device, encapsulatedKey: $0.enc, box: $0.box)
            }
        }
    }

    /// The content key, as one of the recipients has it.
    ///
    /// - Throws: ``BundleError`` otherRecipient or key.
    public func contentKey(by device: DeviceKey) throws(BundleError) -> ContentKey {
        let found = recipients.first { $0.device == device.device }
        guard let found else { throw BundleError(.otherRecipient, at: 0) }
        let key = ContentKey(
            opening: found.box, enc: found.encapsulatedKey, by: device,
            info: info(for: device.device))
        guard let key else { throw BundleError(.key, at: 0) }
        return key
    }

    private func info(for device: DeviceID) -> [UInt8] {
        let part = withUnsafeBytes(of: self.part.bigEndian) { Array($0) }
        return Digest(.bundleKey, sender, root.bytes, series.bytes, part, device.bytes).bytes
    }

    package func encode() -> [UInt8] {
        var encoder = CBOREncoder(reserving: 256 + recipients.count * 128)
        encoder.array(7)
        encoder.unsigned(Limits.format)
        encoder.blob(sender)
        encoder.blob(root.bytes)
        encoder.integer(madeMilliseconds)
        encoder.blob(series.bytes)
        encoder.unsigned(part)
        encoder.array(recipients.count)
        for recipient in recipients {
            encoder.array(3)
            encoder.blob(recipient.device.bytes)
            encoder.blob(recipient.encapsulatedKey)
            encoder.blob(recipient.box)
        }
        return encoder.bytes
    }

    package init(decoding bytes: [UInt8]) throws(CBORError) {
        var decoder = CBORDecoder(bytes)
        let further = try decoder.array(atLeast: 7)
        try decoder.format()
        sender = try decoder.blob(count: 32)
        root = DeviceID(try decoder.blob(count: 32))!
        madeMilliseconds = try decoder.integer()
        series = Identifier(try decoder.blob(count: 16))!
        part = try decoder.unsigned(in: 1...UInt64(Int64.max))
        for _ in 0..<(try decoder.array(limit: Limits.bundleRecipients)) {
            try decoder.array(count: 3)
            let device = DeviceID(try decoder.blob(count: 32))!
            if let last = recipients.last, device <= last.device {
                throw decoder.error(.keyOrder)
            }
            recipients.append(
                Recipient(
                    device: device, encapsulatedKey: try decoder.blob(count: 32),
                    box: try decoder.blob(count: ContentKey.boxBytes)))
        }
        guard !recipients.isEmpty else { throw decoder.error(.invalid) }
        try decoder.skip(further)
        try decoder.finish()
    }
}

/// What the sender of a bundle holds: the first of its contents.
public struct BundleList: Hashable, Sendable {
    public struct Scope: Hashable, Sendable {
        public var scope: String
        /// Of each stream and branch, the last sealed run.
        public var heads: [RunStub]

        public init(scope: String, heads: [RunStub]) {
            (self.scope, self.heads) = (scope, heads)
        }
    }

    public var schemaVersion: UInt64
    /// Of a hub's feed; a device has none.
    public var epoch: Identifier?
    public var scopes: [Scope]

    public init(schemaVersion: UInt64, epoch: Identifier?, scopes: [Scope]) {
        (self.schemaVersion, self.epoch, self.scopes) = (schemaVersion, epoch, scopes)
    }

    package func encode() -> [UInt8] {
        var encoder = CBOREncoder(reserving: 64 + scopes.reduce(0) { $0 + $1.heads.count * 64 })
        encoder.array(3)
        encoder.unsigned(schemaVersion)
        if let epoch { encoder.blob(epoch.bytes) } else { encoder.null() }
        encoder.array(scopes.count)
        for scope in scopes {
            encoder.array(2)
            encoder.text(scope.scope)
            encoder.array(scope.heads.count)
            for head in scope.heads { encoder.stub(head) }
        }
        return encoder.bytes
    }

    package init(decoding bytes: [UInt8]) throws(CBORError) {
        var decoder = CBORDecoder(bytes)
        let further = try decoder.array(atLeast: 3)
        schemaVersion = try decoder.unsigned()
        epoch = try decoder.nullIfNext() ? nil : Identifier(try decoder.blob(count: 16))!
        scopes = []
        for _ in 0..<(try decoder.array(limit: Limits.scopes)) {
            let further = try decoder.array(atLeast: 2)
            let scope = try decoder.text(limit: Limits.scopeBytes)
            var heads: [RunStub] = []
            for _ in 0..<(try decoder.array()) { heads.append(try decoder.stub()) }
            try decoder.skip(further)
            guard !scopes.contains(where: { $0.scope.utf8.elementsEqual(scope.utf8) }) else {
                throw decoder.error(.invalid)
            }
            scopes.append(Scope(scope: scope, heads: heads))
        }
        try decoder.skip(further)
        try decoder.finish()
    }
}

/// Runs of one scope, as they lie in one frame.
public struct BundledRuns: Hashable, Sendable {
    public var scope: String
    /// Not empty; together at most ``Limits/batchBytes`` as stored, or one.
    public var runs: [SealedRun]

    public init(scope: String, runs: [SealedRun]) { (self.scope, self.runs) = (scope, runs) }

    package func encode() -> [UInt8] {
        let size = runs.reduce(0) { $0 + $1.storedBytes + 16 }
        var encoder = CBOREncoder(reserving: 128 + size)
        encoder.array(2)
        encoder.text(scope)
        encoder.array(runs.count)
        for run in runs { encoder.run(run) }
        return encoder.bytes
    }

    package init(decoding bytes: [UInt8]) throws(CBORError) {
        var decoder = CBORDecoder(bytes)
        let further = try decoder.array(atLeast: 2)
        scope = try decoder.text(limit: Limits.scopeBytes)
        runs = []
        for _ in 0..<(try decoder.array()) { runs.append(try decoder.run()) }
        guard !runs.isEmpty else { throw decoder.error(.invalid) }
        try decoder.skip(further)
        try decoder.finish()
    }
}

/// The end of a bundle, by which it is whole.
package struct BundleFoot: Hashable, Sendable {
    /// SHA-256 of all that stands before it in the file.
    var hash: Digest
    /// No further part of the series follows.
    package var isLast: Bool
    var signature: [UInt8]

    init(hash: Digest, isLast: Bool, key: DeviceKey) {
        (self.hash, self.isLast) = (hash, isLast)
        signature = key.sign(Self.digest(hash, isLast))
    }

    func isSigned(by sender: [UInt8]) -> Bool {
        DeviceKey.verify(signature, of: Self.digest(hash, isLast), by: sender)
    }

    private static func digest(_ hash: Digest, _ isLast: Bool) -> Digest {
        Digest(.bundle, hash.bytes, [isLast ? 1 : 0])
    }

    func encode() -> [UInt8] {
        var encoder = CBOREncoder(reserving: 128)
        encoder.array(3)
        encoder.blob(hash.bytes)
        encoder.bool(isLast)
        encoder.blob(signature)
        return encoder.bytes
    }

    init(decoding bytes: [UInt8]) throws(CBORError) {
        var decoder = CBORDecoder(bytes)
        try decoder.array(count: 3)
        hash = try decoder.digest()
        isLast = try decoder.bool()
        signature = try decoder.blob(count: 64)
        try decoder.finish()
    }
}
