import Foundation
import Synchronization

/// How often a test repeats what it does: fewer times by default, as often as the variable says
/// for a long run.
func repetitions(_ variable: String, usually count: Int) -> Int {
    ProcessInfo.processInfo.environment[variable].flatMap { Int($0) } ?? count
}

/// SplitMix64, from `KARVAN_SEED` or 1: the moments of a failing run can be drawn again.
struct CrashRandom: RandomNumberGenerator {
    private var state: UInt64

    init(_ purpose: String) {
        let seed = ProcessInfo.processInfo.environment["KARVAN_SEED"].flatMap { UInt64($0) } ?? 1
        state = purpose.utf8.reduce(seed) { $0 &* 1_099_511_628_211 ^ UInt64($1) }
    }

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var word = state
        word = (word ^ (word >> 30)) &* 0xbf58_476d_1ce4_e5b9
        word = (word ^ (word >> 27)) &* 0x94d0_49bb_1331_11eb
        return word ^ (word >> 31)
    }
}

// MARK: - Processes

/// A program under way, for tests that end it themselves.
///
/// It inherits no blocked and no ignored signals, and no descriptors: what Foundation's `Process`
/// opens for other tests at the same time stays closed here. Its output goes to files, which its
/// end can't take away.
final class Child: Sendable {
    let pid: Int32
    let start = ContinuousClock.now
    private let output: URL
    private let errors: URL
    private let status = Mutex<Int32?>(nil)

    /// - Parameters:
    ///   - directory: where its output goes; it runs where the tests run.
    ///   - leadsGroup: in a process group of its own, with what it starts.
    init(
        _ program: String, _ arguments: [String], in directory: URL,
        environment: [String: String] = [:], leadsGroup: Bool = false
    ) throws {
        let name = "child-\(UUID().uuidString)"
        output = directory.appending(path: "\(name).out")
        errors = directory.appending(path: "\(name).err")
        var actions = posix_spawn_file_actions_t()
        var attributes = posix_spawnattr_t()
        posix_spawn_file_actions_init(&actions)
        posix_spawnattr_init(&attributes)
        defer {
            posix_spawn_file_actions_destroy(&actions)
            posix_spawnattr_destroy(&attributes)
        }
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        let flags = O_WRONLY | O_CREAT | O_TRUNC
        posix_spawn_file_actions_addopen(&actions, 1, output.path, flags, 0o600)
        posix_spawn_file_actions_addopen(&actions, 2, errors.path, flags, 0o600)
        _ = Self.addCloseFrom?(&actions, 3)
        var none = sigset_t()
        var all = sigset_t()
        sigemptyset(&none)
        sigfillset(&all)
        posix_spawnattr_setsigmask(&attributes, &none)
        posix_spawnattr_setsigdefault(&attributes, &all)
        var options = POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF
        if leadsGroup { options |= POSIX_SPAWN_SETPGROUP }
        posix_spawnattr_setflags(&attributes, Int16(options))
        let path = program.hasPrefix("/") ? program : Programs.path(program)
        let variables = ProcessInfo.processInfo.environment
            .filter { !$0.key.hasPrefix("KARVAN_") }
            .merging(environment) { $1 }
        let words = Self.strings([path] + arguments)
        let settings = Self.strings(variables.map { "\($0.key)=\($0.value)" })
        defer { (words + settings).forEach { free($0) } }
        var pid: Int32 = 0
        let code = posix_spawn(&pid, path, &actions, &attributes, words, settings)
        guard code == 0 else {
            throw ProgramError(description: "\(path): \(String(cString: strerror(code)))")
        }
        self.pid = pid
    }

    /// glibc has it from 2.34 on, behind a macro that Swift doesn't set.
    private static let addCloseFrom = dlsym(nil, "posix_spawn_file_actions_addclosefrom_np").map {
        unsafeBitCast(
            $0,
            to: (@convention(c) (UnsafeMutablePointer<posix_spawn_file_actions_t>, Int32) -> Int32)
                .self)
    }

    private static func strings(_ texts: [String]) -> [UnsafeMutablePointer<CChar>?] {
        texts.map { strdup($0) } + [nil]
    }

    deinit {
        signal(SIGKILL)
        while !isEnded { usleep(1_000) }
    }

    /// Whether it has ended; from then on its process id may be another's.
    var isEnded: Bool {
        status.withLock { status in
            guard status == nil else { return true }
            var word: Int32 = 0
            guard waitpid(pid, &word, WNOHANG) != 0 else { return false }
            let number = word & 0x7f
            status = number == 0 ? (word >> 8) & 0xff : 128 + number
            return true
        }
    }

    /// Sends it a signal, unless it was seen to end.
    func signal(_ number: Int32) {
        status.withLock { if $0 == nil { kill(pid, number) } }
    }

    var seconds: Double {
        let (whole, part) = (ContinuousClock.now - start).components
        return Double(whole) + Double(part) * 1e-18
    }

    /// What it has printed so far.
    var printed: String { text(output) }

    private func text(_ file: URL) -> String {
        String(decoding: (try? Data(contentsOf: file)) ?? Data(), as: UTF8.self)
    }

    /// Waits for its end; one that lasts longer is killed, and an error thrown.
    func finish(limitSeconds: Double = 60) throws -> Finished {
        let limit = seconds + limitSeconds
        while !isEnded {
            guard seconds < limit else {
                signal(SIGKILL)
                throw ProgramError(
                    description: "process \(pid) did not end within \(limitSeconds) s: "
                        + text(errors))
            }
            usleep(500)
        }
        defer {
            try? FileManager.default.removeItem(at: output)
            try? FileManager.default.removeItem(at: errors)
        }
        return Finished(
            status: status.withLock { $0 } ?? -1, output: text(output), errors: text(errors))
    }
}

/// When a process is killed.
enum Moment: Sendable {
    case never
    /// So long after its start.
    case after(microseconds: Int)
    /// So long after somebody writes to the file.
    case afterWrite(to: URL, microseconds: Int)
}

/// What a look at a file tells of writes to it.
struct FileMark: Equatable {
    private var seconds = 0
    private var nanoseconds = 0
    private var size: Int64 = 0

    init(_ file: URL) {
        var status = stat()
        guard stat(file.path, &status) == 0 else { return }
        seconds = status.st_mtim.tv_sec
        nanoseconds = status.st_mtim.tv_nsec
        size = Int64(status.st_size)
    }
}

extension Moment {
    /// Waits for it, at most until `isOver`.
    ///
    /// - Parameters:
    ///   - marks: of the file that is watched, from before.
    ///   - start: what "after" counts from.
    func wait(
        from start: ContinuousClock.Instant, since mark: FileMark?, isOver: () -> Bool
    ) {
        switch self {
        case .never: return
        case .after(let microseconds):
            Self.sleep(until: start + .microseconds(microseconds), isOver)
        case .afterWrite(let file, let microseconds):
            var looks = 0
            while FileMark(file) == mark {
                looks += 1
                // A short pause now and then: the other side needs a core as well.
                if looks % 16 == 0 {
                    if isOver() { return }
                    usleep(20)
                }
            }
            Self.sleep(until: .now + .microseconds(microseconds), isOver)
        }
    }

    /// Exact to some microseconds at the end.
    private static func sleep(until end: ContinuousClock.Instant, _ isOver: () -> Bool) {
        while ContinuousClock.now + .microseconds(300) < end {
            if isOver() { return }
            usleep(100)
        }
        while ContinuousClock.now < end {}
    }

    var file: URL? {
        if case .afterWrite(let file, _) = self { return file }
        return nil
    }
}

// MARK: - Laptops

/// A laptop of a forum, for use on any thread.
struct Laptop: Sendable {
    let name: String
    let directory: URL

    init(_ name: String, _ forum: Forum) {
        self.name = name
        directory = forum.directory
    }

    init(_ name: String, in directory: URL) { (self.name, self.directory) = (name, directory) }

    var file: URL { directory.appending(path: "\(name).sqlite") }
    var log: URL { directory.appending(path: "\(name).sqlite-wal") }
    var lock: URL { directory.appending(path: "\(name).sqlite.lock") }

    func start(_ arguments: [String], leadsGroup: Bool = false) throws -> Child {
        try Child(
            "karvan", arguments, in: directory, environment: ["KARVAN_REPLICA": file.path],
            leadsGroup: leadsGroup)
    }

    func run(_ arguments: String..., limitSeconds: Double = 60) throws -> Finished {
        try start(arguments).finish(limitSeconds: limitSeconds)
    }

    /// Any end but 0 is an error.
    @discardableResult
    func must(_ arguments: String..., limitSeconds: Double = 60) throws -> String {
        let finished = try start(arguments).finish(limitSeconds: limitSeconds)
        guard finished.status == 0 else {
            throw ProgramError(
                description: "karvan \(arguments) on \(name) ended with \(finished.status): "
                    + finished.errors)
        }
        return finished.output
    }

    /// Starts it, and kills it -9 at that moment if it still runs then.
    func run(_ arguments: [String], killed moment: Moment) throws -> Finished {
        let mark = moment.file.map(FileMark.init)
        let child = try start(arguments)
        moment.wait(from: child.start, since: mark) { child.isEnded }
        if case .never = moment {} else { child.signal(SIGKILL) }
        return try child.finish()
    }

    /// How many observations stand at each door: doors are what the tests tell records apart by.
    func doors() throws -> [String: Int] {
        let text = try must(
            "sql", "--json", "SELECT door, count(*) AS n FROM observation GROUP BY door")
        let object = try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any]
        var doors: [String: Int] = [:]
        for row in object?["rows"] as? [[String: Any]] ?? [] {
            if let door = row["door"] as? String { doors[door] = row["n"] as? Int }
        }
        return doors
    }

    func stateHash() throws -> String { try must("verify", "--state-hash") }

    /// How many changes the hub isn't known to hold.
    func waiting() throws -> Int? {
        let text = try must("status", "--json")
        let object = try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any]
        return object?["waiting"] as? Int
    }
}

extension Forum {
    /// A hub and laptops that hold the item P07 and thirty people, AZ-001 to AZ-030.
    convenience init(small laptops: [String]) throws {
        try self.init()
        try startHub()
        let laptops = laptops.map { Laptop($0, self) }
        for laptop in laptops {
            try laptop.must("init", "--name", laptop.name)
            let token = try Child(
                "karvan-hub",
                ["token", "create", "--store", hubStore.file.path, "--role", "coordinator"],
                in: directory
            ).finish()
            try laptop.must("enrol", url, token.output.split(separator: "\n").joined())
        }
        for (kind, lines) in [
            ("delegations", 1...1), ("sites", 1...24), ("people", 1...30), ("programme", 13...13),
        ] {
            let text = try String(contentsOfFile: Programs.sample("\(kind).csv"), encoding: .utf8)
            let all = text.split(separator: "\n")
            let file = directory.appending(path: "\(kind).csv")
            try Data((([all[0]] + all[lines]).joined(separator: "\n") + "\n").utf8).write(to: file)
            try laptops[0].must("import", kind, file.path)
        }
        for laptop in laptops { try laptop.must("sync") }
    }

    /// The badges of `init(small:)`.
    static let badges = (1...30).map { "AZ-" + ("000" + String($0)).suffix(3) }

    /// The hub's store, looked at as a replica.
    var hubStore: Laptop { Laptop("hub", self) }

    /// Kills the hub -9 at that moment, and starts it again.
    func killHub(_ moment: Moment, unless isOver: () -> Bool) throws {
        moment.wait(from: .now, since: moment.file.map(FileMark.init), isOver: isOver)
        stopHub()
        try startHub()
    }
}

// MARK: - Threads

/// Bodies that run at the same time, on threads of their own: they block.
final class Crew: Sendable {
    private let state = Mutex((running: 0, problems: [String]()))

    init(_ bodies: [@Sendable () throws -> Void]) {
        state.withLock { $0.running = bodies.count }
        for body in bodies {
            Thread.detachNewThread { [self] in
                let result = Result { try body() }
                state.withLock { state in
                    state.running -= 1
                    if case .failure(let error) = result { state.problems.append("\(error)") }
                }
            }
        }
    }

    var isDone: Bool { state.withLock { $0.running == 0 } }

    /// Waits for all of them.
    ///
    /// - Returns: what they threw.
    func finish(limitSeconds: Double) -> [String] {
        let limit = ContinuousClock.now + .seconds(limitSeconds)
        while !isDone {
            guard ContinuousClock.now < limit else { return ["not done in \(limitSeconds) s"] }
            usleep(5_000)
        }
        return state.withLock { $0.problems }
    }
}

/// Waits for something that comes by itself.
func becomesTrue(
    withinSeconds limit: Double, everyMicroseconds pause: UInt32 = 50_000,
    _ condition: () throws -> Bool
) rethrows -> Bool {
    let end = ContinuousClock.now + .seconds(limit)
    while ContinuousClock.now < end {
        if try condition() { return true }
        usleep(pause)
    }
    return try condition()
}

/// The figures of a long run, on one line.
func report(_ name: String, _ figures: [(String, Any)], since start: ContinuousClock.Instant) {
    let seconds = (ContinuousClock.now - start).components.seconds
    let text = figures.map { "\($0.0) \($0.1)" }.joined(separator: ", ")
    print("\(name): \(text), \(seconds) s")
}
