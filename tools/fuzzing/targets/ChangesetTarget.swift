import SyncProtocol

/// The changesets of a body by rows.
struct ChangesetTarget: FuzzTarget {
    let inputLimit = 16_384
    let allocationLimit = 8

    func offer(_ bytes: [UInt8]) throws(Violation) -> Bool {
        let reader = FixedStream.reader(bytes)
        let read = Readings.changesets(reader)
        try skip(reader, read)
        try Readings.check(read.changesets, firstSeq: FixedStream.firstSeq)
        guard read.error == nil else { return false }
        try contents(bytes, read.changesets)
        try Readings.checkRows(read.changesets)
        return true
    }

    /// Passing over changesets keeps what reading them keeps. It doesn't see two ops in one cell.
    private func skip(
        _ reader: BodyReader,
        _ read: (changesets: [Changeset], error: CBORError?, end: BodyReader)
    ) throws(Violation) {
        let passed = Self.passOver(reader)
        guard read.error == nil else {
            return try hold(
                passed.count > read.changesets.count && read.error?.reason == .invalid
                    || passed.count == read.changesets.count && passed.error == read.error,
                "passing over: \(passed.error as Any), reading: \(read.error as Any)")
        }
        try hold(passed.error == nil, "passing over: \(passed.error as Any)")
        try hold(
            passed.count == read.changesets.count && passed.end.lastTime == read.end.lastTime
                && passed.end.rowCount == read.end.rowCount
                && passed.end.streams == read.end.streams,
            "passing over a body keeps other things than reading it")
    }

    private static func passOver(
        _ reader: BodyReader
    ) -> (count: Int, error: CBORError?, end: BodyReader) {
        var (reader, count) = (reader, 0)
        do throws(CBORError) {
            while try reader.skip() { count += 1 }
            return (count, nil, reader)
        } catch {
            return (count, error, reader)
        }
    }

    /// The flat lists of a run say the same.
    private func contents(_ bytes: [UInt8], _ changesets: [Changeset]) throws(Violation) {
        guard (1...Limits.runChangesets).contains(changesets.count) else { return }
        let contents = try must("as a run it can't be read") {
            try FixedStream.run(bytes, count: changesets.count, encoding: .plain)
                .contents(namespace: FixedStream.namespace)
        }
        try hold(contents.changesets == changesets, "as a run it says something else")
        try Readings.checkOrder(contents)
    }
}
