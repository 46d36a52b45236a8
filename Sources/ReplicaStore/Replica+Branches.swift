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
    private func place(without stream: StreamID) -> UInt64 {
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
                    if record.branch != nil, isCount(operation, in: key.table) {
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

    private func isCount(_ operation: Operation, in table: UInt32) -> Bool {
        guard case .put(let value) = operation.action, Counter.isEntry(value),
            let column = schema.table(id: table)?.columns.first(where: {
                $0.id == operation.cell.column
            }), case .counter = column.shape
        else { return false }
        return true
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
                    for operation in row.operations where isCount(operation, in: row.table) {
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
    private func rawChangesets(
        of run: SealedRun, _ record: StreamRecord
    ) throws(StoreError) -> [Changeset] {
        let named = try names(of: run)
        do {
            return try run.contents(
                namespace: schema.namespace, naming: named, earlier: vocabularies(of: record)
            ).changesets
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
        try sealTail()
        let family = Set(rows.streams.family(stream).map(\.stream))
        let isAnyAbout = try isAnyLeft(about: family, of: stream)
        if tailCount > 0 || isAnyAbout {
            // Where another file seals it as well, it counts once.
            _ = try adopt { _ throws(StoreError) in true }
            try sealTail()
        }
        guard tailCount == 0 else { return false }
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

    // MARK: Naming

    private struct Node {
        var sid: Int64
        var firstSeq: UInt64
        var lastSeq: UInt64
        var hash: Digest
        var previous: Digest?
    }

    private struct Line {
        var parent: Int?
        var nodes: [Node]
        var sid: Int64 = 0
        var shared: [Branch.Shared] = []

        var base: UInt64 { parent == nil ? 0 : nodes[0].firstSeq - 1 }
    }

    /// Calls the runs of a stream that has branches what the tree of them says, and moves them to where
    /// they belong. The rows have to be made anew after that.
    func arrange(_ stream: StreamID) throws(StoreError) {
        let family = rows.streams.family(stream)
        guard let stem = family.first else { return }
        var lines = try lines(of: family)
        for index in lines.indices {
            let first = lines[index].parent == nil ? nil : lines[index].nodes[0]
            guard let first, let parent = lines[index].parent else {
                lines[index].sid = stem.sid
                continue
            }
            let name = StreamID(branchOf: stream, from: first.hash)
            if let sid = rows.streams.sid(of: name) {
                lines[index].sid = sid
            } else {
                let branch = Branch(
                    parent: lines[parent].sid, base: first.firstSeq - 1, previous: first.previous,
                    firstRun: first.hash)
                lines[index].sid = try rows.streams.add(branch, of: stem, to: connection).sid
            }
        }
        let heads = try peerHeads(of: family, lines)
        try move(lines)
        try note(lines, of: family)
        try write(heads)
        try findOwn(lines, stream)
        try shareAlike()
        try rows.streams.countNaming(in: connection)
        log.removeAll()
        countedBefore = [:]
        trust = nil
    }

    /// The runs of a family as lines from fork to fork: the first one from the root, each other one behind
    /// the one that it leaves.
    private func lines(of family: [StreamRecord]) throws(StoreError) -> [Line] {
        var children: [Digest?: [Node]] = [:]
        var count = 0
        for record in family {
            let statement = try connection.prepare(
                "SELECT head, x'', x'' FROM sy_run WHERE sid = ? ORDER BY last_seq")
            defer { statement.finalize() }
            statement.bind(1, record.sid)
            while try statement.step() {
                let run = try sealedRun(statement)
                count += 1
                children[run.header.previous, default: []].append(
                    Node(
                        sid: record.sid, firstSeq: run.header.firstSeq,
                        lastSeq: run.header.lastSeq, hash: run.hash,
                        previous: run.header.previous))
            }
        }
        for key in children.keys {
            children[key]?.sort { $0.hash.bytes.lexicographicallyPrecedes($1.hash.bytes) }
        }
        var lines = [Line(parent: nil, nodes: [])]
        var open: [(line: Int, previous: Digest?)] = [(0, nil)]
        while let (line, start) = open.popLast() {
            var previous = start
            while let next = children[previous], let first = next.first {
                for other in next.dropFirst() {
                    lines.append(Line(parent: line, nodes: [other]))
                    open.append((lines.count - 1, other.hash))
                }
                lines[line].nodes.append(first)
                previous = first.hash
            }
        }
        guard lines.reduce(0, { $0 + $1.nodes.count }) == count else {
            throw rows.damaged("stream \(family[0].wire): a run before others is missing")
        }
        return lines
    }

    private func move(_ lines: [Line]) throws(StoreError) {
        try connection.execute(
            """
            CREATE TEMP TABLE IF NOT EXISTS moved(
                sid INTEGER NOT NULL, seq INTEGER NOT NULL, target INTEGER NOT NULL,
                PRIMARY KEY(sid, seq)) WITHOUT ROWID
            """)
        try connection.execute("DELETE FROM moved")
        for line in lines {
            for node in line.nodes where node.sid != line.sid {
                try connection.run(
                    "INSERT INTO moved VALUES(?, ?, ?)", .integer(node.sid),
                    .integer(Int64(node.lastSeq)), .integer(line.sid))
            }
        }
        // By way of numbers that no stream has: two lines may change places.
        try connection.execute(
            """
            UPDATE sy_run SET sid = -(
                SELECT target FROM moved AS m WHERE m.sid = sy_run.sid AND seq = last_seq)
            WHERE EXISTS(SELECT 1 FROM moved AS m WHERE m.sid = sy_run.sid AND seq = last_seq)
            """)
        try connection.execute("UPDATE sy_run SET sid = -sid WHERE sid < 0")
        guard keepsFeed else { return }
        try connection.execute(
            """
            UPDATE sy_feed SET sid = (
                SELECT target FROM moved AS m WHERE m.sid = sy_feed.sid AND seq = last_seq)
            WHERE EXISTS(SELECT 1 FROM moved AS m WHERE m.sid = sy_feed.sid AND seq = last_seq)
            """)
    }

    private func note(_ lines: [Line], of family: [StreamRecord]) throws(StoreError) {
        for line in lines {
            guard var record = rows.streams[sid: line.sid] else { continue }
            if let parent = line.parent {
                record.branch?.parent = lines[parent].sid
                record.branch?.shared = []
            }
            let last = line.nodes.last
            record.sealed = last?.lastSeq ?? record.base
            record.runHash = last?.hash ?? record.branch?.previous
            record.head = record.sealed
            record.named = min(record.named, record.sealed)
            try rows.streams.update(record, in: connection)
        }
        let kept = Set(lines.map(\.sid))
        guard let stem = lines.first?.sid else { return }
        for record in family where !kept.contains(record.sid) {
            // Some of the log's runs may have named it.
            try noteNamed(namedBehindEnd(of: record.sid), behindEndOf: stem)
            if keepsFeed {
                // What was cut off is found by what it is called on the way.
                try connection.run(
                    "UPDATE sy_feed SET sid = ? WHERE sid = ?", .integer(stem), .integer(record.sid)
                )
            }
            try rows.streams.remove(record, from: connection)
        }
    }

    /// Notes what runs begin with alike that follow the same one. What they say names other changesets, which
    /// may be shared as well: so this is done until nothing more is found.
    func shareAlike() throws(StoreError) {
        guard rows.streams.hasBranches else {
            return try rows.streams.writeBranches(to: connection)
        }
        for var record in rows.streams.sorted where record.branch?.shared.isEmpty == false {
            record.branch?.shared = []
            rows.streams.note(record)
        }
        let places = try places()
        var isMoving = true
        while isMoving {
            isMoving = false
            for place in places where shareAlike(at: place) { isMoving = true }
        }
        try rows.streams.writeBranches(to: connection)
        own.branch = rows.streams[sid: own.sid]?.branch
    }

    /// A run that follows the same one as others do.
    private struct Sibling {
        var record: StreamRecord
        var changesets: [Changeset]
        var strays: Strays
    }

    /// The runs that follow one run, where there are several, in the order of their hashes.
    private func places() throws(StoreError) -> [[Sibling]] {
        let branches = rows.streams.sorted.filter { $0.branch != nil }
        let places = Dictionary(grouping: branches) { [$0.branch?.parent ?? 0, Int64($0.base)] }
        return try places.sorted { $0.key.lexicographicallyPrecedes($1.key) }.map {
            _, others throws(StoreError) in
            var records = others.sorted {
                let (a, b) = ($0.branch?.firstRun.bytes ?? [], $1.branch?.firstRun.bytes ?? [])
                return a.lexicographicallyPrecedes(b)
            }
            // The stream that goes on there has the least.
            if let parent = records[0].branch?.parent, let next = rows.streams[sid: parent] {
                records.insert(next, at: 0)
            }
            let base = others[0].base
            var siblings: [Sibling] = []
            for record in records {
                guard let run = try runs(of: record, after: base, .first).first else { continue }
                siblings.append(
                    Sibling(
                        record: record, changesets: try rawChangesets(of: run, record),
                        strays: strays(of: run, try names(of: run))))
            }
            return siblings
        }
    }

    /// - Returns: whether more is shared than before.
    private func shareAlike(at siblings: [Sibling]) -> Bool {
        let contents = siblings.map(compared)
        var hasMore = false
        for index in siblings.indices {
            guard var record = rows.streams[sid: siblings[index].record.sid],
                let first = siblings[index].changesets.first?.dot.seq, let branch = record.branch,
                first == branch.base + 1
            else { continue }
            var shared: [Branch.Shared] = []
            for earlier in 0..<index {
                let alike = zip(contents[index], contents[earlier]).prefix { $0 == $1 }.count
                let last = branch.base + UInt64(alike)
                if last > shared.last?.last ?? branch.base {
                    shared.append(
                        Branch.Shared(owner: siblings[earlier].record.sid, last: last))
                }
            }
            guard shared != branch.shared else { continue }
            record.branch?.shared = shared
            rows.streams.note(record)
            hasMore = true
        }
        return hasMore
    }

    /// What a run says, in names that don't depend on whose branch it is.
    private func compared(_ sibling: Sibling) -> [Changeset] {
        let streams = rows.streams
        return sibling.changesets.map { changeset in
            var changeset = changeset
            changeset.name { dot in
                if dot.stream == sibling.record.wire { return dot }
                return streams.canonical(dot, sibling.strays)
            }
            return changeset
        }
    }

    private typealias PeerHead = (peer: Value, sid: Int64, has: UInt64, fed: UInt64)

    /// What hubs are known to hold of the lines; takes out what was noted of the family.
    private func peerHeads(
        of family: [StreamRecord], _ lines: [Line]
    ) throws(StoreError) -> [PeerHead] {
        var noted: [[UInt8]: [Int64: (has: UInt64, fed: UInt64)]] = [:]
        for record in family {
            for row in try connection.rows(
                """
                SELECT peer, has, fed FROM sy_peer_head WHERE sid = ? AND twin = has * 3 + fed
                """, .integer(record.sid))
            {
                guard case .blob(let peer) = row[0], case .integer(let has) = row[1],
                    case .integer(let fed) = row[2]
                else { continue }
                noted[peer, default: [:]][record.sid] = (
                    UInt64(clamping: has), UInt64(clamping: fed)
                )
            }
            try connection.run(
                "DELETE FROM sy_peer_head WHERE sid = ?", .integer(record.sid))
        }
        var heads: [PeerHead] = []
        for (peer, known) in noted {
            for line in lines {
                var head: PeerHead = (.blob(peer), line.sid, line.base, line.base)
                head.has =
                    line.nodes.prefix { known[$0.sid]?.has ?? 0 >= $0.lastSeq }.last?.lastSeq
                    ?? line.base
                head.fed =
                    line.nodes.prefix { known[$0.sid]?.fed ?? 0 >= $0.lastSeq }.last?.lastSeq
                    ?? line.base
                heads.append(head)
            }
        }
        return heads
    }

    private func write(_ heads: [PeerHead]) throws(StoreError) {
        for head in heads {
            try connection.run(
                "INSERT INTO sy_peer_head(peer, sid, has, fed) VALUES(?, ?, ?, ?)", head.peer,
                .integer(head.sid), .integer(Int64(head.has)), .integer(Int64(head.fed)))
        }
    }

    /// The stream that this replica writes to may be a branch now. It goes on as a new incarnation.
    private func findOwn(_ lines: [Line], _ stream: StreamID) throws(StoreError) {
        guard own.wire == stream else { return }
        let line = lines.first { line in line.nodes.contains { $0.hash == own.runHash } }
        guard let record = rows.streams[sid: line?.sid ?? own.sid] else { return }
        let clock = own.clock
        own = record
        own.clock = clock
        try rows.streams.update(own, in: connection)
        try connection.setMeta("own", .integer(own.sid))
    }
}

/// A cell of a row in which a stream has counted.
struct CountedCell: Hashable {
    var key: LogReplay.Key
    var cell: CellKey
}

extension StreamTable {
    /// As ``canonical(_:)``; `nil` for a dot that names nothing.
    fileprivate func canonical(_ dot: Dot, _ strays: Replica.Strays) -> Dot? {
        guard let stray = strays[dot.stream] else { return canonical(dot) }
        return dot.seq <= stray.seq ? Dot(stray.stream, dot.seq) : nil
    }
}

extension Changeset {
    /// Calls the dots that its ops name otherwise.
    fileprivate mutating func name(_ name: (Dot) -> Dot?) {
        for row in rows.indices {
            for index in rows[row].operations.indices {
                rows[row].operations[index] = rows[row].operations[index].naming(name)
            }
        }
    }
}

extension Operation {
    /// The same, with its dots called otherwise.
    ///
    /// - Parameter name: `nil` for one that names nothing.
    fileprivate func naming(_ name: (Dot) -> Dot?) -> Operation {
        var seen: Set<Dot> = []
        var operation = self
        operation.over = over.compactMap(name).filter { seen.insert($0).inserted }
        switch action {
        case .put, .retract: break
        case .resolve(let value, let covers):
            seen = []
            operation.action = .resolve(
                value, covers: covers.compactMap(name).filter { seen.insert($0).inserted })
        case .delete(let covers):
            var seen: Set<CellDot> = []
            operation.action = .delete(
                covers: covers.compactMap { cover in name(cover.dot).map { CellDot(cover.cell, $0) }
                }
                .filter { seen.insert($0).inserted })
        }
        return operation
    }

    /// What an entry counts beyond an earlier one.
    fileprivate mutating func subtract(_ earlier: Operation?) {
        guard case .put(.composite(let parts)) = action,
            case .put(.composite(let less))? = earlier?.action,
            case .integer(let up) = parts[0], case .integer(let down) = parts[1],
            case .integer(let lessUp) = less[0], case .integer(let lessDown) = less[1]
        else { return }
        action = .put(
            Counter.entryValue(
                increments: max(0, up - lessUp), decrements: max(0, down - lessDown)))
    }
}
