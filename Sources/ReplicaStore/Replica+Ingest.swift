internal import Causality
internal import Merge
internal import RecordSchema
public import SyncProtocol

/// What became of a run that came from elsewhere.
public enum IngestResult: Sendable {
    /// Part of the state now: so many changesets.
    case applied(Int)
    /// Held already.
    case duplicate
    /// Not taken.
    case refused(Refusal)
}

extension Replica {
    /// Takes runs into the state, each whole or not at all.
    ///
    /// - Parameters:
    ///   - runs: in causal order.
    ///   - isDurable: on disk when this returns. A laptop that can fetch a run again need not wait.
    ///   - also: runs in the same transaction, after the runs.
    public func ingest(
        _ runs: [SealedRun], isDurable: Bool = true,
        also: ([IngestResult]) throws -> Void = { _ in }
    ) throws -> [IngestResult] {
        try transaction(isDurable: isDurable) {
            try drain()
            let results = try runs.map { try ingestOne($0) }
            try rows.streams.update(own, in: connection)
            try also(results)
            return results
        }
    }

    func ingestOne(_ run: SealedRun) throws -> IngestResult {
        do {
            if try isHeld(run) { return .duplicate }
            let record = try admit(run)
            let changesets = try withoutLeft(try read(run, record), record)
            return try apply(run, changesets, record)
        } catch let refusal as Refusal {
            return .refused(refusal)
        }
    }

    /// Whether this very run is held; another one in its place is a fork.
    private func isHeld(_ run: SealedRun) throws -> Bool {
        guard let record = rows.streams[run.header.stream],
            run.header.firstSeq <= record.sealed
        else { return false }
        let held = try connection.value(
            "SELECT hash FROM sy_run WHERE sid = ? AND last_seq = ?", .integer(record.sid),
            .integer(Int64(run.header.lastSeq)))
        guard held == .blob(run.hash.bytes) else {
            throw Refusal(
                .fork,
                "another run stands at \(record.stream):\(run.header.firstSeq); the laptop was "
                    + "probably restored from a backup or copied")
        }
        return true
    }

    /// The stream of a run that may come next: the chain fits, and nothing is missing before it.
    private func admit(_ run: SealedRun) throws -> StreamRecord? {
        let record = rows.streams[run.header.stream]
        let sealed = record?.sealed ?? 0
        guard run.header.firstSeq == sealed + 1 else {
            throw Refusal(.gap, "changes \(sealed + 1) to \(run.header.firstSeq - 1) are missing")
        }
        guard run.header.previous == record?.runHash else {
            throw Refusal(.fork, "the run continues another history of its stream")
        }
        if let record, record.sid == own.sid, tailCount > 0 {
            throw Refusal(.fork, "this replica's own stream went on elsewhere")
        }
        for dependency in run.header.dependencies { try check(dependency) }
        return record
    }

    private func check(_ dependency: Dependency) throws {
        guard let other = rows.streams[dependency.stream], other.sealed >= dependency.seq else {
            throw Refusal(
                .gap, "it depends on \(dependency.stream):\(dependency.seq), which is not here")
        }
        let held = try connection.value(
            "SELECT hash FROM sy_run WHERE sid = ? AND last_seq = ?", .integer(other.sid),
            .integer(Int64(dependency.seq)))
        guard held == .blob(dependency.run.bytes) else {
            throw Refusal(.fork, "it depends on another history of \(dependency.stream)")
        }
    }

    private func read(_ run: SealedRun, _ record: StreamRecord?) throws -> [Changeset] {
        guard let publicKey = record?.publicKey ?? run.header.origin?.publicKey else {
            throw Refusal(.poison, "its stream's first run is missing")
        }
        if let origin = run.header.origin, origin.scope != Self.scope {
            throw Refusal(.scope, "its scope \(origin.scope) is not replicated here")
        }
        do throws(RunError) {
            try run.verify(publicKey: publicKey)
            return try run.changesets(namespace: schema.namespace)
        } catch {
            throw Refusal(.poison, error.explanation)
        }
    }

    private func apply(
        _ run: SealedRun, _ changesets: ArraySlice<Changeset>, _ known: StreamRecord?
    ) throws -> IngestResult {
        try connection.execute("SAVEPOINT run")
        do {
            var record: StreamRecord
            if let known {
                record = known
            } else {
                guard let origin = run.header.origin else {
                    throw Refusal(.poison, "it names no device")
                }
                record = try rows.streams.add(origin, to: connection)
            }
            if record.head > record.sealed { try forgetLeft(record) }
            try apply(Array(changesets), record.sid)
            let now = environment.wallMilliseconds()
            if let last = changesets.last { clock.observe(last.time, wallMilliseconds: now) }
            try keep(run, of: &record, received: now)
            try rows.streams.update(record, in: connection)
            if record.sid == own.sid {
                own = record
                writer = BodyWriter(stream: own.stream, previousRun: own.runHash)
            }
            own.clock = clock.last
            try connection.execute("RELEASE run")
            return .applied(changesets.count)
        } catch {
            try connection.execute("ROLLBACK TO run")
            try connection.execute("RELEASE run")
            rows.streams = try StreamTable(reading: connection)
            throw error
        }
    }

    /// Applies the changes of each row in their order, and the rows in the order of their ids: so
    /// that neighbours in a table come after one another.
    private func apply(_ changesets: [Changeset], _ sid: Int64) throws(StoreError) {
        var places: [ChangePlace] = []
        places.reserveCapacity(changesets.reduce(0) { $0 + $1.rows.count })
        var isInOrder = true
        for (index, changeset) in changesets.enumerated() {
            for (row, change) in changeset.rows.enumerated() {
                let place = ChangePlace(
                    table: change.table, row: change.row, changeset: index, index: row)
                if let last = places.last, place < last { isInOrder = false }
                places.append(place)
            }
        }
        if !isInOrder { places.sort() }
        for place in places {
            let changeset = changesets[place.changeset]
            try rows.apply(
                changeset.rows[place.index], dot: changeset.dot, sid: sid, time: changeset.time)
        }
    }

    private struct ChangePlace: Comparable {
        var table: UInt32
        var row: RowID
        var changeset: Int
        var index: Int

        static func < (a: Self, b: Self) -> Bool {
            if a.table != b.table { return a.table < b.table }
            if a.row != b.row { return a.row < b.row }
            return (a.changeset, a.index) < (b.changeset, b.index)
        }
    }
}
