public import Merge

extension CBOREncoder {
    /// A value in its canonical form: a composite as `[0, part…]`.
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
        }
    }
}

extension CBORDecoder {
    /// A value in its canonical form.
    public mutating func value() throws(CBORError) -> Value {
        if try peek() != .array { return try scalar() }
        let count = try array()
        guard count > 0, try unsigned() == 0 else { throw error(.invalid) }
        return .composite(try scalars(count - 1))
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

    /// Reads canonical bytes that hold one value and nothing else.
    public init(canonicalBytes bytes: [UInt8]) throws(CBORError) {
        var decoder = CBORDecoder(bytes)
        self = try decoder.value()
        try decoder.finish()
    }
}
