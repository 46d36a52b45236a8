public import RecordSchema
internal import Merge

extension Forum {
    /// What people decided where records clash that are each right by themselves: by the rule that
    /// found it, and the digest of the facts that clash. Two laptops that decide the same clash
    /// apart write the same row, and two different choices are a conflict again.
    public static let ruling = Table(
        13, "ruling", key: ["rule", "facts"], indices: [["subject"]], isDivided: true,
        about: subject,
        [
            Column(1, "rule", .text),
            Column(2, "facts", .blob),
            Column(3, "choice", .text),
            Column(4, "reason", .text, conflictClass: .silent, isPersonal: true),
            Column(5, "decided_by", .text, conflictClass: .silent),
            Column(6, "subject_table", .integer, conflictClass: .silent),
            Column(7, "subject", .blob, conflictClass: .silent),
        ])

    /// What a program proposes and never does by itself, such as to delete a person whom a new
    /// list no longer has. `source` names the list; empty once the reason is gone.
    public static let proposal = Table(
        14, "proposal", key: ["subject_table", "subject", "kind"],
        [
            Column(1, "subject_table", .integer),
            Column(2, "subject", .blob),
            Column(3, "kind", .text),
            Column(4, "source", .text, conflictClass: .silent),
        ])

    /// That a person is to be forgotten: coordinators ask for it, and a hub decides it, once and for good. What
    /// it decided lies with the hub's own row in ``device``.
    public static let erasure = Table(
        16, "erasure", key: ["person"],
        [
            Column(1, "person", .reference(2)),
            Column(2, "reason", .text, conflictClass: .silent),
            Column(3, "asked_by", .text, conflictClass: .silent),
        ])

    /// A conflict that someone put off, by its id; it is back at that time, or when its values
    /// change.
    public static let deferral = Table(
        15, "deferral", key: ["conflict"], isDivided: true, about: subject,
        [
            Column(1, "conflict", .blob),
            Column(2, "until", .time, conflictClass: .silent),
            Column(3, "reason", .text, conflictClass: .silent, isPersonal: true),
            Column(4, "deferred_by", .text, conflictClass: .silent),
            Column(5, "subject_table", .integer, conflictClass: .silent),
            Column(6, "subject", .blob, conflictClass: .silent),
        ])
}
