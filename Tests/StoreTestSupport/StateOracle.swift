import Causality
import Merge
package import RecordSchema
package import ReplicaStore
import SyncProtocol

/// What the tables must show, by brute force from the log: live = ops − everything named in any
/// over. It shares no code with the merge.
package struct StateOracle {
    private struct Place: Hashable {
        var table: UInt32
        var row: RowID
    }

    private let tables: [Table]
    private var rows: [Place: [CellKey: [LiveOp]]] = [:]

    /// - Parameter tables: those of the schema.
    package init(_ replica: Replica, tables: [Table]) throws {
        self.tables = tables
        var replaced: [Place: Set<CellDot>] = [:]
        try replica.forEachChangeset { changeset, _ in
            for change in changeset.rows {
                let place = Place(table: change.table, row: change.row)
                for operation in change.operations {
                    rows[place, default: [:]][operation.cell, default: []].append(
                        LiveOp(
                            dot: changeset.dot, time: changeset.time, action: operation.action))
                    for dot in operation.over {
                        replaced[place, default: []].insert(CellDot(operation.cell, dot))
                    }
                }
            }
        }
        for (place, cells) in rows {
            for (key, ops) in cells {
                rows[place]?[key] = ops.filter {
                    replaced[place]?.contains(CellDot(key, $0.dot)) != true
                }
            }
        }
    }

    /// Where the tables or the list of conflicts of `replica` differ.
    package func difference(from replica: Replica) throws -> String? {
        var open: Set<OpenConflict> = []
        for table in tables {
            var expected: [[Value]] = []
            for (place, cells) in rows where place.table == table.id {
                let life = life(cells)
                if life == .conflict {
                    open.insert(OpenConflict(table: place.table, row: place.row, column: 0))
                }
                guard life != .hidden else { continue }
                var row: [Value] = [.blob(place.row.identifier.bytes)]
                for column in table.columns {
                    row += shown(column, cells)
                    if !column.isSet, !column.isCounter,
                        Set(legible(candidates(column, cells)).map(\.action.value)).count > 1
                    {
                        open.insert(
                            OpenConflict(table: place.table, row: place.row, column: column.id))
                    }
                }
                expected.append(row)
            }
            expected.sort { order($0[0]).lexicographicallyPrecedes(order($1[0])) }
            let names = table.sqlColumns.map(\.name).joined(separator: ", ")
            let found = try replica.query("SELECT id, \(names) FROM \(table.name) ORDER BY id")
            guard found == expected else { return "\(table.name) holds \(found), not \(expected)" }
        }
        let conflicts = try replica.openConflicts()
        return Set(conflicts) == open && conflicts.count == open.count
            ? nil : "open are \(conflicts), not \(open)"
    }

    private func order(_ value: Value) -> [UInt8] {
        if case .blob(let bytes) = value { bytes } else { [] }
    }

    private enum Life { case visible, hidden, conflict }

    private func life(_ cells: [CellKey: [LiveOp]]) -> Life {
        var covered: Set<CellDot> = []
        var others: [CellDot] = []
        var isDeleted = false
        for (key, ops) in cells {
            for op in ops {
                if case .delete(let covers) = op.action {
                    isDeleted = true
                    covered.formUnion(covers)
                } else {
                    others.append(CellDot(key, op.dot))
                }
            }
        }
        guard isDeleted else { return .visible }
        return others.allSatisfy(covered.contains) ? .hidden : .conflict
    }

    private func candidates(_ column: Column, _ cells: [CellKey: [LiveOp]]) -> [LiveOp] {
        let ops = cells[CellKey(column.id)] ?? []
        let settled = ops.flatMap { op in
            if case .resolve(_, let covers) = op.action { covers } else { [] as [Dot] }
        }
        return ops.filter { op in
            switch op.action {
            case .put: !settled.contains(op.dot)
            case .resolve: true
            case .retract, .delete: false
            }
        }
    }

    private func legible(_ candidates: [LiveOp]) -> [LiveOp] {
        candidates.filter { $0.action.value?.isUnreadable == false }
    }

    /// The values of the SQL columns.
    private func shown(_ column: Column, _ cells: [CellKey: [LiveOp]]) -> [Value] {
        if column.isSet { return [set(column, cells)] }
        if column.isCounter { return [sum(column, cells)] }
        let candidates = candidates(column, cells).sorted {
            ($0.time, $0.dot) < ($1.time, $1.dot)
        }
        // What nobody can read is shown where nothing else is.
        var value = (legible(candidates).last ?? candidates.last)?.action.value ?? .null
        if case .earliest(let tolerance) = column.policy {
            let times = candidates.compactMap { op -> Int64? in
                if case .integer(let time) = op.action.value { time } else { nil }
            }
            if let low = times.min(), let high = times.max(), times.count == candidates.count,
                high - low <= tolerance
            {
                value = .integer(low)
            }
        }
        if case .composite(let parts) = value { return parts }
        // SQLite keeps neither NaN nor −0 apart.
        if case .real(let number) = value, number.isNaN || number == 0 && number.sign == .minus {
            value = .null
        }
        if value.isUnreadable { value = .null }
        return Array(repeating: value, count: column.sqlColumns.count)
    }

    /// All increments less all decrements, of each stream's entry.
    private func sum(_ column: Column, _ cells: [CellKey: [LiveOp]]) -> Value {
        var total: Int64?
        for op in cells[CellKey(column.id)] ?? [] {
            guard case .composite(let parts)? = op.action.value, parts.count == 2,
                case .integer(let more) = parts[0], case .integer(let less) = parts[1]
            else { continue }
            total = (total ?? 0) + more - less
        }
        return total.map(Value.integer) ?? .null
    }

    private func set(_ column: Column, _ cells: [CellKey: [LiveOp]]) -> Value {
        let elements = cells.filter { key, ops in
            key.column == column.id && ops.contains { $0.action == .put(.null) }
        }.map(\.key.element).sorted { $0.lexicographicallyPrecedes($1) }
        guard !elements.isEmpty else { return .null }
        return .text("[" + elements.map(item).joined(separator: ",") + "]")
    }

    /// A small number as its one byte; else a head (RFC 8949 §3), and the bytes of a text or a blob.
    private func item(_ bytes: [UInt8]) -> String {
        guard bytes[0] >= 0x40 else { return "\(bytes[0])" }
        let headCount = [0x18: 2, 0x19: 3][bytes[0] & 0x1f] ?? 1
        let content = bytes.dropFirst(headCount)
        let text =
            bytes[0] < 0x60 ? content.hexadecimal : String(decoding: content, as: UTF8.self)
        return "\"\(text)\""
    }
}
