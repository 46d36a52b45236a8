import Causality
import SyncProtocol
import TestSupport
import Testing

/// RFC 8949 appendix A, as far as this format has the types, and what deterministic encoding
/// forbids.
@Suite struct CBORVectors {
    private func bytes(_ text: String) -> [UInt8] { Array(hexadecimal: text) ?? [] }

    private func reason<T>(
        _ text: String, _ read: (inout CBORDecoder) throws -> T
    ) -> CBORError.Reason? {
        var decoder = CBORDecoder(bytes(text))
        do {
            _ = try read(&decoder)
            try decoder.finish()
            return nil
        } catch let error as CBORError {
            return error.reason
        } catch {
            Issue.record("\(error)")
            return nil
        }
    }

    private static let integers: [(Int64, String)] = [
        (0, "00"), (1, "01"), (10, "0a"), (23, "17"), (24, "1818"), (25, "1819"), (100, "1864"),
        (1_000, "1903e8"), (1_000_000, "1a000f4240"), (1_000_000_000_000, "1b000000e8d4a51000"),
        (-1, "20"), (-10, "29"), (-100, "3863"), (-1_000, "3903e7"), (255, "18ff"),
        (256, "190100"), (65_535, "19ffff"), (65_536, "1a00010000"), (4_294_967_295, "1affffffff"),
        (4_294_967_296, "1b0000000100000000"), (.max, "1b7fffffffffffffff"),
        (.min, "3b7fffffffffffffff"), (-24, "37"), (-25, "3818"), (-256, "38ff"), (-257, "390100"),
    ]

    @Test func `integers are those of the RFC`() throws {
        for (value, text) in Self.integers {
            var encoder = CBOREncoder()
            encoder.integer(value)
            #expect(encoder.bytes.hexadecimal == text)
            var decoder = CBORDecoder(bytes(text))
            #expect(try decoder.integer() == value)
            try decoder.finish()
        }
        var decoder = CBORDecoder(bytes("1bffffffffffffffff"))
        #expect(try decoder.unsigned() == .max)
    }

    private static let reals: [(Double, String)] = [
        (0.0, "f90000"), (-0.0, "f98000"), (1.0, "f93c00"), (1.1, "fb3ff199999999999a"),
        (1.5, "f93e00"), (65_504.0, "f97bff"), (100_000.0, "fa47c35000"),
        (3.4028234663852886e+38, "fa7f7fffff"), (1.0e+300, "fb7e37e43c8800759c"),
        (5.960464477539063e-8, "f90001"), (0.00006103515625, "f90400"), (-4.0, "f9c400"),
        (-4.1, "fbc010666666666666"), (.infinity, "f97c00"), (.nan, "f97e00"),
        (-.infinity, "f9fc00"),
        // The edges of half, single and double, subnormal ones included.
        (6.097555160522461e-5, "f903ff"), (65_505.0, "fa477fe100"), (65_536.0, "fa47800000"),
        (2.9802322387695312e-8, "fa33000000"), (8.940696716308594e-8, "fa33c00000"),
        (1.401298464324817e-45, "fa00000001"), (1.1754942106924411e-38, "fa007fffff"),
        (1.1754943508222875e-38, "fa00800000"), (7.006492321624085e-46, "fb3690000000000000"),
        (0x1.8p-149, "fb36a8000000000000"),
        (3.402823669209385e+38, "fb47f0000000000000"),
        (.leastNonzeroMagnitude, "fb0000000000000001"),
        (.leastNormalMagnitude, "fb0010000000000000"),
        (.greatestFiniteMagnitude, "fb7fefffffffffffff"),
    ]

    @Test func `reals are those of the RFC, in the shortest form that keeps every bit`() throws {
        for (value, text) in Self.reals {
            var encoder = CBOREncoder()
            encoder.real(value)
            #expect(encoder.bytes.hexadecimal == text, "\(value)")
            var decoder = CBORDecoder(bytes(text))
            #expect(try decoder.real().bitPattern == value.bitPattern)
            try decoder.finish()
        }
    }

    @Test func `the payload, sign and kind of a NaN are kept`() throws {
        let patterns: [(UInt64, String)] = [
            (0x7ff8_0000_0000_0000, "f97e00"), (0xfff8_0000_0000_0000, "f9fe00"),
            (0x7ff0_0000_0000_0001, "fb7ff0000000000001"), (0x7ff4_0000_0000_0000, "f97d00"),
            (0x7ff8_0000_0000_0001, "fb7ff8000000000001"), (0x7ff0_0400_0000_0000, "f97c01"),
            (0x7ff0_0200_0000_0000, "fa7f801000"), (0x7ff0_0000_2000_0000, "fa7f800001"),
            (0xffff_ffff_ffff_ffff, "fbffffffffffffffff"), (0x7fff_fc00_0000_0000, "f97fff"),
        ]
        for (pattern, text) in patterns {
            var encoder = CBOREncoder()
            encoder.real(Double(bitPattern: pattern))
            #expect(encoder.bytes.hexadecimal == text)
            var decoder = CBORDecoder(bytes(text))
            #expect(try decoder.real().bitPattern == pattern)
        }
    }

    @Test func `every half survives, and a random double gives itself back in one form only`()
        throws
    {
        for half in UInt16.min ... .max {
            let text: [UInt8] = [0xf9, UInt8(half >> 8), UInt8(half & 0xff)]
            var decoder = CBORDecoder(text)
            let value = try decoder.real()
            if half & 0x7c00 != 0x7c00 { #expect(value == expectedHalf(half)) }
            var encoder = CBOREncoder()
            encoder.real(value)
            #expect(encoder.bytes == text)
        }
        var generator = SplitMix64(seed: 5)
        for _ in 0..<100_000 {
            let mask = UInt64.max << UInt64(generator.below(64))
            let exponent = UInt64(1_023 - 200 + generator.below(400)) << 52
            let bits =
                generator.chance(1, in: 2)
                ? generator.next() & mask : (generator.next() & (1 << 52 - 1) & mask) | exponent
            var encoder = CBOREncoder()
            encoder.real(Double(bitPattern: bits))
            var decoder = CBORDecoder(encoder.bytes)
            #expect(try decoder.real().bitPattern == bits)
            let value = Double(bitPattern: bits)
            if !value.isNaN, Double(Float(value)) == value { #expect(encoder.count <= 5) }
            if !value.isNaN, Double(Float(value)) != value { #expect(encoder.count == 9) }
        }
    }

    private func expectedHalf(_ bits: UInt16) -> Double {
        let fraction = Double(bits & 0x3ff)
        let exponent = Int(bits >> 10 & 0x1f)
        let size =
            exponent == 0
            ? fraction * 5.960464477539063e-8
            : (1 + fraction / 1_024) * Double(sign: .plus, exponent: exponent - 15, significand: 1)
        return bits >> 15 == 1 ? -size : size
    }

    @Test(arguments: [
        "1800", "1817", "190000", "1900ff", "1a00000000", "1a0000ffff", "1b0000000000000000",
        "1b00000000ffffffff", "3817", "3900ff",
    ])
    func `an integer in more bytes than it needs is refused`(text: String) {
        #expect(reason(text) { try $0.integer() } == .notShortest)
        #expect(reason(text) { try $0.skip() } == .notShortest)
    }

    @Test(arguments: [
        "fa00000000", "fa3f800000", "fb3ff0000000000000", "fb0000000000000000", "fa7f800000",
        "fb7ff8000000000000", "fa7fc00000", "fb47efffffe0000000", "fb3e70000000000000",
        "fb36a0000000000000",
    ])
    func `a real in more bytes than it needs is refused`(text: String) {
        #expect(reason(text) { try $0.real() } == .notShortest)
        #expect(reason(text) { try $0.skip() } == .notShortest)
    }

    @Test func `indefinite lengths are refused`() {
        for text in [
            "5f42010243030405ff", "7f657374726561646d696e67ff", "9fff", "bfff", "9f0102ff",
        ] {
            #expect(reason(text) { try $0.skip() } == .indefinite)
        }
        #expect(reason("5fff") { try $0.blob() } == .indefinite)
        #expect(reason("7fff") { try $0.text() } == .indefinite)
        #expect(reason("9fff") { try $0.array() } == .indefinite)
    }

    @Test func `tags, simple values and reserved heads are refused`() {
        for text in [
            "c074323031332d", "d74401020304", "f0", "f7", "f8ff", "f818", "ff", "fc", "1c", "1f",
        ] {
            #expect(reason(text) { try $0.skip() } != nil, "\(text)")
        }
        #expect(reason("f4") { try $0.bool() } == nil)
        #expect(reason("f6") { try $0.null() } == nil)
        #expect(reason("f5") { try $0.null() } == .unexpectedType)
        #expect(reason("00") { try $0.bool() } == .unexpectedType)
    }

    @Test func `map keys are unsigned, ascending and each there once`() {
        let read = { (decoder: inout CBORDecoder) in
            try decoder.map { (_, decoder) throws(CBORError) in try decoder.skip() }
        }
        #expect(reason("a201020304", read) == nil)
        #expect(reason("a203040102", read) == .keyOrder)
        #expect(reason("a201020102", read) == .keyOrder)
        #expect(reason("a16161f6", read) == .unexpectedType)
        #expect(reason("a120f6", read) == .unexpectedType)
        #expect(reason("a1", read) == .truncated)
        #expect(reason("a203040102") { try $0.skip() } == .keyOrder)
    }

    @Test(arguments: [
        "61ff", "62c328", "62e282", "62c0af", "63eda080", "64f4908080", "64f8888080", "61c3",
    ])
    func `a text that is not UTF-8 is refused`(text: String) {
        let found = reason(text) { try $0.text() }
        #expect(found == .invalidUTF8)
        #expect(reason(text) { try $0.skip() } == .invalidUTF8)
    }

    @Test func `texts and blobs are those of the RFC`() throws {
        for (value, text) in [
            ("", "60"), ("a", "6161"), ("IETF", "6449455446"), ("\"\\", "62225c"),
            ("\u{fc}", "62c3bc"), ("\u{6c34}", "63e6b0b4"), ("\u{10151}", "64f0908591"),
            ("\0", "6100"),
        ] {
            var encoder = CBOREncoder()
            encoder.text(value)
            #expect(encoder.bytes.hexadecimal == text)
            var decoder = CBORDecoder(bytes(text))
            #expect(try decoder.text().utf8.elementsEqual(value.utf8))
        }
        var encoder = CBOREncoder()
        encoder.blob([1, 2, 3, 4])
        #expect(encoder.bytes.hexadecimal == "4401020304")
    }

    @Test func `nesting has a limit`() {
        let deep = { (count: Int) in String(repeating: "81", count: count) + "00" }
        #expect(reason(deep(Limits.depth - 1)) { try $0.skip() } == nil)
        #expect(reason(deep(Limits.depth)) { try $0.skip() } == .tooDeep)
        #expect(reason(deep(100_000)) { try $0.skip() } == .tooDeep)
        #expect(reason(String(repeating: "a100", count: 9) + "00") { try $0.skip() } == .tooDeep)
    }

    @Test func `a length beyond the end is refused before anything is made for it`() {
        let lengths = ["1affffffff", "1b7fffffffffffffff", "1bffffffffffffffff", "19ffff"]
        for length in lengths {
            let head = { (major: UInt8) -> String in
                var all = bytes(length)
                all[0] |= major << 5
                return all.hexadecimal
            }
            #expect(reason(head(2)) { try $0.blob(limit: .max) } != nil)
            #expect(reason(head(3)) { try $0.text(limit: .max) } != nil)
            #expect(reason(head(4)) { try $0.array() } == .truncated)
            #expect(reason(head(5)) { try $0.skip() } == .truncated)
            #expect(reason(head(2)) { try $0.blob() } != nil)
        }
        #expect(reason("590001ff") { try $0.blob(limit: 1) } == .notShortest)
        #expect(
            reason("5818" + String(repeating: "00", count: 24)) { try $0.blob(limit: 23) }
                == .tooLong)
    }

    @Test func `an item that ends early is refused at every byte`() {
        for (_, text) in Self.reals + Self.integers.map({ (Double($0.0), $0.1) }) {
            let all = bytes(text)
            for count in 0..<all.count {
                var decoder = CBORDecoder(Array(all[..<count]))
                #expect(throws: CBORError.self) { try decoder.skip() }
            }
        }
        #expect(reason("0000") { try $0.unsigned() } == .trailing)
    }
}
