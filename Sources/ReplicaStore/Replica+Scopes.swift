public import Causality
public import Merge
public import RecordSchema
package import SyncProtocol

/// Where rows lie.
extension Replica {
    /// What the ids of the rows of a scope end with.
    func mark(of record: StreamRecord?) -> ScopeMark? {
        guard let record, record.scope != Self.scope else { return nil }
        return schema.mark(ofScope: record.scope)
    }

    /// The scope in which a row lies, by the mark that its id bears.
    public func scope(of row: RowID, in table: UInt32) throws(StoreError) -> String {
        guard schema.table(id: table)?.isDivided ?? false else { return Self.scope }
        return try scope(dividedBy: row) ?? Self.scope
    }

    /// The scope that a row lies in, or that it stands for; `nil` for none but the base one.
    public func scope(dividedBy row: RowID) throws(StoreError) -> String? {
        let mark = ScopeMark(endOf: row)
        if let known = scopesByMark[mark] { return known }
        for division in schema.divisions {
            let key = division.keyColumns[0].name
            for row in try connection.rows(
                "SELECT \(key) FROM \(division.name) WHERE substr(id, 13) = ?", .blob(mark.bytes))
            {
                guard case .text(let text) = row[0] else { continue }
                let scope = "\(division.name)/\(text)"
                guard schema.mark(ofScope: scope) == mark else { continue }
                scopesByMark[mark] = scope
                return scope
            }
        }
        // Its row may be deleted.
        let scopes = Set(rows.streams.records.values.map(\.scope)).sorted()
        let found = scopes.first { schema.mark(ofScope: $0) == mark }
        if let found { scopesByMark[mark] = found }
        return found
    }

    /// The id of the row that a natural key names, of a table in which it doesn't say where the row lies.
    public func rowID(
        in table: Table, key: [Value], dividedBy division: RowID?
    ) throws(StoreError) -> RowID {
        let row = schema.rowID(in: table, key: key)
        guard let division, try scope(dividedBy: division) != nil else { return row }
        return row.marked(by: ScopeMark(endOf: division))
    }

    /// The scope of the stream that a run belongs to; `nil` where that is not known.
    package func scope(of run: SealedRun) throws(StoreError) -> String? {
        try origin(of: run)?.scope
    }

    /// Whether this replica goes on with a stream.
    public func writes(to stream: StreamID) -> Bool {
        lanes.contains { $0.record.stream == stream }
    }

    /// The scope of a stream; `nil` for one that is not known here.
    package func scope(of stream: StreamID) -> String? { rows.streams[stream]?.scope }

    /// Whether this replica may hold what lies in a scope: what is not for it, nobody hands to it.
    package func mayRead(_ scope: String) throws(StoreError) -> Bool {
        if scope == Self.scope || keepsFeed { return true }
        guard try membership() != nil else { return true }
        let scopes = try readableScopes()
        return scopes.contains(scope) || scopes.contains(Grant.anyScope)
    }
}

extension ScopeMark {
    /// As they stand at the end of an id.
    var bytes: [UInt8] { withUnsafeBytes(of: value.bigEndian) { Array($0) } }
}
