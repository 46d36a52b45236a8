import Causality
import TestSupport
import Testing

@Suite struct Names {
    @Test func `an identifier is its sixteen bytes, in their order`() {
        var generator = SplitMix64(seed: 3)
        var all: [Identifier] = []
        for _ in 0..<500 {
            let bytes = (0..<16).map { _ in UInt8(truncatingIfNeeded: generator.below(3) * 127) }
            guard let identifier = Identifier(bytes) else {
                Issue.record("16 bytes were refused")
                return
            }
            #expect(identifier.bytes == bytes)
            #expect(identifier == Identifier(hexadecimal: identifier.hexadecimal))
            #expect(identifier == Identifier(hexadecimal: identifier.hexadecimal.uppercased()))
            #expect(
                identifier.withUnsafeBytes { Identifier(reading: $0.baseAddress!) } == identifier)
            all.append(identifier)
        }
        for a in all {
            for b in all.prefix(50) {
                #expect((a < b) == a.bytes.lexicographicallyPrecedes(b.bytes))
                #expect((a == b) == (a.bytes == b.bytes))
            }
        }
        #expect(Identifier([]) == nil)
        #expect(Identifier([UInt8](repeating: 0, count: 15)) == nil)
        #expect(Identifier([UInt8](repeating: 0, count: 17)) == nil)
    }

    @Test(arguments: [
        "", "0", "00112233445566778899aabbccddeef", "00112233445566778899aabbccddeeff0",
        "g0112233445566778899aabbccddeeff", "0x112233445566778899aabbccddeeff",
        "00112233445566778899aabbccddee f", "００112233445566778899aabbccddee",
    ])
    func `what is not 32 digits is no identifier`(text: String) {
        #expect(Identifier(hexadecimal: text) == nil)
    }

    @Test func `hexadecimal digits give back every byte`() {
        let bytes = (0...255).map { UInt8($0) }
        let text = Hexadecimal.text(of: bytes)
        #expect(text.prefix(8) == "00010203")
        #expect(text.suffix(4) == "feff")
        #expect(Hexadecimal.bytes(of: text) == bytes)
        #expect(Hexadecimal.bytes(of: "") == [])
        #expect(Hexadecimal.bytes(of: "abc") == nil)
        #expect(Hexadecimal.bytes(of: "+1") == nil)
    }

    @Test func `a dot reads as it is written`() {
        let stream = StreamID(Identifier(high: 0x0123_4567_89ab_cdef, low: 42))
        for seq in [1, 2, 255, UInt64(Int64.max), UInt64.max] {
            let dot = Dot(stream, seq)
            #expect(Dot(dot.description) == dot)
        }
        #expect(Dot(stream, 7).description == "0123456789abcdef000000000000002a:7")
    }

    @Test(arguments: [
        "", ":", "0123456789abcdef000000000000002a", "0123456789abcdef000000000000002a:",
        "0123456789abcdef000000000000002a:0", "0123456789abcdef000000000000002a:-1",
        "0123456789abcdef000000000000002a:1:2", "0123456789abcdef000000000000002a:1 ",
        "0123456789abcdef000000000000002a: 1", ":1", "0123456789abcdef000000000000002:1",
        "0123456789abcdef000000000000002a:18446744073709551616",
        "0123456789abcdef000000000000002a:1x", "0123456789abcdef000000000000002a:+5",
        "0123456789abcdef000000000000002a:05",
    ])
    func `what is not STREAM and SEQ is no dot`(text: String) {
        #expect(Dot(text) == nil)
    }

    @Test func `dots are in the order of their streams, then of their numbers`() {
        let (low, high) = (
            StreamID(Identifier(high: 0, low: 9)), StreamID(Identifier(high: 1, low: 0))
        )
        let sorted = [Dot(low, 1), Dot(low, 2), Dot(low, 10), Dot(high, 1)]
        #expect(sorted.reversed().sorted() == sorted)
    }

    @Test func `a device is named by 32 bytes`() throws {
        let bytes = (0..<32).map { UInt8($0) }
        let next = try #require(DeviceID(bytes.dropLast() + [32]))
        #expect(DeviceID(bytes).map { $0 < next && !(next < $0) } == true)
        #expect(DeviceID(bytes)?.short == "00010203")
        #expect(DeviceID(Array(bytes.dropLast())) == nil)
        #expect(DeviceID(bytes + [0]) == nil)
    }
}
