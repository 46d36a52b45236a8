public import Causality

/// A position in a hub's feed.
public struct Cursor: Hashable, Sendable {
    /// Drawn anew when a hub starts, or goes back in time.
    public var epoch: Identifier
    /// How many entries lie before: counts from 0, without holes.
    public var offset: UInt64
    /// The hash over the entries before, each linked to the last.
    public var chain: Digest

    public init(epoch: Identifier, offset: UInt64, chain: Digest) {
        self.epoch = epoch
        self.offset = offset
        self.chain = chain
    }

    /// The start of a feed.
    public static func start(epoch: Identifier, scope: String) -> Cursor {
        Cursor(
            epoch: epoch, offset: 0, chain: Digest(.feed, epoch.bytes, Array(scope.utf8)))
    }

    /// The position behind one more entry.
    public func advanced(by stub: RunStub) -> Cursor {
        var encoder = CBOREncoder()
        encoder.unsigned(stub.lastSeq)
        return Cursor(
            epoch: epoch, offset: offset + 1,
            chain: Digest(
                .feed, chain.bytes, stub.stream.identifier.bytes, encoder.bytes, stub.hash.bytes))
    }
}

/// A run by name.
public struct RunStub: Hashable, Sendable {
    public var stream: StreamID
    public var lastSeq: UInt64
    public var hash: Digest

    public init(stream: StreamID, lastSeq: UInt64, hash: Digest) {
        self.stream = stream
        self.lastSeq = lastSeq
        self.hash = hash
    }

    /// The head of a stream of which nothing is held: seq 0, and a hash of zeros.
    public init(noneOf stream: StreamID) {
        self.init(stream: stream, lastSeq: 0, hash: Digest(Array(repeating: 0, count: 32))!)
    }

    public init(_ run: SealedRun) {
        self.init(stream: run.header.stream, lastSeq: run.header.lastSeq, hash: run.hash)
    }
}

extension CBOREncoder {
    /// - Parameter epoch: of the cursor before it in the message, which isn't said again.
    mutating func cursor(_ cursor: Cursor, after epoch: inout Identifier?) {
        array(3)
        if cursor.epoch == epoch { null() } else { blob(cursor.epoch.bytes) }
        epoch = cursor.epoch
        unsigned(cursor.offset)
        blob(cursor.chain.bytes)
    }

    mutating func stub(_ stub: RunStub) {
        array(3)
        blob(stub.stream.identifier.bytes)
        unsigned(stub.lastSeq)
        blob(stub.hash.bytes)
    }
}

extension CBORDecoder {
    /// - Parameter epoch: of the cursor before it in the message.
    mutating func cursor(after epoch: inout Identifier?) throws(CBORError) -> Cursor {
        try array(count: 3)
        let known = epoch
        if try nullIfNext() {
            guard epoch != nil else { throw error(.invalid) }
        } else {
            epoch = Identifier(try blob(count: 16))
            guard epoch != known else { throw error(.invalid) }
        }
        guard let epoch else { throw error(.invalid) }
        return Cursor(
            epoch: epoch, offset: try unsigned(in: 0...UInt64(Int64.max) / 2),
            chain: try digest())
    }

    mutating func stub() throws(CBORError) -> RunStub {
        let head = try head()
        guard head.lastSeq > 0 else { throw error(.outOfRange) }
        return head
    }

    /// As ``stub()``, or that nothing is held.
    mutating func head() throws(CBORError) -> RunStub {
        try array(count: 3)
        let head = RunStub(
            stream: try stream(), lastSeq: try unsigned(in: 0...UInt64(Int64.max)),
            hash: try digest())
        guard head.lastSeq > 0 || head == RunStub(noneOf: head.stream) else {
            throw error(.outOfRange)
        }
        return head
    }
}
