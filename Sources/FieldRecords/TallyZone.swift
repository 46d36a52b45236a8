public import Causality
public import Merge
public import RecordSchema

/// A zone of an item, with what each session counted there.
public struct TallyZone: Sendable {
    public struct Session: Sendable {
        public var row: RowID
        public var session: String
        /// What people call it.
        public var name: String
        public var count: Int64
    }

    public var item: RowID
    public var zone: String
    /// Those that counted anyone, in the order of their bytes.
    public var sessions: [Session]

    /// Gives the rows that ``all(in:)`` reads.
    public static let select = """
        SELECT t.item, t.zone, t.session, t.id, t.count, d.name
        FROM tally t LEFT JOIN (
          SELECT substr(device, 1, 8) AS short, min(name) AS name FROM device GROUP BY 1
        ) d ON d.short = t.session
        """

    /// The zones, in the order of (item, zone).
    ///
    /// A session whose count is back at 0 has counted nobody: someone who began in the wrong zone
    /// should not make a clash of it.
    public static func all(in rows: [[Value]]) -> [TallyZone] {
        var zones: [[Value]: TallyZone] = [:]
        for values in rows {
            guard let item = values.row(0), let zone = values.text(1), let name = values.text(2),
                let row = values.row(3), let count = values.integer(4), count != 0
            else { continue }
            zones[
                [values[0], values[1]], default: TallyZone(item: item, zone: zone, sessions: [])
            ].sessions.append(
                Session(row: row, session: name, name: values.text(5) ?? name, count: count))
        }
        return zones.values.map { zone in
            var zone = zone
            zone.sessions.sort { $0.session.utf8.lexicographicallyPrecedes($1.session.utf8) }
            return zone
        }.sorted { a, b in
            a.item != b.item
                ? a.item < b.item : a.zone.utf8.lexicographicallyPrecedes(b.zone.utf8)
        }
    }

    /// What the zone counts, both ends included, when nobody has decided anything. Two sessions
    /// count the same heads, so they are never added up.
    public var range: ClosedRange<Int64> {
        let counts = sessions.map(\.count)
        return (counts.min() ?? 0)...(counts.max() ?? 0)
    }

    /// What the zone counts.
    ///
    /// - Parameter choice: what someone decided; `nil` for nothing, or for nothing that settles.
    public func range(choice: String?) -> ClosedRange<Int64> {
        if choice == Self.addUp { return sum...sum }
        let taken = sessions.first { choice.map(Value.text) == .text(Self.choice($0)) }
        return taken.map { $0.count...$0.count } ?? range
    }

    private var sum: Int64 {
        sessions.reduce(0) { sum, session in
            let (result, overflow) = sum.addingReportingOverflow(session.count)
            return overflow ? (sum < 0 ? .min : .max) : result
        }
    }

    private static let addUp = "add up"
    private static func choice(_ session: Session) -> String { "session \(session.session)" }

    /// `nil` for a zone that one session counted.
    public var finding: Finding? {
        guard sessions.count > 1 else { return nil }
        let counts = sessions.map { "\($0.name) \($0.count)" }
        return Finding(
            Forum.tally, sessions[0].row,
            facts: [item.value, .text(zone)] + sessions.map { .text($0.session) },
            isStanding: range.lowerBound < range.upperBound, .decision,
            explanation: "\(sessions.count) sessions counted \(zone), and differ: "
                + "\(enumeration(counts)). They may have counted the same heads, so nobody adds "
                + "them up.",
            shown: TallyZone.text(of: range),
            evidence: sessions.map { session in
                Finding.Evidence(
                    Forum.tally, session.row, "count", "\(session.count) (\(session.name))",
                    isShown: false)
            },
            choices: sessions.map { session in
                Finding.Choice(
                    Self.choice(session), "\(session.count), as \(session.name) counted",
                    effect: "\(zone) counts what \(session.name) counted, now \(session.count).")
            } + [
                Finding.Choice(
                    Self.addUp, "\(sum), for they counted different people",
                    effect: "\(zone) counts the sum, now \(sum).", keepsBoth: true)
            ])
    }

    /// `79`, or `41–43` where sessions differ.
    public static func text(of range: ClosedRange<Int64>) -> String {
        range.lowerBound == range.upperBound
            ? "\(range.lowerBound)" : "\(range.lowerBound)–\(range.upperBound)"
    }
}

extension Forum {
    /// Two sessions counted one zone of one item, and differ.
    ///
    /// The key is the zone and the set of sessions: one more head opens nothing again, one more
    /// session does.
    public static let sessionsDiffer = ConflictRule(
        4, "two sessions in one zone", select: TallyZone.select
    ) { rows in TallyZone.all(in: rows).compactMap(\.finding) }
}
