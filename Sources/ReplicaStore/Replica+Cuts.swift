package import Causality
internal import Merge
internal import RecordSchema
package import SyncProtocol

/// Streams that a hub has ended. What lies behind an end is no part of the state, whoever has it: it
/// is kept aside as it came, and the rows that it had touched are made anew from the rest of the log.
extension Replica {
    // MARK: Where streams end

    /// The cuts that the forum holds of a device's streams; another process may just have made one.
    package func cuts(of device: DeviceID) throws(StoreError) -> [Cut] {
        try read { () throws(StoreError) in try findCuts(of: device) }
    }

    private func findCuts(of device: DeviceID) throws(StoreError) -> [Cut] {
        guard let place = schema.trust, try membership() != nil else { return [] }
        if let known = trust?.cuts[device] { return known }
        let found = try trusted(of: device, in: place.cuts).compactMap { try? Cut(decoding: $0) }
            .filter { $0.device == device }
        // Whoever brings runs of keys that he makes up would else fill it.
        if trust?.cuts.count ?? 0 >= Self.knownCuts { trust?.cuts = [:] }
        trust?.cuts[device] = found
        return found
    }

    /// Devices whose cuts are remembered: more than a forum has.
    private static let knownCuts = 10_000

    /// Where a stream or a branch ends; `nil` for one that goes on.
    func end(of record: StreamRecord) throws(StoreError) -> StreamEnd? {
        let said = try said(of: record)
        guard let noted = record.end, noted != said, try hasHoles() else { return said }
        // The record of a cut may be among what a repair lost, and is asked for again.
        return said.map { min($0, noted) } ?? noted
    }

    /// Where the cuts say that a stream or a branch ends.
    func said(of record: StreamRecord) throws(StoreError) -> StreamEnd? {
        let cuts = try cuts(of: record.device)
        if !rows.streams.isForked(record.wire) {
            let end = cuts.end(of: record.origin)
            let isOnItsWay =
                end.map { record.sealed < $0.lastSeq || record.runHash == $0.run } ?? true
            if cuts.count == 1 && isOnItsWay || end == nil { return end }
        }
        var end: StreamEnd?
        for cut in cuts {
            guard let ends = cut.ends(of: record.origin) else { continue }
            var last = StreamEnd(lastSeq: record.base, run: record.branch?.previous) ?? .beforeFirst
            for end in ends { last = max(last, try part(of: end, in: record) ?? last) }
            end = min(end ?? last, last)
        }
        return end
    }

    /// How far one has to go in a stream or a branch to come to an end; `nil` where it lies elsewhere.
    private func part(
        of end: StreamEnd, in record: StreamRecord
    ) throws(StoreError) -> StreamEnd? {
        guard let run = end.run else { return nil }
        let stub = RunStub(stream: record.wire, lastSeq: end.lastSeq, hash: run)
        guard var holder = try holder(of: stub) else {
            // It may still come on any of them, if no other cut keeps it out.
            let isKeptOut = try isBehindEnd(stub, of: record.origin)
            guard record.sealed >= end.lastSeq || isKeptOut else { return end }
            return try last(of: record, before: end.lastSeq)
        }
        if holder.sid == record.sid { return end }
        while let branch = holder.branch, let parent = rows.streams[sid: branch.parent] {
            if parent.sid == record.sid {
                return StreamEnd(lastSeq: branch.base, run: branch.previous)
            }
            holder = parent
        }
        return nil
    }

    /// What is held of a stream or a branch that may lie on the way to an end that is not.
    private func last(
        of record: StreamRecord, before seq: UInt64
    ) throws(StoreError) -> StreamEnd? {
        let found = try connection.rows(
            """
            SELECT last_seq, hash FROM sy_run WHERE sid = ? AND last_seq < ?
            ORDER BY last_seq DESC LIMIT 1
            """, .integer(record.sid), .integer(Int64(seq)))
        guard case .integer(let seq)? = found.first?[0], case .blob(let hash)? = found.first?[1]
        else { return nil }
        return StreamEnd(lastSeq: UInt64(clamping: seq), run: Digest(hash))
    }

    /// Streams that are known here and end before their first changeset, and that no cut names: who
    /// knows nothing of them can't tell whose they are.
    package func unnamedEnds() throws(StoreError) -> [StreamOrigin] {
        var found: [StreamOrigin] = []
        for record in rows.streams.sorted where try endsUnnamed(record.stream) {
            found.append(record.origin)
        }
        return found
    }

    /// Whether a stream is known here and ends before its first changeset by a cut that doesn't name it.
    package func endsUnnamed(_ stream: StreamID) throws(StoreError) -> Bool {
        guard let record = rows.streams[stream], record.end == .beforeFirst else { return false }
        return try !isNamed(record.origin)
    }

    /// Whether a cut names the stream.
    private func isNamed(_ origin: StreamOrigin) throws(StoreError) -> Bool {
        try cuts(of: origin.device).contains { $0.origins.contains(origin) }
    }

    /// What revokes a device and ends all of its streams where they stand: a whole cut, and others where
    /// it has more streams than one can name.
    ///
    /// - Parameter limit: in milliseconds since 1970; streams end before what was received later.
    package func revocation(
        of publicKey: [UInt8], receivedBy limit: Int64?, note: String
    ) throws(StoreError) -> [Cut] {
        var streams: [[Cut.Stream]] = []
        var places: [StreamID: Int] = [:]
        // Those first that were known first: a thief can't push its owner's out of the whole cut.
        let known = rows.streams.sorted.filter { $0.publicKey == publicKey }
        for record in known.sorted(by: { $0.sid < $1.sid }) {
            let end = try end(of: record, receivedBy: limit)
            // What a branch left is named by itself.
            if record.branch != nil, end == .beforeFirst { continue }
            let place = places[record.wire] ?? streams.count
            if place == streams.count { streams.append([]) }
            places[record.wire] = place
            streams[place].append(
                Cut.Stream(scope: record.scope, incarnation: record.incarnation, end: end))
        }
        return Cut.revoking(
            publicKey, at: streams, decidedMilliseconds: environment.wallMilliseconds(), note: note)
    }

    private func end(
        of record: StreamRecord, receivedBy limit: Int64?
    ) throws(StoreError) -> StreamEnd {
        let found = try connection.rows(
            """
            SELECT last_seq, hash FROM sy_run WHERE sid = ?1 AND last_seq < (
                SELECT coalesce(min(last_seq), ?3) FROM sy_run WHERE sid = ?1 AND received > ?2)
            ORDER BY last_seq DESC LIMIT 1
            """, .integer(record.sid), .integer(limit ?? .max), .integer(.max))
        guard case .integer(let seq)? = found.first?[0], case .blob(let hash)? = found.first?[1]
        else { return .beforeFirst }
        return StreamEnd(lastSeq: UInt64(seq), run: Digest(hash)) ?? .beforeFirst
    }

    /// Whether a changeset is known to count nowhere: whoever names it names nothing.
    func isCutOff(_ dot: Dot) -> Bool {
        rows.streams[dot.stream]?.end.map { dot.seq > $0.lastSeq } ?? false
    }

    /// Why a stream ends, for people.
    private func refusal(of origin: StreamOrigin) throws(StoreError) -> Refusal {
        let found = try cuts(of: origin.device).filter { $0.end(of: origin) != nil }
        let cut = found.min { a, b in
            (a.end(of: origin) ?? .beforeFirst) < (b.end(of: origin) ?? .beforeFirst)
        }
        let note = cut.map { $0.note.isEmpty ? "" : " (\($0.note))" } ?? ""
        let what = "what it recorded is kept aside, and counts nowhere\(note)"
        let short = origin.device.short
        return switch cut?.reason ?? .revoked {
        case .revoked: Refusal(.revoked, "its device \(short) was revoked: \(what)")
        case .fork:
            Refusal(.fork, "two files of its device \(short) wrote under one name: \(what)")
        case .poison: Refusal(.poison, "the hub has ended its stream \(origin.stream): \(what)")
        }
    }

    // MARK: What comes behind an end

    /// Whether a run lies behind the end of its stream, or beside the branch that was kept of it.
    func isBehindEnd(_ run: SealedRun) throws(StoreError) -> Bool {
        guard let origin = try origin(of: run) else { return false }
        return try isBehindEnd(RunStub(run), of: origin)
    }

    /// As above, by name; a stream that is not known here has no end.
    func isBehindEnd(_ stub: RunStub) throws(StoreError) -> Bool {
        guard let record = rows.streams[stub.stream] else { return false }
        return try isBehindEnd(stub, of: record.origin)
    }

    private func isBehindEnd(
        _ stub: RunStub, of origin: StreamOrigin
    ) throws(StoreError) -> Bool {
        guard origin.device != own.device else { return false }
        let cuts = try cuts(of: origin.device)
        let hasHoles = try hasHoles()
        guard !cuts.isEmpty || hasHoles, try holder(of: stub) == nil else { return false }
        for cut in cuts {
            guard let ends = cut.ends(of: origin) else { continue }
            if try !mayCount(stub, upTo: ends) { return true }
        }
        // The record of a cut may be among what a repair lost.
        guard let end = rows.streams[origin.stream]?.end, hasHoles else { return false }
        return stub.lastSeq > end.lastSeq
    }

    /// Whether a run that is not held may lie on the way to one of the ends of its stream.
    private func mayCount(_ stub: RunStub, upTo ends: [StreamEnd]) throws(StoreError) -> Bool {
        for end in ends {
            guard let last = end.run else { continue }
            if last == stub.hash { return true }
            let tip = RunStub(stream: stub.stream, lastSeq: end.lastSeq, hash: last)
            if stub.lastSeq < end.lastSeq, try holder(of: tip) == nil { return true }
        }
        return false
    }

    /// Whether a stream, or a branch of it, ends with a run that is not here.
    func endsBeyondHeld(_ record: StreamRecord) throws(StoreError) -> Bool {
        if record.isShortOfEnd { return true }
        for end in try cuts(of: record.device).flatMap({ $0.ends(of: record.origin) ?? [] }) {
            guard let run = end.run else { continue }
            let stub = RunStub(stream: record.wire, lastSeq: end.lastSeq, hash: run)
            if try holder(of: stub) == nil { return true }
        }
        return false
    }

    /// The cuts by which runs are kept aside that go on, one after the other, from what counts of a stream;
    /// each with the ends of other branches that it names.
    package func cuts(
        keepingAside path: [SealedRun], of origin: StreamOrigin
    ) throws(StoreError) -> [(cut: Cut, others: [StreamEnd])] {
        guard let first = path.first, let last = path.last else { return [] }
        let isForked =
            rows.streams.isForked(origin.stream)
            || first.header.previous != rows.streams[origin.stream]?.runHash
        var found: [(cut: Cut, others: [StreamEnd])] = []
        for cut in try cuts(of: origin.device) {
            guard let ends = cut.ends(of: origin) else { continue }
            if isForked {
                guard try !mayCount(RunStub(last), upTo: ends) else { continue }
            } else {
                guard let end = ends.max(), end.lastSeq < last.header.lastSeq else { continue }
            }
            var others: [StreamEnd] = []
            for end in ends where isForked && end.run != nil {
                if try !leads(end, to: path) { others.append(end) }
            }
            found.append((cut, others))
        }
        return found
    }

    /// Whether an end lies on the way to runs that are kept aside, or among them.
    private func leads(_ end: StreamEnd, to path: [SealedRun]) throws(StoreError) -> Bool {
        guard let run = end.run, let first = path.first?.header else { return false }
        if path.contains(where: { $0.hash == run }) { return true }
        guard let previous = first.previous else { return false }
        let before = RunStub(stream: first.stream, lastSeq: first.firstSeq - 1, hash: previous)
        let stub = RunStub(stream: first.stream, lastSeq: end.lastSeq, hash: run)
        guard let place = try holder(of: stub), let start = try holder(of: before),
            stub.lastSeq <= before.lastSeq
        else { return false }
        return rows.streams.holder(of: stub.lastSeq, in: start).sid == place.sid
    }

    /// Whose run it is; `nil` where neither the log nor what is kept aside says so.
    func origin(of run: SealedRun) throws(StoreError) -> StreamOrigin? {
        if let origin = run.header.origin { return origin }
        return try knownOrigin(of: run.header.stream)
    }

    /// Whose stream it is, by the log or by what is kept aside.
    package func knownOrigin(of stream: StreamID) throws(StoreError) -> StreamOrigin? {
        if let record = rows.streams[stream] { return record.origin }
        return try asideRun(of: stream, from: 1)?.header.origin
    }

    /// Keeps a run aside that lies behind an end, once.
    ///
    /// - Returns: `nil` where its stream is not known: then nobody can say whose it is.
    /// - Throws: ``Refusal`` TOO_LARGE when there is no room for more of its device.
    func setAside(_ incoming: IncomingRun) throws -> Refusal? {
        let run = incoming.run
        guard let origin = try origin(of: run) else { return nil }
        try run.verify(publicKey: origin.publicKey)
        let refusal = try refusal(of: origin)
        if rows.streams[origin.stream] != nil { try noteEnds(of: origin) }
        try connection.execute(Layout.quarantineIndex)
        let isKept = try connection.value(
            """
            SELECT 1 FROM sy_quar WHERE stream = ? AND last_seq = ? AND head = ?
            AND NOT (\(Self.stranded))
            """, .blob(run.header.stream.identifier.bytes), .integer(Int64(run.header.lastSeq)),
            .blob(run.headerBytes))
        if isKept != nil { return refusal }
        var aside = try aside(of: origin.device)
        aside.bytes += run.storedBytes
        aside.runCount += 1
        guard aside.bytes <= Self.asideBytes, aside.runCount <= Self.asideRuns else {
            throw Refusal(
                .tooLarge,
                "of its device \(origin.device.short), which was revoked, more is kept aside here "
                    + "than \(Self.asideBytes >> 20) MiB or \(Self.asideRuns) runs")
        }
        try quarantine(run, refusal)
        try countKept()
        trust?.aside?[origin.device] = aside
        return refusal
    }

    /// What may be kept aside of one device since it was revoked.
    private static let asideBytes = 64 << 20
    private static let asideRuns = 4_096

    private func aside(of device: DeviceID) throws(StoreError) -> Trust.Aside {
        if let known = trust?.aside { return known[device] ?? Trust.Aside() }
        var sums: [DeviceID: Trust.Aside] = [:]
        var last: (stream: StreamID, device: DeviceID?, limit: Int64)?
        let statement = try connection.prepare(
            """
            SELECT head, sig, x'', stream, received, length(head) + length(sig) + length(body)
            FROM sy_quar WHERE last_seq > 0 ORDER BY stream, last_seq
            """)
        defer { statement.finalize() }
        while try statement.step() {
            guard let name = statement.identifier(3) else { continue }
            let stream = StreamID(name)
            if last?.stream != stream {
                var origin = rows.streams[stream]?.origin
                if origin == nil { origin = try sealedRun(statement).header.origin }
                let cuts = if let origin { try cuts(of: origin.device) } else { [] as [Cut] }
                let limit = cuts.map(\.decidedMilliseconds).min()
                last = (stream, origin?.device, limit ?? .max)
            }
            // What was taken out of the log was here before.
            guard let last, let device = last.device, statement.integer(4) >= last.limit else {
                continue
            }
            sums[device, default: Trust.Aside()].bytes += Int(statement.integer(5))
            sums[device, default: Trust.Aside()].runCount += 1
        }
        trust?.aside = sums
        return sums[device] ?? Trust.Aside()
    }

    /// Makes a stream known, if it ends and isn't yet, and notes where it and its branches end.
    @discardableResult
    func noteEnds(of origin: StreamOrigin) throws(StoreError) -> [StreamRecord] {
        var family = rows.streams.family(origin.stream)
        if family.isEmpty {
            guard try end(of: StreamRecord(sid: 0, origin)) != nil else { return [] }
            family = [try rows.streams.add(origin, to: connection)]
        }
        return try family.map { record throws(StoreError) in
            var record = record
            let end = try end(of: record)
            guard record.end != end else { return record }
            record.end = end
            try rows.streams.update(record, in: connection)
            return record
        }
    }

    /// The first runs of streams that no cut names, and on which `runs` build: the hub doesn't know whose
    /// these streams are, and must before it can take what builds on them.
    func unnamedRuns(under runs: [SealedRun]) throws(StoreError) -> [SealedRun] {
        var found: [SealedRun] = []
        var (size, seen): (Int, Set<StreamID>) = (0, [])
        for stream in runs.lazy.flatMap(\.header.dependencies).map(\.stream) {
            guard let record = rows.streams[stream], record.end == .beforeFirst,
                record.device != own.device, seen.insert(stream).inserted
            else { continue }
            guard try !isNamed(record.origin), let run = try asideRun(of: stream, from: 1)
            else { continue }
            size += run.storedBytes
            // The hub names those first, and asks for more.
            guard found.isEmpty || size <= Limits.runStoredBytes else { break }
            found.append(run)
        }
        return found
    }

    /// The run of a stream that is kept aside and holds a changeset, or the next one.
    private func asideRun(
        of stream: StreamID, from seq: UInt64
    ) throws(StoreError) -> SealedRun? {
        let statement = try connection.prepare(
            """
            SELECT head, sig, body FROM sy_quar WHERE stream = ? AND last_seq >= ?
            ORDER BY last_seq LIMIT 1
            """)
        defer { statement.finalize() }
        statement.bind(1, stream.identifier)
        statement.bind(2, Int64(seq))
        return try statement.step() ? try sealedRun(statement) : nil
    }

    // MARK: Cutting off

    /// Whether changes say something new of cuts.
    func areCuts(_ changes: RunChanges) -> Bool {
        guard let place = schema.trust else { return false }
        return changes.changes.contains { change in
            change.table == place.table
                && change.operations.contains { changes.ops[$0].column == place.cuts }
        }
    }

    /// Ends streams where the cuts say, and takes out of the state what lies behind. Inside of a
    /// transaction, whose rows are all written.
    ///
    /// What this device wrote itself stays: whoever has it sees what the forum doesn't take.
    package func endStreams() throws(StoreError) {
        repeat {
            mayReachEnd = false
            try endStreamsOnce()
        } while mayReachEnd
    }

    private func endStreamsOnce() throws(StoreError) {
        trust?.cuts = [:]
        try keepReadings()
        var touched: Set<LogReplay.Key> = []
        var (cut, extended, forked): ([StreamID], [StreamID], [StreamID]) = ([], [], [])
        for origin in try namedOrigins() where origin.device != own.device {
            let before = rows.streams.family(origin.stream).map(\.end)
            var family = try noteEnds(of: origin)
            if family.count > 1, family.contains(where: \.isBeyondEnd) {
                // Else it ends when what a repair lost comes.
                guard try sealBeforeNaming(origin.stream) else { continue }
                family = rows.streams.family(origin.stream)
            } else if family.contains(where: \.isBeyondEnd) {
                // By its seq alone it couldn't be told from another branch's, once one comes.
                if let lane = lanes.first(where: { $0.record.scope == origin.scope }) {
                    try sealTail(of: lane)
                }
            }
            // What leaves a branch goes before that: a place that is not held can't be found.
            for record in family.sorted(by: { $0.depth > $1.depth }) {
                guard let end = record.end, record.isBeyondEnd else { continue }
                try cutOff(record, at: end, &touched)
                if family.count > 1 { forked.append(origin.stream) }
            }
            let isCut = family.contains(where: \.isBeyondEnd)
            guard !isCut, let first = family.first else {
                cut.append(origin.stream)
                continue
            }
            let isMoved = before != family.map(\.end)
            let isShort = try endsBeyondHeld(first)
            if isMoved || isShort { extended.append(origin.stream) }
        }
        // Of a stream of which a branch is gone, another one may go on.
        for stream in Set(forked).sorted() {
            try arrange(stream)
            for record in rows.streams.family(stream) { try noteEnds(of: record.origin) }
        }
        try takeBack(extended, &touched)
        if !forked.isEmpty { areRowsStale = true }
        try holdReadings()
        // Of two branches that cuts of two hubs let count, neither may be left, and one comes back.
        for record in cut.compactMap({ rows.streams[$0] }) where try endsBeyondHeld(record) {
            mayReachEnd = true
        }
        if areRowsStale { try settleRows() } else { try remake(touched) }
    }

    /// The streams that cuts may end: those that are known, and those that the cuts name, be they of
    /// devices of which nothing has ever come.
    private func namedOrigins() throws(StoreError) -> [StreamOrigin] {
        guard let place = schema.trust else { return [] }
        var devices = Set(rows.streams.sorted.map(\.device))
        devices.formUnion(
            try trustedElements(in: place.cuts).compactMap { try? Cut(decoding: $0).device })
        var origins = Set(rows.streams.sorted.map(\.origin))
        for device in devices.sorted() {
            for cut in try cuts(of: device) { origins.formUnion(cut.origins) }
        }
        return origins.sorted { $0.stream < $1.stream }
    }

    private func cutOff(
        _ record: StreamRecord, at end: StreamEnd, _ touched: inout Set<LogReplay.Key>
    ) throws(StoreError) {
        try keepReadings { $0.stream == record.wire && $0.seq > end.lastSeq }
        let statement = try connection.prepare(
            "SELECT head, sig, body FROM sy_run WHERE sid = ? AND last_seq > ? ORDER BY last_seq")
        defer { statement.finalize() }
        statement.bind(1, record.sid)
        statement.bind(2, Int64(end.lastSeq))
        while try statement.step() {
            for changeset in try decode(try sealedRun(statement), of: record) {
                for change in changeset.rows {
                    touched.insert(LogReplay.Key(table: change.table, row: change.row))
                }
            }
        }
        let refusal = try refusal(of: record.origin)
        let (sid, seq): (Value, Value) = (.integer(record.sid), .integer(Int64(end.lastSeq)))
        try connection.run(
            """
            INSERT INTO sy_quar(scope, stream, last_seq, received, reason, head, sig, body)
            SELECT ?, ?, last_seq, received, ?, head, sig, body FROM sy_run
            WHERE sid = ? AND last_seq > ? ORDER BY last_seq
            """, .text(record.scope), .blob(record.wire.identifier.bytes),
            .text("\(refusal.code.name): \(refusal.explanation)"), sid, seq)
        try connection.run("DELETE FROM sy_run WHERE sid = ? AND last_seq > ?", sid, seq)
        // Others in the log may name it.
        try noteNamed(record.head, behindEndOf: record.sid)
        var record = record
        // The run that it ends with may not be here yet, and what lies beside the way to that still is.
        let last = try connection.rows(
            "SELECT last_seq, hash FROM sy_run WHERE sid = ? ORDER BY last_seq DESC LIMIT 1", sid)
        (record.sealed, record.runHash) = (record.base, record.branch?.previous)
        if case .integer(let seq)? = last.first?[0], case .blob(let hash)? = last.first?[1] {
            (record.sealed, record.runHash) = (UInt64(clamping: seq), Digest(hash))
        }
        record.head = record.sealed
        try connection.run(
            "UPDATE sy_peer_head SET has = min(has, ?2), fed = min(fed, ?2) WHERE sid = ?1", sid,
            .integer(Int64(record.sealed)))
        record.named = min(record.named, record.sealed)
        try rows.streams.update(record, in: connection)
        log.removeAll()
    }

    // MARK: What names what was cut off

    /// The run that a new run names as the last that its author held of a stream.
    ///
    /// - Parameter seq: what the new run names of it.
    func dependency(on record: StreamRecord, naming seq: UInt64) throws(StoreError) -> Dependency {
        guard seq > record.sealed else {
            guard let hash = record.runHash else {
                throw rows.damaged("stream \(record.stream) has no run")
            }
            return Dependency(stream: record.wire, seq: record.sealed, run: hash)
        }
        guard let run = try asideRun(of: record.wire, from: seq) else {
            // Behind an end only the seq is looked at.
            let run = record.runHash ?? RunStub(noneOf: record.wire).hash
            return Dependency(stream: record.wire, seq: seq, run: run)
        }
        return Dependency(stream: record.wire, seq: run.header.lastSeq, run: run.hash)
    }

    /// The last changeset that changes name of each stream that was ended: also where the end has moved
    /// since, and what lies before it can't be taken yet.
    func cutOffSeqs(in changesets: [Changeset]) -> [StreamID: UInt64] {
        var seqs: [StreamID: UInt64] = [:]
        for dot in changesets.flatMap(\.namedDots) {
            guard let record = rows.streams[dot.stream], record.end != nil,
                dot.seq > record.sealed
            else { continue }
            seqs[dot.stream] = max(seqs[dot.stream] ?? 0, dot.seq)
        }
        return seqs
    }
}

extension Changeset {
    /// All dots that its ops name.
    var namedDots: [Dot] { rows.flatMap { $0.operations.flatMap(\.namedDots) } }
}
