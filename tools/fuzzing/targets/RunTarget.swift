import Causality
import SyncProtocol

/// A run: two bytes that count the header's, the header, and the body.
struct RunTarget: FuzzTarget {
    let inputLimit = 16_384
    let allocationLimit = 64
    private static let comparedRows = 2_000

    var seeds: [(name: String, bytes: [UInt8])] {
        let run = FixedStream.seal(
            [FixedStream.sample(FixedStream.firstSeq)], dictionary: SealingDictionary(),
            earlier: FixedStream.earlier)
        return [("sealed", Self.input(run))]
    }

    static func input(_ run: SealedRun) -> [UInt8] {
        let count = run.headerBytes.count
        return [UInt8(truncatingIfNeeded: count >> 8), UInt8(truncatingIfNeeded: count)]
            + run.headerBytes + run.body
    }

    func offer(_ bytes: [UInt8]) throws(Violation) -> Bool {
        guard bytes.count >= 2 else { return false }
        let headerCount = min(Int(bytes[0]) << 8 | Int(bytes[1]), bytes.count - 2)
        let run: SealedRun
        do throws(CBORError) {
            run = try SealedRun(
                headerBytes: Array(bytes[2..<2 + headerCount]), signature: [],
                body: Array(bytes[(2 + headerCount)...]))
        } catch {
            return false
        }
        try checkHeader(run)
        return try checkBody(run)
    }

    /// A header that is made of what was read is the same, but for keys that nobody knows.
    private func checkHeader(_ run: SealedRun) throws(Violation) {
        let header = run.header
        try hold(
            header.lastSeq <= UInt64(Int64.max) && header.expandedBytes <= Limits.runExpandedBytes,
            "a header over its limits")
        let again = SealedRun(signing: header, body: run.body, key: FixedStream.key)
        try hold(
            again.headerBytes.count < run.headerBytes.count
                || again.headerBytes == run.headerBytes,
            "a header is written otherwise than it was read")
        let read = try must("a header that was written can't be read") {
            try SealedRun(headerBytes: again.headerBytes, signature: [], body: []).header
        }
        try hold(read == header, "a header that was written is read as another one")
        try hold(
            again.verifies(by: FixedStream.key) == (Digest(sha256: run.body) == header.bodyHash),
            "a run is good by another body's hash")
    }

    private func checkBody(_ run: SealedRun) throws(Violation) -> Bool {
        let (header, namespace) = (run.header, FixedStream.namespace)
        if let body = try? run.expandedBody() {
            try hold(body.count == header.expandedBytes, "a body of another size than stated")
        }
        let said = try? run.vocabulary(namespace: namespace)
        guard
            let contents = try? run.contents(
                namespace: namespace,
                earlier: { seq throws(RunError) in FixedStream.earlier(seq) })
        else { return false }
        guard let said else { throw Violation("a run that can be read says nothing") }
        try hold(said.saysTheSame(as: contents.vocabulary), "a run says two things")
        try hold(contents.changes.heads.count == header.count, "another number of changesets")
        try Readings.checkOrder(contents)
        guard contents.changes.changes.count <= Self.comparedRows else { return true }
        try Readings.check(contents.changesets, firstSeq: header.firstSeq)
        return true
    }
}

extension SealedRun {
    fileprivate func verifies(by key: DeviceKey) -> Bool {
        (try? verify(publicKey: key.publicKey)) != nil
    }
}
