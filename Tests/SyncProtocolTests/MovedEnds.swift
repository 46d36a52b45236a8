import Causality
import SyncProtocol
import Testing

/// Cuts that are made anew with another end of one stream.
@Suite struct MovedEnds {
    private let key = Array(repeating: 7 as UInt8, count: 32)
    private let run = Digest(sha256: [1])

    private func origin(_ incarnation: UInt64) -> StreamOrigin {
        StreamOrigin(publicKey: key, scope: "forum", incarnation: incarnation)
    }

    private func end(_ seq: UInt64) -> StreamEnd { StreamEnd(lastSeq: seq, run: run)! }

    /// - Parameter ends: of incarnations from 1 on.
    private func cut(_ ends: [StreamEnd], isWhole: Bool = true) -> Cut {
        Cut(
            .revoked, of: key,
            at: ends.enumerated().map { index, end in
                Cut.Stream(scope: "forum", incarnation: UInt64(index + 1), end: end)
            }, isWhole: isWhole, decidedMilliseconds: 5, note: "lost")
    }

    @Test func `only the one stream ends elsewhere`() {
        let before = cut([end(4), .beforeFirst])
        for incarnation in 1...3 as ClosedRange<UInt64> {
            let cuts = before.ending(origin(incarnation), at: end(9))
            #expect(cuts?.count == 1)
            let after = cuts?.first
            #expect(after?.end(of: origin(incarnation)) == end(9))
            for other in 1...4 as ClosedRange<UInt64> where other != incarnation {
                #expect(after?.end(of: origin(other)) == before.end(of: origin(other)))
            }
            #expect(after?.note == "lost" && after?.decidedMilliseconds == 5)
            #expect(after?.isWhole == true && after?.reason == .revoked)
        }
    }

    @Test func `a full cut makes room where a stream needs no name`() throws {
        let full = Array(repeating: end(1), count: Limits.cutStreams - 1)
        let after = try #require(cut(full + [.beforeFirst]).ending(origin(9_999), at: end(2)))
        #expect(after.map(\.streams.count) == [Limits.cutStreams, 1])
        #expect(after.map(\.isWhole) == [true, false])
        let moved = origin(UInt64(Limits.cutStreams))
        #expect(after.end(of: moved) == .beforeFirst)
        #expect(after[1].origins == [moved])
        #expect(after.end(of: origin(9_999)) == end(2))
        #expect(try Cut(decoding: after[0].encode()) == after[0])
        // A stream that has its name needs no room.
        let named = cut(full + [end(1)])
        #expect(named.ending(origin(1), at: end(2)) != nil)
        #expect(named.ending(origin(9_999), at: end(2)) == nil)
        #expect(cut(full + [.beforeFirst], isWhole: false).ending(origin(9_999), at: end(2)) == nil)
    }

    @Test func `several branches need as much room as there are`() throws {
        let full = Array(repeating: end(1), count: Limits.cutStreams - 2)
        let before = cut(full + [.beforeFirst, .beforeFirst])
        let others = [end(3), end(4)]
        #expect(before.ending(origin(9_999), at: end(2), beside: others) == nil)
        let after = try #require(
            before.ending(origin(9_999), at: end(2), beside: [others[0]]))
        #expect(after.map(\.streams.count) == [Limits.cutStreams, 2])
        #expect(after[0].ends(of: origin(9_999)) == [end(3), end(2)])
        #expect(after.end(of: origin(UInt64(Limits.cutStreams))) == .beforeFirst)
    }

    /// Else a stream would end by each cut where the other doesn't name a branch.
    @Test func `all ends of one stream are named by one cut`() throws {
        func streams(_ count: Int, of incarnation: UInt64) -> [Cut.Stream] {
            (0..<count).map {
                Cut.Stream(
                    scope: "forum", incarnation: incarnation, end: end(UInt64($0 + 1)))
            }
        }
        let named = (1...Limits.cutStreams - 2).map { streams(1, of: UInt64($0)) }
        let cuts = Cut.revoking(
            key, at: named + [streams(3, of: 1_000), streams(2, of: 1_001), streams(1, of: 1_002)],
            decidedMilliseconds: 5, note: "lost")
        #expect(cuts.map(\.isWhole) == [true, false])
        #expect(cuts.map(\.streams.count) == [Limits.cutStreams, 2])
        #expect(cuts[0].ends(of: origin(1_001))?.count == 2)
        #expect(cuts.end(of: origin(1_000)) == .beforeFirst)
        #expect(cuts.end(of: origin(1_002)) == .beforeFirst)
        for cut in cuts { #expect(try Cut(decoding: cut.encode()) == cut) }
        #expect(
            Cut.revoking(key, at: [], decidedMilliseconds: 5, note: "").map(\.isWhole) == [true])
    }
}
