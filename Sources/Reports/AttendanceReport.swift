internal import Causality
internal import FieldRecords
internal import Merge
internal import RecordSchema
public import Recording
internal import ReplicaStore

extension Report {
    /// Who was where: by item, by item and delegation, by delegation and by day; person by person.
    ///
    /// Everyone who isn't merged into another person is expected at every item, and counts for the delegation that
    /// they have now. Who came has attended, whether they have left or not.
    public static func attendance(
        _ records: Records, _ limits: ReportLimits = ReportLimits(), scopes: [String]
    ) throws -> Report {
        try records.replica.read {
            var data = try FieldData(records, limits, scopes: scopes)
            let decisions = try OpenDecisions(
                records, kinds: ["attendance", "observation", "tally", "item", "person"], &data,
                limits)
            let counting = try AttendanceCount(records, data, decisions)
            return Report(
                title: "Attendance", limits: limits.lines,
                sections: [
                    try counting.byItem(records, limits), counting.byItemAndDelegation,
                    counting.byDelegation, counting.byDay, counting.byPerson, decisions.section,
                ], basis: try ReportBasis(records, scopes: scopes), options: limits.options)
        }
    }
}

/// How attendance stands, counted in several ways.
struct AttendanceCount {
    struct Presence {
        var item: RowID
        var person: RowID
        var state: String?
        var firstIn: Int64?
        var lastOut: Int64?
        var observations: Int64
        /// Someone was excused, and seen, and nobody has decided.
        var isUnresolved: Bool
    }

    struct Counts {
        var isIn: Int64 = 0
        var isOut: Int64 = 0
        var absent: Int64 = 0
        var excused: Int64 = 0
        var unresolvedIn: Int64 = 0
        var unresolvedOut: Int64 = 0
        /// Of those expected who were observed.
        var known: Int64 = 0

        var unresolved: Int64 { unresolvedIn + unresolvedOut }
        /// Who is excused and was seen may have been there, or not.
        var attended: ClosedRange<Int64> { isIn + isOut - unresolved...isIn + isOut }
        var inThere: ClosedRange<Int64> { isIn - unresolvedIn...isIn }
        var left: ClosedRange<Int64> { isOut - unresolvedOut...isOut }
        var excusedRange: ClosedRange<Int64> { excused...excused + unresolved }

        mutating func add(_ presence: Presence, isExpected: Bool) {
            guard let state = presence.state.flatMap(ObservationKind.init) else { return }
            switch state {
            case .in:
                isIn += 1
                if presence.isUnresolved { unresolvedIn += 1 }
            case .out:
                isOut += 1
                if presence.isUnresolved { unresolvedOut += 1 }
            case .absent: absent += 1
            case .excused: excused += 1
            case .void: return
            }
            if isExpected { known += 1 }
        }
    }

    let data: FieldData
    let presences: [Presence]
    private let cancelledYetHeld: Set<RowID>

    init(_ records: Records, _ data: FieldData, _ decisions: OpenDecisions) throws {
        self.data = data
        cancelledYetHeld = decisions.cancelledYetHeld
        let unresolved = try Self.unresolved(records)
        presences = try records.replica.query(
            "SELECT item, person, state, first_in, last_out, observations FROM attendance"
        ).compactMap { row in
            guard let item = FieldData.row(row[0]), let person = FieldData.row(row[1]),
                data.items[item] != nil
            else { return nil }
            // With a limit to a delegation only its people are there.
            guard data.people[person] != nil || !data.isLimitedToDelegations else { return nil }
            let state = FieldData.text(row[2])
            return Presence(
                item: item, person: person, state: state.isEmpty ? nil : state,
                firstIn: FieldData.integer(row[3]), lastOut: FieldData.integer(row[4]),
                observations: FieldData.integer(row[5]) ?? 0,
                isUnresolved: unresolved.contains([item, person]))
        }
    }

    /// Items and people of whom a person must decide whether they were there.
    static func unresolved(_ records: Records) throws -> Set<[RowID]> {
        let open = try records.findings(of: [Forum.excusedYetPresent]).filter(\.isOpen)
        guard !open.isEmpty else { return [] }
        let rows = try records.replica.query(
            """
            SELECT o.id, o.item, coalesce(i.canonical, o.person) FROM observation o
            LEFT JOIN person_identity i ON i.person = o.person WHERE o.kind = 'excused'
            """)
        var places: [RowID: [RowID]] = [:]
        for row in rows {
            guard let id = FieldData.row(row[0]), let item = FieldData.row(row[1]),
                let person = FieldData.row(row[2])
            else { continue }
            places[id] = [item, person]
        }
        return Set(
            open.compactMap { FieldData.row($0.finding.facts.first ?? .null) }.compactMap {
                places[$0]
            })
    }

    // MARK: Tables

    private static let countColumns = [
        ReportColumn("expected", "Expected", .number),
        ReportColumn("attended", "Attended", .number),
        ReportColumn("in", "In", .number), ReportColumn("out", "Left", .number),
        ReportColumn("excused", "Excused", .number), ReportColumn("absent", "Absent", .number),
        ReportColumn("unknown", "Unknown", .number),
        ReportColumn("unresolved", "Unresolved", .number),
    ]

    private static let chartSeries = [
        ReportChart.Series(column: "attended", colour: 0x2f7d4f),
        ReportChart.Series(column: "excused", colour: 0xd9a521),
        ReportChart.Series(column: "absent", colour: 0xb5482f),
        ReportChart.Series(column: "unknown", colour: 0xc9d1d6),
    ]

    private func cells(_ counts: Counts, expected: ClosedRange<Int64>) -> [ReportCell] {
        [
            .count(expected), .count(counts.attended), .count(counts.inThere), .count(counts.left),
            .count(counts.excusedRange), .number(counts.absent),
            .number(max(0, expected.upperBound - counts.known)),
            .open(count: Int(counts.unresolved)),
        ]
    }

    func byItem(_ records: Records, _ limits: ReportLimits) throws -> ReportSection {
        // A tally counts heads, not people of one delegation.
        let hasTallies = !data.isLimitedToDelegations
        var totals: [String: ClosedRange<Int64>] = [:]
        if hasTallies {
            for total in try records.tallyTotals(item: nil) where total.zone == nil {
                totals[total.item] = total.range
            }
        }
        var counts: [RowID: Counts] = [:]
        for presence in presences {
            counts[presence.item, default: Counts()].add(
                presence, isExpected: data.people[presence.person] != nil)
        }
        var section = ReportSection(
            "item", "By item", emptyText: "There are no items.",
            [
                ReportColumn("item", "Item"), ReportColumn("title", "Title"),
                ReportColumn("day", "Day"),
                ReportColumn("planned_start", "Planned", .time), ReportColumn("status", "Status"),
            ] + Self.countColumns
                + (hasTallies ? [ReportColumn("tally", "Heads counted", .number)] : []),
            chart: ReportChart(
                title: "Attendance by item", names: "item", series: Self.chartSeries),
            note: data.lostNote)
        let all = Int64(data.people.count)
        section.rows = data.itemsInOrder.map { id, item in
            let tally: [ReportCell] =
                hasTallies ? [totals[item.code].map(ReportCell.count) ?? .empty] : []
            return [
                .text(item.code), .text(item.title), .text(optional: item.day),
                .time(optional: item.start),
                cancelledYetHeld.contains(id)
                    ? .unresolved("cancelled, and yet held") : .text(item.status),
            ] + cells(counts[id] ?? Counts(), expected: all...all) + tally
        }
        return section
    }

    /// The delegations that anybody is of.
    private var codes: Set<String> { Set(data.people.keys.map(data.group(of:))) }

    private func peopleCount(of code: String) -> ClosedRange<Int64> { data.peopleCount(of: code) }

    var byItemAndDelegation: ReportSection {
        var counts: [RowID: [String: Counts]] = [:]
        for presence in presences {
            counts[presence.item, default: [:]][data.group(of: presence.person), default: Counts()]
                .add(presence, isExpected: data.people[presence.person] != nil)
        }
        let codes = codes
        let people = Dictionary(uniqueKeysWithValues: codes.map { ($0, peopleCount(of: $0)) })
        var section = ReportSection(
            "item-delegation", "By item and delegation",
            emptyText: "Nobody was recorded at any item.",
            [
                ReportColumn("item", "Item"), ReportColumn("title", "Title"),
                ReportColumn("delegation", "Delegation"),
            ] + Self.countColumns,
            note: "Items at which nobody was recorded are left out.")
        for (id, item) in data.itemsInOrder {
            guard let ofItem = counts[id] else { continue }
            for code in FieldData.inOrder(codes.union(ofItem.keys)) {
                section.rows.append(
                    [.text(item.code), .text(item.title), .text(code)]
                        + cells(ofItem[code] ?? Counts(), expected: people[code] ?? 0...0))
            }
        }
        return section
    }

    var byDelegation: ReportSection {
        var counts: [String: Counts] = [:]
        var (seen, surely): ([String: Set<RowID>], [String: Set<RowID>]) = ([:], [:])
        for presence in presences {
            let code = data.group(of: presence.person)
            counts[code, default: Counts()].add(presence, isExpected: true)
            guard ["in", "out"].contains(presence.state) else { continue }
            seen[code, default: []].insert(presence.person)
            if !presence.isUnresolved { surely[code, default: []].insert(presence.person) }
        }
        var section = ReportSection(
            "delegation", "By delegation", emptyText: "There are no people.",
            [
                ReportColumn("delegation", "Delegation"), ReportColumn("name", "Name"),
                ReportColumn("people", "People", .number),
                ReportColumn("seen", "Came to something", .number),
                ReportColumn("not_seen", "Not seen yet", .number),
                ReportColumn("attendances", "Attendances", .number),
                ReportColumn("excuses", "Excuses", .number),
                ReportColumn("absences", "Absences", .number),
                ReportColumn("unresolved", "Unresolved", .number),
            ],
            chart: ReportChart(
                title: "People seen, by delegation", names: "delegation",
                series: [
                    ReportChart.Series(column: "seen", colour: 0x2f7d4f),
                    ReportChart.Series(column: "not_seen", colour: 0xc9d1d6),
                ]))
        let names = Dictionary(
            data.delegations.values.map { ($0.code, $0.name) },
            uniquingKeysWith: { first, _ in first })
        for code in FieldData.inOrder(codes.union(counts.keys)) {
            let count = counts[code] ?? Counts()
            let all = peopleCount(of: code)
            let came = Int64(surely[code]?.count ?? 0)...Int64(seen[code]?.count ?? 0)
            let missing =
                max(0, all.lowerBound - came.upperBound)...max(0, all.upperBound - came.lowerBound)
            section.rows.append([
                .text(code), .text(optional: names[code]), .count(all), .count(came),
                .count(missing), .count(count.attended), .count(count.excusedRange),
                .number(count.absent),
                .open(count: Int(count.unresolved) + data.undecidedCount(of: code)),
            ])
        }
        return section
    }

    var byDay: ReportSection {
        var counts: [String: Counts] = [:]
        var (seen, surely): ([String: Set<RowID>], [String: Set<RowID>]) = ([:], [:])
        var items: [String: Int64] = [:]
        func day(_ item: RowID) -> String { data.items[item]?.day ?? "(no day)" }
        for id in data.items.keys { items[day(id), default: 0] += 1 }
        for presence in presences {
            counts[day(presence.item), default: Counts()].add(presence, isExpected: true)
            guard ["in", "out"].contains(presence.state) else { continue }
            seen[day(presence.item), default: []].insert(presence.person)
            if !presence.isUnresolved {
                surely[day(presence.item), default: []].insert(presence.person)
            }
        }
        var section = ReportSection(
            "day", "By day", emptyText: "There are no items.",
            [
                ReportColumn("day", "Day"), ReportColumn("items", "Items", .number),
                ReportColumn("seen", "People who came", .number),
                ReportColumn("attendances", "Attendances", .number),
                ReportColumn("excuses", "Excuses", .number),
                ReportColumn("absences", "Absences", .number),
                ReportColumn("unresolved", "Unresolved", .number),
            ])
        for day in FieldData.inOrder(items.keys) {
            let count = counts[day] ?? Counts()
            let came = Int64(surely[day]?.count ?? 0)...Int64(seen[day]?.count ?? 0)
            section.rows.append([
                .text(day), .number(items[day] ?? 0), .count(came), .count(count.attended),
                .count(count.excusedRange), .number(count.absent),
                .open(count: Int(count.unresolved)),
            ])
        }
        return section
    }

    var byPerson: ReportSection {
        var section = ReportSection(
            "person", "Person by person", emptyText: "Nobody was recorded at any item.",
            [
                ReportColumn("item", "Item"), ReportColumn("badge", "Badge"),
                ReportColumn("name", "Name"), ReportColumn("delegation", "Delegation"),
                ReportColumn("state", "State"), ReportColumn("first_in", "First in", .time),
                ReportColumn("last_out", "Last out", .time),
                ReportColumn("observations", "Observations", .number),
            ])
        let byItem = Dictionary(grouping: presences, by: \.item)
        for (id, item) in data.itemsInOrder {
            let found = (byItem[id] ?? []).map { (presence: $0, person: data.people[$0.person]) }
            for (presence, person) in found.sorted(by: {
                ($0.person?.badge ?? "", $0.presence.person) < (
                    $1.person?.badge ?? "", $1.presence.person
                )
            }) {
                let state = presence.state ?? "taken back"
                section.rows.append([
                    .text(item.code),
                    .text(
                        person.map { $0.badge.isEmpty ? "(walk-in)" : $0.badge } ?? "(not listed)"),
                    .text(person?.name ?? ""), .text(data.group(of: presence.person)),
                    presence.isUnresolved ? .unresolved("\(state) or excused") : .text(state),
                    .time(optional: presence.firstIn), .time(optional: presence.lastOut),
                    .number(presence.observations),
                ])
            }
        }
        return section
    }
}
