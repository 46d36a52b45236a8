internal import Causality
internal import Merge
internal import SyncProtocol

/// What branches begin with alike counts once.
extension Replica {
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
        for lane in lanes { lane.record.branch = rows.streams[sid: lane.record.sid]?.branch }
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
                        record: record, changesets: try sealedChangesets(of: run, record),
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
