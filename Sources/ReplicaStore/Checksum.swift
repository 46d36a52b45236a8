package import Causality

/// A check against a disk's flipped bytes; it is no protection against people.
///
/// Each step is a bijection of the state and of the word, so that a single damaged word always
/// gives another sum of 64 bits.
package struct Checksum {
    private var state: UInt64

    package init(_ seed: UInt64 = 0x9e37_79b9_7f4a_7c15) { state = seed }

    package mutating func add(_ word: UInt64) {
        state = (state ^ word) &* 0xff51_afd7_ed55_8ccd
        state ^= state >> 32
    }

    package mutating func add(_ identifier: Identifier) {
        add(identifier.high)
        add(identifier.low)
    }

    /// The length, then the bytes, eight at a time.
    package mutating func add(_ bytes: UnsafeRawBufferPointer) {
        add(UInt64(bytes.count))
        var offset = 0
        while bytes.count - offset >= 8 {
            add(bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self).littleEndian)
            offset += 8
        }
        guard offset < bytes.count else { return }
        var word: UInt64 = 0
        while offset < bytes.count {
            word = word << 8 | UInt64(bytes[offset])
            offset += 1
        }
        add(word)
    }

    package mutating func add(_ bytes: [UInt8]) { bytes.withUnsafeBytes { add($0) } }

    package var value: UInt64 {
        let mixed = (state ^ state >> 29) &* 0x9fb2_1c65_1e98_df25
        return mixed ^ mixed >> 32
    }

    package var word: UInt32 { UInt32(truncatingIfNeeded: value) }
}
