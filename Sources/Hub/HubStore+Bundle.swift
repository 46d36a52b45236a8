internal import Causality
package import ReplicaStore
internal import ReplicaSync
package import SyncProtocol

/// What reaches the hub by hand, and what it gives to be carried.
extension HubStore {
    /// Takes runs of a bundle as it takes those of a session.
    ///
    /// - Returns: what became of each.
    package func take(_ bundled: BundledRuns) throws -> [IngestResult] {
        try takeBack(ownRunsIn: bundled.runs)
        try nameEnded(bundled.runs)
        let results = try replica.ingest(bundled.runs)
        try finishTakingBack()
        return results
    }

    /// Decides what was asked for in a bundle that was taken, as after a session's request.
    package func decide(after list: BundleList) throws {
        // As long as others hold more of the hub's own stream, the hub gives no number of it.
        guard !isBehind(list.scopes.flatMap(\.heads)) else { return }
        do {
            try eraseIfAsked()
        } catch StoreError.damaged {
            // `karvan-hub verify` says what; what was brought is taken all the same.
        }
        try statePinsIfDue()
        try replica.seal()
        _ = try? replica.emptyFreePages()
    }

    /// Whom a name stands for, with what the hub lets it read now. Its certificate is renewed when that is due, so
    /// that the new one goes along.
    ///
    /// - Throws: ``ReplicaStore/StoreError`` invalid or denied.
    package func bundleRecipient(named name: String) throws -> BundleRecipient {
        try bundleRecipient(try replica.bundleRecipient(named: name, asksExpiry: false))
    }

    /// As above, of one that is known.
    package func bundleRecipient(_ recipient: BundleRecipient) throws -> BundleRecipient {
        var recipient = recipient
        guard let scopes = try scopes(ofKey: recipient.publicKey),
            try revocation(of: recipient.device) == nil
        else {
            throw StoreError.denied("\(recipient.name) isn't let in here any more")
        }
        try renewIfDue(recipient.device)
        recipient.scopes = Set(scopes)
        return recipient
    }
}
