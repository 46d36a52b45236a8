import Foundation

/// What one side needed for a piece of work.
struct Effort {
    /// Until all was on disk: most of it is waiting for the disk, where transactions are small.
    var wallSeconds: Double
    /// Of the process, user and system: it hardly depends on the disk or on other programs.
    var processorSeconds: Double
    /// What the process handed to the system to write, in bytes; what is mapped is not in it.
    var writtenBytes: Double

    init(_ body: () throws -> Void) throws {
        let written = try Self.writtenBytes()
        let start = (Self.now(CLOCK_MONOTONIC), Self.now(CLOCK_PROCESS_CPUTIME_ID))
        try body()
        wallSeconds = Self.now(CLOCK_MONOTONIC) - start.0
        processorSeconds = Self.now(CLOCK_PROCESS_CPUTIME_ID) - start.1
        writtenBytes = try Self.writtenBytes() - written
    }

    static func now(_ clock: clockid_t) -> Double {
        var time = timespec()
        clock_gettime(clock, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
    }

    /// `wchar` of proc(5): the bytes of all writing calls so far.
    private static func writtenBytes() throws -> Double {
        let lines = try String(contentsOfFile: "/proc/self/io", encoding: .utf8).split(
            separator: "\n")
        guard let line = lines.first(where: { $0.hasPrefix("wchar: ") }),
            let bytes = Double(line.dropFirst("wchar: ".count))
        else { throw BenchError("/proc/self/io does not say what was written") }
        return bytes
    }
}

/// The efforts of both sides over the same work, measured in turn.
struct Rates {
    /// Rows written, or changed.
    let rowCount: Int
    var plain: [Effort] = []
    var engine: [Effort] = []

    /// Engine's rows per second over plain SQLite's, pair by pair.
    var ratios: [Double] { zip(plain, engine).map { $0.wallSeconds / $1.wallSeconds } }
    /// The same by the processor's time.
    var processorRatios: [Double] {
        zip(plain, engine).map { $0.processorSeconds / $1.processorSeconds }
    }
    /// What the engine wrote over what plain SQLite wrote.
    var writtenRatios: [Double] {
        zip(plain, engine).map { $1.writtenBytes / $0.writtenBytes }
    }

    func rowsPerSecond(_ efforts: [Effort]) -> Double {
        Double(rowCount) / efforts.map(\.wallSeconds).median
    }

    /// Both sides in turn; every other time the engine goes first.
    init(
        rowCount: Int, repetitions: Int, plain: () throws -> Effort, engine: () throws -> Effort,
        check: () throws -> Void
    ) throws {
        self.rowCount = rowCount
        for repetition in 0..<repetitions {
            if !repetition.isMultiple(of: 2) { self.engine.append(try engine()) }
            self.plain.append(try plain())
            if repetition.isMultiple(of: 2) { self.engine.append(try engine()) }
            try check()
        }
    }

    init(rowCount: Int) { self.rowCount = rowCount }
}
