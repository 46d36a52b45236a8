package import Causality
package import ReplicaStore
package import SyncProtocol

/// What a replica answers about blobs that others may read: a hub's, or that of a laptop that serves.
package struct BlobAnswers {
    private let replica: Replica
    private let sender: String
    private let mayRead: (String) -> Bool
    private let isWanted: (BlobName) throws -> Bool

    /// - Parameters:
    ///   - sender: who asks; its first bytes are kept apart.
    ///   - mayRead: whether the sender may read a scope. Who may not is told of nothing that he hasn't brought, all
    ///     of it.
    ///   - isWanted: whether it may bring a blob.
    package init(
        _ replica: Replica, for sender: DeviceID, mayRead: @escaping (String) -> Bool,
        isWanted: @escaping (BlobName) throws -> Bool
    ) {
        (self.replica, self.sender) = (replica, sender.description)
        (self.mayRead, self.isWanted) = (mayRead, isWanted)
    }

    package func reply(to request: BlobRequest) throws -> BlobReply {
        let taken = try request.part.map(take)
        let named = try replica.namedBlobs(
            among: Set(request.asks.map(\.name).filter { mayRead($0.scope) }))
        var room = Limits.blobPartBytes
        return BlobReply(
            holdings: try request.asks.map { ask in
                named.contains(ask.name) ? try holding(ask, &room) : nil
            },
            taken: taken)
    }

    private func take(_ part: BlobPart) throws -> BlobReply.Taken {
        guard part.size <= Limits.blobBytes else {
            return .refused(Refusal(.tooLarge, "a photo has at most \(Limits.blobBytes) bytes"))
        }
        guard try isWanted(part.name) else {
            return .refused(
                Refusal(.scope, "no record here names this photo in \(part.name.scope)"))
        }
        let taken = try replica.blobs.take(
            part, from: sender, isSent: false, mustBring: !mayRead(part.name.scope))
        switch taken {
        case .held(let held, let size): return .held(BlobReply.Holding(held: held, size: size))
        case .otherBytes:
            return .refused(
                Refusal(.poison, "the bytes aren't those of the photo: they changed on the way"))
        }
    }

    private func holding(
        _ ask: BlobRequest.Ask, _ room: inout Int
    ) throws -> BlobReply.Holding? {
        guard let entry = replica.blobs.entry(ask.name, from: sender) else { return nil }
        if entry.isWhole { try replica.blobs.removePart(ask.name, from: sender) }
        var holding = BlobReply.Holding(held: entry.held, size: entry.size)
        if let offset = ask.offset, entry.isWhole, offset < entry.size, room > 0 {
            holding.bytes = try replica.blobs.bytes(of: ask.name, from: offset, count: room)
            room -= holding.bytes.count
        }
        return holding
    }
}
