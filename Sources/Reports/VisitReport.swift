internal import Causality
internal import ConflictInspection
internal import FieldRecords
internal import Merge
internal import RecordSchema
public import Recording
internal import ReplicaStore

extension Report {
    /// Which delegation was where, when, and how many came: visit by visit, by item, delegation and day.
    public static func visits(
        _ records: Records, _ limits: ReportLimits = ReportLimits(), scopes: [String]
    ) throws -> Report {
        try records.replica.read {
            var data = try FieldData(records, limits, scopes: scopes)
            let decisions = try OpenDecisions(records, kinds: ["visit", "item"], &data, limits)
            let counting = try VisitCount(records, data, decisions)
            return Report(
                title: "Visits", limits: limits.lines,
                sections: [
                    counting.all,
                    counting.summary("item", "By item", \.item.code) { $0.item.title },
                    counting.summary("delegation", "By delegation", \.code) {
                        $0.delegation?.name ?? ""
                    },
                    counting.summary("day", "By day", \.day, name: nil),
                    decisions.section,
                ], basis: try ReportBasis(records, scopes: scopes), options: limits.options)
        }
    }
}

private struct VisitCount {
    struct Visit {
        var item: FieldData.Item
        var itemID: RowID
        var code: String
        var delegation: FieldData.Delegation?
        var status: ReportCell
        var arrival: ReportCell
        var departure: ReportCell
        var outcome: ReportCell
        var headcount: ReportCell
        /// How many a person may decide for; what is shown where nobody has to.
        var heads: ClosedRange<Int64>?
        /// People of the delegation who were recorded there.
        var attended: Int64
        var isCancelled: Bool
        var isHeld: Bool
        /// Both, and nobody has decided.
        var isClash: Bool

        var day: String { item.day ?? "(no day)" }
        var isUnresolved: Bool {
            [status, arrival, departure, outcome, headcount].contains(where: \.isUnresolved)
        }
    }

    private(set) var visits: [Visit] = []

    init(_ records: Records, _ data: FieldData, _ decisions: OpenDecisions) throws {
        let attended = try Self.attended(records, data)
        // What stands on a cancelled visit was recorded all the same.
        let cancelledYetHeld = decisions.cancelledYetHeld
        for row in try records.replica.query(
            """
            SELECT id, item, delegation, status, actual_arrival, actual_departure, outcome, headcount FROM visit
            """)
        {
            guard let id = FieldData.row(row[0]), let itemID = FieldData.row(row[1]),
                let item = data.items[itemID]
            else { continue }
            let delegationID = FieldData.row(row[2])
            let delegation = delegationID.flatMap { data.delegations[$0] }
            guard delegation != nil || !data.isLimitedToDelegations else { continue }
            func cell(_ column: String, _ shown: ReportCell) -> ReportCell {
                decisions.values(Forum.visit, id, column) ?? shown
            }
            let status = FieldData.text(row[3])
            let isClash = cancelledYetHeld.contains(id) || cancelledYetHeld.contains(itemID)
            let heads = FieldData.integer(row[7])
            visits.append(
                Visit(
                    item: item, itemID: itemID, code: data.code(ofDelegation: delegationID),
                    delegation: delegation,
                    status: Self.status(
                        isClash, cell("status", status.isEmpty ? .empty : .text(status))),
                    arrival: cell("actual_arrival", .time(optional: FieldData.integer(row[4]))),
                    departure: cell("actual_departure", .time(optional: FieldData.integer(row[5]))),
                    outcome: cell("outcome", .text(FieldData.text(row[6]))),
                    headcount: cell("headcount", heads.map(ReportCell.number) ?? .empty),
                    heads: Self.heads(decisions, id, shown: heads, mayBeNone: isClash),
                    attended: attended[[itemID, delegationID ?? itemID]] ?? 0,
                    isCancelled: status == ItemStatus.cancelled.rawValue
                        || item.status == ItemStatus.cancelled.rawValue,
                    isHeld: status == ItemStatus.done.rawValue
                        || row[4...6].contains { $0 != .null && $0 != .text("") }
                        || heads.map { $0 > 0 } ?? false,
                    isClash: isClash))
        }
        visits.sort { a, b in
            (a.item.start ?? .max, a.item.code, a.code, a.itemID)
                < (b.item.start ?? .max, b.item.code, b.code, b.itemID)
        }
    }

    private static func attended(_ records: Records, _ data: FieldData) throws -> [[RowID]: Int64] {
        var counts: [[RowID]: Int64] = [:]
        for row in try records.replica.query(
            "SELECT item, person FROM attendance WHERE state IN ('in', 'out')")
        {
            guard let item = FieldData.row(row[0]), let person = FieldData.row(row[1]),
                let delegation = data.people[person]?.delegation
            else { continue }
            counts[[item, delegation], default: 0] += 1
        }
        return counts
    }

    /// The counts between which a person must decide.
    private static func heads(
        _ decisions: OpenDecisions, _ visit: RowID, shown: Int64?, mayBeNone: Bool
    ) -> ClosedRange<Int64>? {
        let conflict = decisions.conflicts.first {
            $0.subject.table == Forum.visit && $0.subject.row == visit
                && $0.subject.column?.name == "headcount"
        }
        let counts =
            conflict.map { $0.candidates.map { FieldData.integer($0.value ?? .null) ?? 0 } }
            ?? shown.map { [$0] } ?? []
        guard let least = counts.min(), let most = counts.max() else { return nil }
        return mayBeNone ? min(0, least)...max(0, most) : least...most
    }

    private static func status(_ isClash: Bool, _ recorded: ReportCell) -> ReportCell {
        guard isClash else { return recorded }
        guard case .unresolved(let values) = recorded else {
            return .unresolved("cancelled, and yet held")
        }
        return .unresolved("\(values); it was held")
    }

    /// Ends where numbers end.
    private static func sum(_ counts: [Int64]) -> Int64 {
        counts.reduce(0) { sum, count in
            let (result, overflow) = sum.addingReportingOverflow(count)
            return overflow ? (sum < 0 ? .min : .max) : result
        }
    }

    var all: ReportSection {
        var section = ReportSection(
            "visit", "Visit by visit", emptyText: "There are no visits.",
            [
                ReportColumn("item", "Item"), ReportColumn("title", "Title"),
                ReportColumn("delegation", "Delegation"),
                ReportColumn("planned_start", "Planned", .time), ReportColumn("status", "Status"),
                ReportColumn("arrival", "Arrival", .time),
                ReportColumn("departure", "Departure", .time),
                ReportColumn("headcount", "Headcount", .number),
                ReportColumn("attended", "Recorded by name", .number),
                ReportColumn("outcome", "Outcome"),
            ])
        section.rows = visits.map { visit in
            [
                .text(visit.item.code), .text(visit.item.title), .text(visit.code),
                .time(optional: visit.item.start), visit.status, visit.arrival, visit.departure,
                visit.headcount, .number(visit.attended), visit.outcome,
            ]
        }
        return section
    }

    func summary(
        _ name: String, _ title: String, _ key: (Visit) -> String,
        name describe: ((Visit) -> String)?
    ) -> ReportSection {
        var section = ReportSection(
            name, title, emptyText: "There are no visits.",
            [ReportColumn(name, name == "item" ? "Item" : name == "day" ? "Day" : "Delegation")]
                + (describe == nil ? [] : [ReportColumn("name", name == "item" ? "Title" : "Name")])
                + [
                    ReportColumn("visits", "Visits", .number),
                    ReportColumn("held", "Held", .number),
                    ReportColumn("cancelled", "Cancelled", .number),
                    ReportColumn("not_yet", "Nothing recorded", .number),
                    ReportColumn("headcount", "Heads", .number),
                    ReportColumn("attended", "Recorded by name", .number),
                    ReportColumn("unresolved", "Unresolved", .number),
                ],
            chart: name == "day"
                ? nil
                : ReportChart(
                    title: "Visits \(title.lowercased())", names: name,
                    series: [
                        ReportChart.Series(column: "held", colour: 0x2f7d4f),
                        ReportChart.Series(column: "cancelled", colour: 0xb5482f),
                        ReportChart.Series(column: "not_yet", colour: 0xc9d1d6),
                    ]))
        var keys: [String] = []
        let groups = Dictionary(grouping: visits, by: key)
        // In the order of the visits, but for delegations.
        for visit in visits where !keys.contains(key(visit)) { keys.append(key(visit)) }
        if name == "delegation" { keys.sort() }
        for value in keys {
            let group = groups[value] ?? []
            let clashes = Int64(group.count(where: \.isClash))
            let held = Int64(group.count { $0.isHeld && !$0.isClash })
            let cancelled = Int64(group.count { $0.isCancelled && !$0.isHeld && !$0.isClash })
            let unresolved = group.count(where: \.isUnresolved)
            let heads = group.compactMap(\.heads)
            section.rows.append(
                [.text(value)] + (describe.map { [.text($0(group[0]))] } ?? []) + [
                    .number(Int64(group.count)), .count(held...held + clashes),
                    .count(cancelled...cancelled + clashes),
                    .number(Int64(group.count) - held - cancelled - clashes),
                    .count(
                        Self.sum(heads.map(\.lowerBound))...Self.sum(heads.map(\.upperBound))),
                    .number(group.reduce(0) { $0 + $1.attended }),
                    .open(count: unresolved),
                ])
        }
        return section
    }
}
