internal import Causality
internal import FieldRecords
internal import Merge
internal import RecordSchema
public import ReplicaStore
public import SyncProtocol

/// What stands of a person who is to be forgotten.
public struct ErasureStanding: Sendable {
    public var person: PersonLabel
    /// What was said of them before that was encrypted: it stays in the log, and nothing destroys it.
    public var unsealedCount: Int
    /// What the hub decided; `nil` before it has, or before that has come here.
    public var erasure: Erasure?
    /// Whether the request was there already.
    public var wasAsked: Bool
}

extension Records {
    /// Asks that people be forgotten: the hub decides it when this is synced, and every laptop carries it out when it
    /// syncs. Whoever was merged into them is another record of the same person, and forgotten with them.
    ///
    /// - Throws: ``StoreError/denied(_:)`` on a laptop that is not let ask.
    ///
    /// - Parameter isDryRun: tells who it would be, and writes nothing.
    public func askToErase(
        _ person: String, reason: String, author: String, isDryRun: Bool = false
    ) throws -> (standings: [ErasureStanding], receipt: WriteReceipt) {
        // Whoever was deleted is still known.
        let ids = try samePeople(as: knownRow(in: Forum.person, person))
        guard !isDryRun else {
            return (try ids.map { try standing(of: $0, wasAsked: false) }, WriteReceipt())
        }
        let table = Forum.erasure
        let (asked, receipt) = try replica.write(author: author) { transaction in
            var asked: Set<RowID> = []
            let erased = try replica.erasedPeople()
            for id in ids {
                let key: [Value] = [.blob(id.identifier.bytes)]
                let row = replica.schema.rowID(in: table, key: key)
                let isThere = try !replica.state(table.id, row).cells.isEmpty
                if isThere || erased.contains(id) { asked.insert(id) }
                guard !erased.contains(id) else { continue }
                try transaction.upsert(
                    table, key: key,
                    isThere
                        ? []
                        : [
                            (table.declared("reason"), .text(reason)),
                            (table.declared("asked_by"), .text(author)),
                        ])
            }
            return asked
        }
        return (
            try ids.map { try standing(of: $0, wasAsked: asked.contains($0)) }, receipt
        )
    }

    /// A person's rows: all that were merged into one another, also where one of them was deleted. The one that
    /// was named comes first.
    private func samePeople(as person: RowID) throws -> [RowID] {
        let column = CellKey(Forum.person.declared("merged_into").id)
        var targets: [RowID: Set<RowID>] = [:]
        for row in try replica.knownRows(in: Forum.person.id, startingWith: "", limit: .max) {
            for op in try replica.state(Forum.person.id, row)[column].live {
                guard case .blob(let bytes)? = op.action.value,
                    let target = Identifier(bytes).map({ RowID($0) })
                else { continue }
                targets[row, default: []].insert(target)
                targets[target, default: []].insert(row)
            }
        }
        var (found, next) = ([person], 0)
        while next < found.count {
            for other in targets[found[next], default: []].sorted() where !found.contains(other) {
                found.append(other)
            }
            next += 1
        }
        return found
    }

    private func standing(of id: RowID, wasAsked: Bool) throws -> ErasureStanding {
        ErasureStanding(
            person: try label(of: id), unsealedCount: try replica.unsealedCount(about: id),
            erasure: try replica.erasures().first { $0.subjects.contains(id) }, wasAsked: wasAsked)
    }

    /// Requests that the hub has not answered yet, as far as this laptop knows.
    public func openErasures() throws -> [PersonLabel] {
        let erased = try replica.erasedPeople()
        return try replica.query("SELECT person FROM erasure WHERE person IS NOT NULL ORDER BY id")
            .compactMap { row in
                guard case .blob(let bytes) = row[0], let id = Identifier(bytes),
                    !erased.contains(RowID(id))
                else { return nil }
                return try label(of: RowID(id))
            }
    }
}
