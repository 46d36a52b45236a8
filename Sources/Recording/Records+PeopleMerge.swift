public import Causality
internal import FieldRecords
internal import Merge
internal import RecordSchema
public import ReplicaStore

/// What became of one person in a merge.
public struct MergedPerson: Hashable, Sendable {
    public var person: PersonLabel
    /// They were one already, so that nothing had to be written.
    public var wasMerged: Bool
}

/// A merge that was taken back.
public struct TakenMerge: Hashable, Sendable {
    public var person: PersonLabel
    public var target: PersonLabel
    /// Who had merged them, and where.
    public var who: String
}

extension Records {
    private static let mergedInto = Forum.person.declared("merged_into")

    /// Says that people are one. Their attendance is that of the one who is kept.
    ///
    /// Opposite merges that two laptops make apart form a ring, and its least id stands for all.
    ///
    /// - Throws: ``RecordError`` for a person merged into themselves, and for one who is merged
    ///   into someone else. Then nothing was written.
    public func merge(
        _ others: [String], into kept: String, author: String
    ) throws -> (kept: PersonLabel, merged: [MergedPerson], receipt: WriteReceipt) {
        let keptRow = try row(in: Forum.person, kept)
        let rows = try others.map { (name: $0, row: try row(in: Forum.person, $0)) }
        if let same = rows.first(where: { $0.row == keptRow }) {
            throw RecordError("\(same.name) can't be merged into themselves")
        }
        let (states, receipt) = try replica.write(author: author) { transaction in
            try rows.map { other in
                if try canonical(of: other.row) == canonical(of: keptRow) { return true }
                if let target = try mergeTarget(of: other.row) {
                    let target = try label(of: target)
                    throw RecordError(
                        "\(other.name) is merged into \(target.name) already; merge \(target.name)"
                            + " instead, or first `karvan person unmerge \(other.name)`")
                }
                let value = Value.blob(keptRow.identifier.bytes)
                try transaction.set(Forum.person, other.row, [(Self.mergedInto, value)])
                return false
            }
        }
        let merged = try zip(rows, states).map {
            MergedPerson(person: try label(of: $0.row), wasMerged: $1)
        }
        return (try label(of: keptRow), merged, receipt)
    }

    /// Takes back that a person is someone else: every merge of theirs, if laptops merged them
    /// into several, and with opposite merges the one that leads back to them.
    ///
    /// - Returns: what was taken back; empty when the person isn't merged into anyone.
    public func unmerge(
        _ person: String, author: String
    ) throws -> (person: PersonLabel, taken: [TakenMerge], receipt: WriteReceipt) {
        let id = try row(in: Forum.person, person)
        let (taken, receipt) = try replica.write(author: author) { transaction in
            let before = try ringNeighbour(of: id)
            return try takeMerges(of: id, in: transaction)
                + (before.map { try takeMerges(of: $0, in: transaction) } ?? [])
        }
        return (try label(of: id), taken, receipt)
    }

    /// Who is merged into the person, apart from those on a ring with them.
    public func peopleMerged(into person: RowID) throws -> [PersonLabel] {
        try replica.query(
            "SELECT id FROM person WHERE merged_into = ?1 AND id <> ?1 ORDER BY badge, id",
            .blob(person.identifier.bytes)
        ).compactMap { row in
            guard case .blob(let bytes) = row[0], let id = Identifier(bytes) else { return nil }
            return try label(of: RowID(id))
        }
    }

    /// Replaces all candidates: whoever unmerges is told of each.
    private func takeMerges(
        of id: RowID, in transaction: WriteTransaction
    ) throws -> [TakenMerge] {
        let key = CellKey(Self.mergedInto.id)
        let cell = try replica.state(Forum.person.id, id)[key]
        let fold = RegisterFold(cell)
        let merges = fold.candidates.filter { $0.action.value != .null }
        guard !merges.isEmpty else { return [] }
        let person = try label(of: id)
        let taken = try merges.compactMap { op -> TakenMerge? in
            guard case .blob(let bytes)? = op.action.value, let target = Identifier(bytes) else {
                return nil
            }
            return TakenMerge(
                person: person, target: try label(of: RowID(target)),
                who: try provenance(of: op.dot)?.who ?? "")
        }
        try transaction.author(Forum.person.id, id) { state in
            state.put(key, .null, basis: fold.allDots + cell.retracts)
        }
        return taken
    }

    /// Who is merged into `person` and stands for the same people by a ring of merges.
    private func ringNeighbour(of person: RowID) throws -> RowID? {
        var place = person
        var passed: Set<RowID> = []
        while let next = try mergeTarget(of: place), passed.insert(place).inserted {
            if next == person { return place == person ? nil : place }
            place = next
        }
        return nil
    }

    /// Whom a person is merged into, by what the row shows; `nil` for nobody who is there.
    private func mergeTarget(of person: RowID) throws -> RowID? {
        try identifier(
            """
            SELECT b.id FROM person a JOIN person b ON b.id = a.merged_into
            WHERE a.id = ?1 AND b.id <> ?1
            """, person)
    }

    /// Who stands for a person: the end of their merges.
    public func canonical(of person: RowID) throws -> RowID {
        try identifier("SELECT canonical FROM person_identity WHERE person = ?1", person) ?? person
    }

    private func identifier(_ sql: String, _ person: RowID) throws -> RowID? {
        let found = try replica.query(sql, .blob(person.identifier.bytes))
        guard case .blob(let bytes)? = found.first?[0] else { return nil }
        return Identifier(bytes).map { RowID($0) }
    }
}
