import Causality
import Merge

/// Three laptops that hold one row, for scenarios that are told step by step.
struct Trio {
    private(set) var laptops: [Laptop]
    private(set) var commits: [Commit] = []
    private var wall: Int64 = 1_000

    init() {
        laptops = (0..<3).map { _ in Laptop(heads: [0, 0, 0], skew: 0) }
    }

    static func stream(_ author: Int) -> StreamID {
        StreamID(Identifier(high: 0, low: UInt64(author + 1)))
    }

    func state(_ laptop: Int) -> RowState { laptops[laptop].state }

    func fold(_ laptop: Int, _ key: CellKey) -> RegisterFold { RegisterFold(state(laptop)[key]) }

    /// What is shown of a register.
    func shown(_ laptop: Int, _ key: CellKey) -> Value? { fold(laptop, key).shown?.action.value }

    /// Writes what `make` decides from what the laptop shows; `nil` when that is nothing.
    @discardableResult
    mutating func write(_ author: Int, _ make: (RowState) -> [Operation]) -> Commit? {
        var operations: [Operation] = []
        for operation in make(state(author))
        where !operations.contains(where: { $0.cell == operation.cell }) {
            operations.append(operation)
        }
        guard !operations.isEmpty else { return nil }
        wall += 1
        let commit = Commit(
            author: author,
            dot: Dot(Self.stream(author), UInt64(laptops[author].heads[author] + 1)),
            time: laptops[author].clock.next(wallMilliseconds: wall),
            past: laptops[author].heads, operations: operations)
        laptops[author].receive(commit)
        commits.append(commit)
        return commit
    }

    @discardableResult
    mutating func write(_ author: Int, _ deed: Deed) -> Commit? {
        write(author) { deed.make($0, Self.stream(author)) }
    }

    private mutating func written(
        _ author: Int, _ make: (RowState) -> [Operation]
    ) -> Commit {
        guard let commit = write(author, make) else {
            preconditionFailure("a put or a resolution always writes")
        }
        return commit
    }

    @discardableResult
    mutating func put(_ author: Int, _ key: CellKey, _ value: Value) -> Commit {
        written(author) { $0.put(key, value, basis: $0.basis(of: key)) }
    }

    @discardableResult
    mutating func resolve(_ author: Int, _ key: CellKey, _ value: Value) -> Commit {
        written(author) { state in
            [state.resolve(key, value, basis: RegisterFold(state[key]).allDots)]
        }
    }

    @discardableResult
    mutating func undo(_ author: Int, _ dot: Dot, in key: CellKey) -> Commit? {
        write(author) { state in state.undo(resolution: dot, in: key).map { [$0] } ?? [] }
    }

    /// Hands over all that `source` holds.
    mutating func give(from source: Int, to target: Int) {
        for commit in commits where Int(commit.dot.seq) <= laptops[source].heads[commit.author] {
            laptops[target].receive(commit)
        }
    }

    mutating func receive(_ commit: Commit, at target: Int) { laptops[target].receive(commit) }

    mutating func meet() {
        for target in laptops.indices {
            for commit in commits { laptops[target].receive(commit) }
        }
    }
}
