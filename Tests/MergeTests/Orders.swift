import Causality
import Merge
import Testing

/// The orders that decide what is shown and how it is written: strict, total, and by all parts.
@Suite struct Orders {
    private static let streams = [0, 1].map { Trio.stream($0) }
    private static let dots = streams.flatMap { [Dot($0, 1), Dot($0, 2)] }
    private static let keys = [
        CellKey(1), CellKey(1, element: [0]), CellKey(1, element: [0, 0]),
        CellKey(1, element: [1]), CellKey(2), CellKey(2, element: [0]),
    ]

    /// - Parameter ascending: each less than the next.
    private func expectStrict<T: Comparable>(_ ascending: [T]) {
        for (i, a) in ascending.enumerated() {
            for (j, b) in ascending.enumerated() {
                #expect((a < b) == (i < j), "\(a) and \(b)")
                #expect((a == b) == (i == j), "\(a) and \(b)")
            }
        }
    }

    @Test func `dots, cells and what a delete covers are in one strict order`() {
        expectStrict(Self.dots)
        expectStrict(Self.keys)
        expectStrict(Self.keys.flatMap { key in Self.dots.map { CellDot(key, $0) } })
    }

    @Test func `an op yields to a later one, and at one time to the greater dot, never to itself`()
    {
        let times = [HybridTime(rawValue: 1), HybridTime(rawValue: 2)]
        let ops = times.flatMap { time in
            Self.dots.map { LiveOp(dot: $0, time: time, action: .retract) }
        }
        for (i, a) in ops.enumerated() {
            for (j, b) in ops.enumerated() {
                #expect(a.yields(to: b) == (i < j), "\(a) and \(b)")
            }
        }
    }

    @Test func `a cell that is read in any order holds its ops by their dots`() {
        let ops = Self.dots.map {
            LiveOp(dot: $0, time: HybridTime(rawValue: 1), action: .retract)
        }
        for start in ops.indices {
            let turned = Array(ops[start...] + ops[..<start])
            for given in [turned, turned.reversed()] {
                let cell = Cell(given)
                cell.checkInvariants()
                #expect(cell.live == ops)
            }
        }
    }
}
