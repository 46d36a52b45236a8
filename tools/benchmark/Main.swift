import ArgumentParser
import CSQLite
import Causality
import Foundation

@main
struct Main: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "karvan-bench",
        abstract: "Measures the engine against plain SQLite on the same rows. See tools/bench.")

    @Flag(help: "Print one JSON object instead of a table.")
    var json = false

    @Flag(help: "Fewer rows and repetitions.")
    var quick = false

    @Option(help: "What the report says was measured.")
    var commit = "unknown"

    @Option(help: "Where the databases lie while they are measured.")
    var directory = NSTemporaryDirectory()

    @Option(help: "The sample forum's CSV files.")
    var sample = "tools/sample"

    @Option(help: "Run one part of the engine once, without plain SQLite, for a profiler.")
    var profilePart: ProfilePart?

    @Option(help: "Rows of the part that is profiled.")
    var profileRows = 10_000

    private var rowCount: Int { quick ? 20_000 : 100_000 }
    private var singleRowCount: Int { quick ? 500 : 2_000 }
    private var repetitions: Int { quick ? 3 : 5 }

    func run() throws {
        let workplace = try Workplace(in: directory)
        defer { workplace.removeAll() }
        if let profilePart {
            return try profilePart.run(rowCount: profileRows, workplace)
        }
        let report = Report(
            machine: try machine(), rows: rowCount, repetitions: repetitions,
            figures: try throughput(workplace) + sizes(workplace) + wire(workplace))
        print(json ? try report.json() : report.text)
    }

    private func progress(_ text: String) {
        FileHandle.standardError.write(Data("bench: \(text)\n".utf8))
    }

    private func throughput(_ workplace: Workplace) throws -> [Figure] {
        let measure = Throughput(
            workplace: workplace, settings: try workplace.settings(), repetitions: repetitions,
            progress: progress)
        let few = Workload(count: singleRowCount)
        let many = Workload(count: rowCount)
        let batch = Workload.batchRows
        return [
            Figure(
                "write, 1 each, time ids", try measure.writes(few, .time, rowsPerTransaction: 1)),
            Figure(
                "write, 1 each, random ids", try measure.writes(few, .random, rowsPerTransaction: 1)
            ),
            Figure(
                "write, \(batch) each, time ids",
                try measure.writes(many, .time, rowsPerTransaction: batch), goal: .atLeast(0.4)),
            Figure(
                "write, \(batch) each, random ids",
                try measure.writes(many, .random, rowsPerTransaction: batch), goal: .atLeast(0.4)),
            Figure("ingest, time ids", try measure.ingest(many, .time), goal: .atLeast(0.3)),
            Figure(
                "ingest, time ids, same commits",
                try measure.ingest(many, .time, matchesCommits: true), goal: .atLeast(0.3)),
            Figure("ingest, random ids", try measure.ingest(many, .random), goal: .atLeast(0.3)),
        ]
    }

    private func sizes(_ workplace: Workplace) throws -> [Figure] {
        let settings = try workplace.settings()
        let workload = Workload(count: rowCount)
        return try [IDOrder.time, .random].flatMap { order in
            progress("sizes, \(order.rawValue) ids")
            let sizes = try Sizes(workload, order, workplace: workplace, settings: settings)
            return [
                Figure(
                    "file, \(order.rawValue) ids",
                    Double(sizes.engineBytes) / Double(sizes.plainBytes), "x plain",
                    "engine \(sizes.engineBytes) B (log \(sizes.logBytes)), "
                        + "plain \(sizes.plainBytes)"),
                Figure(
                    "metadata, \(order.rawValue) ids",
                    Double(sizes.metadataBytes) / Double(sizes.cells), "B/cell",
                    "sy_row and sy_live \(sizes.metadataBytes) B, \(sizes.cells) cells",
                    goal: .atMost(12)),
            ]
        }
    }

    private func wire(_ workplace: Workplace) throws -> [Figure] {
        let wire = try Wire(workplace: workplace, sample: sample, progress: progress)
        let whole = try wire.checkIns(syncedEvery: Wire.checkInCount)
        let often = try wire.checkIns(syncedEvery: 50)
        return [
            figure("check-in, one sync", whole, goal: .atMost(14)),
            figure("check-in, synced every 50", often),
            Figure(
                "sync with nothing new", Double(often.idle.roundTrips), "round trips",
                "request \(often.idle.requestBytes) B, reply \(often.idle.replyBytes)",
                goal: .atMost(1)),
        ]
    }

    private func figure(_ name: String, _ cost: Wire.Cost, goal: Figure.Goal? = nil) -> Figure {
        Figure(
            name, cost.requestBytesPerCheckIn, "B/check-in",
            "\(cost.traffic.roundTrips) requests of \(cost.traffic.requestBytes) B, "
                + "replies \(cost.traffic.replyBytes)", goal: goal)
    }

    private func machine() throws -> Machine {
        let cpu = (try? String(contentsOfFile: "/proc/cpuinfo", encoding: .utf8)) ?? ""
        let model = cpu.split(separator: "\n").first { $0.hasPrefix("model name") }
        return Machine(
            cores: ProcessInfo.processInfo.activeProcessorCount,
            processor: model?.split(separator: ": ").last.map(String.init) ?? "unknown",
            sqlite: String(cString: sqlite3_libversion()), commit: commit,
            fileSystem: Self.fileSystem(of: directory))
    }

    /// The type of the mount that holds `directory`: what fsync costs depends on it.
    private static func fileSystem(of directory: String) -> String {
        let mounts = (try? String(contentsOfFile: "/proc/mounts", encoding: .utf8)) ?? ""
        let path = URL(filePath: directory).resolvingSymlinksInPath().path + "/"
        let fields = mounts.split(separator: "\n").map { $0.split(separator: " ") }
        let holders = fields.filter {
            $0.count > 2 && ($0[1] == "/" || path.hasPrefix($0[1] + "/"))
        }
        return holders.max { $0[1].count < $1[1].count }.map { String($0[2]) } ?? "unknown"
    }
}
