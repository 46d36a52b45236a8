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
            let cuts = try replica.revocation(of: key, receivedBy: limit, note: note)
            try record(cuts, in: transaction)
            return (before, changesetCount(of: id))
        }.result
        return Revocation(
            device: id, name: device.name, keptCount: after, cutOffCount: before - after)
    }

    func id(of device: EnrolledDevice) throws -> DeviceID {
        guard let bytes = Hexadecimal.bytes(of: device.device), let id = DeviceID(bytes) else {
            throw StoreError.invalid("\(device.device) is no device")
        }
        return id
    }

    private func changesetCount(of device: DeviceID) -> UInt64 {
        replica.changesetCount(of: device)
    }

    /// Records cuts of one device, and ends what they end, in one transaction.
    ///
    /// - Parameter old: those that they take the place of.
    func record(
        _ cuts: [Cut], insteadOf old: [Cut] = [], in transaction: WriteTransaction
    ) throws {
        guard let first = cuts.first else { return }
        let table = Forum.device
        let column = table.declared("cuts")
        let (row, _) = try transaction.upsert(
            table, key: [.text(first.device.description)], [])
        try transaction.remove(table, row, column, old.map { .blob($0.encode()) })
        // One by one: a device may have made so many streams that they fit into no changeset.
        for cut in cuts { try transaction.add(table, row, column, [.blob(cut.encode())]) }
        try transaction.end()
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
        _ request: SyncRequest, from publicKey: [UInt8], _ cut: Cut
    ) throws -> SyncReply {
        let refusal = refusal(by: cut)
        guard !request.parts.allSatisfy(\.runs.isEmpty) else { throw refusal }
        let parts = try request.parts.map { part in
            part.runs.isEmpty
                ? SyncReply.Part.refused(refusal)
                : .answered(try handOver(part, from: publicKey, refusal))
        }
        try note(request, from: publicKey)
        // It is told nothing new, and need not forget what it knew.
        let granted = try scopes(ofKey: publicKey) ?? []
        return SyncReply(
            parts: parts, scopes: try readableScopes(of: granted, listsAll: false),
            hubMilliseconds: now)
    }

    private func handOver(
        _ part: ExchangeRequest, from publicKey: [UInt8], _ refusal: Refusal
    ) throws -> ExchangeReply {
        var (heads, rejections) = try take(part.runs, from: publicKey, feeds: false)
        for index in rejections.indices {
            // What is missing, and where others stand, is no longer its business.
            let code = rejections[index].refusal.code
            rejections[index].refusal =
                code == .revoked
                ? refusal : Refusal(code, "the hub takes no more of it from a revoked laptop")
        }
        let start = Cursor.start(epoch: try replica.feedEnd().epoch, scope: part.scope)
        // Who was not told no by what it brought asks once more, and is.
        return ExchangeReply(
            heads: heads, rejections: rejections, entries: [], cursor: part.cursor ?? start,
            hasMore: rejections.isEmpty, hubMilliseconds: now)
    }

    /// Names streams of revoked devices on which others' runs build, before these are taken: who holds
    /// them by another way must be able to tell that they count nowhere, and whose they are.
    func nameEnded(_ runs: [SealedRun]) throws {
        let first = Dictionary(
            runs.compactMap { run in run.header.origin.map { ($0.stream, (run, $0)) } },
            uniquingKeysWith: { first, _ in first })
        var ended: Set<StreamOrigin> = []
        for run in runs {
            let streams = run.header.dependencies.map(\.stream)
            let unknown = streams.filter { replica.device(of: $0) == nil }
            // Those that were known before a cut came that doesn't name them.
            let unnamed = try streams.filter(replica.endsUnnamed)
            guard !unknown.isEmpty || !unnamed.isEmpty,
                try isOfMember(run, of: first[run.header.stream]?.1)
            else { continue }
            ended.formUnion(try unnamed.compactMap(replica.knownOrigin))
            for stream in unknown {
                var origin = try replica.knownOrigin(of: stream)
                if origin == nil, let (run, its) = first[stream],
                    (try? run.verify(publicKey: its.publicKey)) != nil
                {
                    origin = its
                }
                if let origin, try revocation(of: origin.device) != nil { ended.insert(origin) }
            }
        }
        try nameEnded(ended.sorted { $0.stream < $1.stream })
    }

    /// Names streams that end before their first changeset, for those who know nothing of them.
    func nameEnded(_ origins: [StreamOrigin]) throws {
        for publicKey in Set(origins.map(\.publicKey)) {
            try name(origins.filter { $0.publicKey == publicKey })
        }
    }

    /// Whether a device that is welcome has signed it.
    ///
    /// - Parameter named: whose stream it is, where its first run comes with it.
    private func isOfMember(_ run: SealedRun, of named: StreamOrigin?) throws -> Bool {
        guard let origin = try named ?? replica.knownOrigin(of: run.header.stream),
            try revocation(of: origin.device) == nil, try scopes(ofKey: origin.publicKey) != nil
        else { return false }
        return (try? run.verify(publicKey: origin.publicKey)) != nil
    }

    /// - Parameter origins: of one device.
    private func name(_ origins: [StreamOrigin]) throws {
        guard let device = origins.first?.device, let cut = try revocation(of: device) else {
            return
        }
        let cuts = stride(from: 0, to: origins.count, by: Limits.cutStreams).map { start in
            Cut(
                cut.reason, of: cut.publicKey,
                at: origins.dropFirst(start).prefix(Limits.cutStreams).map {
                    Cut.Stream(scope: $0.scope, incarnation: $0.incarnation, end: .beforeFirst)
                }, isWhole: false, decidedMilliseconds: now, note: cut.note)
        }
        try replica.write(seals: true) { transaction in try record(cuts, in: transaction) }
    }
}
