internal import Causality
internal import ConflictInspection
internal import FieldRecords
internal import Merge
internal import RecordSchema
internal import Recording
internal import ReplicaStore

/// What a report is limited to.
public struct ReportLimits: Sendable {
    /// The code of an item; `nil` for all.
    public var item: String?
    /// The code of a delegation; `nil` for all.
    public var delegation: String?
    /// A day at the forum, as in `2025-11-26`; `nil` for all.
    public var day: String?
    /// What past point it is of, in words; `nil` for now.
    public var asOf: String?
    /// Of names and titles; where there is none in it, any that there is.
    public var language = "en"

    public init() {}

    var lines: [String] {
        [
            item.map { "item \($0)" }, delegation.map { "delegation \($0)" },
            day.map { "day \($0)" }, asOf,
        ].compactMap { $0 }
    }

    /// The options that ask for the same again.
    var options: String {
        [
            item.map { " --item \($0)" }, delegation.map { " --delegation \($0)" },
            day.map { " --day \($0)" }, language == "en" ? nil : " --language \(language)",
        ].compactMap { $0 }.joined()
    }
}

/// Delegations, people and the programme, as a report names them.
struct FieldData {
    struct Delegation {
        var code: String
        var name: String
    }

    struct Person {
        var badge: String
        var name: String
        var delegation: RowID?
    }

    struct Item {
        var code: String
        var title: String
        var kind: String
        var start: Int64?
        var end: Int64?
        var status: String
        var site: RowID?

        /// Where nothing is planned, the day of no item.
        var day: String? { start.map { Instant(milliseconds: $0).day() } }
    }

    var delegations: [RowID: Delegation] = [:]
    /// All but those that were merged into another one.
    var people: [RowID: Person] = [:]
    var items: [RowID: Item] = [:]
    var sites: [RowID: String] = [:]
    /// Only people of these are told: of others this replica may read nothing, or nothing was asked.
    var isLimitedToDelegations = false
    /// How many observations and visits lie on items that were deleted.
    var lostCount: Int64 = 0
    /// People of whom two delegations stand, and nobody has decided: which ones. Read by ``OpenDecisions``.
    var undecided: [RowID: Set<RowID>] = [:]

    /// - Throws: ``RecordError`` for an item or a delegation that there isn't; ``ReportError`` for what is no day of
    ///   the programme.
    init(_ records: Records, _ limits: ReportLimits, scopes: [String]) throws {
        let replica = records.replica
        let language = limits.language
        guard Forum.languages.contains(language) else {
            throw ReportError(
                "there are no names in “\(language)”; languages are \(Forum.languages.joined(separator: ", "))"
            )
        }
        for row in try replica.query(
            "SELECT id, code, \(Self.named("name", language)) FROM delegation")
        {
            guard let id = Self.row(row[0]) else { continue }
            delegations[id] = Delegation(code: Self.text(row[1]), name: Self.text(row[2]))
        }
        for row in try replica.query("SELECT id, code, \(Self.named("name", language)) FROM site") {
            guard let id = Self.row(row[0]) else { continue }
            sites[id] = Self.text(row[2]).isEmpty ? Self.text(row[1]) : Self.text(row[2])
        }
        for row in try replica.query(
            """
            SELECT id, badge, coalesce(name_native, name_latin), delegation FROM person
            WHERE id NOT IN (SELECT person FROM person_identity WHERE canonical <> person)
            """)
        {
            guard let id = Self.row(row[0]) else { continue }
            people[id] = Person(
                badge: Self.text(row[1]), name: Self.text(row[2]), delegation: Self.row(row[3]))
        }
        try readItems(replica, language)
        lostCount =
            try replica.query(
                """
                SELECT (SELECT count(*) FROM observation WHERE kind <> 'void' AND item NOT IN (SELECT id FROM item))
                  + (SELECT count(*) FROM visit WHERE item NOT IN (SELECT id FROM item))
                """
            ).first.flatMap { Self.integer($0[0]) } ?? 0
        try limit(records, limits, scopes)
    }

    private mutating func readItems(_ replica: Replica, _ language: String) throws {
        for row in try replica.query(
            """
            SELECT id, code, \(Self.named("title", language)), kind, planned_start, planned_end, status, site
            FROM item
            """)
        {
            guard let id = Self.row(row[0]) else { continue }
            items[id] = Item(
                code: Self.text(row[1]), title: Self.text(row[2]), kind: Self.text(row[3]),
                start: Self.integer(row[4]), end: Self.integer(row[5]), status: Self.text(row[6]),
                site: Self.row(row[7]))
        }
    }

    private mutating func limit(
        _ records: Records, _ limits: ReportLimits, _ scopes: [String]
    ) throws {
        if let day = limits.day {
            let days = Set(items.values.compactMap(\.day)).sorted()
            guard days.contains(day) else {
                throw ReportError(
                    "nothing is planned on “\(day)”; days of the programme are "
                        + days.joined(separator: ", "))
            }
            items = items.filter { $0.value.day == day }
        }
        if let code = limits.item {
            let id = try records.row(in: Forum.item, code)
            items = items.filter { $0.key == id }
        }
        if !scopes.contains(Self.anyScope) {
            let read = delegations.filter { scopes.contains("delegation/\($0.value.code)") }
            limitPeople(to: Set(read.keys))
        }
        if let code = limits.delegation {
            let id = try records.row(in: Forum.delegation, code)
            guard delegations[id] != nil else {
                throw ReportError(
                    "this replica may not read what is recorded of \(code): it has "
                        + scopes.joined(separator: ", "))
            }
            limitPeople(to: [id])
        }
    }

    private mutating func limitPeople(to kept: Set<RowID>) {
        isLimitedToDelegations = true
        delegations = delegations.filter { kept.contains($0.key) }
        people = people.filter { $0.value.delegation.map(kept.contains) ?? false }
    }

    private static let anyScope = "*"

    /// The programme's order: by time, what has none at the end.
    var itemsInOrder: [(id: RowID, item: Item)] {
        items.map { (id: $0.key, item: $0.value) }.sorted { a, b in
            (a.item.start ?? .max, a.item.code, a.id) < (b.item.start ?? .max, b.item.code, b.id)
        }
    }

    /// What people call a delegation; none, and one that was deleted, too.
    func code(ofDelegation id: RowID?) -> String {
        guard let id else { return "(none)" }
        return delegations[id]?.code ?? "(deleted)"
    }

    /// The code of a person's delegation; of one who isn't listed any more what says so.
    func group(of person: RowID) -> String {
        people[person].map { code(ofDelegation: $0.delegation) } ?? "(not listed)"
    }

    /// Codes in their order, what is none behind them.
    static func inOrder(_ codes: some Sequence<String>) -> [String] {
        codes.sorted { a, b in
            a.hasPrefix("(") == b.hasPrefix("(") ? a < b : b.hasPrefix("(")
        }
    }

    /// How many people a delegation has; a range where it isn't decided of all.
    func peopleCount(of code: String) -> ClosedRange<Int64> {
        let shown = people.filter { self.code(ofDelegation: $0.value.delegation) == code }.keys
        let leaving = shown.count { undecided[$0] != nil }
        let coming = undecided.count { person, candidates in
            people[person].map { self.code(ofDelegation: $0.delegation) != code } ?? false
                && candidates.contains { delegations[$0]?.code == code }
        }
        return Int64(shown.count - leaving)...Int64(shown.count + coming)
    }

    /// Those of whom it isn't decided whether they are of a delegation.
    func undecidedCount(of code: String) -> Int {
        undecided.values.count { $0.contains { delegations[$0]?.code == code } }
    }

    var lostNote: String? {
        lostCount == 0
            ? nil
            : "\(lostCount) recorded on items that were deleted since \(lostCount == 1 ? "is" : "are") left out."
    }

    // MARK: Reading

    /// A name in a language, else in any that there is.
    private static func named(_ prefix: String, _ language: String) -> String {
        let names = ([language] + Forum.languages.filter { $0 != language }).map {
            "\(prefix)_\($0)"
        }
        return "coalesce(\(names.map { "nullif(\($0), '')" }.joined(separator: ", ")))"
    }

    static func row(_ value: Value) -> RowID? {
        guard case .blob(let bytes) = value else { return nil }
        return Identifier(bytes).map { RowID($0) }
    }

    static func integer(_ value: Value) -> Int64? {
        if case .integer(let number) = value { number } else { nil }
    }

    static func text(_ value: Value) -> String {
        if case .text(let text) = value { text } else { "" }
    }
}

/// The conflicts that a person must decide, as a report marks what they touch.
struct OpenDecisions {
    var conflicts: [Conflict]

    /// - Parameters:
    ///   - kinds: as `karvan list` names them: `visit`, `attendance`.
    ///   - data: gets to know of whom it isn't decided where they belong.
    init(
        _ records: Records, kinds: Set<String>, _ data: inout FieldData, _ limits: ReportLimits
    ) throws {
        var filter = ConflictFilter()
        filter.conflictClass = .decision
        let item = try limits.item.map { try records.row(in: Forum.item, $0) }
        let delegation = try limits.delegation.map { try records.row(in: Forum.delegation, $0) }
        let open = try Conflicts(records.replica).page(filter).conflicts
        for conflict in open
        where conflict.subject.column == Forum.person.column(named: "delegation")
            && conflict.subject.table == Forum.person
        {
            let values = conflict.candidates.compactMap { FieldData.row($0.value ?? .null) }
            data.undecided[conflict.subject.row] = Set(values)
        }
        let data = data
        conflicts = try open.filter { conflict in
            let subject = conflict.subject
            guard kinds.contains(subject.kind) || kinds.contains(subject.table.name) else {
                return false
            }
            // To whom a person belongs changes what every part of a report counts.
            if subject.table == Forum.person {
                guard subject.column?.name == "delegation" else { return false }
                return delegation.map { data.undecided[subject.row]?.contains($0) ?? false } ?? true
            }
            let place = try records.place(of: subject.row, in: subject.table)
            if let of = place.delegation, let delegation, of != delegation { return false }
            if let of = place.item, let item, of != item { return false }
            return limits.day == nil || place.item.map { data.items[$0] != nil } ?? true
        }
    }

    /// The values of a cell between which a person must decide.
    func values(_ table: Table, _ row: RowID, _ column: String) -> ReportCell? {
        let found = conflicts.first {
            $0.subject.table == table && $0.subject.row == row && $0.subject.column?.name == column
        }
        return found.map { .unresolved(Self.text(of: $0)) }
    }

    /// Rows that were cancelled, and yet held.
    var cancelledYetHeld: Set<RowID> {
        Set(conflicts.filter { $0.rule == Forum.cancelledYetHeld.name }.map(\.subject.row))
    }

    private static func text(of conflict: Conflict) -> String {
        conflict.candidates.map { candidate in
            let who = candidate.provenance.map { " (\($0.who))" } ?? ""
            // Why somebody was excused is not for everybody who gets a report.
            let isAttendance = conflict.subject.table == Forum.observation
            let text = candidate.textForPeople
            return (isAttendance ? String(text.prefix { $0.isLetter }) : text) + who
        }.joined(separator: " or ")
    }

    var section: ReportSection {
        var section = ReportSection(
            "unresolved", "Unresolved: a person must decide", emptyText: "Nothing is unresolved.",
            [
                ReportColumn("conflict", "Conflict"), ReportColumn("about", "About"),
                ReportColumn("shown", "Shown meanwhile"),
                ReportColumn("values", "What was recorded"),
                ReportColumn("since", "Since", .time), ReportColumn("next", "What to do"),
            ])
        section.rows = conflicts.map { conflict in
            [
                .text(conflict.shortID), .text(conflict.subjectText), .text(conflict.shown),
                .text(Self.text(of: conflict)), .time(optional: conflict.sinceMilliseconds),
                .text("karvan conflicts show \(conflict.shortID)"),
            ]
        }
        return section
    }
}
