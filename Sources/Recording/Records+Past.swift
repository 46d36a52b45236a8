public import Causality
internal import FieldRecords
internal import Merge
public import RecordSchema
public import ReplicaStore

extension Records {
    /// A past point as a person types it: a time, or a bare `10:10` of the item's day, else of
    /// today. Without a fraction the whole second counts, for that is how times are shown.
    public func pastMilliseconds(_ text: String, item: String?) throws -> Int64 {
        var item = item
        // The item may have been made, or deleted, since.
        if let code = item, (try? row(in: Forum.item, code)) == nil { item = nil }
        let instant = try instant(text, for: item)
        return text.contains(".") ? instant.milliseconds : instant.milliseconds + 999
    }

    /// The code of the item that a row belongs to, from the row's name: `V12` of visit `V12/KZ`.
    public func item(ofRow key: String, in table: Table) -> String? {
        guard table != Forum.item else { return key }
        guard table.naturalKey.first == "item" else { return nil }
        return key.split(separator: "/").first.map(String.init)
    }

    /// The columns of a row that held something at a past point.
    ///
    /// - Throws: ``RecordError`` when the row wasn't there.
    public func show(
        _ table: Table, _ key: String, at point: PastPoint
    ) throws -> (row: RowID, cells: [ShownCell]) {
        try replica.read {
            let id = try knownRow(in: table, key)
            let history = try visible(
                try replica.history(of: id, in: table.id), table, id, at: point)
            return (id, try cells(of: table, history.state))
        }
    }

    /// What a row's history was at a past point, at which the row must have been there.
    func visible(
        _ history: RowHistory, _ table: Table, _ id: RowID, at point: PastPoint
    ) throws -> RowHistory {
        let name = "\(table.name) \(try knownName(of: id, in: table))"
        let past = history.upTo(point)
        guard !past.operations.isEmpty else {
            var what = "there was no \(name) then"
            if let first = history.operations.min(by: { $0.time < $1.time }) {
                let time = Instant(milliseconds: first.time.milliseconds).inWholeSeconds
                what += "; it was first recorded at \(time)"
                if let received = first.receivedMilliseconds {
                    what += " and received at \(Instant(milliseconds: received).inWholeSeconds)"
                }
            }
            throw RecordError(what)
        }
        let reader = HistoryReader(self, table, past)
        guard !reader.life.isHidden else {
            let last = reader.life.deletes.max { $0.yields(to: $1) }
            let deleted = last.flatMap { past[CellDot(.life, $0.dot)] }
            let by = try deleted.map { logged in
                let provenance = try reader.provenance(logged)
                let time = Instant(milliseconds: provenance.time.milliseconds).inWholeSeconds
                return ", by \(provenance.who) at \(time)"
            }
            throw RecordError(
                "\(name) was deleted then\(by ?? ""). See `karvan history \(name)`")
        }
        return past
    }

    /// As ``list(_:item:)``, at a past point. Rows that it refers to are named as they are now.
    public func list(
        _ table: Table, item: String?, at point: PastPoint
    ) throws -> (columns: [String], rows: [[String]]) {
        try replica.read {
            let filter = try item.map { try itemFilter(table, $0) }
            let rows = try replica.states(of: table.id, at: point).compactMap { row, state in
                table.values(of: state).map { [.blob(row.identifier.bytes)] + $0 }
            }.filter { row in filter.map { row[$0.place] == $0.value } ?? true }
            return try lines(of: table, rows.sorted(by: naturalOrder(table)))
        }
    }

    private func itemFilter(_ table: Table, _ item: String) throws -> (place: Int, value: Value) {
        guard let place = table.sqlColumns.firstIndex(where: { $0.name == "item" }) else {
            throw RecordError("\(table.name) does not belong to items; leave out --item")
        }
        return (place + 1, .blob(try knownRow(in: Forum.item, item).identifier.bytes))
    }

    /// The order in which SQLite gives the rows: by the natural key, else by the id.
    private func naturalOrder(_ table: Table) -> ([Value], [Value]) -> Bool {
        let names = table.sqlColumns.map(\.name)
        let places = table.naturalKey.compactMap { names.firstIndex(of: $0).map { $0 + 1 } } + [0]
        return { a, b in
            for place in places where a[place] != b[place] {
                return a[place].precedesInSQL(b[place])
            }
            return false
        }
    }
}

extension Value {
    /// SQLite's order: nothing, numbers, texts by their bytes, blobs.
    fileprivate func precedesInSQL(_ other: Value) -> Bool {
        switch (self, other) {
        case (.integer(let a), .integer(let b)): a < b
        case (.real(let a), .real(let b)): a < b
        case (.integer(let a), .real(let b)): Double(a) < b
        case (.real(let a), .integer(let b)): a < Double(b)
        case (.text(let a), .text(let b)): a.utf8.lexicographicallyPrecedes(b.utf8)
        case (.blob(let a), .blob(let b)): a.lexicographicallyPrecedes(b)
        default: sqlRank < other.sqlRank
        }
    }

    private var sqlRank: Int {
        switch self {
        case .null: 0
        case .integer, .real: 1
        case .text: 2
        case .blob: 3
        case .composite: 4
        case .sealed, .erased: 0
        }
    }
}
