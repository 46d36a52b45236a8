public import Bundles
public import Causality
public import ReplicaStore
public import SyncProtocol

/// A replica as the maker and the reader of bundles.
public struct BundleExchange {
    let replica: Replica

    public init(_ replica: Replica) { self.replica = replica }

    /// What was written.
    public struct Written: Hashable, Sendable {
        public struct File: Hashable, Sendable {
            public var path: String
            public var byteCount: UInt64
        }

        public var files: [File]
        public var changesetCount: UInt64
        public var blobCount = 0
        /// Of all these blobs.
        public var blobBytes: UInt64 = 0
    }

    /// Writes what somebody lacks into a file, or into several.
    ///
    /// - Parameters:
    ///   - path: of the first; nothing lies there yet.
    ///   - recipient: whom it is for: it says what goes in.
    ///   - others: who may open it too: all that is in it, they may read.
    ///   - blobs: which go along.
    ///   - limitBytes: what one file may have.
    ///   - epoch: of the feed, where the replica is a hub's.
    /// - Throws: ``Bundles/BundleFileError``; ``ReplicaStore/StoreError``.
    public func write(
        to path: String, for recipient: BundleRecipient, and others: [BundleRecipient] = [],
        _ extent: BundleExtent = .news, blobs: BundledBlobs = .none,
        limitBytes: UInt64 = Limits.bundleBytes, epoch: Identifier? = nil
    ) throws -> Written {
        let output = try output(to: path, for: recipient, and: others, limitBytes, epoch)
        let count = try replica.bundleRuns(for: recipient, extent) { try output.add($0) }
        var written = Written(files: [], changesetCount: count)
        if replica.servesFeed {
            for holdings in try replica.bundledHoldings(for: recipient) { try output.add(holdings) }
        }
        for entry in try replica.bundledBlobs(for: recipient, blobs) {
            try add(entry, to: output)
            written.blobCount += 1
            written.blobBytes += entry.size
        }
        written.files = try output.finish().map {
            Written.File(path: $0.path, byteCount: $0.byteCount)
        }
        return written
    }

    private func add(_ entry: BlobFolder.Entry, to output: BundleOutput) throws {
        try output.makeRoom(forBlob: entry.size)
        var piece = BlobPart(name: entry.name, size: entry.size, offset: 0, bytes: [])
        while piece.offset < entry.size {
            piece.bytes = try replica.blobs.bytes(
                of: entry.name, from: piece.offset, count: Limits.blobPartBytes)
            guard !piece.bytes.isEmpty else {
                throw StoreError.damaged(
                    path: replica.blobs.path, detail: "\(entry.name.digest) was cut short")
            }
            try output.add(piece)
            piece.offset += UInt64(piece.bytes.count)
        }
    }

    /// What somebody lacks, as one bundle in memory.
    struct Made {
        var bytes: [UInt8]
        var changesetCount: UInt64 = 0
        /// There was room for all that was to go in.
        var isWhole = true
        /// Of each stream and branch, the last run that is in it.
        var lasts: [StreamID: [RunStub]] = [:]
    }

    /// - Parameter limitBytes: what has no room in these is left out, but for one run.
    func bytes(
        for recipient: BundleRecipient, _ extent: BundleExtent, limitBytes: UInt64
    ) throws -> Made {
        let output = try output(to: nil, for: recipient, and: [], limitBytes, nil)
        var made = Made(bytes: [])
        do {
            _ = try replica.bundleRuns(for: recipient, extent) { runs in
                guard output.hasRoom(for: runs) else { throw NoRoom() }
                try output.add(runs)
                for run in runs.runs {
                    made.changesetCount += UInt64(run.header.count)
                    made.lasts.add(run)
                }
            }
        } catch is NoRoom {
            made.isWhole = false
        }
        made.bytes = try output.bytes(isWhole: made.isWhole)
        return made
    }

    private struct NoRoom: Error {}

    private func output(
        to path: String?, for recipient: BundleRecipient, and others: [BundleRecipient],
        _ limitBytes: UInt64, _ epoch: Identifier?
    ) throws -> BundleOutput {
        guard let root = try replica.membership()?.anchor.root else {
            throw StoreError.invalid(
                "this replica belongs to no forum yet: there is nobody to make a bundle for. Enrol it "
                    + "first: `karvan enrol URL TOKEN`")
        }
        let key = try replica.key()
        let list = try replica.bundleList(for: recipient, epoch: epoch)
        // The sender too: what it gave away, it may look at.
        let own = BundleOutput.Recipient(
            device: key.device, encryptionKey: key.encryptionPublicKey)
        return try BundleOutput(
            path: path, limitBytes: limitBytes, key: key, root: root,
            madeMilliseconds: replica.environment.wallMilliseconds(),
            recipients: ([recipient] + others).map {
                BundleOutput.Recipient(device: $0.device, encryptionKey: $0.encryptionKey)
            } + [own],
            list: list)
    }

    /// What became of a bundle.
    public struct Taken: Sendable {
        public var summary: BundleInput.Summary
        /// What its sender held.
        public var list: BundleList
        public var tally: Tally
        public var blobs: BlobTally
        /// Why not all blobs could be kept, though all else was taken in: a full disk, say.
        public var blobProblem: StoreError?
    }

    /// What became of its runs.
    public struct Tally: Hashable, Sendable {
        /// Changesets that are part of the state now and weren't before.
        public var newCount: UInt64 = 0
        /// Changesets that were held already.
        public var knownCount: UInt64 = 0
        public var runCount = 0
        /// Runs that were held already.
        public var knownRunCount = 0
        /// Changesets that the hub wasn't known to hold before, and is now.
        public var confirmedCount: UInt64 = 0
        /// Runs that wait for others, or for a later build.
        public var waiting: [RejectedRun] = []
        /// Runs behind the end of their stream: they count nowhere.
        public var asideCount = 0
        public var refused: [RejectedRun] = []

        /// Of each stream and branch, the last run that came.
        var lasts: [StreamID: [RunStub]] = [:]

        mutating func add(_ run: SealedRun, _ result: IngestResult) {
            lasts.add(run)
            runCount += 1
            if case .duplicate = result { knownRunCount += 1 }
            switch result {
            case .applied(let count): newCount += UInt64(count)
            case .duplicate: knownCount += UInt64(run.header.count)
            case .setAside: asideCount += 1
            case .refused(let refusal):
                let one = RejectedRun(run: RunStub(run), refusal: refusal)
                if [.gap, .upgrade].contains(refusal.code) {
                    waiting.append(one)
                } else {
                    refused.append(one)
                }
            }
        }
    }

    public struct RejectedRun: Hashable, Sendable {
        public var run: RunStub
        public var refusal: Refusal
    }

    /// Takes in a bundle, once all of it was read and found whole.
    ///
    /// - Parameters:
    ///   - take: takes runs; without it, as a device does.
    ///   - wanted: the blobs that are taken, once the runs before them were; without it those that are named.
    /// - Throws: ``Bundles/BundleFileError``, when nothing was taken in; ``ReplicaStore/StoreError``.
    public func read(
        _ path: String, take: ((BundledRuns) throws -> [IngestResult])? = nil,
        wanted: (() throws -> Set<BlobName>)? = nil
    ) throws -> Taken {
        try read(BundleInput(path: path), take: take, wanted: wanted)
    }

    /// - Parameter guest: a sender that has shown a true certificate, whether it lies in the records or not.
    func read(
        _ input: BundleInput, by guest: [UInt8]? = nil,
        take: ((BundledRuns) throws -> [IngestResult])? = nil,
        wanted: (() throws -> Set<BlobName>)? = nil
    ) throws -> Taken {
        var taken = Tally()
        var sent: BundleList?
        var sender: [UInt8] = []
        var blobs: BlobTaking?
        var holdings: [BlobHoldings] = []
        let summary = try input.open(
            by: replica.key(),
            isWelcome: { head in
                try checkIsWelcome(head, input.path, guest)
                sender = head.sender
            }
        ) { content in
            switch content {
            case .list(let list): sent = list
            case .runs(let bundled):
                let results = try take?(bundled) ?? replica.take(bundled)
                for (run, result) in zip(bundled.runs, results) { taken.add(run, result) }
            case .piece(let piece):
                var taking =
                    try blobs
                    ?? BlobTaking(
                        folder: replica.blobs, sender: DeviceID(publicKey: sender),
                        wanted: wanted?() ?? replica.namedBlobs())
                taking.take(piece)
                blobs = taking
            case .holdings(let some): holdings.append(some)
            }
        }
        guard let sent else { preconditionFailure("a whole bundle without a list") }
        let pendingCount = try replica.pending().count
        taken.newCount += try replica.finishBundle(sent, by: summary.head.sender)
        taken.confirmedCount = pendingCount - min(pendingCount, try replica.pending().count)
        taken.waiting = try taken.waiting.filter { try !replica.holds($0.run) }
        var tally = blobs?.tally ?? BlobTally()
        tally.confirmedCount = try replica.note(
            holdings, with: sent, by: sender, madeMilliseconds: summary.head.madeMilliseconds)
        return Taken(
            summary: summary, list: sent, tally: taken, blobs: tally, blobProblem: blobs?.problem)
    }

    private func checkIsWelcome(_ head: BundleHead, _ path: String, _ guest: [UInt8]?) throws {
        guard let root = try replica.membership()?.anchor.root, head.root == root else {
            throw BundleFileError.bundle(path: path, BundleError(.otherRoot, at: 0))
        }
        guard try head.sender == guest || replica.isMember(head.sender) else {
            throw BundleFileError.bundle(path: path, BundleError(.stranger, at: 0))
        }
    }
}

extension [StreamID: [RunStub]] {
    /// Of what goes on from one, the last stays.
    fileprivate mutating func add(_ run: SealedRun) {
        self[run.header.stream, default: []].removeAll { $0.hash == run.header.previous }
        self[run.header.stream, default: []].append(RunStub(run))
    }
}
