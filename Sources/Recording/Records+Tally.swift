internal import Causality
internal import FieldRecords
internal import Merge
internal import RecordSchema
public import ReplicaStore

/// A count of heads as it stands after one more.
public struct TallyMark: Hashable, Sendable {
    public var zone: String
    /// What people call the session.
    public var session: String
    /// This session's count.
    public var count: Int64
}

extension Records {
    /// The most characters of a zone's or a session's name.
    public static let tallyNameLimit = 64

    /// Counts heads in a zone of an item.
    ///
    /// - Parameters:
    ///   - session: who counts; `nil` for this laptop. Sessions of one zone count the same heads,
    ///     and are never added up.
    ///   - amount: how many more, or when negative how many fewer.
    public func tally(
        _ item: String, zone: String, session: String?, by amount: Int64, author: String
    ) throws -> (mark: TallyMark, receipt: WriteReceipt) {
        guard amount != 0 else {
            throw RecordError("say how many more or fewer: +N or -N")
        }
        let (zone, session) = (
            try Self.tallyName(zone, "zone"),
            try session.map { try Self.tallyName($0, "session") } ?? replica.device.short
        )
        let itemRow = try row(in: Forum.item, item)
        let key: [Value] = [.blob(itemRow.identifier.bytes), .text(zone), .text(session)]
        let (count, receipt) = try replica.write(author: author) { transaction in
            let id = try transaction.upsert(Forum.tally, key: key, []).id
            let column = Forum.tally.declared("count")
            try transaction.count(Forum.tally, id, column, by: amount)
            let count = Counter(try replica.state(Forum.tally.id, id)[CellKey(column.id)]).value
            guard count >= 0 else {
                throw RecordError(
                    "\(zone) has counted \(count - amount); there are no \(-amount) to take back")
            }
            return count
        }
        return (
            TallyMark(zone: zone, session: try sessionName(session), count: count), receipt
        )
    }

    /// Spaces around a name don't count, or one zone would be two.
    private static func tallyName(_ text: String, _ what: String) throws -> String {
        let name = text.drop { $0 == " " }.reversed().drop { $0 == " " }.reversed()
        guard (1...tallyNameLimit).contains(name.count), !name.contains("/") else {
            throw RecordError("a \(what) has 1 to \(tallyNameLimit) characters and no slash")
        }
        return String(name)
    }

    /// The row of `ITEM/ZONE/SESSION`, or of `ITEM/ZONE` for this laptop's own session.
    func tallyRow(_ text: String) throws -> RowID? {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
        guard (2...3).contains(parts.count) else { return nil }
        let item = try row(in: Forum.item, parts[0])
        let session = parts.count == 3 ? parts[2] : replica.device.short
        return replica.schema.rowID(
            in: Forum.tally,
            key: [.blob(item.identifier.bytes), .text(parts[1]), .text(session)])
    }

    /// What people call a session: a laptop's own bears the short form of its device's id.
    public func sessionName(_ session: String) throws -> String {
        guard session != replica.device.short else { return try replica.name }
        let found = try replica.query(
            "SELECT name FROM device WHERE substr(device, 1, ?) = ? LIMIT 1",
            .integer(Int64(session.utf8.count)), .text(session))
        guard session.utf8.count == replica.device.short.utf8.count,
            case .text(let name)? = found.first?[0]
        else { return session }
        return name
    }
}
