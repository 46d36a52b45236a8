internal import CSQLite
internal import Causality
internal import Foundation
internal import Merge
internal import SyncProtocol

/// Changes a row in one search of its table. The clocks that the row has decide what becomes of it,
/// so they are read from within the `UPDATE` that writes them, by functions of this connection:
///
/// - `sy_takes(sy_clk, column, value, …)`: whether the row is one whose columns can simply take the
///   values. When it is not, nothing is written, and ``ExchangedRow/verdict`` says why.
/// - `sy_packed()`: the clocks as they are then.
/// - `sy_wins(place)`: whether a column shows the new value.
///
/// A row is left to the general way when any live op of it lies in `sy_live`.
final class RowExchange {
    var row = ExchangedRow()
    private unowned let rows: RowStore

    init(_ rows: RowStore) { self.rows = rows }

    /// The most cells: a function takes about a hundred values.
    static let cellLimit = 32

    /// Makes the functions known to `connection`, whose statements must not outlive this.
    func register(on connection: Connection) throws(StoreError) {
        let context = Unmanaged.passUnretained(self).toOpaque()
        try connection.register("sy_takes", context) { context, count, values in
            guard let exchange = RowExchange.of(context), let values else { return }
            let isTaken = exchange.row.take(values, Int(count), exchange.rows)
            sqlite3_result_int(context, isTaken ? 1 : 0)
        }
        try connection.register("sy_packed", context) { context, _, _ in
            guard let exchange = RowExchange.of(context) else { return }
            // They stay as they are until the next row.
            exchange.row.packed.withUnsafeBytes {
                karvan_result_blob(context, $0.baseAddress, Int32($0.count))
            }
        }
        try connection.register("sy_wins", context) { context, _, values in
            guard let exchange = RowExchange.of(context), let values else { return }
            let place = Int(sqlite3_value_int(values[0]))
            sqlite3_result_int(context, exchange.row.cells[place].wins ? 1 : 0)
        }
    }

    private static func of(_ context: OpaquePointer?) -> RowExchange? {
        sqlite3_user_data(context).map {
            Unmanaged<RowExchange>.fromOpaque($0).takeUnretainedValue()
        }
    }
}

/// A row that is being changed, and what became of it. Its buffers are used again from row to row.
struct ExchangedRow {
    enum Verdict {
        /// There is no such row, or it is one that another program made.
        case missing
        case written
        /// It shows the values already.
        case unchanged
        /// What it shows wins over a value that was written apart.
        case lost
        /// It is one for the general way.
        case other
        case damaged
    }

    struct Cell {
        var column: UInt32
        /// An author's value.
        var value = Value.null
        /// Whether two values that were written apart are told by their times alone.
        var isLatest = true
        /// What the value replaces; an author's value replaces what is shown.
        var over: Dot?
        var furtherOver: [Dot] = []
        /// What an author's value has replaced.
        var replaced: Dot?
        /// Whether the column shows the value.
        var wins = true

        func replaces(_ dot: Dot) -> Bool { over == dot || furtherOver.contains(dot) }
    }

    /// A live op that goes beside the table.
    struct Beside {
        var column: UInt32
        var entry: RowClock.Entry
        /// Canonical bytes.
        var value: [UInt8]
        var isOpen: Bool
    }

    /// Whether the values are an author's, who was shown what the row shows.
    private var isAuthored = true
    var id = RowID(Identifier(high: 0, low: 0))
    /// What the columns show then.
    private(set) var entry = RowClock.Entry(sid: 0, seq: 0, time: HybridTime(rawValue: 0))
    var cells: [Cell] = []
    /// The most that an author's values take, where none is a reference, in bytes.
    private(set) var wireLimit = 0
    /// Whether the statement can leave a column as it is.
    private(set) var isChoosing = false

    private(set) var verdict = Verdict.missing
    private(set) var beside: [Beside] = []
    private(set) var packed: [UInt8] = []
    private var clock = RowClock()
    private var stream: (sid: Int64, name: StreamID)?

    /// Forgets the numbers of streams, which a transaction that is taken back may have given.
    mutating func forget() { stream = nil }

    mutating func start(authored entry: RowClock.Entry) {
        begin(entry)
        isAuthored = true
        isChoosing = false
        wireLimit = 0
        cells.removeAll(keepingCapacity: true)
    }

    /// - Parameter isChoosing: whether values may lose.
    mutating func start(applied entry: RowClock.Entry, isChoosing: Bool) {
        begin(entry)
        isAuthored = false
        self.isChoosing = isChoosing
        cells.removeAll(keepingCapacity: true)
    }

    /// Adds a cell of an author's; `false` when there is one of that column.
    mutating func append(_ column: UInt32, _ value: Value) -> Bool {
        for place in cells.indices where cells[place].column == column { return false }
        cells.append(Cell(column: column, value: value))
        wireLimit += 36 + max(value.wireLimit, 18)
        return true
    }

    /// Binds an author's values. It changes nothing, but a row that isn't changed would be copied.
    mutating func bind(to statement: Statement) {
        for place in cells.indices { statement.bind(Int32(place + 1), cells[place].value) }
    }

    /// The changeset may have ended since the row was started.
    mutating func begin(_ entry: RowClock.Entry) {
        verdict = .missing
        self.entry = entry
    }

    /// After the statement: how many rows it changed.
    mutating func finish(changes: Int) {
        if changes > 0 { verdict = .written }
    }

    // MARK: Deciding

    /// - Parameter values: the clocks, then for each cell what it shows and what is new.
    mutating func take(
        _ values: UnsafeMutablePointer<OpaquePointer?>, _ count: Int, _ rows: RowStore
    ) -> Bool {
        guard sqlite3_value_type(values[0]) == SQLITE_BLOB else { return false }
        guard clock.read(Self.bytes(values[0]), of: id) else {
            verdict = .damaged
            return false
        }
        verdict = .other
        guard !clock.hasExtras, count == 1 + 2 * cells.count else { return false }
        beside.removeAll(keepingCapacity: true)
        guard isAuthored ? takeFromAuthor(values, rows) : takeFromRun(values, rows) else {
            return false
        }
        clock.hasExtras = !beside.isEmpty
        clock.pack(into: &packed)
        var sum: UInt32 = 0
        for put in beside {
            sum &+= ExtraOp.sum(CellKey(put.column), put.entry, kind: 0, value: put.value)
        }
        RowClock.seal(&packed, of: id, beside: sum)
        return true
    }

    private mutating func takeFromAuthor(
        _ values: UnsafeMutablePointer<OpaquePointer?>, _ rows: RowStore
    ) -> Bool {
        var sameCount = 0
        for place in cells.indices {
            guard let current = clock[cells[place].column] else { continue }
            // A changeset writes a cell once.
            guard current.sid != entry.sid || current.seq != entry.seq,
                let dot = dot(current, rows)
            else { return false }
            cells[place].replaced = dot
            if Self.areSame(values[1 + 2 * place], values[2 + 2 * place]) { sameCount += 1 }
        }
        guard sameCount == 0 else {
            if sameCount == cells.count { verdict = .unchanged }
            return false
        }
        for place in cells.indices { clock.set(cells[place].column, entry) }
        return true
    }

    private mutating func takeFromRun(
        _ values: UnsafeMutablePointer<OpaquePointer?>, _ rows: RowStore
    ) -> Bool {
        for place in cells.indices {
            guard let current = clock[cells[place].column] else { continue }
            guard let dot = dot(current, rows) else { return false }
            if cells[place].replaces(dot) { continue }
            guard cells[place].isLatest, let own = self.dot(entry, rows) else { return false }
            let (shown, new) = (values[1 + 2 * place], values[2 + 2 * place])
            let wins = current.time != entry.time ? current.time < entry.time : dot < own
            guard wins || isChoosing else {
                verdict = .lost
                return false
            }
            cells[place].wins = wins
            guard let value = Self.canonical(wins ? shown : new) else { return false }
            beside.append(
                Beside(
                    column: cells[place].column, entry: wins ? current : entry, value: value,
                    isOpen: !Self.areSame(shown, new)))
        }
        for place in cells.indices where cells[place].wins { clock.set(cells[place].column, entry) }
        return true
    }

    private mutating func dot(_ entry: RowClock.Entry, _ rows: RowStore) -> Dot? {
        if let stream, stream.sid == entry.sid { return Dot(stream.name, entry.seq) }
        guard let name = rows.streams.stream(sid: entry.sid) else { return nil }
        stream = (entry.sid, name)
        return Dot(name, entry.seq)
    }

    // MARK: Values

    private static func bytes(_ value: OpaquePointer?) -> UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(
            start: sqlite3_value_blob(value), count: Int(sqlite3_value_bytes(value)))
    }

    /// Whether two values are the same, byte for byte.
    private static func areSame(_ a: OpaquePointer?, _ b: OpaquePointer?) -> Bool {
        let type = sqlite3_value_type(a)
        guard type == sqlite3_value_type(b) else { return false }
        switch type {
        case SQLITE_INTEGER: return sqlite3_value_int64(a) == sqlite3_value_int64(b)
        case SQLITE_FLOAT:
            return sqlite3_value_double(a).bitPattern == sqlite3_value_double(b).bitPattern
        case SQLITE_TEXT, SQLITE_BLOB:
            let (a, b) = (bytes(a), bytes(b))
            guard a.count == b.count, let start = a.baseAddress, let other = b.baseAddress else {
                return a.count == b.count
            }
            return memcmp(start, other, a.count) == 0
        default: return true
        }
    }

    /// The canonical bytes of a value; `nil` for a text that is not UTF-8.
    private static func canonical(_ value: OpaquePointer?) -> [UInt8]? {
        var encoder = CBOREncoder(reserving: 32)
        switch sqlite3_value_type(value) {
        case SQLITE_INTEGER: encoder.integer(sqlite3_value_int64(value))
        case SQLITE_FLOAT: encoder.real(sqlite3_value_double(value))
        case SQLITE_TEXT:
            guard encoder.text(bytes(value)) else { return nil }
        case SQLITE_BLOB: encoder.blob(bytes(value))
        default: encoder.null()
        }
        return encoder.bytes
    }
}
