public import Causality

/// The live ops of one cell: `its ops − everything named in any over of that cell`.
///
/// Ops arrive in causal order, so that an op never comes after one that replaces it; then dropping
/// what is named and keeping the rest is the whole of the merge. In which order concurrent ops
/// arrive makes no difference.
///
/// Invariant: sorted by dot, each dot once.
public struct Cell: Hashable, Sendable {
    public private(set) var live: [LiveOp]

    public init(_ live: [LiveOp] = []) {
        self.live = live.sorted { $0.dot < $1.dot }
    }

    public var isEmpty: Bool { live.isEmpty }

    /// Takes in one op. Linear in the number of live ops, which is 1 nearly always.
    public mutating func apply(_ op: LiveOp, over: [Dot]) {
        if !over.isEmpty {
            live.removeAll { over.contains($0.dot) }
        }
        let place = live.firstIndex { op.dot <= $0.dot } ?? live.endIndex
        if place < live.endIndex, live[place].dot == op.dot { return }
        live.insert(op, at: place)
    }

    public func contains(_ dot: Dot) -> Bool { live.contains { $0.dot == dot } }

    public func checkInvariants() {
        for (a, b) in zip(live, live.dropFirst()) {
            precondition(a.dot < b.dot, "live ops \(a.dot) and \(b.dot) are out of order")
        }
    }
}
