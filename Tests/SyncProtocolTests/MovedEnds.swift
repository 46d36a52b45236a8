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
}
