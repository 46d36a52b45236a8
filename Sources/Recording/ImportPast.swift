internal import Causality
internal import Merge
internal import RecordSchema
internal import ReplicaStore
internal import SyncProtocol

/// What earlier imports said, cell by cell.
///
/// A *word* is an import's op in a cell. Each import's op names in `over` all words that it found
/// there, dead ones too: that is what the list's maker had said before. So the *last words* are
/// those that no other import's op of the cell names. There is one, unless laptops imported apart;
/// then any of them may be what a file repeats.
///
/// Local edits leave the words as they are: a word that was replaced is still the list's last one.
struct ImportPast {
    struct Word {
        var dot: Dot
        /// Of a register; null for an element that was put in. `nil` for one that was taken out.
        var value: Value?
    }

    private struct Place: Hashable {
        var table: UInt32
        var row: RowID
    }

    private struct Said {
        var words: [CellKey: [Word]] = [:]
        var replaced: Set<CellDot> = []
    }

    private var places: [Place: Said] = [:]

    /// Reads the whole log once.
    init(_ replica: Replica, tables: [Table]) throws {
        let numbers = tables.map(\.id)
        try replica.forEachChangeset { changeset, _ in
            guard !changeset.source.isEmpty else { return }
            for change in changeset.rows where numbers.contains(change.table) {
                add(change, changeset.dot)
            }
        }
    }

    private mutating func add(_ change: RowChange, _ dot: Dot) {
        var said = places[Place(table: change.table, row: change.row)] ?? Said()
        for operation in change.operations where operation.cell != .life {
            said.words[operation.cell, default: []].append(
                Word(dot: dot, value: operation.action.value))
            said.replaced.formUnion(operation.over.map { CellDot(operation.cell, $0) })
        }
        places[Place(table: change.table, row: change.row)] = said
    }

    /// The last words of a cell, by dot; empty when no import ever said anything there.
    func words(_ table: Table, _ row: RowID, _ cell: CellKey) -> [Word] {
        guard let said = places[Place(table: table.id, row: row)] else { return [] }
        return (said.words[cell] ?? [])
            .filter { !said.replaced.contains(CellDot(cell, $0.dot)) }
            .sorted { $0.dot < $1.dot }
    }

    /// The elements of a set of which imports said something, sorted.
    func elements(_ table: Table, _ row: RowID, _ column: Column) -> [CellKey] {
        guard let said = places[Place(table: table.id, row: row)] else { return [] }
        return said.words.keys.filter { $0.column == column.id }.sorted()
    }

    /// The rows of a table that imports wrote to, sorted.
    func rows(of table: Table) -> [RowID] {
        places.keys.filter { $0.table == table.id }.map(\.row).sorted()
    }
}
