import Causality
import Merge
import SyncProtocol
import TestSupport
import Testing

/// A stream of sealed runs, each of which may refer to those before it.
struct SampleStream {
    var sampler: Sampler
    let key: DeviceKey
    let origin: StreamOrigin
    var dictionary = SealingDictionary()
    private(set) var runs: [(run: SealedRun, changesets: [Changeset])] = []
    private(set) var vocabularies: [RunVocabulary] = []
    /// What the bodies would take if none referred to another, when expanded.
    private(set) var bytesAlone = 0

    init(seed: UInt64) {
        key = DeviceKey(seed: SampleRun.seedBytes) ?? DeviceKey()
        origin = StreamOrigin(publicKey: key.publicKey, scope: "forum", incarnation: 3)
        sampler = Sampler(seed: seed, stream: origin.stream)
    }

    var lookUp: (UInt64) -> RunVocabulary? {
        { [vocabularies] seq in
            vocabularies.first { $0.firstSeq <= seq && seq <= $0.lastSeq }
        }
    }

    mutating func seal(_ count: Int) throws {
        var writer = sampler.writer()
        var (body, changesets): ([UInt8], [Changeset]) = ([], [])
        for _ in 0..<count {
            let written = sampler.write(sampler.draft(), to: &writer)
            changesets.append(written.changeset)
            body += written.bytes
        }
        let run = SealedRun(
            sealing: body, stream: origin.stream, firstSeq: changesets[0].dot.seq, count: count,
            previous: runs.last?.run.hash,
            dependencies: writer.streams.map {
                Dependency(stream: $0, seq: 300, run: Digest(sha256: $0.identifier.bytes))
            }, schemaVersion: 1, origin: origin, key: key, namespace: sampler.namespace,
            dictionary: &dictionary, earlier: lookUp)
        runs.append((run, changesets))
        bytesAlone +=
            SealedRun(
                sealing: body, stream: origin.stream, firstSeq: changesets[0].dot.seq,
                count: count, previous: nil, dependencies: run.header.dependencies,
                schemaVersion: 1, origin: origin,
                key: key, namespace: sampler.namespace
            ).header.expandedBytes
        vocabularies.append(try run.vocabulary(namespace: sampler.namespace))
        sampler.beginRun(after: run.hash, of: changesets)
    }
}

@Suite struct Columns {
    @Test func `a stream of runs reads as it was written, each run by itself`() throws {
        var references = 0
        for seed in 1...60 as ClosedRange<UInt64> {
            var stream = SampleStream(seed: seed)
            for number in 0..<8 {
                try stream.seal(1 + Int(seed) * (number + 1) % 40)
                // What another process sealed, or what was forgotten, is read again.
                if (Int(seed) + number).isMultiple(of: 3) {
                    stream.dictionary = SealingDictionary()
                }
            }
            let lookUp = stream.lookUp
            for (run, changesets) in stream.runs {
                #expect(run.header.encoding.rawValue >= 2)
                let contents = try run.contents(
                    namespace: stream.sampler.namespace,
                    earlier: { seq throws(RunError) in
                        references += 1
                        return lookUp(seq)
                    })
                #expect(contents.changesets == changesets)
            }
        }
        print("columns: runs refer to \(references) earlier ones")
        #expect(references > 500)
    }

    @Test func `what was said before takes fewer bytes`() throws {
        var (alone, after): (Int, Int) = (0, 0)
        for seed in 1...20 as ClosedRange<UInt64> {
            var stream = SampleStream(seed: seed)
            for _ in 0..<4 { try stream.seal(30) }
            alone += stream.bytesAlone
            after += stream.runs.reduce(0) { $0 + $1.run.header.expandedBytes }
        }
        print("columns: \(after) bytes, \(alone) where no run refers to another")
        #expect(after * 100 < alone * 98)
    }

    @Test func `a run that refers to others is refused without them, and with too much`() throws {
        var stream = SampleStream(seed: 4)
        for _ in 0..<3 { try stream.seal(20) }
        let run = stream.runs[2].run
        let namespace = stream.sampler.namespace
        #expect(throws: RunError.source) { try run.changesets(namespace: namespace) }
        let vocabularies = stream.vocabularies
        #expect(throws: RunError.source) {
            try run.changesets(
                namespace: namespace, earlier: { _ throws(RunError) in vocabularies[2] })
        }
        let large = try vocabularies[0].again(byteCount: Limits.sourceBytes + 1, stream)
        #expect(throws: RunError.source) {
            try run.changesets(
                namespace: namespace,
                earlier: { seq throws(RunError) in
                    seq == large.lastSeq ? large : vocabularies.first { $0.lastSeq == seq }
                })
        }
        #expect(throws: RunError.unreadableSource(7)) {
            try run.changesets(
                namespace: namespace,
                earlier: { _ throws(RunError) in throw .unreadableSource(7) })
        }
    }

    @Test func `no flipped bit of an expanded body stops a reader`() throws {
        var (refused, other): (Int, Int) = (0, 0)
        for seed in 1...4 as ClosedRange<UInt64> {
            var stream = SampleStream(seed: seed)
            for _ in 0..<2 { try stream.seal(6) }
            let run = stream.runs[1].run
            let body = try run.expandedBody()
            for bit in 0..<body.count * 8 {
                var damaged = body
                damaged[bit / 8] ^= 1 << UInt8(bit % 8)
                do {
                    _ = try read(damaged, as: run, of: stream)
                    other += 1
                } catch {
                    refused += 1
                }
            }
        }
        print("columns: \(refused) damaged bodies refused, \(other) read as something")
        #expect(refused > 1_000 && other > 1_000)
    }

    private func read(
        _ body: [UInt8], as run: SealedRun, of stream: SampleStream
    ) throws -> [Changeset] {
        let header = run.header
        let lookUp = stream.lookUp
        let reader = try ColumnsReader(
            body,
            at: ColumnsReader.Place(
                stream: header.stream, firstSeq: header.firstSeq, previousRun: header.previous,
                streams: header.dependencies.map(\.stream),
                namespace: stream.sampler.namespace))
        return try reader.contents(
            lastSeq: header.lastSeq, byteCount: body.count,
            earlier: { seq throws(RunError) in lookUp(seq) }
        ).changesets
    }

    @Test func `a hundred thousand damaged bodies stop no reader`() throws {
        var stream = SampleStream(seed: 21)
        for _ in 0..<3 { try stream.seal(5) }
        let run = stream.runs[2].run
        let body = try run.expandedBody()
        var generator = SplitMix64(seed: 78)
        var taken = 0
        for _ in 0..<100_000 {
            var damaged = body
            for _ in 0..<1 + generator.below(4) {
                damaged[generator.below(damaged.count)] =
                    [0, 1, 2, 3, 8, 0x11, 0x41, 0x7f, 0x80, 0xff][generator.below(10)]
            }
            if (try? read(damaged, as: run, of: stream)) != nil { taken += 1 }
        }
        print("columns: \(taken) of 100000 damaged bodies taken")
    }

    @Test func `a body cut anywhere is refused`() throws {
        var stream = SampleStream(seed: 9)
        for _ in 0..<2 { try stream.seal(6) }
        let run = stream.runs[1].run
        let body = try run.expandedBody()
        for count in 0..<body.count {
            #expect(throws: (any Error).self, "\(count) bytes") {
                try read(Array(body.prefix(count)), as: run, of: stream)
            }
        }
        #expect(throws: RunError.body(CBORError(.trailing, at: body.count))) {
            try read(body + [0], as: run, of: stream)
        }
    }
}

extension RunVocabulary {
    /// The same run's, as if its body had another size.
    fileprivate func again(byteCount: Int, _ stream: SampleStream) throws -> RunVocabulary {
        let run = stream.runs[0].run
        let body = try ColumnsReader(
            try run.expandedBody(),
            at: ColumnsReader.Place(
                stream: run.header.stream, firstSeq: 1, previousRun: nil,
                streams: run.header.dependencies.map(\.stream),
                namespace: stream.sampler.namespace))
        return RunVocabulary(body, lastSeq: run.header.lastSeq, byteCount: byteCount)
    }
}
