public import RecordSchema
internal import Merge

extension Forum {
    /// Who comes together. The code isn't ISO's: Northern Cyprus has none there.
    public static let delegation = Table(
        1, "delegation", key: ["code"],
        [
            Column(1, "code", .text),
            Column(2, "contact", .text, conflictClass: .notice),
        ] + perLanguage("name", from: 11))

    /// A participant. A walk-in has no badge, and an id from the changeset that adds it.
    public static let person = Table(
        2, "person", key: ["badge"], indices: [["delegation"]],
        [
            Column(1, "badge", .text),
            Column(2, "name_native", .text, isPersonal: true),
            Column(3, "name_latin", .text, isPersonal: true),
            Column(4, "role", .text),
            Column(5, "languages", .set(.text), conflictClass: .silent),
            Column(6, "delegation", .reference(1)),
            Column(7, "merged_into", .reference(2)),
        ])

    /// How to reach a person: apart from ``person``, because only their delegation may read it.
    public static let contact = Table(
        3, "contact", key: ["person", "delegation"], dividedBy: "delegation",
        about: Table.Subject("person"),
        [
            Column(1, "person", .reference(2)),
            Column(2, "delegation", .reference(1)),
            Column(3, "phone", .text, isPersonal: true),
            Column(4, "email", .text, isPersonal: true),
            Column(5, "notes", .text, conflictClass: .notice, isPersonal: true),
        ])

    /// A place that people visit.
    public static let site = Table(
        4, "site", key: ["code"],
        [
            Column(1, "code", .text),
            Column(
                2, "position",
                .composite([.init("lat", .real), .init("lon", .real), .init("accuracy_m", .real)]),
                conflictClass: .notice),
        ] + perLanguage("name", from: 11))

    /// A part of the programme: a panel, a ceremony, a visit, a cultural evening.
    public static let item = Table(
        5, "item", key: ["code"],
        [
            Column(1, "code", .text),
            Column(2, "kind", .text),
            Column(3, "site", .reference(4)),
            Column(4, "planned_start", .time),
            Column(5, "planned_end", .time),
            Column(6, "status", .text),
        ] + perLanguage("title", from: 11))

    /// One delegation's part in an item.
    public static let visit = Table(
        6, "visit", key: ["item", "delegation"], indices: [["item"]], dividedBy: "delegation",
        [
            Column(1, "item", .reference(5)),
            Column(2, "delegation", .reference(1)),
            Column(3, "status", .text),
            Column(
                4, "actual_arrival", .time,
                policy: .earliest(within: arrivalToleranceMilliseconds)),
            Column(
                5, "actual_departure", .time,
                policy: .earliest(within: arrivalToleranceMilliseconds)),
            Column(6, "outcome", .text),
            Column(7, "headcount", .integer),
        ])

    /// Two people who note one arrival may differ by as much, both ends included, before someone
    /// has to decide.
    public static let arrivalToleranceMilliseconds: Int64 = 600_000

    /// Names or titles: one register for each language, numbered in the order of ``languages``.
    ///
    /// Two spellings are worth a notice and no more: neither changes who comes or where to.
    private static func perLanguage(_ name: String, from first: UInt32) -> [Column] {
        languages.enumerated().map { index, language in
            Column(first + UInt32(index), "\(name)_\(language)", .text, conflictClass: .notice)
        }
    }
}
