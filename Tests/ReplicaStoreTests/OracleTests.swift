import Causality
import Foundation
import Merge
import RecordSchema
import ReplicaStore
import TestSupport
import Testing

/// Real replicas against `Protocol/oracle.py`, which shares no code with them.
///
/// KARVAN_ORACLE_SCHEDULES overrides how many random schedules run, KARVAN_SEED where they start.
/// KARVAN_EXHAUSTIVE=1 runs every shape with up to four ops, else a slice of them.
@Suite(.serialized) struct OracleTests {
    private static let rowCount = 250

    private static func setting(_ name: String) -> Int? {
        ProcessInfo.processInfo.environment[name].flatMap { Int($0) }
    }

    @Test func `the oracle agrees with replicas on random schedules`() async {
        let start = ContinuousClock.now
        let fleetCount = ((Self.setting("KARVAN_ORACLE_SCHEDULES") ?? 1_000) + 249) / Self.rowCount
        let first = Self.setting("KARVAN_SEED") ?? 1
        var counts: [String: Int] = [:]
        var problems: [String] = []
        await withTaskGroup(of: ([String: Int], String?).self) { group in
            for seed in first..<first + fleetCount {
                group.addTask {
                    let name = "KARVAN_SEED=\(seed) KARVAN_ORACLE_SCHEDULES=1"
                    do {
                        let fleet = try FleetSchedules(seed: UInt64(seed), rowCount: Self.rowCount)
                        let problem = try fleet.run()
                        return (fleet.counts, problem.map { "\(name): \($0)" })
                    } catch {
                        return ([:], "\(name): \(error)")
                    }
                }
            }
            for await (some, problem) in group {
                counts.merge(some, uniquingKeysWith: +)
                if let problem { problems.append(problem) }
            }
        }
        for problem in problems.prefix(5) { Issue.record(Comment(rawValue: problem)) }
        let summary = counts.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)" }
        print(
            "\(fleetCount * Self.rowCount) schedules in \(fleetCount) fleets before the oracle, "
                + "\(problems.count) fleets at fault, \(ContinuousClock.now - start): "
                + summary.joined(separator: ", "))
    }

    /// Every shape with up to three ops, and one of those with four.
    private static var shapes: [ScheduleShape] {
        let four = ScheduleShape.every(opCount: 4)
        let one = four[(setting("KARVAN_SEED") ?? 60) % four.count]
        return (1...3).flatMap { ScheduleShape.every(opCount: $0) }
            + (setting("KARVAN_EXHAUSTIVE") == 1 ? four : [one])
    }

    @Test func `the oracle agrees with replicas on every word of ops in every shape`() async {
        let start = ContinuousClock.now
        var problems: [String] = []
        var (scheduleCount, deliveryCount) = (0, 0)
        let shapes = Self.shapes
        await withTaskGroup(of: (Int, Int, String?).self) { group in
            for shape in shapes {
                group.addTask {
                    do {
                        let fleet = try ShapeFleet(shape)
                        let problem = try fleet.run().map { "\(shape): \($0)" }
                        return (fleet.rowCount, fleet.deliveryCount, problem)
                    } catch {
                        return (0, 0, "\(shape): \(error)")
                    }
                }
            }
            for await (schedules, deliveries, problem) in group {
                scheduleCount += schedules
                deliveryCount += deliveries
                if let problem { problems.append(problem) }
            }
        }
        for problem in problems.prefix(5) { Issue.record(Comment(rawValue: problem)) }
        print(
            "\(shapes.count) shapes in files, \(scheduleCount) schedules before the oracle in "
                + "\(deliveryCount) deliveries, "
                + "\(problems.count) shapes at fault, \(ContinuousClock.now - start)")
    }

    /// What the oracle would say to a replica that had each of these faults.
    @Test func `the oracle notices what an export leaves out, changes or adds`() throws {
        let bench = try Bench(isVolatile: true)
        let text = try Self.sampleExport(bench)
        #expect(try Self.verdict(text, in: bench) == nil)
        let faults: [(String, (String) -> String)] = [
            ("a value", { $0.replacing("\"value\":\"b\"", with: "\"value\":\"c\"") }),
            ("what is shown", { $0.replacing("\"shown\":[\"b\"", with: "\"shown\":[\"a\"") }),
            ("what is replaced", { $0.replacing(/"over":\["[^"]*"/, with: "\"over\":[") }),
            (
                "a cover",
                { $0.replacing("\"covers\":[{\"column\":1", with: "\"covers\":[{\"column\":9") }
            ),
            ("a counter", { $0.replacing("{\"composite\":[3,0]}", with: "{\"composite\":[4,0]}") }),
            ("a set", { $0.replacing("\"element\":\"6178\"", with: "\"element\":\"6179\"") }),
            (
                "a conflict",
                {
                    $0.split(separator: "\n").filter { !$0.hasPrefix("{\"open\"") }.map {
                        $0 + "\n"
                    }
                    .joined()
                }
            ),
            (
                "a changeset",
                { text in
                    var lines = text.split(separator: "\n").map(String.init)
                    lines.remove(at: 1)
                    return lines.map { $0 + "\n" }.joined()
                }
            ),
        ]
        for (name, spoil) in faults {
            let spoiled = spoil(text)
            #expect(spoiled != text, "nothing was spoiled: \(name)")
            #expect(try Self.verdict(spoiled, in: bench) != nil, "\(name) was not noticed")
        }
    }

    private static func verdict(_ text: String, in bench: Bench) throws -> String? {
        let file = bench.directory.appending(path: "spoiled.jsonl")
        try Data(text.utf8).write(to: file)
        return try Oracle.judge([file.path], in: bench.directory, limitSeconds: 60)
    }

    /// A conflict, a hidden row, a set and a counter.
    private static func sampleExport(_ bench: Bench) throws -> String {
        let replicas = try ["a", "b"].map { try bench.create($0, schema: Fleet.schema) }
        let rows = (1...2).map { RowID(Identifier(high: 3, low: $0)) }
        for (replica, title) in zip(replicas, ["a", "b"]) {
            try replica.write {
                let columns = (title: Fleet.column("title"), tags: Fleet.column("tags"))
                try $0.set(Fleet.record, rows[0], [(columns.title, .text(title))])
                try $0.add(Fleet.record, rows[0], columns.tags, [.text("x")])
                try $0.count(Fleet.record, rows[0], Fleet.column("heads"), by: 3)
            }
        }
        for title in ["old", "older"] {
            try replicas[1].write {
                try $0.set(Fleet.record, rows[1], [(Fleet.column("title"), .text(title))])
            }
        }
        try replicas[1].write { try $0.delete(Fleet.record, rows[1]) }
        try carry(from: replicas[1], to: replicas[0])
        var text = ""
        try replicas[0].export { text += $0 + "\n" }
        return text
    }
}
