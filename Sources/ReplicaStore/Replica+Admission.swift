internal import Causality
internal import Merge
internal import SyncProtocol

/// Runs that were kept aside and count again, because their stream goes further than it did.
extension Replica {
    /// Takes the changes of accepted runs into the state.
    ///
    /// What runs change of a stream that was ended before them may have been replaced by what came
    /// earlier: by whoever had seen it, when it counted nowhere. Those rows are made anew from the log,
    /// and what is kept aside behind these runs is tried again.
    func apply(_ accepted: inout [AcceptedRun]) throws(StoreError) {
        var touched = Set(accepted.lazy.filter(\.isLate).flatMap(\.keys))
        let isEnded = accepted.contains(where: \.isEnded)
        try rows.apply(accepted.filter { !$0.isLate })
        accepted = []
        guard isEnded || areRowsStale else { return }
        if isEnded { try takeBackAll(&touched) }
        if areRowsStale { try settleRows() } else { try remake(touched) }
    }

    /// Takes back what is kept aside of streams that go further than they are held, and lacks nothing now.
    func takeBackAll() throws(StoreError) {
        var touched: Set<LogReplay.Key> = []
        try takeBackAll(&touched)
        if areRowsStale { try settleRows() } else { try remake(touched) }
    }

    private func takeBackAll(_ touched: inout Set<LogReplay.Key>) throws(StoreError) {
        var streams: Set<StreamID> = []
        for record in rows.streams.sorted where record.branch == nil && record.end != nil {
            if try endsBeyondHeld(record) { streams.insert(record.wire) }
        }
        try takeBack(streams.sorted(), &touched)
    }

    /// Takes back what is kept aside of streams: what comes back of one may be what another depends on.
    func takeBack(
        _ streams: [StreamID], _ touched: inout Set<LogReplay.Key>
    ) throws(StoreError) {
        var isMoving = true
        while isMoving {
            isMoving = false
            for stream in streams where try takeBack(stream, &touched) { isMoving = true }
        }
    }

    /// The last change of a stream that was named here while the stream ended before it; 0 for none.
    func namedBehindEnd(of sid: Int64) throws(StoreError) -> UInt64 {
        guard case .integer(let seq)? = try connection.meta(MetaKey.named(sid)) else { return 0 }
        return UInt64(clamping: seq)
    }

    /// Whoever comes behind that, once the stream ends later, was replaced by what is here already.
    func noteNamed(_ seq: UInt64, behindEndOf sid: Int64) throws(StoreError) {
        guard try seq > namedBehindEnd(of: sid) else { return }
        try connection.setMeta(MetaKey.named(sid), .integer(Int64(clamping: seq)))
    }

    /// Takes runs that are kept aside into the log again, as far as their stream goes now.
    ///
    /// - Parameter touched: gets the rows that they change: these must be made anew, for what came since
    ///   may have replaced some of it already.
    /// - Returns: whether there were any.
    private func takeBack(
        _ stream: StreamID, _ touched: inout Set<LogReplay.Key>
    ) throws(StoreError) -> Bool {
        var hasAny = false
        for number in try asidePath(of: stream) {
            guard let run = try asideRun(number) else { return hasAny }
            switch try acceptAgain(run) {
            case .applied(let count):
                takenBack.runCount += 1
                takenBack.changesetCount += UInt64(count)
                hasAny = true
            case .duplicate:
                // It came by another way, when nothing ended its stream.
                try forgetAside(run)
                continue
            case .setAside: return hasAny
            case .refused(let refusal):
                try note(refusal, of: run)
                return hasAny
            }
            guard let record = try holder(of: RunStub(run)) else { return hasAny }
            for change in try decode(run, of: record).lazy.flatMap(\.rows) {
                touched.insert(LogReplay.Key(table: change.table, row: change.row))
            }
            trust?.aside = nil
            // What others name of it was read as naming nothing.
            log.removeAll()
        }
        return hasAny
    }

    /// Takes a run into the log, and nothing of it into rows.
    private func acceptAgain(_ run: SealedRun) throws(StoreError) -> IngestResult {
        var accepted: [AcceptedRun] = []
        do {
            return try accept(incoming(run), into: &accepted)
        } catch let error as StoreError {
            throw error
        } catch {
            preconditionFailure("taking a run threw \(error)")
        }
    }

    /// The runs that are kept aside and lead from what is held of a stream to one of its ends, by their
    /// numbers. None where one of them is missing: others that go on from there may be of a branch that
    /// doesn't count.
    private func asidePath(of stream: StreamID) throws(StoreError) -> [Int64] {
        guard let record = rows.streams[stream], let end = record.end else { return [] }
        let said = try cuts(of: record.device).flatMap { $0.ends(of: record.origin) ?? [] }
        let ends = Set(said + [end]).filter { $0.run != nil }.sorted()
        guard let greatest = ends.last else { return [] }
        let statement = try connection.prepare(
            "SELECT head, sig, x'', no FROM sy_quar WHERE stream = ? AND last_seq <= ? ORDER BY no DESC"
        )
        defer { statement.finalize() }
        statement.bind(1, stream.identifier)
        statement.bind(2, Int64(greatest.lastSeq))
        var aside: [Digest: (number: Int64, run: SealedRun)] = [:]
        while try statement.step() {
            let run = try sealedRun(statement)
            aside[run.hash] = (statement.integer(3), run)
        }
        for end in ends {
            var path: [Int64] = []
            var next = end.run
            while let hash = next, let (number, run) = aside[hash],
                try holder(of: RunStub(run)) == nil
            {
                path.append(number)
                next = run.header.previous
                if let next {
                    let stub = RunStub(
                        stream: stream, lastSeq: run.header.firstSeq - 1, hash: next)
                    guard try holder(of: stub) != nil else { continue }
                }
                // Another cut may end the stream before that.
                if try !isBehindEnd(run) { return path.reversed() }
                break
            }
        }
        return []
    }

    private func asideRun(_ number: Int64) throws(StoreError) -> SealedRun? {
        let statement = try connection.prepare("SELECT head, sig, body FROM sy_quar WHERE no = ?")
        defer { statement.finalize() }
        statement.bind(1, number)
        return try statement.step() ? try sealedRun(statement) : nil
    }

    /// Makes rows anew from the log. Reads it through once.
    func remake(_ keys: Set<LogReplay.Key>) throws(StoreError) {
        guard !keys.isEmpty else { return }
        var replay = LogReplay()
        do {
            try forEachChangeset { changeset, _ in
                for change in changeset.rows
                where keys.contains(LogReplay.Key(table: change.table, row: change.row)) {
                    replay.add(change, dot: changeset.dot, time: changeset.time)
                }
            }
        } catch let error as StoreError {
            throw error
        } catch {
            preconditionFailure("reading the log threw \(error)")
        }
        let states = replay.rows()
        for key in keys.sorted() {
            let clock = try rows.clock(key.table, key.row)
            if let state = states[key], !state.cells.isEmpty {
                try rows.store(key.table, key.row, state, replacing: clock)
            } else {
                try rows.remove(key.table, key.row)
            }
        }
    }
}
