public import Causality
internal import Merge
internal import RecordSchema
internal import SyncProtocol

/// What other programs wrote: noted by triggers, turned into changesets before anything else is
/// written. A cell that holds what the log has for its dot is no write.
extension Replica {
    /// Takes in what is noted. Called when a replica is opened; every write does the same first.
    public func takeForeignWrites() throws(StoreError) {
        guard try connection.value("SELECT 1 FROM sy_dirty LIMIT 1") != nil else { return }
        try transaction { () throws(StoreError) in try drain() }
    }

    /// As above, when a file is opened: rows that are damaged stay noted, so that the file can be
    /// read. The next write finds them.
    func takeForeignWritesOfWholeRows() throws(StoreError) {
        guard try connection.value("SELECT 1 FROM sy_dirty LIMIT 1") != nil else { return }
        do throws(StoreError) {
            try transaction { () throws(StoreError) in try drain(passingDamaged: true) }
        } catch .damaged {
            return
        }
    }

    /// Inside of a transaction.
    func drain(passingDamaged: Bool = false) throws(StoreError) {
        do {
            try drainNoted(passingDamaged)
        } catch let error as StoreError {
            throw error
        } catch {
            preconditionFailure("capture threw \(error)")
        }
    }

    private func drainNoted(_ passingDamaged: Bool) throws {
        guard mayHaveForeignWrites else { return }
        guard try connection.value("SELECT 1 FROM sy_dirty LIMIT 1") != nil else {
            return noteNoForeignWrites()
        }
        // The other program's sync may have failed, and only that program was told: what is written
        // behind it would go with it.
        try connection.rewriteLog()
        let transaction = WriteTransaction(self, author: "", claimedMilliseconds: nil)
        var allowed: [String: Bool] = [:]
        for write in try foreignWrites() {
            let (table, row) = (write.table, write.row)
            let scope = try scope(of: row, in: table)
            let isAllowed = try allowed["\(table) \(scope)"] ?? mayWrite(table, in: scope)
            allowed["\(table) \(scope)"] = isAllowed
            do {
                try capture(table, row, write.columns, isAllowed ? transaction : nil)
            } catch StoreError.damaged where passingDamaged {
                continue
            }
        }
        try transaction.end()
    }

    /// A row in which another program wrote.
    private struct ForeignWrite {
        var table: UInt32
        var row: RowID
        /// The columns; 0 for all.
        var columns: Set<UInt32>
        /// The newest op of them, as far as the row's clock tells.
        var source: RowClock.Entry?

        /// The order of the log, then that of the rows.
        static func isBefore(_ a: Self, _ b: Self) -> Bool {
            let (one, two) = (a.source, b.source)
            guard one?.sid == two?.sid, one?.seq == two?.seq else {
                return (one?.sid ?? 0, one?.seq ?? 0) < (two?.sid ?? 0, two?.seq ?? 0)
            }
            return a.table != b.table ? a.table < b.table : a.row < b.row
        }
    }

    /// All that is noted, by rows. What was overwritten is read from the log, a run for each row at worst: so many of them
    /// come in its order, and each of its runs is read once.
    private func foreignWrites() throws(StoreError) -> [ForeignWrite] {
        var writes: [ForeignWrite] = []
        let noted = try connection.rows("SELECT tbl, id, col FROM sy_dirty ORDER BY tbl, id, col")
        for values in noted {
            guard case .integer(let number) = values[0], case .blob(let id) = values[1],
                let row = Identifier(id).map(RowID.init), let table = UInt32(exactly: number)
            else { throw rows.damaged("a row of sy_dirty") }
            if writes.last?.table != table || writes.last?.row != row {
                writes.append(ForeignWrite(table: table, row: row, columns: []))
            }
            if case .integer(let column) = values[2], let column = UInt32(exactly: column) {
                writes[writes.count - 1].columns.insert(column)
            }
        }
        guard writes.count > ReplicaLog.runLimit else { return writes }
        for index in writes.indices {
            let write = writes[index]
            // A clock that is damaged is told of when the row is taken in.
            let clock = try? rows.clock(write.table, write.row)
            let isAll = write.columns.contains(0)
            writes[index].source = clock?.shown
                .filter { isAll || write.columns.contains($0.column) }.map(\.entry)
                .max { ($0.sid, $0.seq) < ($1.sid, $1.seq) }
        }
        writes.sort(by: ForeignWrite.isBefore)
        return writes
    }

    /// - Parameter transaction: `nil` where this device is not let change the table.
    private func capture(
        _ table: UInt32, _ row: RowID, _ noted: Set<UInt32>, _ transaction: WriteTransaction?
    ) throws {
        guard let access = rows.access(table) else { return try forget(table, row) }
        let found = try access.values(row)
        try holdGone(table, row, noted, isFound: found != nil)
        let places = access.table.columns.indices.filter { place in
            let column = access.table.columns[place].id
            return (noted.contains(0) || noted.contains(column))
                && !newColumns.contains(SchemaColumn(table: table, column: column))
        }
        guard try transaction == nil || canSend(row, found, places, access) else { return }
        let isErased = try isErased(row, found, access)
        let logged = logged(table, row, noted, isFound: found != nil)
        guard let transaction else {
            return try setAside(table, row, found, noted, access, logged)
        }
        let isWritten: Bool
        do {
            isWritten = try transaction.author(table, row, logged: logged) { state in
                guard let found else {
                    return state.cells.isEmpty || LifeFold(state).isHidden ? [] : [state.delete()]
                }
                return places.flatMap { place -> [Operation] in
                    // The table shows the fold again, of which that is no part.
                    if isErased, access.table.columns[place].isPersonal { return [] }
                    return Self.operations(
                        from: state, access.table.columns[place], found[place],
                        by: transaction.lane.record.stream)
                }
            }
        } catch StoreError.invalid {
            return
        }
        if !isWritten { try putBack(table, row, access, logged) }
        try forget(table, row)
    }

    /// A value that another program may have overwritten is read from the log.
    private func logged(
        _ table: UInt32, _ row: RowID, _ noted: Set<UInt32>, isFound: Bool
    ) -> (UInt32, Dot) throws(StoreError) -> Value? {
        { [unowned self] column, dot throws(StoreError) in
            guard !isFound || noted.contains(0) || noted.contains(column) else { return nil }
            let operation = try operation(dot, table: table, row: row, cell: CellKey(column))
            guard let value = operation?.action.value else {
                throw rows.damaged("the op \(dot) is not in the log")
            }
            return value
        }
    }

    /// All live ops of a row, as the log has them where another program wrote what nobody has taken in yet: a full
    /// disk keeps that from becoming a change.
    func load(
        _ table: UInt32, _ row: RowID, _ clock: RowClock?
    ) throws(StoreError) -> RowState {
        let noted = try notedColumns(table, row)
        guard !noted.isEmpty, let access = rows.access(table) else {
            return try rows.load(table, row, clock)
        }
        let isFound = try access.values(row) != nil
        return try rows.load(
            table, row, clock, logged: logged(table, row, noted, isFound: isFound))
    }

    private func notedColumns(
        _ table: UInt32, _ row: RowID
    ) throws(StoreError) -> Set<UInt32> {
        guard try connection.value("SELECT 1 FROM sy_dirty LIMIT 1") != nil else { return [] }
        let found = try connection.rows(
            "SELECT col FROM sy_dirty WHERE tbl = ? AND id = ?", .integer(Int64(table)),
            .blob(row.identifier.bytes))
        return Set(
            found.compactMap { row in
                guard case .integer(let column) = row[0] else { return nil }
                return UInt32(exactly: column)
            })
    }

    /// Whether a row is about a person who has been erased.
    private func isErased(
        _ row: RowID, _ found: [Value]?, _ access: TableAccess
    ) throws(StoreError) -> Bool {
        guard access.isPersonal, let found else { return false }
        let people = try erasedPeople()
        guard !people.isEmpty else { return false }
        let subject = try subject(of: row, in: access.table) { column in
            access.place(of: column.id).map { found[$0] }
        }
        return subject.person(of: row).map(people.contains) ?? false
    }

    /// A row that another program took away is noted as a whole, and its clocks were kept. One that
    /// is gone without that was taken by the disk.
    private func holdGone(
        _ table: UInt32, _ row: RowID, _ noted: Set<UInt32>, isFound: Bool
    ) throws(StoreError) {
        guard !isFound, !noted.contains(0) else { return }
        guard let clock = try rows.clock(table, row), clock.isHidden else {
            throw damaged(table, row)
        }
    }

    /// What can't become a changeset stays noted, as it is, until someone mends it: a text that is
    /// not UTF-8, a value that its column does not take or that is too large, a set that is no
    /// JSON array, a new row without any value.
    private func canSend(
        _ row: RowID, _ found: [Value]?, _ places: [Int], _ access: TableAccess
    ) throws(StoreError) -> Bool {
        guard let found else { return true }
        guard try access.invalidText(row) == nil else { return false }
        let areTaken = places.allSatisfy { place in
            let (column, value) = (access.table.columns[place], found[place])
            guard !column.isCounter else { return ScalarType.integer.accepts(value) }
            let values = column.isSet ? SetText.elements(of: value) : [value]
            return values?.allSatisfy {
                column.accepts($0) && $0.byteCount <= Limits.valueBytes
            } ?? false
        }
        let isEmpty = found.allSatisfy { $0 == .null }
        guard areTaken, try liesRight(row, found, access.table) else { return false }
        if !isEmpty { return true }
        return try rows.clock(access.table.id, row) != nil
    }

    /// A row that lies with a delegation, by its key, and doesn't bear its mark would go to everybody.
    private func liesRight(
        _ row: RowID, _ found: [Value], _ table: Table
    ) throws(StoreError) -> Bool {
        guard let name = table.dividedBy,
            let place = table.columns.firstIndex(where: { $0.name == name }),
            case .blob(let bytes) = found[place],
            let division = Identifier(bytes).map({ RowID($0) }),
            ScopeMark(endOf: division) != ScopeMark(endOf: row)
        else { return true }
        let isNew = try rows.clock(table.id, row) == nil
        guard isNew else { return true }
        return try scope(dividedBy: division) == nil
    }

    /// Rows that other programs wrote and that can't be sent as they are.
    public func unreadableForeignWrites() throws(StoreError) -> [(table: String, row: RowID)] {
        try connection.rows("SELECT DISTINCT tbl, id FROM sy_dirty ORDER BY tbl, id").compactMap {
            guard case .integer(let table) = $0[0], case .blob(let id) = $0[1],
                let row = Identifier(id), let table = UInt32(exactly: table)
            else { return nil }
            return (rows.name(of: table), RowID(row))
        }
    }

    /// The ops that bring a cell to what was found in the table.
    private static func operations(
        from state: RowState, _ column: Column, _ found: Value, by stream: StreamID
    ) -> [Operation] {
        if column.isCounter { return counting(from: state, column, found, by: stream) }
        if column.isSet {
            guard let elements = SetText.elements(of: found) else { return [] }
            let wanted = Set(elements.map(\.canonicalBytes))
            let present = Set(AddWinsSet.elements(of: state, column: column.id))
            let added = wanted.subtracting(present).sorted { $0.lexicographicallyPrecedes($1) }
            let removed = present.subtracting(wanted).sorted { $0.lexicographicallyPrecedes($1) }
            return added.flatMap { element in
                let key = CellKey(column.id, element: element)
                return state.put(key, .null, basis: state.basis(of: key))
            }
                + removed.flatMap { element in
                    let key = CellKey(column.id, element: element)
                    return state.remove(key, basis: state.basis(of: key))
                }
        }
        let key = CellKey(column.id)
        let fold = RegisterFold(state[key], policy: column.policy)
        let isHidden = LifeFold(state).isHidden
        let shown = fold.shown?.action.value ?? .null
        // What SQLite could not keep exactly reads as NULL, and is no write.
        let stored = column.keeps(shown) ? shown : .null
        guard found != stored || isHidden && found != .null else { return [] }
        return state.put(key, found, basis: state.basis(of: key, policy: column.policy))
    }

    /// The difference to what the counter showed is what the other program counted; an overwritten
    /// or missing count, or more than can be counted, is none.
    private static func counting(
        from state: RowState, _ column: Column, _ found: Value, by stream: StreamID
    ) -> [Operation] {
        let key = CellKey(column.id)
        guard case .integer(let count) = found else { return [] }
        // What a hidden row had counted comes back with it.
        let (amount, overflow) = count.subtractingReportingOverflow(Counter(state[key]).value)
        return overflow ? [] : state.count(key, by: amount, stream: stream) ?? []
    }

    /// The table shows the fold again, where nothing was worth writing.
    private func putBack(
        _ table: UInt32, _ row: RowID, _ access: TableAccess,
        _ logged: @escaping (UInt32, Dot) throws(StoreError) -> Value?
    ) throws(StoreError) {
        let clock = try rows.clock(table, row)
        guard clock != nil else { return }
        let state = try rows.load(table, row, clock, logged: logged)
        try rows.store(table, row, state, replacing: clock)
    }

    /// What this device is not let change shows again what the log says: others go on changing it, and
    /// the row must not pass for what they wrote. What was written is kept where people see it.
    private func setAside(
        _ table: UInt32, _ row: RowID, _ found: [Value]?, _ noted: Set<UInt32>,
        _ access: TableAccess, _ logged: @escaping (UInt32, Dot) throws(StoreError) -> Value?
    ) throws(StoreError) {
        let name = access.table.name
        let values = access.table.columns.indices.compactMap { place -> String? in
            let column = access.table.columns[place]
            guard let found, noted.contains(0) || noted.contains(column.id) else { return nil }
            return "\(column.name)=\(found[place].textForPeople)"
        }
        let words = found == nil ? "it was deleted" : values.joined(separator: ", ")
        if try rows.clock(table, row) == nil {
            try connection.run("DELETE FROM \(name) WHERE id = ?", .blob(row.identifier.bytes))
        } else {
            try putBack(table, row, access, logged)
        }
        try forget(table, row)
        let called = try nameForPeople(row, access, found)
        let reason = """
            another program changed \(name) \(called), which this laptop is not let, and \
            \(Self.takenBackWords)\(words)
            """
        // Whose name may be among the words.
        let person =
            access.isPersonal
            ? try subject(of: row, in: access.table) { column in
                access.place(of: column.id).flatMap { found?[$0] }
            }.person(of: row) : nil
        try connection.run(
            """
            INSERT INTO sy_quar(scope, stream, last_seq, received, reason, head, sig, body)
            VALUES(?, ?, 0, ?, ?, ?, x'', x'')
            """, .text(Self.scope), .blob(own.stream.identifier.bytes),
            .integer(environment.wallMilliseconds()),
            .text("\(Refusal.Code.scope.name): \(reason)"),
            .blob(person?.identifier.bytes ?? []))
    }

    /// A row by its natural key, where that is of texts; else by its id.
    private func nameForPeople(
        _ row: RowID, _ access: TableAccess, _ found: [Value]?
    ) throws(StoreError) -> String {
        let values = try access.values(row) ?? found
        let key = access.table.keyColumns.compactMap { column -> String? in
            guard let place = access.place(of: column.id), case .text(let text)? = values?[place]
            else { return nil }
            return text
        }
        let isWhole = !key.isEmpty && key.count == access.table.naturalKey.count
        return isWhole ? key.joined(separator: "/") : "\(row)"
    }

    private func forget(_ table: UInt32, _ row: RowID) throws(StoreError) {
        try connection.run(
            "DELETE FROM sy_dirty WHERE tbl = ? AND id = ?", .integer(Int64(table)),
            .blob(row.identifier.bytes))
    }
}
