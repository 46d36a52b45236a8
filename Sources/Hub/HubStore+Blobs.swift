internal import Causality
internal import FieldRecords
internal import ReplicaStore
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
        func isReadable(_ name: BlobName) -> Bool { !isRevoked && mayRead(name.scope, granted) }
        let taken = try request.part.map { part in
            try take(part, from: sender.description, mayRead: isReadable(part.name))
        }
        let named = try replica.namedBlobs(
            among: Set(request.asks.map(\.name).filter(isReadable)))
        var room = Limits.blobPartBytes
        return BlobReply(
            holdings: try request.asks.map { ask in
                named.contains(ask.name) ? try holding(ask, for: sender.description, &room) : nil
            },
            taken: taken)
    }

    /// - Parameter mayRead: who may not is told of nothing that he hasn't brought, all of it.
    private func take(
        _ part: BlobPart, from sender: String, mayRead: Bool
    ) throws -> BlobReply.Taken {
        guard part.size <= Limits.blobBytes else {
            return .refused(Refusal(.tooLarge, "a photo has at most \(Limits.blobBytes) bytes"))
        }
        guard try isWanted(part.name) else {
            return .refused(
                Refusal(.scope, "no record here names this photo in \(part.name.scope)"))
        }
        let taken = try replica.blobs.take(part, from: sender, isSent: false, mustBring: !mayRead)
        switch taken {
        case .held(let held, let size): return .held(BlobReply.Holding(held: held, size: size))
        case .otherBytes:
            return .refused(
                Refusal(.poison, "the bytes aren't those of the photo: they changed on the way"))
        }
    }

    /// Whether a record that the hub holds names it, be it kept aside: it may be admitted.
    private func isWanted(_ name: BlobName) throws -> Bool {
        if try !replica.namedBlobs(among: [name]).isEmpty { return true }
        return try replica.blobsAside(ofErased: false).contains(name)
    }

    private func holding(
        _ ask: BlobRequest.Ask, for sender: String, _ room: inout Int
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
