internal import Causality
internal import Merge
internal import RecordSchema
public import SyncProtocol

/// What `verify` looked at, and what it found wrong.
public struct Verification: Sendable {
    public var runs = 0
    public var changesets = 0
    public var rows = 0
    /// One sentence for each fault; empty when all is well.
    public var problems: [String] = []
    /// Equal on replicas that hold the same changesets.
    public var stateHash: Digest?
}

extension Replica {
    /// Holds the file against itself: SQLite's own check, every run's signature and place in its
    /// chain, and every row's live ops against what the log gives.
    ///
    /// Needs memory for every live op.
    public func verify() throws -> Verification {
        try read { try verifySnapshot() }
    }

    private func verifySnapshot() throws -> Verification {
        var result = Verification()
        for row in try connection.rows("PRAGMA integrity_check(20)") where row[0] != .text("ok") {
            if case .text(let detail) = row[0] { result.problems.append("SQLite: \(detail)") }
        }
        try verifyRuns(&result)
        try verifyRows(&result)
        result.stateHash = try stateHash()
        return result
    }

    private func verifyRuns(_ result: inout Verification) throws {
        for record in rows.streams.sorted {
            var (previous, last): (Digest?, UInt64) = (nil, 0)
            let statement = try connection.prepare(
                "SELECT head, sig, body, hash FROM sy_run WHERE sid = ? ORDER BY last_seq")
            defer { statement.finalize() }
            statement.bind(1, record.sid)
            while try statement.step() {
                result.runs += 1
                let run = try sealedRun(statement)
                let name = "run \(record.stream):\(run.header.lastSeq)"
                if run.header.previous != previous || run.header.firstSeq != last + 1 {
                    result.problems.append("\(name) does not continue its chain")
                }
                if run.hash.bytes != statement.blob(3) {
                    result.problems.append("\(name) has another hash than is noted")
                }
                do throws(RunError) {
                    try run.verify(publicKey: record.publicKey)
                } catch {
                    result.problems.append("\(name): \(error.explanation)")
                }
                (previous, last) = (run.hash, run.header.lastSeq)
            }
            if last != record.sealed || previous != record.runHash {
                result.problems.append("stream \(record.stream) ends elsewhere than is noted")
            }
        }
    }

    private func verifyRows(_ result: inout Verification) throws {
        var replay = LogReplay()
        try forEachChangeset { changeset, _ in
            result.changesets += 1
            replay.add(changeset)
        }
        var expected = replay.rows()
        var problems: [String] = []
        var count = 0
        try forEachRow { table, row, state throws(StoreError) in
            count += 1
            state.checkInvariants()
            let name = "row \(row) of \(schema.table(id: table)?.name ?? "table \(table)")"
            if expected.removeValue(forKey: LogReplay.Key(table: table, row: row)) != state {
                problems.append("\(name) is not what the log says")
            }
            try verifyOpen(table, row, state, name, &problems)
        }
        for key in expected.keys.sorted() {
            problems.append("row \(key.row) of table \(key.table) is missing")
        }
        result.rows = count
        result.problems += problems
    }

    /// The conflict index names exactly the cells with an open conflict.
    private func verifyOpen(
        _ table: UInt32, _ row: RowID, _ state: RowState, _ name: String,
        _ problems: inout [String]
    ) throws(StoreError) {
        let noted = try connection.rows(
            "SELECT DISTINCT col FROM sy_live WHERE open = 1 AND tbl = ? AND id = ? ORDER BY col",
            .integer(Int64(table)), .blob(row.identifier.bytes)
        ).map { $0[0] }
        let life = LifeFold(state)
        var open: [Value] = life.isConflict ? [.integer(0)] : []
        if !life.isHidden {
            open += (schema.table(id: table)?.columns ?? []).filter { column in
                column.isRegister
                    && RegisterFold(state[CellKey(column.id)], policy: column.policy).isConflict
            }.map { .integer(Int64($0.id)) }
        }
        if Set(noted) != Set(open) { problems.append("\(name): the conflict index is wrong") }
    }
}

/// The live ops by the definition, `ops − everything named in any over`, in whatever order the
/// changesets come.
struct LogReplay {
    struct Key: Hashable, Comparable {
        var table: UInt32
        var row: RowID

        /// For a replay of one row, whichever it is.
        static let only = Key(table: 0, row: RowID(Identifier(high: 0, low: 0)))

        static func < (a: Self, b: Self) -> Bool {
            a.table != b.table ? a.table < b.table : a.row < b.row
        }
    }

    private struct Named {
        var ops: [(cell: CellKey, op: LiveOp)] = []
        var replaced: Set<CellDot> = []
    }

    private var named: [Key: Named] = [:]

    mutating func add(_ changeset: Changeset) {
        for change in changeset.rows { add(change, dot: changeset.dot, time: changeset.time) }
    }

    mutating func add(_ change: RowChange, dot: Dot, time: HybridTime) {
        let key = Key(table: change.table, row: change.row)
        for operation in change.operations { add(operation, to: key, dot: dot, time: time) }
    }

    mutating func add(_ operation: Operation, to key: Key, dot: Dot, time: HybridTime) {
        named[key, default: Named()].ops.append(
            (operation.cell, LiveOp(dot: dot, time: time, action: operation.action)))
        for over in operation.over {
            named[key, default: Named()].replaced.insert(CellDot(operation.cell, over))
        }
    }

    func rows() -> [Key: RowState] {
        named.mapValues { row in
            var state = RowState()
            for (cell, op) in row.ops where !row.replaced.contains(CellDot(cell, op.dot)) {
                var live = state[cell]
                live.apply(op, over: [])
                state.set(cell, live)
            }
            return state
        }
    }
}
