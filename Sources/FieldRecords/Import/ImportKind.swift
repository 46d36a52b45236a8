public import RecordSchema

/// What a CSV file holds, one record for each row.
public enum ImportKind: String, Sendable, CaseIterable {
    case delegations, people, sites, programme

    /// The table of the rows. A record of ``people`` can also make a row of ``Forum/contact``.
    public var table: Table {
        switch self {
        case .delegations: Forum.delegation
        case .people: Forum.person
        case .sites: Forum.site
        case .programme: Forum.item
        }
    }

    /// The header columns that such a file may have; the first one must be there.
    public var headers: [String] {
        switch self {
        case .delegations: ["code", "contact"] + Self.perLanguage("name")
        case .people:
            [
                "badge", "name_native", "name_latin", "role", "languages", "delegation", "phone",
                "email",
            ]
        case .sites: ["code", "lat", "lon", "accuracy_m"] + Self.perLanguage("name")
        case .programme:
            ["code", "kind", "site", "planned_start", "planned_end", "status"]
                + Self.perLanguage("title")
        }
    }

    /// The header column whose text names the row.
    var keyHeader: String { headers[0] }

    private static func perLanguage(_ name: String) -> [String] {
        Forum.languages.map { "\(name)_\($0)" }
    }
}
