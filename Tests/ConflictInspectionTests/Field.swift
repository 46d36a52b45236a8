import Causality
import ConflictInspection
import FieldRecords
import Foundation
import Merge
import RecordSchema
import Recording
import ReplicaStore
import Synchronization
import SyncProtocol
import Testing

/// Three laptops of one forum, in a temporary directory, on a clock that moves by itself. They
/// begin with the same records.
final class Field {
    let directory: URL
    let laptops: [Replica]
    private static let now = Atomic<Int64>(1_764_000_000_000)

    /// The orders in which three laptops may meet.
    static let orders = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]]

    init() throws {
        let memory = URL(filePath: "/dev/shm")
        let isUsable = FileManager.default.isWritableFile(atPath: memory.path)
        let directory = (isUsable ? memory : FileManager.default.temporaryDirectory)
            .appending(path: "karvan-rules-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
        self.directory = directory
        var environment = Environment.system(command: "test")
        environment.wallMilliseconds = {
            Self.now.add(1_000, ordering: .relaxed).newValue
        }
        let clocked = environment
        laptops = try ["L1", "L2", "L3"].map { name in
            try Replica.create(
                at: directory.appending(path: "\(name).sqlite").path, name: name,
                schema: Forum.schema, environment: clocked)
        }
        try seed()
        for laptop in 1...2 { try carry(from: 0, to: laptop) }
    }

    deinit {
        for laptop in laptops { laptop.close() }
        try? FileManager.default.removeItem(at: directory)
    }

    private func seed() throws {
        try laptops[0].write { transaction in
            for (table, code) in [
                (Forum.delegation, "KZ"), (Forum.item, "P07"), (Forum.item, "V12"),
            ] {
                try transaction.upsert(table, key: [.text(code)], [])
            }
            for badge in ["AZ-001", "AZ-002", "TR-031"] {
                try transaction.upsert(
                    Forum.person, key: [.text(badge)],
                    [(Forum.person.column(named: "name_native")!, .text("Name of \(badge)"))])
            }
        }
    }

    // MARK: What one laptop does

    func records(_ laptop: Int) -> Records { Records(laptops[laptop]) }
    func conflicts(_ laptop: Int) -> Conflicts { Conflicts(laptops[laptop]) }

    func set(_ laptop: Int, _ table: Table, _ key: String, _ assignments: String...) throws {
        _ = try records(laptop).set(
            table, key, try assignments.map { try Assignment($0) }, basis: nil,
            author: "person \(laptop)")
    }

    func attend(
        _ laptop: Int, _ person: String, _ kind: ObservationKind, reason: String? = nil
    ) throws {
        _ = try records(laptop).attend(
            "P07", [person], AttendanceEntry(kind: kind, method: .badge, reason: reason),
            author: "person \(laptop)")
    }

    func visit(_ laptop: Int, _ change: (inout VisitEntry) -> Void) throws {
        var entry = VisitEntry()
        change(&entry)
        _ = try records(laptop).visit("V12", "KZ", entry, author: "person \(laptop)")
    }

    @discardableResult
    func resolve(_ laptop: Int, _ decision: Decision, reason: String = "why") throws -> Settlement {
        try conflicts(laptop).resolve(
            try only(laptop).id.description, decision, reason: reason, author: "person \(laptop)")
    }

    /// The one conflict that is open.
    func only(
        _ laptop: Int, sourceLocation: SourceLocation = #_sourceLocation
    ) throws -> Conflict {
        let open = try conflicts(laptop).open()
        try #require(
            open.count == 1, "\(open.map(\.subjectText))", sourceLocation: sourceLocation)
        return open[0]
    }

    func isSettled(_ laptop: Int) throws -> Bool { try conflicts(laptop).open().isEmpty }

    @discardableResult
    func undo(_ laptop: Int, _ entry: DecisionEntry) throws -> Undoing {
        try conflicts(laptop).undo(entry.id.description, reason: "undone", author: "someone")
    }

    func lastDecision(_ laptop: Int) throws -> DecisionEntry {
        try #require(try conflicts(laptop).log().last)
    }

    // MARK: What passes between them

    func carry(from source: Int, to target: Int) throws {
        try laptops[source].seal()
        let runs = try laptops[source].sealedRuns(after: laptops[target].versionVector())
        for result in try laptops[target].ingest(runs) {
            if case .refused(let refusal) = result { throw refusal }
        }
    }

    /// Everyone meets, in this order, until all hold the same; then they agree in everything.
    func meet(_ order: [Int], sourceLocation: SourceLocation = #_sourceLocation) throws {
        let (first, second, third) = (order[0], order[1], order[2])
        for (source, target) in [
            (first, second), (second, third), (third, first), (second, first), (third, second),
            (first, third),
        ] {
            try carry(from: source, to: target)
        }
        try expectAgreement(sourceLocation: sourceLocation)
    }

    private func expectAgreement(sourceLocation: SourceLocation) throws {
        let hash = try laptops[0].stateHash()
        let told = try conflicts(0).open().map { "\($0.id) \($0.subjectText) \($0.shown)" }
        let log = try conflicts(0).log().map { "\($0.id) \($0.kind) \($0.text) \($0.isLive)" }
        for laptop in 0...2 {
            #expect(try laptops[laptop].stateHash() == hash, sourceLocation: sourceLocation)
            #expect(
                try conflicts(laptop).open().map { "\($0.id) \($0.subjectText) \($0.shown)" }
                    == told, sourceLocation: sourceLocation)
            #expect(
                try conflicts(laptop).log().map { "\($0.id) \($0.kind) \($0.text) \($0.isLive)" }
                    == log, sourceLocation: sourceLocation)
        }
        let oracle = try Oracle(laptops[0])
        #expect(
            try Set(laptops[0].openConflicts()) == oracle.openCells, sourceLocation: sourceLocation)
    }
}

extension Field {
    /// Conflicts of both classes, of several tables and authors: values that differ, values that lie close together, a
    /// deleted row, and records that clash.
    static func disagreeing() throws -> Field {
        let field = try Field()
        for (laptop, minute) in [(0, Int64(0)), (1, 30)] {
            try field.visit(laptop) {
                $0.arrivedMilliseconds = 1_764_000_000_000 + minute * 60_000
                $0.departedMilliseconds = 1_764_007_000_000 + minute * 10_000
            }
            try field.set(laptop, Forum.delegation, "KZ", "contact=desk \(laptop)")
            try field.set(laptop, Forum.item, "V12", "status=state \(laptop)")
            for badge in ["AZ-001", "AZ-002", "TR-031"] {
                try field.set(laptop, Forum.person, badge, "role=role \(laptop)")
            }
            try field.set(laptop, Forum.person, "AZ-001", "name_latin=Name \(laptop)")
        }
        try field.attend(0, "AZ-001", .excused, reason: "ill")
        try field.attend(1, "AZ-001", .in)
        try field.meet([0, 1, 2])
        return field
    }
}

/// Which cells are open, from the changesets alone: live = ops − everything named in any over;
/// open are the cells with two or more distinct live values that no live resolution covers.
struct Oracle {
    private(set) var openCells: Set<OpenConflict> = []

    private struct Entry: Hashable {
        var cell: OpenConflict
        var dot: Dot
    }

    init(_ replica: Replica) throws {
        var ops: [OpenConflict: [(dot: Dot, action: Action)]] = [:]
        var replaced: Set<Entry> = []
        try replica.forEachChangeset { changeset, _ in
            for row in changeset.rows {
                for op in row.operations where op.cell.element.isEmpty && op.cell.column != 0 {
                    let cell = OpenConflict(
                        table: row.table, row: row.row, column: op.cell.column)
                    ops[cell, default: []].append((changeset.dot, op.action))
                    for dot in op.over { replaced.insert(Entry(cell: cell, dot: dot)) }
                }
            }
        }
        for (cell, all) in ops {
            let column = Forum.schema.table(id: cell.table)?.column(id: cell.column)
            guard column?.isRegister == true else { continue }
            let live = all.filter { !replaced.contains(Entry(cell: cell, dot: $0.dot)) }
            var covered: Set<Dot> = []
            for case .resolve(_, let covers) in live.map(\.action) { covered.formUnion(covers) }
            let values = live.filter { !covered.contains($0.dot) }.compactMap(\.action.value)
            if Set(values).count > 1 { openCells.insert(cell) }
        }
    }
}
