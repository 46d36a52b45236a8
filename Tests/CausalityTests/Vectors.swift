import Causality
import Testing

@Suite struct Vectors {
    private static let streams: [StreamID] = (1...3).map { (number: UInt64) in
        StreamID(Identifier(high: 0, low: number))
    }

    /// Every vector over three streams with entries in 0 ... 2.
    private static let all: [VersionVector] = (0..<27).map { (number: UInt64) in
        var vector = VersionVector()
        vector[streams[0]] = number % 3
        vector[streams[1]] = number / 3 % 3
        vector[streams[2]] = number / 9
        return vector
    }

    private func merged(_ a: VersionVector, _ b: VersionVector) -> VersionVector {
        var result = a
        result.merge(b)
        result.checkInvariants()
        return result
    }

    @Test func `merging is commutative, associative, idempotent and only adds`() {
        let none = VersionVector()
        for a in Self.all {
            #expect(merged(a, a) == a)
            #expect(merged(a, none) == a)
            for b in Self.all {
                let both = merged(a, b)
                #expect(both == merged(b, a))
                #expect(both.dominates(a) && both.dominates(b))
                // It is the least vector that dominates both.
                for c in Self.all {
                    #expect(merged(both, c) == merged(a, merged(b, c)))
                    if c.dominates(a), c.dominates(b) { #expect(c.dominates(both)) }
                }
            }
        }
    }

    @Test func `to dominate is a partial order, and says the same as holding every dot`() {
        for a in Self.all {
            #expect(a.dominates(a))
            for b in Self.all {
                #expect(!(a.dominates(b) && b.dominates(a)) || a == b)
                let dots = b.entries.flatMap { entry in
                    (1...entry.seq).map { Dot(entry.stream, $0) }
                }
                #expect(a.dominates(b) == dots.allSatisfy(a.contains))
                for c in Self.all where a.dominates(b) && b.dominates(c) {
                    #expect(a.dominates(c))
                }
            }
        }
    }

    @Test func `an entry of nothing is no entry`() {
        let pairs: [(StreamID, UInt64)] = [(Self.streams[0], 0), (Self.streams[1], 4)]
        var vector = VersionVector(pairs)
        vector.checkInvariants()
        #expect(vector.entries.count == 1)
        vector[Self.streams[1]] = 0
        vector[Self.streams[2]] = 0
        vector.checkInvariants()
        #expect(vector.isEmpty)
        #expect(vector == VersionVector())
        #expect(vector[Self.streams[1]] == 0)
    }

    @Test func `entries are in the order of their streams, and a doubled one counts once`() {
        let pairs: [(StreamID, UInt64)] = [
            (Self.streams[2], 1), (Self.streams[0], 2), (Self.streams[1], 3), (Self.streams[0], 9),
        ]
        let vector = VersionVector(pairs)
        #expect(vector.entries.map(\.stream) == Self.streams)
        #expect(vector[Self.streams[0]] == 9)
        #expect(vector.contains(Dot(Self.streams[0], 9)))
        #expect(!vector.contains(Dot(Self.streams[0], 10)))
    }
}
