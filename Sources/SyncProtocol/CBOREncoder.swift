/// Writes deterministic CBOR: RFC 8949 §4.2.1, with integer keys only.
///
/// The caller writes map keys in ascending order and as many items as it announced.
public struct CBOREncoder: Sendable {
    public private(set) var bytes: [UInt8]

    public init(reserving capacity: Int = 64) {
        bytes = []
        bytes.reserveCapacity(capacity)
    }

    @inlinable
    public var count: Int { bytes.count }

    public mutating func removeAll() { bytes.removeAll(keepingCapacity: true) }

    mutating func head(_ major: UInt8, _ argument: UInt64) {
        let type = major << 5
        switch argument {
        case 0..<24:
            bytes.append(type | UInt8(truncatingIfNeeded: argument))
        case 24...0xff:
            bytes.append(type | 24)
            bytes.append(UInt8(truncatingIfNeeded: argument))
        case 0x100...0xffff:
            bytes.append(type | 25)
            append(bigEndian: argument, count: 2)
        case 0x1_0000...0xffff_ffff:
            bytes.append(type | 26)
            append(bigEndian: argument, count: 4)
        default:
            bytes.append(type | 27)
            append(bigEndian: argument, count: 8)
        }
    }

    private mutating func append(bigEndian value: UInt64, count: Int) {
        for index in (0..<count).reversed() {
            bytes.append(UInt8(truncatingIfNeeded: value >> (8 * UInt64(index))))
        }
    }

    public mutating func unsigned(_ value: UInt64) { head(0, value) }

    public mutating func integer(_ value: Int64) {
        if value >= 0 { head(0, UInt64(value)) } else { head(1, UInt64(bitPattern: ~value)) }
    }

    public mutating func blob(_ value: some Collection<UInt8>) {
        head(2, UInt64(value.count))
        bytes.append(contentsOf: value)
    }

    public mutating func blob(_ value: UnsafeRawBufferPointer) {
        head(2, UInt64(value.count))
        bytes.append(contentsOf: value)
    }

    public mutating func text(_ value: String) {
        var value = value
        value.withUTF8 { utf8 in
            head(3, UInt64(utf8.count))
            bytes.append(contentsOf: utf8)
        }
    }

    /// A text by its bytes; `false` when they are not UTF-8, and then nothing was written.
    public mutating func text(_ utf8: UnsafeRawBufferPointer) -> Bool {
        guard (try? UTF8Span(validating: utf8.bindMemory(to: UInt8.self).span)) != nil else {
            return false
        }
        head(3, UInt64(utf8.count))
        bytes.append(contentsOf: utf8)
        return true
    }

    public mutating func array(_ count: Int) { head(4, UInt64(count)) }
    public mutating func map(_ count: Int) { head(5, UInt64(count)) }
    public mutating func null() { bytes.append(0xf6) }
    public mutating func bool(_ value: Bool) { bytes.append(value ? 0xf5 : 0xf4) }

    /// The shortest of 16, 32 and 64 bits that gives back every bit, NaN payloads included.
    public mutating func real(_ value: Double) {
        let bits = value.bitPattern
        guard let single = FloatBits.narrow(bits, from: .double, to: .single) else {
            bytes.append(0xfb)
            return append(bigEndian: bits, count: 8)
        }
        guard let half = FloatBits.narrow(single, from: .single, to: .half) else {
            bytes.append(0xfa)
            return append(bigEndian: single, count: 4)
        }
        bytes.append(0xf9)
        append(bigEndian: half, count: 2)
    }

    /// Lets `body` append bytes that are no items.
    mutating func appending(_ body: (inout [UInt8]) -> Void) { body(&bytes) }

    /// Appends items that are deterministic CBOR already.
    public mutating func raw(_ items: some Sequence<UInt8>) { bytes.append(contentsOf: items) }
}

/// Changes the width of IEEE 754 numbers by their bits, so that NaN payloads survive.
enum FloatBits {
    struct Format {
        let exponentBits: UInt64
        let fractionBits: UInt64
        static let half = Format(exponentBits: 5, fractionBits: 10)
        static let single = Format(exponentBits: 8, fractionBits: 23)
        static let double = Format(exponentBits: 11, fractionBits: 52)
        var bias: Int64 { (1 << (exponentBits - 1)) - 1 }
        var exponentMask: UInt64 { (1 << exponentBits) - 1 }
        var fractionMask: UInt64 { (1 << fractionBits) - 1 }
    }

    /// `bits` in the narrower format, or `nil` where that would lose a bit.
    static func narrow(_ bits: UInt64, from wide: Format, to thin: Format) -> UInt64? {
        let sign = bits >> (wide.exponentBits + wide.fractionBits)
        let exponent = bits >> wide.fractionBits & wide.exponentMask
        let fraction = bits & wide.fractionMask
        let drop = wide.fractionBits - thin.fractionBits
        let result: (exponent: UInt64, fraction: UInt64)
        if exponent == wide.exponentMask || exponent == 0 {
            // Infinities, NaN and zero. A wide subnormal never fits.
            guard fraction & ((1 << drop) - 1) == 0, exponent != 0 || fraction == 0 else {
                return nil
            }
            result = (exponent == 0 ? 0 : thin.exponentMask, fraction >> drop)
        } else {
            let shifted = Int64(exponent) - wide.bias + thin.bias
            guard shifted < Int64(thin.exponentMask) else { return nil }
            // Below 1 the number becomes subnormal: the leading one moves into the fraction.
            let extra = shifted < 1 ? UInt64(1 - shifted) : 0
            guard extra <= thin.fractionBits else { return nil }
            let significand = extra > 0 ? fraction | 1 << wide.fractionBits : fraction
            guard significand & ((1 << (drop + extra)) - 1) == 0 else { return nil }
            result = (extra > 0 ? 0 : UInt64(shifted), significand >> (drop + extra))
        }
        return sign << (thin.exponentBits + thin.fractionBits)
            | result.exponent << thin.fractionBits | result.fraction
    }

    /// `bits` in the wider format: never loses anything.
    static func widen(_ bits: UInt64, from thin: Format, to wide: Format) -> UInt64 {
        let sign = bits >> (thin.exponentBits + thin.fractionBits)
        var exponent = bits >> thin.fractionBits & thin.exponentMask
        var fraction = bits & thin.fractionMask
        if exponent == thin.exponentMask {
            exponent = wide.exponentMask
        } else if exponent == 0 && fraction != 0 {
            let shift = UInt64(fraction.leadingZeroBitCount) - (63 - thin.fractionBits)
            fraction = fraction << shift & thin.fractionMask
            exponent = UInt64(1 - Int64(shift) - thin.bias + wide.bias)
        } else if exponent != 0 {
            exponent = UInt64(Int64(exponent) - thin.bias + wide.bias)
        }
        return sign << (wide.exponentBits + wide.fractionBits)
            | exponent << wide.fractionBits
            | fraction << (wide.fractionBits - thin.fractionBits)
    }
}
