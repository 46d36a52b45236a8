import Causality
import Foundation
import Merge
import RecordSchema
import ReplicaStore
import SyncProtocol
import TestSupport
import Testing

/// Bits, bytes and sectors of a file that the disk has changed: each is told, none of it gets into a
/// changeset, and a repair brings back what was there.
///
/// `KARVAN_FLIPPED` gives the number of samples, `KARVAN_FLIPPED_FROM` the first one.
@Suite struct FlippedBytes {
    private static func number(_ name: String, _ usual: Int) -> Int {
        ProcessInfo.processInfo.environment[name].flatMap { Int($0) } ?? usual
    }

    @Test func `damage is named, kept out of changesets, and repaired`() throws {
        let count = Self.number("KARVAN_FLIPPED", 60)
        let first = Self.number("KARVAN_FLIPPED_FROM", 0)
        let day = try DamagedDay()
        let whole = try DamagedSample.truth(of: "laptop", day)
        var totals = DamagedSample.Totals()
        for seed in UInt64(first)..<UInt64(first + count) {
            var sample = try DamagedSample(day, whole, seed: seed)
            do {
                try sample.run()
            } catch {
                Issue.record("sample \(seed), \(sample.damage): \(error)")
            }
            totals.add(sample.totals)
        }
        print("\(count) samples of damage: \(totals)")
        #expect(totals.damagedRows > 0 && totals.refusedWrites > 0 && totals.repaired > count / 2)
    }
}

/// One damaged copy of the file, and what is asked of it.
struct DamagedSample {
    struct Totals: CustomStringConvertible {
        var (unchanged, refused, cutLogs) = (0, 0, 0)
        var (damagedRows, damagedOthers, unprotected, structure) = (0, 0, 0, 0)
        var (writes, refusedWrites, repaired, exact, lostChanges, synced) = (0, 0, 0, 0, 0, 0)

        mutating func add(_ other: Totals) {
            unchanged += other.unchanged
            refused += other.refused
            cutLogs += other.cutLogs
            damagedRows += other.damagedRows
            damagedOthers += other.damagedOthers
            unprotected += other.unprotected
            structure += other.structure
            writes += other.writes
            refusedWrites += other.refusedWrites
            repaired += other.repaired
            exact += other.exact
            lostChanges += other.lostChanges
            synced += other.synced
        }

        var description: String {
            "\(unchanged) without effect, \(refused) not opened, \(cutLogs) with lost commits; "
                + "\(damagedRows) rows damaged and named, \(damagedOthers) other records, "
                + "\(unprotected) without a witness, \(structure) faults of pages only; \(writes) "
                + "changesets written, \(refusedWrites) refused; \(repaired) repaired, \(exact) of "
                + "them to the same state, \(lostChanges) changes lost, \(synced) synced"
        }
    }

    struct Problem: Error, CustomStringConvertible {
        var description: String
    }

    let day: DamagedDay
    let whole: DamagedTruth
    let seed: UInt64
    let damage: Damage
    var totals = Totals()
    private var random: SplitMix64
    private var damaged: Set<DamagedTruth.Place> = []

    init(_ day: DamagedDay, _ whole: DamagedTruth, seed: UInt64) throws {
        (self.day, self.whole, self.seed) = (day, whole, seed)
        func size(_ suffix: String) throws -> Int {
            let path = day.bench.path("kept-laptop") + suffix
            return try FileManager.default.attributesOfItem(atPath: path)[.size] as? Int ?? 0
        }
        damage = Damage(seed: seed, sizes: (try size(""), try size("-wal")))
        random = SplitMix64(seed: ~seed)
    }

    static func truth(of name: String, _ day: DamagedDay) throws -> DamagedTruth {
        try day.copy(name, to: "truth")
        let connection = try Connection(path: day.bench.path("truth"), isWritable: true)
        defer { connection.close() }
        return try DamagedTruth(whole: connection, DamagedDay.schema)
    }

    private func copy(to name: String) throws {
        try day.copy("laptop", to: name)
        try damage.apply(to: day.bench.path(name))
    }

    mutating func run() throws {
        let isOpened = try verify()
        if isOpened {
            try write()
            try capture()
        }
        try repair()
        for name in ["sample", "truth", "repaired", "hub-copy"] { day.bench.remove(name) }
    }

    // MARK: Naming

    private mutating func verify() throws -> Bool {
        try copy(to: "sample")
        let replica: Replica
        do {
            replica = try day.inspect("sample")
        } catch is StoreError {
            totals.refused += 1
            return false
        }
        defer { replica.close() }
        let result: Verification
        let lostCommits: Int64
        do {
            (result, lostCommits) = (try replica.verify(), try replica.lostCommits())
        } catch is StoreError {
            // What is asked before anything else can't be read.
            totals.refused += 1
            return false
        }
        // The end of the log can be lost without a trace in it.
        guard lostCommits == 0, result.missingEnd == nil else {
            totals.cutLogs += 1
            guard result.damagedRows.isEmpty else {
                throw Problem(description: "a shorter log: \(result.problems)")
            }
            return true
        }
        try compare(result)
        return true
    }

    private mutating func compare(_ result: Verification) throws {
        try copy(to: "truth")
        let connection = try Connection(path: day.bench.path("truth"), isWritable: true)
        defer { connection.close() }
        let found = DamagedTruth(damaged: connection, as: whole, DamagedDay.schema)
        damaged = found.damagedRows(since: whole)
        let named = Set(
            result.damagedRows.map { DamagedTruth.Place(table: $0.table, row: $0.row) })
        guard damaged.isSubset(of: named) else {
            throw Problem(
                description: "not named: \(damaged.subtracting(named).sorted()) beside "
                    + "\(result.problems.prefix(5))")
        }
        // Rows that the file never had are read by some ways only.
        let wrong = named.subtracting(damaged).filter { whole.records[$0] != nil }
        guard wrong.isEmpty else {
            throw Problem(
                description: "named, and as it was: \(wrong.sorted()): "
                    + "\(result.problems.prefix(5))")
        }
        let others = found.damagedOthers(since: whole)
        guard others.vouched.isEmpty || !result.problems.isEmpty else {
            throw Problem(description: "not named: \(others.vouched)")
        }
        totals.damagedRows += damaged.count
        totals.damagedOthers += others.vouched.count
        totals.unprotected += others.unprotected
        guard damaged.isEmpty, others.vouched.isEmpty, others.unprotected == 0 else { return }
        let told = result.problems.filter { !$0.hasPrefix("SQLite:") }
        if result.problems.isEmpty { totals.unchanged += 1 } else { totals.structure += 1 }
        // A run that lies in an overflow page that no cell reaches changes no record.
        guard told.isEmpty || told.allSatisfy({ $0.contains("can't be read") }) else {
            throw Problem(description: "nothing changed: \(told)")
        }
    }

    // MARK: Writing

    private func isTyped(_ value: Value) -> Bool {
        if case .text(let text) = value { text.hasPrefix("typed") } else { false }
    }

    private mutating func pick(_ count: Int) -> [DamagedTruth.Place] {
        let places = whole.records.keys.sorted()
        return (0..<count).compactMap { _ in random.pick(places) }
    }

    private mutating func attempt(_ body: () throws -> Void) throws {
        do {
            try body()
        } catch is StoreError {
            totals.refusedWrites += 1
        }
    }

    /// Edits of other cells of damaged rows and of some that are whole, counts, deletes, decisions.
    private mutating func write() throws {
        try copy(to: "sample")
        guard let replica = try? day.open("sample") else { return }
        defer { replica.close() }
        let places = damaged.sorted().prefix(8) + pick(6)
        for place in places { try edit(place, in: replica) }
        for conflict in ((try? replica.openConflicts()) ?? []).prefix(6)
        where conflict.column != 0 {
            try attempt { try DamagedDay.take(conflict, in: replica) }
        }
        try judge(replica)
    }

    private mutating func edit(_ place: DamagedTruth.Place, in replica: Replica) throws {
        guard let table = DamagedDay.schema.table(named: place.table) else { return }
        let typed = Value.text("typed \(seed)")
        for column in table.columns where !table.naturalKey.contains(column.name) {
            let isLast = column.id == table.columns.last?.id
            try attempt {
                try replica.write { transaction in
                    _ =
                        switch column.shape {
                        case .register(.text):
                            try transaction.set(table, place.row, [(column, typed)])
                        case .set(.text):
                            try transaction.add(table, place.row, column, [.text("typed")])
                        case .counter: try transaction.count(table, place.row, column, by: 1)
                        default: false
                        }
                }
            }
            if isLast, random.chance(1, in: 3) {
                try attempt { try replica.write { try $0.delete(table, place.row) } }
            }
        }
    }

    /// What another program writes to rows that are damaged, as far as SQLite lets it.
    private mutating func capture() throws {
        try copy(to: "sample")
        guard let connection = try? Connection(path: day.bench.path("sample"), isWritable: true)
        else { return }
        let places = damaged.sorted().prefix(4) + pick(3)
        for place in places {
            let column = ["note": "title", "person": "name", "tally": "remark"][place.table]
            guard let column else { continue }
            try? connection.run(
                "UPDATE \(place.table) SET \(column) = 'typed elsewhere' WHERE id = ?",
                .blob(place.row.identifier.bytes))
        }
        connection.close()
        guard let replica = try? day.open("sample") else { return }
        defer { replica.close() }
        try attempt {
            _ = try replica.write { transaction in
                _ = try transaction.upsert(
                    Sample.person, key: [.text("typed")], [(Sample.column("name"), .text("typed"))])
            }
        }
        try judge(replica)
    }

    /// Every op of a new changeset holds what was typed or what the log had for its cell, and names
    /// dots of its own cell.
    private mutating func judge(_ replica: Replica) throws {
        var known: [CellPlace: [Dot: Value?]] = [:]
        for changeset in day.changesets.values { Self.learn(changeset, &known) }
        var new: [Changeset] = []
        // A damaged run ends the list; what is new lies in the tail.
        for changeset in (try? replica.tailChangesets()) ?? []
        where day.changesets[changeset.dot] != changeset { new.append(changeset) }
        totals.writes += new.count
        for changeset in new {
            for row in changeset.rows {
                for operation in row.operations {
                    try judge(operation, row, changeset, known)
                }
            }
            Self.learn(changeset, &known)
        }
    }

    private struct CellPlace: Hashable {
        var table: UInt32
        var row: RowID
        var cell: CellKey
    }

    private static func learn(
        _ changeset: Changeset, _ known: inout [CellPlace: [Dot: Value?]]
    ) {
        for row in changeset.rows {
            for operation in row.operations {
                let place = CellPlace(table: row.table, row: row.row, cell: operation.cell)
                known[place, default: [:]][changeset.dot] = .some(operation.action.value)
            }
        }
    }

    private func judge(
        _ operation: Merge.Operation, _ row: RowChange, _ changeset: Changeset,
        _ known: [CellPlace: [Dot: Value?]]
    ) throws {
        let place = CellPlace(table: row.table, row: row.row, cell: operation.cell)
        let before = known[place] ?? [:]
        var named = operation.over
        if case .resolve(_, let covers) = operation.action { named += covers }
        for dot in named where before[dot] == nil {
            throw Problem(description: "\(changeset.dot) names \(dot), which is not of its cell")
        }
        if case .delete(let covers) = operation.action {
            for cover in covers
            where known[CellPlace(table: row.table, row: row.row, cell: cover.cell)]?[cover.dot]
                == nil
            {
                throw Problem(
                    description: "\(changeset.dot) covers \(cover), which was never there")
            }
        }
        guard let value = operation.action.value, value != .null, !isTyped(value) else { return }
        let isCount = if case .composite = value { row.table == 4 } else { false }
        if isCount { return try judgeCount(value, named, before, changeset) }
        guard before.values.contains(where: { $0 == value }) else {
            throw Problem(description: "\(changeset.dot) holds \(value), which nobody wrote")
        }
    }

    private func judgeCount(
        _ value: Value, _ named: [Dot], _ before: [Dot: Value?], _ changeset: Changeset
    ) throws {
        guard case .composite(let parts) = value, case .integer(let up) = parts[0] else { return }
        var expected: Int64 = 1
        for dot in named {
            if case .composite(let old)?? = before[dot], case .integer(let count) = old[0] {
                expected += count
            }
        }
        guard up == expected else {
            throw Problem(description: "\(changeset.dot) counts \(up) for \(expected)")
        }
    }

    // MARK: Repairing

    private mutating func repair() throws {
        try copy(to: "repaired")
        let report: Repair
        do {
            report = try day.repair("repaired")
        } catch is StoreError where damage.suffix.isEmpty && damage.offset < 100 {
            return
        }
        totals.repaired += 1
        let replica = try day.open("repaired")
        defer { replica.close() }
        let problems = try replica.verify().problems
        guard problems.isEmpty else { throw Problem(description: "repaired: \(problems)") }
        for range in report.lost { totals.lostChanges += Int(range.last - range.first) + 1 }
        var held: Set<Dot> = []
        try replica.forEachChangeset { changeset, _ in
            held.insert(changeset.dot)
            guard day.changesets[changeset.dot] == changeset else {
                throw Problem(description: "\(changeset.dot) is none of the file's")
            }
        }
        let missing = Set(day.changesets.keys).subtracting(held)
        let told = missing.filter { dot in
            (report.lost + report.waiting).contains {
                $0.stream == dot.stream && ($0.first...$0.last).contains(dot.seq)
            }
        }
        guard told == missing else {
            throw Problem(description: "lost and not told: \(missing.subtracting(told).sorted())")
        }
        if missing.isEmpty {
            guard try replica.stateHash() == day.stateHash else {
                throw Problem(description: "the log is whole, and the state is another")
            }
            totals.exact += 1
        }
        guard !missing.isEmpty || seed.isMultiple(of: 8) else { return }
        try sync(replica, report, missing)
    }

    /// What the hub has comes back, and the hub gets what it lacks.
    private mutating func sync(
        _ replica: Replica, _ report: Repair, _ missing: Set<Dot>
    ) throws {
        try day.copy("hub", to: "hub-copy")
        let hub = try day.open("hub-copy")
        defer { hub.close() }
        let atHub = hub.versionVector()
        try exchange(replica, hub)
        try exchange(replica, hub)
        let vector = replica.versionVector()
        for dot in missing where atHub.contains(dot) && !vector.contains(dot) {
            throw Problem(description: "\(dot) is at the hub, and did not come back")
        }
        guard try replica.verify().problems.isEmpty, try hub.verify().problems.isEmpty else {
            throw Problem(
                description: "after the sync: \(try replica.verify().problems.prefix(3))")
        }
        let isAllBack = day.changesets.keys.allSatisfy(vector.contains)
        guard try !isAllBack || replica.stateHash() == day.stateHash else {
            throw Problem(description: "all is back, and the state is another")
        }
        let isAtHub = missing.allSatisfy { dot in
            atHub.contains(dot)
                || report.waiting.contains {
                    $0.stream == dot.stream && ($0.first...$0.last).contains(dot.seq)
                }
        }
        guard isAtHub == isAllBack else {
            throw Problem(description: "something else is missing after the sync")
        }
        totals.synced += 1
    }
}
