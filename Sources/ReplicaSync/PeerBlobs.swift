public import AntiEntropy
internal import Causality
public import ReplicaStore
public import SyncProtocol

/// A replica's side of what goes beside the log to and from a laptop nearby: what an application hands to a
/// `BlobDriver`. Nothing of it says what the hub has.
public final class PeerBlobs: BlobPort {
    private let replica: Replica
    private let peer: BundleRecipient
    private let extent: BundledBlobs

    /// - Parameters:
    ///   - peer: as a meeting has shown it.
    ///   - extent: what is offered to it, of what it may read.
    public init(_ replica: Replica, with peer: BundleRecipient, offering extent: BundledBlobs) {
        (self.replica, self.peer, self.extent) = (replica, peer, extent)
    }

    private var sender: String { peer.device.description }

    public func outline() throws -> BlobOutline {
        let offered = try replica.bundledBlobs(for: peer, extent)
        return BlobOutline(
            unsent: offered.map { entry in
                BlobOutline.Blob(name: entry.name, size: entry.size, held: entry.held)
            },
            // Of other scopes the other one is not even asked: a digest tells that there is a photo.
            lacking: try replica.blobStanding().lacking.filter { peer.mayRead($0.scope) }.map {
                name in
                let part = replica.blobs.entry(name, from: sender)
                return BlobOutline.Blob(name: name, size: part?.size ?? 0, held: part?.held ?? 0)
            })
    }

    public func bytes(of name: BlobName, from offset: UInt64, count: Int) throws -> [UInt8] {
        try replica.blobs.bytes(of: name, from: offset, count: count)
    }

    public func take(_ part: BlobPart) throws -> UInt64? {
        switch try replica.blobs.take(part, from: sender, isSent: false) {
        case .held(let count, _): count
        case .otherBytes: nil
        }
    }

    public func noteSent(_ name: BlobName) {}

    public func noteUnsent(_ name: BlobName) {}

    public func noteRefused(_ name: BlobName, _ refusal: Refusal) {}
}
