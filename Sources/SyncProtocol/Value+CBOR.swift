internal import Causality
public import Merge

extension CBOREncoder {
    /// A value in its canonical form: a composite as `[0, part…]`, a sealed one as `[4, box]` or
    /// `[4, box, subject]`, an erased one as `[5]`.
    public mutating func value(_ value: Value) {
        switch value {
        case .null: null()
        case .integer(let value): integer(value)
        case .real(let value): real(value)
        case .text(let value): text(value)
        case .blob(let value): blob(value)
        case .composite(let parts):
            array(parts.count + 1)
            unsigned(0)
            for part in parts { self.value(part) }
        case .sealed(let value):
            array(value.subject == nil ? 2 : 3)
            unsigned(4)
            blob(value.box)
            if let subject = value.subject { blob(subject.identifier.bytes) }
        case .erased:
            array(1)
            unsigned(5)
        }
    }
}

extension CBORDecoder {
    /// A value in its canonical form.
    public mutating func value() throws(CBORError) -> Value {
        if try peek() != .array { return try scalar() }
        let count = try array()
        guard count > 0 else { throw error(.invalid) }
        switch try unsigned() {
        case 0: return .composite(try scalars(count - 1))
        case 4: return .sealed(try sealed(count))
        case 5 where count == 1: return .erased
        default: throw error(.invalid)
        }
    }

    /// The rest of a sealed value, of so many items.
    mutating func sealed(_ count: Int) throws(CBORError) -> SealedValue {
        guard count == 2 || count == 3 else { throw error(.invalid) }
        let box = try blob(limit: Limits.sealedBytes)
        guard box.count > PersonalKey.tagBytes else { throw error(.invalid) }
        return SealedValue(about: count == 3 ? RowID(try identifier()) : nil, box: box)
    }

    mutating func scalars(_ count: Int) throws(CBORError) -> [Value] {
        var values: [Value] = []
        for _ in 0..<count { values.append(try scalar()) }
        return values
    }

    mutating func scalar() throws(CBORError) -> Value {
        switch try peek() {
        case .null:
            try null()
            return .null
        case .unsigned, .negative: return .integer(try integer())
        case .real: return .real(try real())
        case .text: return .text(try text())
        case .blob: return .blob(try blob())
        case .array, .map, .bool: throw error(.unexpectedType)
        }
    }
}

extension Value {
    /// The canonical bytes: what equality, order, elements and hashes are made of.
    public var canonicalBytes: [UInt8] {
        var encoder = CBOREncoder()
        encoder.value(self)
        return encoder.bytes
    }

    /// Reads canonical bytes of one value, with nothing but zeros behind them.
    init(paddedBytes bytes: [UInt8]) throws(CBORError) {
        var decoder = CBORDecoder(bytes)
        self = try decoder.value()
        guard bytes[decoder.offset...].allSatisfy({ $0 == 0 }) else {
            throw decoder.error(.trailing)
        }
    }

    /// Reads canonical bytes that hold one value and nothing else.
    public init(canonicalBytes bytes: [UInt8]) throws(CBORError) {
        var decoder = CBORDecoder(bytes)
        self = try decoder.value()
        try decoder.finish()
    }
}
