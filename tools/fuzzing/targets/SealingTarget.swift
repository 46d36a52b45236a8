import SyncProtocol

/// Sealing: a body by rows that was read is sorted by columns, and must say the same.
struct SealingTarget: FuzzTarget {
    let inputLimit = 8_192
    let allocationLimit = 16

    func offer(_ bytes: [UInt8]) throws(Violation) -> Bool {
        let read = Readings.changesets(FixedStream.reader(bytes))
        guard read.error == nil, (1...Limits.runChangesets).contains(read.changesets.count) else {
            return false
        }
        let run = FixedStream.seal(
            bytes, count: read.changesets.count, dictionary: SealingDictionary(),
            earlier: FixedStream.earlier)
        // The writer falls back to rows where the columns would say something else.
        try hold(
            run.header.encoding.rawValue >= 2 || Self.hasUnknownKeys(bytes),
            "a body was not laid out by columns")
        let contents = try must("what was sealed can't be read") {
            try run.contents(
                namespace: FixedStream.namespace,
                earlier: { seq throws(RunError) in FixedStream.earlier(seq) })
        }
        try hold(contents.changesets == read.changesets, "what was sealed says something else")
        let vocabulary = try must("what was sealed says nothing") {
            try run.vocabulary(namespace: FixedStream.namespace)
        }
        try hold(vocabulary.saysTheSame(as: contents.vocabulary), "a run says two things")
        try Readings.checkOrder(contents)
        return true
    }

    /// Whether a changeset says something about itself that no writer does: columns have no place
    /// for it.
    private static func hasUnknownKeys(_ body: [UInt8]) -> Bool {
        var (decoder, isUnknown) = (CBORDecoder(body), false)
        do throws(CBORError) {
            while !decoder.isAtEnd {
                let count = try decoder.array()
                let headCount = try decoder.unsigned() & 1 == 1 ? 3 : 2
                if headCount == 3 { _ = try decoder.unsigned() }
                if try !decoder.nullIfNext() {
                    try decoder.map { (key, decoder) throws(CBORError) in
                        isUnknown = isUnknown || key > 3
                        try decoder.skip()
                    }
                }
                for _ in headCount..<count { try decoder.skip() }
            }
        } catch {
            return false
        }
        return isUnknown
    }
}
