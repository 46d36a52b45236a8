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
    /// Of names and titles; where there is none in it, any that there is.
    public var language = "en"

    public init() {}

    var lines: [String] {
        [
            item.map { "item \($0)" }, delegation.map { "delegation \($0)" },
            day.map { "day \($0)" },
        ].compactMap { $0 }
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
    var isLimitedToDelegation: Bool

    /// - Throws: ``RecordError`` for an item or a delegation that there isn't; ``ReportError`` for what is no day of
    ///   the programme.
    init(_ records: Records, _ limits: ReportLimits) throws {
        isLimitedToDelegation = limits.delegation != nil
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
        try limit(records, limits)
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

    private mutating func limit(_ records: Records, _ limits: ReportLimits) throws {
        if let code = limits.item {
            let id = try records.row(in: Forum.item, code)
            items = items.filter { $0.key == id }
        }
        if let code = limits.delegation {
            let id = try records.row(in: Forum.delegation, code)
            delegations = delegations.filter { $0.key == id }
            people = people.filter { $0.value.delegation == id }
        }
        if let day = limits.day {
            let days = Set(items.values.compactMap(\.day)).sorted()
            guard days.contains(day) else {
                throw ReportError(
                    "nothing is planned on “\(day)”; days of the programme are \(days.joined(separator: ", "))"
                )
            }
            items = items.filter { $0.value.day == day }
        }
    }

    /// The programme's order: by time, what has none at the end.
    var itemsInOrder: [(id: RowID, item: Item)] {
        items.map { (id: $0.key, item: $0.value) }.sorted { a, b in
            (a.item.start ?? .max, a.item.code, a.id) < (b.item.start ?? .max, b.item.code, b.id)
        }
    }

    var delegationsInOrder: [(id: RowID, delegation: Delegation)] {
        delegations.map { (id: $0.key, delegation: $0.value) }.sorted { a, b in
            (a.delegation.code, a.id) < (b.delegation.code, b.id)
        }
    }

    /// What people call a delegation; those of none too.
    func code(ofDelegation id: RowID?) -> String {
        id.flatMap { delegations[$0]?.code } ?? "(none)"
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

    /// - Parameter kinds: as `karvan list` names them: `visit`, `attendance`.
    init(_ records: Records, kinds: Set<String>, _ data: FieldData, _ limits: ReportLimits) throws {
        var filter = ConflictFilter()
        filter.conflictClass = .decision
        if let item = limits.item { filter.item = try records.row(in: Forum.item, item) }
        if let delegation = limits.delegation {
            filter.delegation = try records.row(in: Forum.delegation, delegation)
        }
        conflicts = try Conflicts(records.replica).page(filter).conflicts.filter { conflict in
            guard
                kinds.contains(conflict.subject.kind) || kinds.contains(conflict.subject.table.name)
            else { return false }
            guard limits.day != nil else { return true }
            let place = try records.place(of: conflict.subject.row, in: conflict.subject.table)
            return place.item.map { data.items[$0] != nil } ?? true
        }
    }

    /// The values of a cell between which a person must decide.
    func values(_ table: Table, _ row: RowID, _ column: String) -> ReportCell? {
        let found = conflicts.first {
            $0.subject.table == table && $0.subject.row == row && $0.subject.column?.name == column
        }
        return found.map { .unresolved(Self.text(of: $0)) }
    }

    private static func text(of conflict: Conflict) -> String {
        conflict.candidates.map { candidate in
            let who = candidate.provenance.map { " (\($0.who))" } ?? ""
            return candidate.textForPeople + who
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
