/// CRC-32C, the Castagnoli polynomial (RFC 3720 §12.1): tells that a medium has changed bytes, and nothing of
/// people who have.
struct CRC32C {
    private static let table: [UInt32] = (0..<256).map { byte in
        (0..<8).reduce(UInt32(byte)) { sum, _ in
            sum & 1 == 0 ? sum >> 1 : sum >> 1 ^ 0x82f6_3b78
        }
    }

    private var state: UInt32 = .max

    mutating func add(_ bytes: some Collection<UInt8>) {
        Self.table.withUnsafeBufferPointer { table in
            for byte in bytes {
                state = state >> 8 ^ table[Int(UInt8(truncatingIfNeeded: state) ^ byte)]
            }
        }
    }

    var value: UInt32 { ~state }
}
