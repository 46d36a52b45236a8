package import Causality
internal import Merge
internal import RecordSchema
package import SyncProtocol

/// What comes behind the end of a stream: it is kept aside as it came, whoever brings it.
extension Replica {
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

    func isBehindEnd(
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
        let cuts = try cuts(of: origin.device)
        // Where two hubs' words keep each other's branches out, nothing in the log says that there are two.
        var isForked =
            rows.streams.isForked(origin.stream)
            || first.header.previous != rows.streams[origin.stream]?.runHash
        for cut in cuts where try endsElsewhere(cut.ends(of: origin) ?? [], than: path) {
            isForked = true
        }
        var found: [(cut: Cut, others: [StreamEnd])] = []
        for cut in cuts {
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

    /// Whether one of these ends lies beside the way to runs that are kept aside.
    private func endsElsewhere(
        _ ends: [StreamEnd], than path: [SealedRun]
    ) throws(StoreError) -> Bool {
        guard let last = path.last else { return false }
        for end in ends where end.run != nil && end.lastSeq <= last.header.lastSeq {
            if try !leads(end, to: path) { return true }
        }
        return false
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
        let kept = try connection.rows(
            """
            SELECT no, sig FROM sy_quar WHERE stream = ? AND last_seq = ? AND head = ?
            AND NOT (\(Self.stranded))
            """, .blob(run.header.stream.identifier.bytes), .integer(Int64(run.header.lastSeq)),
            .blob(run.headerBytes))
        if let kept = kept.first {
            try fillKeys(aside: kept, by: run)
            return refusal
        }
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

    /// A run that was kept aside without some of its keys, and comes again, may bring them.
    ///
    /// - Parameter kept: number and seal.
    func fillKeys(aside kept: [Value], by run: SealedRun) throws(StoreError) {
        guard case .blob(let seal) = kept[1], !run.keys.isEmpty, run.areKeysFitting else { return }
        var filled = run
        filled.keys = Array(seal.dropFirst(SealedRun.signatureBytes))
        filled.fillKeys(from: run.keys)
        guard filled.seal != seal else { return }
        try connection.run(
            "UPDATE sy_quar SET sig = ? WHERE no = ?", .blob(filled.seal), kept[0])
        holdsUncheckedKeys = true
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
    func asideRun(
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
}
