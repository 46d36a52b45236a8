public import Causality
public import Merge
public import SyncProtocol

/// A cell, or with column 0 a row's life, that waits for a decision.
public struct OpenConflict: Hashable, Sendable {
    public var table: UInt32
    public var row: RowID
    public var column: UInt32

    public init(table: UInt32, row: RowID, column: UInt32) {
        self.table = table
        self.row = row
        self.column = column
    }
}

extension Replica {
    /// All live ops of a row.
    public func state(_ table: UInt32, _ row: RowID) throws(StoreError) -> RowState {
        try read { () throws(StoreError) in try load(table, row, try rows.clock(table, row)) }
    }

    /// The cells with an open conflict, in the order of (table, row, column): from an index.
    public func openConflicts() throws(StoreError) -> [OpenConflict] {
        try connection.rows(
            "SELECT DISTINCT tbl, id, col FROM sy_live WHERE open = 1 ORDER BY tbl, id, col"
        ).map { row throws(StoreError) in
            guard case .integer(let table) = row[0], case .blob(let id) = row[1],
                let id = Identifier(id), case .integer(let column) = row[2],
                let table = UInt32(exactly: table), let column = UInt32(exactly: column)
            else { throw rows.damaged("the conflict index") }
            return OpenConflict(table: table, row: RowID(id), column: column)
        }
    }

    /// As ``openConflicts()``, each with the time of the oldest value that lives there beside the one that is shown.
    public func openConflictsWithTimes() throws(StoreError) -> [(OpenConflict, since: HybridTime)] {
        let statement = try connection.statement(
            """
            SELECT tbl, id, col, min(hlc) FROM sy_live WHERE open = 1
            GROUP BY tbl, id, col ORDER BY tbl, id, col
            """)
        defer { statement.reset() }
        var found: [(OpenConflict, since: HybridTime)] = []
        while try statement.step() {
            guard let table = UInt32(exactly: statement.integer(0)),
                let id = statement.identifier(1),
                let column = UInt32(exactly: statement.integer(2))
            else { throw rows.damaged("the conflict index") }
            found.append(
                (
                    OpenConflict(table: table, row: RowID(id), column: column),
                    HybridTime(rawValue: UInt64(bitPattern: statement.integer(3)))
                ))
        }
        return found
    }

    /// The rows of a query over the users' tables and views.
    public func query(_ sql: String, _ values: Value...) throws(StoreError) -> [[Value]] {
        let statement = try connection.statement(sql)
        defer { statement.reset() }
        statement.bind(values)
        return try statement.allRows()
    }

    /// The rows of a query that a person typed, with the names of its columns.
    ///
    /// - Throws: ``StoreError/invalid(_:)`` for a statement that would write.
    public func readOnlyQuery(
        _ sql: String
    ) throws(StoreError) -> (columns: [String], rows: [[Value]]) {
        let statement: Statement
        do throws(StoreError) {
            statement = try connection.prepare(sql)
        } catch {
            guard case .disk(_, _, let detail) = error else { throw error }
            throw .invalid("the SQL can't be read: \(detail)")
        }
        guard statement.isReadOnly else {
            throw .invalid("`karvan sql` only reads; use `karvan set`, or `karvan shell` to write")
        }
        return (statement.columnNames, try statement.allRows())
    }

    /// The SHA-256 over the canonical encoding of everything that lives, sorted: equal on replicas
    /// that hold the same changesets.
    ///
    /// - Parameter scopes: of the rows that lie in these alone; `nil` for all.
    public func stateHash(in scopes: Set<String>? = nil) throws(StoreError) -> Digest {
        try read { () throws(StoreError) in
            var hasher = StateHasher()
            try forEachRow { table, row, state throws(StoreError) in
                if let scopes, try !scopes.contains(scope(of: row, in: table)) { return }
                hasher.add(table, row, state)
            }
            return hasher.finish()
        }
    }

    /// Every row of which something lives, in the order of (table, id).
    func forEachRow(
        _ body: (UInt32, RowID, RowState) throws(StoreError) -> Void
    ) throws(StoreError) {
        try rows.forEachClock { table, row, clock throws(StoreError) in
            try body(table, row, try load(table, row, clock))
        }
    }

    /// How many rows and changesets the file holds.
    public func counts() throws(StoreError) -> (rows: Int64, changesets: Int64, runs: Int64) {
        try read { () throws(StoreError) in
            guard case .integer(let runs)? = try connection.value("SELECT count(*) FROM sy_run")
            else { return (0, 0, 0) }
            let changesets = self.rows.streams.sorted.reduce(0) { $0 + Int64($1.changesetCount) }
            return (try self.rows.count(), changesets, runs)
        }
    }

    /// How many changesets of a device are part of the state.
    package func changesetCount(of device: DeviceID) -> UInt64 {
        rows.streams.sorted.reduce(0) { $1.device == device ? $0 + $1.changesetCount : $0 }
    }

    /// How many changesets are part of the state whose streams are of these scopes.
    public func changesetCount(in scopes: Set<String>) -> UInt64 {
        rows.streams.sorted.reduce(0) { $0 + (scopes.contains($1.scope) ? $1.changesetCount : 0) }
    }

    /// The last sealed run of a stream, or of each of its branches; a name of nothing when there is none.
    public func sealedHeads(of stream: StreamID) -> [RunStub] {
        let heads = rows.streams.family(stream).compactMap(\.tip)
        return heads.isEmpty ? [RunStub(noneOf: stream)] : heads
    }

    /// The last sealed run of each stream and each branch.
    public func sealedHeads() -> [RunStub] { rows.streams.sorted.compactMap(\.tip) }

    /// What is held of each stream.
    public func versionVector() -> VersionVector {
        VersionVector(rows.streams.sorted.map { ($0.stream, $0.head) })
    }
}

/// Hashes live ops: SHA-256 over "karvan/1/state", a zero byte, and for each live op a CBOR array
/// (table, id, column, element, stream, seq, time, value), in the order of those parts.
package struct StateHasher {
    private var encoder = CBOREncoder(reserving: 1 << 16)
    private var stream = DigestStream(.state)

    package init() {}

    package mutating func add(_ table: UInt32, _ row: RowID, _ state: RowState) {
        for entry in state.cells {
            for op in entry.cell.live {
                encoder.array(8)
                encoder.unsigned(UInt64(table))
                encoder.blob(row.identifier.bytes)
                encoder.unsigned(UInt64(entry.key.column))
                encoder.blob(entry.key.element)
                encoder.blob(op.dot.stream.identifier.bytes)
                encoder.unsigned(op.dot.seq)
                encoder.unsigned(op.time.rawValue)
                encoder.value(op.action.value ?? .null)
            }
        }
        if encoder.count >= 1 << 16 { flush() }
    }

    private mutating func flush() {
        stream.update(encoder.bytes)
        encoder.removeAll()
    }

    package mutating func finish() -> Digest {
        flush()
        return stream.digest
    }
}
