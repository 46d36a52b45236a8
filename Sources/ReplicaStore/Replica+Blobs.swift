internal import Causality
internal import Merge
internal import RecordSchema
public import SyncProtocol

/// The bytes that records name: which of them lie here, are to be sent, or are elsewhere.
extension Replica {
    public var blobs: BlobFolder { BlobFolder(replica: path) }

    private var tablesWithBlobs: [(table: Table, column: Column)] {
        schema.tables.compactMap { table in
            table.blob.map { (table, table.declared($0)) }
        }
    }

    /// The blobs that rows name which are shown here, and are about nobody who was erased.
    ///
    /// - Parameter asked: only these; `nil` for all.
    public func namedBlobs(among asked: Set<BlobName>? = nil) throws(StoreError) -> Set<BlobName> {
        guard asked?.isEmpty != true else { return [] }
        return try read { () throws(StoreError) in
            var named: Set<BlobName> = []
            for (table, column) in tablesWithBlobs {
                for row in try connection.rows("SELECT id, \(column.name) FROM \(table.name)") {
                    guard let id = Self.rowID(row[0]),
                        let name = try blobName(row[1], of: id, in: table),
                        asked?.contains(name) ?? true, !named.contains(name),
                        try !isAboutErased(table, id)
                    else { continue }
                    named.insert(name)
                }
            }
            return named
        }
    }

    private static func rowID(_ value: Value) -> RowID? {
        guard case .blob(let bytes) = value else { return nil }
        return Identifier(bytes).map { RowID($0) }
    }

    private func blobName(
        _ value: Value, of row: RowID, in table: Table
    ) throws(StoreError) -> BlobName? {
        guard case .blob(let bytes) = value, let digest = Digest(bytes) else { return nil }
        return BlobName(scope: try scope(of: row, in: table.id), digest: digest)
    }

    /// How things stand with the blobs that are named here.
    public struct BlobStanding: Sendable {
        /// They lie here, and the hub isn't known to hold them.
        public var unsent: [BlobFolder.Entry] = []
        /// They don't lie here; of some a part does.
        public var lacking: [BlobName] = []
        /// Those that lie here.
        public var heldCount = 0
    }

    public func blobStanding() throws(StoreError) -> BlobStanding {
        var standing = BlobStanding()
        var lacking = try namedBlobs()
        guard !lacking.isEmpty else { return standing }
        for entry in blobs.entries() where entry.isWhole && lacking.remove(entry.name) != nil {
            standing.heldCount += 1
            if !entry.isSent { standing.unsent.append(entry) }
        }
        standing.lacking = lacking.sorted()
        return standing
    }

    /// Takes away what lies here of people who have been erased, and of scopes that were taken off this disk.
    package func removeForgottenBlobs() throws(StoreError) {
        let entries = blobs.entries()
        guard !entries.isEmpty else { return }
        let (named, ofErased) = (try namedBlobs(), try blobsOfErased())
        for entry in entries where !named.contains(entry.name) {
            let isDropped = try isDropped(entry.name.scope)
            if isDropped || ofErased.contains(entry.name) { try blobs.remove(entry) }
        }
    }

    private func isDropped(_ scope: String) throws(StoreError) -> Bool {
        guard try !mayRead(scope) else { return false }
        return !rows.streams.records.values.contains { $0.scope == scope }
    }

    /// What rows about erased people name, hidden ones among them.
    private func blobsOfErased() throws(StoreError) -> Set<BlobName> {
        guard try !erasedPeople().isEmpty else { return [] }
        return try read { () throws(StoreError) in
            var names: Set<BlobName> = []
            for (table, column) in tablesWithBlobs {
                let found = try connection.rows(
                    "SELECT id FROM \(table.name) UNION SELECT id FROM sy_row WHERE tbl = ?",
                    .integer(Int64(table.id)))
                for id in found.compactMap({ Self.rowID($0[0]) })
                where try isAboutErased(table, id) {
                    let state = try state(table.id, id)
                    let fold = RegisterFold(state[CellKey(column.id)], policy: column.policy)
                    if let value = fold.shown?.action.value,
                        let name = try blobName(value, of: id, in: table)
                    {
                        names.insert(name)
                    }
                }
            }
            return names
        }
    }
}
