public import Causality
internal import CSQLite
internal import Merge
internal import SyncProtocol

/// What a replica holds of what one device recorded.
public struct DeviceStanding: Sendable {
    public var device: DeviceID
    public var changeCount: UInt64
    /// The last one by the device's own clock, and the time of that.
    public var last: Dot
    public var time: HybridTime
}

/// The replica as it was: reports, lists and conflicts of a past point are read like those of now.
extension Replica {
    /// What the log had of each stream at a past point: a version vector, because both kinds of times only grow within
    /// a stream. By the clocks of those who recorded, an effect may be in it without its cause.
    public func vector(at point: PastPoint) throws -> VersionVector {
        try read {
            var vector = VersionVector()
            var ended: Set<StreamID> = []
            try forEachChangeset { changeset, received in
                let stream = changeset.dot.stream
                guard !ended.contains(stream) else { return }
                if point.includes(changeset.time, receivedMilliseconds: received) {
                    vector[stream] = changeset.dot.seq
                } else {
                    ended.insert(stream)
                }
            }
            return vector
        }
    }

    /// The replica as it is when nothing but what `vector` names has been written: a copy in memory, to be
    /// read and never synced. What was erased since stays erased.
    ///
    /// Needs memory for the file and for every op of the log.
    ///
    /// - Throws: ``StoreError/invalid(_:)`` for a vector that names what this replica doesn't hold.
    public func past(_ vector: VersionVector) throws -> Replica {
        try read {
            let held = versionVector()
            guard held.dominates(vector) else {
                let missing = vector.entries.filter { $0.seq > held[$0.stream] }
                throw StoreError.invalid(
                    "this replica lacks changes of \(missing.count) of the \(vector.entries.count) streams "
                        + "that are asked for: sync, and try again. What a hub has taken out since doesn't come back"
                )
            }
            let memory = try Connection(path: ":memory:", isWritable: true)
            do {
                try connection.copy(into: memory)
                memory.setFlag(SQLITE_DBCONFIG_ENABLE_TRIGGER, false)
                memory.setFlag(SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)
                try memory.execute("BEGIN")
                // What other programs wrote and nobody has taken in is of now.
                try memory.execute("DELETE FROM sy_dirty")
                let past = try Replica(
                    path: path, schema: schema, environment: environment, connection: memory)
                try past.makeRows(upTo: vector)
                try past.endStreams(at: vector)
                try memory.execute("COMMIT")
                return past
            } catch {
                memory.close()
                throw error
            }
        }
    }

    /// The devices of which anything is held, in the order of their ids.
    public func deviceStandings() throws -> [DeviceStanding] {
        try read {
            var standings: [DeviceID: DeviceStanding] = [:]
            for record in rows.streams.sorted where record.changesetCount > 0 {
                let last = Dot(record.stream, record.head)
                guard let changeset = try changeset(last) else { continue }
                let time = changeset.time
                var standing =
                    standings[record.device]
                    ?? DeviceStanding(device: record.device, changeCount: 0, last: last, time: time)
                standing.changeCount += record.changesetCount
                if time > standing.time { (standing.last, standing.time) = (last, time) }
                standings[record.device] = standing
            }
            return standings.values.sorted { $0.device < $1.device }
        }
    }

    /// What is held of each stream is less than the log holds.
    private func endStreams(at vector: VersionVector) throws(StoreError) {
        for record in rows.streams.sorted {
            var shorter = record
            shorter.head = max(record.base, min(record.head, vector[record.stream]))
            shorter.sealed = min(record.sealed, shorter.head)
            if shorter.sealed == 0 { shorter.runHash = nil }
            try rows.streams.update(shorter, in: connection)
            let last = Value.integer(Int64(clamping: shorter.head))
            if record.sid == own.sid {
                try connection.run("DELETE FROM sy_tail WHERE seq > ?", last)
            }
            try connection.run(
                "DELETE FROM sy_left WHERE sid = ? AND seq > ?", .integer(record.sid), last)
        }
    }
}
