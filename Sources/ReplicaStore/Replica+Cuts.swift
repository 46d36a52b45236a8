internal import Causality
internal import Merge
internal import RecordSchema
internal import SyncProtocol

/// Streams that a hub has ended. What lies behind an end is no part of the state, whoever has it: it
/// is kept aside as it came, and the rows that it had touched are made anew from the rest of the log.
extension Replica {
    /// Whether changes say something new of cuts.
    func areCuts(_ changes: RunChanges) -> Bool {
        guard let place = schema.trust else { return false }
        return changes.changes.contains { change in
            change.table == place.table
                && change.operations.contains { changes.ops[$0].column == place.cuts }
        }
    }

    /// Ends streams where the cuts say, and takes out of the state what lies behind. Inside of a
    /// transaction, whose rows are all written.
    ///
    /// What this device wrote itself stays: whoever has it sees what the forum doesn't take.
    package func endStreams() throws(StoreError) {
        repeat {
            mayReachEnd = false
            try endStreamsOnce()
        } while mayReachEnd
    }

    private func endStreamsOnce() throws(StoreError) {
        trust?.cuts = [:]
        try keepReadings()
        var touched: Set<LogReplay.Key> = []
        var (cut, extended, forked): ([StreamID], [StreamID], [StreamID]) = ([], [], [])
        for origin in try namedOrigins() where origin.device != own.device {
            let before = rows.streams.family(origin.stream).map(\.end)
            var family = try noteEnds(of: origin)
            if family.count > 1, family.contains(where: \.isBeyondEnd) {
                // Else it ends when what a repair lost comes.
                guard try sealBeforeNaming(origin.stream) else { continue }
                family = rows.streams.family(origin.stream)
            } else if family.contains(where: \.isBeyondEnd) {
                // By its seq alone it couldn't be told from another branch's, once one comes.
                if let lane = lanes.first(where: { $0.record.scope == origin.scope }) {
                    try sealTail(of: lane)
                }
            }
            // What leaves a branch goes before that: a place that is not held can't be found.
            for record in family.sorted(by: { $0.depth > $1.depth }) {
                guard let end = record.end, record.isBeyondEnd else { continue }
                try cutOff(record, at: end, &touched)
                if family.count > 1 { forked.append(origin.stream) }
            }
            let isCut = family.contains(where: \.isBeyondEnd)
            guard !isCut, let first = family.first else {
                cut.append(origin.stream)
                continue
            }
            let isMoved = before != family.map(\.end)
            let isShort = try endsBeyondHeld(first)
            if isMoved || isShort { extended.append(origin.stream) }
        }
        // Of a stream of which a branch is gone, another one may go on.
        for stream in Set(forked).sorted() {
            try arrange(stream)
            for record in rows.streams.family(stream) { try noteEnds(of: record.origin) }
        }
        try takeBack(extended, &touched)
        if !forked.isEmpty { areRowsStale = true }
        try holdReadings()
        // Of two branches that cuts of two hubs let count, neither may be left, and one comes back.
        for record in cut.compactMap({ rows.streams[$0] }) where try endsBeyondHeld(record) {
            mayReachEnd = true
        }
        if areRowsStale { try settleRows() } else { try remake(touched) }
    }

    /// The streams that cuts may end: those that are known, and those that the cuts name, be they of
    /// devices of which nothing has ever come.
    private func namedOrigins() throws(StoreError) -> [StreamOrigin] {
        guard let place = schema.trust else { return [] }
        var devices = Set(rows.streams.sorted.map(\.device))
        devices.formUnion(
            try trustedElements(in: place.cuts).compactMap { try? Cut(decoding: $0).device })
        var origins = Set(rows.streams.sorted.map(\.origin))
        for device in devices.sorted() {
            for cut in try cuts(of: device) { origins.formUnion(cut.origins) }
        }
        return origins.sorted { $0.stream < $1.stream }
    }

    private func cutOff(
        _ record: StreamRecord, at end: StreamEnd, _ touched: inout Set<LogReplay.Key>
    ) throws(StoreError) {
        try keepReadings { $0.stream == record.wire && $0.seq > end.lastSeq }
        let statement = try connection.prepare(
            "SELECT head, sig, body FROM sy_run WHERE sid = ? AND last_seq > ? ORDER BY last_seq")
        defer { statement.finalize() }
        statement.bind(1, record.sid)
        statement.bind(2, Int64(end.lastSeq))
        while try statement.step() {
            for changeset in try decode(try sealedRun(statement), of: record) {
                for change in changeset.rows {
                    touched.insert(LogReplay.Key(table: change.table, row: change.row))
                }
            }
        }
        let refusal = try refusal(of: record.origin)
        let (sid, seq): (Value, Value) = (.integer(record.sid), .integer(Int64(end.lastSeq)))
        try connection.run(
            """
            INSERT INTO sy_quar(scope, stream, last_seq, received, reason, head, sig, body)
            SELECT ?, ?, last_seq, received, ?, head, sig, body FROM sy_run
            WHERE sid = ? AND last_seq > ? ORDER BY last_seq
            """, .text(record.scope), .blob(record.wire.identifier.bytes),
            .text("\(refusal.code.name): \(refusal.explanation)"), sid, seq)
        try connection.run("DELETE FROM sy_run WHERE sid = ? AND last_seq > ?", sid, seq)
        // Others in the log may name it.
        try noteNamed(record.head, behindEndOf: record.sid)
        var record = record
        // The run that it ends with may not be here yet, and what lies beside the way to that still is.
        let last = try connection.rows(
            "SELECT last_seq, hash FROM sy_run WHERE sid = ? ORDER BY last_seq DESC LIMIT 1", sid)
        (record.sealed, record.runHash) = (record.base, record.branch?.previous)
        if case .integer(let seq)? = last.first?[0], case .blob(let hash)? = last.first?[1] {
            (record.sealed, record.runHash) = (UInt64(clamping: seq), Digest(hash))
        }
        record.head = record.sealed
        try connection.run(
            "UPDATE sy_peer_head SET has = min(has, ?2), fed = min(fed, ?2) WHERE sid = ?1", sid,
            .integer(Int64(record.sealed)))
        record.named = min(record.named, record.sealed)
        try rows.streams.update(record, in: connection)
        log.removeAll()
    }

    // MARK: What names what was cut off

    /// The run that a new run names as the last that its author held of a stream.
    ///
    /// - Parameter seq: what the new run names of it.
    func dependency(on record: StreamRecord, naming seq: UInt64) throws(StoreError) -> Dependency {
        guard seq > record.sealed else {
            guard let hash = record.runHash else {
                throw rows.damaged("stream \(record.stream) has no run")
            }
            return Dependency(stream: record.wire, seq: record.sealed, run: hash)
        }
        guard let run = try asideRun(of: record.wire, from: seq) else {
            // Behind an end only the seq is looked at.
            let run = record.runHash ?? RunStub(noneOf: record.wire).hash
            return Dependency(stream: record.wire, seq: seq, run: run)
        }
        return Dependency(stream: record.wire, seq: run.header.lastSeq, run: run.hash)
    }

    /// The last changeset that changes name of each stream that was ended: also where the end has moved
    /// since, and what lies before it can't be taken yet.
    func cutOffSeqs(in changesets: [Changeset]) -> [StreamID: UInt64] {
        var seqs: [StreamID: UInt64] = [:]
        for dot in changesets.flatMap(\.namedDots) {
            guard let record = rows.streams[dot.stream], record.end != nil,
                dot.seq > record.sealed
            else { continue }
            seqs[dot.stream] = max(seqs[dot.stream] ?? 0, dot.seq)
        }
        return seqs
    }
}

extension Changeset {
    /// All dots that its ops name.
    var namedDots: [Dot] { rows.flatMap { $0.operations.flatMap(\.namedDots) } }
}
