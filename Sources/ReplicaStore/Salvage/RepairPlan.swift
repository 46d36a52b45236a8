internal import Causality
internal import Merge
internal import RecordSchema
internal import SyncProtocol

/// What a repaired file will hold of a damaged one, and what it can't.
struct RepairPlan {
    /// One stream, with the runs that follow each other from its first change on.
    struct Stream {
        var record: StreamRecord
        var runs: [SalvagedRun] = []
        /// Changes of this device that no run holds, in order.
        var pieces: [TailPiece] = []
        /// Pieces and runs behind a gap.
        var stranded: [SalvagedPiece] = []
        var strandedRuns: [SalvagedRun] = []
        /// Runs behind the stream's end.
        var cutOffRuns: [SalvagedRun] = []
        /// The last change that the stream is known to have had.
        var known: UInt64 = 0
    }

    private(set) var streams: [Stream] = []
    private(set) var changesets: [Changeset] = []
    /// The number of the stream that the replica writes to; `nil` when it must take a new one.
    private(set) var own: Int64?
    private(set) var lost: [LostChanges] = []
    /// Changes behind those that are lost.
    private(set) var waiting: [LostChanges] = []
    /// Some that are missing may come back, and what rests on them is here.
    private(set) var hasHoles = false
    let publicKey: [UInt8]
    /// What was written in other scopes than the base one.
    private(set) var laneCount: UInt64 = 0

    init(
        _ file: SalvagedFile, schema: Schema, publicKey: [UInt8], mark: InstallFile.Mark?
    ) {
        self.publicKey = publicKey
        own = file.meta["own"]?.integer
        if streamOf(file, own)?.publicKey != publicKey { own = nil }
        if own == nil, let mark {
            own =
                file.streams.first {
                    $0.stream == mark.stream && $0.publicKey == publicKey
                }?.sid
        }
        if let mark, streamOf(file, own)?.stream == mark.stream { laneCount = mark.kept }
        for record in file.streams.sorted(by: { $0.sid < $1.sid }) {
            add(record, file, schema, mark)
        }
        endStreams(file, schema)
        findLost(file)
    }

    /// No stream is as long: a number above it is a damaged one.
    private static let seqLimit: UInt64 = 1 << 40

    private func streamOf(_ file: SalvagedFile, _ sid: Int64?) -> StreamRecord? {
        file.streams.first { $0.sid == sid }
    }

    // MARK: Streams

    private mutating func add(
        _ record: StreamRecord, _ file: SalvagedFile, _ schema: Schema, _ mark: InstallFile.Mark?
    ) {
        var stream = Stream(record: record)
        let found = file.runs[record.stream] ?? [:]
        var (sealed, hash): (UInt64, Digest?) = (0, nil)
        var reader = StreamReader(
            namespace: schema.namespace, mark: schema.mark(ofScope: record.scope))
        while let next = found[sealed + 1]?.first(where: { $0.run.header.previous == hash }),
            let decoded = try? reader.changesets(of: next.run)
        {
            stream.runs.append(next)
            changesets += decoded
            (sealed, hash) = (next.run.header.lastSeq, next.hash)
        }
        // Of a stream with branches, those beside the chain: taken in anew, each makes its branch again.
        let isForked = file.meta[MetaKey.branches] != nil
        stream.strandedRuns = found.values.joined().filter { [stream] entry in
            entry.run.header.firstSeq > sealed
                || isForked && !stream.runs.contains { $0.hash == entry.hash }
        }
        .sorted { $0.run.header.firstSeq < $1.run.header.firstSeq }
        stream.known =
            [record.head, record.sealed, file.shown[record.sid] ?? 0]
            .filter { $0 < Self.seqLimit }.max() ?? 0
        if let noted = file.meta[MetaKey.known(record.sid)]?.integer {
            stream.known = max(stream.known, min(UInt64(clamping: noted), Self.seqLimit))
        }
        if mark?.stream == record.stream { stream.known = max(stream.known, mark?.head ?? 0) }
        stream.record.sealed = sealed
        stream.record.runHash = hash
        stream.record.named = min(record.named, sealed)
        addPieces(file.pieces[record.stream] ?? [], to: &stream, schema)
        stream.record.head = sealed + UInt64(stream.pieces.count)
        let last = stream.strandedRuns.map(\.run.header.lastSeq) + stream.stranded.map(\.piece.seq)
        stream.known = max(stream.known, stream.record.head, last.max() ?? 0)
        streams.append(stream)
    }

    /// Ends streams where the cuts of the log say: what a damaged file notes of that needs no saving,
    /// and old pages hold runs that were cut off.
    private mutating func endStreams(_ file: SalvagedFile, _ schema: Schema) {
        let cuts = file.meta[MetaKey.root] == nil ? [] : cuts(schema)
        for index in streams.indices {
            var stream = streams[index]
            let origin = stream.record.origin
            stream.record.end =
                origin.publicKey == publicKey ? nil : cuts.end(of: origin)
            if let end = stream.record.end,
                end.run == nil || stream.runs.contains(where: { $0.hash == end.run })
            {
                let name = stream.record.stream
                let isCutOff = { (entry: SalvagedRun) in entry.run.header.lastSeq > end.lastSeq }
                stream.cutOffRuns = (stream.runs + stream.strandedRuns).filter(isCutOff)
                stream.runs.removeAll(where: isCutOff)
                stream.strandedRuns.removeAll(where: isCutOff)
                if stream.record.sealed > end.lastSeq {
                    (stream.record.sealed, stream.record.head) = (end.lastSeq, end.lastSeq)
                    stream.record.runHash = end.run
                    stream.record.named = min(stream.record.named, end.lastSeq)
                    changesets.removeAll { $0.dot.stream == name && $0.dot.seq > end.lastSeq }
                }
                stream.known = min(stream.known, end.lastSeq)
            }
            streams[index] = stream
        }
    }

    private func cuts(_ schema: Schema) -> [Cut] {
        guard let place = schema.trust, let table = schema.table(id: place.table) else { return [] }
        var replay = LogReplay()
        for changeset in changesets {
            for change in changeset.rows where change.table == place.table {
                replay.add(change, dot: changeset.dot, time: changeset.time)
            }
        }
        return replay.rows().flatMap { key, state in
            AddWinsSet.elements(of: state, column: place.cuts).compactMap { element in
                guard case .blob(let bytes)? = try? Value(canonicalBytes: element),
                    let cut = try? Cut(decoding: bytes),
                    key.row == schema.rowID(in: table, key: [.text(cut.device.description)])
                else { return nil }
                return cut
            }
        }
    }

    /// Pieces count as far as they follow each other and can be read.
    private mutating func addPieces(
        _ all: [SalvagedPiece], to stream: inout Stream, _ schema: Schema
    ) {
        let record = stream.record
        var reader = BodyReader(
            body: [], stream: record.stream, firstSeq: record.sealed + 1,
            previousRun: record.runHash, streams: [], namespace: schema.namespace,
            mark: schema.mark(ofScope: record.scope))
        let found = Dictionary(
            all.filter { $0.previous == record.runHash }.map { ($0.piece.seq, $0.piece) }
        ) { first, _ in first }
        var next = record.sealed + 1
        while let piece = found[next] {
            reader.append(piece.body, newStreams: piece.streams)
            guard let changeset = try? reader.next() else { break }
            stream.pieces.append(piece)
            changesets.append(changeset)
            next += 1
        }
        var known: Set<UInt64> = []
        stream.stranded = all.sorted { $0.piece.seq < $1.piece.seq }.filter {
            $0.piece.seq >= next && known.insert($0.piece.seq).inserted
        }
    }

    // MARK: What is missing

    private mutating func findLost(_ file: SalvagedFile) {
        raiseKnown(file)
        let hub = Self.heads(file)
        for index in streams.indices {
            let stream = streams[index]
            let isOwn = stream.record.publicKey == publicKey
            guard stream.known > stream.record.head else { continue }
            if isOwn, stream.record.sid == own { own = nil }
            divide(stream, isOwn: isOwn, sent: hub[stream.record.sid] ?? 0)
        }
        hasHoles = !lost.isEmpty || !waiting.isEmpty
        // What was not sealed goes on in a new incarnation.
        if own == nil { hasHoles = hasHoles || streams.contains { !$0.pieces.isEmpty } }
    }

    /// What follows the head of a stream: what is missing, and what is here and waits for that.
    private mutating func divide(_ stream: Stream, isOwn: Bool, sent: UInt64) {
        var kept: [ClosedRange<UInt64>] = stream.strandedRuns.map {
            $0.run.header.firstSeq...$0.run.header.lastSeq
        }
        kept += stream.stranded.map { $0.piece.seq...$0.piece.seq }
        kept.sort { $0.lowerBound < $1.lowerBound }
        var next = stream.record.head + 1
        for range in kept where range.upperBound >= next {
            if range.lowerBound > next {
                Self.add(next, range.lowerBound - 1, stream, isOwn, sent, &lost)
            }
            Self.add(max(next, range.lowerBound), range.upperBound, stream, isOwn, sent, &waiting)
            next = range.upperBound + 1
        }
        if next <= stream.known { Self.add(next, stream.known, stream, isOwn, sent, &lost) }
    }

    /// One entry for what the hub has of a range and one for the rest; neighbours are one.
    private static func add(
        _ first: UInt64, _ last: UInt64, _ stream: Stream, _ isOwn: Bool, _ sent: UInt64,
        _ list: inout [LostChanges]
    ) {
        func add(_ first: UInt64, _ last: UInt64, _ whose: LostChanges.Whose) {
            let name = stream.record.stream
            if let end = list.indices.last, list[end].stream == name, list[end].whose == whose,
                list[end].last + 1 == first
            {
                list[end].last = last
                return
            }
            list.append(
                LostChanges(
                    stream: name, first: first, last: last, whose: whose,
                    device: stream.record.device))
        }
        guard isOwn else { return add(first, last, .other) }
        if first <= sent { add(first, min(last, sent), .ownSent) }
        if last > sent { add(max(first, sent + 1), last, .ownUnsent) }
    }

    /// Runs name the last changes that their authors held.
    private mutating func raiseKnown(_ file: SalvagedFile) {
        var named: [StreamID: UInt64] = [:]
        for entry in file.runs.values.flatMap(\.values).joined() {
            for dependency in entry.run.header.dependencies {
                named[dependency.stream] = max(named[dependency.stream] ?? 0, dependency.seq)
            }
        }
        for (sid, has) in Self.heads(file) {
            guard let stream = file.streams.first(where: { $0.sid == sid })?.stream,
                has < Self.seqLimit
            else { continue }
            named[stream] = max(named[stream] ?? 0, has)
        }
        for index in streams.indices {
            let stream = streams[index].record.stream
            streams[index].known = max(streams[index].known, named[stream] ?? 0)
            named[stream] = nil
            // What lies behind an end was not lost.
            if let end = streams[index].record.end {
                streams[index].known = min(streams[index].known, end.lastSeq)
            }
        }
        for (stream, seq) in named.sorted(by: { $0.key < $1.key }) where seq > 0 {
            lost.append(
                LostChanges(stream: stream, first: 1, last: seq, whose: .other, device: nil))
        }
    }

    /// What the hub is known to hold, by the number of the stream.
    static func heads(_ file: SalvagedFile) -> [Int64: UInt64] {
        var heads: [Int64: UInt64] = [:]
        for values in file.peerHeads {
            guard let sid = values[1].integer,
                let has = values[2].integer.flatMap({
                    UInt64(exactly: $0)
                })
            else { continue }
            heads[sid] = max(heads[sid] ?? 0, has)
        }
        return heads
    }
}
