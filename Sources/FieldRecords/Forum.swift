public import Causality
internal import Merge
public import RecordSchema

/// The forum: its records, declared in the engine's terms.
public enum Forum {
    /// The languages of names and titles, which are also those of the interface.
    public static let languages = ["az", "tr", "kk", "uz", "ky", "tk", "hu", "en", "ru"]

    /// What the laptops and the hub of a forum agree on.
    ///
    /// Numbers are given for good. One that is missing from a table is spoken for.
    public static let schema = Schema(
        name: "forum", version: 6,
        tables: [
            delegation, person, contact, site, item, visit, observation, tally, note, photo,
            resolution, device, ruling, proposal, deferral, erasure,
        ],
        views: [personIdentity, attendance, attendanceSummary], rules: rules,
        trust: TrustTable(
            device, certificates: "certificates", cuts: "cuts", pins: "pins", erasures: "erasures"),
        divisions: [delegation])
}

extension Forum {
    /// What every device reads.
    public static let scope = "forum"

    /// What the devices of one delegation read, beside the hub.
    public static func scope(of delegation: Code) -> String { "delegation/\(delegation)" }

    /// The row that `text` names in a table whose natural key is one badge or code; `nil` where
    /// `text` can't be one, or where the table has no such key.
    ///
    /// Spellings of the same badge or code name the same row.
    public static func rowID(in table: Table, named text: String) -> RowID? {
        guard let key = naturalKey(in: table, named: text) else { return nil }
        return schema.rowID(in: table, key: [.text(key)])
    }

    /// The badge or code as the natural key has it; `nil` as in ``rowID(in:named:)``.
    public static func naturalKey(in table: Table, named text: String) -> String? {
        switch table.naturalKey {
        case ["badge"]: Badge(text)?.text
        case ["code"]: Code(text)?.text
        default: nil
        }
    }
}
