import Causality
import Merge
import SyncProtocol
import Testing

/// Streams that go on for longer than is remembered of them.
@Suite struct LongStreams {
    /// Runs of one changeset each, sealed one after the other.
    private struct Stream {
        let key = DeviceKey(seed: SampleRun.seedBytes) ?? DeviceKey()
        let origin: StreamOrigin
        var dictionary = SealingDictionary()
        var runs: [SealedRun] = []
        var changesets: [Changeset] = []
        var vocabularies: [RunVocabulary] = []
        /// The first row of each changeset.
        var firstRows: [RowID] = []

        init() {
            origin = StreamOrigin(publicKey: key.publicKey, scope: "forum", incarnation: 3)
        }

        /// New rows whose one column holds each of `texts`, and a change of the first row of
        /// changeset `old` that replaces what was written there.
        mutating func seal(_ texts: [String], changing old: Int?) throws {
            let seq = UInt64(runs.count + 1)
            var writer = BodyWriter(stream: origin.stream, previousRun: runs.last?.hash)
            let time = HybridTime(milliseconds: 1_764_000_000_000 + Int64(seq) * 1_000)
            writer.begin(seq: seq, time: time)
            var changeset = Changeset(dot: Dot(origin.stream, seq), time: time)
            for text in texts {
                let made = writer.makeRowID()
                let id = try #require(made)
                put(text, in: id, .new, over: [], &writer, &changeset)
            }
            firstRows.append(changeset.rows[0].row)
            if let old {
                put(
                    "changed by \(seq)", in: firstRows[old - 1], .whole,
                    over: [Dot(origin.stream, UInt64(old))], &writer, &changeset)
            }
            let (body, _) = writer.finish(
                author: "", claimedMilliseconds: time.milliseconds, action: nil)
            changeset.claimedMilliseconds = time.milliseconds
            let known = vocabularies
            let run = SealedRun(
                sealing: body, stream: origin.stream, firstSeq: seq, count: 1,
                previous: runs.last?.hash, dependencies: [], schemaVersion: 1, origin: origin,
                key: key, namespace: [], dictionary: &dictionary,
                earlier: { $0 > 0 && $0 <= known.count ? known[Int($0) - 1] : nil })
            runs.append(run)
            changesets.append(changeset)
            vocabularies.append(try run.vocabulary(namespace: []))
        }

        private func put(
            _ text: String, in row: RowID, _ name: RowName, over: [Dot], _ writer: inout BodyWriter,
            _ changeset: inout Changeset
        ) {
            let operation = Operation(CellKey(1), .put(.text(text)), over: over)
            writer.row(
                table: 7, id: row, name: name, itemCount: BodyWriter.itemCount(operation))
            writer.write(operation)
            let isNew = if case .new = name { true } else { false }
            let change = RowChange(table: 7, row: row, isNew: isNew, operations: [operation])
            changeset.rows.append(change)
        }

        func check() throws {
            for (run, changeset) in zip(runs, changesets) {
                #expect(run.header.encoding.rawValue >= 2)
                let read = try run.changesets(
                    namespace: [],
                    earlier: { seq throws(RunError) in
                        seq > 0 && seq <= vocabularies.count ? vocabularies[Int(seq) - 1] : nil
                    })
                #expect(read == [changeset], "run \(run.header.firstSeq)")
            }
        }
    }

    @Test func `texts that never come again, over more runs than are remembered`() throws {
        var stream = Stream()
        for number in 1...130 {
            try stream.seal(
                (0..<260).map { "a text of its own: \(number), \($0)" },
                changing: number > 110 ? number - 110 : nil)
        }
        try stream.check()
    }

    @Test func `what was forgotten is looked up again, for as long as it pays`() throws {
        var stream = Stream()
        for number in 1...60 {
            // What another process sealed meanwhile, or what an upgrade forgot.
            if number.isMultiple(of: 7) { stream.dictionary = SealingDictionary() }
            try stream.seal(
                ["the same each time", "one of \(number % 5)"]
                    + (0..<200).map { "\(number) \($0)" },
                changing: number > 40 ? number - 40 : nil)
        }
        try stream.check()
    }

    @Test func `runs that are much larger than what is sealed are not looked at`() throws {
        var stream = Stream()
        try stream.seal((0..<3_000).map { "a long list, which has the line \($0)" }, changing: nil)
        stream.dictionary = SealingDictionary()
        try stream.seal(["a long list, which has the line 7"], changing: nil)
        try stream.check()
        // It spells the text out: the other run isn't asked for.
        let alone = try stream.runs[1].changesets(namespace: [])
        #expect(alone == [stream.changesets[1]])
    }

    @Test func `a run that refers to others is not read without them`() throws {
        var stream = Stream()
        for _ in 1...3 { try stream.seal((0..<40).map { "said before \($0)" }, changing: nil) }
        #expect(throws: RunError.source) { try stream.runs[2].contents(namespace: []) }
        #expect(
            RunError.unreadableSource(7).explanation
                == "the run with change 7 of its stream, which it refers to, can't be read")
    }
}
