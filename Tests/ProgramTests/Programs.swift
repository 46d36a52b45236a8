import Foundation
import Synchronization

/// What a program printed, and how it ended.
struct Finished: Sendable {
    var status: Int32
    var output: String
    var errors: String

    /// The object that `--json` printed.
    var json: [String: Any] {
        let text = status == 0 || status == 20 ? output : errors
        return (try? JSONSerialization.jsonObject(with: Data(text.utf8))) as? [String: Any] ?? [:]
    }
}

struct ProgramError: Error, CustomStringConvertible {
    var description: String
}

/// The built programs, as a shell would call them.
enum Programs {
    /// Where the test bundle lies, the programs lie too.
    static let directory: URL = {
        let executable =
            (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe"))
            ?? CommandLine.arguments[0]
        var directory = URL(filePath: executable).deletingLastPathComponent()
        for _ in 0..<6 {
            let program = directory.appending(path: "karvan-hub").path
            if FileManager.default.isExecutableFile(atPath: program) { return directory }
            directory.deleteLastPathComponent()
        }
        // Under `swift test` the runner may lie elsewhere: the bundle is its argument.
        for argument in CommandLine.arguments where argument.hasSuffix(".xctest") {
            return URL(filePath: argument).deletingLastPathComponent()
        }
        return URL(filePath: FileManager.default.currentDirectoryPath)
    }()

    static func path(_ name: String) -> String { directory.appending(path: name).path }

    /// What keeps the programs from being tested: the package manager builds the tests without them.
    private static let problem: ProgramError? = {
        let sources = FileManager.default.enumerator(
            at: checkout.appending(path: "Sources"), includingPropertiesForKeys: nil)
        let changed = (sources?.compactMap { ($0 as? URL).flatMap { modified($0.path) } } ?? [])
            .max()
        // A change may concern but one of them.
        let built = ["karvan", "karvan-hub"].compactMap { modified(path($0)) }
        guard let changed, built.count == 2, let newest = built.max(), newest >= changed else {
            return ProgramError(
                description: "the programs in \(directory.path) are missing or older than Sources: "
                    + "run tools/test")
        }
        return nil
    }()

    private static func modified(_ path: String) -> Date? {
        let attributes = try? FileManager.default.attributesOfItem(atPath: path)
        guard attributes?[.type] as? FileAttributeType == .typeRegular else { return nil }
        return attributes?[.modificationDate] as? Date
    }

    /// The top of the checkout: for the sample forum.
    static let checkout = URL(filePath: #filePath).deletingLastPathComponent()
        .deletingLastPathComponent().deletingLastPathComponent()

    static func sample(_ name: String) -> String {
        checkout.appending(path: "tools/sample/\(name)").path
    }

    /// One at a time: a program that starts while another test opens a pipe might keep its other
    /// end open, and whoever reads it would wait for that program as well.
    private static let spawning = NSLock()

    /// Starts a process with pipes at its output and its errors.
    ///
    /// - Parameter log: takes its errors instead.
    fileprivate static func start(
        _ process: Process, log: FileHandle? = nil
    ) throws -> (output: Pipe, errors: Pipe) {
        if let problem { throw problem }
        spawning.lock()
        defer { spawning.unlock() }
        let (output, errors) = (Pipe(), Pipe())
        process.standardOutput = output
        if let log { process.standardError = log } else { process.standardError = errors }
        try process.run()
        return (output, errors)
    }

    /// Runs a program to its end, in `limitSeconds` at most; then it is killed and an error thrown.
    static func run(
        _ program: String, _ arguments: [String], in directory: URL,
        environment: [String: String] = [:], limitSeconds: Double = 60
    ) throws -> Finished {
        let process = Process()
        process.executableURL = URL(
            filePath: program.hasPrefix("/") ? program : path(program))
        process.arguments = arguments
        process.currentDirectoryURL = directory
        process.environment = ProcessInfo.processInfo.environment
            .filter { !$0.key.hasPrefix("KARVAN_") }
            .merging(environment) { $1 }
        process.standardInput = FileHandle.nullDevice
        let (output, errors) = try start(process)
        let deadline = Deadline(process.processIdentifier, seconds: limitSeconds)
        // A pipe's buffer is small: both are read while the program runs.
        let errorReader = Reader(errors)
        let outputData = output.fileHandleForReading.readDataToEndOfFile()
        let errorData = errorReader.finish()
        process.waitUntilExit()
        guard !deadline.end() else {
            throw ProgramError(
                description: "\(program) \(arguments) did not end within \(limitSeconds) s")
        }
        return Finished(
            status: process.terminationReason == .exit
                ? process.terminationStatus : 128 + process.terminationStatus,
            output: String(decoding: outputData, as: UTF8.self),
            errors: String(decoding: errorData, as: UTF8.self))
    }
}

/// Reads a pipe to its end on a thread of its own.
private final class Reader: Sendable {
    private let data = Mutex(Data())
    private let isDone = DispatchSemaphore(value: 0)

    init(_ pipe: Pipe) {
        let descriptor = dup(pipe.fileHandleForReading.fileDescriptor)
        Thread.detachNewThread { [self] in
            let handle = FileHandle(fileDescriptor: descriptor, closeOnDealloc: true)
            let bytes = handle.readDataToEndOfFile()
            data.withLock { $0 = bytes }
            isDone.signal()
        }
    }

    func finish() -> Data {
        isDone.wait()
        return data.withLock { $0 }
    }
}

/// Kills a process that runs too long.
private final class Deadline: Sendable {
    private let state = Mutex((isOver: false, isFired: false))

    init(_ process: Int32, seconds: Double) {
        DispatchQueue.global().asyncAfter(deadline: .now() + seconds) { [self] in
            state.withLock { state in
                guard !state.isOver else { return }
                state.isFired = true
                kill(process, SIGKILL)
            }
        }
    }

    /// Whether it had to be killed.
    func end() -> Bool {
        state.withLock { state in
            state.isOver = true
            return state.isFired
        }
    }
}

/// A temporary directory with a hub and laptops, ended and removed with the test.
final class Forum {
    let directory: URL
    private var hub: Process?
    /// Under a wrong clock the hub is a child of what starts it.
    private(set) var hubProcess: Int32?
    private(set) var url = ""

    init() throws {
        directory = FileManager.default.temporaryDirectory
            .appending(path: "karvan-forum-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
    }

    deinit {
        stopHub()
        try? FileManager.default.removeItem(at: directory)
    }

    // MARK: Laptops

    /// Runs `karvan` on the replica of a laptop.
    @discardableResult
    func karvan(
        _ laptop: String, _ arguments: String..., environment: [String: String] = [:],
        limitSeconds: Double = 60
    ) throws -> Finished {
        try Programs.run(
            "karvan", arguments, in: directory,
            environment: ["KARVAN_REPLICA": "\(laptop).sqlite"].merging(environment) { $1 },
            limitSeconds: limitSeconds)
    }

    /// As above, and any end but 0 is an error.
    @discardableResult
    func must(_ laptop: String, _ arguments: String...) throws -> String {
        let finished = try Programs.run(
            "karvan", arguments, in: directory,
            environment: ["KARVAN_REPLICA": "\(laptop).sqlite"])
        guard finished.status == 0 else {
            throw ProgramError(
                description: "karvan \(arguments) on \(laptop) ended with \(finished.status): "
                    + finished.errors)
        }
        return finished.output
    }

    /// Makes laptops and enrols them.
    func enrol(_ laptops: String...) throws {
        for laptop in laptops {
            try must(laptop, "init", "--name", laptop)
            try must(laptop, "enrol", url, try token())
        }
    }

    /// For a coordinator, unless `arguments` say otherwise.
    func token(_ arguments: String...) throws -> String {
        let role = arguments.contains("--role") ? [] : ["--role", "coordinator"]
        let finished = try Programs.run(
            "karvan-hub", ["token", "create", "--store", "hub.sqlite"] + role + arguments,
            in: directory)
        guard finished.status == 0 else { throw ProgramError(description: finished.errors) }
        return finished.output.trimmingCharacters(in: .whitespacesAndNewlines)
    }

    /// The people, sites and programme of the sample forum.
    func importSample(on laptop: String) throws {
        for kind in ["delegations", "sites", "people", "programme"] {
            try must(laptop, "import", kind, Programs.sample("\(kind).csv"))
        }
    }

    // MARK: The hub

    /// Starts the hub on loopback; the port stays the same when it is started again.
    ///
    /// - Parameters:
    ///   - clock: how wrong its clock is, such as `+3h`.
    ///   - options: further ones of `serve`.
    func startHub(port wanted: Int? = nil, clock: String? = nil, options: [String] = []) throws {
        let port = wanted ?? url.split(separator: ":").last.flatMap { Int($0) } ?? 0
        let process = Process()
        let words = ["serve", "--store", "hub.sqlite", "--listen", "127.0.0.1:\(port)"] + options
        let program = [Programs.path("karvan-hub")] + words
        let command = clock.map { Programs.withClock($0, program) } ?? program
        process.executableURL = URL(filePath: command[0])
        process.arguments = Array(command.dropFirst())
        process.currentDirectoryURL = directory
        let log = directory.appending(path: "hub.log")
        if !FileManager.default.fileExists(atPath: log.path) {
            try Data().write(to: log)
        }
        let handle = try FileHandle(forWritingTo: log)
        try handle.seekToEnd()
        process.standardInput = FileHandle.nullDevice
        let (output, _) = try Programs.start(process, log: handle)
        hub = process
        // It prints one line once it takes connections, or ends.
        let deadline = Deadline(process.processIdentifier, seconds: 60)
        let line = String(decoding: output.fileHandleForReading.availableData, as: UTF8.self)
        guard !deadline.end(),
            let address = line.split(separator: " ").last?.trimmingCharacters(in: .newlines),
            address.hasPrefix("https://")
        else {
            throw ProgramError(description: "the hub did not start: see \(log.path)")
        }
        url = address
        let pid = process.processIdentifier
        hubProcess = clock == nil ? pid : Self.child(of: pid)
    }

    /// By proc(5).
    private static func child(of pid: Int32) -> Int32? {
        let path = "/proc/\(pid)/task/\(pid)/children"
        let text = try? String(contentsOfFile: path, encoding: .utf8)
        return text?.split(separator: " ").first.flatMap { Int32($0) }
    }

    /// Ends the hub by its process id; SIGKILL unless told otherwise.
    func stopHub(signal number: Int32 = SIGKILL) {
        guard let hub else { return }
        kill(hubProcess ?? hub.processIdentifier, number)
        hub.waitUntilExit()
        (self.hub, hubProcess) = (nil, nil)
    }

    func stateHash(_ store: String) throws -> String {
        try must(store, "verify", "--state-hash").trimmingCharacters(in: .whitespacesAndNewlines)
    }
}
