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

    @Option(help: "The command line, for the part that starts it.")
    var karvan = ".build/release/karvan"

    @Option(help: "Only these parts; repeats.")
    var part: [Part] = []

    @Option(help: "Rows of the parts that write many.")
    var rows: Int?

    @Option(help: "Medians of so many pairs.")
    var pairs: Int?

    @Option(help: "Run one piece of work once, without plain SQLite, for a profiler.")
    var profile: Profile?

    @Option(help: "Print growth curves up to so many rows as CSV, and nothing else.")
    var growth: Int?

    @Option(help: "Play three days of the forum with so many changes, and nothing else.")
    var replay: Int?

    @Option(help: "Write the workload as SQL and CSV to this folder, and measure nothing.")
    var export: String?

    @Option(help: ArgumentHelp("What a child process does.", visibility: .private))
    var child: String?

    private var rowCount: Int { rows ?? (quick ? 20_000 : 100_000) }

    func run() throws {
        if let child { return try MemoryChild.run(source: child) }
        let workplace = try Workplace(in: directory)
        defer { workplace.removeAll() }
        if let replay {
            let start = ContinuousClock.now
            let played = try Replay(workplace: workplace, sample: sample, progress: progress)
            defer { played.close() }
            try played.play(replay)
            return print(try played.report(seconds: (ContinuousClock.now - start) / .seconds(1)))
        }
        let workload = Workload(count: rowCount)
        if let export {
            return try WorkloadExport(
                workload: workload, settings: try workplace.settings(),
                directory: URL(filePath: export)
            ).write()
        }
        if let profile { return try profile.run(workload, workplace) }
        let bench = Bench(
            workplace: workplace, settings: try workplace.settings(), workload: workload,
            repetitions: pairs ?? (quick ? 3 : 5), singleRowCount: quick ? 1_000 : 5_000,
            progress: progress)
        if let growth {
            let points = try Growth(bench: bench, mostRows: growth).points()
            return print(Growth.csv(points), terminator: "")
        }
        let programs = Programs(
            bench: CommandLine.arguments[0], karvan: karvan, sample: sample)
        var report = Report(
            machine: try machine(), rows: rowCount, repetitions: bench.repetitions, figures: [])
        for part in Part.allCases where self.part.isEmpty || self.part.contains(part) {
            report.figures += try part.figures(bench, programs)
            workplace.removeFiles()
        }
        print(json ? try report.json() : report.text)
    }

    private func progress(_ text: String) {
        FileHandle.standardError.write(Data("bench: \(text)\n".utf8))
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
