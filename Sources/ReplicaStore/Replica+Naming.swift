internal import Causality
internal import Merge
internal import SyncProtocol

/// What the runs of streams that fork are called: the tree that they are decides (Protocol/decisions/0032).
extension Replica {
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
        guard let lane = lane(of: stream) else { return }
        let line = lines.first { line in line.nodes.contains { $0.hash == lane.record.runHash } }
        guard let record = rows.streams[sid: line?.sid ?? lane.record.sid] else { return }
        let clock = lane.record.clock
        lane.record = record
        lane.record.clock = clock
        try rows.streams.update(lane.record, in: connection)
        try connection.setMeta(
            lane.isBase ? "own" : MetaKey.lane(record.scope), .integer(record.sid))
    }
}
