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

    /// What is not the same on all sides after all; `nil` when all is.
    func failure(isStopped: Bool) -> CommandFailure? {
        let missed = failures.map { failed in
            (
                failed.failure.status,
                "\(TextTable.printable(failed.service.name)) was found, but not met: \(failed.failure.message)"
            )
        }
        let partial = visits.compactMap { visit in visit.failure.map { ($0.status, $0.message) } }
        guard let status = isStopped ? .stopped : (missed + partial).first?.0 else { return nil }
        let words = (missed + partial).map(\.1) + (isStopped ? ["stopped"] : [])
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
