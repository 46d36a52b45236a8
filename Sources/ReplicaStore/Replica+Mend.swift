internal import Causality
internal import Foundation
internal import Merge
internal import RecordSchema
internal import SyncProtocol

/// After a repair that lost changes: they come back in no causal order, behind changes that replaced
/// them. So as long as something is missing, the rows are made anew from the log whenever runs have
/// come; the state is a function of the set of changesets, whatever came first.
extension Replica {
    func hasHoles() throws(StoreError) -> Bool {
        try connection.meta(MetaKey.holes) != nil
    }

    /// Takes what waited for what came back, and makes the rows anew. Inside of a transaction.
    func mendIfNeeded() throws {
        // Of a stream that forks, a run may show that others lie beside the way to an end.
        if mayReachEnd { try endStreams() }
        guard try hasHoles() else { return }
        try takeBackAll()
        while try takeStranded().runCount > 0 {}
        try countLeft()
        let isClosed = try makeRows()
        guard isClosed else { return }
        try connection.run("DELETE FROM sy_meta WHERE key = ?", .text(MetaKey.holes))
        // All cuts are here now.
        try endStreams()
    }

    /// What more runs or certificates may let in. What waits for a later build becomes that when one comes: see
    /// ``readAnewIfNeeded()``.
    static let stranded = "(reason LIKE 'GAP%' OR reason LIKE 'SCOPE%') AND last_seq > 0"

    private static let acceptedRuns = 16

    func hasStranded() throws(StoreError) -> Bool {
        try connection.value("SELECT 1 FROM sy_quar WHERE \(Self.stranded) LIMIT 1") != nil
    }

    /// Takes all that is kept aside until something else comes, and has come by now: what was missing between runs
    /// behind an end too, and what waits for what is taken now.
    func takeAllStranded() throws -> IngestProgress {
        try takeBackAll()
        var sum = IngestProgress()
        while true {
            let taken = try takeStranded()
            guard taken.runCount > 0 else { break }
            sum.runCount += taken.runCount
            sum.refusedCount += taken.refusedCount
            sum.changesetCount += taken.changesetCount
        }
        if mayReachEnd { try endStreams() }
        return sum
    }

    /// Takes runs that are kept aside until what lies before them is here.
    ///
    /// - Returns: how many there were.
    func takeStranded() throws -> IngestProgress {
        let numbers = try connection.rows(
            "SELECT no FROM sy_quar WHERE \(Self.stranded) ORDER BY no")
        var progress = IngestProgress()
        var accepted: [AcceptedRun] = []
        for number in numbers {
            // One at a time: all that waits may be more than there is room for.
            guard
                let row = try connection.rows(
                    "SELECT no, head, sig, body FROM sy_quar WHERE no = ?", number[0]
                ).first, case .blob(let head) = row[1], case .blob(let seal) = row[2],
                case .blob(let body) = row[3],
                let run = try? SealedRun(storedHeader: head, seal: seal, body: body)
            else { continue }
            let next = incoming(run)
            let result = try accept(next, into: &accepted)
            switch result {
            case .refused, .setAside: continue
            case .applied, .duplicate: break
            }
            // Another one may have got its number.
            try connection.run(
                "DELETE FROM sy_quar WHERE no = ? AND head = ?", row[0], .blob(head))
            progress.add(next, result)
            // So that not all of it lies in memory.
            if accepted.count >= Self.acceptedRuns { try apply(&accepted) }
        }
        try apply(&accepted)
        return progress
    }

    /// Changes that were left behind a gap count once it is closed.
    private func countLeft() throws(StoreError) {
        for record in rows.streams.sorted where lane(sid: record.sid) == nil {
            try connection.run(
                "DELETE FROM sy_left WHERE sid = ? AND seq <= ?", .integer(record.sid),
                .integer(Int64(record.sealed)))
            var counted = record
            counted.head = record.sealed
            let statement = try connection.prepare(
                "SELECT \(Self.pieceColumns) FROM sy_left WHERE sid = ? ORDER BY seq")
            defer { statement.finalize() }
            statement.bind(1, record.sid)
            while try statement.step(),
                let piece = TailPiece(statement, of: record.stream, after: record.runHash),
                piece.seq == counted.head + 1
            {
                counted.head += 1
            }
            if counted.head != record.head { try rows.streams.update(counted, in: connection) }
        }
    }

    /// Makes the rows anew after branches have got other names, or lost what they held. Inside of a
    /// transaction, when all that it wrote is in the log.
    func settleRows() throws(StoreError) {
        guard areRowsStale else { return }
        areRowsStale = false
        log.removeAll()
        try shareAlike()
        do {
            try makeRows()
            readings = nil
        } catch let error as StoreError {
            throw error
        } catch {
            preconditionFailure("reading the log threw \(error)")
        }
    }

    /// - Parameter limit: of the changesets that this names alone; `nil` for all.
    /// - Returns: whether the log holds all that its changes name.
    @discardableResult
    func makeRows(upTo limit: VersionVector? = nil) throws -> Bool {
        var replay = LogReplay()
        var isClosed = true
        let vector = limit ?? versionVector()
        try forEachChangeset { changeset, _ in
            guard limit?.contains(changeset.dot) ?? true else { return }
            replay.add(changeset)
            guard isClosed else { return }
            isClosed = changeset.namedDots.allSatisfy { vector.contains($0) || isCutOff($0) }
        }
        let noted = try keepNoted()
        for table in schema.tables { try connection.execute("DELETE FROM \(table.name)") }
        for beside in ["sy_row", "sy_live"] { try connection.execute("DELETE FROM \(beside)") }
        rows.forget()
        let states = replay.rows()
        for key in states.keys.sorted() {
            guard let state = states[key], !state.cells.isEmpty else { continue }
            try rows.store(key.table, key.row, state, replacing: nil)
        }
        try putBack(noted)
        return isClosed
    }
}
