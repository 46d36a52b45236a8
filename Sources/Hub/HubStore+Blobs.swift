internal import FieldRecords
internal import ReplicaStore
package import SyncProtocol

/// What records name, beside the log.
extension HubStore {
    /// Takes a range that a device brings, and says what is held of the blobs that it asks about.
    ///
    /// - Parameter publicKey: of the device that signed the request.
    /// - Throws: `Refusal` for who is not let in.
    package func blobs(_ request: BlobRequest, from publicKey: [UInt8]) throws -> BlobReply {
        let granted = try admitted(publicKey)
        let taken = try request.part.map(take)
        let readable = request.asks.map(\.name).filter { mayRead($0.scope, granted) }
        let named = try replica.namedBlobs(among: Set(readable))
        var room = Limits.blobPartBytes
        return BlobReply(
            holdings: try request.asks.map { ask in
                named.contains(ask.name) ? try holding(ask, &room) : nil
            },
            taken: taken)
    }

    private func take(_ part: BlobPart) throws -> BlobReply.Taken {
        guard part.size <= Limits.blobBytes else {
            return .refused(
                Refusal(.tooLarge, "a photo has at most \(Limits.blobBytes) bytes"))
        }
        // Whoever can show the bytes that a record names need not be let read them.
        guard try !replica.namedBlobs(among: [part.name]).isEmpty else {
            return .refused(
                Refusal(.scope, "no record that counts here names this photo in \(part.name.scope)")
            )
        }
        switch try replica.blobs.take(part, isSent: false) {
        case .held(let held, let size): return .held(BlobReply.Holding(held: held, size: size))
        case .otherBytes:
            return .refused(
                Refusal(.poison, "the bytes aren't those of the photo: they changed on the way"))
        }
    }

    private func holding(_ ask: BlobRequest.Ask, _ room: inout Int) throws -> BlobReply.Holding? {
        guard let entry = replica.blobs.entry(ask.name) else { return nil }
        var holding = BlobReply.Holding(held: entry.held, size: entry.size)
        if let offset = ask.offset, entry.isWhole, offset < entry.size, room > 0 {
            holding.bytes = try replica.blobs.bytes(of: ask.name, from: offset, count: room)
            room -= holding.bytes.count
        }
        return holding
    }
}
