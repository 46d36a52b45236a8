import Foundation

/// The columns of the sample's people.
enum PeopleField: Int {
    case badge, native, latin, role, languages, delegation, phone, email
}

extension Forum {
    /// A version of the sample's list of people, as a file of that name.
    ///
    /// - Parameters:
    ///   - changes: by badge, what fields say instead.
    ///   - lacking: badges that are left out.
    func list(
        _ name: String, changing changes: [String: [PeopleField: String]] = [:],
        lacking: [String] = []
    ) throws -> String {
        let text = try String(contentsOfFile: Programs.sample("people.csv"), encoding: .utf8)
        let lines = text.split(separator: "\n").compactMap { line -> String? in
            let badge = String(line.prefix { $0 != "," })
            guard !lacking.contains(badge) else { return nil }
            guard let changed = changes[badge] else { return String(line) }
            // Such lines hold no quotes in front of the telephone number.
            var fields = line.split(separator: ",", omittingEmptySubsequences: false)
                .map(String.init)
            for (field, value) in changed { fields[field.rawValue] = value }
            return fields.joined(separator: ",")
        }
        let file = path(name)
        try Data((lines.joined(separator: "\n") + "\n").utf8).write(to: file)
        return file.path
    }

    /// What an import counted: created, changed, kept, in conflict, missing, newly proposed.
    @discardableResult
    func imported(_ laptop: String, _ list: String, _ options: String...) throws -> [Int] {
        let finished = try Programs.run(
            "karvan", ["import", "people", list, "--json"] + options, in: directory,
            environment: ["KARVAN_REPLICA": "\(laptop).sqlite"])
        guard finished.status == 0 else { throw ProgramError(description: finished.errors) }
        return ["created", "changed", "kept", "conflicts", "missing", "proposed"].map {
            finished.json[$0] as? Int ?? -1
        }
    }

    /// Who is proposed for deletion, and by which list.
    func proposals(_ laptop: String) throws -> [String] {
        try rows(
            laptop,
            """
            SELECT p.badge || ': ' || q.kind || ', ' || q.source FROM proposal q
            JOIN person p ON p.id = q.subject WHERE q.source IS NOT NULL ORDER BY p.badge
            """)
    }

    func value(_ laptop: String, _ badge: String, _ column: String) throws -> String {
        try rows(
            laptop, "SELECT coalesce(\(column), '-') FROM person WHERE badge = '\(badge)'"
        ).joined()
    }

    /// The delegation of a person by its code.
    func delegation(_ laptop: String, _ badge: String) throws -> String {
        try rows(
            laptop,
            """
            SELECT d.code FROM person p JOIN delegation d ON d.id = p.delegation
            WHERE p.badge = '\(badge)'
            """
        ).joined()
    }

    /// The open conflicts of a person's columns, with all values that stand.
    func columnConflicts(_ laptop: String) throws -> [String] {
        try conflicts(laptop).filter { $0.subject.hasPrefix("person ") && !$0.isByRule }.map {
            "\($0.subject): \(([$0.shown] + $0.others).sorted().joined(separator: ", "))"
                + ", class \($0.conflictClass)"
        }
    }
}
