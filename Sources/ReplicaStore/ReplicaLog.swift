public import Causality
public import Merge
public import SyncProtocol
internal import Foundation
internal import RecordSchema

/// Runs that were decoded lately: history, blame and capture ask for the same ones.
final class ReplicaLog {
    private var decoded: [Int64: [UInt64: [Changeset]]] = [:]
    private var order: [(sid: Int64, lastSeq: UInt64)] = []
    static let runLimit = 16
    /// The tails by the streams' numbers, while they are as they were: capture and every change of a cell ask
    /// for them again.
    var tails: [Int64: (stream: StreamID, first: UInt64, last: UInt64, changesets: [Changeset])] =
        [:]

    subscript(sid: Int64, lastSeq: UInt64) -> [Changeset]? { decoded[sid]?[lastSeq] }

    func insert(_ changesets: [Changeset], sid: Int64, lastSeq: UInt64) {
        decoded[sid, default: [:]][lastSeq] = changesets
        order.append((sid, lastSeq))
        if order.count > Self.runLimit {
            let oldest = order.removeFirst()
            decoded[oldest.sid]?[oldest.lastSeq] = nil
        }
    }

    func removeAll() {
        tails = [:]
        decoded = [:]
        order = []
    }
}

extension Replica {
    /// A sealed run by name; `nil` when this replica doesn't hold it, or holds another in its place.
    public func run(_ stub: RunStub) throws(StoreError) -> SealedRun? {
        guard let record = try holder(of: stub) else { return nil }
        let statement = try connection.statement(
            "SELECT head, sig, body, hash FROM sy_run WHERE sid = ? AND last_seq = ?")
        defer { statement.reset() }
        statement.bind(1, record.sid)
        statement.bind(2, Int64(stub.lastSeq))
        guard try statement.step(), statement.blob(3) == stub.hash.bytes else { return nil }
        return try sealedRun(statement)
    }

    func sealedRun(_ statement: Statement) throws(StoreError) -> SealedRun {
        do throws(CBORError) {
            return try SealedRun(
                storedHeader: statement.blob(0), seal: statement.blob(1),
                body: statement.blob(2))
        } catch {
            throw rows.damaged("the header of a run: \(error)")
        }
    }

    /// The changeset that `dot` names; `nil` when this replica doesn't hold it.
    public func changeset(_ dot: Dot) throws(StoreError) -> Changeset? {
        try read { () throws(StoreError) in try find(dot) }
    }

    private func find(_ dot: Dot) throws(StoreError) -> Changeset? {
        guard let record = rows.streams[dot.stream], dot.seq > record.base,
            dot.seq <= record.head
        else { return nil }
        let changesets =
            dot.seq > record.sealed
            ? try unsealedChangesets(record) : try runChangesets(record, holding: dot.seq)
        // Of a branch, those that it shares with another are missing.
        guard let last = changesets.last?.dot.seq, dot.seq <= last,
            last - dot.seq < UInt64(changesets.count)
        else { return nil }
        return changesets[changesets.count - 1 - Int(last - dot.seq)]
    }

    private func runChangesets(
        _ record: StreamRecord, holding seq: UInt64
    ) throws(StoreError) -> [Changeset] {
        let statement = try connection.statement(
            """
            SELECT head, sig, body, last_seq FROM sy_run WHERE sid = ? AND last_seq >= ?
            ORDER BY last_seq LIMIT 1
            """)
        defer { statement.reset() }
        statement.bind(1, record.sid)
        statement.bind(2, Int64(seq))
        guard try statement.step() else { throw rows.damaged("run \(record.stream):\(seq)") }
        guard let lastSeq = UInt64(exactly: statement.integer(3)) else {
            throw rows.damaged("run \(record.stream):\(seq)")
        }
        if let changesets = log[record.sid, lastSeq] { return changesets }
        let run = try sealedRun(statement)
        guard run.header.stream == record.wire, run.header.lastSeq == lastSeq,
            Digest(sha256: run.body) == run.header.bodyHash
        else { throw rows.damaged("run \(record.stream):\(lastSeq)") }
        let changesets = try decode(run, of: record)
        log.insert(changesets, sid: record.sid, lastSeq: lastSeq)
        return changesets
    }

    /// What a sealed run says, by name, without what another branch's says as well; `nil` when this replica
    /// doesn't hold it.
    package func changesets(of stub: RunStub) throws(StoreError) -> [Changeset]? {
        guard let record = try holder(of: stub), let run = try run(stub) else { return nil }
        return try decode(run, of: record)
    }

    /// The changesets of a run that the log holds, without those that are another branch's.
    ///
    /// - Parameter record: whose run it is.
    func decode(
        _ run: SealedRun, of record: StreamRecord
    ) throws(StoreError) -> [Changeset] {
        let named = try names(of: run)
        var contents = try rawContents(of: run, record)
        vocabularies.insert(contents.vocabulary, of: run.hash)
        let erased = try erasedPeople()
        contents.open(run.keys, isErased: erased.contains)
        guard named != nil || rows.streams.hasBranches else { return contents.changesets }
        return try read(contents.changesets, of: record, strays(of: run, named))
    }

    /// Own changesets of the base scope that no run holds yet, in order.
    public func tailChangesets() throws(StoreError) -> [Changeset] { try tailChangesets(of: base) }

    func tailChangesets(of lane: Lane) throws(StoreError) -> [Changeset] {
        let own = lane.record
        if let known = log.tails[own.sid], known.first == own.sealed + 1, known.last == own.head,
            known.stream == own.stream
        {
            return known.changesets
        }
        let changesets = try readTail(of: lane)
        log.tails[own.sid] = (own.stream, own.sealed + 1, own.head, changesets)
        return changesets
    }

    private func readTail(of lane: Lane) throws(StoreError) -> [Changeset] {
        let erased = try erasedPeople()
        var reader = tailReader(lane.record)
        var changesets: [Changeset] = []
        try forEachTailPiece(of: lane) { piece throws(StoreError) in
            reader.append(piece.body, newStreams: piece.streams)
            do throws(CBORError) {
                while let changeset = try reader.next(piece.keys.keys, isErased: erased.contains) {
                    changesets.append(changeset)
                }
            } catch {
                throw rows.damaged("change \(piece.seq) of the tail: \(error)")
            }
        }
        return changesets
    }

    /// What no run of the stream holds.
    private func unsealedChangesets(_ record: StreamRecord) throws(StoreError) -> [Changeset] {
        if let lane = lane(sid: record.sid) { return try tailChangesets(of: lane) }
        return record.head > record.sealed ? try leftChangesets(record) : []
    }

    /// Every changeset that is part of the state, stream by stream.
    public func forEachChangeset(
        _ body: (Changeset, _ receivedMilliseconds: Int64?) throws -> Void
    ) throws {
        for record in rows.streams.sorted {
            let statement = try connection.prepare(
                "SELECT head, sig, body, received FROM sy_run WHERE sid = ? ORDER BY last_seq")
            defer { statement.finalize() }
            statement.bind(1, record.sid)
            while try statement.step() {
                let isOwn = record.publicKey == own.publicKey
                let received = isOwn ? nil : statement.integer(3)
                for changeset in try decode(try sealedRun(statement), of: record) {
                    try body(changeset, received)
                }
            }
            for changeset in try unsealedChangesets(record) { try body(changeset, nil) }
        }
    }

    /// The op that `dot` names in a cell.
    public func operation(
        _ dot: Dot, table: UInt32, row: RowID, cell: CellKey
    ) throws(StoreError) -> Merge.Operation? {
        // A changeset may name a row more than once, but each cell once.
        try changeset(dot)?.rows.lazy.filter { $0.table == table && $0.row == row }
            .flatMap(\.operations).first { $0.cell == cell }
    }

    /// The device that writes a stream.
    public func device(of stream: StreamID) -> DeviceID? { rows.streams[stream]?.device }
}
