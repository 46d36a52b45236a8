import Causality
import Foundation
import Merge
import RecordSchema
import ReplicaStore
import SyncProtocol
import TestSupport

/// A laptop's file after some work: every shape of column, conflicts, decisions, deletes, two other
/// streams, sealed runs and a tail, one part in the database and one in its write-ahead log; and the
/// hub that it last synced with.
final class DamagedDay {
    static let tally = Table(
        4, "tally", key: ["place"],
        [Column(1, "place", .text), Column(2, "seen", .counter), Column(3, "remark", .text)])
    static let schema = Schema(name: "damaged", version: 1, tables: Sample.tables + [tally])

    let bench: Bench
    /// Every changeset of the laptop's file.
    private(set) var changesets: [Dot: Changeset] = [:]
    private(set) var stateHash: Digest
    private var laptop: Replica
    private var other: Replica
    private let hub: Replica
    private var notes: [RowID] = []

    init() throws {
        let bench = try Bench(isVolatile: true)
        self.bench = bench
        var environment = bench.environment
        environment.checkpointFrames = 1 << 20
        let settings = environment
        func create(_ name: String, keepsFeed: Bool = false) throws -> Replica {
            try Replica.create(
                at: bench.path(name), name: name, schema: Self.schema, environment: settings,
                keepsFeed: keepsFeed)
        }
        (laptop, other) = (try create("laptop"), try create("other"))
        hub = try create("hub", keepsFeed: true)
        stateHash = try hub.stateHash()
        try record()
        try laptop.forEachChangeset { changeset, _ in changesets[changeset.dot] = changeset }
        stateHash = try laptop.stateHash()
        // As a process that was killed leaves them: the log is not carried over.
        for suffix in ["", "-wal", ".key", ".install"] {
            for name in ["laptop", "hub"] {
                let from = bench.path(name) + suffix
                guard FileManager.default.fileExists(atPath: from) else { continue }
                try FileManager.default.copyItem(
                    atPath: from, toPath: bench.path("kept-" + name) + suffix)
            }
        }
    }

    // MARK: Recording

    private func record() throws {
        for number in 0..<60 { try note(number) }
        for number in 0..<80 { try person(laptop, number, "name \(number)") }
        for number in 0..<12 { try measure(number) }
        for number in 0..<6 { try count(laptop, number, by: 5) }
        try sync()
        for number in 0..<40 { try person(other, number * 2, "other name \(number)") }
        for number in 0..<20 { try edit(other, notes[number], "theirs") }
        for number in 10..<16 {
            try other.write { try $0.delete(Sample.note, notes[number]) }
        }
        for number in 0..<6 { try count(other, number, by: 3) }
        try exchange(other, hub)
        for number in 0..<30 { try person(laptop, number * 3, "our name \(number)") }
        for number in 5..<14 { try edit(laptop, notes[number], "ours") }
        try laptop.write { transaction in
            for number in 30..<34 { try transaction.delete(Sample.note, notes[number]) }
        }
        try sync()
        try settle()
        try sync()
        try Self.checkpoint(laptop)
        try later()
    }

    /// What lies in the log: some of it sealed, some not.
    private func later() throws {
        for number in 20..<30 { try edit(laptop, notes[number], "later") }
        for number in 40..<70 { try person(laptop, number, "later \(number)") }
        try laptop.write { try $0.restore(Sample.note, notes[31]) }
        try sync()
        for number in 80..<100 { try person(laptop, number, "new \(number)") }
        for number in 35..<45 { try edit(laptop, notes[number], "unsent") }
        for number in 0..<3 { try count(laptop, number, by: -1) }
        try laptop.write { transaction in
            try transaction.add(
                Sample.note, notes[50], Sample.column("tags"), [.text("late"), .text("later")])
        }
    }

    private static func checkpoint(_ replica: Replica) throws {
        _ = try replica.query("PRAGMA wal_checkpoint(TRUNCATE)")
    }

    private func note(_ number: Int) throws {
        let (id, _) = try laptop.write(author: "Ay") { transaction in
            let id = try transaction.insert(
                into: Sample.note,
                [
                    .text("note \(number) " + String(repeating: "x", count: number * 7)),
                    .integer(Int64(number)),
                    .composite([.real(40.1 + Double(number)), .real(-0.5)]), nil,
                    .integer(1_764_000_000_000 + Int64(number)),
                ])
            try transaction.add(
                Sample.note, id, Sample.column("tags"), [.text("t\(number % 7)"), .text("all")])
            return id
        }
        notes.append(id)
    }

    private func edit(_ replica: Replica, _ id: RowID, _ text: String) throws {
        try replica.write(author: "Bo") { transaction in
            try transaction.set(
                Sample.note, id, [(Sample.column("title"), .text("\(text) \(id)"))])
        }
    }

    private func person(_ replica: Replica, _ number: Int, _ name: String) throws {
        try replica.write(author: "Ay") { transaction in
            let friend = Self.schema.rowID(in: Sample.person, key: [.text("P\(number / 2)")])
            _ = try transaction.upsert(
                Sample.person, key: [.text("P\(number)")],
                [
                    (Sample.column("name"), .text(name)),
                    (Sample.column("friend"), .blob(friend.identifier.bytes)),
                    (Sample.column("born"), .integer(Int64(number) * 1_000)),
                ])
        }
    }

    private func measure(_ number: Int) throws {
        try laptop.write { transaction in
            _ = try transaction.insert(
                into: Sample.measure,
                [
                    .real(Double(number) / 3),
                    .blob(Array(repeating: UInt8(number), count: number * 500)), nil,
                    .blob(notes[number].identifier.bytes),
                ])
        }
    }

    private func count(_ replica: Replica, _ number: Int, by amount: Int64) throws {
        try replica.write { transaction in
            let id = try transaction.upsert(Self.tally, key: [.text("gate \(number)")], []).id
            try transaction.count(Self.tally, id, Self.tally.columns[1], by: amount)
        }
    }

    /// Decides every second conflict.
    private func settle() throws {
        for (index, conflict) in try laptop.openConflicts().enumerated()
        where index.isMultiple(of: 2) && conflict.column != 0 {
            try Self.take(conflict, in: laptop)
        }
    }

    /// Settles a conflict by its first candidate.
    static func take(_ conflict: OpenConflict, in replica: Replica) throws {
        let column = schema.table(id: conflict.table)?.column(id: conflict.column)
        try replica.write(author: "Judge") { transaction in
            try transaction.author(conflict.table, conflict.row) { state in
                let key = CellKey(conflict.column)
                let fold = RegisterFold(state[key], policy: column?.policy ?? .latest)
                guard let value = fold.candidates.first?.action.value else { return [] }
                return [state.resolve(key, value, basis: fold.allDots)]
            }
        }
    }

    private func sync() throws {
        try exchange(laptop, hub)
        try exchange(other, hub)
    }

    // MARK: Copies

    /// The laptop's file, or the hub's, as it was left.
    func copy(_ name: String, to other: String) throws {
        bench.remove(other)
        for suffix in ["", "-wal", ".key", ".install"] {
            let from = bench.path("kept-" + name) + suffix
            guard FileManager.default.fileExists(atPath: from) else { continue }
            try FileManager.default.copyItem(atPath: from, toPath: bench.path(other) + suffix)
        }
    }

    func open(_ name: String) throws -> Replica { try bench.open(name, schema: Self.schema) }

    func inspect(_ name: String) throws -> Replica {
        try Replica.inspect(
            at: bench.path(name), schema: Self.schema, environment: bench.environment)
    }

    func repair(_ name: String, isDryRun: Bool = false) throws -> Repair {
        try Replica.repair(
            at: bench.path(name), schema: Self.schema, environment: bench.environment,
            isDryRun: isDryRun)
    }
}

/// What a disk may do to a file's bytes.
struct Damage: CustomStringConvertible {
    enum Kind: CaseIterable { case bit, byte, zeroed, garbage }

    var suffix: String
    var kind: Kind
    var offset: Int
    var seed: UInt64

    var description: String { "\(kind) at \(offset) of the \(suffix.isEmpty ? "database" : "log")" }

    /// - Parameter sizes: of the database and of its log, in bytes.
    init(seed: UInt64, sizes: (Int, Int)) {
        var random = SplitMix64(seed: seed)
        let isLog = random.chance(1, in: 4)
        suffix = isLog ? "-wal" : ""
        kind = random.pick(Kind.allCases) ?? .bit
        offset = random.below(isLog ? sizes.1 : sizes.0)
        self.seed = random.next()
    }

    func apply(to path: String) throws {
        let url = URL(filePath: path + suffix)
        var bytes = [UInt8](try Data(contentsOf: url))
        var random = SplitMix64(seed: seed)
        switch kind {
        case .bit: bytes[offset] ^= 1 << UInt8(random.below(8))
        case .byte: bytes[offset] ^= UInt8(1 + random.below(255))
        case .zeroed, .garbage:
            let start = offset / 512 * 512
            for place in start..<min(start + 512, bytes.count) {
                bytes[place] = kind == .zeroed ? 0 : UInt8(random.below(256))
            }
        }
        try Data(bytes).write(to: url)
    }
}
