import Causality
import Merge
import RecordSchema

/// A repeatable source of numbers, the same on every machine and with every standard library:
/// SplitMix64, after Steele, Lea and Flood, "Fast Splittable Pseudorandom Number Generators"
/// (2014).
struct SplitMix64 {
    private var state: UInt64

    init(seed: UInt64) {
        state = seed
    }

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var mixed = state
        mixed = (mixed ^ mixed >> 30) &* 0xbf58_476d_1ce4_e5b9
        mixed = (mixed ^ mixed >> 27) &* 0x94d0_49bb_1331_11eb
        return mixed ^ mixed >> 31
    }

    /// A number in 0 ..< `bound`.
    mutating func next(below bound: Int) -> Int {
        Int(next().multipliedFullWidth(by: UInt64(bound)).high)
    }

    /// A number in 0 ..< 1.
    mutating func unit() -> Double { Double(next() >> 11) * 0x1p-53 }

    mutating func pick<T>(_ choices: [T]) -> T { choices[next(below: choices.count)] }

    mutating func identifier() -> Identifier { Identifier(high: next(), low: next()) }
}

/// One row of the workload, as an application holds it before it writes.
struct Attendance {
    var visit: [UInt8]
    var person: [UInt8]
    var status: String
    var arrivedAt: Int64
    var recordedBy: String
    var note: String
}

/// Where row ids come from. It decides how a B-tree grows, so both kinds are measured.
enum IDOrder: String, CaseIterable {
    /// As the engine derives them: 48 bits of milliseconds, a hash of the transaction, a count.
    case time
    /// Chosen by the application, uniformly.
    case random
}

/// The rows that every throughput and size figure is about.
struct Workload {
    static let visitCount = 2_000
    static let personCount = 10_000
    static let recorderCount = 60
    static let noteBytes = 80
    /// 2025-11-24, 08:00 in Baku: milliseconds since 1970.
    static let startMilliseconds: Int64 = 1_763_956_800_000
    /// From one transaction to the next.
    static let stepMilliseconds: Int64 = 7

    /// As an embedding application declares it. Visits and people are named by 16-byte blobs, as
    /// every row of the engine is.
    static let table = Table(
        1, "attendance", indices: [["visit_id", "person_id"]],
        [
            Column(1, "visit_id", .blob),
            Column(2, "person_id", .blob),
            Column(3, "status", .text),
            Column(4, "arrived_at", .time),
            Column(5, "recorded_by", .text),
            Column(6, "note", .text),
        ])
    static let schema = Schema(name: "bench", version: 1, tables: [table])
    static var cellsPerRow: Int { table.columns.count }

    static func column(_ column: PlainColumn) -> Column {
        switch column {
        case .status: table.columns[2]
        case .arrivedAt: table.columns[3]
        case .note: table.columns[5]
        }
    }

    let rows: [Attendance]
    private let seed: UInt64

    private init(rows: [Attendance], seed: UInt64) {
        self.rows = rows
        self.seed = seed
    }

    func prefix(_ count: Int) -> Self { Self(rows: Array(rows.prefix(count)), seed: seed) }

    /// (b) Each row with another status.
    var withOtherStatus: [Attendance] {
        rows.map { row in
            var row = row
            row.status = Words.next(after: row.status)
            return row
        }
    }

    static func status(after row: Attendance) -> String { Words.next(after: row.status) }

    /// (e) What A changes: status and note.
    var changedByA: [Attendance] {
        var random = SplitMix64(seed: 4)
        return withOtherStatus.map { row in
            var row = row
            row.note = Self.note(&random)
            return row
        }
    }

    /// (e) What B changes: the status, to another one than A does, and the time.
    var changedByB: [Attendance] {
        rows.map { row in
            var row = row
            row.status = Words.next(after: Words.next(after: row.status))
            row.arrivedAt += 60_000
            return row
        }
    }

    init(count: Int, seed: UInt64 = 1) {
        self.seed = seed
        var random = SplitMix64(seed: seed)
        let visits = (0..<Self.visitCount).map { _ in random.identifier().bytes }
        let people = (0..<Self.personCount).map { _ in random.identifier().bytes }
        let recorders = (0..<Self.recorderCount).map { number in
            "\(Words.given[number % Words.given.count]) \(Words.family[number / 10])"
        }
        rows = (0..<count).map { number in
            Attendance(
                visit: random.pick(visits), person: random.pick(people),
                status: random.pick(Words.statuses),
                arrivedAt: Self.startMilliseconds + Int64(number) * 40
                    - Int64(random.next(below: 600_000)),
                recordedBy: random.pick(recorders), note: Self.note(&random))
        }
    }

    private static func note(_ random: inout SplitMix64) -> String {
        let goal = random.next(below: noteBytes + 1)
        var text = ""
        while true {
            let word = random.pick(Words.note)
            let next = text.isEmpty ? word : text + " " + word
            guard next.utf8.count <= goal else { return text }
            text = next
        }
    }

    /// Ids for the plain database, in the order of the rows.
    func ids(_ order: IDOrder, rowsPerTransaction: Int) -> [Identifier] {
        var random = SplitMix64(seed: ~seed)
        guard order == .time else { return rows.map { _ in random.identifier() } }
        var ids: [Identifier] = []
        var hash: UInt64 = 0
        for number in rows.indices {
            let (transaction, index) = number.quotientAndRemainder(dividingBy: rowsPerTransaction)
            if index == 0 { hash = random.next() }
            let time = Self.startMilliseconds + Int64(transaction) * Self.stepMilliseconds
            ids.append(
                Identifier(
                    high: UInt64(time) << 16 | hash >> 48, low: hash << 16 | UInt64(index)))
        }
        return ids
    }
}

extension Attendance {
    /// In the order of the table's columns, with the id; a number counts as eight bytes.
    var byteCount: Int {
        16 + visit.count + person.count + status.utf8.count + 8 + recordedBy.utf8.count
            + note.utf8.count
    }

    func value(of column: PlainColumn) -> Value {
        switch column {
        case .status: .text(status)
        case .arrivedAt: .integer(arrivedAt)
        case .note: .text(note)
        }
    }

    /// In the order of the table's columns.
    var values: [Value?] {
        [
            .blob(visit), .blob(person), .text(status), .integer(arrivedAt), .text(recordedBy),
            .text(note),
        ]
    }
}

private enum Words {
    static let statuses = ["in", "in", "in", "in", "in", "in", "out", "out", "absent", "excused"]

    static func next(after status: String) -> String {
        switch status {
        case "in": "out"
        case "out": "absent"
        case "absent": "excused"
        default: "in"
        }
    }

    static let given = [
        "Leyla", "Rəşad", "Ayşe", "Nurlan", "Gulnora", "Aibek", "Maral", "Zsófia", "Elçin",
        "Dilnoza",
    ]
    static let family = ["Məmmədova", "Yılmaz", "Serikov", "Karimova", "Asanov", "Nagy"]
    static let note = [
        "arrived", "late", "with", "interpreter", "left", "early", "for", "airport", "badge",
        "missing", "checked", "by", "hand", "wheelchair", "needed", "moved", "to", "bus", "two",
        "second", "door", "asked", "about", "dinner", "speech", "delayed", "family", "came",
        "along", "photo", "taken", "seat", "changed", "gecikdi", "tərcüməçi", "ilə", "gəldi",
        "qonaq", "otel", "avtobus", "geç", "kaldı", "çevirmen", "otobüs", "toplantı", "қонақ",
        "келді", "үзіліс", "опоздал", "автобус",
    ]
}
