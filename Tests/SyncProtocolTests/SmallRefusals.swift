import Causality
import SyncProtocol
import Testing

@Suite struct SmallRefusals {
    @Test func `a hash is made of 32 bytes, and bytes of pairs of digits`() {
        let bytes = (0..<32).map { UInt8($0) }
        #expect(Digest(bytes)?.bytes == bytes)
        #expect(Digest(Array(bytes.dropLast())) == nil)
        #expect(Digest(bytes + [0]) == nil)
        #expect([UInt8](hexadecimal: "00ff") == [0, 255])
        #expect([UInt8](hexadecimal: "00f") == nil)
        #expect([UInt8](hexadecimal: "0g") == nil)
    }

    @Test(arguments: [[0xff], [0xc3], [0x61, 0xed, 0xa0, 0x80], [0xc0, 0x80]] as [[UInt8]])
    func `what is no UTF-8 is written as no text`(bytes: [UInt8]) {
        var encoder = CBOREncoder()
        #expect(bytes.withUnsafeBytes { !encoder.text($0) })
        #expect(encoder.bytes.isEmpty)
        #expect(Array("é\0".utf8).withUnsafeBytes { encoder.text($0) })
        #expect(encoder.bytes == [0x63, 0xc3, 0xa9, 0x00])
    }

    /// An exchange's request up to where its heads begin.
    private func request(aheadCount: Int) -> CBOREncoder {
        var encoder = CBOREncoder()
        encoder.array(5)
        encoder.unsigned(Limits.format)
        for _ in 0..<3 { encoder.unsigned(0) }
        encoder.array(1)
        encoder.array(4)
        encoder.text("forum")
        encoder.null()
        encoder.array(aheadCount)
        return encoder
    }

    /// On the way it goes without that entry, which its map counts all the same.
    @Test func `a header that ends where the body's hash belongs lacks the rest`() {
        var encoder = request(aheadCount: 0)
        encoder.array(1)
        encoder.array(3)
        encoder.blob([0xa2, 0x00, 0x01])
        encoder.blob([UInt8](repeating: 0, count: 64))
        encoder.blob([0xf6])
        let error = #expect(throws: CBORError.self) {
            try SyncRequest(decoding: encoder.bytes)
        }
        #expect(error?.reason == .missingKey)
    }

    @Test func `a decoder of a part sees nothing before and behind it`() throws {
        var decoder = CBORDecoder([0xff, 0x01, 0xf6, 0xff], range: 1..<3)
        #expect(try decoder.unsigned() == 1)
        #expect(!decoder.isAtEnd)
        try decoder.null()
        #expect(decoder.isAtEnd)
        #expect(throws: CBORError(.truncated, at: 3)) { try decoder.unsigned() }
    }

    @Test(arguments: [0x00, 0x20, 0x40, 0x60, 0x80, 0xa0, 0xf4, 0xf9] as [UInt8])
    func `what is no null isn't read as one`(byte: UInt8) {
        var decoder = CBORDecoder([byte, 0, 0])
        #expect(throws: CBORError(.unexpectedType, at: 0)) { try decoder.null() }
    }

    @Test(arguments: [0x00, 0x20, 0x40, 0x60, 0x80, 0xa0, 0xf4, 0xf6] as [UInt8])
    func `what is no real isn't read as one`(byte: UInt8) {
        var decoder = CBORDecoder([byte, 0, 0])
        #expect(throws: CBORError(.unexpectedType, at: 0)) { try decoder.real() }
    }

    @Test func `a head of a stream of which nothing is held is not ahead`() {
        var encoder = request(aheadCount: 1)
        encoder.array(3)
        encoder.blob(Array(repeating: 1, count: 16))
        encoder.unsigned(0)
        encoder.blob(Array(repeating: 0, count: 32))
        encoder.array(0)
        let error = #expect(throws: CBORError.self) {
            try SyncRequest(decoding: encoder.bytes)
        }
        #expect(error?.reason == .outOfRange)
    }

    @Test func `a run whose header has no entries is refused`() {
        var encoder = request(aheadCount: 0)
        encoder.array(1)
        encoder.array(3)
        encoder.blob([0xa0])
        encoder.blob(Array(repeating: 0, count: 64))
        encoder.blob([])
        #expect(throws: CBORError.self) { try SyncRequest(decoding: encoder.bytes) }
    }
}
