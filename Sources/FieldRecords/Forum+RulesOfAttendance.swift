internal import Causality
internal import Merge
public import RecordSchema

extension Forum {
    /// Someone was excused, and someone else, who had not seen that, scanned them.
    ///
    /// The key is the excuses that stand: one more scan opens nothing again, one more excuse does.
    public static let excusedYetPresent = ConflictRule(
        2, "excused vs present", select: denials
    ) { rows in
        Denial.all(in: rows).compactMap { $0.finding(denying: .excused, .decision) }
    }

    /// A roll call missed someone who was scanned. Nobody has to decide.
    public static let absentYetPresent = ConflictRule(
        3, "roll call vs scan", select: denials
    ) { rows in
        Denial.all(in: rows).compactMap { $0.finding(denying: .absent, .notice) }
    }

    /// What stands, of each (item, person) of whom some observation says present and another one
    /// denies it; with the voids that came of an earlier decision on it.
    ///
    /// Only who was ever denied to be there is looked at, which mostly are few of those scanned.
    private static let denials = """
        WITH RECURSIVE
          denied AS MATERIALIZED (
            SELECT DISTINCT o.item, coalesce(i.canonical, o.person) AS person
            FROM observation o LEFT JOIN person_identity i ON i.person = o.person
            WHERE o.kind IN ('absent', 'excused')
          ),
          chosen AS MATERIALIZED (
            SELECT o.* FROM denied d JOIN observation o ON o.item = d.item AND o.person = d.person
            UNION ALL
            SELECT o.* FROM denied d
            JOIN person_identity s ON s.canonical = d.person AND s.person <> s.canonical
            JOIN observation o ON o.item = d.item AND o.person = s.person
          ),
          \(standingClauses(of: "chosen").dropFirst("WITH RECURSIVE".count)),
          stated AS MATERIALIZED (
            SELECT f.id, f.item, f.person, f.kind FROM fact f WHERE f.stands
            UNION ALL
            SELECT v.id, v.item, coalesce(i.canonical, v.person), v.kind
            FROM chosen v JOIN observation o ON o.id = v.voids
            LEFT JOIN identity i ON i.person = v.person
            WHERE v.kind = 'void' AND v.method = 'decision' AND o.kind IN ('in', 'out')
          )
        SELECT s.item, s.person, s.id, s.kind, o.person, o.claimed_at, o.method, o.door, o.reason
        FROM (
          SELECT item, person FROM stated GROUP BY item, person
          HAVING max(kind IN ('in', 'out', 'void')) AND max(kind IN ('absent', 'excused'))
        ) c
        JOIN stated s ON s.item = c.item AND s.person = c.person
        JOIN observation o ON o.id = s.id
        """
}

/// One person at one item, of whom some say present and others deny it.
private struct Denial {
    struct Statement {
        var id: RowID
        var kind: ObservationKind
        /// Whom the observation names: someone merged into the person, perhaps.
        var person: RowID
        var values: [Value]
    }

    var item: RowID
    /// In the order of their ids.
    var statements: [Statement]

    static func all(in rows: [[Value]]) -> [Denial] {
        var groups: [[RowID]: Denial] = [:]
        for values in rows {
            guard let item = values.row(0), let person = values.row(1), let id = values.row(2),
                let kind = values.text(3).flatMap(ObservationKind.init), let named = values.row(4)
            else { continue }
            groups[[item, person], default: Denial(item: item, statements: [])].statements
                .append(Statement(id: id, kind: kind, person: named, values: values))
        }
        return groups.sorted { $0.key.lexicographicallyPrecedes($1.key) }.map { entry in
            Denial(
                item: entry.value.item, statements: entry.value.statements.sorted { $0.id < $1.id })
        }
    }

    private func those(_ kinds: ObservationKind...) -> [Statement] {
        statements.filter { kinds.contains($0.kind) }
    }

    /// - Returns: `nil` where nothing of that kind stands, or a stronger denial does.
    func finding(denying kind: ObservationKind, _ conflictClass: ConflictClass) -> Finding? {
        let denials = those(kind)
        guard let first = denials.first, kind == .excused || those(.excused).isEmpty else {
            return nil
        }
        let present = those(.in, .out)
        return Finding(
            Forum.observation, first.id, facts: denials.map(\.id.value),
            isStanding: !present.isEmpty, conflictClass, explanation: explanation(kind),
            shown: present.isEmpty ? kind.rawValue : "present",
            evidence: (present + denials).map { statement in
                Finding.Evidence(
                    Forum.observation, statement.id, "kind", statement.text,
                    isShown: statement.kind == .in || statement.kind == .out)
            },
            choices: [presentChoice(kind), denialChoice(kind)])
    }

    private func explanation(_ kind: ObservationKind) -> String {
        kind == .excused
            ? "One person recorded an excuse, another one saw them there, and neither had seen the "
                + "other's record. They count as present until someone decides."
            : "A roll call has them absent, and someone saw them there. They count as present; "
                + "nobody has to decide."
    }

    private func presentChoice(_ kind: ObservationKind) -> Finding.Choice {
        let voids = those(.in, .out).isEmpty ? those(.void) : []
        return Finding.Choice(
            "present", "present",
            effect: kind == .excused
                ? "They count as present; the excuse stays on record."
                : "They count as present; the roll call stays on record.",
            edits: voids.map { .delete(Forum.observation, $0.id) })
    }

    private func denialChoice(_ kind: ObservationKind) -> Finding.Choice {
        let scans = those(.in, .out)
        return Finding.Choice(
            kind.rawValue, kind.rawValue,
            effect: "They count as \(kind.rawValue): "
                + (scans.count == 1
                    ? "the record of them is taken back."
                    : "the \(scans.count) records of them are taken back."),
            edits: scans.map { .insert(Forum.observation, void($0), besides: $0.id) })
    }

    private func void(_ statement: Statement) -> [Value?] {
        Forum.observation.columns.map { column in
            switch column.name {
            case "item": item.value
            case "person": statement.person.value
            case "kind": .text(ObservationKind.void.rawValue)
            case "method": .text(ObservationMethod.decision.rawValue)
            case "voids": statement.id.value
            default: nil
            }
        }
    }
}

extension Denial.Statement {
    /// `in 2025-11-25T09:58:00+04:00, badge, door A`
    fileprivate var text: String {
        let reason = values.text(8).map { ": \($0)" } ?? ""
        let time = values.integer(5).map { " \(Instant(milliseconds: $0).formatted())" } ?? ""
        let door = values.text(7).map { "door \($0)" }
        let details = [values.text(6), door].compactMap { $0 }.map { ", \($0)" }.joined()
        return kind.rawValue + reason + time + details
    }
}
