internal import Causality
internal import Foundation
internal import Merge
internal import RecordSchema
internal import SyncProtocol

/// Writes a new file from what was read of a damaged one: the log as it was. The rows are made from it.
struct Rebuild {
    let file: SalvagedFile
    let plan: RepairPlan
    let schema: Schema
    let environment: Environment
    let connection: Connection

    /// In one transaction, at a path where there is nothing yet.
    func write() throws(StoreError) {
        try connection.execute("BEGIN IMMEDIATE")
        try connection.execute(Layout.tables)
        for statement in Layout.statements(for: schema) { try connection.execute(statement) }
        try writeStreams()
        try writeMeta()
        try writeLog()
        try writePeers()
        try writeQuarantine()
        for (name, table) in file.others.sorted(by: { $0.key < $1.key }) {
            try write(table, as: name)
        }
        try connection.execute("PRAGMA application_id = \(Layout.applicationID)")
        try connection.execute("PRAGMA user_version = \(Layout.version)")
        try connection.execute("COMMIT")
    }

    // MARK: Streams

    /// Times are kept, so that none is given twice.
    private var clock: HybridTime {
        let last = plan.changesets.map(\.time).max() ?? HybridTime(rawValue: 0)
        let bound = HybridTime(
            milliseconds: max(environment.wallMilliseconds(), last.milliseconds)
                + HybridClock.lookaheadMilliseconds)
        let noted = plan.streams.map(\.record.clock).filter { $0 <= bound }.max()
        return max(last, noted ?? last)
    }

    private func writeStreams() throws(StoreError) {
        for stream in plan.streams {
            let record = stream.record
            // The tail of the stream that goes on says where that ends.
            let head = record.sid == plan.own ? record.sealed : record.head
            try connection.run(
                "INSERT INTO sy_stream VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                .integer(record.sid), .text(record.scope), .blob(record.stream.identifier.bytes),
                .blob(record.publicKey), .integer(Int64(record.incarnation)),
                .integer(Int64(head)), .integer(Int64(record.sealed)),
                record.runHash.map { .blob($0.bytes) } ?? .null,
                record.end.map { .blob($0.stored) } ?? .null,
                .integer(Int64(record.named)),
                .integer(
                    record.publicKey == plan.publicKey ? Int64(bitPattern: clock.rawValue) : 0))
        }
    }

    private func writeMeta() throws(StoreError) {
        for (key, value) in file.meta.sorted(by: { $0.key < $1.key })
        where Layout.metaKeys.contains(key) || key.hasPrefix("known_") || key.hasPrefix("owed_")
            || key.hasPrefix(MetaKey.dropped(""))
        {
            // They are found again, by runs that are taken in anew.
            guard key != MetaKey.branches else { continue }
            try connection.setMeta(key, value.value)
        }
        if plan.lost.isEmpty {
            try connection.run("DELETE FROM sy_meta WHERE key = 'lost_commits'")
        }
        let own: Int64 = if let known = plan.own { known } else { try startOver() }
        try connection.setMeta("own", .integer(own))
        try connection.setMeta("install", .integer(1))
        if file.meta["name"]?.text == nil { try connection.setMeta("name", .text("repaired")) }
        try connection.setMeta("schema", .text(schema.name))
        try connection.setMeta("schema_version", .integer(Int64(schema.version)))
        try connection.setMeta("format", .integer(Int64(Limits.format)))
        if plan.laneCount > 0, !isFeed {
            try connection.setMeta(
                MetaKey.laneCount, .integer(Int64(clamping: plan.laneCount)))
        }
        if plan.hasHoles { try connection.setMeta(MetaKey.holes, .integer(1)) }
        // What named changes behind an end may be among what is lost.
        for stream in plan.streams where stream.record.end != nil {
            try connection.setMeta(MetaKey.named(stream.record.sid), .integer(.max))
        }
    }

    /// Changes of the replica's own stream are lost, or all of it: it goes on under a name that nobody
    /// has used, and what is left of the stream is what an earlier incarnation left.
    ///
    /// - Returns: the number of the new stream.
    private func startOver() throws(StoreError) -> Int64 {
        for stream in plan.streams
        where stream.record.publicKey == plan.publicKey && stream.known > stream.record.head {
            try connection.setMeta(
                MetaKey.known(stream.record.sid), .integer(Int64(clamping: stream.known)))
        }
        try connection.setMeta(MetaKey.renew, MetaKey.repaired)
        let random = environment.randomBytes(8).reduce(0) { $0 << 8 | UInt64($1) }
        let origin = StreamOrigin(
            publicKey: plan.publicKey, scope: Replica.scope, incarnation: random >> 2 | 1)
        var streams = try StreamTable(reading: connection)
        var own = try streams.add(origin, to: connection)
        own.clock = clock
        try streams.update(own, in: connection)
        return own.sid
    }

    // MARK: The log

    private func writeLog() throws(StoreError) {
        var runs = plan.streams.flatMap { stream in
            stream.runs.map { (sid: stream.record.sid, entry: $0) }
        }
        runs.sort { $0.entry.rowid < $1.entry.rowid }
        for (sid, entry) in runs {
            let header = entry.run.header
            try connection.run(
                "INSERT INTO sy_run VALUES(?, ?, ?, ?, ?, ?, ?, ?)", .integer(sid),
                .integer(Int64(header.lastSeq)), .integer(Int64(header.firstSeq)),
                .integer(entry.received), .blob(entry.hash.bytes), .blob(entry.run.headerBytes),
                .blob(entry.run.seal), .blob(entry.run.body))
        }
        for stream in plan.streams {
            let record = stream.record
            let isOwn = record.sid == plan.own
            let pieces = stream.pieces.map { SalvagedPiece(previous: record.runHash, piece: $0) }
            for entry in pieces + stream.stranded {
                let piece = entry.piece
                let values: [Value] = [
                    .integer(Int64(piece.seq)), .blob(piece.refs), .blob(piece.body),
                    .integer(piece.sum(in: record.stream, after: entry.previous)),
                    .blob(piece.keys.bytes),
                ]
                let statement = try connection.statement(
                    isOwn
                        ? "INSERT INTO sy_tail(seq, refs, body, sum, keys) VALUES(?, ?, ?, ?, ?)"
                        : """
                        INSERT INTO sy_left(sid, seq, refs, body, sum, keys)
                        VALUES(?, ?, ?, ?, ?, ?)
                        """)
                defer { statement.reset() }
                statement.bind(isOwn ? values : [.integer(record.sid)] + values)
                try statement.step()
            }
            // Nobody else goes on in the name of what was left here.
            let mark = "adopt_\(record.sid)"
            let isAdopted =
                file.meta["own"]?.integer == record.sid || file.meta[mark] != nil
                || file.meta[MetaKey.lane(record.scope)]?.integer == record.sid
            if !isOwn, isAdopted, !(pieces + stream.stranded).isEmpty {
                try connection.setMeta(mark, .integer(1))
            }
        }
        if isFeed { try writeFeeds(runs.map { ($0.sid, RunStub($0.entry.run)) }) }
    }

    private var isFeed: Bool { file.meta["feed"]?.integer == 1 || !file.scopes.isEmpty }

    /// A feed lists the runs of its scope in the order in which they came: it is the one that was read before
    /// when its end is the same. Else those who read it start over, and bring what is missing. All feeds have
    /// one epoch.
    private func writeFeeds(_ runs: [(sid: Int64, stub: RunStub)]) throws(StoreError) {
        try connection.setMeta("feed", .integer(1))
        let scopeOf = Dictionary(
            plan.streams.map { ($0.record.sid, $0.record.scope) }, uniquingKeysWith: { $1 })
        var feeds = Dictionary(grouping: runs) { scopeOf[$0.sid] ?? Replica.scope }
        for scope in file.scopes.keys where feeds[scope] == nil { feeds[scope] = [] }
        if feeds[Replica.scope] == nil { feeds[Replica.scope] = [] }
        var epoch = file.scopes[Replica.scope]?[1].blob.flatMap { Identifier($0) }
        if let known = epoch {
            let areSame = feeds.allSatisfy { scope, runs in
                let end = runs.reduce(Cursor.start(epoch: known, scope: scope)) {
                    $0.advanced(by: $1.stub)
                }
                return file.scopes[scope]?[2].integer == Int64(end.offset)
                    && file.scopes[scope]?[3].blob == end.chain.bytes
            }
            if !areSame { epoch = nil }
        }
        guard let epoch = epoch ?? Identifier(environment.randomBytes(16)) else { return }
        for (scope, runs) in feeds.sorted(by: { $0.key < $1.key }) {
            var cursor = Cursor.start(epoch: epoch, scope: scope)
            for (sid, stub) in runs {
                cursor = cursor.advanced(by: stub)
                try connection.run(
                    "INSERT INTO sy_feed VALUES(?, ?, ?, ?, ?)", .text(scope),
                    .integer(Int64(cursor.offset)), .integer(sid), .integer(Int64(stub.lastSeq)),
                    .blob(cursor.chain.bytes))
            }
            try connection.run(
                "INSERT INTO sy_scope VALUES(?, ?, ?, ?)", .text(scope), .blob(epoch.bytes),
                .integer(Int64(cursor.offset)), .blob(cursor.chain.bytes))
        }
    }

    // MARK: The rest

    /// Where something is missing, the hub's feed is read again from its start.
    private func writePeers() throws(StoreError) {
        let isWhole = plan.lost.isEmpty && !file.damagedTables.contains("sy_peer")
        for values in file.cursors where isWhole {
            try insert(values, into: "sy_peer")
        }
        let sealed = Dictionary(
            plan.streams.map { ($0.record.sid, $0.record.sealed) }
        ) { first, _ in first }
        for values in file.peerHeads {
            guard let sid = values[1].integer, let limit = sealed[sid], let has = values[2].integer,
                let fed = values[3].integer, has >= 0
            else { continue }
            try connection.run(
                """
                INSERT OR IGNORE INTO sy_peer_head(peer, sid, has, fed) VALUES(?, ?, ?, ?)
                """, values[0].value,
                .integer(sid), .integer(min(has, Int64(limit))),
                .integer(isWhole ? min(max(fed, 0), Int64(limit)) : 0))
        }
    }

    private func writeQuarantine() throws(StoreError) {
        for values in file.quarantined { try insert([.null] + values.dropFirst(), into: "sy_quar") }
        let kept = Set(file.quarantined.compactMap { $0[6].blob })
        for stream in plan.streams {
            for entry in stream.strandedRuns {
                try keepAside(entry, of: stream, Self.strandedReason(stream))
            }
            for entry in stream.cutOffRuns where !kept.contains(entry.run.headerBytes) {
                try keepAside(entry, of: stream, Self.cutOffReason(stream))
            }
        }
    }

    private func keepAside(
        _ entry: SalvagedRun, of stream: RepairPlan.Stream, _ reason: String
    ) throws(StoreError) {
        try connection.run(
            """
            INSERT INTO sy_quar(scope, stream, last_seq, received, reason, head, sig, body)
            VALUES(?, ?, ?, ?, ?, ?, ?, ?)
            """, .text(stream.record.scope), .blob(stream.record.stream.identifier.bytes),
            .integer(Int64(entry.run.header.lastSeq)), .integer(entry.received), .text(reason),
            .blob(entry.run.headerBytes), .blob(entry.run.seal), .blob(entry.run.body))
    }

    private static func cutOffReason(_ stream: RepairPlan.Stream) -> String {
        "REVOKED: a hub has ended its stream at \(stream.record.sealed)"
    }

    private static func strandedReason(_ stream: RepairPlan.Stream) -> String {
        "GAP: changes from \(stream.record.head + 1) on were damaged; it waits for them"
    }

    private func insert(_ values: [StoredValue], into table: String) throws(StoreError) {
        let marks = values.map { _ in "?" }.joined(separator: ", ")
        let statement = try connection.statement("INSERT OR IGNORE INTO \(table) VALUES(\(marks))")
        defer { statement.reset() }
        statement.bind(values.map(\.value))
        try statement.step()
    }

    /// Another program's table with the engine's prefix, as a hub's: its rows as they lie.
    private func write(_ table: SalvagedFile.OtherTable, as name: String) throws(StoreError) {
        guard table.sql.uppercased().hasPrefix("CREATE TABLE"), !table.sql.contains(";") else {
            return
        }
        do {
            try connection.execute(table.sql)
        } catch {
            // A statement that the disk has changed: what it says is no table any more.
            return
        }
        for row in table.rows { try insert(row.values, into: name) }
    }
}

extension StoredValue {
    var value: Value {
        switch self {
        case .null: .null
        case .integer(let value): .integer(value)
        case .real(let value): .real(value)
        case .text(let bytes): .text(String(decoding: bytes, as: UTF8.self))
        case .blob(let bytes): .blob(bytes)
        }
    }
}
