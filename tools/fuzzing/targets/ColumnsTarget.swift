import SyncProtocol

/// A body by columns, with and without the runs before it.
struct ColumnsTarget: FuzzTarget {
    let inputLimit = 16_384
    let allocationLimit = 64
    /// More row items than this aren't written again: a few bytes stand for many of them.
    private static let rewrittenRows = 2_000

    var seeds: [(name: String, bytes: [UInt8])] {
        [1, 3].compactMap { (count: UInt64) in
            let changesets = (0..<count).map {
                FixedStream.sample(FixedStream.firstSeq + $0)
            }
            let run = FixedStream.seal(
                changesets, dictionary: SealingDictionary(), earlier: FixedStream.earlier)
            return (try? run.expandedBody()).map { ("sealed-\(count)", $0) }
        }
    }

    func offer(_ bytes: [UInt8]) throws(Violation) -> Bool {
        let body: ColumnsReader
        do throws(CBORError) {
            body = try ColumnsReader(bytes, at: FixedStream.place)
        } catch {
            return false
        }
        let lastSeq = body.lastSeq
        let vocabulary = RunVocabulary(body, lastSeq: lastSeq, byteCount: bytes.count)
        var isAlone = true
        let read = Result { () throws(RunError) in
            try body.contents(
                lastSeq: lastSeq, byteCount: bytes.count,
                earlier: { seq throws(RunError) in
                    isAlone = false
                    return FixedStream.earlier(seq)
                })
        }
        if !isAlone { try checkAlone(body, byteCount: bytes.count) }
        guard let contents = try? read.get() else { return false }
        try hold(vocabulary.saysTheSame(as: contents.vocabulary), "a run says two things")
        try Readings.checkOrder(contents)
        guard contents.changes.changes.count <= Self.rewrittenRows else { return true }
        let changesets = contents.changesets
        try Readings.check(changesets, firstSeq: FixedStream.firstSeq)
        try Readings.checkRows(changesets)
        return true
    }

    /// Without the runs that it refers to it is refused for just that.
    private func checkAlone(_ body: ColumnsReader, byteCount: Int) throws(Violation) {
        do throws(RunError) {
            _ = try body.contents(
                lastSeq: body.lastSeq, byteCount: byteCount,
                earlier: { _ throws(RunError) in nil })
            throw RunError.count
        } catch {
            try hold(error == .source, "without the runs that it refers to: \(error)")
        }
    }
}
