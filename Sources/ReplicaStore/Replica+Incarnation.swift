internal import Causality
internal import Merge
internal import RecordSchema
internal import SyncProtocol

/// Why a file goes on under another stream.
public enum NewIncarnation: Hashable, Sendable {
    /// It lies in another place than the file that it was copied from, or beside nothing that names
    /// what was written last.
    case copied
    /// An older state of the file lies in its place: a copy that was put back, or a disk that lost
    /// the last writes.
    case putBack
    /// Another file writes to the same stream, with the same key: a whole disk was copied.
    case forked
}

/// A file that was copied, put back or cut short goes on as a new incarnation: the numbers behind
/// its last change may have been used by another file, or by this one in a life that it lost.
///
/// What the old incarnation had not sealed stays part of the state, in `sy_left`. Another file may
/// seal it too, so it waits until that run arrives, or until it is adopted.
extension Replica {
    /// Whether this file is the one that wrote here last. Inside of a transaction, with `own` as the
    /// file has it.
    func isThisInstall() throws(StoreError) -> Bool {
        // A repair lost changes of this stream, or the file comes from a backup.
        if try connection.meta(MetaKey.renew) != nil { return false }
        if let mark = install.read() { return mark.isHeld(by: own, kept: keptCount) }
        // Before there were such files, a copy could not be told.
        guard try connection.meta("install") == nil else { return false }
        try connection.setMeta("install", .integer(1))
        try install.reserve()
        try install.sync(InstallFile.Mark(own, kept: keptCount))
        return true
    }

    /// Starts a new stream and leaves the tail to the old one. Ends the transaction that it is
    /// called in, so that nothing is written under a name that the file beside does not hold yet.
    func takeNewIncarnation() throws(StoreError) {
        let mark = install.read()
        let isPutBack = mark?.stream == own.stream
        if isPutBack, let head = mark?.head, head > own.head {
            try connection.setMeta(MetaKey.known(own.sid), .integer(Int64(clamping: head)))
        }
        try install.reserve()
        try connection.run(
            "INSERT INTO sy_left(sid, seq, refs, body, sum, keys) SELECT ?, seq, refs, body, sum, keys FROM sy_tail",
            .integer(own.sid))
        try connection.run("DELETE FROM sy_tail")
        for lane in lanes {
            try rows.streams.update(lane.record, in: connection)
            // An older copy in the same place: nobody else goes on in its name.
            if isPutBack, lane.record.head > lane.record.sealed {
                try connection.setMeta(Self.adoption(lane.record), .integer(1))
            }
        }
        // The others follow when something is written in their scopes.
        try connection.run("DELETE FROM sy_meta WHERE key GLOB ?", .text(MetaKey.lane("*")))
        lanes.removeSubrange(1...)
        let origin = StreamOrigin(
            publicKey: own.publicKey, scope: own.scope, incarnation: randomIncarnation())
        own = try rows.streams.add(origin, to: connection)
        own.clock = clock.last
        try rows.streams.update(own, in: connection)
        try connection.setMeta("own", .integer(own.sid))
        let renewal = try connection.meta(MetaKey.renew)
        // A repair keeps the epoch of a feed of which it has found everything.
        if keepsFeed, renewal != MetaKey.repaired { try renewEpoch() }
        // Whoever restored or repaired it was told then.
        let isAnnounced = renewal == MetaKey.repaired || renewal == MetaKey.restored
        try connection.run("DELETE FROM sy_meta WHERE key = ?", .text(MetaKey.renew))
        try connection.run("COMMIT")
        try install.sync(InstallFile.Mark(own, kept: keptCount))
        guard !isAnnounced else { return }
        let isForked = renewal == MetaKey.forked
        environment.onNewIncarnation(isForked ? .forked : isPutBack ? .putBack : .copied)
    }

    // MARK: A hub's own words

    /// A hub takes a run of its own from others: it went back in time. What follows from that must be
    /// done, whatever happens next. Inside of a transaction.
    func noteTakenBack(_ run: SealedRun, _ publicKey: [UInt8]?) throws(StoreError) {
        guard keepsFeed, publicKey == own.publicKey else { return }
        try connection.setMeta(MetaKey.takenBack, .integer(1))
        // It gives no number twice.
        guard lane(of: run.header.stream) != nil else { return }
        try connection.setMeta(MetaKey.renew, MetaKey.rewound)
    }

    /// Whether a hub has taken back words of its own, and what they say has still to be seen to.
    package func hasTakenBack() throws(StoreError) -> Bool {
        try connection.meta(MetaKey.takenBack) != nil
    }

    /// Goes on as a new incarnation where the stream came back that was written to: others know numbers of
    /// it that the file doesn't tell of.
    package func renewIfTakenBack() throws(StoreError) {
        try transaction { () throws(StoreError) in
            // Whoever opens the file does it as well, and then there is nothing left to do.
            guard try connection.meta(MetaKey.renew) != nil else { return }
            try drain()
            try takeNewIncarnation()
            try connection.run("BEGIN IMMEDIATE")
            try reload()
        }
    }

    package func endTakingBack() throws(StoreError) {
        try transaction { () throws(StoreError) in
            try connection.run("DELETE FROM sy_meta WHERE key = ?", .text(MetaKey.takenBack))
        }
    }

    static func adoption(_ record: StreamRecord) -> String { "adopt_\(record.sid)" }

    // MARK: What was left

    /// Streams of earlier incarnations with changesets that no run holds.
    var leaving: [StreamRecord] {
        rows.streams.sorted.filter { lane(sid: $0.sid) == nil && $0.head > $0.sealed }
            .sorted { $0.sid < $1.sid }
    }

    /// Changesets of earlier incarnations that can't be sent yet.
    ///
    /// - Returns: how many there are, and how many of them go by themselves, at the next sync that
    ///   finds nobody who has sent them.
    public func left() throws(StoreError) -> (count: UInt64, adoptedCount: UInt64) {
        try read { () throws(StoreError) in
            var (count, adoptedCount): (UInt64, UInt64) = (0, 0)
            for record in leaving {
                count += record.head - record.sealed
                if try connection.meta(Self.adoption(record)) != nil {
                    adoptedCount += record.head - record.sealed
                }
            }
            return (count, adoptedCount)
        }
    }

    func leftPieces(_ record: StreamRecord) throws(StoreError) -> [TailPiece] {
        let statement = try connection.statement(
            "SELECT \(Self.pieceColumns) FROM sy_left WHERE sid = ? AND seq > ? ORDER BY seq")
        defer { statement.reset() }
        statement.bind(1, record.sid)
        statement.bind(2, Int64(record.sealed))
        var pieces: [TailPiece] = []
        while try statement.step() {
            // What follows a gap waits for what is missing.
            guard statement.integer(0) <= Int64(record.head) else { break }
            guard let piece = TailPiece(statement, of: record.wire, after: record.runHash)
            else {
                throw rows.damaged("change \(record.stream):\(statement.integer(0))")
            }
            guard piece.seq == record.sealed + UInt64(pieces.count) + 1 else {
                throw rows.damaged("change \(record.stream):\(piece.seq): one before is missing")
            }
            pieces.append(piece)
        }
        guard UInt64(pieces.count) == record.head - min(record.sealed, record.head) else {
            throw rows.damaged("changes of \(record.stream) behind \(record.sealed) are missing")
        }
        return pieces
    }

    /// The changesets that an earlier incarnation left, in order.
    ///
    /// - Parameter isOpened: otherwise what is personal is given as it lies.
    func leftChangesets(
        _ record: StreamRecord, isOpened: Bool = true
    ) throws(StoreError) -> [Changeset] {
        let erased = try isOpened ? erasedPeople() : []
        var reader = tailReader(record)
        var changesets: [Changeset] = []
        for piece in try leftPieces(record) {
            reader.append(piece.body, newStreams: piece.streams)
            do throws(CBORError) {
                while let changeset = try reader.next(
                    isOpened ? piece.keys.keys : [], isErased: erased.contains)
                {
                    changesets.append(changeset)
                }
            } catch {
                throw rows.damaged("change \(record.stream):\(piece.seq): \(error)")
            }
        }
        return rows.streams.isForked(record.wire)
            ? try read(changesets, of: record) : changesets
    }

    /// How many changesets at the start of a run are part of the state, because they were left here.
    ///
    /// - Returns: `nil` when the run holds others in their place.
    func leftCount(
        in contents: RunContents, _ record: StreamRecord?
    ) throws(StoreError) -> Int? {
        guard let record, lane(sid: record.sid) == nil, record.head > record.sealed else {
            return 0
        }
        let left = try leftChangesets(record, isOpened: false)
        let changesets = contents.sealedChangesets ?? contents.changesets
        return changesets.starts(with: left) ? left.count : nil
    }

    /// Seals what an earlier incarnation left, because another file has sealed something else there.
    ///
    /// - Returns: `false` when it names what can't be sealed yet.
    func sealLeftBeside(_ record: StreamRecord) throws(StoreError) -> Bool {
        guard try !leftChangesets(record).contains(where: { namesUnsealed($0, in: record) })
        else { return false }
        _ = try sealLeft(record)
        return true
    }

    /// The run of an earlier incarnation is here: what it left lies in it.
    func forgetLeft(_ record: StreamRecord) throws(StoreError) {
        try connection.run("DELETE FROM sy_left WHERE sid = ?", .integer(record.sid))
        try connection.run("DELETE FROM sy_meta WHERE key = ?", .text(Self.adoption(record)))
    }

    /// Whether the tail names a changeset that no run holds: it can't leave before that.
    func isTailWaiting(_ lane: Lane) throws(StoreError) -> Bool {
        guard try hasHoles() || !leaving.isEmpty else { return false }
        return try tailChangesets(of: lane).contains { namesUnsealed($0, in: lane.record) }
    }

    private func namesUnsealed(_ changeset: Changeset, in record: StreamRecord) -> Bool {
        changeset.namedDots.contains { dot in
            dot.stream != record.stream && dot.seq > rows.streams[dot.stream]?.sealed ?? 0
                && !isCutOff(dot)
        }
    }

    // MARK: Adopting

    /// Seals what earlier incarnations left, so that it can be sent: for when the file that this one
    /// is a copy of is gone for good, or never had it sealed. Should it be sealed there too, the hub
    /// keeps what comes first.
    ///
    /// - Returns: how many changesets.
    @discardableResult
    public func adoptLeft() throws(StoreError) -> Int {
        try transaction { () throws(StoreError) in
            try drain()
            return try adopt { _ throws(StoreError) in true }
        }
    }

    /// After a hub has told all it holds of a scope: what was left in this place by a life that was lost, and
    /// that the hub has not.
    func adoptPutBack(in scope: String) throws(StoreError) {
        guard !leaving.isEmpty else { return }
        try transaction { () throws(StoreError) in
            _ = try adopt { record throws(StoreError) in
                let isMarked = try connection.meta(Self.adoption(record)) != nil
                return isMarked && record.scope == scope
            }
        }
    }

    func adopt(
        _ isChosen: (StreamRecord) throws(StoreError) -> Bool
    ) throws(StoreError) -> Int {
        var count = 0
        for record in leaving {
            guard try isChosen(record) else { continue }
            // One that names what an earlier one left follows it.
            guard try !leftChangesets(record).contains(where: { namesUnsealed($0, in: record) })
            else { continue }
            count += try sealLeft(record)
        }
        return count
    }

    private func sealLeft(_ record: StreamRecord) throws(StoreError) -> Int {
        let pieces = try leftPieces(record)
        let cutOff = cutOffSeqs(in: try leftChangesets(record))
        let named = try pieces.flatMap(\.streams).map { stream throws(StoreError) in
            guard let other = rows.streams[stream] else {
                throw rows.damaged("the tail names a stream that is not known")
            }
            return try dependency(on: other, naming: cutOff[stream] ?? 0)
        }
        var record = record
        var dictionary = SealingDictionary()
        let run = SealedRun(
            sealing: pieces.flatMap(\.body), stream: record.wire, firstSeq: record.sealed + 1,
            count: pieces.count, previous: record.runHash, dependencies: named,
            schemaVersion: schema.version,
            origin: StreamOrigin(
                publicKey: record.publicKey, scope: record.scope, incarnation: record.incarnation),
            key: try key(), namespace: schema.namespace, mark: mark(of: record),
            keys: try fittingKeys(of: pieces, record), dictionary: &dictionary,
            earlier: { [record] in try? vocabulary(record.sid, holding: $0) })
        try keep(run, of: &record, received: environment.wallMilliseconds())
        try rows.streams.update(record, in: connection)
        try forgetLeft(record)
        return pieces.count
    }

    // MARK: The file beside

    /// Brings the last change's number to the disk before a run with it leaves.
    func keepInstall() throws(StoreError) {
        guard keepsFeed || lanes.contains(where: { $0.record.sealed > 0 }) else { return }
        try takeLock()
        defer { letGo() }
        // The run may be in a log that the disk has not kept.
        try settleLog()
        // Another process may have written more by now, or gone on as another incarnation.
        guard let mark = install.read(), mark.stream == own.stream else { return }
        try install.sync(
            InstallFile.Mark(
                stream: own.stream, head: max(mark.head, own.head),
                sealed: max(mark.sealed, own.sealed), kept: max(mark.kept, keptCount)))
    }
}
