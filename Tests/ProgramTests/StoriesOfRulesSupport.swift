import Foundation
import Testing

/// An open conflict that a rule found between records.
struct ListedFinding: Hashable {
    var id: String
    /// `excused vs present, class 2: present`.
    var text: String
    /// What clashes, and decisions on it, sorted.
    var records: [String]
    /// By label.
    var choices: [String: String]

    init?(_ object: [String: Any]) {
        guard let id = object["id"] as? String, let number = object["class"] as? Int,
            let rule = object["rule"] as? String, let shown = object["shown"] as? String,
            let candidates = object["candidates"] as? [[String: Any]],
            let choices = object["choices"] as? [[String: Any]]
        else { return nil }
        self.id = id
        text = "\(rule), class \(number): \(shown)"
        records = candidates.compactMap { $0["value"] as? String }.sorted()
        self.choices = choices.reduce(into: [:]) { labels, choice in
            labels[choice["label"] as? String ?? ""] = choice["text"] as? String
        }
    }

    /// The label of the choice that begins with some text.
    func label(_ start: String) throws -> String {
        try #require(choices.first { $0.value.hasPrefix(start) }?.key, "\(choices)")
    }
}

extension Forum {
    /// In the order of their texts.
    func findings(_ laptop: String) throws -> [ListedFinding] {
        let listed = try json(laptop, "conflicts", "list")["conflicts"] as? [[String: Any]]
        return (listed ?? []).compactMap(ListedFinding.init)
            .sorted { ($0.text, $0.id) < ($1.text, $1.id) }
    }

    /// The findings, which all laptops list alike.
    func findingsAlike(on laptops: [String]) throws -> [ListedFinding] {
        let all = try laptops.map { try findings($0) }
        for (laptop, listed) in zip(laptops, all) { #expect(listed == all[0], "\(laptop)") }
        return all[0]
    }

    /// Syncs one after the other; then each of them holds what the hub holds, and `verify` is
    /// clean everywhere.
    @discardableResult
    func syncAll(_ laptops: [String]) throws -> Standing {
        for laptop in laptops { try must(laptop, "sync") }
        let hub = try verified("hub")
        for laptop in Set(laptops) { #expect(try verified(laptop) == hub, "\(laptop)") }
        return hub
    }

    /// How `conflicts list --open` ends: 20 while someone has to decide.
    func expectOpen(_ status: Int32, on laptops: [String]) throws {
        for laptop in laptops {
            let finished = try karvan(laptop, "conflicts", "list", "--open")
            #expect(finished.status == status, "\(laptop): \(finished.output)")
        }
    }

    func settle(
        _ finding: ListedFinding, by laptop: String, taking choice: String, _ reason: String
    ) throws {
        try must(
            laptop,
            [
                "conflicts", "resolve", finding.id, "--take", try finding.label(choice),
                "--reason", reason,
            ])
    }

    /// `TR-031 in 2025-11-25T09:58:00+04:00 2 class 1`, one line for each person.
    func attendance(of item: String, on laptop: String) throws -> [String] {
        let rows = try #require(
            try json(laptop, "list", "attendance", "--item", item)["rows"] as? [[String: String]])
        return rows.map { row in
            let facts = ["badge", "state", "first_in", "observations"].map { row[$0] ?? "" }
            return facts.filter { !$0.isEmpty }.joined(separator: " ")
                + " class \(row["class"] ?? "")"
        }
    }
}
