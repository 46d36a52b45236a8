internal import Foundation

/// Everything that a replica takes from outside: so that the same code runs in production and
/// under simulated clocks.
public struct Environment: Sendable {
    /// The wall clock, milliseconds since 1970.
    public var wallMilliseconds: @Sendable () -> Int64
    /// A clock that never goes back, in milliseconds from any start.
    public var monotonicMilliseconds: @Sendable () -> Int64
    /// That many random bytes.
    public var randomBytes: @Sendable (Int) -> [UInt8]
    /// What the program is called in front of those who wait for it.
    public var command: String
    /// How long a write waits for another process.
    public var lockLimitMilliseconds: Int64
    /// SQLite's file system (VFS), by its name; `nil` for the system's. Tests let a disk fail.
    public var fileSystem: String?
    /// How many pages the write-ahead log may hold before it is carried into the file.
    public var checkpointFrames = 1_024
    /// Told when a file that was copied or put back has gone on as a new incarnation.
    public var onNewIncarnation: @Sendable (NewIncarnation) -> Void = { _ in }

    public init(
        wallMilliseconds: @escaping @Sendable () -> Int64,
        monotonicMilliseconds: @escaping @Sendable () -> Int64,
        randomBytes: @escaping @Sendable (Int) -> [UInt8], command: String = "karvan",
        lockLimitMilliseconds: Int64 = 10_000
    ) {
        self.wallMilliseconds = wallMilliseconds
        self.monotonicMilliseconds = monotonicMilliseconds
        self.randomBytes = randomBytes
        self.command = command
        self.lockLimitMilliseconds = lockLimitMilliseconds
    }

    /// The system's clocks and random numbers.
    public static func system(command: String) -> Environment {
        Environment(
            wallMilliseconds: { milliseconds(CLOCK_REALTIME) },
            monotonicMilliseconds: { milliseconds(CLOCK_MONOTONIC) },
            randomBytes: { count in
                var generator = SystemRandomNumberGenerator()
                return (0..<count).map { _ in UInt8.random(in: .min ... .max, using: &generator) }
            },
            command: command)
    }

    private static func milliseconds(_ clock: clockid_t) -> Int64 {
        var time = timespec()
        clock_gettime(clock, &time)
        return Int64(time.tv_sec) * 1_000 + Int64(time.tv_nsec) / 1_000_000
    }
}
