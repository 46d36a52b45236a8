internal import Causality
private import Merge
public import SyncProtocol

/// What a reply changed.
public struct AppliedReply: Hashable, Sendable {
    public var changesetCount: UInt64 = 0
    public var quarantinedCount: UInt64 = 0
    public var lacksBodies = false
    /// A run was not the one that the feed names; the cursor stays before the first of them.
    public var damage: Refusal?
    /// Something can be sent now that could not before.
    public var hasMoreToSend = false
    /// What the feed named, and was not taken when it came.
    var missed: [RunStub] = []
}

extension Replica {
    /// Takes in a hub's reply: what is new, then where the feed stands, then what the hub holds.
    ///
    /// - Parameters:
    ///   - scope: what it is about.
    ///   - start: the cursor that the request named.
    ///   - observe: called after each transaction. What it throws ends the work there: runs and cursor
    ///     have moved together, and the next sync goes on behind them.
    /// - Throws: ``Refusal`` POISON when the entries don't lead to the reply's cursor; then
    ///   nothing is taken in.
    public func apply(
        _ reply: ExchangeReply, in scope: String = Replica.scope, from start: Cursor?,
        observe: (IngestProgress) throws -> Void = { _ in }
    ) throws -> AppliedReply {
        var position = start ?? .start(epoch: reply.cursor.epoch, scope: scope)
        // As this replica has it stored: another process may move it, or drop it, meanwhile.
        var stored = start
        let end = reply.entries.reduce(position) { $0.advanced(by: $1.stub) }
        guard end == reply.cursor else {
            throw Refusal(.poison, "the hub's entries don't lead to its cursor")
        }
        var applied = AppliedReply()
        let offered = owedOffered.removeValue(forKey: scope) ?? []
        let brought = offeredStreams.removeValue(forKey: scope) ?? []
        takenBack = (0, 0)
        let leftBefore = try left().count
        var rest = reply.entries[...]
        while !rest.isEmpty, !applied.lacksBodies {
            let progress = try take(&rest, of: scope, at: &position, &stored, &applied)
            lock?.giveWay()
            try renewIfForked()
            try observe(progress)
        }
        let isBelieved = try remember(reply, scope, position, &stored, offered, brought)
        if try hasHoles() {
            try transaction {
                try drain()
                try mendIfNeeded()
            }
        } else if try hasStranded() {
            // A certificate may have come behind what it allows.
            try transaction {
                try drain()
                let taken = try takeAllStranded()
                applied.changesetCount += taken.changesetCount
                // They were counted when they came, if they came now.
                let count = UInt64(taken.runCount - taken.refusedCount)
                applied.quarantinedCount -= min(count, applied.quarantinedCount)
            }
        }
        try renewIfForked()
        if try cursor(in: scope) == stored { try noteAdmitted(applied.missed) }
        // What was put aside just now, and admitted behind that.
        applied.quarantinedCount -= min(takenBack.runCount, applied.quarantinedCount)
        applied.changesetCount += takenBack.changesetCount
        let isAtEnd = !reply.hasMore && !applied.lacksBodies && applied.damage == nil
        if isAtEnd { try adoptPutBack(in: scope) }
        let isDoubted =
            try isAtEnd && reply.rejections.isEmpty && doubtHeads(behind: reply.cursor, of: scope)
        // What the hub takes or has taken is offered again: the answer to that says what it holds.
        applied.hasMoreToSend =
            try !isBelieved || isDoubted || left().count < leftBefore
            || !owedRuns(in: scope).isEmpty
            // The hub may have lost what it admits, and others have kept.
            || takenBack.runCount > 0 && pending().count > 0
        return applied
    }

    /// Takes in some entries in one transaction, and moves the cursor with them, as far as nothing
    /// came damaged: what did is asked for again, and what lies behind it then comes by name.
    ///
    /// - Parameter entries: what is not taken in yet.
    private func take(
        _ entries: inout ArraySlice<FeedEntry>, of scope: String, at position: inout Cursor,
        _ stored: inout Cursor?, _ applied: inout AppliedReply
    ) throws -> IngestProgress {
        // The first is read before others have to wait for it.
        var ahead = entries.first?.run.map { incoming($0) }
        var (rest, cursor, result, known) = (entries, position, applied, stored)
        var slice = IngestSlice()
        var progress = IngestProgress()
        try transaction(isDurable: false, isBulk: true) {
            try drain()
            let peer = try peer()
            // Of a hub that was forgotten meanwhile nothing is noted: what comes may be of an old feed.
            let counts = try self.cursor(in: scope) == known
            var accepted: [AcceptedRun] = []
            while let entry = rest.first, slice.hasRoom(under: lock) {
                let next = ahead ?? entry.run.map { incoming($0) }
                ahead = nil
                var isHeld = true
                if let next {
                    isHeld = try take(next, of: scope, into: &accepted, &result, &progress)
                } else if case .stub(let stub) = entry {
                    // The hub has what is missing of it, else it had come whole.
                    if try holder(of: stub) == nil || lacksKeys(stub) {
                        result.lacksBodies = true
                        break
                    }
                } else {
                    isHeld = try holder(of: entry.stub) != nil
                }
                if result.damage == nil {
                    cursor = cursor.advanced(by: entry.stub)
                    if isHeld, counts { try setFed(entry.stub, peer) }
                }
                if !isHeld, result.damage == nil { result.missed.append(entry.stub) }
                slice.add(next)
                rest.removeFirst()
            }
            try apply(&accepted)
            if mayReachEnd { try endStreams() }
            try rows.streams.update(own, in: connection)
            try moveCursor(&known, of: scope, to: cursor, peer)
        }
        (entries, position, applied, stored) = (rest, cursor, result, known)
        return progress
    }

    /// - Returns: whether the replica holds the run now.
    private func take(
        _ incoming: IncomingRun, of scope: String, into accepted: inout [AcceptedRun],
        _ applied: inout AppliedReply, _ progress: inout IngestProgress
    ) throws -> Bool {
        let result = try accept(incoming, into: &accepted)
        if case .duplicate = result, !incoming.run.areKeysFitting {
            applied.damage = applied.damage ?? refusal(of: incoming.run.header, .keys)
            return false
        }
        if case .refused = result {
            if let damage = try damage(of: incoming) {
                applied.damage = applied.damage ?? refusal(of: incoming.run.header, damage)
            }
            // It comes once more, when what is missing before it does.
            if applied.damage != nil { return false }
        }
        progress.add(incoming, result)
        switch result {
        case .applied(let count): applied.changesetCount += UInt64(count)
        case .duplicate: try noteOwed(incoming.run)
        case .setAside:
            applied.quarantinedCount += 1
            return false
        case .refused(let refusal):
            applied.quarantinedCount += 1
            try quarantine(incoming.run, refusal, in: scope)
            return false
        }
        return true
    }

    /// Why a run that was refused is not the one that its header names: something on the way has changed
    /// it. `nil` also where nobody can say whose it is.
    private func damage(of incoming: IncomingRun) throws(StoreError) -> RunError? {
        if let damage = incoming.damage { return damage }
        // What lies behind an end is not read before it is put aside.
        guard incoming.contents == nil, let origin = try origin(of: incoming.run) else {
            return nil
        }
        do {
            try incoming.run.verify(publicKey: origin.publicKey)
            return nil
        } catch {
            return error.isDamage ? error : nil
        }
    }

    private func refusal(of header: RunHeader, _ damage: RunError) -> Refusal {
        Refusal(
            .poison,
            """
            changes \(header.stream):\(header.firstSeq) to \(header.lastSeq) came damaged \
            (\(damage.explanation)). Sync again: they are asked for once more
            """)
    }

    /// Where another process has moved the cursor meanwhile, or dropped it, its word stands.
    ///
    /// - Parameter known: where it stood when this was begun, and stands now.
    private func moveCursor(
        _ known: inout Cursor?, of scope: String, to cursor: Cursor, _ peer: Value
    ) throws(StoreError) {
        guard try self.cursor(in: scope) == known else { return }
        known = cursor
        let epoch = Value.blob(cursor.epoch.bytes)
        if try connection.meta(MetaKey.epoch) != epoch {
            try connection.setMeta(MetaKey.epoch, epoch)
        }
        try connection.run(
            "INSERT OR REPLACE INTO sy_peer VALUES(?, ?, ?, ?, ?)", peer,
            .text(scope), .blob(cursor.epoch.bytes), .integer(Int64(cursor.offset)),
            .blob(cursor.chain.bytes))
    }

    /// The feed has named a run: the hub holds it, and this replica needn't name it again.
    private func setFed(_ stub: RunStub, _ peer: Value) throws(StoreError) {
        guard let record = try holder(of: stub) else { return }
        let seq = Value.integer(Int64(stub.lastSeq))
        try connection.run(
            """
            INSERT INTO sy_peer_head(peer, sid, has, fed) VALUES(?, ?, ?, ?) ON CONFLICT DO UPDATE
            SET has = max(has, excluded.has), fed = max(fed, excluded.fed)
            """, peer, .integer(record.sid), seq, seq)
    }

    /// What was put aside when the feed named it, and has been taken since, needn't be offered.
    private func noteAdmitted(_ stubs: [RunStub]) throws(StoreError) {
        var held: [RunStub] = []
        for stub in stubs {
            if try holder(of: stub) != nil { held.append(stub) }
        }
        guard !held.isEmpty else { return }
        try transaction(isDurable: false) { () throws(StoreError) in
            let peer = try peer()
            for stub in held { try setFed(stub, peer) }
        }
    }

    /// What the hub says it holds stands, even where that is less than was thought. A head that names
    /// a run that is not here does not: what waits must go on waiting.
    ///
    /// - Parameters:
    ///   - offered: what the request brought for its keys.
    ///   - brought: the streams of which it brought runs.
    /// - Returns: whether all heads stand.
    private func remember(
        _ reply: ExchangeReply, _ scope: String, _ cursor: Cursor, _ stored: inout Cursor?,
        _ offered: [RunStub], _ brought: Set<StreamID>
    ) throws(StoreError) -> Bool {
        var known = stored
        defer { stored = known }
        // What a sync says it has received is on the disk, with all that was taken in before. Should a
        // power cut take the rest, the hub says it again.
        return try transaction(isDurable: !reply.entries.isEmpty) { () throws(StoreError) in
            var isBelieved = true
            var named: Set<Int64> = []
            let peer = try peer()
            for head in reply.heads {
                guard let record = try holder(of: head) ?? stem(without: head) else {
                    // What the hub keeps aside was cut off here by now.
                    if try !isBehindEnd(head) { isBelieved = false }
                    continue
                }
                try setHas(head.lastSeq, of: record, peer)
                named.insert(record.sid)
            }
            // Where a run lacks what lies before it or what it depends on, the heads name all branches that the hub holds
            // of that.
            let lacking = Set(
                reply.rejections.filter { $0.refusal.code == .gap }.map(\.run.stream)
            ).union(Set(reply.heads.map(\.stream)).subtracting(brought))
            for record in lacking.sorted().flatMap({ rows.streams.family($0) })
            where !named.contains(record.sid) && rows.streams.isForked(record.wire) {
                try setHas(try base(of: record, under: reply.heads), of: record, peer)
            }
            try moveCursor(&known, of: scope, to: cursor, peer)
            try forgetOwed(offered)
            try connection.setMeta("last_sync", .integer(environment.wallMilliseconds()))
            try connection.setMeta(
                "clock_offset",
                .integer(reply.hubMilliseconds - environment.wallMilliseconds()))
            return isBelieved
        }
    }

    /// A feed that was read to its end names all that its hub holds of a stream that goes on. What the hub
    /// was thought to hold beyond that it has lost, or it was never so: the feed is read anew, and all
    /// that it doesn't name is offered again. A hub that says so even then is not believed.
    ///
    /// - Parameter end: of the feed; when another process reads it anew, that one is to say.
    /// - Returns: whether there was any.
    private func doubtHeads(behind end: Cursor, of scope: String) throws(StoreError) -> Bool {
        guard try cursor(in: scope) == end else { return false }
        let doubted = try peerHeads().filter { sid, known in
            guard let record = rows.streams[sid: sid], record.scope == scope else { return false }
            return known.has > known.fed && record.end == nil
        }
        guard !doubted.isEmpty else {
            doubtedScopes.remove(scope)
            return false
        }
        let readsAnew = doubtedScopes.insert(scope).inserted
        try transaction(isDurable: false) { () throws(StoreError) in
            let peer = try peer()
            for sid in doubted.keys.sorted() {
                try connection.run(
                    "UPDATE sy_peer_head SET has = fed WHERE peer = ? AND sid = ?", peer,
                    .integer(sid))
            }
            guard readsAnew else { return }
            try connection.run(
                "DELETE FROM sy_peer WHERE peer = ? AND scope = ?", peer, .text(scope))
            // So that it comes by names.
            try connection.run(
                """
                UPDATE sy_peer_head SET fed = 0 WHERE peer = ?
                AND sid IN (SELECT sid FROM sy_stream WHERE scope = ?)
                """, peer, .text(scope))
        }
        return true
    }

    /// The stream that a head says nothing is held of.
    private func stem(without head: RunStub) -> StreamRecord? {
        head.lastSeq == 0 ? rows.streams[head.stream] : nil
    }

    /// Up to where a hub holds a stream, of which it names branches only.
    private func base(
        of record: StreamRecord, under heads: [RunStub]
    ) throws(StoreError) -> UInt64 {
        var base = record.base
        for head in heads where head.stream == record.wire {
            var held = try holder(of: head)
            while let branch = held?.branch {
                if branch.parent == record.sid { base = max(base, branch.base) }
                held = rows.streams[sid: branch.parent]
            }
        }
        return base
    }

    private func setHas(
        _ seq: UInt64, of record: StreamRecord, _ peer: Value
    ) throws(StoreError) {
        try connection.run(
            """
            INSERT INTO sy_peer_head(peer, sid, has, fed) VALUES(?, ?, ?, 0)
            ON CONFLICT DO UPDATE
            SET has = excluded.has
            """, peer, .integer(record.sid), .integer(Int64(seq)))
    }
}
