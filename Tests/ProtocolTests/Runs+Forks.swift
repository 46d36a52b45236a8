import Causality
import Merge
import SyncProtocol

/// Streams that fork: what runs are called, and what the dots in them mean.
extension RunVectors {
    private static let now: UInt64 = 1_764_000_000_000

    /// Two first runs of one stream: the one with the lower hash has the stream's name.
    private static let (stem, branch): (RunDraft, RunDraft) = {
        let rival = RunDraft(1, body: note("another", at: now + 3))
        return first.hash.bytes.lexicographicallyPrecedes(rival.hash.bytes)
            ? (first, rival) : (rival, first)
    }()
    private static let onBranch = RunDraft(
        after: branch, body: note("on", at: now + 6, over: [2]))
    private static let onStem = RunDraft(after: stem, body: note("off", at: now + 7, over: [2]))

    /// A run of another stream that replaces dots of the streams of its deps.
    private static func reader(
        _ text: String, of deps: [RunDraft], over: [UInt64], dots: Int
    ) -> RunDraft {
        let body = over.reduce(
            BodyDraft().changeset(now + 20, rows: 1).row(items: 3).code(1, 1).text(text)
                .array(dots * 2)
        ) { $0.number($1) }.bytes
        return RunDraft(2, body: body).changed { $0.dependencies = deps.map(\.dependency) }
    }

    static func forks() throws -> [Vector] {
        try branches() + alike() + named()
    }

    private static func branches() throws -> [Vector] {
        let again = RunDraft(after: branch, body: note("on, too", at: now + 8, over: [2]))
        let third = RunDraft(1, body: note("a third", at: now + 9))
        return [
            try offer("another first run, of a greater hash", branch, to: [stem]),
            try offer("another first run, of a lower hash", stem, to: [branch]),
            try offer("a third first run", third, to: [branch, stem]),
            try offer("what goes on from a branch", onBranch, to: [stem, branch]),
            try offer("what goes on from the stream", onStem, to: [stem, branch]),
            try offer("what goes on from what was the stream", onBranch, to: [branch]),
            try offer("the stream's name goes elsewhere", stem, to: [branch, onBranch]),
            try offer("a branch of a branch", again, to: [stem, branch, onBranch]),
            try offer(
                "another second run", RunDraft(after: first, body: note("c", at: now + 2)),
                to: [first, second]),
            try offer(
                "a run of another length in its place",
                RunDraft(
                    after: first, count: 2, body: note("c", at: now + 2) + note("d", at: 1)),
                to: [first, second]),
            try offer("a run of a branch again", branch, to: [stem, branch], "duplicate"),
            try offer(
                "what lies behind a branch that is not held",
                RunDraft(after: onBranch, body: note("later", at: now + 12)), to: [stem, branch],
                "GAP"),
        ]
    }

    /// Copies that sealed what they were copied with.
    private static func alike() throws -> [Vector] {
        let long = RunDraft(1, count: 2, body: note("a") + note("b", at: 1, over: [2]))
        let other = RunDraft(1, count: 2, body: note("a") + note("c", at: 1, over: [2]))
        let unlike = RunDraft(1, count: 2, body: note("z") + note("b", at: 1, over: [2]))
        return [
            try offer("a longer run that begins like one that is held", long, to: [first]),
            try offer("a shorter run that one begins with that is held", first, to: [long]),
            try offer("a run that begins like another", other, to: [long]),
            try offer("a run that begins like two others", other, to: [long, first]),
            try offer("a run that is like another only behind its first", unlike, to: [long]),
            try offer(
                "what replaces a change that was alike",
                RunDraft(after: other, body: note("d", at: now + 9, over: [4])), to: [long, other]),
            try offer(
                "what depends on a run that begins alike",
                reader("r", of: [other], over: [1, 1, 1, 2], dots: 2), to: [long, other]),
        ]
    }

    private static func named() throws -> [Vector] {
        let elsewhere = RunDraft(after: first, body: note("c", at: now + 2, over: [2]))
        return [
            try offer(
                "a dep on a branch", reader("r", of: [branch], over: [1, 1], dots: 1),
                to: [stem, branch]),
            try offer(
                "a dep on the stream that it leaves",
                reader("r", of: [stem], over: [1, 1], dots: 1),
                to: [stem, branch]),
            try offer(
                "a dep on a branch that nobody knew of",
                reader("r", of: [branch], over: [1, 1], dots: 1), to: [branch]),
            try offer(
                "deps on both",
                reader("r", of: [stem, branch], over: [1, 1, 3, 1], dots: 2), to: [stem, branch]),
            try offer(
                "a dot from before the place where a branch leaves",
                reader("r", of: [elsewhere], over: [1, 1, 1, 2], dots: 2),
                to: [first, second, elsewhere]),
            try offer(
                "a dot beyond what the dep's branch has",
                reader("r", of: [stem, onBranch], over: [1, 2], dots: 1),
                to: [stem, branch, onBranch, onStem], "POISON"),
            try offer(
                "a dep on a branch that is not held",
                reader("r", of: [onBranch], over: [1, 1], dots: 1), to: [stem, branch, onStem],
                "GAP"),
        ]
    }
}
