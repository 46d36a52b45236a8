package import Causality
internal import Merge
package import ReplicaStore
internal import SyncProtocol

/// What an operator makes of changes that are kept aside: they are admitted, or left where they are.
extension HubStore {
    /// What an admission came to.
    package struct Admission: Hashable, Sendable {
        package var device: DeviceID
        /// Changesets that count now, and didn't before.
        package var changeCount: Int
        /// Runs among them that nobody had asked for: they lie before one that was.
        package var earlierRunCount: Int
    }

    /// Lets runs count that lie behind the end of their stream, with all that lies between: the cuts
    /// that keep them aside are replaced by others, which end the stream there. Whoever cuts it
    /// meanwhile without knowing of this is heard as well: then it ends where that cut says.
    ///
    /// All of it, or nothing.
    ///
    /// - Returns: one for each device.
    /// - Throws: ``StoreError/invalid(_:)`` with the number of the run that can't be admitted, and why.
    @discardableResult
    package func admit(_ kept: [QuarantinedRun]) throws -> [Admission] {
        try replica.write(seals: true) { transaction in
            var admissions: [DeviceID: Admission] = [:]
            let streams = Set(kept.map(\.run.header.stream)).sorted()
            for stream in streams {
                let chosen = kept.filter { $0.run.header.stream == stream }
                let admission = try admit(chosen, of: stream, in: transaction)
                admissions[admission.device, default: Admission(of: admission.device)]
                    .add(admission)
            }
            return admissions.values.sorted { $0.device < $1.device }
        }.result
    }

    /// - Parameter chosen: runs of one stream.
    private func admit(
        _ chosen: [QuarantinedRun], of stream: StreamID, in transaction: WriteTransaction
    ) throws -> Admission {
        guard
            let last = chosen.max(by: { $0.run.header.lastSeq < $1.run.header.lastSeq }),
            let origin = try replica.knownOrigin(of: stream)
        else { throw StoreError.invalid("the first run of stream \(stream) is not here") }
        guard let path = try replica.path(to: last) else {
            throw StoreError.invalid(
                "\(last.number) can't be admitted: what comes before it in its stream is not here, or "
                    + "it goes on from a history that doesn't count")
        }
        for run in chosen where !path.contains(run) {
            throw StoreError.invalid(
                "\(run.number) and \(last.number) can't both be admitted: they are of two histories of "
                    + "one stream")
        }
        let end = StreamEnd(lastSeq: last.run.header.lastSeq, run: last.run.hash) ?? .beforeFirst
        let old = try replica.cuts(keepingAside: path.map(\.run), of: origin)
        guard !old.isEmpty else {
            throw StoreError.invalid(
                "\(last.number) is not kept aside by an operator's word: \(last.reason)")
        }
        let new = try old.flatMap { cut, others in
            guard let new = cut.ending(origin, at: end, beside: others) else {
                throw StoreError.invalid(
                    "\(last.number) can't be admitted: its device has more streams than a cut can name"
                )
            }
            return new
        }
        try record(new, insteadOf: old.map(\.cut), in: transaction)
        // Why the first of them was not taken was just noted.
        if let left = try replica.firstAside(of: path) {
            throw StoreError.invalid("\(last.number) can't be admitted now: \(left.reason)")
        }
        return Admission(
            device: origin.device, changeCount: path.reduce(0) { $0 + $1.run.header.count },
            earlierRunCount: path.count - Set(chosen).count)
    }

    /// Leaves runs where they are: they stay kept aside, and needn't be looked at again.
    package func skip(_ kept: [QuarantinedRun]) throws {
        try replica.transaction {
            for run in kept {
                try replica.connection.setMeta(Self.skipKey(run), .integer(now))
            }
        }
    }

    /// Whether somebody has decided to leave a run where it is.
    package func isSkipped(_ kept: QuarantinedRun) throws -> Bool {
        try replica.connection.meta(Self.skipKey(kept)) != nil
    }

    /// Numbers in the list may be given again; hashes aren't.
    private static func skipKey(_ kept: QuarantinedRun) -> String { "skip_\(kept.run.hash)" }
}

extension HubStore.Admission {
    fileprivate init(of device: DeviceID) {
        self.init(device: device, changeCount: 0, earlierRunCount: 0)
    }

    fileprivate mutating func add(_ other: Self) {
        changeCount += other.changeCount
        earlierRunCount += other.earlierRunCount
    }
}
