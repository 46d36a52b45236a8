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
        blob(run.headerBytes)
        blob(run.signature)
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
        return try SealedRun(
            headerBytes: try blob(limit: Limits.headerBytes), signature: try blob(count: 64),
            body: try blob(limit: Limits.runStoredBytes))
    }
}

extension Operation {
    /// Every dot that the op refers to.
    var namedDots: [Dot] {
        switch action {
        case .put, .retract: over
        case .resolve(_, let covers): over + covers
        case .delete(let covers): over + covers.map(\.dot)
        }
    }
}

extension BodyReader {
    var trailingError: CBORError { CBORError(.trailing, at: 0) }
}
