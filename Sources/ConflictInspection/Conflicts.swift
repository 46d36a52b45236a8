package import Causality
internal import FieldRecords
internal import Merge
internal import RecordSchema
internal import Recording
public import ReplicaStore
package import SyncProtocol

/// The conflicts of a replica: finds and explains them.
public struct Conflicts {
    let records: Records
    var replica: Replica { records.replica }
    /// Whether values are told with who wrote them, when, and what they had been shown: the log tells that.
    var asksLog = true

    public init(_ replica: Replica) {
        records = Records(replica)
    }

    /// All open conflicts, those put off among them: the ones that need a decision first, then the
    /// oldest first.
    public func open() throws -> [Conflict] { try page().conflicts }

    /// The open conflict whose id starts with `id`.
    public func conflict(_ id: String) throws -> Conflict {
        guard id.count >= 4 else {
            throw ConflictError.invalid("give at least four digits of the conflict's id")
        }
        let start = id.lowercased()
        return try replica.read {
            let ruled = try openFindings()
            let values = try valueConflicts(besides: ruled).compactMap(found(at:)).filter {
                $0.id.description.hasPrefix(start)
            }
            let records = ruled.filter { $0.id.description.hasPrefix(start) }
            guard values.count + records.count < 2 else { throw ConflictError.ambiguous(id) }
            if let value = values.first { return try withDeferral(try conflict(of: value)) }
            guard let record = records.first else { throw ConflictError.stale(id) }
            return try withDeferral(try conflict(of: record))
        }
    }

    /// Decisions that differ are told once: as the rule's conflict, while the rule finds its facts.
    func valueConflicts(besides ruled: [RuledFinding]) throws -> [OpenConflict] {
        let told = Set(ruled.map(\.ruling))
        return try replica.openConflicts().filter {
            $0.table != Forum.ruling.id || !told.contains($0.row)
        }
    }

    /// What the state has there; `nil` for what is no conflict, or none that is worth telling.
    func found(at place: OpenConflict) throws -> FoundConflict? {
        guard let table = replica.schema.table(id: place.table) else { return nil }
        let state = try replica.state(place.table, place.row)
        guard place.column != CellKey.life.column else { return Self.life(table, place, state) }
        guard let column = table.column(id: place.column), column.conflictClass > .silent else {
            return nil
        }
        // Of what is deleted nothing is asked.
        guard !LifeFold(state).isHidden else { return nil }
        let fold = RegisterFold(state[CellKey(column.id)], policy: column.policy)
        guard fold.isConflict else { return nil }
        return FoundConflict(
            id: Self.id(place, fold.candidates.map(\.dot)), place: place, table: table,
            conflictClass: fold.isWithinTolerance
                ? min(.notice, column.conflictClass) : column.conflictClass,
            kind: .register(column, fold))
    }

    private static func life(
        _ table: Table, _ place: OpenConflict, _ state: RowState
    ) -> FoundConflict? {
        let life = LifeFold(state)
        guard life.isConflict else { return nil }
        let edits = life.uncovered.compactMap { uncovered in
            state[uncovered.cell].live.first { $0.dot == uncovered.dot }.map {
                (uncovered.cell, $0)
            }
        }
        let ops = (life.deletes.map { (CellKey.life, $0) } + edits).sorted { $0.1.yields(to: $1.1) }
        return FoundConflict(
            id: id(place, ops.map(\.1.dot)), place: place, table: table, conflictClass: .decision,
            kind: .life(ops))
    }

    /// With what the log tells of it, where it is asked.
    func conflict(of found: FoundConflict) throws -> Conflict {
        switch found.kind {
        case .register(let column, let fold): try registerConflict(found, column, fold)
        case .life(let ops): try lifeConflict(found, ops)
        }
    }

    private func registerConflict(
        _ found: FoundConflict, _ column: Column, _ fold: RegisterFold
    ) throws -> Conflict {
        let (place, key) = (found.place, CellKey(column.id))
        let candidates = try fold.candidates.sorted { $0.yields(to: $1) }.enumerated().map {
            try candidate($1, label: $0, place, key, isShown: $1.dot == fold.shown?.dot) { value in
                try records.text(of: value, in: column)
            }
        }
        return Conflict(
            id: found.id, subject: try subject(found.table, place.row, column),
            conflictClass: found.conflictClass, candidates: candidates,
            shown: candidates.first(where: \.isShown)?.text ?? "",
            isWithinTolerance: fold.isWithinTolerance,
            explanation: explain(fold, column, candidates))
    }

    private func explain(
        _ fold: RegisterFold, _ column: Column, _ candidates: [Candidate]
    ) -> String {
        let count = candidates.count
        if fold.isWithinTolerance, case .earliest(let tolerance) = column.policy {
            return "\(count) records lie within \(tolerance / 60_000) min of each other, so the "
                + "earliest counts; nobody has to decide."
        }
        if case .earliest(let tolerance) = column.policy,
            let spread = Self.spreadMilliseconds(candidates), spread > tolerance
        {
            return "\(count) records lie \(spread / 60_000) min apart, more than the "
                + "\(tolerance / 60_000) min within which the earliest would count; they were "
                + "written by people who had not seen each other's."
        }
        if candidates.allSatisfy(\.isResolution) {
            return "\(count) people settled it differently, and none had seen the other's decision."
        }
        if candidates.contains(where: \.isResolution) {
            return "\(count) values stand side by side: someone decided, and someone else, who had "
                + "not seen that, wrote another value."
        }
        return "\(count) values were written by people who had not seen each other's."
    }

    /// Between the earliest and the latest, where all are records of people; `nil` for decisions.
    private static func spreadMilliseconds(_ candidates: [Candidate]) -> Int64? {
        var times: [Int64] = []
        for candidate in candidates {
            guard case .integer(let time)? = candidate.value, !candidate.isResolution else {
                return nil
            }
            times.append(time)
        }
        guard let first = times.min(), let last = times.max() else { return nil }
        let (spread, overflow) = last.subtractingReportingOverflow(first)
        return overflow ? .max : spread
    }

    func subject(_ table: Table, _ row: RowID, _ column: Column?) throws -> ConflictSubject {
        let (kind, name) = try records.subject(table, row)
        return ConflictSubject(table: table, row: row, column: column, kind: kind, name: name)
    }

    private func lifeConflict(
        _ found: FoundConflict, _ ops: [(cell: CellKey, op: LiveOp)]
    ) throws -> Conflict {
        let (table, place) = (found.table, found.place)
        let candidates = try ops.enumerated().map { index, entry in
            let column = table.column(id: entry.cell.column)
            return try candidate(
                entry.op, label: index, place, entry.cell, isShown: entry.cell != .life
            ) { value in
                guard let column else { return "" }
                return "\(column.name) = \(try records.text(of: value, in: column))"
            }
        }
        return Conflict(
            id: found.id, subject: try subject(table, place.row, nil),
            conflictClass: found.conflictClass, candidates: candidates, shown: "kept",
            explanation: "Someone deleted this record; someone else, who had not seen that, "
                + "changed it. It stays until one of them is chosen.")
    }

    private func candidate(
        _ op: LiveOp, label: Int, _ place: OpenConflict, _ cell: CellKey, isShown: Bool,
        _ text: (Value) throws -> String
    ) throws -> Candidate {
        var isResolution = false
        if case .resolve = op.action { isResolution = true }
        let shownText: String
        var isDelete = false
        switch op.action {
        case .delete:
            shownText = "deleted"
            isDelete = true
        case .retract: shownText = cell == .life ? "restored" : "taken back"
        case .put, .resolve: shownText = try text(op.action.value ?? .null)
        }
        return Candidate(
            label: Self.label(label), dot: op.dot, value: op.action.value, text: shownText,
            provenance: asksLog ? try records.provenance(of: op.dot) : nil,
            saw: asksLog ? try values(shownTo: op.dot, place, cell, text) : [], isShown: isShown,
            isResolution: isResolution, isDelete: isDelete)
    }

    /// What an author had been shown in a cell, as people read it.
    private func values(
        shownTo dot: Dot, _ place: OpenConflict, _ cell: CellKey, _ text: (Value) throws -> String
    ) throws -> [String] {
        func operation(_ dot: Dot) throws -> Operation? {
            try replica.operation(dot, table: place.table, row: place.row, cell: cell)
        }
        return try (operation(dot)?.shownDots ?? []).compactMap { dot in
            guard let value = try operation(dot)?.action.value else { return nil }
            let who = try records.provenance(of: dot)?.who
            return try text(value) + (who.map { " (\($0))" } ?? "")
        }
    }

    /// `A` to `Z`, then `A1` and so on.
    static func label(_ index: Int) -> String {
        let letter = String(UnicodeScalar(UInt8(ascii: "A") + UInt8(index % 26)))
        return index < 26 ? letter : "\(letter)\(index / 26)"
    }

    /// The cell belongs in it: one changeset may write several cells of a row.
    package static func id(_ place: OpenConflict, _ dots: [Dot]) -> Digest {
        var encoder = CBOREncoder()
        encoder.array(3 + dots.count * 2)
        encoder.unsigned(UInt64(place.table))
        encoder.blob(place.row.identifier.bytes)
        encoder.unsigned(UInt64(place.column))
        for dot in dots.sorted() {
            encoder.blob(dot.stream.identifier.bytes)
            encoder.unsigned(dot.seq)
        }
        return Digest(.conflict, encoder.bytes)
    }
}

/// A conflict as the state has it, before anybody asks who wrote what.
struct FoundConflict {
    enum Kind {
        case register(Column, RegisterFold)
        /// Deletes, and what was written beside them, in the order of their times.
        case life([(cell: CellKey, op: LiveOp)])
    }

    var id: Digest
    var place: OpenConflict
    var table: Table
    var conflictClass: ConflictClass
    var kind: Kind
}

extension Operation {
    /// What its author had been shown in the cell: what it replaces, and what it settles.
    var shownDots: [Dot] {
        guard case .resolve(_, let covers) = action else { return over }
        return over + covers.filter { !over.contains($0) }
    }
}
