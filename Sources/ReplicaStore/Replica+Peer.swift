public import Causality
internal import Merge
internal import RecordSchema
public import SyncProtocol

/// What a replica knows of the hub that it syncs with.
public struct HubLink: Hashable, Sendable {
    public var url: String
    /// The hub's TLS keys; `nil` where ordinary verification applies.
    public var pins: TrustedPins?
    /// PEM of the authority that `--ca` named.
    public var authority: [UInt8]?
    /// The hub as a device: Ed25519, 32 bytes.
    public var publicKey: [UInt8]
    public var role: String

    public init(
        url: String, pins: TrustedPins?, authority: [UInt8]?, publicKey: [UInt8], role: String
    ) {
        self.url = url
        self.pins = pins
        self.authority = authority
        self.publicKey = publicKey
        self.role = role
    }
}

/// The next batch for a hub.
public struct OutgoingBatch: Sendable {
    public var cursor: Cursor?
    public var ahead: [RunStub] = []
    public var runs: [SealedRun] = []
    public var changesetCount: UInt64 = 0
    public var remainingCount: UInt64 = 0
}

extension Replica {
    // MARK: The link

    /// The hub that this replica is enrolled with.
    public func hubLink() throws(StoreError) -> HubLink? {
        guard case .text(let url)? = try connection.meta("hub_url"),
            case .blob(let key)? = try connection.meta("hub_key")
        else { return nil }
        var authority: [UInt8]?
        if case .blob(let bytes)? = try connection.meta("hub_ca") { authority = bytes }
        var role = ""
        if case .text(let text)? = try connection.meta("role") { role = text }
        return HubLink(
            url: url, pins: try storedPins(), authority: authority, publicKey: key, role: role)
    }

    /// Joins a hub, or joins it again.
    ///
    /// - Parameter membership: `nil` for a hub of an application that has no certificates.
    public func setHubLink(
        _ link: HubLink, membership: Membership? = nil
    ) throws(StoreError) {
        try transaction { () throws(StoreError) in
            if let membership {
                try setMembership(membership)
                // What its certificate says, until the hub has said more.
                try connection.run("DELETE FROM sy_meta WHERE key = ?", .text(MetaKey.scopes))
            }
            var link = link
            // What is known here already of the hub's keys says nothing against those of the token.
            let known = try pinSets(of: DeviceID(publicKey: link.publicKey))
            if let last = known.map(\.statedMilliseconds).max(), let pins = link.pins {
                link.pins?.sinceMilliseconds = max(pins.sinceMilliseconds, last)
            }
            if case .blob(let key)? = try connection.meta("hub_key"), key != link.publicKey {
                try connection.run("DELETE FROM sy_meta WHERE key = ?", .text(MetaKey.epoch))
            }
            try connection.setMeta("hub_url", .text(link.url))
            try connection.setMeta("hub_key", .blob(link.publicKey))
            try store(link.pins)
            try connection.setMeta("hub_ca", link.authority.map(Value.blob) ?? .null)
            try connection.setMeta("role", .text(link.role))
            missingScopes = []
            guard membership != nil else { return }
            // What came before it knew of a root may lie behind an end.
            try drain()
            try endStreams()
        }
    }

    func peer() throws(StoreError) -> Value {
        .blob(try hubLink()?.publicKey ?? [])
    }

    /// How many changesets the hub isn't known to hold, and the time of the oldest.
    public func pending() throws(StoreError) -> (count: UInt64, oldestMilliseconds: Int64?) {
        try read { () throws(StoreError) in try countPending() }
    }

    /// The scopes that the hub is asked for, the base scope first: those that this device may read, by the
    /// hub's last word or by its certificate, and those of which it holds what the hub isn't known to. A
    /// hub that went back in time may know nothing of a scope of which something is held here.
    public func syncedScopes() throws(StoreError) -> [String] {
        try read { () throws(StoreError) in
            var scopes = Set(try readableScopes())
            let heads = try peerHeads()
            for record in rows.streams.records.values where !scopes.contains(record.scope) {
                let isUnsent = record.head > heads[record.sid]?.has ?? record.base
                let mayRead = try mayRead(record.scope)
                if isUnsent || mayRead { scopes.insert(record.scope) }
            }
            scopes.subtract([Self.scope, Grant.anyScope])
            return [Self.scope] + scopes.sorted().prefix(Limits.scopes - 1)
        }
    }

    /// The scopes that this device may read, the base scope first: by the hub's last word, and before that by
    /// its certificate. ``SyncProtocol/Grant/anyScope`` is among them where it may read all.
    public func readableScopes() throws(StoreError) -> [String] {
        if case .text(let text)? = try connection.meta(MetaKey.scopes) {
            return text.split(separator: " ").map(String.init)
        }
        let grants = try membership()?.own?.statement.grants ?? []
        return [Self.scope] + grants.map(\.scope).filter(isOther)
    }

    /// Whether it is a scope beside the base one, or stands for all of them.
    private func isOther(_ scope: String) -> Bool {
        scope == Grant.anyScope || schema.mark(ofScope: scope) != nil
    }

    /// Notes which scopes the hub lets this device read. One that is new is believed at once; that one may be
    /// read no more, when two lists in a row lack it: what lies in it goes from the disk then, and nothing
    /// else in a reply says whether its list came as the hub wrote it.
    ///
    /// - Returns: whether all of the list is believed. Where not, a further reply has to say it again.
    @discardableResult
    public func note(readableScopes scopes: [String]) throws(StoreError) -> Bool {
        let missing = Set(try readableScopes()).subtracting(scopes)
        let doubted = missing.subtracting(missingScopes).sorted()
        missingScopes = missing
        let known = scopes.filter { $0 == Self.scope || isOther($0) }
        let text = Value.text((known + doubted).joined(separator: " "))
        if try connection.meta(MetaKey.scopes) != text {
            try transaction { () throws(StoreError) in
                try connection.setMeta(MetaKey.scopes, text)
            }
        }
        return doubted.isEmpty
    }

    private func countPending() throws(StoreError) -> (count: UInt64, oldestMilliseconds: Int64?) {
        let heads = try peerHeads()
        var count: UInt64 = 0
        for record in rows.streams.sorted {
            count += record.head - min(record.head, heads[record.sid]?.has ?? record.base)
        }
        guard count > 0 else { return (0, nil) }
        var oldest: [Int64] = []
        for lane in lanes {
            let first = (heads[lane.record.sid]?.has ?? lane.record.base) + 1
            guard let changeset = try changeset(Dot(lane.record.stream, first)) else { continue }
            oldest.append(changeset.time.milliseconds)
        }
        return (count, oldest.min())
    }

    func peerHeads() throws(StoreError) -> [Int64: (has: UInt64, fed: UInt64)] {
        try peerHeads(of: hubLink()?.publicKey ?? [])
    }

    /// What the holder of a key is known to have, of streams and branches by their numbers.
    func peerHeads(
        of publicKey: [UInt8]
    ) throws(StoreError) -> [Int64: (has: UInt64, fed: UInt64)] {
        var heads: [Int64: (has: UInt64, fed: UInt64)] = [:]
        for row in try connection.rows(
            "SELECT sid, has, fed FROM sy_peer_head WHERE peer = ? AND twin = has * 3 + fed",
            .blob(publicKey))
        {
            if case .integer(let sid) = row[0], case .integer(let has) = row[1],
                case .integer(let fed) = row[2], let has = UInt64(exactly: has),
                let fed = UInt64(exactly: fed), let record = rows.streams[sid: sid],
                max(has, fed) <= record.head
            {
                // What can't be is a damaged row: everything is offered again then.
                heads[sid] = (max(has, record.base), max(fed, record.base))
            }
        }
        return heads
    }

    /// Where this replica stands in the hub's feed of a scope.
    public func cursor(in scope: String = Replica.scope) throws(StoreError) -> Cursor? {
        let found = try connection.rows(
            "SELECT epoch, off, chain FROM sy_peer WHERE peer = ? AND scope = ?", try peer(),
            .text(scope))
        guard let row = found.first, case .blob(let epoch) = row[0],
            let epoch = Identifier(epoch), case .integer(let offset) = row[1], offset >= 0,
            case .blob(let chain) = row[2], let chain = Digest(chain)
        else { return nil }
        return Cursor(epoch: epoch, offset: UInt64(offset), chain: chain)
    }

    // MARK: Out

    /// Seals what is not sealed and gathers what the hub isn't known to hold of a scope: at most one batch.
    ///
    /// - Parameters:
    ///   - asksForBodies: leave out what the replica holds ahead of its cursor.
    ///   - room: the most that the runs take, in bytes; a whole batch's room holds any one.
    public func outgoingBatch(
        of scope: String = Replica.scope, asksForBodies: Bool = false,
        room: Int = Limits.batchBytes
    ) throws(StoreError) -> OutgoingBatch {
        try seal()
        try keepInstall()
        let heads = try peerHeads()
        var batch = OutgoingBatch(cursor: try cursor(in: scope))
        let streams = try sealedStreams(of: scope)
        for record in streams {
            let known = heads[record.sid] ?? (has: record.base, fed: record.base)
            if !asksForBodies, record.sealed > known.fed, let tip = record.tip {
                batch.ahead.append(tip)
            }
            batch.remainingCount += record.sealed - min(record.sealed, known.has)
        }
        let queues = try queues(of: streams, heads)
        let owed = try owed(in: scope, room)
        let left = room - min(room, owed.reduce(0) { $0 + $1.storedBytes })
        try fill(&batch, from: queues, heads, left)
        let named = Set(batch.runs.map(\.hash))
        batch.runs =
            try unnamedRuns(under: batch.runs) + owed.filter { !named.contains($0.hash) }
            + batch.runs
        offeredStreams[scope] = Set(batch.runs.map(\.header.stream))
        return batch
    }

    /// At most one batch of the runs of a scope that lie behind what somebody has, each behind those that it
    /// depends on; none when nothing is left.
    func nextBatch(
        of scope: String, beyond heads: [Int64: (has: UInt64, fed: UInt64)]
    ) throws(StoreError) -> [SealedRun] {
        var batch = OutgoingBatch()
        let queues = try queues(of: sealedStreams(of: scope), heads)
        try fill(&batch, from: queues, heads, Limits.batchBytes)
        return batch.runs
    }

    /// The hub's own words come first: it may have lost the one that lets this device in.
    private func sealedStreams(of scope: String) throws(StoreError) -> [StreamRecord] {
        let hub = try keepsFeed ? own.publicKey : hubLink()?.publicKey
        let streams = rows.streams.sorted.filter {
            $0.scope == scope && $0.sealed > $0.base
        }
        return streams.filter { $0.publicKey == hub } + streams.filter { $0.publicKey != hub }
    }

    private func queues(
        of streams: [StreamRecord], _ heads: [Int64: (has: UInt64, fed: UInt64)]
    ) throws(StoreError) -> [RunQueue] {
        var queues: [RunQueue] = []
        for record in streams {
            let has = heads[record.sid]?.has ?? record.base
            guard record.sealed > has else { continue }
            let next = try runs(of: record, after: has, .head).first
            queues.append(RunQueue(record: record, next: next))
        }
        return queues
    }

    /// The runs that the hub is to get once more, as many as there is room for.
    private func owed(in scope: String, _ room: Int) throws(StoreError) -> [SealedRun] {
        var runs: [SealedRun] = []
        var size = 0
        for stub in try owedRuns(in: scope) {
            guard let run = try run(stub) else { continue }
            size += run.storedBytes
            guard size <= room || runs.isEmpty && room >= Limits.batchBytes else { break }
            runs.append(run)
        }
        owedOffered[scope] = runs.isEmpty ? nil : runs.map { RunStub($0) }
        return runs
    }

    /// The runs of a stream that wait: the next one without its body, so that many streams take no
    /// room.
    private struct RunQueue {
        var record: StreamRecord
        var next: SealedRun?
    }

    /// Every sealed run that lies behind no head of `heads`, each behind those that it depends on: what
    /// whoever has these heads lacks. Of a head that is not held here nothing is known.
    ///
    /// - Parameter scopes: what he may read; `nil` for all.
    public func sealedRuns(
        beyond heads: [RunStub], in scopes: Set<String>? = nil
    ) throws(StoreError) -> [SealedRun] {
        try sealedRuns(after: held(by: heads), in: scopes)
    }

    /// What whoever has these heads holds, as far as that is known here.
    func held(by heads: [RunStub]) throws(StoreError) -> VersionVector {
        var held = VersionVector()
        for head in heads {
            guard let record = try holder(of: head) else { continue }
            rows.streams.add(record, upTo: head.lastSeq, to: &held)
        }
        return held
    }

    /// Every sealed run that `vector` does not hold, each behind those that it depends on.
    public func sealedRuns(
        after vector: VersionVector, in scopes: Set<String>? = nil
    ) throws(StoreError) -> [SealedRun] {
        try keepInstall()
        var held = vector
        var queues: [(record: StreamRecord, runs: [SealedRun])] = []
        let streams = rows.streams.sorted
        // What the other scopes rest on comes first.
        let ordered =
            streams.filter { $0.scope == Self.scope } + streams.filter { $0.scope != Self.scope }
        for record in ordered where scopes?.contains(record.scope) ?? true {
            held[record.stream] = max(held[record.stream], record.base)
            guard record.sealed > held[record.stream] else { continue }
            queues.append((record, try runs(of: record, after: held[record.stream], .all)))
        }
        var result: [SealedRun] = []
        while let index = try firstReady(
            in: queues.indices, held, { (queues[$0].record, queues[$0].runs.first) })
        {
            let run = queues[index].runs.removeFirst()
            held[queues[index].record.stream] = run.header.lastSeq
            result.append(run)
        }
        return result
    }

    enum Extent {
        /// All runs.
        case all
        /// The first one.
        case first
        /// The first one, without its body.
        case head
    }

    func runs(
        of record: StreamRecord, after seq: UInt64, _ extent: Extent
    ) throws(StoreError) -> [SealedRun] {
        let statement = try connection.statement(
            """
            SELECT head, sig, \(extent == .head ? "x''" : "body") FROM sy_run
            WHERE sid = ? AND last_seq > ? ORDER BY last_seq \(extent == .all ? "" : "LIMIT 1")
            """)
        defer { statement.reset() }
        statement.bind(1, record.sid)
        statement.bind(2, Int64(seq))
        var runs: [SealedRun] = []
        while try statement.step() { runs.append(try sealedRun(statement)) }
        return runs
    }

    /// Takes runs from the queues so that each comes after those that it depends on.
    private func fill(
        _ batch: inout OutgoingBatch, from queues: [RunQueue],
        _ heads: [Int64: (has: UInt64, fed: UInt64)], _ room: Int
    ) throws(StoreError) {
        var queues = queues
        var held = VersionVector(
            rows.streams.sorted.map { ($0.stream, heads[$0.sid]?.has ?? $0.base) })
        var size = 0
        while let index = try firstReady(
            in: queues.indices, held, { (queues[$0].record, queues[$0].next) })
        {
            let record = queues[index].record
            let before = held[record.stream]
            guard let run = try runs(of: record, after: before, .first).first else { break }
            let isFirst = batch.runs.isEmpty && room >= Limits.batchBytes
            guard isFirst || size + run.storedBytes <= room else { break }
            size += run.storedBytes
            held[record.stream] = run.header.lastSeq
            batch.runs.append(run)
            batch.changesetCount += UInt64(run.header.count)
            queues[index].next = try runs(of: record, after: run.header.lastSeq, .head).first
        }
        batch.remainingCount -= min(batch.remainingCount, batch.changesetCount)
    }

    /// The place of a run that may go next; cuts come before what counts by them.
    private func firstReady(
        in queues: Range<Int>, _ held: VersionVector,
        _ queue: (Int) -> (record: StreamRecord, next: SealedRun?)
    ) throws(StoreError) -> Int? {
        for orCutOff in [false, true] {
            for index in queues {
                let (record, next) = queue(index)
                if try isReady(next, of: record, held, orCutOff: orCutOff) { return index }
            }
        }
        return nil
    }

    /// - Parameter orCutOff: what lies behind the end of its stream never comes: it is enough that all
    ///   before the end is held.
    private func isReady(
        _ run: SealedRun?, of record: StreamRecord, _ held: VersionVector, orCutOff: Bool = false
    ) throws(StoreError) -> Bool {
        guard let run else { return false }
        if let branch = record.branch, let parent = rows.streams[sid: branch.parent],
            held[parent.stream] < branch.base
        {
            return false
        }
        for dependency in run.header.dependencies {
            let stream = try name(of: dependency)
            if dependency.seq <= held[stream] { continue }
            guard orCutOff else { return false }
            let isMet = rows.streams.family(dependency.stream).allSatisfy { other in
                guard let end = other.end else { return false }
                return (rows.streams[stream]?.sid != other.sid || dependency.seq > end.lastSeq)
                    && held[other.stream] >= end.lastSeq
            }
            guard isMet, rows.streams[dependency.stream] != nil else { return false }
        }
        return true
    }

    /// When a hub last answered, and its clock minus this one's, both in milliseconds.
    public func lastSync() throws(StoreError) -> (milliseconds: Int64, clockOffset: Int64)? {
        guard case .integer(let time)? = try connection.meta("last_sync"),
            case .integer(let offset)? = try connection.meta("clock_offset")
        else { return nil }
        return (time, offset)
    }

    /// What the hub said when it let this device in no more; `nil` while it does.
    public func hubRefusal() throws(StoreError) -> String? {
        guard case .text(let text)? = try connection.meta(MetaKey.refusal) else { return nil }
        return text
    }

    /// - Parameter explanation: `nil` once the hub has answered as it should.
    public func noteHubRefusal(_ explanation: String?) throws(StoreError) {
        guard try hubRefusal() != explanation else { return }
        try transaction { () throws(StoreError) in
            if let explanation {
                try connection.setMeta(MetaKey.refusal, .text(explanation))
            } else {
                try connection.run("DELETE FROM sy_meta WHERE key = ?", .text(MetaKey.refusal))
            }
        }
    }

    /// Starts over with a hub that is not what it was: everything is read and offered again, of scopes too that
    /// may be read no more. All feeds of a hub begin anew together.
    public func forgetHub() throws(StoreError) {
        try transaction { () throws(StoreError) in
            try connection.run("DELETE FROM sy_peer WHERE peer = ?", try peer())
            try connection.run("DELETE FROM sy_peer_head WHERE peer = ?", try peer())
            try connection.setMeta(MetaKey.epoch, .blob([]))
            try connection.run(
                "DELETE FROM sy_meta WHERE key GLOB ?", .text(MetaKey.owedPattern))
            try blobs.forgetSent()
        }
        owedOffered = [:]
        offeredStreams = [:]
    }
}
