internal import Causality
public import SyncProtocol

/// Which blobs go into a bundle.
public enum BundledBlobs: Hashable, Sendable {
    case none
    /// Those that the hub isn't known to hold.
    case unsent
    /// All that lie here.
    case all
}

/// What bundles carry beside runs.
extension Replica {
    /// The blobs that are named here, lie here, and go into a bundle: of what its recipient may read.
    public func bundledBlobs(
        for recipient: BundleRecipient, _ extent: BundledBlobs
    ) throws(StoreError) -> [BlobFolder.Entry] {
        guard extent != .none else { return [] }
        let standing = try blobStanding()
        let sent = extent == .all ? standing.sent.map(\.entry) : []
        return (standing.unsent + sent).filter { recipient.mayRead($0.name.scope) }
            .sorted { $0.name < $1.name }
    }

    /// What a hub says to a device of the blobs that it holds.
    public func bundledHoldings(
        for recipient: BundleRecipient
    ) throws(StoreError) -> [BlobHoldings] {
        var found: [BlobHoldings] = []
        for entry in try bundledBlobs(for: recipient, .all) {
            let isNext = found.last?.scope != entry.name.scope
            if isNext || found[found.count - 1].blobs.count >= BlobHoldings.limit {
                found.append(BlobHoldings(scope: entry.name.scope, blobs: []))
            }
            found[found.count - 1].blobs.append(
                BlobHoldings.Blob(digest: entry.name.digest, size: entry.size))
        }
        return found
    }

    /// Notes which blobs the hub of this replica holds, by a bundle that it made; by anybody else's nothing.
    ///
    /// - Parameters:
    ///   - list: of the same bundle.
    ///   - madeMilliseconds: when it said so: since then the hub may have said otherwise, and is asked again early.
    /// - Returns: of how many that wasn't known.
    public func note(
        _ holdings: [BlobHoldings], with list: BundleList, by sender: [UInt8],
        madeMilliseconds: Int64
    ) throws(StoreError) -> Int {
        guard !holdings.isEmpty, try countsAsHeld(list, by: sender) else { return 0 }
        let told = max(min(madeMilliseconds, environment.wallMilliseconds()), 0)
        var count = 0
        for scope in holdings {
            for blob in scope.blobs {
                let name = BlobName(scope: scope.scope, digest: blob.digest)
                guard let entry = blobs.entry(name), entry.isWhole, entry.size == blob.size,
                    !entry.isSent
                else { continue }
                try blobs.markSent(name, at: told)
                count += 1
            }
        }
        return count
    }
}
