import Foundation

/// What `history --json` tells of one op.
struct ListedOperation {
    private let object: [String: Any]

    init(_ object: [String: Any]) { self.object = object }

    subscript(_ member: String) -> String? { object[member] as? String }

    /// `column did value`.
    var deed: String {
        [self["column"], self["did"], self["value"]].compactMap { $0 }.filter { !$0.isEmpty }
            .joined(separator: " ")
    }

    var stands: Bool { object["stands"] as? Bool ?? false }
    var clockAheadMilliseconds: Int? { object["clock_ahead_ms"] as? Int }
    var claimSkewMilliseconds: Int? { object["claim_skew_ms"] as? Int }

    /// The values that its author had been shown, each with who wrote it.
    var shown: [String] { Self.names(object["shown"]) }
    /// What became of it: a word, then by whom.
    var fate: [String] { [self["became"] ?? ""] + Self.names(object["by"]) }

    private static func names(_ list: Any?) -> [String] {
        (list as? [[String: Any]] ?? []).map { item in
            ["value", "person", "device"].compactMap { item[$0] as? String }
                .filter { !$0.isEmpty }.joined(separator: " ")
        }
    }
}

extension Forum {
    func operations(
        _ laptop: String, _ table: String, _ key: String, column: String? = nil
    ) throws -> [ListedOperation] {
        let only = column.map { ["--column", $0] } ?? []
        let finished = try Programs.run(
            "karvan", ["history", table, key, "--json"] + only, in: directory,
            environment: ["KARVAN_REPLICA": "\(laptop).sqlite"])
        guard finished.status == 0 else { throw ProgramError(description: finished.errors) }
        return (finished.json["operations"] as? [[String: Any]] ?? []).map(ListedOperation.init)
    }

    /// Text with the times of this run replaced, those of the forum's days kept, and columns set
    /// apart by two spaces.
    static func masked(_ text: String) -> String {
        text.replacingOccurrences(
            of: #"(?!2025-11-2[456]T)\d{4}-\d\d-\d\dT[\d:.]+\+\d\d:\d\d"#, with: "TIME",
            options: .regularExpression
        ).replacingOccurrences(
            of: #"(\S) {2,}"#, with: "$1  ", options: .regularExpression
        ).replacingOccurrences(
            of: #"(?m)^ +"#, with: "  ", options: .regularExpression)
    }

    /// Columns and their values, as `show` tells them.
    func shown(_ laptop: String, _ arguments: [String]) throws -> [String: String] {
        let finished = try Programs.run(
            "karvan", ["show", "--json"] + arguments, in: directory,
            environment: ["KARVAN_REPLICA": "\(laptop).sqlite"])
        guard finished.status == 0 else { throw ProgramError(description: finished.errors) }
        var values: [String: String] = [:]
        for column in finished.json["columns"] as? [[String: Any]] ?? [] {
            values[column["column"] as? String ?? ""] = column["value"] as? String
        }
        return values
    }
}

/// A time as JSON has it, moved by some milliseconds, in UTC.
func moved(_ time: String, by milliseconds: Double) throws -> String {
    let formatter = ISO8601DateFormatter()
    formatter.formatOptions = [.withInternetDateTime, .withFractionalSeconds]
    let text = time.contains(".") ? time : time.replacingOccurrences(of: "+", with: ".000+")
    guard let date = formatter.date(from: text) else {
        throw ProgramError(description: "\(time) is not a time")
    }
    // A little more, for a time that is off by a bit may neither be cut nor rounded to another.
    return formatter.string(from: date.addingTimeInterval((milliseconds + 0.2) / 1_000))
}
