import Causality
import Merge
import ReplicaStore
import SyncProtocol

extension Kind {
    static let merge = Kind(
        name: "merge", answer: { try MergeKind.answer($0, $1) },
        vectors: { try MergeVectors.vectors() })
}

/// The rows of a replica, without a disk.
struct RowStates: Equatable {
    struct Place: Hashable, Comparable {
        var table: UInt32
        var row: RowID

        static func < (a: Self, b: Self) -> Bool {
            a.table != b.table ? a.table < b.table : a.row < b.row
        }
    }

    private(set) var rows: [Place: RowState] = [:]
    private var heads = VersionVector()

    var sorted: [(place: Place, state: RowState)] {
        rows.sorted { $0.key < $1.key }.map { (place: $0.key, state: $0.value) }
    }

    subscript(place: Place) -> RowState { rows[place] ?? RowState() }

    /// Takes in a changeset; one that is held already changes nothing.
    mutating func deliver(_ changeset: Changeset) {
        guard !heads.contains(changeset.dot) else { return }
        heads[changeset.dot.stream] = changeset.dot.seq
        for change in changeset.rows {
            let place = Place(table: change.table, row: change.row)
            var state = self[place]
            for operation in change.operations {
                state.apply(operation, dot: changeset.dot, time: changeset.time)
            }
            rows[place] = state
        }
    }

    var hash: Digest {
        var hasher = StateHasher()
        for (place, state) in sorted { hasher.add(place.table, place.row, state) }
        return hasher.finish()
    }

    func checkInvariants() {
        for state in rows.values { state.checkInvariants() }
    }
}

private enum MergeKind {
    private struct Node {
        var changeset: Changeset
        /// By their places in the list.
        var needs: Set<Int>
    }

    static func answer(_ given: JSON, _ when: JSON) throws -> JSON {
        guard when == "deliver" else {
            throw VectorError("merge: an unknown kind \(when.document)")
        }
        let nodes = try nodes(try given.items("changesets"))
        let (states, orders) = try deliver(nodes)
        let live = states.sorted.flatMap { place, state in
            state.cells.flatMap { entry in
                entry.cell.live.map { op in
                    JSON.members(
                        ["table": .number(place.table), "row": .row(place.row)],
                        and: .live(entry.key, op))
                }
            }
        }
        return [
            "orders": .number(orders), "live": .array(live), "stateHash": .hash(states.hash),
        ]
    }

    private static func nodes(_ items: [JSON]) throws -> [Node] {
        let changesets = try items.map { item in
            Changeset(
                dot: try item.member("dot").dot(), time: try item.member("time").time(),
                rows: try item.items("rows").map { row in
                    RowChange(
                        table: try row.number("table"), row: try row.member("row").row(),
                        operations: try row.items("ops").map { try $0.operation() })
                })
        }
        // A stream is held without holes: a later changeset without the one before says nothing.
        for (stream, held) in Dictionary(grouping: changesets, by: \.dot.stream) {
            guard Set(held.map(\.dot.seq)) == Set(1...UInt64(held.count)) else {
                throw VectorError("the seqs of stream \(stream) are not 1 to \(held.count)")
            }
        }
        return try zip(items, changesets).map { item, changeset in
            let before = Dot(changeset.dot.stream, changeset.dot.seq - 1)
            let needs = try item.member("after").dots() + [before]
            return Node(
                changeset: changeset,
                needs: Set(changesets.indices.filter { needs.contains(changesets[$0].dot) }))
        }
    }

    /// All causal orders at once: the states are kept by the set of what was delivered, and each
    /// way into a set must give the same. Everything delivered comes again after each step.
    private static func deliver(_ nodes: [Node]) throws -> (RowStates, Int) {
        guard nodes.count <= 14 else { throw VectorError("too many changesets") }
        let all = 1 << nodes.count
        var states: [Int: RowStates] = [0: RowStates()]
        var orders: [Int: Int] = [0: 1]
        for set in 0..<all {
            guard let state = states[set], let ways = orders[set] else { continue }
            for (index, node) in nodes.enumerated() where set & 1 << index == 0 {
                guard node.needs.allSatisfy({ set & 1 << $0 != 0 }) else { continue }
                var next = state
                next.deliver(node.changeset)
                next.checkInvariants()
                let once = next
                for (old, again) in nodes.enumerated() where (set | 1 << index) & 1 << old != 0 {
                    next.deliver(again.changeset)
                }
                guard next == once, states[set | 1 << index].map({ $0 == next }) ?? true else {
                    throw VectorError("the order of delivery matters")
                }
                states[set | 1 << index] = next
                orders[set | 1 << index, default: 0] += ways
            }
        }
        guard let state = states[all - 1], let ways = orders[all - 1] else {
            throw VectorError("not everything can be delivered")
        }
        return (state, ways)
    }
}
