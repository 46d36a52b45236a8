import Foundation
import Synchronization
import Testing

/// Networks that break at any byte of a session: what was recorded is safe, what was acknowledged
/// is on the hub, and the next session completes.
///
/// `KARVAN_BYTES=1` tries every byte of both ways with every fault, another number every so many,
/// from byte `KARVAN_FIRST_BYTE` on; `KARVAN_MINUTES` bounds that, and what is tried then is drawn
/// from `KARVAN_SEED`.
@Suite(.serialized) struct BrokenNetworks {
    private let changeCount = repetitions("KARVAN_CHANGES", usually: 60)
    private let stride = repetitions("KARVAN_BYTES", usually: 0)
    private let firstByte = repetitions("KARVAN_FIRST_BYTE", usually: 0)
    private let threadCount = repetitions("KARVAN_THREADS", usually: 4)
    private let limit =
        ContinuousClock.now + .seconds(repetitions("KARVAN_MINUTES", usually: 40) * 60)

    /// What one thread does before it puts everything back.
    private static let batchLength = 20

    @Test func `a connection that breaks at any byte loses nothing, repeats nothing, and ends`()
        throws
    {
        let start = ContinuousClock.now
        let forum = try Forum(small: ["L1", "L2"])
        let changes = try WaitingChanges(changeCount, in: forum)
        let first = try BrokenLine(changes, name: "calm")
        let calm = try CalmSession(first, changes)
        first.end()
        let faults = stride > 0 ? everyFault(calm) : someFaults(calm)
        let ledger = FaultLedger()
        let pulse = try MachinePulse(in: forum.directory)
        defer { pulse.stop() }
        try share(batches(faults), changes, named: "line") { line, batch in
            var run = FaultRun(line: line, calm: calm, changes: changes, pulse: pulse)
            for fault in batch {
                let name = "\(fault.kind) at byte \(fault.byte) \(fault.way.name)"
                try run.attempt(name, isHarmless: fault.isHarmless) {
                    line.proxy.arm(fault)
                } reap: {
                    line.proxy.disarm().isStruck
                }
            }
            try run.finish("behind \(batch)")
            ledger.add(run.tally, for: "\(batch[0].kind) \(batch[0].way.name)")
        }
        for (name, tally) in ledger.all { report("  network \(name)", tally.figures, since: start) }
        let total = ledger.all.map(\.value).reduce(FaultTally(), +)
        report(
            "network broken",
            [
                ("changes", changes.count), ("bytes to the hub", calm.count(.toHub)),
                ("bytes to the laptop", calm.count(.toLaptop)), ("planned", faults.count),
                ("longest pause of the disk in ms", pulse.longestMilliseconds),
            ] + total.figures, since: start)
        #expect(ledger.problems.isEmpty, "\(ledger.problems.prefix(20))")
        #expect(total.lost == 0 && total.stuck == 0)
        #expect(total.struck > total.tried / 2)
        #expect(total.endedUnreachable > 0 && total.completed > 0 && total.acknowledged > 0)
        if stride == 0 { #expect(total.tried == faults.count) }
    }

    @Test func `what breaks above TLS loses nothing, repeats nothing, and ends`() throws {
        let start = ContinuousClock.now
        let forum = try Forum(small: ["L1", "L2"])
        let changes = try WaitingChanges(changeCount, in: forum)
        let seconds = Int((limit - start).components.seconds) + 300
        let first = try BrokenLine(changes, name: "calm")
        try first.startRelay(seconds: seconds)
        let calm = try CalmSession(first, changes)
        let counts = try #require(first.relayedCounts)
        first.end()
        let faults = relayFaults(counts)
        let ledger = FaultLedger()
        let pulse = try MachinePulse(in: forum.directory)
        defer { pulse.stop() }
        try share(
            Self.batches(faults) { $0.kind.rawValue }, changes, named: "relay"
        ) { line, batch in
            if !line.hasRelay { try line.startRelay(seconds: seconds) }
            var run = FaultRun(
                line: line, calm: calm, changes: changes, pulse: pulse,
                allowed: [0, 69, 76, 77])
            for fault in batch {
                try run.attempt(
                    "\(fault.kind.rawValue) at byte \(fault.byte)",
                    isHarmless: fault.kind.isHarmless
                ) {
                    line.proxy.arm(nil)
                    try line.expect(fault.kind, byte: fault.byte)
                } reap: {
                    line.proxy.disarm().connections > 0
                }
            }
            try run.finish("behind \(batch)")
            ledger.add(run.tally, for: batch[0].kind.rawValue)
        }
        for (name, tally) in ledger.all {
            report("  above TLS \(name)", tally.figures, since: start)
        }
        let total = ledger.all.map(\.value).reduce(FaultTally(), +)
        report(
            "above TLS",
            [
                ("changes", changes.count), ("bytes of the request", counts.request),
                ("of the answer", counts.answer), ("planned", faults.count),
                ("longest pause of the disk in ms", pulse.longestMilliseconds),
            ] + total.figures, since: start)
        #expect(ledger.problems.isEmpty, "\(ledger.problems.prefix(20))")
        #expect(total.lost == 0 && total.stuck == 0)
        #expect(total.endedUnreachable > 0 && total.completed > 0 && total.acknowledged > 0)
        if stride == 0 { #expect(total.tried == faults.count) }
    }

    // MARK: What is tried

    private struct PlannedRelayFault: Sendable {
        var kind: RelayFault
        var byte: Int
    }

    /// Every so many bytes, or some.
    private func relayFaults(_ counts: (request: Int, answer: Int)) -> [PlannedRelayFault] {
        var random = CrashRandom("relay")
        return RelayFault.allCases.flatMap { kind in
            let count = kind.concernsAnswer ? counts.answer : counts.request
            let places =
                if !kind.hasByte {
                    [0]
                } else if stride > 0 {
                    Array(Swift.stride(from: firstByte, to: count, by: stride))
                } else {
                    [0, count - 1]
                        + (1..<count - 1).filter(Self.isPrime).shuffled(using: &random).prefix(4)
                }
            return places.map { PlannedRelayFault(kind: kind, byte: $0) }
        }
    }

    /// Every fault at every so many bytes of both ways.
    private func everyFault(_ calm: CalmSession) -> [NetworkFault] {
        NetworkFault.Kind.allCases.flatMap { kind in
            Way.allCases.flatMap { way in
                Swift.stride(from: firstByte, to: calm.count(way), by: stride).map {
                    NetworkFault(kind: kind, way: way, byte: $0)
                }
            }
        }
    }

    /// Each edge of a record of TLS and some primes, with one fault each in turn; every fault at
    /// the first and the last byte, but for those that take a second.
    private func someFaults(_ calm: CalmSession) -> [NetworkFault] {
        let kinds = NetworkFault.Kind.allCases
        var random = CrashRandom("network")
        return Way.allCases.flatMap { way in
            let last = calm.count(way) - 1
            let primes = (2...last).filter(Self.isPrime).shuffled(using: &random).prefix(8)
            let turns = Int.random(in: 0..<kinds.count, using: &random)
            let places = Set(calm.edges(way)).union(primes).sorted()
            let inTurn = places.enumerated().map { index, byte in
                NetworkFault(kind: kinds[(turns + index) % kinds.count], way: way, byte: byte)
            }
            let atEnds = kinds.filter { $0 != .stall }.flatMap { kind in
                [0, last].map { NetworkFault(kind: kind, way: way, byte: $0) }
            }
            return Set(inTurn + atEnds).sorted {
                ($0.kind.rawValue, $0.byte) < ($1.kind.rawValue, $1.byte)
            }
        }
    }

    private static func isPrime(_ number: Int) -> Bool {
        number >= 2 && !(2..<number).prefix { $0 * $0 <= number }.contains { number % $0 == 0 }
    }

    /// Faults of one kind and way, for one thread.
    private func batches(_ faults: [NetworkFault]) -> [[NetworkFault]] {
        Self.batches(faults) { "\($0.kind) \($0.way.name)" }
    }

    private static func batches<Fault>(
        _ faults: [Fault], by name: (Fault) -> String
    ) -> [[Fault]] {
        var random = CrashRandom("batches")
        return Dictionary(grouping: faults, by: name).sorted { $0.key < $1.key }
            .flatMap { _, faults in
                Swift.stride(from: 0, to: faults.count, by: batchLength).map {
                    Array(faults[$0..<min($0 + batchLength, faults.count)])
                }
            }
            .shuffled(using: &random)
    }

    /// Does one part of the work after another, on several threads with a hub each.
    private func share<Fault: Sendable>(
        _ batches: [[Fault]], _ changes: WaitingChanges, named name: String,
        _ body: @escaping @Sendable (BrokenLine, [Fault]) throws -> Void
    ) throws {
        let queue = Queue(batches)
        let limit = limit
        let crew = Crew(
            (0..<threadCount).map { number in
                {
                    let line = try BrokenLine(changes, name: "\(name)\(number)")
                    defer { line.end() }
                    while ContinuousClock.now < limit, let batch = queue.next() {
                        try line.restore()
                        try body(line, batch)
                    }
                }
            })
        let seconds = (limit - ContinuousClock.now).components.seconds
        let problems = crew.finish(limitSeconds: Double(max(seconds, 0) + 300))
        #expect(problems.isEmpty, "\(problems)")
    }
}

/// What is left to do, for several threads.
private final class Queue<Element: Sendable>: Sendable {
    private let rest: Mutex<[Element]>

    init(_ all: [Element]) { rest = Mutex(all.reversed()) }

    func next() -> Element? { rest.withLock { $0.popLast() } }
}
