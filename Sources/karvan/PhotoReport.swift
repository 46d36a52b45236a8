internal import AntiEntropy
internal import ProgramOutput
internal import SyncProtocol

/// What became of photos in a sync, in true words.
struct PhotoReport {
    var outcome: BlobDriver.Outcome
    var progress: BlobDriver.Progress

    var isWorthALine: Bool { progress.sentCount > 0 || progress.receivedCount > 0 }

    /// Behind what is said of changes; empty where there are no photos.
    var text: String {
        var parts: [String] = []
        if progress.sentCount > 0 {
            parts.append("\(progress.sentCount) sent (\(ByteCount.text(progress.sentBytes)))")
        }
        if progress.receivedCount > 0 {
            let bytes = ByteCount.text(progress.receivedBytes)
            parts.append("\(progress.receivedCount) received (\(bytes))")
        }
        if progress.unsentCount > 0 { parts.append(waiting) }
        if progress.missingAtHubCount > 0 {
            let count = progress.missingAtHubCount
            parts.append(
                "\(count) not at the hub yet: \(count == 1 ? "it is" : "they are") still on the laptop that "
                    + "took \(count == 1 ? "it" : "them")")
        } else if progress.lackingCount > 0 {
            let count = progress.lackingCount
            parts.append(
                "\(count) of others \(count == 1 ? "isn't" : "aren't") here: `karvan sync --photos all` "
                    + "fetches \(count == 1 ? "it" : "them")")
        }
        guard !parts.isEmpty else { return "" }
        return " Photos: " + parts.joined(separator: ", ") + "."
            + (reasons.isEmpty ? "" : " Not taken: \(reasons.joined(separator: "; ")).")
    }

    private var waiting: String {
        let count = progress.unsentCount
        let why =
            outcome == .unknownToHub
            ? ", for this hub takes none yet: its operator has to update it" : ""
        return
            "\(count) (\(ByteCount.text(progress.unsentBytes))) \(count == 1 ? "waits" : "wait"), safe beside "
            + "the replica\(why)"
    }

    private var ofPhotos: String {
        progress.unsentCount > 0
            ? ". Of photos \(waiting)"
            : ", and all photos of this laptop: the next sync fetches the others"
    }

    private var reasons: [String] {
        var found: [String] = []
        for refusal in progress.refusals where !found.contains(refusal.explanation) {
            found.append(refusal.explanation)
        }
        return found
    }

    /// What kept photos from going; `nil` where nothing did but somebody's word.
    var failure: CommandFailure? {
        guard case .failed(let reason) = outcome else { return nil }
        var failure = CommandFailure(describing: reason)
        failure?.message += ". All changes are with the hub" + ofPhotos
        failure?.facts.append(("waiting", .integer(0)))
        failure?.facts.append(("photos_waiting", .integer(Int64(progress.unsentCount))))
        return failure
    }

    /// Somebody stopped it.
    var interruption: CommandFailure? {
        guard outcome == .interrupted else { return nil }
        return CommandFailure(
            .stopped, "stopped: all changes are with the hub" + ofPhotos,
            facts: [("photos_waiting", .integer(Int64(progress.unsentCount)))])
    }

    var json: JSONValue {
        .object([
            ("sent", .integer(Int64(progress.sentCount))),
            ("sent_bytes", .integer(Int64(progress.sentBytes))),
            ("received", .integer(Int64(progress.receivedCount))),
            ("received_bytes", .integer(Int64(progress.receivedBytes))),
            ("waiting", .integer(Int64(progress.unsentCount))),
            ("waiting_bytes", .integer(Int64(progress.unsentBytes))),
            ("elsewhere", .integer(Int64(progress.lackingCount))),
            ("refused", .array(reasons.map(JSONValue.string))),
        ])
    }
}
