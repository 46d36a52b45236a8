internal import Causality
internal import FieldRecords
internal import Merge
internal import RecordSchema
internal import ReplicaStore

extension Records {
    private func itemFilter(_ item: String?) throws -> (sql: String, value: Value) {
        guard let item else { return ("?1 IS NULL", .null) }
        return ("a.item = ?1", .blob(try row(in: Forum.item, item).identifier.bytes))
    }

    /// Who is where: one line for each person with observations at an item.
    public func attendance(item: String?) throws -> (columns: [String], rows: [[String]]) {
        let filter = try itemFilter(item)
        let found = try replica.query(
            """
            SELECT i.code, p.badge, coalesce(p.name_native, p.name_latin, ''), a.state, a.first_in,
              a.last_out, a.observations, a.class
            FROM attendance a LEFT JOIN item i ON i.id = a.item
            LEFT JOIN person p ON p.id = a.person
            WHERE \(filter.sql) ORDER BY i.code, p.badge
            """, filter.value)
        return (
            ["item", "badge", "name", "state", "first_in", "last_out", "observations", "class"],
            found.map { row in
                row.enumerated().map { index, value in
                    guard index == 4 || index == 5, case .integer(let time) = value else {
                        return Self.plain(value)
                    }
                    return Instant(milliseconds: time).formatted()
                }
            }
        )
    }

    /// How many are where: one line for each item.
    public func attendanceSummary(item: String?) throws -> (columns: [String], rows: [[String]]) {
        let filter = try itemFilter(item)
        let found = try replica.query(
            """
            SELECT i.code, coalesce(i.title_en, ''), a.expected, a."in", a.out, a.absent, a.excused,
              a.unknown
            FROM attendance_summary a JOIN item i ON i.id = a.item
            WHERE \(filter.sql) ORDER BY i.planned_start, i.code
            """, filter.value)
        return (
            ["item", "title", "expected", "in", "out", "absent", "excused", "unknown"],
            found.map { $0.map(Self.plain) }
        )
    }
}
