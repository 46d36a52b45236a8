import Causality
import Merge
import TestSupport

/// A changeset as laptops hand it on.
struct Commit: Sendable {
    var author: Int
    var dot: Dot
    var time: HybridTime
    /// How much of each author's work its author held.
    var past: [Int]
    var operations: [Operation]
}

/// A form that someone opened, and what it showed.
struct Form: Sendable {
    var cell: Int
    var basis: [Dot]
    var shown: [Int]
    /// Every candidate was shown, to be settled.
    var isSettling: Bool
}

/// One laptop's copy of the row.
struct Laptop: Sendable {
    var state = RowState()
    /// How many changesets of each author are part of the state.
    var heads: [Int]
    var clock = HybridClock()
    var forms: [Form] = []
    /// How far the wall clock is off, in milliseconds.
    var skew: Int64

    func isReady(for commit: Commit) -> Bool {
        heads[commit.author] + 1 == Int(commit.dot.seq)
            && zip(commit.past, heads).allSatisfy { $0 <= $1 }
    }

    /// Takes in one changeset; one that is held already changes nothing.
    mutating func receive(_ commit: Commit) {
        guard heads[commit.author] < Int(commit.dot.seq) else { return }
        precondition(isReady(for: commit), "the schedule broke causal order")
        for operation in commit.operations {
            state.apply(operation, dot: commit.dot, time: commit.time)
        }
        heads[commit.author] += 1
    }
}

/// What a schedule did, so that a test can tell that everything was exercised.
struct Tally: Sendable {
    var commits = 0
    var steps = 0
    var counts: [String: Int] = [:]

    mutating func add(_ other: Tally) {
        steps += other.steps
        commits += other.commits
        counts.merge(other.counts, uniquingKeysWith: +)
    }
}

/// Three to six laptops that edit one row, and exchange some of what they have.
struct Schedule {
    static let life = 0
    static let registers = [1, 2, 3]
    static let elements = [4, 5, 6]
    static let cells: [(CellKey, RegisterPolicy)] = [
        (.life, .latest),
        (CellKey(1), .latest),
        (CellKey(2), .earliest(within: 2)),
        (CellKey(3), .latest),
        (CellKey(4, element: [0x61, 0x61]), .latest),
        (CellKey(4, element: [0x61, 0x62]), .latest),
        (CellKey(5, element: [0x61, 0x61]), .latest),
    ]

    var generator: SplitMix64
    var laptops: [Laptop]
    /// By author, in order.
    var commits: [[Commit]]
    var truth = BruteForce(cells: Schedule.cells)
    var tally = Tally()
    private var wall: Int64 = 1_000
    private let streams: [StreamID]

    init(seed: UInt64) {
        generator = SplitMix64(seed: seed)
        let count = 3 + generator.below(4)
        var streams: [StreamID] = []
        laptops = []
        for _ in 0..<count {
            streams.append(StreamID(Identifier(high: generator.next(), low: generator.next())))
            // Some clocks stand still, some run far ahead or behind.
            let skew = Int64(generator.below(5) - 2) * (generator.chance(1, in: 3) ? 2_000_000 : 1)
            laptops.append(Laptop(heads: Array(repeating: 0, count: count), skew: skew))
        }
        self.streams = streams
        commits = Array(repeating: [], count: count)
    }

    /// Runs the whole schedule.
    ///
    /// - Returns: the first thing that is wrong.
    mutating func run() -> String? {
        for _ in 0..<(10 + generator.below(30)) {
            wall += Int64(generator.below(3))
            let author = generator.below(laptops.count)
            if let problem = step(author) ?? check(author) { return problem }
        }
        for target in laptops.indices {
            for source in laptops.indices { exchange(from: source, to: target, isWhole: true) }
        }
        for target in laptops.indices {
            for source in laptops.indices { exchange(from: source, to: target, isWhole: true) }
            if let problem = check(target) { return "at the end: \(problem)" }
            guard laptops[target].state == laptops[0].state,
                laptops[target].heads == commits.map(\.count)
            else { return "laptops 0 and \(target) differ at the end" }
        }
        return droppedOp()
    }

    private func check(_ laptop: Int) -> String? {
        laptops[laptop].state.checkInvariants()
        return truth.view(laptops[laptop].heads).difference(from: laptops[laptop].state)
            .map { "laptop \(laptop): \($0)" }
    }

    /// Every value and every delete lives, or was replaced by someone who was shown it.
    private func droppedOp() -> String? {
        let view = truth.view(commits.map(\.count))
        for (number, entry) in truth.entries.enumerated()
        where (entry.hasValue || entry.isDelete) && !view.contains(number) {
            let isKnown = truth.entries.contains {
                $0.over.contains(number) && $0.shown.contains(number)
            }
            if !isKnown { return "\(entry.dot) of \(truth.cells[entry.cell]) was dropped" }
        }
        return nil
    }

    /// Hands over a causal part of what `source` has, in some causal order, with repetitions.
    mutating func exchange(from source: Int, to target: Int, isWhole: Bool = false) {
        guard source != target else { return }
        let bounds = laptops[source].heads.map { head in
            isWhole || generator.chance(2, in: 3) ? head : generator.below(head + 1)
        }
        while true {
            let ready = commits.indices.filter { author in
                let head = laptops[target].heads[author]
                return head < bounds[author]
                    && laptops[target].isReady(for: commits[author][head])
            }
            guard let author = generator.pick(ready) else { return }
            let commit = commits[author][laptops[target].heads[author]]
            laptops[target].receive(commit)
            laptops[target].clock.observe(
                commit.time, wallMilliseconds: wall + laptops[target].skew)
            if generator.chance(1, in: 4) {
                let again = commits[author][generator.below(laptops[target].heads[author])]
                laptops[target].receive(again)
            }
        }
    }

    /// Writes a changeset: a laptop takes in its own the way that others do.
    mutating func write(_ author: Int, _ operations: [(Operation, shown: [Int])]) -> String? {
        guard !operations.isEmpty else { return nil }
        let time = laptops[author].clock.next(wallMilliseconds: wall + laptops[author].skew)
        let dot = Dot(streams[author], UInt64(commits[author].count + 1))
        let commit = Commit(
            author: author, dot: dot, time: time, past: laptops[author].heads,
            operations: operations.map(\.0))
        guard Set(commit.operations.map(\.cell)).count == operations.count else {
            return "a changeset holds two ops of one cell"
        }
        let view = truth.view(laptops[author].heads)
        for (operation, shown) in operations {
            if let problem = view.fault(in: operation, shown: shown) {
                return "laptop \(author) \(dot): \(problem)"
            }
            if let problem = truth.add(
                operation, dot: dot, time: time, author: author, shown: shown)
            {
                return problem
            }
        }
        commits[author].append(commit)
        laptops[author].receive(commit)
        tally.commits += 1
        return nil
    }
}

extension BruteForce.View {
    /// Whether the op replaces and covers exactly what its author was shown and still lives.
    func fault(in operation: Operation, shown: [Int]) -> String? {
        guard let cell = all.cells.firstIndex(of: operation.cell) else { return "no such cell" }
        let over = Set(operation.over.compactMap { all.number(of: $0, in: cell) })
        let standing = Set(shown).intersection(live[cell])
        let named = over.filter { all.entries[$0].action != .retract }
        var expected = standing.filter { all.entries[$0].action != .retract }
        guard over.isSubset(of: live[cell]) else { return "it replaces what does not live" }
        switch operation.action {
        case .resolve(_, let dots):
            let replaced = expected.filter { all.entries[$0].isResolution }
            let covers = expected.filter { all.entries[$0].isPut }.union(
                replaced.flatMap { all.entries[$0].covers }.filter(live[cell].contains))
            guard Set(dots.compactMap { all.number(of: $0, in: cell) }) == covers else {
                return "\(operation) covers other than \(covers.map { all.entries[$0].dot })"
            }
            expected = replaced
        case .delete(let dots):
            let everything = live.joined().filter { !all.entries[$0].isDelete }
            let places = everything.map {
                CellDot(all.cells[all.entries[$0].cell], all.entries[$0].dot)
            }
            guard Set(dots) == Set(places) else { return "\(operation) does not cover \(places)" }
        case .put, .retract: break
        }
        guard named == expected else {
            return "\(operation) does not replace \(expected.map { all.entries[$0].dot })"
        }
        return nil
    }
}
