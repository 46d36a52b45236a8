import Causality
import ConflictInspection
import FieldRecords
import Merge
import RecordSchema
import Recording
import ReplicaStore
import SyncProtocol
import TestSupport

/// Histories of decisions of one shape on real replicas, each on a person of its own: what people
/// do goes through the doors that the programs use.
final class DecisionFleet {
    private static let roles = ["speaker", "guest", "organiser"]
    private static let role = Forum.person.column(named: "role")!

    private let shape: ScheduleShape
    private let histories: [DecisionHistory]
    private let rows: [RowID]
    private let field: Field
    /// By history, then by op.
    private var dots: [[Dot]]
    /// By op: the runs that hold it.
    private var runs: [[SealedRun]] = []
    /// By laptop: the ops that it holds.
    private var held = [0, 0, 0]
    private(set) var refusedRuns = 0

    /// - Parameter histories: all of one shape; what is written later is later.
    init(_ histories: [DecisionHistory]) throws {
        shape = histories[0].shape
        self.histories = histories
        dots = Array(repeating: [], count: histories.count)
        rows = histories.indices.map {
            Forum.schema.rowID(in: Forum.person, key: [.text(Self.badge($0))])
        }
        field = try Field()
        try field.laptops[0].write { transaction in
            for number in histories.indices {
                try transaction.upsert(Forum.person, key: [.text(Self.badge(number))], [])
            }
        }
        for laptop in 1...2 { try field.carry(from: 0, to: laptop) }
    }

    private static func badge(_ number: Int) -> String { "DE-\(100 + number)" }

    /// - Returns: what is wrong.
    func run() throws -> String? {
        for op in 0..<shape.opCount {
            let author = shape.authors[op]
            for other in 0..<op where shape.pasts[op] & 1 << other != 0 {
                try deliver(other, to: author)
            }
            let before = field.laptops[author].versionVector()
            for (number, history) in histories.enumerated() {
                dots[number].append(try write(history.ops[op], number, by: author))
            }
            held[author] |= 1 << op
            try field.laptops[author].seal()
            runs.append(try field.laptops[author].sealedRuns(after: before))
            if let fault = try fault(at: author) { return fault }
        }
        return try deliverAll()
    }

    /// Each laptop gets what it lacks in another order, everything twice, and what is not yet due
    /// is refused and changes nothing.
    private func deliverAll() throws -> String? {
        let orders = shape.deliveries
        for laptop in 0...2 {
            for op in orders[(orders.count - 1) * laptop / 2] {
                for early in 0..<shape.opCount
                where held[laptop] & 1 << early == 0 && !shape.isReady(early, at: held[laptop]) {
                    if let fault = try refusal(of: early, at: laptop) { return fault }
                }
                try deliver(op, to: laptop)
                try deliver(op, to: laptop, isAgain: true)
                if let fault = try fault(at: laptop) { return fault }
            }
        }
        let hash = try field.laptops[0].stateHash()
        for laptop in 1...2 where try field.laptops[laptop].stateHash() != hash {
            return "\(shape): laptop \(laptop) has another hash"
        }
        return nil
    }

    private func deliver(_ op: Int, to laptop: Int, isAgain: Bool = false) throws {
        guard isAgain || held[laptop] & 1 << op == 0 else { return }
        for result in try field.laptops[laptop].ingest(runs[op]) {
            if case .refused(let refusal) = result { throw refusal }
        }
        held[laptop] |= 1 << op
    }

    private func refusal(of op: Int, at laptop: Int) throws -> String? {
        let before = try field.laptops[laptop].stateHash()
        let results = try field.laptops[laptop].ingest(runs[op])
        let isRefused = results.allSatisfy { if case .refused = $0 { true } else { false } }
        guard isRefused, try field.laptops[laptop].stateHash() == before else {
            return "\(shape): op \(op) was taken by laptop \(laptop), which lacks its past"
        }
        refusedRuns += 1
        return nil
    }

    // MARK: What people do

    private func write(
        _ op: DecisionHistory.Op, _ number: Int, by laptop: Int
    ) throws -> Dot {
        let receipt: WriteReceipt
        switch op.act {
        case .edit(let value):
            receipt = try field.records(laptop).set(
                Forum.person, Self.badge(number), [Assignment("role=\(Self.roles[value])")],
                basis: nil, author: "person \(laptop)"
            ).receipt
        case .settle(let value):
            let open = try field.conflicts(laptop).open()
            guard let conflict = open.first(where: { $0.subject.row == rows[number] }) else {
                throw Failure(description: "there is nothing to settle: \(histories[number])")
            }
            receipt = try field.conflicts(laptop).resolve(
                conflict.id.description, .value(Self.roles[value]), reason: "why",
                author: "person \(laptop)"
            ).receipt
        case .undo, .again:
            let dot = dots[number][op.target!]
            guard let entry = try field.conflicts(laptop).log().first(where: { $0.dot == dot })
            else { throw Failure(description: "\(dot) is not logged: \(histories[number])") }
            receipt = try field.undo(laptop, entry).receipt
        }
        guard receipt.dots.count == 1 else {
            throw Failure(description: "\(op.act) wrote \(receipt.dots)")
        }
        return receipt.dots[0]
    }

    struct Failure: Error, CustomStringConvertible {
        var description: String
    }

    // MARK: What they read

    private func fault(at laptop: Int) throws -> String? {
        let open = try Set(field.conflicts(laptop).open().map(\.subject.row))
        for (number, history) in histories.enumerated() {
            let set = held[laptop] & (1 << dots[number].count - 1)
            let state = try field.laptops[laptop].state(Forum.person.id, rows[number])
            let cell = state[CellKey(Self.role.id)]
            let fold = RegisterFold(cell, policy: Self.role.policy)
            let reading = DecisionHistory.Reading(
                live: ops(cell.live, number), candidates: ops(fold.candidates, number),
                isOpen: fold.isConflict,
                shown: fold.shown.flatMap { dots[number].firstIndex(of: $0.dot) })
            let name = "laptop \(laptop), which holds \(history.members(set)) of \(history)"
            if let broken = history.brokenLaw(reading, at: set) { return "\(name): \(broken)" }
            guard open.contains(rows[number]) == reading.isOpen else {
                return "\(name): listed as open is \(!reading.isOpen)"
            }
            let shown = try field.laptops[laptop].query(
                "SELECT role FROM person WHERE badge = '\(Self.badge(number))'")
            let expected = history.winner(set).flatMap { history.ops[$0].value }
            guard shown == [[expected.map { .text(Self.roles[$0]) } ?? .null]] else {
                return "\(name): \(shown) is shown"
            }
        }
        return nil
    }

    private func ops(_ live: [LiveOp], _ number: Int) -> Int {
        live.reduce(0) { set, op in
            dots[number].firstIndex(of: op.dot).map { set | 1 << $0 } ?? -1
        }
    }
}
