/// For each stream the highest `seq` up to which nothing is missing.
///
/// Invariant: no entry is 0; a stream of which nothing is held is absent.
public struct VersionVector: Hashable, Sendable {
    private var heads: [StreamID: UInt64]

    public init() {
        heads = [:]
    }

    public init(_ pairs: some Sequence<(StreamID, UInt64)>) {
        heads = Dictionary(pairs, uniquingKeysWith: max).filter { $0.value > 0 }
    }

    /// The highest contiguous `seq` of `stream`; 0 when nothing of it is held.
    public subscript(stream: StreamID) -> UInt64 {
        get { heads[stream] ?? 0 }
        set { heads[stream] = newValue == 0 ? nil : newValue }
    }

    public func contains(_ dot: Dot) -> Bool { dot.seq <= self[dot.stream] }

    /// The entries in the order of their streams: never in the order of a hash table.
    public var entries: [(stream: StreamID, seq: UInt64)] {
        heads.sorted { $0.key < $1.key }.map { (stream: $0.key, seq: $0.value) }
    }

    public var isEmpty: Bool { heads.isEmpty }

    /// The entry-wise maximum: commutative, associative, idempotent.
    public mutating func merge(_ other: Self) {
        heads.merge(other.heads, uniquingKeysWith: max)
    }

    /// Whether every changeset that `other` names is named here too.
    public func dominates(_ other: Self) -> Bool {
        other.heads.allSatisfy { $0.value <= self[$0.key] }
    }

    /// Stops the program when an entry is 0.
    public func checkInvariants() {
        precondition(heads.values.allSatisfy { $0 > 0 }, "a version vector holds an entry of 0")
    }
}
