import Causality
import Merge
import SyncProtocol

/// Entries of counters on branches: what they are is told by their bytes, and no schema is asked.
extension RunVectors {
    private static let now: UInt64 = 1_764_000_000_000

    /// A changeset that puts a value into column 6 of a row.
    private static func entry(
        _ parts: [Value], at millisecond: UInt64, over: [UInt64] = [], column: UInt64 = 6
    ) -> [UInt8] {
        value(.composite(parts), at: millisecond, over: over, column: column)
    }

    private static func value(
        _ value: Value, at millisecond: UInt64, over: [UInt64] = [], column: UInt64 = 6
    ) -> [UInt8] {
        let draft = BodyDraft().changeset(millisecond, rows: 1)
        if over.isEmpty { return draft.row(items: 2).code(column, 0).value(value).bytes }
        let dots = over.reduce(
            draft.row(items: 3).code(column, 1).value(value).array(over.count)
        ) { $0.number($1) }
        return dots.bytes
    }

    private static func count(
        _ up: Int64, _ down: Int64, at millisecond: UInt64, over: [UInt64] = []
    ) -> [UInt8] {
        entry([.integer(up), .integer(down)], at: millisecond, over: over)
    }

    /// What was counted before the stream forks.
    private static let start = RunDraft(1, body: count(3, 1, at: now))

    /// Of two runs that follow `start`, the one with the stream's name and the other one.
    private static func fork(_ one: [UInt8], _ other: [UInt8]) -> (RunDraft, RunDraft) {
        let (one, other) = (RunDraft(after: start, body: one), RunDraft(after: start, body: other))
        return one.hash.bytes.lexicographicallyPrecedes(other.hash.bytes)
            ? (one, other) : (other, one)
    }

    /// Makes `other` with a time at which its hash is the greater one.
    private static func branching(
        from stem: RunDraft, _ body: (_ millisecond: UInt64) -> [UInt8]
    ) throws -> RunDraft {
        for millisecond in now + 10..<now + 100 {
            let draft = RunDraft(after: start, body: body(millisecond))
            if stem.hash.bytes.lexicographicallyPrecedes(draft.hash.bytes) { return draft }
        }
        throw VectorError("no run with a greater hash")
    }

    static func counters() throws -> [Vector] {
        let (stem, branch) = fork(
            count(5, 1, at: now + 3, over: [2]), count(4, 2, at: now + 4, over: [2]))
        let further = RunDraft(after: branch, body: count(9, 2, at: now + 6, over: [2]))
        func on(_ name: String, _ body: (_ millisecond: UInt64) -> [UInt8]) throws -> Vector {
            try offer(
                "a counter on a branch: \(name)", try branching(from: stem, body),
                to: [start, stem])
        }
        let box = Value.sealed(SealedValue(about: nil, box: BodyVectors.box))
        let sealed = try branching(from: stem) { value(box, at: $0, over: [2]) }
        return try [
            offer("a counter on the stream that a branch leaves", stem, to: [start, branch]),
            offer("a counter on a branch counts from there", branch, to: [start, stem]),
            offer("a counter on a branch goes on", further, to: [start, stem, branch]),
            on("less than before") { count(1, 0, at: $0, over: [2]) },
            on("nothing more") { count(3, 1, at: $0, over: [2]) },
            on("another column") { entry([.integer(7), .integer(7)], at: $0, column: 7) },
            on("over nothing") { count(8, 8, at: $0) },
            on("three parts") {
                entry([.integer(7), .integer(7), .integer(7)], at: $0, over: [2])
            },
            on("a negative part") { entry([.integer(7), .integer(-1)], at: $0, over: [2]) },
            on("a real for an integer") { entry([.integer(7), .real(7)], at: $0, over: [2]) },
            on("a text") { value(.text("7"), at: $0, over: [2]) },
            offer(
                "a counter on a branch: what is sealed is no entry", withChecks(sealed, 1),
                to: [start, stem]),
        ] + alikeCounters()
    }

    /// Copies that sealed what they had counted before.
    private static func alikeCounters() throws -> [Vector] {
        let long = RunDraft(
            1, count: 2, body: count(3, 1, at: now) + count(5, 1, at: 1, over: [2]))
        let other = RunDraft(
            1, count: 2, body: count(3, 1, at: now) + count(3, 4, at: 1, over: [2]))
        return [
            try offer("a counter that two runs begin with alike", other, to: [long]),
            try offer("a counter that two runs begin with alike, the other way", long, to: [other]),
        ]
    }
}
