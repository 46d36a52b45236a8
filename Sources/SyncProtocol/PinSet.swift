/// The TLS keys by which a hub is known, in its own words: the one that it serves with, and those that
/// it may serve with next. A record in the hub's row, so that laptops know the next key before it is used.
public struct PinSet: Hashable, Sendable {
    /// SHA-256 of each key's SubjectPublicKeyInfo in DER, 32 bytes each: first the one in use. One at
    /// least, ``Limits/pins`` at most.
    public let pins: [[UInt8]]
    /// When the hub said so, in milliseconds since 1970: of two, the later one is true.
    public let statedMilliseconds: Int64

    /// - Returns: `nil` for no pin, for too many, and for one that is not 32 bytes.
    public init?(pins: [[UInt8]], statedMilliseconds: Int64) {
        guard (1...Limits.pins).contains(pins.count), pins.allSatisfy({ $0.count == 32 }) else {
            return nil
        }
        (self.pins, self.statedMilliseconds) = (pins, statedMilliseconds)
    }

    public func encode() -> [UInt8] {
        var encoder = CBOREncoder()
        encoder.array(3)
        encoder.unsigned(Limits.format)
        encoder.array(pins.count)
        for pin in pins { encoder.blob(pin) }
        encoder.integer(statedMilliseconds)
        return encoder.bytes
    }

    public init(decoding bytes: [UInt8]) throws(CBORError) {
        guard bytes.count <= Limits.pinSetBytes else { throw CBORError(.tooLong, at: 0) }
        var decoder = CBORDecoder(bytes)
        let further = try decoder.array(atLeast: 3)
        try decoder.format()
        var pins: [[UInt8]] = []
        for _ in 0..<(try decoder.array(limit: Limits.pins)) {
            pins.append(try decoder.blob(count: 32))
        }
        let stated = try decoder.integer()
        try decoder.skip(further)
        try decoder.finish()
        guard let whole = PinSet(pins: pins, statedMilliseconds: stated) else {
            throw decoder.error(.invalid)
        }
        self = whole
    }

    /// The order in which a hub's words count: the last is true.
    public static func isBefore(_ a: PinSet, _ b: PinSet) -> Bool {
        if a.statedMilliseconds != b.statedMilliseconds {
            return a.statedMilliseconds < b.statedMilliseconds
        }
        return a.encode().lexicographicallyPrecedes(b.encode())
    }
}

/// The keys that a laptop takes for its hub's.
public struct TrustedPins: Hashable, Sendable {
    public var pins: [[UInt8]]
    /// Up to when what the hub said of its keys is outdated, in milliseconds since 1970, by the hub's
    /// clock: when it let this laptop in, or said what ``pins`` are.
    public var sinceMilliseconds: Int64

    public init(pins: [[UInt8]], sinceMilliseconds: Int64) {
        (self.pins, self.sinceMilliseconds) = (pins, sinceMilliseconds)
    }

    /// What to trust once these words of the hub are known.
    ///
    /// The latest counts. One that was said before `sinceMilliseconds` counts where it names a key that is
    /// trusted: a token gives the one in use, and the record the next as well.
    public func adopting(_ stated: [PinSet]) -> TrustedPins {
        guard let last = stated.max(by: PinSet.isBefore) else { return self }
        guard
            last.statedMilliseconds > sinceMilliseconds || last.pins.contains(where: pins.contains)
        else { return self }
        return TrustedPins(
            pins: last.pins,
            sinceMilliseconds: max(last.statedMilliseconds, sinceMilliseconds))
    }
}
