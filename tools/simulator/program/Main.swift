import ArgumentParser
import Foundation
import Simulation

@main
struct Main: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "karvan-simulate",
        abstract:
            "Plays simulated forums, and looks whether every promise was kept. See tools/simulate.")

    @Option(help: "How many forums.")
    var seeds: UInt64 = 100

    @Option(help: "The first one's seed.")
    var from: UInt64 = 1

    @Option(help: "Laptops in each; else the seed decides.")
    var laptops: Int?

    @Option(help: "Steps in each; else the seed decides.")
    var steps: Int?

    @Option(help: "Where the files lie meanwhile.")
    var directory = "/dev/shm"

    @Option(help: "End after so many seconds, with fewer seeds if need be.")
    var seconds: Double?

    @Option(help: "Play this file of the corpus and nothing else.")
    var play: String?

    @Option(help: "The oracle of the protocol: it judges one forum in fifty.")
    var oracle: String?

    @Flag(help: "Print what happens, step by step.")
    var trace = false

    @Flag(help: "Leave a forum that fails as large as it is.")
    var whole = false

    @Flag(help: "End with the first forum that fails.")
    var stop = false

    @Flag(help: "Print one JSON object instead of a table.")
    var json = false

    @Option(help: "What is played, as the JSON object tells it.")
    var commit = "unknown"

    @Flag(help: .hidden)
    var hash = false

    func run() throws {
        let folder = URL(filePath: directory)
        if let play {
            let text = try String(contentsOfFile: play, encoding: .utf8)
            var tally = Tally(commit: commit)
            tally.add(World.play(try Scenario(text: text), in: folder, observe: observer))
            return try finish(tally)
        }
        var tally = Tally(commit: commit, firstSeed: from)
        let start = ContinuousClock.now
        for seed in from..<(from + seeds) {
            if let seconds, ContinuousClock.now - start > .seconds(seconds) { break }
            let scenario = Scenario(drawnFrom: seed, laptopCount: laptops, stepCount: steps)
            let exports = try seed % 50 == 0 && !hash ? oracle.map(Exports.init(judgedBy:)) : nil
            var report = World.play(
                scenario, in: folder, exportingTo: exports?.folder, observe: observer)
            if let exports, report.violation == nil {
                tally.judgedCount += 1
                report.violation = try exports.judge()
            }
            tally.add(report)
            if hash { print(report.traceHash) }
            if let violation = report.violation {
                show(violation, report, in: folder)
                if stop { break }
            }
            if seed % 100 == 0, !hash { try compare(report, &tally) }
        }
        tally.seconds = Double((ContinuousClock.now - start) / .milliseconds(1)) / 1_000
        tally.processorSeconds = Self.processorSeconds
        if !hash { try finish(tally) }
    }

    private var observer: ((String) -> Void)? { trace ? { print($0) } : nil }

    private var replayOptions: [String] {
        (laptops.map { ["--laptops", "\($0)"] } ?? []) + (steps.map { ["--steps", "\($0)"] } ?? [])
    }

    private func show(_ violation: Violation, _ report: Report, in folder: URL) {
        let seed = report.scenario.seed
        print("seed \(seed): \(violation)")
        print(
            "  again: tools/simulate --seeds 1 --from \(seed) --trace "
                + replayOptions.joined(separator: " "))
        guard !whole else { return }
        var shrinking = Shrinking(report, in: folder)
        let small = shrinking.run()
        print("  \(report.scenario.steps.count) steps shrunk to \(small.steps.count):")
        print(small.text, terminator: "")
        if let now = World.play(small, in: folder).violation { print("  \(now)") }
    }

    /// The same seed in a process of its own gives the same trace.
    private func compare(_ report: Report, _ tally: inout Tally) throws {
        let process = Process()
        process.executableURL = URL(filePath: "/proc/self/exe").resolvingSymlinksInPath()
        process.arguments =
            [
                "--seeds", "1", "--from", "\(report.scenario.seed)", "--hash", "--directory",
                directory,
            ]
            + replayOptions
        let output = Pipe()
        process.standardOutput = output
        try process.run()
        let text = String(
            decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        tally.comparedCount += 1
        guard text.split(separator: "\n").first.map(String.init) == report.traceHash else {
            tally.differentCount += 1
            print("seed \(report.scenario.seed): a second run went another way")
            return
        }
    }

    private static var processorSeconds: Double {
        var time = timespec()
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    }

    private func finish(_ tally: Tally) throws {
        print(json ? tally.json : tally.text)
        if tally.violationCount > 0 || tally.differentCount > 0 { throw ExitCode(1) }
    }
}
