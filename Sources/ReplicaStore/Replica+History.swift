public import Causality
public import Merge
public import RecordSchema
internal import SyncProtocol

/// What the log tells of the past. Each call reads the log through once.
extension Replica {
    /// All that was ever written to a row, deleted or not; empty for a row that was never written.
    public func history(of row: RowID, in table: UInt32) throws -> RowHistory {
        try read {
            var found: [LoggedOperation] = []
            try forEachChangeset { changeset, received in
                for change in changeset.rows where change.row == row && change.table == table {
                    for operation in change.operations {
                        found.append(
                            LoggedOperation(
                                dot: changeset.dot, time: changeset.time, author: changeset.author,
                                claimedMilliseconds: changeset.claimedMilliseconds,
                                source: changeset.source, receivedMilliseconds: received,
                                operation: operation))
                    }
                }
            }
            return RowHistory(found)
        }
    }

    /// The live ops of every row of a table at a past point, in the order of the rows' ids; hidden
    /// rows are among them.
    ///
    /// Needs memory for every op of the table up to then.
    public func states(
        of table: UInt32, at point: PastPoint
    ) throws -> [(row: RowID, state: RowState)] {
        try read {
            var replay = LogReplay()
            try forEachChangeset { changeset, received in
                guard point.includes(changeset.time, receivedMilliseconds: received) else { return }
                for change in changeset.rows where change.table == table {
                    replay.add(change, dot: changeset.dot, time: changeset.time)
                }
            }
            return replay.rows().sorted { $0.key < $1.key }.map { ($0.key.row, $0.value) }
        }
    }

    /// When this replica received a changeset, in milliseconds since 1970; `nil` for one that was made here, and for
    /// one that it doesn't hold.
    public func receivedMilliseconds(of dot: Dot) throws(StoreError) -> Int64? {
        guard let record = rows.streams[dot.stream], record.publicKey != own.publicKey,
            case .integer(let milliseconds)? = try connection.value(
                """
                SELECT received FROM sy_run WHERE sid = ? AND last_seq >= ?
                ORDER BY last_seq LIMIT 1
                """, .integer(record.sid), .integer(Int64(clamping: dot.seq)))
        else { return nil }
        return milliseconds
    }

    /// When a run of another stream was received last, in milliseconds since 1970; `nil` when none
    /// ever was.
    public func lastReceivedMilliseconds() throws(StoreError) -> Int64? {
        let last = try connection.value(
            "SELECT max(received) FROM sy_run WHERE sid <> ?", .integer(own.sid))
        if case .integer(let milliseconds)? = last { return milliseconds }
        return nil
    }

    /// Rows of a table of which anything was ever written, deleted ones among them.
    ///
    /// - Parameter prefix: what their ids start with, in hexadecimal digits of either case.
    public func knownRows(
        in table: UInt32, startingWith prefix: String, limit: Int
    ) throws(StoreError) -> [RowID] {
        let shown =
            schema.table(id: table).map {
                """
                SELECT id FROM \($0.name)
                WHERE \(Layout.clockColumn) IS NOT NULL AND substr(hex(id), 1, ?2) = ?3 UNION
                """
            } ?? ""
        return try query(
            """
            \(shown) SELECT id FROM sy_row WHERE tbl = ?1 AND substr(hex(id), 1, ?2) = ?3
            ORDER BY id LIMIT ?4
            """, .integer(Int64(table)), .integer(Int64(prefix.count)),
            .text(prefix.uppercased()), .integer(Int64(limit))
        ).compactMap { row in
            if case .blob(let bytes) = row[0] { Identifier(bytes).map { RowID($0) } } else { nil }
        }
    }
}

extension Table {
    /// What the table shows of a row, one value for each SQL column; `nil` for a row that is
    /// deleted or was never written.
    public func values(of state: RowState) -> [Value]? {
        guard !state.cells.isEmpty, !LifeFold(state).isHidden else { return nil }
        return columns.flatMap { column -> [Value] in
            let cell = state[CellKey(column.id)]
            switch column.shape {
            case .set:
                return [SetText.text(of: AddWinsSet.elements(of: state, column: column.id))]
            case .counter:
                let counter = Counter(cell)
                return [counter.entries.isEmpty ? .null : .integer(counter.value)]
            case .register, .composite:
                let value = RegisterFold(cell, policy: column.policy).shown?.action.value ?? .null
                if case .composite(let parts) = value { return parts }
                return column.sqlColumns.map { _ in value }
            }
        }
    }
}
