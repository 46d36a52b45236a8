internal import Causality
internal import Merge
public import RecordSchema

extension Forum {
    /// People of one name, of whom at least one has no badge: a walk-in who is on the list already,
    /// perhaps, or whom two doors added. Nobody is merged by a program.
    ///
    /// The key is the set of people, those merged already among them: a further one asks anew.
    public static let walkInTwins = ConflictRule(
        5, "walk-in twins",
        select: """
            SELECT p.id, p.badge, p.name_native, p.name_latin, i.canonical
            FROM person p LEFT JOIN person_identity i ON i.person = p.id
            """
    ) { rows in Namesakes.all(in: rows).map(\.finding) }

    /// A new version of a list no longer has someone. The list is part of the key: the next one
    /// asks anew.
    public static let missingFromList = ConflictRule(
        6, "missing from list",
        select: """
            SELECT r.id, r.source, r.subject, p.id, p.badge,
              coalesce(p.name_native, p.name_latin)
            FROM proposal r LEFT JOIN person p ON p.id = r.subject
            WHERE r.kind = 'missing from list' AND r.source IS NOT NULL
              AND r.subject_table = \(person.id)
            """
    ) { rows in rows.compactMap(missing) }

    private static func missing(_ values: [Value]) -> Finding? {
        guard let proposal = values.row(0), let source = values.text(1),
            let subject = values.row(2)
        else { return nil }
        let isThere = values[3] != .null
        return Finding(
            person, subject, facts: [subject.value, .text(source)], isStanding: isThere, .notice,
            explanation: "\(source) no longer has this person. Nobody is deleted by an import: "
                + "they stay until someone says so.",
            shown: isThere ? "kept" : "deleted",
            evidence: [
                Finding.Evidence(
                    Forum.proposal, proposal, "source", "not in \(source)", isShown: false)
            ],
            choices: [
                Finding.Choice(
                    "keep", "keep", effect: "The person stays; a later list may ask again.",
                    edits: isThere ? [] : [.restore(person, subject)], keepsBoth: true),
                Finding.Choice(
                    "delete", "delete",
                    effect: "The person is no longer expected anywhere; what was recorded of them "
                        + "stays.",
                    edits: isThere ? [.delete(person, subject)] : []),
            ])
    }
}

/// People of one name.
private struct Namesakes {
    struct Member {
        var id: RowID
        var badge: String?
        var name: String
        /// Whom they were merged into, or themselves.
        var canonical: RowID

        /// `Гюльшан Мамедова (TM-004)`
        var text: String { badge.map { "\(name) (\($0))" } ?? "\(name) (no badge)" }
    }

    /// Those with a badge first, then in the order of their ids.
    var members: [Member]

    /// Whoever was merged into someone of another name is told by that person, and left out.
    private init?(_ found: [Member]) {
        let ids = Set(found.map(\.id))
        members = found.filter { ids.contains($0.canonical) }.sorted { a, b in
            (a.badge == nil) != (b.badge == nil) ? a.badge != nil : a.id < b.id
        }
        guard members.count > 1, members.contains(where: { $0.badge == nil }) else { return nil }
    }

    static func all(in rows: [[Value]]) -> [Namesakes] {
        guard rows.contains(where: { $0.text(1) == nil }) else { return [] }
        var groups = Groups()
        var people: [Member] = []
        for values in rows {
            guard let id = values.row(0) else { continue }
            let names = [values.text(2), values.text(3)].compactMap { $0 }
            groups.add(people.count, names.map(NameFold.key).filter { !$0.isEmpty })
            people.append(
                Member(
                    id: id, badge: values.text(1), name: names.first ?? "",
                    canonical: values.row(4) ?? id))
        }
        return groups.members.compactMap { Namesakes($0.map { people[$0] }) }
            .sorted { $0.members[0].id < $1.members[0].id }
    }

    /// Who still counts as a person of their own.
    private var apart: [Member] { members.filter { $0.canonical == $0.id } }

    private var isStanding: Bool { apart.count > 1 && apart.contains { $0.badge == nil } }

    var finding: Finding {
        let shown = isStanding ? apart : members
        return Finding(
            Forum.person, members[0].id, facts: members.map(\.id).sorted().map(\.value),
            isStanding: isStanding, .notice,
            explanation: "\(members.count) people bear one name, as it is spoken: "
                + "\(enumeration(members.map(\.text))). They may be one person.",
            shown: "\(apart.count) \(apart.count == 1 ? "person" : "people")",
            evidence: shown.map { member in
                Finding.Evidence(
                    Forum.person, member.id, "name_native", member.text, isShown: false)
            },
            choices: members.map(merge) + [different])
    }

    /// Two badges are two people of the list, so that only walk-ins are merged beside those.
    private func merge(into target: Member) -> Finding.Choice {
        let isOnlyBadge = members.count { $0.badge != nil } < 2
        var edits: [Finding.Edit] = []
        if target.canonical != target.id {
            edits.append(.set(Forum.person, target.id, "merged_into", .null))
        }
        for member in members where member.id != target.id {
            guard member.canonical != target.id || target.canonical != target.id,
                isOnlyBadge || member.badge == nil
            else { continue }
            edits.append(.set(Forum.person, member.id, "merged_into", target.id.value))
        }
        let name = target.badge ?? String(target.id.description.prefix(12))
        return Finding.Choice(
            "merge into \(name)", "merge into \(target.text)",
            effect: "Attendance of them all counts for \(target.text).", edits: edits)
    }

    /// Takes merges back only where all are one already: then someone else has merged them.
    private var different: Finding.Choice {
        Finding.Choice(
            "different", "different people", effect: "Each counts for themselves.",
            edits: isStanding
                ? []
                : members.filter { $0.canonical != $0.id }.map {
                    .set(Forum.person, $0.id, "merged_into", .null)
                },
            keepsBoth: true)
    }
}

/// Puts together what shares a key, directly or through others.
private struct Groups {
    private var parents: [Int] = []
    private var holders: [[UInt8]: Int] = [:]

    /// Members are added in the order of their numbers, from 0.
    mutating func add(_ member: Int, _ keys: [String]) {
        parents.append(member)
        for key in keys {
            let bytes = Array(key.utf8)
            if let other = holders[bytes] {
                parents[root(of: member)] = root(of: other)
            } else {
                holders[bytes] = member
            }
        }
    }

    private mutating func root(of member: Int) -> Int {
        var root = member
        while parents[root] != root {
            parents[root] = parents[parents[root]]
            root = parents[root]
        }
        return root
    }

    /// The groups of more than one.
    var members: [[Int]] {
        var groups = self
        var found: [Int: [Int]] = [:]
        for member in parents.indices { found[groups.root(of: member), default: []].append(member) }
        return found.values.filter { $0.count > 1 }
    }
}
