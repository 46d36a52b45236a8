internal import Causality
internal import Merge
internal import RecordSchema
internal import SyncProtocol

/// What a file notes beside its log and its rows.
extension Inspection {
    mutating func checkStreams() throws {
        // The latest change may have been cut off since.
        let isAnyAside =
            try connection.value("SELECT 1 FROM sy_quar WHERE last_seq > 0 LIMIT 1") != nil
        for record in streams {
            let name = "stream \(record.stream)"
            if record.named > record.sealed {
                result.otherProblems.append("\(name) was named further than it goes")
            }
            // Later than any change is only what was given up; a day is more than that can be.
            let isAhead = record.clock.milliseconds > latest.milliseconds + 86_400_000
            if isAhead, missing.isEmpty, !isAnyAside, result.changesets > 0 {
                result.otherProblems.append("\(name): its clock is ahead of every change")
            }
        }
        try checkEnds()
        try checkTail()
        try checkMeta()
    }

    /// Streams end where the cuts among the records say.
    private mutating func checkEnds() throws {
        for record in streams where record.device != replica.own.device {
            let said = try replica.said(of: record)
            let isBehind =
                try record.end.map { end in
                    try record.head > end.lastSeq
                        && (end.run.map {
                            try replica.isHeld($0, at: end.lastSeq, of: record)
                        } ?? true)
                } ?? false
            if record.end != said || isBehind {
                result.otherProblems.append(
                    "stream \(record.stream) ends elsewhere than its cuts say")
            }
        }
    }

    /// Pieces that belong to no place in their stream.
    private mutating func checkTail() throws {
        let own = replica.own
        for row in try connection.rows(
            "SELECT seq FROM sy_tail WHERE seq <= ? OR seq > ?", .integer(Int64(own.sealed)),
            .integer(Int64(own.head)))
        {
            result.otherProblems.append("a piece of the tail stands out of its place: \(row[0])")
        }
        for record in streams where record.sid != own.sid {
            let count = try connection.value(
                "SELECT count(*) FROM sy_left WHERE sid = ?", .integer(record.sid))
            let isKept = try connection.meta(MetaKey.holes) != nil
            if count != .integer(Int64(record.head - record.sealed)), !isKept {
                result.otherProblems.append("what \(record.stream) left is not what is noted")
            }
        }
    }

    private mutating func checkMeta() throws {
        let expected: [(key: String, value: Value)] = [
            ("format", .integer(Int64(Limits.format))), ("schema", .text(replica.schema.name)),
        ]
        for (key, value) in expected where try connection.meta(key) != value {
            result.otherProblems.append("sy_meta: \(key) is not what it must be")
        }
        if let key = try connection.meta("hub_key") {
            guard case .blob(let bytes) = key, bytes.count == 32 else {
                return result.otherProblems.append("sy_meta: the hub's key is not one")
            }
        }
    }

    // MARK: The feed

    /// The feed holds every run, each linked to the one before: once, and once more for each time that
    /// it was admitted.
    mutating func checkFeed() throws {
        guard replica.keepsFeed else { return }
        var namedCount = 0
        for scope in try replica.feedScopes() { namedCount += try checkFeed(of: scope) ?? 0 }
        if namedCount != result.runs {
            result.otherProblems.append("the feed doesn't name every run")
        }
    }

    /// - Returns: how many runs it names that the log holds; `nil` for a feed with a problem.
    private mutating func checkFeed(of scope: String) throws -> Int? {
        let end = try replica.feedEnd(of: scope)
        var cursor = Cursor.start(epoch: end.epoch, scope: scope)
        var named: Set<RunStub> = []
        let statement = try connection.prepare(
            """
            SELECT f.off, f.chain, f.sid, f.last_seq, r.hash FROM sy_feed f
            LEFT JOIN sy_run r ON r.sid = f.sid AND r.last_seq = f.last_seq
            WHERE f.scope = ? ORDER BY f.off
            """)
        defer { statement.finalize() }
        statement.bind(1, text: scope)
        while try statement.step() {
            guard let record = replica.rows.streams[sid: statement.integer(2)],
                let seq = UInt64(exactly: statement.integer(3)),
                let stub = try stub(record, seq, statement, behind: cursor, &named)
            else {
                result.otherProblems.append(
                    "entry \(statement.integer(0)) of the feed names a run that is not here")
                return nil
            }
            cursor = cursor.advanced(by: stub)
            guard statement.integer(0) == Int64(cursor.offset),
                statement.blob(1) == cursor.chain.bytes
            else {
                result.otherProblems.append(
                    "entry \(cursor.offset) of the feed does not continue its chain")
                return nil
            }
        }
        if cursor != end {
            result.otherProblems.append("the feed ends elsewhere than is noted")
        }
        return named.count
    }

    /// - Parameters:
    ///   - statement: at a row of (offset, chain, sid, seq, hash).
    ///   - named: gets what the log holds.
    private func stub(
        _ record: StreamRecord, _ seq: UInt64, _ statement: Statement, behind cursor: Cursor,
        _ named: inout Set<RunStub>
    ) throws -> RunStub? {
        if let hash = Digest(statement.blob(4)) {
            let stub = RunStub(stream: record.wire, lastSeq: seq, hash: hash)
            // Else it was cut off, and another one of its number is here.
            if cursor.advanced(by: stub).chain.bytes == statement.blob(1) {
                named.insert(stub)
                return stub
            }
        }
        let chain = statement.blob(1)
        if let (stub, _) = try replica.movedRun(record, Int64(seq), leadingTo: chain, from: cursor)
        {
            named.insert(stub)
            return stub
        }
        return try replica.cutOffRun(
            record.wire, seq: Int64(seq), leadingTo: chain, from: cursor)
    }

    // MARK: Peers

    mutating func checkPeers() throws {
        for row in try connection.rows(
            "SELECT sid, has, fed, twin = has * 3 + fed FROM sy_peer_head")
        {
            guard case .integer(let sid) = row[0], case .integer(let has) = row[1],
                case .integer(let fed) = row[2], let record = replica.rows.streams[sid: sid],
                (0...Int64(record.head)).contains(has), (0...Int64(record.head)).contains(fed),
                row[3] == .integer(1)
            else {
                result.otherProblems.append("what the hub holds of stream \(row[0]) can't be")
                continue
            }
        }
        for row in try connection.rows("SELECT epoch, off, chain FROM sy_peer") {
            guard case .blob(let epoch) = row[0], epoch.count == 16,
                case .integer(let offset) = row[1],
                offset >= 0, case .blob(let chain) = row[2], chain.count == 32
            else {
                result.otherProblems.append("the place in the hub's feed can't be")
                continue
            }
        }
    }

    mutating func checkQuarantine() throws {
        let statement = try connection.prepare(
            "SELECT head, sig, body, no, stream, last_seq FROM sy_quar ORDER BY no")
        defer { statement.finalize() }
        while try statement.step() {
            // What another program wrote is no run; its words are all that there is.
            if statement.integer(5) == 0 { continue }
            let run = try? replica.sealedRun(statement)
            let isWhole =
                run.map {
                    Digest(sha256: $0.body) == $0.header.bodyHash
                        && $0.header.stream.identifier.bytes == statement.blob(4)
                        && Int64($0.header.lastSeq) == statement.integer(5)
                } ?? false
            if !isWhole {
                result.otherProblems.append("run \(statement.integer(3)) kept aside is damaged")
            }
        }
    }
}
