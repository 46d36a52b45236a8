public import SyncProtocol

/// The replica's side of what goes beside the log.
public protocol BlobPort: AnyObject {
    /// What lies here and the hub isn't known to hold, and what is named here and lies elsewhere.
    func outline() throws -> BlobOutline

    /// At most `count` bytes of a blob that lies here whole, from `offset` on.
    func bytes(of name: BlobName, from offset: UInt64, count: Int) throws -> [UInt8]

    /// Takes a range from the hub.
    ///
    /// - Returns: how much lies here now; `nil` when all bytes came and aren't those that the name stands for: then
    ///   none of them do.
    func take(_ part: BlobPart) throws -> UInt64?

    /// Notes that the hub holds a blob.
    func noteSent(_ name: BlobName) throws

    /// The hub lacks a blob that it was known to hold: it waits again.
    func noteUnsent(_ name: BlobName) throws

    /// The hub doesn't take a blob.
    func noteRefused(_ name: BlobName, _ refusal: Refusal) throws
}

/// The hub's side of it.
public protocol BlobHubPort: AnyObject {
    /// Blocks until the answer is there, or a limit is reached.
    ///
    /// - Returns: `nil` from a hub that knows nothing of blobs.
    func blobs(_ request: BlobRequest) throws(TransportFailure) -> BlobReply?
}

/// The blobs of a replica that a hub may lack, or have.
public struct BlobOutline: Hashable, Sendable {
    public struct Blob: Hashable, Sendable {
        public var name: BlobName
        /// Of the whole blob, in bytes; 0 where it isn't known.
        public var size: UInt64
        /// The bytes that lie here, from the first one on.
        public var held: UInt64

        public init(name: BlobName, size: UInt64, held: UInt64) {
            (self.name, self.size, self.held) = (name, size, held)
        }
    }

    public var unsent: [Blob]
    public var lacking: [Blob]
    /// What the hub said that it holds, which may have been lost there since: it is asked again about as many of
    /// these as there is room for, in this order.
    public var sent: [Blob]
    /// Whether the first of these are to be asked about even where nothing else is.
    public var asksAgain: Bool

    public init(
        unsent: [Blob], lacking: [Blob], sent: [Blob] = [], asksAgain: Bool = false
    ) {
        (self.unsent, self.lacking) = (unsent, lacking)
        (self.sent, self.asksAgain) = (sent, asksAgain)
    }
}

/// Sends and fetches blobs, after the records that name them: a range at a time each way, so that nothing but the
/// last range is lost with a connection.
public struct BlobDriver {
    /// What is to go.
    public enum Extent: Hashable, Sendable {
        /// What the hub isn't known to hold, without asking: a device that was revoked is told of nothing else.
        case bring
        /// What the hub lacks.
        case send
        /// That, and what this replica lacks.
        case sendAndFetch
    }

    public enum Outcome: Hashable, Sendable {
        /// All went that could.
        case completed
        /// Somebody asked for something else to go first.
        case interrupted
        case failed(TransportFailure)
        /// The hub knows nothing of blobs.
        case unknownToHub
    }

    public struct Progress: Hashable, Sendable {
        public var sentCount = 0
        public var sentBytes: UInt64 = 0
        public var receivedCount = 0
        public var receivedBytes: UInt64 = 0
        /// What waits to be sent, with what a refusal holds back.
        public var unsentCount = 0
        public var unsentBytes: UInt64 = 0
        /// What is named here and lies elsewhere, with what the hub doesn't hold either.
        public var lackingCount = 0
        /// Of these, what the hub doesn't hold, where that was asked for.
        public var missingAtHubCount = 0
        /// Why some weren't taken, by the hub or here.
        public var refusals: [Refusal] = []
        public var roundTrips = 0

        public init() {}
    }

    private struct Transfer {
        var blob: BlobOutline.Blob
        /// Where the next range begins.
        var offset: UInt64
        /// The furthest that it has come, and answers in a row that brought it no further.
        var furthest: UInt64
        var idleCount = 0

        init(blob: BlobOutline.Blob, offset: UInt64) {
            (self.blob, self.offset, furthest) = (blob, offset, offset)
        }

        mutating func move(to place: UInt64) {
            idleCount = place > furthest ? 0 : idleCount + 1
            (offset, furthest) = (place, max(furthest, place))
        }
    }

    private let port: any BlobPort
    private let hub: any BlobHubPort
    /// What people call it.
    private let hubName: String
    private let goesOn: () -> Bool
    private let observe: (Progress) -> Void

    /// How many blobs are asked for at once: small ones come together.
    private static let fetchedAtOnce = 16
    private static let idleLimit = 3

    /// - Parameters:
    ///   - hub: or a laptop that serves.
    ///   - hubName: what people call it.
    ///   - goesOn: asked before each request; `false` interrupts.
    ///   - observe: called after each answer.
    public init(
        port: any BlobPort, hub: any BlobHubPort, hubName: String = "the hub",
        goesOn: @escaping () -> Bool = { true }, observe: @escaping (Progress) -> Void = { _ in }
    ) {
        (self.port, self.hub, self.hubName) = (port, hub, hubName)
        (self.goesOn, self.observe) = (goesOn, observe)
    }

    /// - Throws: what the replica throws; a failure of the network is an outcome.
    public func run(_ extent: Extent) throws -> (outcome: Outcome, progress: Progress) {
        let outline = try port.outline()
        var progress = Progress()
        progress.unsentCount = outline.unsent.count
        progress.unsentBytes = outline.unsent.reduce(0) { $0 + $1.size }
        progress.lackingCount = outline.lacking.count
        do {
            var uploads: [Transfer] = []
            var downloads: [Transfer] = []
            if extent == .bring {
                uploads = outline.unsent.map { Transfer(blob: $0, offset: 0) }
            } else {
                let fetched = extent == .send ? [] : outline.lacking
                try compare(outline, fetched, &uploads, &downloads, &progress)
            }
            while !uploads.isEmpty || !downloads.isEmpty {
                try move(&uploads, &downloads, &progress)
                observe(progress)
            }
            return (.completed, progress)
        } catch let failure as TransportFailure {
            return (failure == .cancelled ? .interrupted : .failed(failure), progress)
        } catch is Interruption {
            return (.interrupted, progress)
        } catch is UnknownToHub {
            return (.unknownToHub, progress)
        }
    }

    private struct Interruption: Error {}
    private struct UnknownToHub: Error {}

    private func answer(
        to request: BlobRequest, _ progress: inout Progress
    ) throws -> BlobReply {
        guard goesOn() else { throw Interruption() }
        guard let reply = try hub.blobs(request) else { throw UnknownToHub() }
        progress.roundTrips += 1
        guard reply.holdings.count == request.asks.count,
            (reply.taken == nil) == (request.part == nil)
        else {
            throw TransportFailure.notOurHub(
                "what \(hubName) answers about photos doesn't fit the question")
        }
        return reply
    }

    private enum Kind { case unsent, lacking, sent }

    /// Asks how much of each the hub holds.
    private func compare(
        _ outline: BlobOutline, _ lacking: [BlobOutline.Blob],
        _ uploads: inout [Transfer], _ downloads: inout [Transfer], _ progress: inout Progress
    ) throws {
        var all = outline.unsent.map { ($0, Kind.unsent) } + lacking.map { ($0, Kind.lacking) }
        if !all.isEmpty || outline.asksAgain {
            // What is left of the last message.
            let taken = all.count % Limits.blobAsks
            let room = taken > 0 || all.isEmpty ? Limits.blobAsks - taken : 0
            all += outline.sent.prefix(room).map { ($0, .sent) }
        }
        for start in stride(from: 0, to: all.count, by: Limits.blobAsks) {
            let asked = all[start..<min(start + Limits.blobAsks, all.count)]
            let request = BlobRequest(asks: asked.map { BlobRequest.Ask($0.0.name) })
            let reply = try answer(to: request, &progress)
            for ((blob, kind), holding) in zip(asked, reply.holdings) {
                switch kind {
                case .unsent: try compare(unsent: blob, holding, &uploads, &progress)
                case .lacking: try compare(lacking: blob, holding, &downloads, &progress)
                case .sent:
                    if let holding, holding.isWhole, holding.size == blob.size {
                        try port.noteSent(blob.name)
                        continue
                    }
                    try port.noteUnsent(blob.name)
                    progress.unsentCount += 1
                    progress.unsentBytes += blob.size
                    try compare(unsent: blob, holding, &uploads, &progress)
                }
            }
        }
    }

    private func compare(
        unsent blob: BlobOutline.Blob, _ holding: BlobReply.Holding?, _ uploads: inout [Transfer],
        _ progress: inout Progress
    ) throws {
        guard let holding, holding.size == blob.size else {
            uploads.append(Transfer(blob: blob, offset: 0))
            return
        }
        guard !holding.isWhole else { return try sent(blob, &progress, counts: false) }
        uploads.append(Transfer(blob: blob, offset: holding.held))
    }

    private func compare(
        lacking blob: BlobOutline.Blob, _ holding: BlobReply.Holding?,
        _ downloads: inout [Transfer], _ progress: inout Progress
    ) throws {
        guard let holding, holding.isWhole, holding.size > 0 else {
            progress.missingAtHubCount += 1
            return
        }
        guard holding.size <= Limits.blobBytes else {
            progress.refusals.append(
                Refusal(.tooLarge, "\(hubName) has a photo of \(holding.size) bytes"))
            return
        }
        // What lies here may be of what another size was said of.
        let resumes = blob.size == holding.size
        downloads.append(Transfer(blob: blob, offset: resumes ? blob.held : 0))
    }

    private func sent(
        _ blob: BlobOutline.Blob, _ progress: inout Progress, counts: Bool
    ) throws {
        try port.noteSent(blob.name)
        progress.unsentCount -= 1
        progress.unsentBytes -= blob.size
        guard counts else { return }
        progress.sentCount += 1
        progress.sentBytes += blob.size
    }

    /// One range each way.
    private func move(
        _ uploads: inout [Transfer], _ downloads: inout [Transfer], _ progress: inout Progress
    ) throws {
        var request = BlobRequest()
        if let next = uploads.first {
            let bytes = try port.bytes(
                of: next.blob.name, from: next.offset, count: Limits.blobPartBytes)
            guard !bytes.isEmpty else {
                // It was taken away meanwhile, or cut short.
                uploads.removeFirst()
                return
            }
            request.part = BlobPart(
                name: next.blob.name, size: next.blob.size, offset: next.offset, bytes: bytes)
        }
        request.asks = downloads.prefix(Self.fetchedAtOnce).map {
            BlobRequest.Ask($0.blob.name, from: $0.offset)
        }
        let reply = try answer(to: request, &progress)
        if let taken = reply.taken {
            try note(taken, &uploads, &progress)
        }
        var rest: [Transfer] = []
        for (index, holding) in reply.holdings.enumerated() {
            let isFirst = index == 0
            if let left = try take(holding, downloads[index], isFirst: isFirst, &progress) {
                rest.append(left)
            }
        }
        downloads = rest + downloads.dropFirst(reply.holdings.count)
    }

    private func note(
        _ taken: BlobReply.Taken, _ uploads: inout [Transfer], _ progress: inout Progress
    ) throws {
        var next = uploads.removeFirst()
        switch taken {
        case .held(let holding) where holding.isWhole && holding.size == next.blob.size:
            try sent(next.blob, &progress, counts: true)
        case .held(let holding):
            next.move(to: holding.size == next.blob.size ? holding.held : 0)
            guard next.idleCount < Self.idleLimit else {
                progress.refusals.append(
                    Refusal(.retry, "\(hubName) takes a photo in, and doesn't get further with it"))
                return
            }
            uploads.insert(next, at: 0)
        case .refused(let refusal):
            progress.refusals.append(refusal)
            try port.noteRefused(next.blob.name, refusal)
        }
    }

    /// - Returns: what is still to be fetched of it.
    private func take(
        _ holding: BlobReply.Holding?, _ transfer: Transfer, isFirst: Bool,
        _ progress: inout Progress
    ) throws -> Transfer? {
        var next = transfer
        guard let holding, holding.isWhole, holding.size <= Limits.blobBytes,
            next.offset < holding.size
        else {
            progress.missingAtHubCount += 1
            return nil
        }
        guard !holding.bytes.isEmpty else {
            // There was no room for it: for the first there always is.
            if isFirst { next.idleCount += 1 }
            return keeping(next, &progress)
        }
        guard UInt64(holding.bytes.count) <= holding.size - next.offset else {
            throw TransportFailure.notOurHub("\(hubName) gave more of a photo than there is")
        }
        let part = BlobPart(
            name: next.blob.name, size: holding.size, offset: next.offset, bytes: holding.bytes)
        guard let held = try port.take(part) else {
            progress.refusals.append(
                Refusal(.poison, "what came for a photo isn't that photo; the next sync asks again")
            )
            return nil
        }
        guard held < holding.size else {
            progress.receivedCount += 1
            progress.receivedBytes += holding.size
            progress.lackingCount -= 1
            return nil
        }
        next.move(to: held)
        return keeping(next, &progress)
    }

    /// Gives up what doesn't get further.
    private func keeping(_ transfer: Transfer, _ progress: inout Progress) -> Transfer? {
        if transfer.idleCount < Self.idleLimit { return transfer }
        progress.refusals.append(
            Refusal(.retry, "\(hubName) has a photo, and doesn't get further with it"))
        return nil
    }
}
