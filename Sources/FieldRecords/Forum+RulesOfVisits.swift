internal import Causality
internal import Merge
public import RecordSchema

extension Forum {
    /// A visit, or a part of the programme, was cancelled, and yet someone recorded that it was
    /// held.
    ///
    /// The key is the cancelled record alone: a corrected time of arrival opens nothing again.
    /// Nobody is offered to throw away what was recorded.
    public static let cancelledYetHeld = ConflictRule(
        1, "cancelled vs held",
        select: """
            WITH
              present AS MATERIALIZED (
                SELECT o.item, p.delegation, count(DISTINCT o.person) AS people, min(o.id) AS first
                FROM observation o LEFT JOIN person p ON p.id = o.person
                WHERE o.kind = 'in' AND o.item IN (
                  SELECT item FROM visit WHERE status = 'cancelled'
                  UNION SELECT id FROM item WHERE status = 'cancelled'
                ) AND NOT EXISTS (
                  SELECT 1 FROM observation v WHERE v.voids = o.id AND v.kind = 'void'
                )
                GROUP BY o.item, p.delegation
              ),
              arrived AS MATERIALIZED (
                SELECT item, count(*) AS visits, min(id) AS first FROM visit
                WHERE coalesce(actual_arrival, actual_departure, headcount, outcome) IS NOT NULL
                GROUP BY item
              )
            SELECT 'visit', v.id, v.status, v.actual_arrival, v.actual_departure, v.headcount,
              v.outcome, p.people, p.first, NULL, NULL
            FROM visit v
            LEFT JOIN present p ON p.item = v.item AND p.delegation = v.delegation
            UNION ALL
            SELECT 'item', i.id, i.status, NULL, NULL, NULL, NULL,
              (SELECT sum(people) FROM present p WHERE p.item = i.id),
              (SELECT min(first) FROM present p WHERE p.item = i.id), a.visits, a.first
            FROM item i LEFT JOIN arrived a ON a.item = i.id
            """
    ) { rows in rows.compactMap { Cancellation($0)?.finding } }
}

/// A row of the rule: what was recorded of a visit or an item, beside its status.
private struct Cancellation {
    var table: Table
    var row: RowID
    var status: String?
    var evidence: [Finding.Evidence] = []
    /// There is more than an arrival: it is over.
    var isOver = false

    init?(_ values: [Value]) {
        guard let row = values.row(1), let kind = values.text(0) else { return nil }
        self.row = row
        table = kind == "visit" ? Forum.visit : Forum.item
        status = values.text(2)
        if let time = values.integer(3) {
            add("actual_arrival", "arrival \(Instant(milliseconds: time).formatted())")
        }
        if let time = values.integer(4) {
            add("actual_departure", "departure \(Instant(milliseconds: time).formatted())")
        }
        if let count = values.integer(5) { add("headcount", "headcount \(count)") }
        if let outcome = values.text(6) { add("outcome", "outcome “\(outcome)”") }
        isOver = values[4] != .null || values[6] != .null
        if let people = values.integer(7), let first = values.row(8) {
            evidence.append(
                Finding.Evidence(
                    Forum.observation, first, "kind", "attendance: \(people) in", isShown: true))
        }
        if let visits = values.integer(9), let first = values.row(10) {
            let text = "\(visits) visit\(visits == 1 ? "" : "s") recorded"
            evidence.append(Finding.Evidence(Forum.visit, first, "item", text, isShown: true))
        }
    }

    private mutating func add(_ column: String, _ text: String) {
        evidence.append(Finding.Evidence(table, row, column, text, isShown: true))
    }

    private var isCancelled: Bool { status == ItemStatus.cancelled.rawValue }

    var finding: Finding {
        let held = enumeration(evidence.map(\.text))
        let cancelled = Finding.Evidence(table, row, "status", "status cancelled", isShown: false)
        return Finding(
            table, row, facts: [row.value, .text("cancelled"), .text("held")],
            isStanding: isCancelled && !evidence.isEmpty, .decision,
            explanation: "Someone cancelled it, and yet this was recorded: \(held). Everything is "
                + "kept, and counts.",
            shown: "held, though cancelled",
            evidence: isCancelled ? [cancelled] + evidence : evidence, choices: choices)
    }

    private var choices: [Finding.Choice] {
        let now: ItemStatus = isOver ? .done : .planned
        return [
            Finding.Choice(
                "reinstate", "reinstate",
                effect: "Its status becomes \(now.rawValue); what was recorded counts.",
                edits: isCancelled
                    ? [.set(table, row, "status", .text(now.rawValue))] : []),
            Finding.Choice(
                "held", "held despite cancellation",
                effect: "It stays cancelled on the programme; what was recorded counts.",
                edits: isCancelled
                    ? [] : [.set(table, row, "status", .text(ItemStatus.cancelled.rawValue))]),
        ]
    }
}
