internal import CurlTransport
internal import ProgramOutput
internal import ReplicaStore
internal import ReplicaSync
internal import SyncProtocol

/// What a visit to a laptop nearby came to, in true words.
struct PeerReport {
    var visit: PeerExchange.Visit
    /// Changesets that the hub isn't known to hold.
    var pending: UInt64

    private static func changes(_ count: UInt64) -> String {
        "\(count) change\(count == 1 ? "" : "s")"
    }

    var text: String {
        let tally = visit.taken
        var parts = [
            "\(Self.changes(visit.givenCount)) given", "\(Self.changes(tally.newCount)) received",
        ]
        if !tally.waiting.isEmpty {
            parts.append(
                "\(tally.waiting.count) run\(tally.waiting.count == 1 ? "" : "s") kept until what "
                    + "they depend on has come")
        }
        if !tally.refused.isEmpty {
            parts.append(
                "\(tally.refused.count) run\(tally.refused.count == 1 ? "" : "s") not taken: "
                    + Swift.Set(tally.refused.map(\.refusal.explanation)).sorted().joined(
                        separator: "; ")
            )
        }
        var text = "Met \(visit.peer.name): " + parts.joined(separator: ", ") + "."
        text +=
            pending == 0
            ? " The hub has all that is here."
            : " \(Self.changes(pending)) \(pending == 1 ? "waits" : "wait") for the hub, from whichever "
                + "laptop meets it first."
        return text
    }

    /// What is not the same on both sides after all; `nil` when all is.
    var failure: CommandFailure? {
        guard visit.untakenCount > 0 || visit.isCutShort else { return nil }
        let what =
            visit.untakenCount > 0
            ? "\(Self.changes(visit.untakenCount)) or more it doesn't take: it may not know yet that it may read "
                + "them, or be of another version"
            : "it has more to give that can't be taken here"
        return CommandFailure(
            .protocolError, "\(text) But \(what). Sync both with the hub",
            facts: [("untaken", .integer(Int64(clamping: visit.untakenCount)))])
    }

    func json(_ statistics: TransportStatistics) -> JSONValue {
        let tally = visit.taken
        func number(_ count: UInt64) -> JSONValue { .integer(Int64(clamping: count)) }
        return .object([
            ("peer", .string(visit.peer.name)),
            ("device", .string("\(visit.peer.device)")),
            ("given", number(visit.givenCount)),
            ("received", number(tally.newCount)),
            ("untaken", number(visit.untakenCount)),
            ("waiting_runs", .integer(Int64(tally.waiting.count))),
            ("refused_runs", .integer(Int64(tally.refused.count))),
            ("waiting", number(pending)),
            ("round_trips", .integer(Int64(visit.roundTrips))),
            ("bytes_out", .integer(Int64(statistics.sentBytes))),
            ("bytes_in", .integer(Int64(statistics.receivedBytes))),
        ])
    }
}
