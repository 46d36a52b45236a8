public import Causality

/// Why a run can't be taken for what it says.
public enum RunError: Error, Hashable, Sendable {
    case signature
    case bodyHash
    /// A key that is not the one that its author made.
    case keys
    case size
    case body(CBORError)
    /// Only a later build can read it.
    case later
    /// The body holds another number of changesets than the header says.
    case count
    /// A dot lies beyond the dep that it refers to.
    case dependency
    /// It refers to a run of its stream that is none, or to too much.
    case source
    /// A run of its stream that it refers to can't be read here: this run may be good.
    case unreadableSource(UInt64)

    public var explanation: String {
        switch self {
        case .signature: "its signature is not its device's"
        case .bodyHash: "its body is not the one that was signed"
        case .keys: "a key to what it says of people is not the one that belongs to it"
        case .size: "its body does not expand to the size that it states"
        case .body(let error): "its body can't be read: \(error)"
        case .later: "it was written by a newer Karvan"
        case .count: "it does not hold as many changesets as it says"
        case .dependency: "it refers to changes that its author did not hold"
        case .source: "it refers to runs before it that it may not refer to"
        case .unreadableSource(let seq):
            "the run with change \(seq) of its stream, which it refers to, can't be read"
        }
    }
}

/// What a run holds.
public struct RunContents: Sendable {
    public var changes: RunChanges
    /// The order of the changes by row; see ``RunChanges/order()``.
    public var order: [UInt32]?
    /// What later runs of the stream may refer to.
    public var vocabulary: RunVocabulary
    /// The keys that may be kept beside the run, once ``open(_:isErased:)`` has used them.
    public private(set) var keys: [UInt8] = []
    /// The values that stayed sealed then.
    public private(set) var unreadableCount = 0

    /// What it said before that, where somebody asked for it.
    package var sealedChangesets: [Changeset]?

    init(changes: RunChanges, order: [UInt32]?, vocabulary: RunVocabulary) {
        (self.changes, self.order, self.vocabulary) = (changes, order, vocabulary)
    }

    /// See ``RunChanges/open(_:isErased:)``.
    public mutating func open(_ keys: [UInt8], isErased: (RowID) -> Bool) {
        (self.keys, unreadableCount) = changes.open(keys, isErased: isErased)
    }

    /// The changesets as values of their own.
    public var changesets: [Changeset] { changes.changesets }
}

extension SealedRun {
    /// Holds signature, sizes and body hash against the header.
    ///
    /// - Parameter publicKey: of the device whose stream it is.
    public func verify(publicKey: [UInt8]) throws(RunError) {
        guard body.count <= Limits.runStoredBytes, signature.count == 64 else { throw .size }
        guard Digest(sha256: body) == header.bodyHash else { throw .bodyHash }
        guard DeviceKey.verify(signature, of: hash, by: publicKey) else { throw .signature }
        guard areKeysFitting else { throw .keys }
    }

    /// The body as its author wrote it.
    public func expandedBody() throws(RunError) -> [UInt8] {
        guard !header.needsLaterBuild else { throw .later }
        guard header.encoding.isCompressed else {
            guard body.count == header.expandedBytes else { throw .size }
            return body
        }
        guard let bytes = Compression.expand(body, size: header.expandedBytes) else {
            throw .size
        }
        return bytes
    }

    /// All changesets, in order; the run must have been verified.
    ///
    /// - Parameter earlier: what the run of its stream says that holds a seq.
    public func changesets(
        namespace: [UInt8], mark: ScopeMark? = nil,
        earlier: (UInt64) throws(RunError) -> RunVocabulary? = { _ throws(RunError) in nil }
    ) throws(RunError) -> [Changeset] {
        try contents(namespace: namespace, mark: mark, earlier: earlier).changesets
    }

    /// What a replica takes in of it; the run must have been verified.
    ///
    /// - Parameter named: what the streams of the deps are called in dots, in the order of the deps; `nil`
    ///   where none of them has branches.
    public func contents(
        namespace: [UInt8], mark: ScopeMark? = nil, naming named: [StreamID]? = nil,
        earlier: (UInt64) throws(RunError) -> RunVocabulary? = { _ throws(RunError) in nil }
    ) throws(RunError) -> RunContents {
        guard !header.needsLaterBuild else { throw .later }
        let streams = named ?? header.dependencies.map(\.stream)
        let contents =
            header.encoding.isByColumns
            ? try readColumns(streams, namespace, mark, earlier)
            : try readRows(streams, namespace, mark)
        guard contents.changes.heads.count == header.count else { throw .count }
        // Every dot of another stream lies at or below the dep that names the stream.
        let heads = VersionVector(zip(streams, header.dependencies).map { ($0, $1.seq) })
        guard contents.changes.namesOnly(heads, besides: header.stream) else { throw .dependency }
        return contents
    }

    /// What later runs of the stream may refer to. Needs no run before it.
    public func vocabulary(
        namespace: [UInt8], mark: ScopeMark? = nil
    ) throws(RunError) -> RunVocabulary {
        guard header.encoding.isByColumns else { return rowsVocabulary }
        return RunVocabulary(
            try columnsBody(header.dependencies.map(\.stream), namespace, mark),
            lastSeq: header.lastSeq, byteCount: header.expandedBytes)
    }

    private func readRows(
        _ streams: [StreamID], _ namespace: [UInt8], _ mark: ScopeMark?
    ) throws(RunError) -> RunContents {
        let body = try expandedBody()
        var reader = BodyReader(
            body: body, stream: header.stream, firstSeq: header.firstSeq,
            previousRun: header.previous, streams: streams, namespace: namespace,
            mark: mark)
        var changes = RunChanges(bytes: body)
        do throws(CBORError) {
            while try reader.next(into: &changes) {
                guard changes.heads.count <= header.count else { throw reader.trailingError }
            }
            return RunContents(
                changes: changes, order: try changes.order(), vocabulary: rowsVocabulary)
        } catch {
            throw .body(error)
        }
    }

    /// Of a run that nothing can refer to.
    private var rowsVocabulary: RunVocabulary {
        RunVocabulary(
            firstSeq: header.firstSeq, lastSeq: header.lastSeq, byteCount: header.expandedBytes,
            isByColumns: false)
    }

    private func readColumns(
        _ streams: [StreamID], _ namespace: [UInt8], _ mark: ScopeMark?,
        _ earlier: (UInt64) throws(RunError) -> RunVocabulary?
    ) throws(RunError) -> RunContents {
        try columnsBody(streams, namespace, mark).contents(
            lastSeq: header.lastSeq, byteCount: header.expandedBytes, earlier: earlier)
    }

    private func columnsBody(
        _ streams: [StreamID], _ namespace: [UInt8], _ mark: ScopeMark?
    ) throws(RunError) -> ColumnsReader {
        let bytes = try expandedBody()
        do throws(CBORError) {
            return try ColumnsReader(
                bytes,
                at: ColumnsReader.Place(
                    stream: header.stream, firstSeq: header.firstSeq,
                    previousRun: header.previous, streams: streams, namespace: namespace,
                    mark: mark))
        } catch {
            throw .body(error)
        }
    }
}
