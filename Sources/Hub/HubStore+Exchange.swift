internal import Causality
internal import FieldRecords
internal import Merge
internal import RecordSchema
internal import ReplicaStore
package import SyncProtocol

/// What the hub answers in a sync session, scope by scope.
extension HubStore {
    /// Takes in what a device brings, durably, and answers with what it doesn't have.
    ///
    /// - Parameter publicKey: of the device that signed the request.
    package func exchange(_ request: SyncRequest, from publicKey: [UInt8]) throws -> SyncReply {
        for part in request.parts { try takeBack(part) }
        let granted = try granted(to: publicKey)
        let device = DeviceID(publicKey: publicKey)
        if let cut = try revocation(of: device) {
            return try handOver(request, from: publicKey, cut)
        }
        // As long as a laptop holds more of the hub's own stream, the hub gives no number of it.
        let decides = !request.parts.contains(where: isBehind)
        if decides {
            try renewIfDue(device)
            try statePinsIfDue()
        }
        try replica.seal()
        var room = Limits.batchBytes
        var parts: [SyncReply.Part] = []
        for part in request.parts {
            parts.append(
                try answer(part, of: granted, from: publicKey, decides: decides, &room))
        }
        try note(request, from: publicKey)
        // A reader may be in the way; then it is for the next request.
        _ = try? replica.emptyFreePages()
        return SyncReply(
            parts: parts, scopes: try readableScopes(of: granted), hubMilliseconds: now)
    }

    /// - Parameters:
    ///   - decides: whether the hub may write to its own stream.
    ///   - room: of the reply, in bytes; 0 once a scope has more to give than fits: those behind it
    ///     come later.
    private func answer(
        _ part: ExchangeRequest, of granted: [String], from publicKey: [UInt8], decides: Bool,
        _ room: inout Int
    ) throws -> SyncReply.Part {
        guard part.scope == Forum.scope || Forum.schema.mark(ofScope: part.scope) != nil else {
            return .refused(
                Refusal(
                    .upgrade,
                    "this hub knows nothing of a scope \(part.scope): if others do, update the hub")
            )
        }
        let isReadable = mayRead(part.scope, granted)
        let strays = try part.runs.filter { try replica.scope(of: $0) ?? part.scope != part.scope }
        let runs = part.runs.filter { !strays.contains($0) }
        // Who may read a scope no more still hands over what was recorded while it could.
        guard isReadable || !runs.isEmpty else {
            return .refused(
                Refusal(.scope, "this laptop is not let read \(part.scope); ask for a token for it")
            )
        }
        var (heads, rejections) = try take(runs, from: publicKey, feeds: isReadable)
        // Also what a hub that was restored has been asked for before.
        if decides, part.scope == Forum.scope {
            do {
                try eraseIfAsked()
            } catch StoreError.damaged {
                // `karvan-hub verify` says what; meanwhile nobody has to wait for it.
            }
        }
        // Where others stand is none of its business then.
        if !isReadable {
            for index in rejections.indices where rejections[index].refusal.code == .gap {
                rejections[index].refusal = Refusal(.gap, "the hub lacks what it builds on")
            }
        }
        let stray = strays.map {
            Rejection(RunStub($0), Refusal(.scope, "it doesn't lie in \(part.scope)"))
        }
        var reply = ExchangeReply(
            heads: heads, rejections: rejections + stray, entries: [],
            cursor: try part.cursor
                ?? .start(epoch: replica.feedEnd().epoch, scope: part.scope),
            // Who was not told no by what it brought asks once more, and is.
            hasMore: isReadable || rejections.isEmpty, hubMilliseconds: now)
        guard isReadable else { return .answered(reply) }
        guard room > 0 else { return part.runs.isEmpty ? .postponed : .answered(reply) }
        let feed = try replica.feedEntries(
            of: part.scope, after: part.cursor, ahead: part.ahead, room: room)
        if feed.entries.isEmpty, feed.hasMore, runs.isEmpty, strays.isEmpty { return .postponed }
        (reply.entries, reply.cursor, reply.hasMore) = (feed.entries, feed.cursor, feed.hasMore)
        let size = feed.entries.reduce(0) { $0 + ($1.run?.storedBytes ?? Replica.stubBytes) }
        room = feed.hasMore ? 0 : room - min(room, size)
        return .answered(reply)
    }

    /// The scopes that may be read by who has these grants, the base scope first, and whether those to come may
    /// be read too.
    ///
    /// - Parameter listsAll: names those that there are to who may read all.
    func readableScopes(of granted: [String], listsAll: Bool = true) throws -> [String] {
        let isAny = granted.contains(Grant.anyScope)
        let named = granted.filter { $0 != Grant.anyScope && $0 != Forum.scope }
        let all = isAny && listsAll ? try replica.feedScopes() : []
        let others = Set(named + all).subtracting([Forum.scope]).sorted()
        let any = isAny ? [Grant.anyScope] : []
        return [Forum.scope] + others.prefix(Limits.scopes - 2) + any
    }

    /// - Parameter feeds: whether the sender gets what the hub holds beyond that.
    /// - Returns: what is held of each stream now, or kept aside: of what the sender doesn't get nothing is
    ///   said. And what was not taken, as far as its sender has to know: of others' changes that are
    ///   kept aside it reads in the feed.
    func take(
        _ runs: [SealedRun], from publicKey: [UInt8], feeds: Bool = true
    ) throws -> (heads: [RunStub], rejections: [Rejection]) {
        var rejections: [Rejection] = []
        var welcome: [SealedRun] = []
        // Where there are certificates, these decide.
        let asksCertificates = try replica.membership() != nil
        for run in runs {
            if !asksCertificates, let origin = run.header.origin,
                try scopes(ofKey: origin.publicKey) == nil,
                origin.publicKey != publicKey
            {
                rejections.append(
                    Rejection(RunStub(run), Refusal(.revoked, "its device isn't enrolled here")))
            } else {
                welcome.append(run)
            }
        }
        try nameEnded(welcome)
        var held: [StreamID: [RunStub]] = [:]
        func hold(_ run: SealedRun) {
            // Of what goes on from it, the last.
            held[run.header.stream, default: []].removeAll { $0.hash == run.header.previous }
            held[run.header.stream, default: []].append(RunStub(run))
        }
        let sender = DeviceID(publicKey: publicKey)
        let results = try replica.ingest(welcome)
        try finishTakingBack()
        for (run, result) in zip(welcome, results) {
            switch result {
            case .applied, .duplicate: if !feeds { hold(run) }
            case .refused(let refusal):
                // That there is no room for what a lost laptop left concerns nobody else.
                if refusal.code != .tooLarge || replica.device(of: run.header.stream) == sender
                    || run.header.origin?.device == sender
                {
                    rejections.append(Rejection(RunStub(run), refusal))
                }
            case .setAside(let refusal):
                hold(run)
                if try replica.knownOrigin(of: run.header.stream)?.device == sender {
                    rejections.append(Rejection(RunStub(run), refusal))
                }
            }
        }
        var streams = runs.map(\.header.stream)
        if feeds {
            // Of other scopes nothing is said.
            let scope = runs.compactMap { try? replica.scope(of: $0) }.first
            streams += try lacking(welcome, results).filter { stream in
                scope == nil || replica.scope(of: stream) ?? scope == scope
            }
        }
        var heads: [RunStub] = []
        var seen: Set<StreamID> = []
        for stream in streams where seen.insert(stream).inserted {
            if let stubs = held[stream] {
                heads += stubs
            } else if feeds || isGap(in: stream, welcome, results),
                try feeds || replica.knownOrigin(of: stream).map({ $0.device == sender }) ?? true
            {
                // Whoever hands over may think wrongly that his stream is here.
                heads += replica.sealedHeads(of: stream)
            }
        }
        return (heads, rejections)
    }

    /// Whether a run of a stream was not taken because one before it is missing.
    private func isGap(
        in stream: StreamID, _ runs: [SealedRun], _ results: [IngestResult]
    ) -> Bool {
        zip(runs, results).contains { run, result in
            guard case .refused(let refusal) = result else { return false }
            return run.header.stream == stream && refusal.code == .gap
        }
    }

    /// The streams with runs on which others depend, and which the hub lacks. Their sender may think that it holds them:
    /// because a hub that went back in time held them before, because the stream ends there, or because the hub holds another branch
    /// of it.
    private func lacking(
        _ runs: [SealedRun], _ results: [IngestResult]
    ) throws(StoreError) -> [StreamID] {
        var streams: Set<StreamID> = []
        for case (let run, .refused(let refusal)) in zip(runs, results) where refusal.code == .gap {
            for dependency in run.header.dependencies where try replica.lacks(dependency) {
                streams.insert(dependency.stream)
            }
        }
        return Array(streams.sorted().prefix(Limits.runDependencies))
    }

    /// For the operator: when the device was here, and what it said of itself.
    func note(_ request: SyncRequest, from publicKey: [UInt8]) throws {
        try replica.transaction(isDurable: false) {
            try replica.connection.run(
                "UPDATE sy_hub_device SET seen = ?, pending = ?, skew = ? WHERE key = ?",
                .integer(now), .integer(Int64(clamping: request.pendingCount)),
                .integer(request.wallMilliseconds.subtractingReportingOverflow(now).partialValue),
                .blob(publicKey))
        }
    }
}
