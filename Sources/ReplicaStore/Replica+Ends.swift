package import Causality
internal import Merge
internal import RecordSchema
package import SyncProtocol

/// Where streams end, by the cuts that the forum holds.
extension Replica {
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
    func isNamed(_ origin: StreamOrigin) throws(StoreError) -> Bool {
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
    func refusal(of origin: StreamOrigin) throws(StoreError) -> Refusal {
        let found = try cuts(of: origin.device).filter { $0.end(of: origin) != nil }
        let cut = found.min { a, b in
            (a.end(of: origin) ?? .beforeFirst) < (b.end(of: origin) ?? .beforeFirst)
        }
        let note = cut.map { $0.note.isEmpty ? "" : " (\($0.note))" } ?? ""
        let what = "what it recorded is kept aside, and counts nowhere\(note)"
        let short = origin.device.short
        return switch cut?.reason ?? .revoked {
        case .poison: Refusal(.poison, "the hub has ended its stream \(origin.stream): \(what)")
        case .fork:
            Refusal(.fork, "two files of its device \(short) wrote under one name: \(what)")
        default: Refusal(.revoked, "its device \(short) was revoked: \(what)")
        }
    }
}
