internal import Causality
internal import Merge
internal import RecordSchema
public import SyncProtocol

/// What became of a run that came from elsewhere.
public enum IngestResult: Sendable {
    /// Part of the state now: so many changesets.
    case applied(Int)
    /// Held already.
    case duplicate
    /// Kept aside: it lies behind the end of its stream, and counts nowhere.
    case setAside(Refusal)
    /// Not taken.
    case refused(Refusal)
}

/// What one transaction has taken in.
public struct IngestProgress: Hashable, Sendable {
    public var runCount = 0
    /// Changesets that are part of the state now and weren't before.
    public var changesetCount: UInt64 = 0
    public var refusedCount = 0
    /// What the changesets do to rows.
    public var rowCount = 0
    /// The bodies, expanded.
    public var bodyBytes = 0
}

/// A run that is to be taken in, and what it holds, as far as that was read already.
struct IncomingRun {
    typealias Contents = RunContents

    var run: SealedRun
    var contents: Result<Contents, any Error>?
    /// What the streams of its deps were called when it was read, and how often names had changed.
    var names: [StreamID]?
    var naming: Int64 = 0
    /// How many people had been erased.
    var erasedCount = 0

    /// What it does to rows; as long as that was not read, a row for each changeset.
    var rowCount: Int {
        guard case .success(let contents)? = contents else { return run.header.count }
        return contents.changes.changes.count
    }

    /// Why this is not the run that its header names: something on the way has changed it.
    var damage: RunError? {
        guard case .failure(let error as RunError)? = contents else { return nil }
        return error.isDamage ? error : nil
    }
}

/// What one transaction has taken in, and whether it goes on. Other processes wait for the lock
/// meanwhile: as soon as one does, this ends. A run goes whole, whatever its size.
struct IngestSlice {
    private var entryCount = 0
    private var bytes = 0
    private var rowCount = 0

    /// How much there may be before another run is begun.
    private struct Goal {
        var entryCount: Int
        var bytes: Int
        var rowCount: Int
    }

    /// Each commit has its price: pages that several runs change are written once.
    private static let alone = Goal(entryCount: 1_024, bytes: 1 << 20, rowCount: 8_192)
    /// While somebody waits.
    private static let awaited = Goal(entryCount: 64, bytes: 16 << 10, rowCount: 256)

    mutating func add(_ incoming: IncomingRun?) {
        entryCount += 1
        guard let incoming else { return }
        bytes += incoming.run.header.expandedBytes
        rowCount += incoming.rowCount
    }

    /// Whether another run may be begun.
    ///
    /// - Parameter lock: the lock that is held for it, if there is one.
    func hasRoom(under lock: ReplicaLock?) -> Bool {
        guard isBelow(Self.alone) else { return false }
        return isBelow(Self.awaited) || lock?.isAwaited != true
    }

    private func isBelow(_ goal: Goal) -> Bool {
        entryCount < goal.entryCount && bytes < goal.bytes && rowCount < goal.rowCount
    }
}

extension Replica {
    /// Takes runs into the state, each whole or not at all, in transactions that end when somebody
    /// else wants to write.
    ///
    /// - Parameters:
    ///   - runs: in causal order.
    ///   - isDurable: on disk when this returns. A laptop that can fetch a run again need not wait.
    ///   - also: runs in the last of the transactions, after the runs.
    ///   - observe: called after each transaction. What it throws ends the work there.
    public func ingest(
        _ runs: [SealedRun], isDurable: Bool = true,
        also: ([IngestResult]) throws -> Void = { _ in },
        observe: (IngestProgress) throws -> Void = { _ in }
    ) throws -> [IngestResult] {
        var results: [IngestResult] = []
        var rest = runs[...]
        repeat {
            // The first is read before others have to wait for it.
            var ahead = rest.first.map { incoming($0) }
            var slice = IngestSlice()
            var progress = IngestProgress()
            try transaction(isDurable: isDurable, isBulk: true) {
                try drain()
                var accepted: [AcceptedRun] = []
                while let run = rest.first, slice.hasRoom(under: lock) {
                    let next = ahead ?? incoming(run)
                    ahead = nil
                    let result = try accept(next, into: &accepted)
                    progress.add(next, result)
                    results.append(result)
                    slice.add(next)
                    rest.removeFirst()
                }
                try apply(&accepted)
                try mendIfNeeded()
                try rows.streams.update(own, in: connection)
                if rest.isEmpty { try also(results) }
            }
            lock?.giveWay()
            try renewIfForked()
            try observe(progress)
        } while !rest.isEmpty
        return results
    }

    /// Reads a run that may come next.
    func incoming(_ run: SealedRun) -> IncomingRun {
        guard case .next(let record)? = try? place(of: run),
            let publicKey = record?.publicKey ?? run.header.origin?.publicKey
        else { return IncomingRun(run: run) }
        return IncomingRun(
            run: run, contents: Result { try read(run, of: record, publicKey) },
            names: try? names(of: run), naming: rows.streams.naming,
            erasedCount: (try? erasedPeople().count) ?? -1)
    }

    /// Takes a run into the log. What it does to rows is left to whoever ends the transaction: runs
    /// that come together mostly change the same pages.
    func accept(
        _ incoming: IncomingRun, into accepted: inout [AcceptedRun]
    ) throws -> IngestResult {
        let run = incoming.run
        do {
            if try isBehindEnd(run), let refusal = try setAside(incoming) {
                return .setAside(refusal)
            }
            if try isHeld(run) {
                try fillKeys(by: run)
                return .duplicate
            }
            guard !run.header.needsLaterBuild else {
                // Whoever wrote it goes on with this file's stream, and with a later build.
                if lane(of: run.header.stream) != nil, !keepsFeed,
                    (try? run.verify(publicKey: own.publicKey)) != nil
                {
                    try connection.setMeta(MetaKey.renew, MetaKey.forked)
                }
                throw Refusal(
                    .upgrade,
                    "it was written by a newer Karvan: update \(keepsFeed ? "the hub" : "this program")"
                )
            }
            let ownLane = lane(of: run.header.stream)
            let isOwn = ownLane != nil
            // It goes on elsewhere as well.
            if ownLane?.tailCount ?? 0 > 0, try !sealBeforeNaming(run.header.stream) {
                throw Refusal(.gap, "what was recorded here waits for what a repair has lost")
            }
            var record: StreamRecord?
            var isFork = false
            switch try place(of: run) {
            case .next(let found): record = found
            case .fork(let found): (record, isFork) = (found, true)
            }
            let scope = record?.scope ?? run.header.origin?.scope ?? Self.scope
            for dependency in run.header.dependencies { try check(dependency, in: scope) }
            let contents = try contents(of: incoming, record)
            let publicKey = record?.publicKey ?? run.header.origin?.publicKey
            if try authorize(contents, publicKey, scope, &accepted) {
                // What was kept aside may have been taken meanwhile, and changed what names mean.
                return try accept(incoming, into: &accepted)
            }
            if isOwn, !keepsFeed { try connection.setMeta(MetaKey.renew, MetaKey.forked) }
            if isFork, let record {
                return try takeBranch(run, contents, of: record, &accepted)
            }
            record =
                record.flatMap { rows.streams[sid: $0.sid] }
                ?? rows.streams[run.header.stream]
            try keepReadings()
            // So many of the changesets are part of the state already.
            guard let leftCount = try leftCount(in: contents, record) else {
                // Others stand in their place: both count.
                guard let record, try sealLeftBeside(record) else {
                    throw Refusal(.gap, "what an earlier life of this file recorded waits")
                }
                return try accept(IncomingRun(run: run), into: &accepted)
            }
            var kept = run
            kept.keys = contents.keys
            if leftCount > 0, let record {
                kept.fillKeys(from: try leftPieces(record).flatMap(\.keys.keys))
            }
            let sid = try keep(kept, contents.changes.heads.dropFirst(leftCount).last, record)
            let isEnded = record?.end != nil
            let isLate = try isEnded && run.header.firstSeq <= namedBehindEnd(of: sid)
            if isLate { log.removeAll() }
            try keepReadings(of: run)
            try holdReadings(of: run.header.stream)
            let isBeyond = rows.streams[sid: sid]?.isBeyondEnd ?? false
            if isEnded, isBeyond || rows.streams.isForked(run.header.stream) {
                mayReachEnd = true
            }
            accepted.append(
                AcceptedRun(
                    contents, sid: sid, skippedCount: leftCount, isEnded: isEnded, isLate: isLate))
            vocabularies.insert(contents.vocabulary, of: run.hash)
            try noteTakenBack(run, publicKey)
            // It may have come while its stream ended before it.
            if isEnded { try forgetAside(run) }
            if areCuts(contents.changes) {
                // Those that come next may lie behind an end.
                try apply(&accepted)
                try endStreams()
            }
            if areErasures(contents.changes) {
                // Those that come next may be about the same people.
                try apply(&accepted)
                erased = nil
                holdsUncheckedKeys = true
            }
            return .applied(contents.changes.heads.count - leftCount)
        } catch let refusal as Refusal {
            return .refused(refusal)
        } catch let error as RunError {
            return .refused(Refusal(.poison, error.explanation))
        }
    }

    private func takeBranch(
        _ run: SealedRun, _ contents: RunContents, of record: StreamRecord,
        _ accepted: inout [AcceptedRun]
    ) throws -> IngestResult {
        try apply(&accepted)
        // That may have brought back what was kept aside.
        if try isHeld(run) { return .duplicate }
        guard case .fork(let record) = try place(of: run) else {
            return try accept(IncomingRun(run: run), into: &accepted)
        }
        var kept = run
        kept.keys = contents.keys
        let count = try takeBranch(kept, contents, of: record)
        vocabularies.insert(contents.vocabulary, of: run.hash)
        try noteTakenBack(run, record.publicKey)
        try forgetAside(run)
        areRowsStale = true
        try settleRows()
        if areCuts(contents.changes) { try endStreams() }
        if areErasures(contents.changes) { (erased, holdsUncheckedKeys) = (nil, true) }
        mayReachEnd = true
        return .applied(count)
    }

    /// Goes on as a new incarnation where another file goes on with this one's stream.
    func renewIfForked() throws(StoreError) {
        guard !keepsFeed, try connection.meta(MetaKey.renew) == MetaKey.forked else { return }
        try renewIfTakenBack()
    }

    /// What allows a run may have come just before it, and not be in the tables yet.
    ///
    /// - Returns: whether that was put there now: what was read of the run may say something else then.
    private func authorize(
        _ contents: IncomingRun.Contents, _ publicKey: [UInt8]?, _ scope: String,
        _ accepted: inout [AcceptedRun]
    ) throws -> Bool {
        guard let publicKey,
            let denial = try denial(of: contents.changes, by: publicKey, in: scope)
        else { return false }
        guard !accepted.isEmpty else { throw denial }
        try apply(&accepted)
        return true
    }

    private func contents(
        of incoming: IncomingRun, _ record: StreamRecord?
    ) throws -> IncomingRun.Contents {
        if let contents = incoming.contents, incoming.naming == rows.streams.naming,
            try incoming.names == names(of: incoming.run),
            try incoming.erasedCount == erasedPeople().count
        {
            return try contents.get()
        }
        guard let publicKey = record?.publicKey ?? incoming.run.header.origin?.publicKey else {
            throw Refusal(.poison, "its stream's first run is missing")
        }
        return try read(incoming.run, of: record, publicKey)
    }

    /// Whether this very run is held.
    private func isHeld(_ run: SealedRun) throws -> Bool {
        try holder(of: RunStub(run)) != nil
    }

    /// Whether the log's run that ends with a seq is the one of a hash; of a branch also one that it left
    /// behind.
    func isHeld(
        _ hash: Digest, at seq: UInt64, of record: StreamRecord
    ) throws(StoreError) -> Bool {
        let holder = rows.streams.holder(of: seq, in: record)
        return try connection.value(
            "SELECT hash FROM sy_run WHERE sid = ? AND last_seq = ?", .integer(holder.sid),
            .integer(Int64(seq))) == .blob(hash.bytes)
    }

    /// Whether what others depend on is not here, and may still come.
    package func lacks(_ dependency: Dependency) throws(StoreError) -> Bool {
        try isHeld(dependency) ? false : mayCome(rows.streams.family(dependency.stream))
    }

    /// What lies behind an end, or beside the way to it, never comes: all that is kept is enough.
    private func mayCome(_ family: [StreamRecord]) -> Bool {
        family.isEmpty
            || family.contains { record in
                record.end.map { record.sealed < $0.lastSeq } ?? true
            }
    }

    private func isHeld(_ dependency: Dependency) throws(StoreError) -> Bool {
        let stub = RunStub(
            stream: dependency.stream, lastSeq: dependency.seq, hash: dependency.run)
        return try holder(of: stub) != nil
    }

    private func check(_ dependency: Dependency, in scope: String) throws {
        let family = rows.streams.family(dependency.stream)
        // Not everybody who reads the one reads the other.
        guard family.first?.scope ?? scope == scope else {
            throw Refusal(.poison, "it depends on changes of another scope than its own")
        }
        if try isHeld(dependency) { return }
        guard !mayCome(family) else {
            throw Refusal(
                .gap, "it depends on \(dependency.stream):\(dependency.seq), which is not here")
        }
        for record in family { try noteNamed(dependency.seq, behindEndOf: record.sid) }
    }

    private func read(
        _ run: SealedRun, of record: StreamRecord?, _ publicKey: [UInt8]
    ) throws -> IncomingRun.Contents {
        let scope = record?.scope ?? run.header.origin?.scope ?? Self.scope
        let mark = schema.mark(ofScope: scope)
        guard scope == Self.scope || mark != nil else {
            throw Refusal(.scope, "its scope \(scope) is none of this forum's")
        }
        guard try publicKey == own.publicKey || mayRead(scope) else {
            throw Refusal(.scope, "this laptop is not let read \(scope)")
        }
        if keepsFeed, mark != nil { try checkScope(scope) }
        do {
            try run.verify(publicKey: publicKey)
            let named = try names(of: run)
            var contents = try run.contents(
                namespace: schema.namespace, mark: mark, naming: named,
                earlier: vocabularies(of: record))
            try checkRows(contents.changes, in: scope, mark)
            try checkSealed(contents.changes, run.header)
            // What was left here is held against what it says, whoever can still read that.
            let isLeft = record.map { $0.head > $0.sealed } ?? false
            let sealed = isLeft ? contents.changesets : nil
            let erased = try erasedPeople()
            contents.open(run.keys, isErased: erased.contains)
            contents.sealedChangesets = sealed
            guard named != nil || rows.streams.isForked(run.header.stream) else { return contents }
            // A stream of which nothing is here has no branches yet.
            guard let record = record ?? run.header.origin.map({ StreamRecord(sid: 0, $0) }) else {
                throw Refusal(.poison, "its stream's first run is missing")
            }
            let strays = strays(of: run, named)
            contents.changes = RunChanges(try read(contents.changesets, of: record, strays))
            contents.order = try? contents.changes.order()
            contents.sealedChangesets = try sealed.map { sealed throws(StoreError) in
                try read(sealed, of: record, strays)
            }
            return contents
        } catch RunError.unreadableSource(let seq) {
            throw rows.damaged("run \(run.header.stream):\(seq) of the log")
        }
    }

    /// The header tells damage of as many keys as the body needs; and what is encrypted is what a hub can have
    /// erased: in columns that are personal, and of a person's own row about that person.
    private func checkSealed(_ changes: RunChanges, _ header: RunHeader) throws {
        let count = changes.keySubjects.count
        guard header.keyChecks.count == count * PersonalKey.checkBytes else {
            throw Refusal(.poison, "it needs \(count) keys, and its header names others")
        }
        guard keepsFeed, count > 0 else { return }
        for place in changes.sealedPlaces {
            guard let table = schema.table(id: place.change.table),
                let column = table.column(id: place.column)
            else { continue }
            guard column.isPersonal, !table.isOfPeople || place.subject == nil else {
                throw Refusal(
                    .poison, "\(table.name).\(column.name) is encrypted as it may not be")
            }
        }
    }

    /// A hub has room for so many scopes, and none whose rows end as another one's do: only where the forum has
    /// the row that it stands for. That row may have gone with a laptop that was lost, so it isn't asked
    /// for otherwise.
    private func checkScope(_ scope: String) throws {
        let known = try feedScopes()
        guard !known.contains(scope) else { return }
        guard known.count < Limits.scopes - 1 else {
            throw Refusal(.scope, "this forum has room for no further scope \(scope)")
        }
        let mark = schema.mark(ofScope: scope)
        guard known.contains(where: { schema.mark(ofScope: $0) == mark }) else { return }
        guard let division = schema.division(ofScope: scope),
            let table = schema.divisionTable(ofScope: scope),
            try rows.clock(table.id, division) != nil
        else { throw Refusal(.scope, "this forum knows nothing of \(scope)") }
    }

    /// Whoever may write in one scope may not write to a row of another one; and who is let in stands in the
    /// base scope alone.
    private func checkRows(_ changes: RunChanges, in scope: String, _ mark: ScopeMark?) throws {
        for change in changes.changes {
            let isDivided = schema.table(id: change.table)?.isDivided
            let isOfIt: Bool
            if let mark {
                isOfIt = ScopeMark(endOf: change.row) == mark && isDivided != false
            } else if keepsFeed, isDivided == true {
                // A hub knows all scopes that there are; others needn't judge.
                isOfIt = try self.scope(dividedBy: change.row) == nil
            } else {
                isOfIt = true
            }
            guard isOfIt else {
                throw Refusal(.poison, "it changes a row that doesn't lie in its scope \(scope)")
            }
        }
    }

    /// Makes a run the end of its stream. Nothing that this throws is the run's fault.
    ///
    /// - Parameter last: the last changeset that is new here.
    /// - Returns: the stream's number.
    private func keep(
        _ run: SealedRun, _ last: Changeset?, _ known: StreamRecord?
    ) throws -> Int64 {
        var record: StreamRecord
        if let known {
            record = known
        } else if let origin = run.header.origin {
            record = try rows.streams.add(origin, to: connection)
        } else {
            throw Refusal(.poison, "it names no device")
        }
        if record.head > record.sealed { try forgetLeft(record) }
        let now = environment.wallMilliseconds()
        if let last { clock.observe(last.time, wallMilliseconds: now) }
        try keep(run, of: &record, received: now)
        try rows.streams.update(record, in: connection)
        if let lane = lane(sid: record.sid) {
            lane.record = record
            lane.writer = BodyWriter(
                stream: record.wire, previousRun: record.runHash, mark: lane.mark)
        }
        own.clock = clock.last
        return record.sid
    }
}

extension RunError {
    /// Whether a run is not the one that its header names.
    var isDamage: Bool { self == .bodyHash || self == .signature || self == .keys }
}

extension IngestProgress {
    mutating func add(_ incoming: IncomingRun, _ result: IngestResult) {
        runCount += 1
        switch result {
        case .refused, .setAside: refusedCount += 1
        case .applied, .duplicate: break
        }
        guard case .applied(let count) = result else { return }
        changesetCount += UInt64(count)
        rowCount += incoming.rowCount
        bodyBytes += incoming.run.header.expandedBytes
    }
}
