internal import ProgramOutput
internal import ServiceDiscovery

/// What visits to all laptops nearby came to, in true words.
struct NearbyReport {
    /// Of which laptops serve here, too.
    var otherForumCount: Int
    private var visits: [PeerReport] = []
    private var failures: [(service: FoundService, failure: CommandFailure)] = []

    init(otherForumCount: Int) { self.otherForumCount = otherForumCount }

    mutating func add(_ visit: PeerReport) { visits.append(visit) }

    mutating func add(_ service: FoundService, _ failure: CommandFailure) {
        failures.append((service, failure))
    }

    /// Where none was found.
    var nobody: String {
        let others =
            otherForumCount == 0
            ? "" : ", but of \(ItemCount.text(otherForumCount, "other forum"))"
        return
            "no laptop of this forum was found that serves nearby\(others). On one of them: `karvan serve`. "
            + "Not every network lets laptops find each other: `karvan sync --peer ADDRESS` needs only "
            + "the address that it shows"
    }

    /// Behind what was said of each visit.
    var end: String { visits.last?.waiting ?? "" }

    /// Whom nothing came of, and why.
    var missed: [String] {
        failures.map { failed in
            "\(TextTable.printable(failed.service.name)) was found, but not met: \(failed.failure.message)"
        }
    }

    /// What is not the same on both sides of a visit after all, or that nobody was met; `nil` otherwise. Anybody can announce
    /// anything, so that somebody isn't met is told and no more.
    func failure(isStopped: Bool) -> CommandFailure? {
        let partial = visits.compactMap(\.failure)
        let status: ExitStatus? =
            isStopped
            ? .stopped
            : partial.first?.status ?? (visits.isEmpty ? failures.first?.failure.status : nil)
        guard let status else { return nil }
        let words = missed + partial.map(\.message) + (isStopped ? ["stopped"] : [])
        return CommandFailure(
            status, words.joined(separator: ".\n"),
            facts: [("visits", .array(visits.map(\.json))), ("missed", missedJSON)])
    }

    private var missedJSON: JSONValue {
        .array(
            failures.map { failed in
                .object([
                    ("name", .string(failed.service.name)),
                    ("addresses", .array(failed.service.endpoints.map(JSONValue.string))),
                    ("error", .string(failed.failure.message)),
                ])
            })
    }

    var json: JSONValue {
        .object([
            ("visits", .array(visits.map(\.json))),
            ("missed", missedJSON),
            ("other_forums", .integer(Int64(otherForumCount))),
        ])
    }
}
