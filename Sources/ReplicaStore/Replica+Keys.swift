internal import Causality
internal import Merge
internal import SyncProtocol

/// Keys of what is personal that are missing beside a run that is held, and come later: a run is the same run
/// without them, and whoever passes it on may have lost some.
extension Replica {
    /// Whether a run of the log lacks keys that it isn't meant to lack: those of people who have been erased
    /// are gone for good.
    func lacksKeys(_ stub: RunStub) throws -> Bool {
        guard let record = try holder(of: stub), try mayLackKeys(stub.lastSeq, of: record),
            let run = try run(stub)
        else { return false }
        var contents = try rawContents(of: run, record)
        let erased = try erasedPeople()
        contents.open(run.keys, isErased: erased.contains)
        return contents.unreadableCount > 0
    }

    /// The run itself is read only where that is so, which is next to never.
    private func mayLackKeys(_ seq: UInt64, of record: StreamRecord) throws(StoreError) -> Bool {
        try connection.value(
            """
            SELECT 1 FROM sy_run WHERE sid = ? AND last_seq = ?
            AND instr(sig, zeroblob(\(PersonalKey.byteCount))) > 0
            """, .integer(record.sid), .integer(Int64(seq))) != nil
    }

    /// Takes keys that are missing here from a run that comes again. A hub gives it another place in its
    /// feed, so that others get them too.
    func fillKeys(by run: SealedRun) throws {
        let stub = RunStub(run)
        guard !run.keys.isEmpty, run.areKeysFitting, let record = try holder(of: stub),
            var held = try self.run(stub), held.isMissingKeys
        else { return }
        let before = held.keys
        held.fillKeys(from: run.keys)
        var contents = try rawContents(of: held, record)
        let erased = try erasedPeople()
        contents.open(held.keys, isErased: erased.contains)
        guard contents.keys != before else { return }
        held.keys = contents.keys
        try connection.run(
            "UPDATE sy_run SET sig = ? WHERE sid = ? AND last_seq = ?", .blob(held.seal),
            .integer(record.sid), .integer(Int64(stub.lastSeq)))
        for change in contents.changes.changes {
            filledRows.insert(LogReplay.Key(table: change.table, row: change.row))
        }
        filledRuns.insert(stub)
    }

    /// Makes the rows anew of which something can be read now that couldn't before: once, whatever came of
    /// keys in the transaction, when all other rows are written.
    func remakeFilled() throws(StoreError) {
        guard !filledRuns.isEmpty else { return }
        let (rows, runs) = (filledRows, filledRuns)
        (filledRows, filledRuns) = ([], [])
        log.removeAll()
        try remake(rows)
        guard keepsFeed else { return }
        for stub in runs.sorted(by: { ($0.stream, $0.lastSeq) < ($1.stream, $1.lastSeq) }) {
            if let record = try holder(of: stub) { try appendToFeed(stub, of: record) }
        }
    }

    // MARK: What the hub lacks

    /// The hub has given a run that is held here, and lacks keys of it that are here: it is offered once
    /// more. Inside of a transaction.
    func noteOwed(_ run: SealedRun) throws {
        guard run.isMissingKeys, let held = try self.run(RunStub(run)) else { return }
        var filled = run
        filled.fillKeys(from: held.keys)
        guard filled.keys != run.keys, !filled.keys.allSatisfy({ $0 == 0 }) else { return }
        try connection.setMeta(MetaKey.owed(run.hash.bytes.hexadecimal), .blob(RunStub(run).bytes))
    }

    /// The runs of a scope of which the hub is to get keys.
    func owedRuns(in scope: String) throws(StoreError) -> [RunStub] {
        var stubs: [RunStub] = []
        for row in try connection.rows(
            "SELECT value FROM sy_meta WHERE key GLOB ? ORDER BY key", .text(MetaKey.owedPattern))
        {
            guard case .blob(let bytes) = row[0], let stub = RunStub(owed: bytes),
                try holder(of: stub)?.scope == scope
            else { continue }
            stubs.append(stub)
        }
        return stubs
    }

    func forgetOwed(_ stubs: [RunStub]) throws(StoreError) {
        for stub in stubs {
            try connection.run(
                "DELETE FROM sy_meta WHERE key = ?",
                .text(MetaKey.owed(stub.hash.bytes.hexadecimal)))
        }
    }
}

extension RunStub {
    /// As `sy_meta` keeps it: 16 bytes stream, 8 bytes seq, the hash.
    fileprivate var bytes: [UInt8] {
        stream.identifier.bytes
            + (0..<8).map { UInt8(truncatingIfNeeded: lastSeq >> (56 - 8 * UInt64($0))) }
            + hash.bytes
    }

    fileprivate init?(owed bytes: [UInt8]) {
        guard bytes.count == 56, let stream = Identifier(Array(bytes[..<16])),
            let hash = Digest(Array(bytes[24...]))
        else { return nil }
        self.init(
            stream: StreamID(stream),
            lastSeq: bytes[16..<24].reduce(0) { $0 << 8 | UInt64($1) }, hash: hash)
    }
}
