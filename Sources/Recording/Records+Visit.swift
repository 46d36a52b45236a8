public import Causality
public import FieldRecords
internal import Merge
internal import RecordSchema
public import ReplicaStore

/// What someone records of a delegation's visit; what is `nil` is left as it is.
public struct VisitEntry: Sendable {
    public var arrivedMilliseconds: Int64?
    public var departedMilliseconds: Int64?
    public var outcome: String?
    public var status: String?
    public var headcount: Int64?
    public var note: String?

    public init() {}

    public var isEmpty: Bool {
        arrivedMilliseconds == nil && departedMilliseconds == nil && outcome == nil
            && status == nil && headcount == nil && note == nil
    }
}

extension Records {
    /// Records a delegation's visit; two laptops that do so apart write the same row.
    public func visit(
        _ item: String, _ delegation: String, _ entry: VisitEntry, author: String
    ) throws -> (visit: RowID, receipt: WriteReceipt) {
        guard !entry.isEmpty else {
            throw RecordError("say what to record: --arrived, --departed, --outcome or --note")
        }
        let itemRow = try row(in: Forum.item, item)
        let delegationRow = try row(in: Forum.delegation, delegation)
        let table = Forum.visit
        let found: [(String, Value?)] = [
            ("actual_arrival", entry.arrivedMilliseconds.map(Value.integer)),
            ("actual_departure", entry.departedMilliseconds.map(Value.integer)),
            ("outcome", entry.outcome.map(Value.text)), ("status", entry.status.map(Value.text)),
            ("headcount", entry.headcount.map(Value.integer)),
        ]
        let values = found.compactMap { name, value in
            value.flatMap { value in table.column(named: name).map { ($0, value) } }
        }
        let key: [Value] = [
            .blob(itemRow.identifier.bytes), .blob(delegationRow.identifier.bytes),
        ]
        let (visit, receipt) = try replica.write(author: author) { transaction in
            let visit = try transaction.upsert(table, key: key, values).id
            if let text = entry.note {
                try transaction.insert(
                    into: Forum.note,
                    [
                        .integer(Int64(table.id)), .blob(visit.identifier.bytes), .text(author),
                        .text(text),
                    ], dividedBy: visit)
            }
            return visit
        }
        return (visit, receipt)
    }

    /// A time as people type it, for an item: a bare `10:10` is of the item's planned day.
    public func instant(_ text: String, for item: String?) throws -> Instant {
        var reference = Instant(milliseconds: replica.environment.wallMilliseconds())
        if let item {
            let id = try row(in: Forum.item, item)
            let found = try replica.query(
                "SELECT planned_start FROM item WHERE id = ?", .blob(id.identifier.bytes))
            if case .integer(let start)? = found.first?[0] {
                reference = Instant(milliseconds: start)
            }
        }
        do throws(InstantError) {
            return try Instant(text, onDayOf: reference)
        } catch {
            throw RecordError("\(error)")
        }
    }
}
