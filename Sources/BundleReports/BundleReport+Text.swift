internal import Bundles
internal import ProgramOutput
public import ReplicaStore
public import ReplicaSync
internal import SyncProtocol

/// What became of bundles, for people.
extension BundleExchange.Written {
    public func text(for recipient: BundleRecipient, isByHub: Bool = false) -> String {
        let names = files.map(\.path)
        let bytes = files.reduce(0) { $0 + $1.byteCount }
        let place =
            names.count == 1 ? names[0] : "\(names[0]) and \(names.count - 1) more behind it"
        let whom = recipient.isHub ? "the hub" : recipient.name
        let photos =
            blobCount == 0
            ? "" : "\(ItemCount.text(blobCount, "photo")) (\(ByteCount.text(blobBytes)))"
        let what =
            changesetCount == 0
            ? photos.isEmpty
                ? "nothing that \(whom) lacks, as far as is known here" : "\(photos) for \(whom)"
            : "\(ItemCount.text(changesetCount, "change"))\(photos.isEmpty ? "" : " and \(photos)") for \(whom)"
        var lines = ["\(place): \(what), \(ByteCount.text(bytes))."]
        if names.count > 1 { lines += names.dropFirst().map { "  \($0)" } }
        if isByHub {
            lines.append("It also tells \(whom) what of its changes has arrived here.")
        } else if changesetCount > 0 || blobCount > 0, recipient.isHub {
            lines.append(
                "They count as sent when the hub says so: in its next answer, or in a bundle that it "
                    + "gives back.")
        }
        return lines.joined(separator: "\n")
    }
}

extension BundleExchange.Taken {
    /// - Parameters:
    ///   - sender: what people call it.
    ///   - made: when, for people.
    func text(_ path: String, by sender: String, made: String, isHub: Bool) -> String {
        var parts = ["\(ItemCount.text(tally.newCount, "change")) received"]
        if tally.knownCount > 0 {
            parts.append(
                "\(tally.knownCount) \(tally.knownCount == 1 ? "was" : "were") here already")
        }
        if tally.confirmedCount > 0 {
            parts.append(
                "\(ItemCount.text(tally.confirmedCount, "change")) \(tally.confirmedCount == 1 ? "counts" : "count") "
                    + "as sent now")
        }
        if tally.asideCount > 0 {
            parts.append(
                "\(ItemCount.text(tally.asideCount, "run")) kept aside: they count nowhere")
        }
        parts += blobs.parts
        var text = "\(path), by \(sender), \(made): " + parts.joined(separator: ", ") + "."
        text += blobs.advice
        for (code, next) in Self.advice(isHub: isHub) {
            let some = (tally.waiting + tally.refused).filter { $0.refusal.code == code }
            guard let first = some.first else { continue }
            text +=
                "\n\(ItemCount.text(some.count, "run")) not taken: \(Self.words(of: first)). \(next)"
        }
        let others = tally.refused.filter { $0.refusal.code != .scope }
        if let first = others.first {
            text +=
                "\n\(ItemCount.text(others.count, "run")) not taken: \(first.refusal.code.name), "
                + "\(Self.words(of: first))."
        }
        if !summary.isLast {
            text += "\nIt is part \(summary.head.part) of several: import the others too."
        }
        return text
    }
}

extension BundleExchange.BlobTally {
    /// What came of photos, as far as there is anything to say.
    fileprivate var parts: [String] {
        var parts: [String] = []
        if newCount > 0 {
            parts.append(
                "\(ItemCount.text(newCount, "photo")) received (\(ByteCount.text(newBytes)))")
        }
        if knownCount > 0 {
            parts.append(
                "\(ItemCount.text(knownCount, "photo")) \(knownCount == 1 ? "was" : "were") here already"
            )
        }
        if confirmedCount > 0 {
            parts.append(
                "\(ItemCount.text(confirmedCount, "photo")) \(confirmedCount == 1 ? "counts" : "count") as sent now"
            )
        }
        return parts
    }

    fileprivate var advice: String {
        var text = ""
        if partialCount > 0 {
            text +=
                "\n\(ItemCount.text(partialCount, "photo")) not whole yet: import the other files of the series, from "
                + "the first one on."
        }
        if refusedCount > 0 {
            text +=
                "\n\(ItemCount.text(refusedCount, "photo")) not taken: the bytes aren't those of the photo. Have the "
                + "bundle made again."
        }
        if unnamedCount > 0 {
            text +=
                "\n\(ItemCount.text(unnamedCount, "photo")) not taken: no record here names "
                + "\(unnamedCount == 1 ? "it" : "them"). Once the record is here, import this again."
        }
        return text
    }
}

extension BundleExchange.Taken {
    /// What to do about runs that more may let in.
    private static func advice(isHub: Bool) -> [(Refusal.Code, String)] {
        [
            (
                .gap,
                isHub
                    ? "Import the bundles made before this one, then this one again; or have one made with --all."
                    : "They wait here for that: sync with the hub, or import the bundles made before this one."
            ),
            (.upgrade, "Update this program; then they are taken."),
            (
                .scope,
                "If this laptop may read that by now: sync with the hub once, then import this again."
            ),
        ]
    }

    private static func words(of run: BundleExchange.RejectedRun) -> String {
        TextTable.printable(run.refusal.explanation)
    }
}

extension BundleExchange.Shown {
    /// - Parameters:
    ///   - sender: what people call it; `nil` for a stranger.
    ///   - recipients: what people call those whom it is for.
    ///   - made: when, for people.
    func lines(
        _ path: String, by sender: String?, for recipients: [String], made: String
    ) -> [String] {
        let head = summary.head
        let part =
            head.part == 1 && summary.isLast
            ? "" : ", part \(head.part)\(summary.isLast ? ", the last" : " of several")"
        var lines = [
            "\(path): whole, \(ByteCount.text(summary.byteCount))\(part)",
            "by    \(sender ?? "a stranger") on \(made)",
            "for   \(recipients.joined(separator: ", "))",
        ]
        guard let scopes else {
            return lines + ["what is in it, only these can see"]
        }
        for scope in scopes {
            let new =
                scope.changesetCount == 0
                ? ""
                : scope.newCount == 0
                    ? ", all of them here" : ", \(scope.newCount) of them not here"
            lines.append(
                "\(TextTable.printable(scope.scope)): \(ItemCount.text(scope.changesetCount, "change"))\(new)"
            )
        }
        if !blobs.isEmpty {
            let new =
                newBlobCount == 0 ? ", all of them here" : ", \(newBlobCount) of them not here"
            let bytes = ByteCount.text(blobs.values.reduce(0) { $0 &+ $1 })
            lines.append("photos: \(blobs.count), \(bytes)\(new)")
        }
        return lines
    }
}
