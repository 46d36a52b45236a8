internal import Causality
internal import Merge
internal import SyncProtocol

/// Deps on runs that are not here: on branches that count nowhere, or behind the end of a stream.
extension Replica {
    /// Branches that count nowhere: what they are called, and up to where dots in them name something.
    typealias Strays = [StreamID: Dot]

    /// Those on which a run depends.
    ///
    /// - Parameter named: as ``names(of:)`` says.
    func strays(of run: SealedRun, _ named: [StreamID]?) -> Strays {
        var strays: Strays = [:]
        for (name, dependency) in zip(named ?? [], run.header.dependencies)
        where rows.streams[name] == nil {
            strays[name] = Dot(dependency.stream, place(without: dependency.stream))
        }
        return strays
    }

    /// Before a stream forks, there is one history.
    func place(without stream: StreamID) -> UInt64 {
        rows.streams.family(stream).compactMap(\.branch?.base).min() ?? 0
    }

    // MARK: Deps on what is not here

    /// What dots mean that a run names by a dep.
    struct Reading: Equatable {
        /// As ``name(of:)`` says.
        var name: StreamID
        /// Of a branch that counts nowhere, up to where they name something; 0 of others.
        var place: UInt64
    }

    private func reading(_ dependency: Dependency) throws(StoreError) -> Reading {
        let name = try name(of: dependency)
        guard rows.streams[name] == nil else { return Reading(name: name, place: 0) }
        return Reading(name: name, place: place(without: dependency.stream))
    }

    /// How the deps of the log's runs are read that are met, and are not here: the rows are as these say.
    /// Read before anything changes that they depend on, and held against that afterwards.
    func keepReadings() throws(StoreError) {
        guard readings == nil else { return }
        readings = [:]
        // None is met before a stream ends.
        let isAnyMet = try connection.value(
            "SELECT 1 FROM sy_meta WHERE key GLOB ? LIMIT 1", .text(MetaKey.namedPattern))
        guard isAnyMet != nil else { return }
        try keepReadings { dependency throws(StoreError) in
            let record = rows.streams[dependency.stream]
            guard let record, record.end != nil else { return false }
            let stub = RunStub(
                stream: dependency.stream, lastSeq: dependency.seq, hash: dependency.run)
            return try holder(of: stub) == nil
        }
    }

    /// As above, those of the deps that are to be looked at again.
    func keepReadings(
        where isMeant: (Dependency) throws(StoreError) -> Bool
    ) throws(StoreError) {
        let statement = try connection.prepare("SELECT head, x'', x'' FROM sy_run")
        defer { statement.finalize() }
        while try statement.step() {
            for dependency in try sealedRun(statement).header.dependencies
            where readings?[dependency] == nil {
                if try isMeant(dependency) { readings?[dependency] = try reading(dependency) }
            }
        }
    }

    /// The deps of a run that has just been taken are read as they are now.
    func keepReadings(of run: SealedRun) throws(StoreError) {
        for dependency in run.header.dependencies where rows.streams[dependency.stream]?.end != nil
        {
            readings?[dependency] = try reading(dependency)
        }
    }

    /// Where a dep means something else than before, the rows are made anew.
    ///
    /// - Parameter stream: of which a run came or went; `nil` for all.
    func holdReadings(of stream: StreamID? = nil) throws(StoreError) {
        guard let known = readings, !known.isEmpty else { return }
        for (dependency, before) in known where stream == nil || dependency.stream == stream {
            let now = try reading(dependency)
            guard now != before else { continue }
            readings?[dependency] = now
            log.removeAll()
            areRowsStale = true
        }
    }
}
