internal import Causality
internal import ReplicaStore
internal import SyncProtocol

extension BundleExchange {
    /// What became of the blobs in a bundle.
    public struct BlobTally: Hashable, Sendable {
        /// Those that lie here whole now, and didn't before.
        public var newCount = 0
        /// Of these, in bytes.
        public var newBytes: UInt64 = 0
        /// Those that lay here already.
        public var knownCount = 0
        /// Those that no record here names.
        public var unnamedCount = 0
        /// Those whose other pieces are elsewhere.
        public var partialCount = 0
        /// Those whose bytes aren't what their name stands for, or are too many.
        public var refusedCount = 0
        /// Those that the hub wasn't known to hold before, and is now.
        public var confirmedCount = 0

        public init(
            newCount: Int = 0, newBytes: UInt64 = 0, knownCount: Int = 0, unnamedCount: Int = 0,
            partialCount: Int = 0, refusedCount: Int = 0, confirmedCount: Int = 0
        ) {
            (self.newCount, self.newBytes, self.knownCount) = (newCount, newBytes, knownCount)
            (self.unnamedCount, self.partialCount) = (unnamedCount, partialCount)
            (self.refusedCount, self.confirmedCount) = (refusedCount, confirmedCount)
        }

        /// Of the same bundle, when it was read before: what was new then is known now.
        public mutating func add(_ before: Self) {
            newCount += before.newCount
            newBytes += before.newBytes
            knownCount -= before.newCount
            confirmedCount += before.confirmedCount
        }
    }
}

/// Takes in the blobs of one bundle, piece by piece.
struct BlobTaking {
    private enum Standing { case known, unnamed, refused, partial, new }

    private let folder: BlobFolder
    private let sender: DeviceID
    private let wanted: Set<BlobName>
    private var standings: [BlobName: Standing] = [:]
    private var newBytes: UInt64 = 0
    /// What kept blobs from being written; no further ones were tried then.
    private(set) var problem: StoreError?

    /// - Parameter wanted: the others are passed over.
    init(folder: BlobFolder, sender: DeviceID, wanted: Set<BlobName>) {
        (self.folder, self.sender, self.wanted) = (folder, sender, wanted)
    }

    mutating func take(_ piece: BlobPart) {
        guard problem == nil else { return }
        do throws(StoreError) {
            try keep(piece)
        } catch {
            // What stands in runs doesn't wait for a disk to have room for photos.
            problem = error
        }
    }

    private mutating func keep(_ piece: BlobPart) throws(StoreError) {
        let name = piece.name
        switch standings[name] {
        case .known, .unnamed, .refused, .new: return
        case .partial: break
        case nil:
            guard wanted.contains(name) else {
                standings[name] = .unnamed
                return
            }
            if folder.file(holding: name) != nil {
                standings[name] = .known
                return
            }
        }
        guard piece.size <= Limits.blobBytes else {
            standings[name] = .refused
            return
        }
        switch try folder.take(rest(of: piece), from: sender.description, isSent: false) {
        case .otherBytes: standings[name] = .refused
        case .held(let held, let size) where held == size:
            standings[name] = .new
            newBytes += size
        case .held: standings[name] = .partial
        }
    }

    /// What lies behind the first bytes that the sender has brought, by whatever way: these may end within a piece.
    private func rest(of piece: BlobPart) -> BlobPart {
        guard let part = folder.part(piece.name, from: sender.description),
            part.size == piece.size, part.held > piece.offset,
            part.held - piece.offset < piece.bytes.count
        else { return piece }
        var rest = piece
        rest.bytes.removeFirst(Int(part.held - piece.offset))
        rest.offset = part.held
        return rest
    }

    var tally: BundleExchange.BlobTally {
        var tally = BundleExchange.BlobTally()
        tally.newBytes = newBytes
        for standing in standings.values {
            switch standing {
            case .new: tally.newCount += 1
            case .known: tally.knownCount += 1
            case .unnamed: tally.unnamedCount += 1
            case .partial: tally.partialCount += 1
            case .refused: tally.refusedCount += 1
            }
        }
        return tally
    }
}
