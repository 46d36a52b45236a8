internal import Causality
internal import Merge
internal import RecordSchema
internal import SyncProtocol

/// Streams that fork: two files wrote on under one name. All branches count, each as a stream of its
/// own; which run is called what is a function of the runs that are held (Protocol/decisions/0032).
extension Replica {
    // MARK: Where a run lies

    /// The stream, or the branch of it, whose part of the log holds a run.
    func holder(of stub: RunStub) throws(StoreError) -> StreamRecord? {
        for record in rows.streams.family(stub.stream)
        where stub.lastSeq > record.base && stub.lastSeq <= record.sealed {
            if try isHeld(stub.hash, at: stub.lastSeq, of: record) { return record }
        }
        return nil
    }

    /// What the streams of a run's deps are called in the state; `nil` where that is what the run calls
    /// them.
    func names(of run: SealedRun) throws(StoreError) -> [StreamID]? {
        let names = try run.header.dependencies.map { dependency throws(StoreError) in
            try name(of: dependency)
        }
        return names == run.header.dependencies.map(\.stream) ? nil : names
    }

    /// What is called so holds the dep's run. Where nothing does, and the run is not behind the end of a
    /// stream without branches, it lay on a branch that counts nowhere: it is called like no stream.
    func name(of dependency: Dependency) throws(StoreError) -> StreamID {
        let stream = dependency.stream
        let isForked = rows.streams.isForked(stream)
        if !isForked {
            guard let record = rows.streams[stream], record.end != nil,
                dependency.seq <= record.sealed
            else { return stream }
        }
        let stub = RunStub(stream: stream, lastSeq: dependency.seq, hash: dependency.run)
        return try holder(of: stub)?.stream ?? StreamID(branchOf: stream, from: dependency.run)
    }

    // MARK: Names

    /// How often changes of streams that fork have got other names here; empty where none ever has. Dots
    /// that were read before may mean something else now.
    public func naming() throws(StoreError) -> String {
        guard case .integer(let count)? = try connection.meta(MetaKey.naming) else { return "" }
        return "\(count)"
    }

    // MARK: What a run says

    /// The changesets of a run as the state has them: with the dots that they have on their branch,
    /// without those that they share with another one.
    ///
    /// - Parameters:
    ///   - changesets: with the deps' streams as ``names(of:)`` says.
    ///   - record: whose run it is.
    ///   - strays: as ``strays(of:_:)`` says.
    func read(
        _ changesets: [Changeset], of record: StreamRecord, _ strays: Strays = [:]
    ) throws(StoreError) -> [Changeset] {
        let streams = rows.streams
        let first = record.branch.map { $0.base + $0.sharedCount } ?? 0
        let counted = record.branch == nil ? [:] : try countedBefore(record)
        func name(_ dot: Dot) -> Dot? {
            if dot.stream == record.wire { return streams.canonical(Dot(record.stream, dot.seq)) }
            return streams.canonical(dot, strays)
        }
        var result: [Changeset] = []
        for var changeset in changesets where changeset.dot.seq > first {
            changeset.dot = Dot(record.stream, changeset.dot.seq)
            for row in changeset.rows.indices {
                let key = LogReplay.Key(
                    table: changeset.rows[row].table, row: changeset.rows[row].row)
                for index in changeset.rows[row].operations.indices {
                    var operation = changeset.rows[row].operations[index].naming(name)
                    if record.branch != nil, isCount(operation) {
                        operation.over.removeAll { $0.stream != record.stream }
                        operation.subtract(counted[CountedCell(key: key, cell: operation.cell)])
                    }
                    changeset.rows[row].operations[index] = operation
                }
            }
            result.append(changeset)
        }
        return result
    }

    /// By its bytes, whatever the schema: what changesets are called must not depend on who reads them.
    private func isCount(_ operation: Operation) -> Bool {
        guard case .put(let value) = operation.action else { return false }
        return Counter.isEntry(value)
    }

    /// What the author of a branch had counted before that: in each cell the last entry.
    private func countedBefore(
        _ record: StreamRecord
    ) throws(StoreError) -> [CountedCell: Operation] {
        if let known = countedBefore[record.sid] { return known }
        var counted: [CountedCell: Operation] = [:]
        func add(_ changesets: [Changeset], upTo last: UInt64) {
            for changeset in changesets where changeset.dot.seq <= last {
                for row in changeset.rows {
                    let key = LogReplay.Key(table: row.table, row: row.row)
                    for operation in row.operations where isCount(operation) {
                        counted[CountedCell(key: key, cell: operation.cell)] = operation
                    }
                }
            }
        }
        var path = [record]
        while let branch = path.last?.branch, let parent = rows.streams[sid: branch.parent] {
            path.append(parent)
        }
        for (record, next) in zip(path.reversed(), path.reversed().dropFirst()) {
            for run in try runs(of: record, after: record.base, .all)
            where run.header.lastSeq <= next.base {
                add(try rawChangesets(of: run, record), upTo: next.base)
            }
        }
        if let branch = record.branch, branch.sharedCount > 0,
            let run = try runs(of: record, after: branch.base, .first).first
        {
            add(try rawChangesets(of: run, record), upTo: branch.base + branch.sharedCount)
        }
        countedBefore[record.sid] = counted
        return counted
    }

    /// A run's changesets, with its own stream called as it calls it.
    func rawChangesets(
        of run: SealedRun, _ record: StreamRecord
    ) throws(StoreError) -> [Changeset] {
        let erased = try erasedPeople()
        var contents = try rawContents(of: run, record)
        contents.open(run.keys, isErased: erased.contains)
        return contents.changesets
    }

    /// As above, with what is personal as the body has it: what two branches begin with alike must not
    /// depend on who may still read it.
    func sealedChangesets(
        of run: SealedRun, _ record: StreamRecord
    ) throws(StoreError) -> [Changeset] { try rawContents(of: run, record).changesets }

    /// What a run of the log says, with what is personal as the body has it.
    func rawContents(
        of run: SealedRun, _ record: StreamRecord
    ) throws(StoreError) -> RunContents {
        let named = try names(of: run)
        do {
            return try run.contents(
                namespace: schema.namespace, mark: mark(of: record), naming: named,
                earlier: vocabularies(of: record))
        } catch {
            throw rows.damaged(
                "run \(run.header.stream):\(run.header.lastSeq): \(error.explanation)")
        }
    }

    // MARK: Taking a branch

    /// Where a run that is not held has its place.
    enum Place {
        /// It is the next one of a stream; of one that is not known where there is no record.
        case next(StreamRecord?)
        /// Another run follows, or may follow, the one that it follows.
        case fork(StreamRecord)
    }

    /// - Throws: ``Refusal`` GAP when what lies before it is not here.
    func place(of run: SealedRun) throws -> Place {
        let header = run.header
        let family = rows.streams.family(header.stream)
        let base = header.firstSeq - 1
        guard let stem = family.first else {
            guard base == 0 else { throw Refusal(.gap, "changes 1 to \(base) are missing") }
            return .next(nil)
        }
        if let tip = family.first(where: { $0.sealed == base && $0.runHash == header.previous }) {
            let isForked = family.contains { record in
                record.branch?.parent == tip.sid && record.base == base
            }
            return isForked ? .fork(tip) : .next(tip)
        }
        guard let previous = header.previous else { return .fork(stem) }
        let stub = RunStub(stream: header.stream, lastSeq: base, hash: previous)
        if let holder = try holder(of: stub) { return .fork(holder) }
        let sealed = family.map(\.sealed).max() ?? 0
        throw base > sealed
            ? Refusal(.gap, "changes \(sealed + 1) to \(base) are missing")
            : Refusal(.gap, "the run before it, \(header.stream):\(base), is not here")
    }

    /// What is not sealed has the names of now: it is sealed before the branches of a stream get others.
    ///
    /// - Returns: `false` when that has to wait for what a repair lost.
    func sealBeforeNaming(_ stream: StreamID) throws(StoreError) -> Bool {
        // What is said of a stream is said in its scope.
        let scope = rows.streams[stream]?.scope
        let lane = lanes.first { $0.record.scope == scope }
        if let lane { try sealTail(of: lane) }
        let family = Set(rows.streams.family(stream).map(\.stream))
        let isAnyAbout = try isAnyLeft(about: family, of: stream)
        if lane?.tailCount ?? 0 > 0 || isAnyAbout {
            // Where another file seals it as well, it counts once.
            _ = try adopt { _ throws(StoreError) in true }
            if let lane { try sealTail(of: lane) }
        }
        guard lane?.tailCount ?? 0 == 0 else { return false }
        return try !isAnyLeft(about: family, of: stream)
    }

    /// Whether an earlier incarnation left changes of a stream, or changes that name branches of it.
    private func isAnyLeft(
        about family: Set<StreamID>, of stream: StreamID
    ) throws(StoreError) -> Bool {
        for record in leaving {
            if record.wire == stream { return true }
            let names = try leftChangesets(record).flatMap(\.namedDots)
            if names.contains(where: { family.contains($0.stream) }) { return true }
        }
        return false
    }

    /// Takes a run that begins a branch, and makes everything anew. Inside of a transaction.
    ///
    /// - Parameter record: which the run leaves, or may leave.
    /// - Returns: how many changesets it holds.
    func takeBranch(
        _ run: SealedRun, _ contents: RunContents, of record: StreamRecord
    ) throws -> Int {
        let ofDevice = rows.streams.sorted.filter { $0.branch != nil && $0.device == record.device }
        guard ofDevice.count < Self.branchLimit else {
            throw Refusal(
                .fork,
                "the device \(record.device.short) has written under one name in more than "
                    + "\(Self.branchLimit) files: enrol it anew")
        }
        guard try sealBeforeNaming(record.wire) else {
            throw Refusal(.gap, "what was recorded here waits for what a repair has lost")
        }
        let branch = Branch(
            parent: record.sid, base: run.header.firstSeq - 1, previous: run.header.previous,
            firstRun: run.hash)
        var added = try rows.streams.add(branch, of: record, to: connection)
        if let last = contents.changes.heads.last {
            clock.observe(last.time, wallMilliseconds: environment.wallMilliseconds())
            own.clock = clock.last
        }
        try keep(run, of: &added, received: environment.wallMilliseconds())
        try rows.streams.update(added, in: connection)
        try arrange(record.wire)
        try noteEnds(of: record.origin)
        return contents.changes.heads.count
    }

    /// Each costs everybody a pass over the log.
    private static let branchLimit = 64
}

/// A cell of a row in which a stream has counted.
struct CountedCell: Hashable {
    var key: LogReplay.Key
    var cell: CellKey
}
