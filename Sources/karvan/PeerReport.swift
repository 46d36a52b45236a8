internal import AntiEntropy
internal import CurlTransport
internal import ProgramOutput
internal import ReplicaStore
internal import ReplicaSync
internal import SyncProtocol

/// What a visit to a laptop nearby came to, in true words.
struct PeerReport {
    var visit: PeerExchange.Visit
    /// `nil` where no photos were to go.
    var photos: PeerPhotos?
    var statistics: TransportStatistics
    /// Changesets that the hub isn't known to hold.
    var pending: UInt64
    /// Photos that the hub isn't known to hold.
    var unsentPhotoCount: Int

    var text: String { met + " " + waiting }

    /// What went either way.
    var met: String {
        let tally = visit.taken
        var parts = [
            "\(ItemCount.text(visit.givenCount, "change")) given",
            "\(ItemCount.text(tally.newCount, "change")) received",
        ]
        if !tally.waiting.isEmpty {
            parts.append(
                "\(ItemCount.text(tally.waiting.count, "run")) kept until what "
                    + "they depend on has come")
        }
        if !tally.refused.isEmpty {
            parts.append(
                "\(ItemCount.text(tally.refused.count, "run")) not taken: "
                    + Swift.Set(tally.refused.map(\.refusal.explanation)).sorted().joined(
                        separator: "; ")
            )
        }
        return "Met \(visit.peer.name): " + parts.joined(separator: ", ") + "."
            + (photos?.text ?? "")
    }

    /// What the hub isn't known to hold.
    var waiting: String {
        let photos = ItemCount.text(unsentPhotoCount, "photo")
        let what =
            [
                pending > 0 ? ItemCount.text(pending, "change") : "",
                unsentPhotoCount > 0 ? photos : "",
            ]
            .filter { !$0.isEmpty }.joined(separator: " and ")
        guard !what.isEmpty else { return "The hub has all that is here." }
        let verb = pending + UInt64(unsentPhotoCount) == 1 ? "waits" : "wait"
        return "\(what) \(verb) for the hub, from whichever laptop meets it first."
    }

    /// Whether something came that others may lack.
    var hasNews: Bool {
        visit.taken.newCount > 0 || (photos?.progress.receivedCount ?? 0) > 0
    }

    /// What is not the same on both sides after all; `nil` when all is.
    var failure: CommandFailure? {
        guard visit.untakenCount > 0 || visit.isCutShort else {
            return photos?.failure(after: text)
        }
        let what =
            visit.untakenCount > 0
            ? "\(ItemCount.text(visit.untakenCount, "change")) or more it doesn't take: it may not know yet that it may read "
                + "them, or be of another version"
            : "it has more to give that can't be taken here"
        return CommandFailure(
            .refused, "\(text) But \(what). Sync both with the hub",
            facts: [("untaken", .integer(Int64(clamping: visit.untakenCount)))])
    }

    var json: JSONValue {
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
            ("photos", photos?.json ?? .null),
            ("photos_waiting", .integer(Int64(unsentPhotoCount))),
            ("round_trips", .integer(Int64(visit.roundTrips))),
            ("bytes_out", .integer(Int64(statistics.sentBytes))),
            ("bytes_in", .integer(Int64(statistics.receivedBytes))),
        ])
    }
}

/// What became of photos in a visit.
struct PeerPhotos {
    var outcome: BlobDriver.Outcome
    var progress: BlobDriver.Progress
    /// What people call the other laptop.
    var peer: String

    /// Empty where none moved and none was held back.
    var text: String {
        var parts: [String] = []
        if progress.sentCount > 0 {
            parts.append("\(progress.sentCount) given (\(ByteCount.text(progress.sentBytes)))")
        }
        if progress.receivedCount > 0 {
            let bytes = ByteCount.text(progress.receivedBytes)
            parts.append("\(progress.receivedCount) received (\(bytes))")
        }
        if outcome == .unknownToHub, progress.unsentCount > 0 {
            parts.append("\(progress.unsentCount) not given, for \(peer) takes none yet: update it")
        } else if let refusal = progress.refusals.first {
            parts.append("\(progress.unsentCount) not given: \(refusal.explanation)")
        }
        return parts.isEmpty ? "" : " Photos: " + parts.joined(separator: ", ") + "."
    }

    /// - Parameter text: what is said of changes.
    func failure(after text: String) -> CommandFailure? {
        let facts = [("photos_ungiven", JSONValue.integer(Int64(progress.unsentCount)))]
        switch outcome {
        case .completed, .unknownToHub: return nil
        case .interrupted:
            return CommandFailure(
                .stopped,
                "\(text) Stopped before all photos had gone: the next visit goes on there",
                facts: facts)
        case .failed(let reason):
            guard var failure = CommandFailure(describing: reason) else { return nil }
            failure.message = "\(text) But not all photos have gone: \(failure.message)"
            failure.facts += facts
            return failure
        }
    }

    var json: JSONValue {
        .object([
            ("given", .integer(Int64(progress.sentCount))),
            ("given_bytes", .integer(Int64(clamping: progress.sentBytes))),
            ("received", .integer(Int64(progress.receivedCount))),
            ("received_bytes", .integer(Int64(clamping: progress.receivedBytes))),
            ("ungiven", .integer(Int64(progress.unsentCount))),
        ])
    }
}
