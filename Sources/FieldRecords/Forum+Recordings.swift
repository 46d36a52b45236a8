public import RecordSchema
internal import Merge

extension Forum {
    /// What someone saw of a person at an item. Written once, never changed: a mistake is undone
    /// by an observation of kind `void` that names it.
    ///
    /// `seen` holds the ids, 16 bytes each, of the observations that the author was shown; the
    /// views that read it stand at ``attendance``. `reason` may be about someone's health.
    public static let observation = Table(
        7, "observation", indices: [["item", "person"], ["voids"]], isDivided: true,
        about: Table.Subject("person"),
        [
            Column(1, "item", .reference(5)),
            Column(2, "person", .reference(2)),
            Column(3, "kind", .text),
            Column(4, "method", .text),
            Column(5, "claimed_at", .time),
            Column(6, "door", .text),
            Column(7, "reason", .text, isPersonal: true),
            Column(8, "voids", .reference(7)),
            Column(9, "seen", .blob),
        ])

    /// A count of heads. The session says who counted, so that two doors add up and two people
    /// who count one zone don't.
    ///
    /// Two laptops that count in one session share the count.
    public static let tally = Table(
        8, "tally", key: ["item", "zone", "session"],
        [
            Column(1, "item", .reference(5)),
            Column(2, "zone", .text),
            Column(3, "session", .text),
            Column(4, "count", .counter),
            Column(5, "method", .text, conflictClass: .notice),
        ])

    /// A remark on a row of any table; of a person's it is personal.
    public static let note = Table(
        9, "note", indices: [["subject"]], isDivided: true, about: subject,
        [
            Column(1, "subject_table", .integer),
            Column(2, "subject", .blob),
            Column(3, "author", .text),
            Column(4, "text", .text, isPersonal: true),
        ])

    /// Where a row is about one of any table: one about a person is personal, and one about a site isn't.
    static let subject = Table.Subject("subject", in: "subject_table")

    /// A picture on a row of any table; `digest` is the SHA-256 of its bytes, which aren't in the
    /// row. One picture on two rows is two photos, so that each lies in its subject's scope.
    ///
    /// `state` is kept by the program, not by people: a difference heals by itself.
    public static let photo = Table(
        10, "photo", key: ["subject_table", "subject", "digest"], dividedBy: "subject",
        about: subject, blob: "digest",
        [
            Column(1, "subject_table", .integer),
            Column(2, "subject", .blob),
            Column(3, "digest", .blob),
            Column(4, "author", .text),
            Column(5, "caption", .text, conflictClass: .notice, isPersonal: true),
            Column(6, "state", .text, conflictClass: .silent),
        ])

    /// How people settled a conflict, for people to read: what clashed, what was chosen and why.
    public static let resolution = Table(
        11, "resolution", indices: [["subject"]], isDivided: true, about: subject,
        [
            Column(1, "subject_table", .integer),
            Column(2, "subject", .blob),
            Column(3, "subject_column", .integer),
            Column(4, "facts", .blob),
            Column(5, "value", .text, isPersonal: true),
            Column(6, "reason", .text, isPersonal: true),
            Column(7, "recorded_by", .text),
        ])

    /// An enrolled device, by the 64 hexadecimal digits of its id. The hub writes it, so that
    /// every laptop can say who made an edit, and who is no longer welcome; `scopes` are separated by
    /// single spaces. The hub itself is one too.
    public static let device = Table(
        12, "device", key: ["device"],
        [
            Column(1, "device", .text),
            Column(2, "name", .text),
            Column(3, "role", .text),
            Column(4, "scopes", .text),
            Column(5, "certificates", .set(.blob), conflictClass: .silent),
            Column(6, "cuts", .set(.blob), conflictClass: .silent),
            Column(7, "pins", .set(.blob), conflictClass: .silent),
            Column(8, "erasures", .set(.blob), conflictClass: .silent),
        ])
}
