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
        /// They lie here, and the hub said that it holds them: that the longest ago comes first.
        public var sent: [(entry: BlobFolder.Entry, milliseconds: Int64)] = []
        /// Those that lie here.
        public var heldCount = 0
    }

    public func blobStanding() throws(StoreError) -> BlobStanding {
        var standing = BlobStanding()
        var lacking = try namedBlobs()
        guard !lacking.isEmpty else { return standing }
        for entry in blobs.entries() where entry.isWhole && lacking.remove(entry.name) != nil {
            standing.heldCount += 1
            if entry.isSent {
                standing.sent.append((entry, blobs.sentTime(entry)))
            } else {
                standing.unsent.append(entry)
            }
        }
        standing.sent.sort { ($0.milliseconds, $0.entry.name) < ($1.milliseconds, $1.entry.name) }
        standing.lacking = lacking.sorted()
        return standing
    }

    /// Takes away what lies here of people who have been erased, and of scopes that were taken off this disk.
    package func removeForgottenBlobs() throws(StoreError) {
        // A hub takes no scope off its disk.
        if keepsFeed, try erasedPeople().isEmpty { return }
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

    /// What is said about erased people names: in rows, hidden ones among them, and in runs that are kept aside.
    private func blobsOfErased() throws(StoreError) -> Set<BlobName> {
        guard try !erasedPeople().isEmpty else { return [] }
        return try read { () throws(StoreError) in
            var names = try blobsAside(ofErased: true)
            for (table, column) in tablesWithBlobs {
                let found = try connection.rows(
                    "SELECT id FROM \(table.name) UNION SELECT id FROM sy_row WHERE tbl = ?",
                    .integer(Int64(table.id)))
                for id in found.compactMap({ Self.rowID($0[0]) })
                where try isAboutErased(table, id) {
                    for operation in try state(table.id, id)[CellKey(column.id)].live {
                        if let value = operation.action.value,
                            let name = try blobName(value, of: id, in: table)
                        {
                            names.insert(name)
                        }
                    }
                }
            }
            return names
        }
    }

    /// What runs name that are kept aside: they may count one day.
    ///
    /// - Parameter ofErased: what is about people who have been erased; else what is about nobody who was.
    package func blobsAside(ofErased: Bool) throws(StoreError) -> Set<BlobName> {
        let tables = tablesWithBlobs
        let people = try erasedPeople()
        guard !tables.isEmpty else { return [] }
        var names: Set<BlobName> = []
        for kept in try quarantinedRuns() {
            for change in try rawChangesets(of: kept)?.flatMap(\.rows) ?? [] {
                guard let (table, column) = tables.first(where: { $0.table.id == change.table })
                else { continue }
                func written(_ column: Column) -> Value? {
                    change.operations.last { $0.cell.column == column.id }?.action.value
                }
                guard let value = written(column),
                    let name = try blobName(value, of: change.row, in: table)
                else { continue }
                let subject = try subject(of: change.row, in: table, writing: written)
                let isOfErased = subject.person(of: change.row).map(people.contains) ?? false
                if isOfErased == ofErased { names.insert(name) }
            }
        }
        return names
    }
}
