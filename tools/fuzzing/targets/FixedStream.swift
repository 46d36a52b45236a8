import Causality
import Merge
import SyncProtocol

/// The stream that the inputs of all targets belong to: what a reader knows besides the bytes.
enum FixedStream {
    static let stream = StreamID(Identifier(high: 0, low: 1))
    static let others = [2, 3].map { StreamID(Identifier(high: 0, low: $0)) }
    static let namespace = Array("forum".utf8)
    /// Of the run that an input is.
    static let firstSeq: UInt64 = 1_000
    static let previousRun = Digest(sha256: [])
    static let key = DeviceKey(seed: Array(repeating: 7, count: 32)) ?? DeviceKey()
    /// In no header but that of a first run.
    static let origin = StreamOrigin(publicKey: key.publicKey, scope: "forum", incarnation: 0)
    static let milliseconds: Int64 = 1_764_000_000_000

    static var place: ColumnsReader.Place {
        ColumnsReader.Place(
            stream: stream, firstSeq: firstSeq, previousRun: previousRun, streams: others,
            namespace: namespace)
    }

    /// Of a stream's dots all are covered.
    static func dependencies(_ streams: [StreamID]) -> [Dependency] {
        streams.map { Dependency(stream: $0, seq: UInt64(Int64.max), run: previousRun) }
    }

    static func reader(_ body: [UInt8], streams: [StreamID] = others) -> BodyReader {
        BodyReader(
            body: body, stream: stream, firstSeq: firstSeq, previousRun: previousRun,
            streams: streams, namespace: namespace)
    }

    // MARK: Earlier runs

    /// What the runs before say, each of one changeset; the last ends before ``firstSeq``.
    static let vocabularies: [UInt64: RunVocabulary] = {
        var vocabularies: [UInt64: RunVocabulary] = [:]
        for seq in firstSeq - 3..<firstSeq {
            let run = seal(
                [sample(seq)], dictionary: SealingDictionary(), earlier: { _ in nil })
            vocabularies[seq] = try? run.vocabulary(namespace: namespace)
        }
        precondition(vocabularies.count == 3, "a sealed run can't be read")
        return vocabularies
    }()

    static func earlier(_ seq: UInt64) -> RunVocabulary? { vocabularies[seq] }

    /// A changeset with values and rows of every kind.
    static func sample(_ seq: UInt64) -> Changeset {
        let dot = Dot(stream, seq)
        let time = HybridTime(milliseconds: milliseconds + Int64(seq))
        let rows = (0..<6 as Range<UInt64>).map { index in
            RowChange(
                table: UInt32(1 + index % 2), row: RowID(Identifier(high: seq % 2, low: index)),
                operations: [
                    Operation(CellKey(1), .put(.text(["in", "out", "late"][Int(index % 3)]))),
                    Operation(CellKey(2), .put(.blob(Array(repeating: UInt8(index), count: 16)))),
                    Operation(CellKey(3), .put(.integer(Int64(seq * index)))),
                    Operation(CellKey(4, element: Value.text("az").canonicalBytes), .put(.null)),
                    Operation(CellKey(5), .put(index == 0 ? .null : .real(0.5))),
                ])
        }
        return Changeset(dot: dot, time: time, author: "Günel", source: "list", rows: rows)
    }

    // MARK: Runs

    /// A run as its author seals it; the changesets must be consecutive ones of ``stream``.
    static func seal(
        _ changesets: [Changeset], dictionary: SealingDictionary,
        earlier: (UInt64) -> RunVocabulary?
    ) -> SealedRun {
        let (body, streams) = rows(changesets)
        return seal(
            body, firstSeq: changesets.first?.dot.seq ?? firstSeq, count: changesets.count,
            streams: streams, dictionary: dictionary, earlier: earlier)
    }

    /// As above, of a body by rows.
    static func seal(
        _ body: [UInt8], firstSeq: UInt64 = firstSeq, count: Int, streams: [StreamID] = others,
        dictionary: SealingDictionary, earlier: (UInt64) -> RunVocabulary?
    ) -> SealedRun {
        var dictionary = dictionary
        return SealedRun(
            sealing: body, stream: stream, firstSeq: firstSeq, count: count,
            previous: previousRun, dependencies: dependencies(streams), schemaVersion: 2,
            origin: origin, key: key, namespace: namespace, dictionary: &dictionary,
            earlier: earlier)
    }

    /// A run of a body that nobody sealed: hash and signature are not its own.
    static func run(_ body: [UInt8], count: Int, encoding: BodyEncoding) throws -> SealedRun {
        var header = CBOREncoder()
        header.map(9)
        header.unsigned(0)
        header.unsigned(Limits.format)
        header.unsigned(1)
        header.blob(stream.identifier.bytes)
        header.unsigned(2)
        header.unsigned(firstSeq)
        header.unsigned(3)
        header.unsigned(UInt64(count))
        header.unsigned(4)
        header.blob(previousRun.bytes)
        header.unsigned(5)
        header.blob(previousRun.bytes)
        header.unsigned(6)
        header.array(others.count)
        for dependency in dependencies(others) {
            header.array(3)
            header.blob(dependency.stream.identifier.bytes)
            header.unsigned(dependency.seq)
            header.blob(dependency.run.bytes)
        }
        header.unsigned(7)
        header.unsigned(2)
        header.unsigned(8)
        header.array(2)
        header.unsigned(encoding.rawValue)
        header.unsigned(UInt64(body.count))
        return try SealedRun(headerBytes: header.bytes, signature: [], body: body)
    }

    /// A body by rows, as a replica writes it that knows rows by their ids alone.
    static func rows(_ changesets: [Changeset]) -> (body: [UInt8], streams: [StreamID]) {
        var writer = BodyWriter(stream: stream, previousRun: previousRun)
        var body: [UInt8] = []
        for changeset in changesets {
            writer.begin(seq: changeset.dot.seq, time: changeset.time)
            for row in changeset.rows {
                let id = row.isNew ? writer.makeRowID() ?? row.row : row.row
                writer.row(
                    table: row.table, id: id, name: row.isNew ? .new : .whole,
                    itemCount: row.operations.reduce(0) { $0 + BodyWriter.itemCount($1) })
                for operation in row.operations { writer.write(operation) }
            }
            body +=
                writer.finish(
                    author: changeset.author, claimedMilliseconds: changeset.claimedMilliseconds,
                    action: changeset.action, source: changeset.source
                ).bytes
        }
        return (body, writer.streams)
    }
}
