/// Numbers of one kind behind each other: a byte that says how they lie, then all of them.
///
/// Equal numbers are said once. Few are packed by bits, since a compressor has too little to learn
/// from; many lie by bytes, all lowest bytes first, so that it finds like beside like.
enum Numbers {
    /// The first byte.
    private enum Form {
        static let zeros: UInt8 = 0x00
        /// Plus the bytes of each number, 1 to 8.
        static let planes: UInt8 = 0x00
        /// Plus the bytes of the one number, 1 to 8.
        static let equal: UInt8 = 0x10
        /// Plus the bits of each number, 1 to 63.
        static let bits: UInt8 = 0x40
    }

    /// Fewer numbers than this are packed by bits.
    private static let fewLimit = 256

    static func append(_ numbers: [UInt64], to bytes: inout [UInt8]) {
        guard let first = numbers.first else { return }
        var (all, isEqual): (UInt64, Bool) = (0, true)
        for number in numbers {
            all |= number
            isEqual = isEqual && number == first
        }
        let bitCount = UInt64.bitWidth - all.leadingZeroBitCount
        let width = (bitCount + 7) / 8
        if all == 0 {
            bytes.append(Form.zeros)
        } else if isEqual {
            bytes.append(Form.equal | UInt8(width))
            append(plane: first, width: width, to: &bytes)
        } else if numbers.count < fewLimit, bitCount < 64 {
            append(bits: numbers, bitCount: UInt64(bitCount), to: &bytes)
        } else {
            bytes.append(Form.planes | UInt8(width))
            for plane in 0..<UInt64(width) {
                for number in numbers {
                    bytes.append(UInt8(truncatingIfNeeded: number >> (8 * plane)))
                }
            }
        }
    }

    private static func append(plane number: UInt64, width: Int, to bytes: inout [UInt8]) {
        for plane in 0..<UInt64(width) {
            bytes.append(UInt8(truncatingIfNeeded: number >> (8 * plane)))
        }
    }

    private static func append(bits numbers: [UInt64], bitCount: UInt64, to bytes: inout [UInt8]) {
        bytes.append(Form.bits | UInt8(bitCount))
        var (byte, used): (UInt8, UInt64) = (0, 0)
        for number in numbers {
            var (left, number) = (bitCount, number)
            while left > 0 {
                let taken = min(left, 8 - used)
                byte |= UInt8(truncatingIfNeeded: (number & (1 << taken - 1)) << used)
                number >>= taken
                left -= taken
                used += taken
                if used == 8 {
                    bytes.append(byte)
                    (byte, used) = (0, 0)
                }
            }
        }
        if used > 0 { bytes.append(byte) }
    }

    /// A difference as an unsigned number: those near 0, of either sign, are small.
    static func zigzag(_ number: Int64) -> UInt64 { UInt64(bitPattern: number << 1 ^ number >> 63) }
    static func difference(_ zigzag: UInt64) -> Int64 {
        Int64(bitPattern: zigzag >> 1) ^ -Int64(bitPattern: zigzag & 1)
    }
}

extension CBOREncoder {
    mutating func numbers(_ numbers: [UInt64]) {
        appending { Numbers.append(numbers, to: &$0) }
    }
}

extension CBORDecoder {
    /// As many numbers as the caller knows to follow, and has held against a limit.
    mutating func numbers(_ count: Int) throws(CBORError) -> [UInt64] {
        guard count > 0 else { return [] }
        let form = try byte()
        switch form {
        case 0: return Array(repeating: 0, count: count)
        case 0x01...0x08: return try planes(count, width: Int(form))
        case 0x11...0x18:
            let number = try planes(1, width: Int(form & 15))[0]
            return Array(repeating: number, count: count)
        case 0x41...0x7f: return try packed(count, bitCount: UInt64(form & 63))
        default: throw error(.invalid)
        }
    }

    private mutating func planes(_ count: Int, width: Int) throws(CBORError) -> [UInt64] {
        let range = try raw(count * width)
        return [UInt64](unsafeUninitializedCapacity: count) { numbers, initialized in
            // The range is held against the bytes already, and this is most of what a reader reads.
            bytes.withUnsafeBufferPointer { bytes in
                for index in 0..<count {
                    numbers[index] = UInt64(bytes[range.lowerBound + index])
                }
                for plane in 1..<max(width, 1) {
                    let base = range.lowerBound + plane * count
                    for index in 0..<count {
                        numbers[index] |= UInt64(bytes[base + index]) << (8 * UInt64(plane))
                    }
                }
            }
            initialized = count
        }
    }

    private mutating func packed(_ count: Int, bitCount: UInt64) throws(CBORError) -> [UInt64] {
        let range = try raw((count * Int(bitCount) + 7) / 8)
        var numbers: [UInt64] = []
        numbers.reserveCapacity(count)
        var (place, used): (Int, UInt64) = (range.lowerBound, 0)
        for _ in 0..<count {
            var (number, got): (UInt64, UInt64) = (0, 0)
            while got < bitCount {
                let taken = min(bitCount - got, 8 - used)
                number |= (UInt64(bytes[place] >> used) & (1 << taken - 1)) << got
                got += taken
                used += taken
                if used == 8 { (place, used) = (place + 1, 0) }
            }
            numbers.append(number)
        }
        guard used == 0 || bytes[place] >> used == 0 else { throw error(.invalid) }
        return numbers
    }
}
