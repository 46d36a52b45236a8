import Causality
import Merge
import RecordSchema
import ReplicaStore
import SyncProtocol
import TestSupport

/// Random schedules, one in each row of a fleet: who writes and what is delivered is the fleet's,
/// what is written is each schedule's own.
final class FleetSchedules {
    private struct Form {
        var column: Column
        var basis: [Dot]
    }

    private let fleet: Fleet
    private let rowCount: Int
    private var generator: SplitMix64
    /// By replica: the forms that are open, and what it held when they were opened.
    private var forms: [(held: VersionVector, open: [Int: Form])]
    private(set) var counts: [String: Int] = [:]

    init(seed: UInt64, rowCount: Int) throws {
        generator = SplitMix64(seed: seed)
        let count = 2 + generator.below(3)
        fleet = try Fleet(count: count, isFrozen: generator.chance(1, in: 4))
        forms = Array(repeating: (VersionVector(), [:]), count: count)
        self.rowCount = rowCount
    }

    /// - Returns: what is wrong.
    func run() throws -> String? {
        if generator.chance(2, in: 3) { try begin() }
        for _ in 0..<(10 + generator.below(8)) {
            let author = generator.below(fleet.replicas.count)
            switch generator.below(10) {
            case 0: try openForms(author)
            case 1...3: try exchange(author)
            default: try write(author)
            }
            if generator.chance(1, in: 8) { try fleet.export(author) }
        }
        for _ in 0..<2 {
            for source in fleet.replicas.indices {
                for target in fleet.replicas.indices where target != source {
                    try fleet.give(from: source, to: target)
                }
            }
        }
        return try fleet.judge()
    }

    private func count(_ name: String) { counts[name, default: 0] += 1 }

    private func id(_ row: Int) -> RowID { RowID(Identifier(high: 7, low: UInt64(row))) }

    // MARK: What the fleet does

    /// Rows that everybody has from the start.
    private func begin() throws {
        try fleet.write(0) { transaction in
            for row in 0..<rowCount where generator.chance(2, in: 3) {
                let title = generator.chance(2, in: 3) ? value(Fleet.column("title")) : nil
                let values = [title, .integer(0), nil, nil, nil, .real(1), nil]
                try transaction.insert(into: Fleet.record, id: id(row), values)
            }
            return []
        }
        for target in fleet.replicas.indices.dropFirst() {
            try fleet.give(from: 0, to: target)
        }
    }

    /// Some of what is missing, in its order, some of it twice, and an old run again.
    private func exchange(_ target: Int) throws {
        let source = generator.below(fleet.replicas.count)
        guard source != target else { return }
        try fleet.replicas[source].seal()
        let missing = try fleet.replicas[source].sealedRuns(
            after: fleet.replicas[target].versionVector())
        var runs: [SealedRun] = []
        for run in missing.prefix(generator.chance(2, in: 3) ? .max : generator.below(3)) {
            runs.append(run)
            if generator.chance(1, in: 3) { runs.append(run) }
        }
        let old = try fleet.replicas[target].sealedRuns(after: VersionVector())
        if let old = generator.pick(old) { runs.append(old) }
        try fleet.ingest(runs, at: target)
        count("exchange")
    }

    private func openForms(_ author: Int) throws {
        let replica = fleet.replicas[author]
        forms[author] = (replica.versionVector(), [:])
        for row in 0..<rowCount where generator.chance(1, in: 3) {
            let state = try replica.state(1, id(row))
            guard !LifeFold(state).isHidden else { continue }
            let column = generator.pick(Fleet.record.columns.filter(\.isRegister))!
            let basis = state.basis(of: CellKey(column.id), policy: column.policy)
            forms[author].open[row] = Form(column: column, basis: basis)
            count("form opened")
        }
    }

    private func write(_ author: Int) throws {
        var held = VersionVector()
        (held, _) = forms[author]
        try fleet.write(author, formsOpenedAt: held) { transaction in
            var saved: Set<RowID> = []
            for row in 0..<rowCount where generator.chance(2, in: 3) {
                if let form = forms[author].open[row], generator.chance(1, in: 3) {
                    forms[author].open[row] = nil
                    try transaction.set(
                        Fleet.record, id(row), [(form.column, value(form.column))],
                        basis: form.basis)
                    saved.insert(id(row))
                    count("form saved")
                } else {
                    try deed(id(row), transaction)
                }
            }
            return saved
        }
    }

    // MARK: What a schedule does

    private func value(_ column: Column) -> Value {
        let number = generator.below(4)
        switch column.name {
        case "title": return [.text("p"), .text("q"), .text("e\u{301}\0"), .null][number]
        case "arrival": return number == 3 ? .null : .integer(Int64(number) * 400_000)
        case "position":
            return [
                .composite([.real(1), .real(-0.0)]), .composite([.real(2), .null]), .null,
                .composite([.real(0.1), .real(.infinity)]),
            ][number]
        default: return .real([0.5, -0.0, .nan, 1e300][number])
        }
    }

    private func deed(_ row: RowID, _ transaction: WriteTransaction) throws {
        switch generator.below(20) {
        case 0...5: try put(row, transaction)
        case 6...8: try element(row, transaction)
        case 9...11:
            let amount = [1, -1, 5, Int64.max][generator.below(4)]
            // The most that an entry can hold is soon reached; then nothing is written.
            _ = try? transaction.count(Fleet.record, row, Fleet.column("heads"), by: amount)
            count("count")
        case 12...13:
            if try transaction.delete(Fleet.record, row) { count("delete") }
        case 14:
            if try transaction.restore(Fleet.record, row) { count("restore") }
        case 15...17: try resolve(row, transaction)
        default: try undo(row, transaction)
        }
    }

    private func put(_ row: RowID, _ transaction: WriteTransaction) throws {
        var columns = [generator.pick(Fleet.record.columns.filter(\.isRegister))!]
        if generator.chance(1, in: 3), columns[0].name != "title" {
            columns.append(Fleet.column("title"))
        }
        try transaction.set(Fleet.record, row, columns.map { ($0, value($0)) })
        count("put")
    }

    private func element(_ row: RowID, _ transaction: WriteTransaction) throws {
        let isText = generator.chance(2, in: 3)
        let column = Fleet.column(isText ? "tags" : "marks")
        let number = generator.below(3)
        let element: Value =
            isText
            ? .text(["x", "\u{1F1F0}\u{1F1FF}", "\"\n"][number]) : .integer(Int64(number) << 60)
        if generator.chance(3, in: 5) {
            try transaction.add(Fleet.record, row, column, [element])
            count("add")
        } else {
            try transaction.remove(Fleet.record, row, column, [element])
            count("remove")
        }
    }

    /// A conflict if there is one; at times a register without.
    private func resolve(_ row: RowID, _ transaction: WriteTransaction) throws {
        let isAnywhere = generator.chance(1, in: 4)
        let isResolved = try transaction.author(1, row) { state in
            guard !LifeFold(state).isHidden else { return [] }
            for column in Fleet.record.columns.filter(\.isRegister) {
                let fold = RegisterFold(state[CellKey(column.id)], policy: column.policy)
                guard fold.isConflict || isAnywhere && fold.shown != nil else { continue }
                return [
                    state.resolve(CellKey(column.id), value(column), basis: fold.allDots)
                ]
            }
            return []
        }
        if isResolved { count("resolve") }
    }

    private func undo(_ row: RowID, _ transaction: WriteTransaction) throws {
        let isUndone = try transaction.author(1, row) { state in
            guard !LifeFold(state).isHidden else { return [] }
            for entry in state.cells {
                for op in entry.cell.live {
                    guard case .resolve = op.action else { continue }
                    return state.undo(resolution: op.dot, in: entry.key).map { [$0] } ?? []
                }
            }
            return []
        }
        if isUndone { count("undo") }
    }
}
