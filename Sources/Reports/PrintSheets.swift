internal import Causality
internal import FieldRecords
internal import Merge
internal import QRCodes
internal import RecordSchema
public import Recording
internal import ReplicaStore

/// Pages to print before a day without a screen: sheets to tick off at a door, and badges.
public enum PrintSheets {
    /// Lists of the people of each delegation for an item, with room to tick off and to write a time; what is recorded
    /// of them already stands beside the name. Each delegation begins a page.
    ///
    /// - Throws: ``RecordError`` for an item or a delegation that there isn't.
    public static func rollCall(
        _ records: Records, item: String, _ limits: ReportLimits, scopes: [String]
    ) throws -> String {
        try records.replica.read {
            var limits = limits
            limits.item = item
            let data = try FieldData(records, limits, scopes: scopes)
            guard let (itemID, entry) = data.itemsInOrder.first.map({ ($0.id, $0.item) }) else {
                throw ReportError("there is no item \(item)")
            }
            let states = try states(records, itemID)
            let heading = entry.title.isEmpty ? entry.code : "\(entry.code) \(entry.title)"
            let place = entry.site.flatMap { data.sites[$0] }
            let planned = entry.start.map { Instant(milliseconds: $0).withoutOffset }
            let basis = try ReportBasis(records, scopes: scopes)
            var body = ""
            let groups = Dictionary(grouping: data.people) { $0.value.delegation }
            for (delegation, people) in inOrder(groups, data) {
                let name = delegation.flatMap { data.delegations[$0]?.name } ?? ""
                body +=
                    "<section><h1>\(HTML.text("\(data.code(ofDelegation: delegation)) \(name)"))</h1>\n"
                body += "<p class=\"state\">\(HTML.text(heading))</p>\n"
                body +=
                    "<p class=\"quiet\">"
                    + HTML.text(
                        ([place, planned.map { "planned \($0)" }].compactMap { $0 }
                            + ["\(people.count) people", basis.completeText]).joined(
                                separator: " · "))
                    + "</p>\n<table><thead><tr><th>Badge</th><th>Name</th><th>In</th><th>Time</th>"
                    + "<th>Absent</th><th>Excused, why</th><th>Recorded</th></tr></thead><tbody>\n"
                for (id, person) in people.sorted(by: {
                    ($0.value.badge, $0.key) < ($1.value.badge, $1.key)
                }) {
                    body +=
                        "<tr><td class=\"time\">\(HTML.text(person.badge.isEmpty ? "walk-in" : person.badge))</td>"
                        + "<td>\(HTML.text(person.name))</td><td class=\"box\">☐</td><td class=\"line\"></td>"
                        + "<td class=\"box\">☐</td><td class=\"line\"></td>"
                        + "<td class=\"quiet\">\(HTML.text(states[id] ?? ""))</td></tr>\n"
                }
                body +=
                    "</tbody></table>\n<p class=\"quiet sign\">Taken by ______________________ at ____________ · "
                    + "enter it with: karvan attend \(HTML.text(entry.code)) BADGE… --at TIME</p></section>\n"
            }
            if groups.isEmpty { body += "<p>There are no people.</p>" }
            return HTML.page(
                title: "Roll call \(heading)",
                style: """
                    section { break-before: page } section:first-of-type { break-before: auto }
                    .box { text-align: center; font-size: 1.3em; line-height: 1 } .line { min-width: 7em }
                    td { height: 1.7em } .sign { margin-top: 1.2em }
                    """, landscape: false, body)
        }
    }

    /// Badges to cut out, ten on a page, each with a QR code of what a scanner at a door types.
    ///
    /// - Parameter badges: of these alone; empty for all.
    /// - Throws: ``RecordError`` for a badge that nobody has.
    public static func badges(
        _ records: Records, badges: [String], _ limits: ReportLimits, scopes: [String]
    ) throws -> String {
        try records.replica.read {
            let data = try FieldData(records, limits, scopes: scopes)
            var chosen: Set<RowID> = []
            for badge in badges {
                let id = try records.canonical(of: try records.row(in: Forum.person, badge))
                guard let person = data.people[id] else {
                    throw ReportError("\(badge) is of another delegation than asked for")
                }
                guard !person.badge.isEmpty, !person.name.isEmpty else {
                    let lacks = person.badge.isEmpty ? "badge" : "name"
                    throw ReportError("\(badge) has no \(lacks): nothing can be printed")
                }
                chosen.insert(id)
            }
            // Who was erased has no name to print.
            let people = data.people.filter {
                chosen.isEmpty
                    ? !$0.value.badge.isEmpty && !$0.value.name.isEmpty : chosen.contains($0.key)
            }.sorted { a, b in
                (data.code(ofDelegation: a.value.delegation), a.value.badge, a.key)
                    < (data.code(ofDelegation: b.value.delegation), b.value.badge, b.key)
            }
            guard !people.isEmpty else {
                throw ReportError("there is nobody with a badge to print")
            }
            var body = ""
            for start in stride(from: 0, to: people.count, by: 2) {
                let row = try people[start..<min(start + 2, people.count)].map {
                    try badge($0.value, data)
                }
                body += "<div class=\"row\">\(row.joined())</div>\n"
            }
            return HTML.page(
                title: "Badges",
                style: """
                    .row { break-inside: avoid; white-space: nowrap; height: 52mm; font-size: 0 }
                    .badge { display: inline-block; box-sizing: border-box; width: 90mm; height: 52mm;
                      border: 1px dashed #9aa6aa; overflow: hidden; vertical-align: top; white-space: normal }
                    .badge svg { float: left; margin: 11mm 3mm 0 4mm } .badge p { margin: 0 3mm 1.5mm 0; font-size: 9.5pt }
                    .badge .name { margin-top: 14mm; font-size: 13pt; line-height: 1.15; font-weight: 700;
                      overflow-wrap: anywhere }
                    .badge .id { font: 700 12pt "DejaVu Sans Mono", monospace }
                    """, landscape: false, body)
        }
    }

    private static func badge(_ person: FieldData.Person, _ data: FieldData) throws -> String {
        guard let code = QRCode(person.badge) else {
            throw ReportError(
                "no code can be drawn for “\(person.badge)”: install libqrencode 4, or shorten the badge"
            )
        }
        let delegation = person.delegation.flatMap { data.delegations[$0] }
        let whose = delegation.map { $0.name.isEmpty ? $0.code : $0.name } ?? ""
        return
            "<div class=\"badge\">\(code.svg(millimetres: 30))<p class=\"name\">\(HTML.text(person.name))</p>"
            + "<p>\(HTML.text(whose))</p><p class=\"id\">\(HTML.text(person.badge))</p></div>"
    }

    /// What is recorded of people at an item, in a word.
    private static func states(_ records: Records, _ item: RowID) throws -> [RowID: String] {
        var states: [RowID: String] = [:]
        let open = try AttendanceCount.unresolved(records)
        for row in try records.replica.query(
            "SELECT person, state, first_in FROM attendance WHERE item = ?",
            .blob(item.identifier.bytes))
        {
            guard let person = FieldData.row(row[0]) else { continue }
            let doubt = open.contains([item, person]) ? " or excused: ask" : ""
            let since =
                FieldData.integer(row[2]).map {
                    " \(Instant(milliseconds: $0).withoutOffset.suffix(8))"
                } ?? ""
            states[person] = FieldData.text(row[1]) + since + doubt
        }
        return states
    }

    private static func inOrder(
        _ groups: [RowID?: [(key: RowID, value: FieldData.Person)]], _ data: FieldData
    ) -> [(RowID?, [(key: RowID, value: FieldData.Person)])] {
        groups.sorted { a, b in
            guard let first = a.key, let second = b.key else { return b.key == nil && a.key != nil }
            return (data.code(ofDelegation: first), first) < (
                data.code(ofDelegation: second), second
            )
        }.map { ($0.key, $0.value) }
    }
}
