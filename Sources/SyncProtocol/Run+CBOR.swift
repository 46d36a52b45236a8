internal import Causality
internal import Merge

extension CBOREncoder {
    mutating func dependency(_ dependency: Dependency) {
        array(3)
        blob(dependency.stream.identifier.bytes)
        unsigned(dependency.seq)
        blob(dependency.run.bytes)
    }

    mutating func run(_ run: SealedRun) {
        array(3)
        blob(run.shortHeader)
        blob(run.seal)
        blob(run.body)
    }
}

extension CBORDecoder {
    mutating func stream() throws(CBORError) -> StreamID {
        StreamID(Identifier(try blob(count: 16))!)
    }

    mutating func digest() throws(CBORError) -> Digest {
        Digest(try blob(count: 32))!
    }

    mutating func dependency() throws(CBORError) -> Dependency {
        try array(count: 3)
        return Dependency(
            stream: try stream(), seq: try unsigned(in: 1...UInt64(Int64.max)), run: try digest())
    }

    mutating func unsigned(in range: ClosedRange<UInt64>) throws(CBORError) -> UInt64 {
        let value = try unsigned()
        guard range.contains(value) else { throw error(.outOfRange) }
        return value
    }

    mutating func dependencies() throws(CBORError) -> [Dependency] {
        var dependencies: [Dependency] = []
        for _ in 0..<(try array()) { dependencies.append(try dependency()) }
        return dependencies
    }

    mutating func run() throws(CBORError) -> SealedRun {
        try array(count: 3)
        let short = try blob(limit: Limits.headerBytes)
        let seal = try blob(limit: SealedRun.signatureBytes + Limits.keyBytes)
        guard seal.count >= SealedRun.signatureBytes,
            (seal.count - SealedRun.signatureBytes).isMultiple(of: PersonalKey.byteCount)
        else { throw error(.invalid) }
        let body = try blob(limit: Limits.runStoredBytes)
        return try SealedRun(
            headerBytes: try SealedRun.header(short, of: body), seal: seal,
            body: body)
    }
}

/// On the way a header goes without its body's hash: whoever has the body computes it, and the
/// signature says whether it is the one that was signed.
extension SealedRun {
    private static let bodyHashKey: UInt64 = 5

    /// The header without the entry of the body's hash; its map counts the entry all the same.
    var shortHeader: [UInt8] {
        do throws(CBORError) {
            let place = try Self.placeOfBodyHash(headerBytes)
            return Array(headerBytes[..<place] + headerBytes[(place + Self.entry(body).count)...])
        } catch {
            preconditionFailure("a header that was read can't be read: \(error)")
        }
    }

    static func header(_ short: [UInt8], of body: [UInt8]) throws(CBORError) -> [UInt8] {
        let place = try placeOfBodyHash(short)
        guard place == short.count || short[place] != UInt8(bodyHashKey) else {
            throw CBORError(.invalid, at: place)
        }
        return Array(short[..<place]) + entry(body) + Array(short[place...])
    }

    private static func entry(_ body: [UInt8]) -> [UInt8] {
        var encoder = CBOREncoder()
        encoder.unsigned(bodyHashKey)
        encoder.blob(Digest(sha256: body).bytes)
        return encoder.bytes
    }

    /// Where the entry of the body's hash begins, or would.
    private static func placeOfBodyHash(_ header: [UInt8]) throws(CBORError) -> Int {
        var decoder = CBORDecoder(header)
        _ = try decoder.mapCount()
        while !decoder.isAtEnd {
            let place = decoder.offset
            guard try decoder.unsigned() < bodyHashKey else { return place }
            try decoder.skip()
        }
        return decoder.offset
    }
}

extension BodyReader {
    var trailingError: CBORError { CBORError(.trailing, at: 0) }
}
