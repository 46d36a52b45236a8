internal import Causality
internal import Foundation
internal import Merge
public import RecordSchema
internal import SyncProtocol

extension Replica {
    /// Holds the file against itself: every run's signature and place in its chain, every row and
    /// its live ops against what the log gives, the lists that are kept of them, and SQLite's own
    /// check. What was written here last is in the file beside.
    ///
    /// What can't be read is named, and the rest is looked at all the same. Needs memory for every
    /// live op.
    public func verify() throws -> Verification {
        // Before the file: others may be writing, and the file beside is never ahead of it.
        let mark = install.read()
        return try read { () throws in
            var inspection = Inspection(self)
            inspection.run()
            inspection.checkEnd(mark)
            return inspection.result
        }
    }

    /// Opens a file to look at it: what is damaged does not keep it from being opened, as long as
    /// SQLite can read its schema and its streams are known.
    public static func inspect(
        at path: String, schema: Schema, environment: Environment
    ) throws(StoreError) -> Replica {
        try open(at: path, schema: schema, environment: environment, captures: false)
    }
}

/// One look at a whole file.
struct Inspection {
    let replica: Replica
    var result = Verification()
    /// The changes that can't be read, by stream.
    var missing: [StreamID: [ClosedRange<UInt64>]] = [:]
    var replay = LogReplay()
    private(set) var latest = HybridTime(rawValue: 0)

    var connection: Connection { replica.connection }
    var streams: [StreamRecord] { replica.rows.streams.sorted }

    /// People of whom nothing personal is read.
    let erased: Set<RowID>

    init(_ replica: Replica) {
        self.replica = replica
        erased = (try? replica.erasedPeople()) ?? []
    }

    mutating func run() {
        checkDatabase()
        readRuns()
        readPieces()
        attempt("the streams") { inspection throws in try inspection.checkStreams() }
        attempt("the feed") { inspection throws in try inspection.checkFeed() }
        attempt("what is known of the hub") { inspection throws in try inspection.checkPeers() }
        attempt("what was kept aside") { inspection throws in try inspection.checkQuarantine() }
        checkRows()
        result.stateHash = try? replica.stateHash()
    }

    /// A log that lost its last commit doesn't show it, and neither does an older copy of the file.
    mutating func checkEnd(_ mark: InstallFile.Mark?) {
        let own = replica.own
        if let mark, mark.stream == own.stream, !replica.keepsFeed, mark.kept > replica.laneCount {
            result.otherProblems.append(
                "what was written last in other scopes than \(Replica.scope) is missing")
        }
        guard let mark, mark.stream == own.stream, mark.head > own.head else { return }
        result.missingEnd = Verification.DamagedChanges(
            stream: own.stream, first: own.head + 1, last: mark.head)
    }

    /// Goes on when a part of the file can't be read.
    mutating func attempt(_ what: String, _ body: (inout Inspection) throws -> Void) {
        do {
            try body(&self)
        } catch {
            result.otherProblems.append("\(what) can't be read: \(Self.detail(error))")
        }
    }

    static func detail(_ error: any Error) -> String {
        switch error {
        case StoreError.damaged(_, let detail): detail
        case let error as StoreError: error.explanation
        default: "\(error)"
        }
    }

    private mutating func checkDatabase() {
        attempt("the database") { inspection throws in
            for row in try inspection.connection.rows("PRAGMA integrity_check(100)")
            where row[0] != .text("ok") {
                if case .text(let detail) = row[0] {
                    inspection.result.otherProblems.append("SQLite: \(detail)")
                }
            }
        }
    }

    // MARK: The log

    private mutating func readRuns() {
        var found: [Int64: [SealedRun]] = [:]
        forEachRun { inspection, statement throws in
            inspection.result.runs += 1
            let run = try inspection.replica.sealedRun(statement)
            let name = "run \(run.header.stream):\(run.header.lastSeq)"
            let streams = inspection.replica.rows.streams
            let sid = statement.integer(3)
            // Of a stream with branches, the one that it lies in.
            let noted = streams[sid: sid].flatMap { $0.wire == run.header.stream ? $0 : nil }
            guard let record = noted ?? streams[run.header.stream] else {
                return inspection.result.otherProblems.append("\(name) is of no stream here")
            }
            let isNoted =
                sid == record.sid
                && statement.integer(4) == Int64(run.header.lastSeq)
                && statement.integer(5) == Int64(run.header.firstSeq)
            if !isNoted || statement.blob(6) != run.hash.bytes {
                inspection.result.otherProblems.append("\(name) is noted as another")
            }
            try run.verify(publicKey: record.publicKey)
            if run.seal != statement.blob(1) {
                inspection.result.otherProblems.append(
                    "\(name): keys to what it says of people are damaged, and that can't be read")
            }
            found[record.sid, default: []].append(run)
        }
        for record in streams { takeRuns(found[record.sid] ?? [], of: record) }
    }

    /// Reads what can be read of the runs: the places of those behind a damaged page are tried one
    /// by one.
    private mutating func forEachRun(_ body: (inout Inspection, Statement) throws -> Void) {
        var next: Int64 = 1
        func take(_ sql: String, from rowid: Int64, _ inspection: inout Inspection) throws {
            let statement = try inspection.connection.prepare(
                "SELECT head, sig, body, sid, last_seq, first_seq, hash, rowid \(sql)")
            defer { statement.finalize() }
            statement.bind(1, rowid)
            while try statement.step() {
                next = statement.integer(7) + 1
                // A run that is damaged leaves a gap in its stream, and is named with that.
                try? body(&inspection, statement)
            }
        }
        do {
            try take("FROM sy_run WHERE rowid >= ? ORDER BY rowid", from: 1, &self)
            return
        } catch {
            result.otherProblems.append("sy_run: \(Self.detail(error))")
        }
        let size = (try? FileManager.default.attributesOfItem(atPath: replica.path)[.size]) as? Int
        // No run takes less than its signature and hashes.
        let limit = next + Int64((size ?? 0) / 200) + 1
        while next <= limit {
            let place = next
            try? take("FROM sy_run WHERE rowid = ?", from: place, &self)
            next = max(next, place + 1)
        }
    }

    private mutating func takeRuns(_ runs: [SealedRun], of record: StreamRecord) {
        var (last, previous) = (record.base, record.branch?.previous)
        var reader = StreamReader(
            namespace: replica.schema.namespace, mark: replica.mark(of: record), erased: erased)
        for run in runs.sorted(by: { $0.header.firstSeq < $1.header.firstSeq }) {
            let header = run.header
            if header.firstSeq > last + 1 { miss(record.stream, last + 1...header.firstSeq - 1) }
            if header.firstSeq <= last || header.firstSeq == last + 1 && header.previous != previous
            {
                result.otherProblems.append(
                    "run \(header.stream):\(header.lastSeq) does not continue its chain")
            }
            do {
                for changeset in try changesets(of: run, record, &reader) { add(changeset) }
            } catch {
                miss(record.stream, header.firstSeq...header.lastSeq)
            }
            (last, previous) = (header.lastSeq, run.hash)
        }
        if last < record.sealed { miss(record.stream, last + 1...record.sealed) }
        if last > record.sealed || last == record.sealed && previous != record.runHash {
            result.otherProblems.append("stream \(record.stream) ends elsewhere than is noted")
        }
    }

    private func changesets(
        of run: SealedRun, _ record: StreamRecord, _ reader: inout StreamReader
    ) throws -> [Changeset] {
        if replica.rows.streams.hasBranches { return try replica.decode(run, of: record) }
        let changesets = try reader.changesets(of: run)
        return try replica.names(of: run) == nil
            ? changesets : try replica.decode(run, of: record)
    }

    private mutating func add(_ changeset: Changeset) {
        result.changesets += 1
        latest = max(latest, changeset.time)
        replay.add(changeset)
    }

    private mutating func miss(_ stream: StreamID, _ range: ClosedRange<UInt64>) {
        missing[stream, default: []].append(range)
        result.damagedChanges.append(
            Verification.DamagedChanges(
                stream: stream, first: range.lowerBound, last: range.upperBound))
    }

    func isMissing(_ dot: Dot) -> Bool {
        missing[dot.stream]?.contains { $0.contains(dot.seq) } ?? false
    }

    /// What no run holds yet. Behind a damaged piece nothing can be read: it may have given numbers
    /// to what the others name.
    private mutating func readPieces() {
        for record in streams {
            let isOwn = record.sid == replica.own.sid
            let last = record.head
            guard last > record.sealed else { continue }
            var reader = replica.tailReader(record)
            var next = record.sealed + 1
            while next <= last, let piece = piece(next, of: record, isOwn: isOwn) {
                reader.append(piece.body, newStreams: piece.streams)
                guard let changeset = try? reader.next(piece.keys.keys, isErased: erased.contains)
                else {
                    break
                }
                add(changeset)
                next += 1
            }
            if next <= last { miss(record.stream, next...last) }
        }
    }

    private func piece(_ seq: UInt64, of record: StreamRecord, isOwn: Bool) -> TailPiece? {
        let statement = try? connection.prepare(
            isOwn
                ? "SELECT \(Replica.pieceColumns) FROM sy_tail WHERE seq = ?1"
                : "SELECT \(Replica.pieceColumns) FROM sy_left WHERE seq = ?1 AND sid = ?2")
        guard let statement else { return nil }
        defer { statement.finalize() }
        statement.bind(1, Int64(seq))
        if !isOwn { statement.bind(2, record.sid) }
        guard (try? statement.step()) == true else { return nil }
        return TailPiece(statement, of: record.stream, after: record.runHash)
    }
}
