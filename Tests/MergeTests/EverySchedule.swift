import Causality
import Foundation
import Merge
import TestSupport
import Testing

/// All schedules of three replicas with up to four ops: every shape, every word of ops, every order
/// of delivery. Without KARVAN_EXHAUSTIVE=1 those with up to three ops, and one shape of four, which
/// KARVAN_SEED picks.
@Suite struct EverySchedule {
    struct Tally: Sendable {
        var shapes = 0
        var schedules = 0
        var deliveries = 0
        var applications = 0
        var problems: [String] = []

        mutating func add(_ other: Tally) {
            shapes += other.shapes
            schedules += other.schedules
            deliveries += other.deliveries
            applications += other.applications
            problems += other.problems
        }
    }

    private static func setting(_ name: String) -> Int? {
        ProcessInfo.processInfo.environment[name].flatMap { Int($0) }
    }

    static var shapes: [ScheduleShape] {
        let four = ScheduleShape.every(opCount: 4)
        let one = four[(setting("KARVAN_SEED") ?? 60) % four.count]
        return (0...3).flatMap { ScheduleShape.every(opCount: $0) }
            + (setting("KARVAN_EXHAUSTIVE") == 1 ? four : [one])
    }

    @Test func `there are as many shapes and deliveries as a count by hand says`() {
        #expect((0...3).map { ScheduleShape.every(opCount: $0).count } == [1, 1, 3, 18])
        #expect(ScheduleShape(authors: [0, 1, 2], pasts: [0, 0, 0]).deliveries.count == 6)
        #expect(ScheduleShape(authors: [0, 1, 0], pasts: [0, 0, 3]).deliveries.count == 2)
        #expect(ScheduleShape(authors: [0, 0, 0], pasts: [0, 1, 3]).deliveries == [[0, 1, 2]])
    }

    @Test func `every schedule ends in one state, that of the definition, in every order`() async {
        let start = ContinuousClock.now
        var tally = Tally()
        await withTaskGroup(of: Tally.self) { group in
            for shape in Self.shapes {
                group.addTask {
                    var tally = Tally()
                    tally.shapes = 1
                    for family in DeedFamily.all { Self.run(shape, family, &tally) }
                    return tally
                }
            }
            for await part in group { tally.add(part) }
        }
        for problem in tally.problems.prefix(5) { Issue.record(Comment(rawValue: problem)) }
        print(
            "\(tally.shapes) shapes, \(tally.schedules) schedules, \(tally.deliveries) deliveries "
                + "in \(tally.applications) applications, \(tally.problems.count) at fault, "
                + "\(ContinuousClock.now - start)")
    }

    private static func run(_ shape: ScheduleShape, _ family: DeedFamily, _ tally: inout Tally) {
        let orderCount = shape.deliveries.count
        let words = Words(letterCount: family.deeds.count, length: shape.opCount)
        for word in 0..<words.count {
            let deeds = (0..<shape.opCount).map { family.deeds[words.letter($0, of: word)] }
            for isTied in [false, true] {
                let schedule = WrittenSchedule(shape, deeds, isTied: isTied)
                tally.schedules += 1
                tally.deliveries += orderCount
                if let fault = schedule.fault(family, &tally.applications) {
                    tally.problems.append(
                        "\(shape), \(deeds.map(\.name)), tied \(isTied): \(fault)")
                }
            }
        }
    }
}

/// What a schedule wrote, each author from what it held.
private struct WrittenSchedule {
    let shape: ScheduleShape
    private var commits: [Commit] = []
    private static let empty = Laptop(heads: [0, 0, 0], skew: 0)

    /// - Parameter isTied: the clocks stand still, so that concurrent ops have equal times.
    init(_ shape: ScheduleShape, _ deeds: [Deed], isTied: Bool) {
        self.shape = shape
        for (op, deed) in deeds.enumerated() {
            var laptop = Self.empty
            for other in 0..<op where shape.pasts[op] & 1 << other != 0 {
                laptop.receive(commits[other])
            }
            let author = shape.authors[op]
            // A later op of a device is later in time, and so is what saw another's.
            let depth =
                commits.indices.filter { shape.pasts[op] & 1 << $0 != 0 }
                .map { commits[$0].time.milliseconds + 1 }.max() ?? 1
            commits.append(
                Commit(
                    author: author,
                    dot: Dot(Trio.stream(author), UInt64(laptop.heads[author] + 1)),
                    time: HybridTime(milliseconds: isTied ? depth : Int64(op + 1)),
                    past: laptop.heads,
                    operations: deed.make(laptop.state, Trio.stream(author))))
        }
    }

    /// Goes through all sets of ops that a replica can hold, each by every way into it: the
    /// states must be equal, which by induction says it of all orders.
    func fault(_ family: DeedFamily, _ applications: inout Int) -> String? {
        var laptops = [Laptop?](repeating: nil, count: shape.all + 1)
        laptops[0] = Self.empty
        for set in 0...shape.all {
            guard let laptop = laptops[set] else { continue }
            if let fault = fault(laptop, set, family) { return fault }
            for op in 0..<shape.opCount where shape.isReady(op, at: set) {
                var next = laptop
                next.receive(commits[op])
                applications += 1
                if let other = laptops[set | 1 << op] {
                    guard other.state == next.state else {
                        return "the order matters: \(other.state) or \(next.state)"
                    }
                } else {
                    laptops[set | 1 << op] = next
                }
            }
        }
        return nil
    }

    /// What a laptop holds against the definition, and everything delivered once more.
    private func fault(_ laptop: Laptop, _ set: Int, _ family: DeedFamily) -> String? {
        laptop.state.checkInvariants()
        family.checkInvariants(laptop.state)
        var again = laptop
        var live: Set<CellDot> = []
        var replaced: Set<CellDot> = []
        for (op, commit) in commits.enumerated() where set & 1 << op != 0 {
            again.receive(commit)
            for operation in commit.operations {
                live.insert(CellDot(operation.cell, commit.dot))
                replaced.formUnion(operation.over.map { CellDot(operation.cell, $0) })
            }
        }
        guard again.state == laptop.state else { return "a repetition changes the state" }
        let found = laptop.state.cells.flatMap { entry in
            entry.cell.live.map { CellDot(entry.key, $0.dot) }
        }
        return found == live.subtracting(replaced).sorted()
            ? nil : "\(found) live, not \(live.subtracting(replaced).sorted())"
    }
}
