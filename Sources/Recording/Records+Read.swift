public import Causality
internal import FieldRecords
public import Merge
public import RecordSchema
internal import ReplicaStore
public import SyncProtocol

/// A column of a row, with where its value comes from.
public struct ShownCell: Sendable {
    public var column: Column
    public var value: Value
    /// As people read it.
    public var text: String
    /// The dots whose values are shown here: what a form hands back as its basis.
    public var basis: [Dot]
    public var provenance: Provenance?
    /// Other values that stand beside it.
    public var siblingCount: Int
}

/// Who wrote something, and when.
public struct Provenance: Hashable, Sendable {
    public var dot: Dot
    public var device: String
    /// The person recording; empty when nobody was named.
    public var person: String
    /// Milliseconds since 1970, by the author's word.
    public var claimedMilliseconds: Int64
    public var time: HybridTime

    /// `Leyla on L1 door B`.
    public var who: String { person.isEmpty ? device : "\(person) on \(device)" }
}

extension Records {
    /// Who wrote the changeset that `dot` names.
    public func provenance(of dot: Dot) throws -> Provenance? {
        try replica.changeset(dot).map(provenance(of:))
    }

    public func provenance(of changeset: Changeset) throws -> Provenance {
        Provenance(
            dot: changeset.dot, device: try deviceName(of: changeset.dot.stream),
            person: changeset.author, claimedMilliseconds: changeset.claimedMilliseconds,
            time: changeset.time)
    }

    /// The columns of a row that hold something.
    public func show(_ table: Table, _ id: RowID) throws -> [ShownCell] {
        try replica.read { try cells(of: table, try replica.state(table.id, id)) }
    }

    func cells(of table: Table, _ state: RowState) throws -> [ShownCell] {
        try table.columns.compactMap { column in
            if column.isSet { return try showSet(column, state) }
            if column.isCounter { return try showCounter(column, state) }
            let key = CellKey(column.id)
            let fold = RegisterFold(state[key], policy: column.policy)
            guard let shown = fold.shown else { return nil }
            let value = shown.action.value ?? .null
            return ShownCell(
                column: column, value: value, text: try text(of: value, in: column),
                basis: state.basis(of: key, policy: column.policy),
                provenance: try provenance(of: shown.dot),
                siblingCount: fold.isConflict ? fold.candidates.count - 1 : 0)
        }
    }

    private func showSet(_ column: Column, _ state: RowState) throws -> ShownCell? {
        let cells = state.cells.filter { $0.key.column == column.id && AddWinsSet.holds($0.cell) }
        guard !cells.isEmpty else { return nil }
        let elements = cells.compactMap { try? Value(canonicalBytes: $0.key.element) }
        let last = cells.flatMap(\.cell.live).max { $0.yields(to: $1) }
        return ShownCell(
            column: column, value: .null,
            text: elements.map(Self.plain).joined(separator: ";"),
            basis: cells.flatMap { $0.cell.live.map(\.dot) },
            provenance: try last.flatMap { try provenance(of: $0.dot) }, siblingCount: 0)
    }

    private func showCounter(_ column: Column, _ state: RowState) throws -> ShownCell? {
        let cell = state[CellKey(column.id)]
        let counter = Counter(cell)
        guard !counter.entries.isEmpty else { return nil }
        let last = cell.live.max { $0.yields(to: $1) }
        return ShownCell(
            column: column, value: .integer(counter.value), text: String(counter.value),
            basis: counter.entries.map(\.dot),
            provenance: try last.flatMap { try provenance(of: $0.dot) }, siblingCount: 0)
    }

    /// The rows of a table as people read them: a header, then a line for each row. Columns that
    /// are empty in every row are left out.
    ///
    /// - Parameter item: only rows that belong to this item.
    public func list(
        _ table: Table, item: String?
    ) throws -> (columns: [String], rows: [[String]]) {
        try replica.read { try lines(of: table, item: item) }
    }

    private func lines(
        of table: Table, item: String?
    ) throws -> (columns: [String], rows: [[String]]) {
        var filter = ""
        var values: [Value] = []
        if let item {
            guard table.column(named: "item") != nil else {
                throw RecordError("\(table.name) does not belong to items; leave out --item")
            }
            filter = " WHERE item = ?"
            values = [.blob(try row(in: Forum.item, item).identifier.bytes)]
        }
        let names = table.sqlColumns.map(\.name).joined(separator: ", ")
        let order = table.naturalKey.isEmpty ? "id" : table.naturalKey.joined(separator: ", ")
        let sql = "SELECT id, \(names) FROM \(table.name)\(filter) ORDER BY \(order)"
        let found = try values.isEmpty ? replica.query(sql) : replica.query(sql, values[0])
        return try lines(of: table, found)
    }

    /// - Parameter found: rows of the id and the SQL columns.
    func lines(
        of table: Table, _ found: [[Value]]
    ) throws -> (columns: [String], rows: [[String]]) {
        let parts = table.columns.flatMap { column in
            column.sqlColumns.map { (name: $0.name, column: column) }
        }
        var cache: [Value: String] = [:]
        let texts = try found.map { row in
            try row.enumerated().map { index, value in
                guard index > 0 else { return String(Self.plain(value).prefix(12)) }
                switch parts[index - 1].column.shape {
                case .register, .set(.blob): break
                default: return Self.plain(value)
                }
                if case .blob = value, let text = cache[value] { return text }
                let text = try text(of: value, in: parts[index - 1].column)
                if case .blob = value { cache[value] = text }
                return text
            }
        }
        let used = (0...parts.count).filter { index in
            texts.contains { !$0[index].isEmpty } && (index > 0 || table.naturalKey.isEmpty)
        }
        let header = ["id"] + parts.map(\.name)
        return (used.map { header[$0] }, texts.map { row in used.map { row[$0] } })
    }
}
