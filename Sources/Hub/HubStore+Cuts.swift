package import Causality
internal import FieldRecords
internal import Merge
internal import RecordSchema
internal import ReplicaStore
internal import SyncProtocol

/// Who is no longer welcome. A cut is a record of the hub's own stream, so that every laptop has it.
extension HubStore {
    /// What a revocation came to.
    package struct Revocation: Hashable, Sendable {
        package var device: DeviceID
        package var name: String
        /// Changesets of the device that go on counting.
        package var keptCount: UInt64
        /// Changesets that were taken out of the forum, and are kept aside.
        package var cutOffCount: UInt64
    }

    /// Ends all streams of a device. From then on it gets nothing of this forum; what it still brings
    /// is kept aside.
    ///
    /// - Parameters:
    ///   - limit: in milliseconds since 1970: what the hub received of it later counts no more.
    ///   - note: why, for people.
    package func revoke(
        _ device: EnrolledDevice, receivedBy limit: Int64?, note: String
    ) throws -> Revocation {
        guard note.utf8.count <= Limits.nameBytes else {
            throw StoreError.invalid("a reason has at most \(Limits.nameBytes) bytes")
        }
        let id = try id(of: device)
        guard
            case .blob(let key)? = try replica.connection.value(
                "SELECT key FROM sy_hub_device WHERE device = ?", .blob(id.bytes))
        else { throw StoreError.invalid("no laptop \(device.device) is enrolled here") }
        _ = try membership()
        let (before, after) = try replica.write(seals: true) { transaction in
            let before = changesetCount(of: id)
            let cut = try replica.revocation(of: key, receivedBy: limit, note: note)
            try record(cut, in: transaction)
            return (before, changesetCount(of: id))
        }.result
        return Revocation(
            device: id, name: device.name, keptCount: after, cutOffCount: before - after)
    }

    private func id(of device: EnrolledDevice) throws -> DeviceID {
        guard let bytes = Hexadecimal.bytes(of: device.device), let id = DeviceID(bytes) else {
            throw StoreError.invalid("\(device.device) is no device")
        }
        return id
    }

    private func changesetCount(of device: DeviceID) -> UInt64 {
        replica.versionVector().entries.reduce(0) { count, entry in
            replica.device(of: entry.stream) == device ? count + entry.seq : count
        }
    }

    /// Records a cut, and ends what it ends, in one transaction.
    private func record(_ cut: Cut, in transaction: WriteTransaction) throws {
        let table = Forum.device
        let (row, _) = try transaction.upsert(table, key: [.text(cut.device.description)], [])
        try transaction.add(table, row, table.declared("cuts"), [.blob(cut.encode())])
        try replica.endStreams()
    }

    /// What revoked a device; `nil` for one that is welcome.
    func revocation(of device: DeviceID) throws(StoreError) -> Cut? {
        try replica.cuts(of: device).filter { $0.reason == .revoked && $0.isWhole }
            .min { $0.decidedMilliseconds < $1.decidedMilliseconds }
    }

    /// What a device is told that is no longer welcome.
    func refusal(by cut: Cut) -> Refusal {
        let time = Instant(milliseconds: cut.decidedMilliseconds).inWholeSeconds
        let note = cut.note.isEmpty ? "" : ": \(cut.note)"
        return Refusal(
            .revoked,
            "the hub's operator revoked this laptop at \(time)\(note). What it recorded is safe here, "
                + "and counts nowhere else; ask the operator")
    }

    // MARK: What revoked devices bring

    /// Takes what a revoked device brings, its own changes to be kept aside, and tells it nothing of the
    /// forum.
    func handOver(
        _ request: ExchangeRequest, from publicKey: [UInt8], _ cut: Cut
    ) throws -> ExchangeReply {
        let refusal = refusal(by: cut)
        guard !request.runs.isEmpty else { throw refusal }
        var (heads, rejections) = try take(request.runs, from: publicKey, feeds: false)
        for index in rejections.indices where rejections[index].refusal.code == .revoked {
            rejections[index].refusal = refusal
        }
        try note(request, from: publicKey)
        let start = Cursor.start(epoch: try replica.feedEnd().epoch, scope: Forum.scope)
        return ExchangeReply(
            heads: heads, rejections: rejections, entries: [], cursor: request.cursor ?? start,
            hasMore: false, hubMilliseconds: now)
    }

    /// Names streams that a revoked device made later, before anything that builds on them is taken:
    /// who holds them by another way must be able to tell that they count nowhere.
    ///
    /// Of a device that makes more of them than a cut can name, the others are nobody's to build on.
    func nameEnded(_ runs: [SealedRun]) throws {
        for run in runs {
            guard let origin = run.header.origin,
                let cut = try revocation(of: origin.device),
                (try? run.verify(publicKey: origin.publicKey)) != nil
            else { continue }
            let named = Set(try replica.cuts(of: origin.device).flatMap(\.origins))
            guard !named.contains(origin), named.count < Limits.cutStreams else { continue }
            let further = Cut(
                cut.reason, of: origin.publicKey,
                at: [
                    Cut.Stream(
                        scope: origin.scope, incarnation: origin.incarnation, end: .beforeFirst)
                ], isWhole: false, decidedMilliseconds: now, note: cut.note)
            try replica.write(seals: true) { transaction in
                try record(further, in: transaction)
            }
        }
    }
}
