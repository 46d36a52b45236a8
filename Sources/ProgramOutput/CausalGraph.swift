/// What came of what, drawn with lines beside the rows of a table: in the order in which it happened, and with no row
/// before one that it came of.
public struct CausalGraph {
    /// What stands beside one row.
    public struct Row: Hashable, Sendable {
        /// Whole lines that come before it.
        public var before: [String]
        public var line: String
        /// Beside each further line that belongs to the row.
        public var after: String
    }

    /// The rows whose children are still to come, by their lanes from the left.
    private var lanes: [Int?] = []
    private var childrenToCome: [Int]
    public private(set) var rows: [Row] = []

    /// - Parameter parents: of each row those that it came of, all of them before it; those that others of them came of
    ///   needn't be named, and are not drawn.
    public init(parents all: [[Int]]) {
        let parents = Self.nearest(all)
        childrenToCome = Array(repeating: 0, count: parents.count)
        for parent in parents.joined() { childrenToCome[parent] += 1 }
        for (row, parents) in parents.enumerated() { add(row, Set(parents)) }
    }

    /// Without those that others came of.
    private static func nearest(_ parents: [[Int]]) -> [[Int]] {
        parents.map { own in
            guard own.count > 1, let oldest = own.min() else { return own }
            var behind: Set<Int> = []
            var waiting = own.flatMap { parents[$0] }
            while let next = waiting.popLast() {
                guard next >= oldest, behind.insert(next).inserted else { continue }
                waiting += parents[next]
            }
            return own.filter { !behind.contains($0) }
        }
    }

    private mutating func add(_ row: Int, _ parents: Set<Int>) {
        var before: [String] = []
        for parent in parents { childrenToCome[parent] -= 1 }
        let from = lanes.indices.filter { lane in lanes[lane].map(parents.contains) ?? false }
        func isDone(_ lane: Int) -> Bool { lanes[lane].map { childrenToCome[$0] == 0 } ?? false }
        let own = from.first(where: isDone) ?? lanes.firstIndex(of: nil) ?? lanes.count
        var connected = own
        if !from.contains(own) {
            if own == lanes.count { lanes.append(nil) }
            if let first = from.first {
                before.append(connection(first, own, endsSecond: false))
                connected = first
            }
        }
        lanes[own] = row
        for lane in from where lane != own && lane != connected {
            before.append(connection(own, lane, endsSecond: isDone(lane)))
            if isDone(lane) { lanes[lane] = nil }
        }
        let line = drawn { lane in lane == own ? "●" : nil }
        if childrenToCome[row] == 0 { lanes[own] = nil }
        while lanes.last == .some(nil) { lanes.removeLast() }
        rows.append(Row(before: before, line: line, after: drawn { _ in nil }))
    }

    /// A line across, from a lane that goes on to one that begins, goes on or ends there.
    private func connection(_ first: Int, _ second: Int, endsSecond: Bool) -> String {
        let (left, right) = (min(first, second), max(first, second))
        let begins = lanes[second] == nil
        let isToTheRight = second > first
        return drawn(across: left..<right) { lane in
            if lane == first { return isToTheRight ? "├" : "┤" }
            if lane == second {
                if begins { return isToTheRight ? "╮" : "╭" }
                if endsSecond { return isToTheRight ? "╯" : "╰" }
                return isToTheRight ? "┤" : "├"
            }
            guard left < lane, lane < right else { return nil }
            return lanes[lane] == nil ? "─" : "┼"
        }
    }

    private func drawn(
        across: Range<Int> = 0..<0, _ mark: (Int) -> Character?
    ) -> String {
        var line = ""
        for lane in lanes.indices {
            line.append(mark(lane) ?? (lanes[lane] == nil ? " " : "│"))
            line.append(across.contains(lane) ? "─" : " ")
        }
        while line.last == " " { line.removeLast() }
        return line
    }
}
