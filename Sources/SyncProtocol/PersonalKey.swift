public import Causality
public import Merge
internal import Crypto
internal import Foundation

/// The key to what one changeset says of one person: random, and nowhere but beside the run or the piece of
/// a tail that holds the changeset. Whoever destroys it leaves a body that still verifies.
///
/// ChaCha20-Poly1305 (RFC 8439). A key serves one changeset, and a changeset writes a cell once: so a nonce
/// that follows from the cell is never used twice.
public struct PersonalKey: Hashable, Sendable {
    public static let byteCount = 32
    /// What a box has more than what lies in it, in bytes.
    public static let tagBytes = 16
    /// In the place of a key that is destroyed, or that never came.
    public static let missing = [UInt8](repeating: 0, count: byteCount)

    public let bytes: [UInt8]

    /// `nil` for anything but 32 bytes, and for ``missing``.
    public init?(_ bytes: some Collection<UInt8>) {
        guard bytes.count == Self.byteCount, bytes.contains(where: { $0 != 0 }) else { return nil }
        self.bytes = Array(bytes)
    }

    /// What a run's header has of a key, in bytes.
    public static let checkBytes = 16
    /// What tells whether a key came as it was sent; it tells nothing of the key.
    public var check: [UInt8] { Array(Digest(.personal, bytes).bytes.prefix(Self.checkBytes)) }

    /// A box hides how long its value is, up to this: zeros follow it.
    private static let paddingBytes = 16

    /// Encrypts a value for its cell.
    public func seal(_ value: Value, table: UInt32, row: RowID, column: UInt32) -> [UInt8] {
        do {
            var plain = value.canonicalBytes
            plain += [UInt8](
                repeating: 0,
                count: (Self.paddingBytes - plain.count % Self.paddingBytes) % Self.paddingBytes)
            let box = try ChaChaPoly.seal(
                plain, using: SymmetricKey(data: bytes),
                nonce: Self.nonce(table, row, column))
            return Array(box.ciphertext) + Array(box.tag)
        } catch {
            preconditionFailure("sealing a value threw \(error)")
        }
    }

    /// What lies in a box; `nil` where it is not this key's, or was made for another cell.
    public func open(_ box: [UInt8], table: UInt32, row: RowID, column: UInt32) -> Value? {
        guard box.count > Self.tagBytes,
            let nonce = try? Self.nonce(table, row, column),
            let sealed = try? ChaChaPoly.SealedBox(
                nonce: nonce, ciphertext: box.dropLast(Self.tagBytes),
                tag: box.suffix(Self.tagBytes)),
            let bytes = try? ChaChaPoly.open(sealed, using: SymmetricKey(data: bytes)),
            let value = try? Value(paddedBytes: Array(bytes)), !value.isUnreadable,
            // What counts must not depend on who may read it.
            !Counter.isEntry(value)
        else { return nil }
        return value
    }

    private static func nonce(
        _ table: UInt32, _ row: RowID, _ column: UInt32
    ) throws -> ChaChaPoly.Nonce {
        var encoder = CBOREncoder(reserving: 32)
        encoder.unsigned(UInt64(table))
        encoder.unsigned(UInt64(column))
        let digest = Digest(.personal, encoder.bytes, row.identifier.bytes)
        return try ChaChaPoly.Nonce(data: digest.bytes.prefix(12))
    }
}

/// The keys of one changeset that is being written, each with the person whom it is about, in the order in
/// which the changeset names them first.
public struct PersonalKeys: Sendable {
    private var places: [RowID: Int] = [:]
    private var keys: [PersonalKey] = []

    public init() {}

    /// What is kept of them until a run is made.
    public var kept: KeptKeys { KeptKeys(keys.flatMap { $0.check + $0.bytes }) }

    /// The key for what is said of a person.
    ///
    /// - Parameter random: makes so many random bytes, for one who has no key yet.
    public mutating func key(
        for subject: RowID, _ random: (Int) -> [UInt8]
    ) -> PersonalKey {
        let place = places[subject] ?? places.count
        if place == places.count {
            places[subject] = place
            guard let key = PersonalKey(random(PersonalKey.byteCount)) else {
                preconditionFailure("random bytes are all zero")
            }
            keys.append(key)
        }
        return keys[place]
    }
}

/// Keys beside what no run holds yet: each behind its check, so that a run of it has the same header whoever
/// was erased meanwhile.
public struct KeptKeys: Hashable, Sendable {
    /// `check, key` one behind the other.
    public private(set) var bytes: [UInt8]

    public init(_ bytes: [UInt8] = []) { self.bytes = bytes }

    private static let entryBytes = PersonalKey.checkBytes + PersonalKey.byteCount

    private var starts: [Int] {
        bytes.count.isMultiple(of: Self.entryBytes)
            ? Array(stride(from: 0, to: bytes.count, by: Self.entryBytes)) : []
    }

    /// What a run's header says of them.
    public var checks: [UInt8] {
        starts.flatMap { bytes[$0..<$0 + PersonalKey.checkBytes] }
    }

    /// The keys, none in the place of one that a disk has damaged.
    public var keys: [UInt8] {
        starts.flatMap { start -> [UInt8] in
            let middle = start + PersonalKey.checkBytes
            let check = Array(bytes[start..<middle])
            guard let key = PersonalKey(bytes[middle..<start + Self.entryBytes]), key.check == check
            else { return PersonalKey.missing }
            return key.bytes
        }
    }

    /// The same with other keys, as many.
    public func replacing(_ keys: [UInt8]) -> KeptKeys {
        guard keys.count == starts.count * PersonalKey.byteCount else { return self }
        var result: [UInt8] = []
        for (index, start) in starts.enumerated() {
            result += bytes[start..<start + PersonalKey.checkBytes]
            result += keys[index * PersonalKey.byteCount..<(index + 1) * PersonalKey.byteCount]
        }
        return KeptKeys(result)
    }

    public static func + (a: Self, b: Self) -> Self { Self(a.bytes + b.bytes) }
}
