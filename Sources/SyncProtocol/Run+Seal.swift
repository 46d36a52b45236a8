public import Causality

extension SealedRun {
    /// Seals `body`: like beside like, compressed where that helps.
    ///
    /// - Parameters:
    ///   - body: the changesets one after another, at most ``Limits/runExpandedBytes``.
    ///   - dependencies: those that the body's dots name first, in the order of their numbers.
    ///   - namespace: what natural keys are derived in.
    ///   - mark: what the ids of new rows of the scope end with.
    ///   - keys: those to what the body says of people.
    ///   - dictionary: what the stream has said; of this stream alone.
    ///   - earlier: what the stream's run that holds a seq says; `nil` where that is not known.
    public init(
        sealing body: [UInt8], stream: StreamID, firstSeq: UInt64, count: Int, previous: Digest?,
        dependencies: [Dependency], schemaVersion: UInt64, origin: StreamOrigin, key: DeviceKey,
        namespace: [UInt8], mark: ScopeMark? = nil, keys: KeptKeys = KeptKeys(),
        dictionary: inout SealingDictionary,
        earlier: (UInt64) -> RunVocabulary?
    ) {
        let place = ColumnsReader.Place(
            stream: stream, firstSeq: firstSeq, previousRun: previous,
            streams: dependencies.map(\.stream), namespace: namespace, mark: mark)
        let stored: StoredBody
        if let columns = Self.columns(body, place, &dictionary, earlier) {
            stored = StoredBody(columns: columns)
        } else {
            stored = StoredBody(plain: body)
            // What is in no run must not be referred to.
            dictionary = SealingDictionary()
        }
        let header = RunHeader(
            stream: stream, firstSeq: firstSeq, count: count, previous: previous,
            bodyHash: Digest(sha256: stored.bytes), dependencies: dependencies,
            schemaVersion: schemaVersion, encoding: stored.encoding,
            expandedBytes: stored.expandedBytes, origin: firstSeq == 1 ? origin : nil,
            keyChecks: keys.checks)
        self.init(signing: header, body: stored.bytes, keys: keys.keys, key: key)
    }

    /// The body by columns; `nil` where it must lie by rows.
    private static func columns(
        _ body: [UInt8], _ place: ColumnsReader.Place, _ dictionary: inout SealingDictionary,
        _ earlier: (UInt64) -> RunVocabulary?
    ) -> ColumnsWriter.Body? {
        let columns = body.withUnsafeBytes { bytes -> ColumnsWriter.Body? in
            do throws(BodyScan.NotABody) {
                var writer = try ColumnsWriter(bytes, at: place)
                return try writer.write(&dictionary, earlier: earlier)
            } catch {
                return nil
            }
        }
        // One that takes more than a run may hold is not looked at further: it hardly ever comes.
        guard let columns, columns.bytes.count <= Limits.runStoredBytes,
            body.count > Limits.sealCheckBytes || readsAlike(columns.bytes, body, place, earlier)
        else { return nil }
        return columns
    }

    /// Whether a body by columns says what the one by rows says: what people recorded is not left to
    /// the word of the code that sorts it.
    private static func readsAlike(
        _ columns: [UInt8], _ rows: [UInt8], _ place: ColumnsReader.Place,
        _ earlier: (UInt64) -> RunVocabulary?
    ) -> Bool {
        do {
            let body = try ColumnsReader(columns, at: place)
            let changesets = try body.contents(
                lastSeq: body.lastSeq, byteCount: columns.count,
                earlier: { seq throws(RunError) in earlier(seq) }
            ).changesets
            var reader = BodyReader(
                body: rows, stream: place.stream, firstSeq: place.firstSeq,
                previousRun: place.previousRun, streams: place.streams,
                namespace: place.namespace, mark: place.mark)
            for changeset in changesets {
                guard try reader.next() == changeset else { return false }
            }
            return try reader.next() == nil
        } catch {
            return false
        }
    }

    /// As above, for a run that refers to none before it.
    public init(
        sealing body: [UInt8], stream: StreamID, firstSeq: UInt64, count: Int, previous: Digest?,
        dependencies: [Dependency], schemaVersion: UInt64, origin: StreamOrigin, key: DeviceKey,
        namespace: [UInt8] = []
    ) {
        var dictionary = SealingDictionary()
        self.init(
            sealing: body, stream: stream, firstSeq: firstSeq, count: count, previous: previous,
            dependencies: dependencies, schemaVersion: schemaVersion, origin: origin, key: key,
            namespace: namespace, mark: nil, dictionary: &dictionary, earlier: { _ in nil })
    }
}

/// A body as a run holds it.
private struct StoredBody {
    var bytes: [UInt8]
    var encoding: BodyEncoding
    var expandedBytes: Int

    init(columns body: ColumnsWriter.Body) {
        let packed = Compression.compress(body.bytes, seams: body.seams)
        bytes = packed ?? body.bytes
        encoding = packed == nil ? .columns : .columnsZstd
        expandedBytes = body.bytes.count
    }

    init(plain body: [UInt8]) {
        let packed = Compression.compress(body)
        bytes = packed ?? body
        encoding = packed == nil ? .plain : .zstd
        expandedBytes = body.count
    }
}
