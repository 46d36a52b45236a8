internal import Causality
internal import FieldRecords
internal import Merge
internal import RecordSchema
public import ReplicaStore
public import SyncProtocol

/// What stands of a person who is to be forgotten.
public struct ErasureStanding: Sendable {
    public var person: PersonLabel
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
    public func askToErase(
        _ person: String, reason: String, author: String
    ) throws -> (standings: [ErasureStanding], receipt: WriteReceipt) {
        let id = try row(in: Forum.person, person)
        let ids = try [id] + peopleMerged(into: id).map(\.id)
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

    private func standing(of id: RowID, wasAsked: Bool) throws -> ErasureStanding {
        ErasureStanding(
            person: try label(of: id),
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
