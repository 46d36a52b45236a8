internal import Causality
internal import Merge
internal import RecordSchema
internal import SyncProtocol

/// The rows, each against what the log gives.
extension Inspection {
    mutating func checkRows() {
        let expected = replay.rows().filter { !$0.value.cells.isEmpty }
        let noted = notedRows()
        let keys = expected.keys.sorted()
        for key in keys where !noted.contains(key) {
            guard let state = expected[key] else { continue }
            check(key, state)
        }
        result.rows = keys.count
        for table in replica.schema.tables {
            let known = keys.filter { $0.table == table.id }.map(\.row)
            findSurplus(table, known, noted)
        }
        attempt("sy_row") { inspection throws in
            let schema = inspection.replica.schema
            try inspection.findSurplus("SELECT tbl, id FROM sy_row", expected, noted) {
                LifeFold($0).isHidden || schema.table(id: $1.table) == nil
            }
        }
        attempt("sy_live") { inspection throws in
            try inspection.checkBeside(expected)
            try inspection.findSurplus(
                "SELECT DISTINCT tbl, id FROM sy_live", expected, noted
            ) { _, _ in true }
        }
    }

    /// What another program wrote and what can't be sent differs from the log, and stays.
    private mutating func notedRows() -> Set<LogReplay.Key> {
        var noted: Set<LogReplay.Key> = []
        attempt("sy_dirty") { inspection throws in
            for row in try inspection.connection.rows("SELECT DISTINCT tbl, id FROM sy_dirty") {
                guard let key = Self.key(row) else {
                    inspection.result.otherProblems.append("a row of sy_dirty names no record")
                    continue
                }
                noted.insert(key)
            }
        }
        return noted
    }

    private static func key(_ row: [Value]) -> LogReplay.Key? {
        guard case .integer(let table) = row[0], let table = UInt32(exactly: table),
            case .blob(let bytes) = row[1], let id = Identifier(bytes)
        else { return nil }
        return LogReplay.Key(table: table, row: RowID(id))
    }

    // MARK: One row

    private mutating func check(_ key: LogReplay.Key, _ expected: RowState) {
        let rows = replica.rows
        do throws(StoreError) {
            guard let clock = try rows.clock(key.table, key.row) else {
                return note(key, expected, [], "it is missing")
            }
            let state = try rows.load(key.table, key.row, clock)
            let cells = differingCells(key, state, expected)
            if !cells.isEmpty {
                return note(key, expected, cells, "it is not what the log says")
            }
            guard state == expected else { return }
            let columns = try differingColumns(key, expected)
            if !columns.isEmpty { note(key, expected, columns, "it shows something else") }
            try checkOpen(key, state, expected)
        } catch {
            note(key, expected, [], Self.detail(error))
        }
    }

    /// Cells that can be compared: of the others a part of the log is missing.
    private func differingCells(
        _ key: LogReplay.Key, _ state: RowState, _ expected: RowState
    ) -> [UInt32] {
        guard state != expected else { return [] }
        let cells = Set(state.cells.map(\.key) + expected.cells.map(\.key))
        let differing = cells.filter { cell in
            guard state[cell] != expected[cell] else { return false }
            let dots = state[cell].live.map(\.dot) + replay.replaced(key, in: cell)
            return missing.isEmpty || !dots.contains(where: isMissing)
        }
        return Set(differing.map(\.column)).sorted()
    }

    /// Columns of the table that show something else than the fold.
    private func differingColumns(
        _ key: LogReplay.Key, _ state: RowState
    ) throws(StoreError) -> [UInt32] {
        guard let access = replica.rows.access(key.table) else { return [] }
        guard let shown = try access.values(key.row) else {
            return LifeFold(state).isHidden ? [] : [CellKey.life.column]
        }
        guard !LifeFold(state).isHidden else { return [CellKey.life.column] }
        return access.table.columns.indices.filter { place in
            let column = access.table.columns[place]
            return shown[place] != Self.folded(column, state)
        }.map { access.table.columns[$0].id }
    }

    /// What the table holds of a column.
    private static func folded(_ column: Column, _ state: RowState) -> Value {
        let cell = state[CellKey(column.id)]
        switch column.shape {
        case .set: return SetText.text(of: AddWinsSet.elements(of: state, column: column.id))
        case .counter:
            let counter = Counter(cell)
            return counter.entries.isEmpty ? .null : .integer(counter.value)
        case .register, .composite:
            let value = RegisterFold(cell, policy: column.policy).shown?.action.value ?? .null
            return column.keeps(value) ? value : .null
        }
    }

    /// The conflict index names exactly the cells with an open conflict.
    private mutating func checkOpen(
        _ key: LogReplay.Key, _ state: RowState, _ expected: RowState
    ) throws(StoreError) {
        let noted = try connection.rows(
            "SELECT DISTINCT col FROM sy_live WHERE open = 1 AND tbl = ? AND id = ? ORDER BY col",
            .integer(Int64(key.table)), .blob(key.row.identifier.bytes)
        ).map { $0[0] }
        let life = LifeFold(state)
        var open: [Value] = life.isConflict ? [.integer(0)] : []
        if !life.isHidden {
            open += (replica.schema.table(id: key.table)?.columns ?? []).filter { column in
                column.isRegister
                    && RegisterFold(state[CellKey(column.id)], policy: column.policy).isConflict
            }.map { .integer(Int64($0.id)) }
        }
        if Set(noted) != Set(open) { note(key, expected, [], "the conflict index is wrong") }
    }

    private mutating func note(
        _ key: LogReplay.Key, _ state: RowState, _ columns: [UInt32], _ detail: String
    ) {
        let table = replica.schema.table(id: key.table)
        result.damagedRows.append(
            Verification.DamagedRow(
                table: replica.rows.name(of: key.table), row: key.row,
                key: table.flatMap { Self.name($0, state) },
                columns: columns.filter { $0 > 0 }.map {
                    table?.column(id: $0)?.name ?? "column \($0)"
                }, detail: detail))
    }

    /// What people call the row, by the log; references by the start of their id.
    private static func name(_ table: Table, _ state: RowState) -> String? {
        let parts = table.keyColumns.compactMap { column -> String? in
            switch RegisterFold(state[CellKey(column.id)]).shown?.action.value {
            case .text(let text): text
            case .integer(let number): "\(number)"
            case .blob(let bytes): String(bytes.hexadecimal.prefix(12))
            default: nil
            }
        }
        return parts.isEmpty ? nil : parts.joined(separator: "/")
    }

    // MARK: Rows that the log doesn't know

    private mutating func findSurplus(
        _ table: Table, _ known: [RowID], _ noted: Set<LogReplay.Key>
    ) {
        var rest = known[...]
        var from: RowID?
        var isWhole = false
        while !isWhole {
            do throws(StoreError) {
                let statement = try connection.prepare(
                    "SELECT id FROM \(table.name) WHERE ?1 IS NULL OR id > ?1 ORDER BY id")
                defer { statement.finalize() }
                if let from { statement.bind(1, from.identifier) } else { statement.bindNull(1) }
                while try statement.step() {
                    guard let id = statement.identifier(0).map({ RowID($0) }) else {
                        result.otherProblems.append("a row of \(table.name) has no id")
                        continue
                    }
                    while let first = rest.first, first < id { rest.removeFirst() }
                    let key = LogReplay.Key(table: table.id, row: id)
                    if rest.first != id, !noted.contains(key), missing.isEmpty {
                        note(key, RowState(), [], "it is in no change")
                    }
                    from = id
                }
                isWhole = true
            } catch {
                // Those that can't be read are named already; goes on behind the next of them.
                while let first = rest.first, let last = from, first <= last { rest.removeFirst() }
                guard let next = rest.popFirst() else { return }
                from = next
            }
        }
    }

    /// A tree whose keys are out of order gives a row's ops when it is asked for them by key, and
    /// others, or none, when it is read through: both ways have to agree.
    private mutating func checkBeside(_ expected: [LogReplay.Key: RowState]) throws {
        var sums: [LogReplay.Key: UInt32] = [:]
        let statement = try connection.prepare(
            "SELECT tbl, id, col, elem, sid, seq, hlc, kind, val FROM sy_live")
        defer { statement.finalize() }
        while try statement.step() {
            guard let key = Self.key([statement.value(0), statement.value(1)]),
                let column = UInt32(exactly: statement.integer(2))
            else { continue }
            let entry = RowClock.Entry(
                sid: statement.integer(4), seq: UInt64(bitPattern: statement.integer(5)),
                time: HybridTime(rawValue: UInt64(bitPattern: statement.integer(6))))
            sums[key, default: 0] &+= ExtraOp.sum(
                CellKey(column, element: statement.blob(3)), entry, kind: statement.integer(7),
                value: statement.blob(8))
        }
        let named = Set(result.damagedRows.map(\.row))
        for (key, state) in expected.sorted(by: { $0.key < $1.key }) where !named.contains(key.row)
        {
            guard let clock = try? replica.rows.clock(key.table, key.row) else { continue }
            let isRight =
                clock.hasExtras
                ? clock.beside == nil || sums[key] == clock.beside : sums[key] == nil
            if isRight { continue }
            note(key, state, [], "its live ops are found by one way only")
        }
    }

    private mutating func findSurplus(
        _ sql: String, _ expected: [LogReplay.Key: RowState], _ noted: Set<LogReplay.Key>,
        isRight: (RowState, LogReplay.Key) -> Bool
    ) throws {
        let named = Set(result.damagedRows.map(\.row))
        for row in try connection.rows(sql) {
            guard let key = Self.key(row) else {
                result.otherProblems.append("a live op is of no record")
                continue
            }
            guard !noted.contains(key), missing.isEmpty, !named.contains(key.row) else { continue }
            if let state = expected[key], isRight(state, key) { continue }
            note(key, expected[key] ?? RowState(), [], "what lies beside it is in no change")
        }
    }
}
