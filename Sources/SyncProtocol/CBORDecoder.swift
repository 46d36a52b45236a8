internal import Causality

/// Why bytes aren't the deterministic CBOR that was expected, and where.
public struct CBORError: Error, Hashable, Sendable, CustomStringConvertible {
    public enum Reason: String, Hashable, Sendable {
        case truncated = "the bytes end too soon"
        case notShortest = "a number isn't in its shortest form"
        case indefinite = "a length is indefinite"
        case unexpectedType = "an item is of another type than expected"
        case outOfRange = "a number is out of range"
        case invalidUTF8 = "a text isn't UTF-8"
        case tooDeep = "items are nested too deep"
        case tooLong = "an item is over its limit"
        case keyOrder = "map keys are out of order or doubled"
        case unknownKey = "a map holds a key that this format doesn't know"
        case missingKey = "a map lacks a key"
        case unsupported = "a tag or simple value isn't allowed"
        case trailing = "bytes follow the end"
        case invalid = "an item breaks a rule of the format"
        case later = "it is of a later format"
    }

    public let reason: Reason
    /// Bytes from the start of what was read.
    public let offset: Int

    public init(_ reason: Reason, at offset: Int) {
        self.reason = reason
        self.offset = offset
    }

    public var description: String { "\(reason.rawValue) (byte \(offset))" }
}

/// Reads deterministic CBOR and refuses every other encoding of the same data.
///
/// Lengths are held against what is left before anything is allocated.
public struct CBORDecoder: Sendable {
    public let bytes: [UInt8]
    public private(set) var offset: Int
    private let end: Int

    public init(_ bytes: [UInt8]) {
        self.bytes = bytes
        offset = 0
        end = bytes.count
    }

    public init(_ bytes: [UInt8], range: Range<Int>) {
        precondition(range.lowerBound >= 0 && range.upperBound <= bytes.count)
        self.bytes = bytes
        offset = range.lowerBound
        end = range.upperBound
    }

    public var isAtEnd: Bool { offset == end }

    /// The error for what was read last.
    public func error(_ reason: CBORError.Reason) -> CBORError { CBORError(reason, at: offset) }

    /// Throws when anything follows.
    public func finish() throws(CBORError) {
        guard isAtEnd else { throw error(.trailing) }
    }

    /// The kind of the item that comes next, without reading it.
    public enum Kind: Hashable, Sendable {
        case unsigned, negative, blob, text, array, map, null, bool, real
    }

    public func peek() throws(CBORError) -> Kind {
        guard offset < end else { throw error(.truncated) }
        switch (bytes[offset] >> 5, bytes[offset] & 31) {
        case (0, _): return .unsigned
        case (1, _): return .negative
        case (2, _): return .blob
        case (3, _): return .text
        case (4, _): return .array
        case (5, _): return .map
        case (7, 22): return .null
        case (7, 20), (7, 21): return .bool
        case (7, 25), (7, 26), (7, 27): return .real
        default: throw error(.unsupported)
        }
    }

    private mutating func bigEndian(_ count: Int) throws(CBORError) -> UInt64 {
        guard end - offset >= count else { throw error(.truncated) }
        var value: UInt64 = 0
        for index in offset..<offset + count {
            value = value << 8 | UInt64(bytes[index])
        }
        offset += count
        return value
    }

    private mutating func argument(_ major: UInt8) throws(CBORError) -> UInt64 {
        guard offset < end else { throw error(.truncated) }
        let head = bytes[offset]
        guard head >> 5 == major else { throw error(.unexpectedType) }
        let small = head & 31
        if small < 24 {
            offset += 1
            return UInt64(small)
        }
        guard small != 31 else { throw error(.indefinite) }
        guard small <= 27 else { throw error(.unsupported) }
        offset += 1
        let width = 1 << (Int(small) - 24)
        let value = try bigEndian(width)
        let least: UInt64 = small == 24 ? 24 : 1 << (4 * UInt64(width))
        guard value >= least else { throw error(.notShortest) }
        return value
    }

    public mutating func unsigned() throws(CBORError) -> UInt64 { try argument(0) }

    /// An unsigned number that fits in 32 bits.
    public mutating func unsigned32() throws(CBORError) -> UInt32 {
        guard let value = UInt32(exactly: try argument(0)) else { throw error(.outOfRange) }
        return value
    }

    public mutating func integer() throws(CBORError) -> Int64 {
        guard offset < end else { throw error(.truncated) }
        let isNegative = bytes[offset] >> 5 == 1
        guard let value = Int64(exactly: try argument(isNegative ? 1 : 0)) else {
            throw error(.outOfRange)
        }
        return isNegative ? ~value : value
    }

    /// A length or a count, held against what is left.
    ///
    /// - Parameter limit: `.max` for none.
    private mutating func count(_ major: UInt8, limit: Int) throws(CBORError) -> Int {
        let count = try argument(major)
        guard limit == .max || count <= UInt64(limit) else { throw error(.tooLong) }
        guard count <= UInt64(end - offset) else { throw error(.truncated) }
        return Int(count)
    }

    private mutating func range(_ major: UInt8, limit: Int) throws(CBORError) -> Range<Int> {
        let length = try count(major, limit: limit)
        defer { offset += length }
        return offset..<offset + length
    }

    public mutating func blob(limit: Int = Limits.valueBytes) throws(CBORError) -> [UInt8] {
        Array(bytes[try range(2, limit: limit)])
    }

    /// Bytes that are not read yet.
    var left: Int { end - offset }

    /// Where a text without its head lies, held to be UTF-8.
    mutating func textRange(bare count: Int) throws(CBORError) -> Range<Int> {
        let range = try raw(count)
        try validate(range)
        return range
    }

    /// So many bytes that are no item.
    mutating func raw(_ count: Int) throws(CBORError) -> Range<Int> {
        guard count <= end - offset else { throw error(.truncated) }
        defer { offset += count }
        return offset..<offset + count
    }

    mutating func byte() throws(CBORError) -> UInt8 { bytes[try raw(1).lowerBound] }

    /// A blob of exactly `count` bytes.
    public mutating func blob(count: Int) throws(CBORError) -> [UInt8] {
        let range = try range(2, limit: count)
        guard range.count == count else { throw error(.invalid) }
        return Array(bytes[range])
    }

    /// A blob of 16 bytes.
    mutating func identifier() throws(CBORError) -> Identifier {
        let range = try range(2, limit: 16)
        guard range.count == 16 else { throw error(.invalid) }
        return bytes.withUnsafeBytes { bytes in
            guard let start = bytes.baseAddress else { return Identifier(high: 0, low: 0) }
            return Identifier(reading: start + range.lowerBound)
        }
    }

    public mutating func text(limit: Int = Limits.valueBytes) throws(CBORError) -> String {
        try text(in: try range(3, limit: limit))
    }

    private func text(in range: Range<Int>) throws(CBORError) -> String {
        do {
            return String(copying: try UTF8Span(validating: bytes.span.extracting(range)))
        } catch {
            throw self.error(.invalidUTF8)
        }
    }

    /// Where a text lies, held to be UTF-8.
    private mutating func textRange() throws(CBORError) -> Range<Int> {
        let range = try range(3, limit: Limits.valueBytes)
        try validate(range)
        return range
    }

    private func validate(_ range: Range<Int>) throws(CBORError) {
        guard !isASCII(range) else { return }
        do {
            _ = try UTF8Span(validating: bytes.span.extracting(range))
        } catch {
            throw self.error(.invalidUTF8)
        }
    }

    private func isASCII(_ range: Range<Int>) -> Bool {
        bytes.withUnsafeBytes { bytes in
            var (offset, high) = (range.lowerBound, UInt64(0))
            while offset + 8 <= range.upperBound {
                high |= bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self)
                offset += 8
            }
            while offset < range.upperBound {
                high |= UInt64(bytes[offset])
                offset += 1
            }
            return high & 0x8080_8080_8080_8080 == 0
        }
    }

    /// A scalar where it lies; see ``RunChanges/Op``.
    struct Plain {
        var kind: RunChanges.Kind
        var payload: UInt64

        init(_ kind: RunChanges.Kind, _ payload: UInt64) {
            (self.kind, self.payload) = (kind, payload)
        }

        init(_ kind: RunChanges.Kind, _ range: Range<Int>) {
            self.init(kind, UInt64(range.lowerBound) << 32 | UInt64(range.count))
        }
    }

    /// A scalar, without a copy of it.
    mutating func plain() throws(CBORError) -> Plain {
        guard offset < end else { throw error(.truncated) }
        switch bytes[offset] >> 5 {
        case 0, 1: return Plain(.integer, UInt64(bitPattern: try integer()))
        case 2: return Plain(.blob, try range(2, limit: Limits.valueBytes))
        case 3: return Plain(.text, try textRange())
        default:
            switch try peek() {
            case .null:
                offset += 1
                return Plain(.null, 0)
            case .real: return Plain(.real, try real().bitPattern)
            default: throw error(.unexpectedType)
            }
        }
    }

    /// The number of items that follow; no more than there are bytes left.
    public mutating func array(limit: Int = .max) throws(CBORError) -> Int {
        try count(4, limit: limit)
    }

    /// An array of exactly `count` items.
    public mutating func array(count: Int) throws(CBORError) {
        guard try array() == count else { throw error(.invalid) }
    }

    /// An array of at least `count` items: builds to come may add some at its end.
    ///
    /// - Returns: how many more there are, for ``skip(_:)``.
    public mutating func array(atLeast count: Int) throws(CBORError) -> Int {
        let found = try array()
        guard found >= count else { throw error(.invalid) }
        return found - count
    }

    /// Passes over whole items, each held to the rules of the encoding.
    public mutating func skip(_ count: Int) throws(CBORError) {
        for _ in 0..<count { try skip() }
    }

    /// The number of a format: that of this build, or one that it can't read.
    public mutating func format() throws(CBORError) {
        let found = try unsigned()
        guard found >= Limits.format else { throw error(.invalid) }
        guard found == Limits.format else { throw error(.later) }
    }

    public mutating func null() throws(CBORError) {
        guard try peek() == .null else { throw error(.unexpectedType) }
        offset += 1
    }

    /// Reads a null when one is next.
    public mutating func nullIfNext() throws(CBORError) -> Bool {
        guard try peek() == .null else { return false }
        offset += 1
        return true
    }

    public mutating func bool() throws(CBORError) -> Bool {
        guard offset < end else { throw error(.truncated) }
        guard bytes[offset] == 0xf4 || bytes[offset] == 0xf5 else {
            throw error(.unexpectedType)
        }
        offset += 1
        return bytes[offset - 1] == 0xf5
    }

    public mutating func real() throws(CBORError) -> Double {
        guard try peek() == .real else { throw error(.unexpectedType) }
        let width = bytes[offset]
        offset += 1
        switch width {
        case 0xf9:
            let single = FloatBits.widen(try bigEndian(2), from: .half, to: .single)
            return Double(bitPattern: FloatBits.widen(single, from: .single, to: .double))
        case 0xfa:
            let bits = try bigEndian(4)
            guard FloatBits.narrow(bits, from: .single, to: .half) == nil else {
                throw error(.notShortest)
            }
            return Double(bitPattern: FloatBits.widen(bits, from: .single, to: .double))
        default:
            let bits = try bigEndian(8)
            guard FloatBits.narrow(bits, from: .double, to: .single) == nil else {
                throw error(.notShortest)
            }
            return Double(bitPattern: bits)
        }
    }

    /// The number of entries that follow.
    mutating func mapCount() throws(CBORError) -> Int { try count(5, limit: .max) }

    /// Reads a map with ascending unsigned keys; `body` reads the value of each.
    public mutating func map(
        _ body: (UInt64, inout CBORDecoder) throws(CBORError) -> Void
    ) throws(CBORError) {
        let count = try mapCount()
        var previous: UInt64?
        for _ in 0..<count {
            let key = try argument(0)
            if let previous, key <= previous { throw error(.keyOrder) }
            previous = key
            try body(key, &self)
        }
    }

    /// Passes over one item of any type, holding it to the same rules.
    public mutating func skip(depth: Int = Limits.depth) throws(CBORError) {
        guard depth > 0 else { throw error(.tooDeep) }
        switch try peek() {
        case .unsigned, .negative: _ = try argument(bytes[offset] >> 5)
        case .blob: _ = try range(2, limit: .max)
        case .text: _ = try text(limit: .max)
        case .null, .bool: offset += 1
        case .real: _ = try real()
        case .array:
            for _ in 0..<(try array()) { try skip(depth: depth - 1) }
        case .map:
            try map { (_, decoder) throws(CBORError) in try decoder.skip(depth: depth - 1) }
        }
    }
}
