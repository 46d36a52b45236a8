import AntiEntropy
import Causality
import Foundation
import ReplicaStore
import ReplicaSync
import SyncProtocol

/// Parts that are processes of their own.
extension Bench {
    /// `karvan attend`, from its start to its end, on a replica with the whole programme.
    func attend(_ programs: Programs) throws -> [Figure] {
        progress("karvan attend, as a process")
        guard FileManager.default.isExecutableFile(atPath: programs.karvan) else {
            throw BenchError("\(programs.karvan) is not built")
        }
        let replica = workplace.path("attend")
        func karvan(_ arguments: String...) throws -> Double {
            try Self.seconds(programs.karvan, arguments + ["--replica", replica])
        }
        _ = try karvan("init", "--name", "bench")
        for list in ["delegations", "sites", "people", "programme"] {
            _ = try karvan("import", list, "\(programs.sample)/\(list).csv")
        }
        let badges = try Self.firstFields("\(programs.sample)/people.csv")
        let items = try Self.firstFields("\(programs.sample)/programme.csv")
        // The first ones warm the system's cache.
        let times = try badges.prefix(60).map { badge in
            try karvan("attend", items[0], badge, "--door", "B", "--as", "Leyla") * 1_000
        }.dropFirst(10)
        let nothing = try (0..<50).map { _ in
            try Self.seconds(programs.karvan, ["--version"]) * 1_000
        }
        return [
            Figure(
                "karvan attend as a process", Array(times).median, "ms",
                "50 people; \((times.min() ?? 0).formatted(places: 1)) to "
                    + "\((times.max() ?? 0).formatted(places: 1)); karvan --version "
                    + nothing.median.formatted(places: 1), goal: .atMost(40))
        ]
    }

    private static func firstFields(_ path: String) throws -> [String] {
        try String(contentsOfFile: path, encoding: .utf8).split(separator: "\n").dropFirst()
            .compactMap { $0.split(separator: ",").first.map(String.init) }
    }

    /// From the start of a process to its end. Not by Foundation's `Process`, which looks for the
    /// end twenty times a second.
    private static func seconds(_ program: String, _ arguments: [String]) throws -> Double {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0)
        var pointers = ([program] + arguments).map { strdup($0) } + [nil]
        defer { for pointer in pointers { free(pointer) } }
        var (process, status): (pid_t, Int32) = (0, 0)
        let start = Effort.now(CLOCK_MONOTONIC)
        let code = posix_spawn(&process, program, &actions, nil, &pointers, environ)
        guard code == 0, waitpid(process, &status, 0) == process else {
            throw BenchError("\(program) can't be started")
        }
        let end = Effort.now(CLOCK_MONOTONIC)
        guard status == 0 else { throw BenchError("\(program) \(arguments) failed") }
        return end - start
    }

    /// A replica pulls ten times the workload from a hub in memory, in a process that does nothing
    /// else.
    func memory(_ programs: Programs) throws -> [Figure] {
        let count = workload.rows.count * 10
        progress("a replica takes in \(count) rows")
        let path = try MemoryChild.prepare(workplace, rows: count)
        let process = Process()
        process.executableURL = URL(filePath: programs.bench)
        process.arguments = ["--child", path]
        let output = Pipe()
        process.standardOutput = output
        try process.run()
        let text = String(
            decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        guard process.terminationStatus == 0,
            let peak = Double(text.trimmingCharacters(in: .whitespacesAndNewlines))
        else { throw BenchError("the child process failed: \(text)") }
        return [
            Figure(
                "peak memory, \(count) rows taken in", peak / 1_024, "MiB",
                "both replicas in one process, by VmHWM", goal: .atMost(128))
        ]
    }
}

/// The process whose memory is measured: the hub's file is there, the laptop's is made.
enum MemoryChild {
    static func prepare(_ workplace: Workplace, rows: Int) throws -> String {
        let clock = SettableClock(milliseconds: Workload.startMilliseconds)
        let hub = try workplace.makeReplica(
            "hub", schema: Workload.schema, clock: clock, keepsFeed: true)
        defer { hub.close() }
        let writer = EngineWriter(replica: hub, clock: clock)
        let slice = 50_000
        for start in stride(from: 0, to: rows, by: slice) {
            let workload = Workload(count: min(slice, rows - start), seed: UInt64(start + 1))
            _ = try writer.write(
                workload.rows, ids: workload.ids(.random, rowsPerTransaction: 1),
                rowsPerTransaction: 1_000)
        }
        try hub.seal()
        return workplace.path("hub")
    }

    static func run(source: String) throws {
        let environment = Environment.system(command: "karvan-bench")
        let hub = try Replica.open(
            at: source, schema: Workload.schema, environment: environment)
        let laptop = try Replica.create(
            at: source + ".laptop", name: "laptop", schema: Workload.schema,
            environment: environment)
        let driver = SyncDriver(
            replica: ReplicaSide(laptop), hub: MemoryHub(hub),
            wallMilliseconds: environment.wallMilliseconds)
        let (outcome, _) = try driver.run()
        guard outcome == .completed, hub.versionVector() == laptop.versionVector() else {
            throw BenchError("the sync ended as \(outcome)")
        }
        print(try peakKibibytes())
    }

    /// Of this program alone: what getrusage tells begins with the memory of whoever started it.
    private static func peakKibibytes() throws -> Int {
        let status = try String(contentsOf: URL(filePath: "/proc/self/status"), encoding: .utf8)
        let line = status.split(separator: "\n").first { $0.hasPrefix("VmHWM:") }
        guard let number = line?.split(whereSeparator: \.isWhitespace).dropFirst().first,
            let peak = Int(number)
        else { throw BenchError("the system doesn't tell how much memory was used") }
        return peak
    }
}
