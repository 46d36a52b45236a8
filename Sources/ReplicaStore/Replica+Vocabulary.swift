internal import Causality
internal import RecordSchema
internal import SyncProtocol

/// What runs say in full, as later runs of their streams refer to it: those read lately.
final class VocabularyCache {
    private var known: [Digest: (vocabulary: RunVocabulary, use: UInt64)] = [:]
    private var byteCount = 0
    private var uses: UInt64 = 0

    /// Of the bodies that are kept, when expanded.
    private static let byteLimit = 4 << 20
    private static let countLimit = 256

    subscript(run: Digest) -> RunVocabulary? {
        guard let found = known[run]?.vocabulary else { return nil }
        uses += 1
        known[run]?.use = uses
        return found
    }

    func insert(_ vocabulary: RunVocabulary, of run: Digest) {
        guard known[run] == nil else { return }
        uses += 1
        known[run] = (vocabulary, uses)
        byteCount += vocabulary.byteCount
        guard byteCount > Self.byteLimit || known.count > Self.countLimit else { return }
        // The half that was not used for longest goes.
        let order = known.sorted { $0.value.use < $1.value.use }
        for (run, entry) in order.prefix(known.count / 2) {
            known[run] = nil
            byteCount -= entry.vocabulary.byteCount
        }
    }
}

/// The runs of one stream, read one after another from its first.
struct StreamReader {
    let namespace: [UInt8]
    let mark: ScopeMark?
    private let erased: Set<RowID>
    private var vocabularies: [UInt64: RunVocabulary] = [:]

    /// - Parameter erased: people of whom nothing personal is read.
    init(namespace: [UInt8], mark: ScopeMark?, erased: Set<RowID> = []) {
        (self.namespace, self.mark, self.erased) = (namespace, mark, erased)
    }

    /// - Parameter isOpened: otherwise what is personal is given as the body has it.
    mutating func changesets(
        of run: SealedRun, isOpened: Bool = true
    ) throws(RunError) -> [Changeset] {
        let known = vocabularies
        var contents = try run.contents(namespace: namespace, mark: mark) { seq throws(RunError) in
            known[seq]
        }
        vocabularies[run.header.lastSeq] = contents.vocabulary
        if isOpened { contents.open(run.keys, isErased: erased.contains) }
        return contents.changesets
    }
}

extension Replica {
    /// What the run of a stream says that holds a changeset; `nil` where none does.
    func vocabulary(_ sid: Int64, holding seq: UInt64) throws(StoreError) -> RunVocabulary? {
        let place = try connection.statement(
            """
            SELECT first_seq, last_seq, hash FROM sy_run WHERE sid = ? AND last_seq >= ?
            ORDER BY last_seq LIMIT 1
            """)
        place.bind(1, sid)
        place.bind(2, Int64(seq))
        guard try place.step(), place.integer(0) <= Int64(seq),
            let hash = Digest(place.blob(2))
        else {
            place.reset()
            return nil
        }
        let lastSeq = place.integer(1)
        place.reset()
        // By the hash: another run may have stood here in a transaction that was taken back.
        if let known = vocabularies[hash] { return known }
        let statement = try connection.statement(
            "SELECT head, sig, body FROM sy_run WHERE sid = ? AND last_seq = ? LIMIT 1")
        defer { statement.reset() }
        statement.bind(1, sid)
        statement.bind(2, lastSeq)
        guard try statement.step() else { return nil }
        let run = try sealedRun(statement)
        do throws(RunError) {
            let vocabulary = try run.vocabulary(
                namespace: schema.namespace, mark: mark(of: rows.streams[sid: sid]))
            vocabularies.insert(vocabulary, of: hash)
            return vocabulary
        } catch {
            throw rows.damaged(
                "run \(run.header.stream):\(run.header.lastSeq): \(error.explanation)")
        }
    }

    /// The runs of one stream, or of a branch and what it left, for whoever reads one of them.
    func vocabularies(
        of record: StreamRecord?
    ) -> (UInt64) throws(RunError) -> RunVocabulary? {
        { [self] seq throws(RunError) in
            guard let record else { return nil }
            do throws(StoreError) {
                let holder = rows.streams.holder(of: seq, in: record)
                return try vocabulary(holder.sid, holding: seq)
            } catch {
                throw .unreadableSource(seq)
            }
        }
    }
}
