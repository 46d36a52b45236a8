public import AntiEntropy
public import ReplicaStore
public import SyncProtocol

/// A replica's side of what goes beside the log: what an application hands to a `BlobDriver`.
public final class ReplicaBlobs: BlobPort {
    private let replica: Replica

    public init(_ replica: Replica) { self.replica = replica }

    public func outline() throws -> BlobOutline {
        // A build that knew nothing of blobs may have erased somebody.
        try? replica.removeForgottenBlobs()
        let standing = try replica.blobStanding()
        func outlined(_ entry: BlobFolder.Entry) -> BlobOutline.Blob {
            BlobOutline.Blob(name: entry.name, size: entry.size, held: entry.held)
        }
        // Of a scope that may be read no more the hub says nothing.
        let sent = try standing.sent.filter { try replica.mayRead($0.entry.name.scope) }
        let now = replica.environment.wallMilliseconds()
        let asksAgain =
            sent.first.map { abs(now - $0.milliseconds) > Self.trustMilliseconds } ?? false
        return BlobOutline(
            unsent: standing.unsent.map(outlined),
            lacking: standing.lacking.map { name in
                let part = replica.blobs.entry(name)
                return BlobOutline.Blob(name: name, size: part?.size ?? 0, held: part?.held ?? 0)
            },
            sent: sent.map { outlined($0.entry) }, asksAgain: asksAgain)
    }

    /// For so long a hub is believed that said that it holds a blob: then it is asked again, for its disk may have
    /// been put back to before.
    private static let trustMilliseconds: Int64 = 24 * 3_600_000

    public func bytes(of name: BlobName, from offset: UInt64, count: Int) throws -> [UInt8] {
        try replica.blobs.bytes(of: name, from: offset, count: count)
    }

    public func take(_ part: BlobPart) throws -> UInt64? {
        switch try replica.blobs.take(part, isSent: true) {
        case .held(let count, _): count
        case .otherBytes: nil
        }
    }

    public func noteSent(_ name: BlobName) throws {
        try replica.blobs.markSent(name, at: replica.environment.wallMilliseconds())
    }

    public func noteUnsent(_ name: BlobName) throws { try replica.blobs.markUnsent(name) }

    /// Of a scope that is left, nothing waits for what no record at the hub names.
    public func noteRefused(_ name: BlobName, _ refusal: Refusal) throws {
        guard refusal.code == .scope, try !replica.mayRead(name.scope) else { return }
        try noteSent(name)
    }
}
