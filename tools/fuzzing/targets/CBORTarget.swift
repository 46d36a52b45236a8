import Merge
import SyncProtocol

/// The decoder by itself: items of every kind one behind another, and one value.
struct CBORTarget: FuzzTarget {
    let inputLimit = 4_096
    let allocationLimit = 4

    func offer(_ bytes: [UInt8]) throws(Violation) -> Bool {
        let areItems = try items(bytes)
        let isValue = try value(bytes)
        try hold(areItems || !isValue, "a value is no item")
        return areItems
    }

    /// What is passed over and what is read and written again are the same, and so is why not.
    private func items(_ bytes: [UInt8]) throws(Violation) -> Bool {
        var passing = CBORDecoder(bytes)
        var copying = passing
        while !passing.isAtEnd {
            let start = passing.offset
            var encoder = CBOREncoder()
            let passed = Result { () throws(CBORError) in try passing.skip() }
            let copied = Result { () throws(CBORError) in try copying.copy(to: &encoder) }
            switch (passed, copied) {
            case (.success, .success):
                try hold(passing.offset == copying.offset, "an item ends at two places")
                try hold(
                    encoder.bytes.elementsEqual(bytes[start..<passing.offset]),
                    "an item is written otherwise than it was read")
            case (.failure(let one), .failure(let other)):
                try hold(one == other, "passing over: \(one), reading: \(other)")
                return false
            default: throw Violation("passing over: \(passed), reading: \(copied)")
            }
        }
        return true
    }

    private func value(_ bytes: [UInt8]) throws(Violation) -> Bool {
        let read = Result { () throws(CBORError) in try Value(canonicalBytes: bytes) }
        // What lies around a range must not matter.
        var decoder = CBORDecoder([0xff] + bytes + [0xff], range: 1..<bytes.count + 1)
        let framed = Result { () throws(CBORError) in
            let value = try decoder.value()
            try decoder.finish()
            return value
        }.mapError { CBORError($0.reason, at: $0.offset - 1) }
        try hold(read == framed, "alone: \(read), in a range: \(framed)")
        guard let value = try? read.get() else { return false }
        try hold(value.canonicalBytes == bytes, "canonical bytes of a value aren't what was read")
        return true
    }
}

extension CBORDecoder {
    /// Reads one item of any kind and writes it again.
    fileprivate mutating func copy(
        to encoder: inout CBOREncoder, depth: Int = Limits.depth
    ) throws(CBORError) {
        guard depth > 0 else { throw error(.tooDeep) }
        switch try peek() {
        case .unsigned: encoder.unsigned(try unsigned())
        case .negative: try copyNegative(to: &encoder)
        case .blob: encoder.blob(try blob(limit: .max))
        case .text: encoder.text(try text(limit: .max))
        case .null:
            try null()
            encoder.null()
        case .bool: encoder.bool(try bool())
        case .real: encoder.real(try real())
        case .array:
            let count = try array()
            encoder.array(count)
            for _ in 0..<count { try copy(to: &encoder, depth: depth - 1) }
        case .map:
            var (entries, count) = (CBOREncoder(), 0)
            try map { (key, decoder) throws(CBORError) in
                entries.unsigned(key)
                try decoder.copy(to: &entries, depth: depth - 1)
                count += 1
            }
            encoder.map(count)
            encoder.raw(entries.bytes)
        }
    }

    /// Negative numbers go further than 64 bits with a sign do.
    private mutating func copyNegative(to encoder: inout CBOREncoder) throws(CBORError) {
        let start = offset
        var reader = self
        try skip()
        do throws(CBORError) {
            encoder.integer(try reader.integer())
        } catch {
            guard error.reason == .outOfRange else { throw error }
            encoder.raw(bytes[start..<offset])
        }
    }
}
