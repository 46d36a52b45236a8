public import Causality

/// Where a stream ends: the last changeset of it that counts, and the run that ends with that.
public struct StreamEnd: Hashable, Comparable, Sendable {
    public let lastSeq: UInt64
    /// `nil` for a stream of which nothing counts.
    public let run: Digest?

    /// A stream of which nothing counts.
    public static let beforeFirst = StreamEnd()

    private init() { (lastSeq, run) = (0, nil) }

    /// - Returns: `nil` for a seq without a run, or a run without a seq.
    public init?(lastSeq: UInt64, run: Digest?) {
        guard (lastSeq == 0) == (run == nil) else { return nil }
        (self.lastSeq, self.run) = (lastSeq, run)
    }

    public static func < (a: Self, b: Self) -> Bool {
        if a.lastSeq != b.lastSeq { return a.lastSeq < b.lastSeq }
        guard let a = a.run, let b = b.run else { return false }
        return a.bytes.lexicographicallyPrecedes(b.bytes)
    }
}

/// What ends streams of a device, by the word of a hub: changesets behind their ends don't count
/// anywhere, whoever has them.
///
/// Of several cuts of one stream the lowest end stands. A hub may put another in the place of those
/// that it knows: what it then lets in has been admitted.
public struct Cut: Hashable, Sendable {
    /// For people: where a stream ends doesn't depend on it, so that builds to come may have further ones.
    public struct Reason: RawRepresentable, Hashable, Sendable {
        public let rawValue: UInt64

        public init(rawValue: UInt64) { self.rawValue = rawValue }

        /// The device is no longer welcome: it was lost, stolen, or given back.
        public static let revoked = Self(rawValue: 1)
        /// Two files wrote under one name.
        public static let fork = Self(rawValue: 2)
        /// A run can't be taken by those who need it.
        public static let poison = Self(rawValue: 3)
    }

    /// A stream of the device, and where it ends.
    public struct Stream: Hashable, Sendable {
        public var scope: String
        public var incarnation: UInt64
        public var end: StreamEnd

        public init(scope: String, incarnation: UInt64, end: StreamEnd) {
            (self.scope, self.incarnation, self.end) = (scope, incarnation, end)
        }
    }

    public var reason: Reason
    /// The device's: Ed25519, 32 bytes.
    public var publicKey: [UInt8]
    /// At most ``Limits/cutStreams``.
    public var streams: [Stream]
    /// Nothing counts of the device's streams that are not named.
    public var isWhole: Bool
    /// When the hub decided it, in milliseconds since 1970; for people.
    public var decidedMilliseconds: Int64
    /// Why, in the operator's words: at most ``Limits/nameBytes``.
    public var note: String

    public init(
        _ reason: Reason, of publicKey: [UInt8], at streams: [Stream], isWhole: Bool,
        decidedMilliseconds: Int64, note: String
    ) {
        (self.reason, self.publicKey, self.streams) = (reason, publicKey, streams)
        (self.isWhole, self.note) = (isWhole, note)
        self.decidedMilliseconds = decidedMilliseconds
    }

    /// What revokes a device: a whole cut, and others for streams that it has no room for. These end before
    /// their first changeset, for the whole one ends all that it doesn't name.
    ///
    /// - Parameter streams: those that come first are named first; of each the ends of all its branches.
    public static func revoking(
        _ publicKey: [UInt8], at streams: [[Stream]], decidedMilliseconds: Int64, note: String
    ) -> [Cut] {
        var (named, others): ([Stream], [Stream]) = ([], [])
        for ends in streams {
            if named.count + ends.count <= Limits.cutStreams {
                named += ends
            } else if var stream = ends.first {
                stream.end = .beforeFirst
                others.append(stream)
            }
        }
        let rest = stride(from: 0, to: others.count, by: Limits.cutStreams).map { start in
            Array(others.dropFirst(start).prefix(Limits.cutStreams))
        }
        return ([named] + rest).enumerated().map { index, streams in
            Cut(
                .revoked, of: publicKey, at: streams, isWhole: index == 0,
                decidedMilliseconds: decidedMilliseconds, note: note)
        }
    }

    public var device: DeviceID { DeviceID(publicKey: publicKey) }

    /// The streams that it names, one for each of ``streams``.
    public var origins: [StreamOrigin] {
        streams.map {
            StreamOrigin(publicKey: publicKey, scope: $0.scope, incarnation: $0.incarnation)
        }
    }

    /// Where it ends a stream, and each of its branches of which something counts; `nil` when it doesn't.
    public func ends(of origin: StreamOrigin) -> [StreamEnd]? {
        guard origin.publicKey == publicKey else { return nil }
        let named = zip(origins, streams).filter { $0.0 == origin }.map(\.1.end)
        return named.isEmpty ? (isWhole ? [.beforeFirst] : nil) : named
    }

    /// Where it ends a stream that has no branches; `nil` when it doesn't.
    public func end(of origin: StreamOrigin) -> StreamEnd? { ends(of: origin)?.max() }

    /// The same, with another end of one stream of the device.
    ///
    /// - Parameter others: the ends that its other branches keep.
    /// - Returns: with a second cut where this one has no room for the stream's name: a stream of which
    ///   nothing counts has its name there. `nil` when there is none of these.
    public func ending(
        _ origin: StreamOrigin, at end: StreamEnd, beside others: [StreamEnd] = []
    ) -> [Cut]? {
        var cut = self
        cut.streams = zip(origins, streams).filter { $0.0 != origin }.map(\.1)
        cut.streams += (others + [end]).map {
            Stream(scope: origin.scope, incarnation: origin.incarnation, end: $0)
        }
        var other = self
        (other.streams, other.isWhole) = ([], false)
        while cut.streams.count > Limits.cutStreams {
            // A whole one ends it all the same; who knows nothing of it finds its name.
            guard isWhole, let place = cut.streams.firstIndex(where: { $0.end == .beforeFirst })
            else { return nil }
            other.streams.append(cut.streams.remove(at: place))
        }
        return other.streams.isEmpty ? [cut] : [cut, other]
    }

    public func encode() -> [UInt8] {
        var encoder = CBOREncoder()
        encoder.array(7)
        encoder.unsigned(Limits.format)
        encoder.unsigned(reason.rawValue)
        encoder.blob(publicKey)
        encoder.array(streams.count)
        for stream in streams {
            encoder.array(4)
            encoder.text(stream.scope)
            encoder.unsigned(stream.incarnation)
            encoder.unsigned(stream.end.lastSeq)
            if let run = stream.end.run { encoder.blob(run.bytes) } else { encoder.null() }
        }
        encoder.bool(isWhole)
        encoder.integer(decidedMilliseconds)
        encoder.text(note)
        return encoder.bytes
    }

    public init(decoding bytes: [UInt8]) throws(CBORError) {
        guard bytes.count <= Limits.cutBytes else { throw CBORError(.tooLong, at: 0) }
        var decoder = CBORDecoder(bytes)
        let further = try decoder.array(atLeast: 7)
        try decoder.format()
        reason = Reason(rawValue: try decoder.unsigned(in: 1...UInt64.max))
        publicKey = try decoder.blob(count: 32)
        streams = []
        for _ in 0..<(try decoder.array(limit: Limits.cutStreams)) {
            streams.append(try decoder.cutStream())
        }
        isWhole = try decoder.bool()
        decidedMilliseconds = try decoder.integer()
        note = try decoder.text(limit: Limits.nameBytes)
        try decoder.skip(further)
        try decoder.finish()
    }
}

extension Sequence<Cut> {
    /// Where a stream ends: the least end that any of these gives it.
    public func end(of origin: StreamOrigin) -> StreamEnd? {
        compactMap { $0.end(of: origin) }.min()
    }
}

extension CBORDecoder {
    fileprivate mutating func cutStream() throws(CBORError) -> Cut.Stream {
        try array(count: 4)
        let scope = try text(limit: Limits.scopeBytes)
        let incarnation = try unsigned(in: 0...Limits.incarnation)
        let lastSeq = try unsigned(in: 0...UInt64(Int64.max))
        guard let end = StreamEnd(lastSeq: lastSeq, run: try nullIfNext() ? nil : try digest())
        else { throw error(.invalid) }
        return Cut.Stream(scope: scope, incarnation: incarnation, end: end)
    }
}
