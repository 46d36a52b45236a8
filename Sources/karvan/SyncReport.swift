internal import AntiEntropy
internal import CurlTransport
internal import ProgramOutput
internal import SyncProtocol

/// How a sync ended, in true words.
struct SyncReport {
    var outcome: SyncSession.Outcome
    var progress: SyncSession.Progress
    /// Changesets that the hub isn't known to hold.
    var pending: UInt64
    /// The scopes that were taken off this laptop.
    var dropped: [String] = []
    /// `nil` where no photos were to go.
    var photos: PhotoReport?

    /// How this device stands with the hub.
    enum Standing {
        /// There was no answer that says.
        case unknown
        case welcome
        case revoked(String)
    }

    var standing: Standing {
        switch outcome {
        case .completed: return .welcome
        case .failed(.refused(let refusal)) where refusal.code == .revoked:
            return .revoked(refusal.explanation)
        case .rejected(let rejections):
            let revoked = rejections.first { $0.refusal.code == .revoked }
            return revoked.map { .revoked($0.refusal.explanation) } ?? .welcome
        case .failed, .stalled: return .unknown
        }
    }

    var isWorthALine: Bool {
        progress.sentChangesets > 0 || progress.receivedChangesets > 0
            || progress.quarantinedRuns > 0 || !dropped.isEmpty || photos?.isWorthALine ?? false
    }

    private var waiting: String {
        pending == 0
            ? "nothing waits to be sent"
            : "\(ItemCount.text(pending, "change")) \(pending == 1 ? "waits" : "wait"), safe in the replica"
    }

    var text: String {
        var parts = [
            "\(ItemCount.text(progress.sentChangesets, "change")) sent",
            "\(ItemCount.text(progress.receivedChangesets, "change")) received",
        ]
        if pending > 0 { parts.append(waiting) }
        if progress.remainingChangesets > 0 {
            let count = progress.remainingChangesets
            parts.append(
                "\(ItemCount.text(count, "change")) of these can't go before the hub has what "
                    + "\(count == 1 ? "it depends" : "they depend") on, which another laptop holds")
        }
        if progress.quarantinedRuns > 0 {
            let count = progress.quarantinedRuns
            parts.append("\(ItemCount.text(count, "run")) kept aside: see `karvan status`")
        }
        if let skew = skewText { parts.append(skew) }
        var text = "Synced: " + parts.joined(separator: ", ") + "." + (photos?.text ?? "")
        if !dropped.isEmpty {
            text +=
                " This laptop may no longer read \(dropped.joined(separator: ", ")): the hub has all that was "
                + "recorded there, and it was taken off this disk."
        }
        if progress.restarts > 0 {
            text +=
                " The hub's feed has begun anew, so all that this laptop holds was offered again."
        }
        return text
    }

    /// Worth a word from a minute on.
    private var skewText: String? {
        guard let offset = progress.clockOffsetMilliseconds, abs(offset) >= 60_000 else {
            return nil
        }
        let minutes = abs(offset) / 60_000
        return "this laptop's clock is \(minutes) min \(offset > 0 ? "behind" : "ahead of") the hub"
    }

    /// What went wrong; `nil` when both sides hold the same.
    var failure: CommandFailure? {
        var failure: CommandFailure?
        switch outcome {
        case .completed: return nil
        case .failed(.cancelled):
            failure = CommandFailure(
                .stopped,
                "stopped: \(ItemCount.text(progress.sentChangesets, "change")) sent, "
                    + "\(ItemCount.text(progress.receivedChangesets, "change")) received, all of them kept. "
                    + "The next `karvan sync` goes on from there")
        case .failed(let reason): failure = CommandFailure(describing: reason)
        case .stalled(let detail): failure = CommandFailure(.protocolError, detail)
        case .rejected(let rejections):
            var reasons: [String] = []
            for reason in rejections.map(\.refusal.explanation) where !reasons.contains(reason) {
                reasons.append(reason)
            }
            let isRefused = rejections.contains { [.revoked, .scope].contains($0.refusal.code) }
            failure = CommandFailure(
                isRefused ? .refused : .protocolError,
                "the hub did not take \(rejections.count) "
                    + "run\(rejections.count == 1 ? "" : "s"): "
                    + reasons.joined(separator: "; "))
        }
        failure?.message += ". \(waiting.prefix(1).uppercased() + waiting.dropFirst())"
        failure?.facts.append(("waiting", .integer(Int64(clamping: pending))))
        return failure
    }

    func json(statistics: TransportStatistics?) -> JSONValue {
        var members: [(String, JSONValue)] = [
            ("sent", .integer(Int64(clamping: progress.sentChangesets))),
            ("received", .integer(Int64(clamping: progress.receivedChangesets))),
            ("waiting", .integer(Int64(clamping: pending))),
            ("quarantined_runs", .integer(Int64(clamping: progress.quarantinedRuns))),
            ("dropped_scopes", .array(dropped.map(JSONValue.string))),
            ("round_trips", .integer(Int64(progress.roundTrips))),
            (
                "clock_offset_ms",
                progress.clockOffsetMilliseconds.map(JSONValue.integer) ?? .null
            ),
            ("photos", photos?.json ?? .null),
        ]
        if let statistics {
            members += [
                ("bytes_out", .integer(Int64(statistics.sentBytes))),
                ("bytes_in", .integer(Int64(statistics.receivedBytes))),
            ]
        }
        return .object(members)
    }
}
