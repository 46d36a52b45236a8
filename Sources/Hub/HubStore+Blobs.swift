internal import Causality
internal import ReplicaStore
internal import ReplicaSync
package import SyncProtocol

/// What records name, beside the log.
extension HubStore {
    /// Takes a range that a device brings, and says what is held of the blobs that it asks about. A device that was
    /// revoked still brings what it had recorded, and is told of nothing else.
    ///
    /// - Parameter publicKey: of the device that signed the request.
    /// - Throws: `Refusal` for who is not let in.
    package func blobs(_ request: BlobRequest, from publicKey: [UInt8]) throws -> BlobReply {
        let granted = try granted(to: publicKey)
        let sender = DeviceID(publicKey: publicKey)
        let isRevoked = try revocation(of: sender) != nil
        return try BlobAnswers(
            replica, for: sender, mayRead: { !isRevoked && self.mayRead($0, granted) },
            isWanted: isWanted
        ).reply(to: request)
    }

    /// Whether a record that the hub holds names it, be it kept aside: it may be admitted.
    private func isWanted(_ name: BlobName) throws -> Bool {
        if try !replica.namedBlobs(among: [name]).isEmpty { return true }
        return try replica.blobsAside(ofErased: false).contains(name)
    }

    /// All that records name which the hub holds, be they kept aside.
    package func wantedBlobs() throws -> Set<BlobName> {
        try replica.namedBlobs().union(replica.blobsAside(ofErased: false))
    }
}
