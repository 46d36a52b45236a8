internal import Causality
internal import FieldRecords
internal import Merge
internal import RecordSchema
internal import ReplicaStore

/// Two people who may be one, and what speaks for it.
public struct AlikePeople: Hashable, Sendable {
    /// Whom to keep, if they are one: who has a badge, else who was added first.
    public var kept: PersonLabel
    public var other: PersonLabel
    /// 1 to 100: a sum of what speaks for it and against. It is for a person to judge; nothing is ever merged by it.
    public var score: Int
    /// In words, the weightiest first.
    public var reasons: [String]
}

extension Records {
    /// People who may be one: by how their names are spoken (``FieldRecords/NameFold``), by telephone and e-mail, by
    /// delegation and badge. Those of whom someone has decided that they are different, or one, are left out.
    ///
    /// Names that differ in one letter of their keys are found by their keys with a letter left out: linear in the
    /// number of people, not in that of pairs (Garbe's symmetric deletes).
    ///
    /// - Parameters:
    ///   - person: only of this one, by badge or id; `nil` for all.
    ///   - least: the score from which a pair is told.
    /// - Returns: the likeliest first.
    public func alikePeople(of person: String?, least: Int) throws -> [AlikePeople] {
        try replica.read {
            let only = try person.map { try row(in: Forum.person, $0) }
            let candidates = try candidates()
            let different = try decidedDifferent()
            var found: [AlikePeople] = []
            for (one, other) in Self.pairs(candidates) {
                let (a, b) = (candidates[one], candidates[other])
                guard only == nil || only == a.id || only == b.id,
                    !different.contains([a.id, b.id])
                else { continue }
                let (score, reasons) = Self.compare(a, b)
                guard score >= least else { continue }
                let isFirstKept = (a.hasBadge ? 0 : 1, a.id) <= (b.hasBadge ? 0 : 1, b.id)
                let (kept, merged) = isFirstKept ? (a, b) : (b, a)
                found.append(
                    AlikePeople(
                        kept: try label(of: kept.id), other: try label(of: merged.id), score: score,
                        reasons: reasons))
            }
            return found.sorted {
                ($1.score, $0.kept.name, $0.other.name) < ($0.score, $1.kept.name, $1.other.name)
            }
        }
    }

    private struct Candidate {
        var id: RowID
        var hasBadge: Bool
        var delegation: Value
        /// Of the names in both spellings; empty ones left out.
        var keys: Set<String>
        /// The last nine digits: without what countries put before them.
        var phones: Set<String> = []
        var emails: Set<String> = []
    }

    private func candidates() throws -> [Candidate] {
        var people: [Candidate] = []
        var places: [Value: Int] = [:]
        for row in try replica.query(
            """
            SELECT id, badge, delegation, name_native, name_latin FROM person
            WHERE id NOT IN (SELECT person FROM person_identity WHERE canonical <> person)
            ORDER BY id
            """)
        {
            guard case .blob(let bytes) = row[0], let id = Identifier(bytes) else { continue }
            places[row[0]] = people.count
            people.append(
                Candidate(
                    id: RowID(id), hasBadge: row[1] != .null, delegation: row[2],
                    keys: Set(row[3...].map { NameFold.key(Self.plain($0)) }).subtracting([""])))
        }
        for row in try replica.query("SELECT person, phone, email FROM contact") {
            guard let place = places[row[0]] else { continue }
            // What stands behind words is an extension.
            let digits = Self.plain(row[1]).prefix { !$0.isLetter }
                .filter { $0.isASCII && $0.isNumber }
            if digits.count >= 7 { people[place].phones.insert(String(digits.suffix(9))) }
            let email = Self.plain(row[2]).lowercased()
            if email.contains("@") { people[place].emails.insert(email) }
        }
        return people
    }

    /// Pairs of people whom someone has called different.
    private func decidedDifferent() throws -> Set<Set<RowID>> {
        var pairs: Set<Set<RowID>> = []
        for ruled in try findings(of: [Forum.walkInTwins])
        where ruled.choices.contains("different") {
            let members = ruled.finding.facts.compactMap { fact -> RowID? in
                guard case .blob(let bytes) = fact else { return nil }
                return Identifier(bytes).map { RowID($0) }
            }
            for one in members {
                for other in members where other != one { pairs.insert([one, other]) }
            }
        }
        return pairs
    }

    /// Those that share anything by which people are found alike, each pair once.
    private static func pairs(_ people: [Candidate]) -> [(Int, Int)] {
        var groups: [String: [Int]] = [:]
        for (place, person) in people.enumerated() {
            var marks = person.keys.flatMap { Self.shortened($0).map { "n\($0)" } }
            marks += person.phones.map { "p\($0)" } + person.emails.map { "e\($0)" }
            for mark in Set(marks) { groups[mark, default: []].append(place) }
        }
        var found: Set<[Int]> = []
        // What very many share, such as an office's telephone, says nothing.
        for group in groups.values where (2...60).contains(group.count) {
            for (index, one) in group.enumerated() {
                for other in group[(index + 1)...] { found.insert([one, other]) }
            }
        }
        return found.sorted { $0.lexicographicallyPrecedes($1) }.map { ($0[0], $0[1]) }
    }

    /// No name is longer that a letter could be forgotten in.
    private static let longestKey = 64

    /// A key, and where it is long enough the same with any one letter left out.
    private static func shortened(_ key: String) -> [String] {
        guard (8...longestKey).contains(key.count) else { return [key] }
        let letters = Array(key)
        return [key]
            + letters.indices.map { index in
                String(letters[..<index] + letters[(index + 1)...])
            }
    }

    private static func compare(_ a: Candidate, _ b: Candidate) -> (score: Int, reasons: [String]) {
        var (score, reasons) = (0, [String]())
        if !a.keys.isDisjoint(with: b.keys) {
            score += 60
            reasons.append("one name, as it is spoken")
        } else if a.keys.contains(where: { one in b.keys.contains { isOneLetter(one, $0) } }) {
            score += 40
            reasons.append("names that differ in a letter")
        }
        if !a.phones.isDisjoint(with: b.phones) {
            score += 40
            reasons.append("one telephone")
        }
        if !a.emails.isDisjoint(with: b.emails) {
            score += 40
            reasons.append("one e-mail")
        }
        if a.delegation != .null, a.delegation == b.delegation {
            score += 10
            reasons.append("one delegation")
        } else if a.delegation != .null, b.delegation != .null {
            score -= 10
            reasons.append("but other delegations")
        }
        if a.hasBadge && b.hasBadge {
            score -= 25
            reasons.append("but each has a badge")
        } else if a.hasBadge || b.hasBadge {
            score += 5
        }
        return (min(100, max(0, score)), reasons)
    }

    /// Whether one letter makes the difference: another one, one more, or one less.
    private static func isOneLetter(_ one: String, _ other: String) -> Bool {
        let (a, b) = (Array(one), Array(other))
        guard min(a.count, b.count) >= 7, abs(a.count - b.count) <= 1 else { return false }
        let start = zip(a, b).prefix { $0 == $1 }.count
        let end = zip(a.dropFirst(start).reversed(), b.dropFirst(start).reversed())
            .prefix { $0 == $1 }.count
        return max(a.count, b.count) - start - end <= 1
    }
}
