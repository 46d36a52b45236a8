public import Causality
internal import Merge
internal import RecordSchema
public import SyncProtocol

/// A run that is kept aside, as it came: no part of the state.
public struct QuarantinedRun: Hashable, Sendable {
    /// Its place in the file's list.
    public var number: Int64
    public var run: SealedRun
    /// `nil` where the stream's first run never came.
    public var device: DeviceID?
    /// Milliseconds since 1970.
    public var receivedMilliseconds: Int64
    /// The code of a ``SyncProtocol/Refusal``, and what it says.
    public var reason: String
}

extension Replica {
    /// Keeps a run that can't be applied, as it came.
    ///
    /// - Parameter scope: what it came in, where nothing else says which it is of.
    func quarantine(
        _ run: SealedRun, _ refusal: Refusal, in scope: String = Replica.scope
    ) throws(StoreError) {
        // A feed that is read anew brings it again. Whose first run isn't here may have come damaged.
        let known = try connection.rows(
            """
            SELECT no, sig FROM sy_quar WHERE stream = ? AND last_seq = ? AND head = ?
            AND substr(sig, 1, \(SealedRun.signatureBytes)) = ? AND body = ?
            """, .blob(run.header.stream.identifier.bytes), .integer(Int64(run.header.lastSeq)),
            .blob(run.headerBytes), .blob(run.signature), .blob(run.body))
        if let kept = known.first {
            try fillKeys(aside: kept, by: run)
            return try note(refusal, of: run)
        }
        // It may say something of people who have been erased.
        if !run.keys.isEmpty, try !erasedPeople().isEmpty { holdsUncheckedKeys = true }
        try connection.run(
            """
            INSERT INTO sy_quar(scope, stream, last_seq, received, reason, head, sig, body)
            VALUES(?, ?, ?, ?, ?, ?, ?, ?)
            """, .text(try origin(of: run)?.scope ?? scope),
            .blob(run.header.stream.identifier.bytes),
            .integer(Int64(run.header.lastSeq)), .integer(environment.wallMilliseconds()),
            .text("\(refusal.code.name): \(refusal.explanation)"), .blob(run.headerBytes),
            .blob(run.seal), .blob(run.body))
    }

    /// Says anew why a run is kept aside.
    func note(_ refusal: Refusal, of run: SealedRun) throws(StoreError) {
        try connection.run(
            "UPDATE sy_quar SET reason = ? WHERE stream = ? AND last_seq = ? AND head = ?",
            .text("\(refusal.code.name): \(refusal.explanation)"),
            .blob(run.header.stream.identifier.bytes), .integer(Int64(run.header.lastSeq)),
            .blob(run.headerBytes))
    }

    /// A run that has become part of the log is kept aside no longer.
    func forgetAside(_ run: SealedRun) throws(StoreError) {
        try connection.run(
            "DELETE FROM sy_quar WHERE stream = ? AND last_seq = ? AND head = ?",
            .blob(run.header.stream.identifier.bytes), .integer(Int64(run.header.lastSeq)),
            .blob(run.headerBytes))
    }

    /// The runs that are kept aside, and what other programs wrote here and may not be sent: which,
    /// and why.
    public func quarantined() throws(StoreError) -> [(stub: String, reason: String)] {
        try connection.rows("SELECT stream, last_seq, reason FROM sy_quar ORDER BY no").map { row in
            guard case .blob(let stream) = row[0], case .integer(let seq) = row[1],
                case .text(let reason) = row[2]
            else { return ("?", "?") }
            return (seq == 0 ? "here" : "\(stream.hexadecimal):\(seq)", reason)
        }
    }

    /// The runs that are kept aside, in the order in which they came.
    public func quarantinedRuns() throws(StoreError) -> [QuarantinedRun] {
        try connection.rows(
            """
            SELECT no, received, reason, head, sig, body FROM sy_quar WHERE last_seq > 0 ORDER BY no
            """
        ).map { row throws(StoreError) in
            guard case .integer(let number) = row[0], case .integer(let received) = row[1],
                case .text(let reason) = row[2], case .blob(let head) = row[3],
                case .blob(let seal) = row[4], case .blob(let body) = row[5],
                let run = try? SealedRun(storedHeader: head, seal: seal, body: body)
            else { throw rows.damaged("run \(row[0]) kept aside") }
            let device = try knownOrigin(of: run.header.stream)?.device
            return QuarantinedRun(
                number: number, run: run, device: device, receivedMilliseconds: received,
                reason: reason)
        }
    }

    /// The runs from what counts of a stream to one that is kept aside, in their order.
    ///
    /// - Returns: `nil` where one of them is not here.
    package func path(to kept: QuarantinedRun) throws(StoreError) -> [QuarantinedRun]? {
        let stream = kept.run.header.stream
        let aside = Dictionary(
            try quarantinedRuns().filter { $0.run.header.stream == stream }
                .map { ($0.run.hash, $0) },
            uniquingKeysWith: { first, _ in first })
        var path = [kept]
        while let header = path.last?.run.header, let previous = header.previous {
            let stub = RunStub(stream: stream, lastSeq: header.firstSeq - 1, hash: previous)
            if try holder(of: stub) != nil { break }
            guard let before = aside[previous] else { return nil }
            path.append(before)
        }
        return path.reversed()
    }

    /// The first of these runs that is kept aside, with the reason for that as it is now.
    package func firstAside(of runs: [QuarantinedRun]) throws(StoreError) -> QuarantinedRun? {
        let aside = try quarantinedRuns()
        for kept in runs where try holder(of: RunStub(kept.run)) == nil {
            return aside.first { $0.run == kept.run } ?? kept
        }
        return nil
    }

    /// What a run that is kept aside says. It may refer to runs before it, in the log or kept aside.
    ///
    /// - Returns: `nil` where one of those is missing.
    public func changesets(of kept: QuarantinedRun) throws -> [Changeset]? {
        guard let raw = try rawChangesets(of: kept) else { return nil }
        var changes = RunChanges(raw)
        let erased = try erasedPeople()
        changes.open(kept.run.keys, isErased: erased.contains)
        return changes.changesets
    }

    /// As above, with what is personal as the body has it.
    func rawChangesets(of kept: QuarantinedRun) throws(StoreError) -> [Changeset]? {
        var runs: [SealedRun] = []
        let family = rows.streams.family(kept.run.header.stream)
        for record in family { runs += try self.runs(of: record, after: record.base, .all) }
        runs += try quarantinedRuns().map(\.run)
            .filter { $0.header.stream == kept.run.header.stream }
        let known = Dictionary(runs.map { ($0.hash, $0) }, uniquingKeysWith: { first, _ in first })
        var path: [SealedRun] = []
        var previous = kept.run.header.previous
        while let hash = previous, let run = known[hash] {
            path.append(run)
            previous = run.header.previous
        }
        var reader = StreamReader(
            namespace: schema.namespace,
            mark: try origin(of: kept.run).flatMap { schema.mark(ofScope: $0.scope) })
        for run in path.reversed() {
            guard (try? reader.changesets(of: run, isOpened: false)) != nil else { return nil }
        }
        return try? reader.changesets(of: kept.run, isOpened: false)
    }
}
